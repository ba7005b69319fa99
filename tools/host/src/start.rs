// SPDX-License-Identifier: MIT
//! From a plan to running processes: memory for each region, a bell for each PD, a QEMU for each disk.
use crate::audit::{AuditFile, Kept};
use crate::bell;
use crate::console::Tail;
use crate::launch::{self, Launch};
use crate::process::Process;
use crate::programs::{Program, Role};
use crate::qemu::{self, Dimm, Image, Line, Machine, Qemu};
use crate::regions::{Mapped, Region};
use crate::sys::{self, Cpus};
use orion_pd::Config;
use orion_pd::config::{Builder, Device, Header};
use orion_system::plan::{Disk, IrqSource, Map, Pd, Plan, RegionKind, Slot};
use orion_system::{AUDIT_RECORDS, AUDIT_TAKEN};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use zerocopy::FromBytes;

/// Programs that this world is itself: it keeps the time and drains the consoles.
const BUILT_IN: [&str; 2] = ["tick", "serial"];
/// Bytes of a console ring.
const CONSOLE_BYTES: u64 = 16 << 10;

/// What is to be started.
#[derive(Debug)]
pub struct Setup {
    /// The system.
    pub plan: Plan,
    /// The file behind each disk, by the disk's name.
    pub images: BTreeMap<String, Image>,
    /// The listening sockets of each export and of the manager, by its PD's name.
    pub listeners: BTreeMap<String, Vec<OwnedFd>>,
    /// The processors that everything runs on.
    pub cpus: Cpus,
    /// The programs of this world.
    pub programs: Vec<Program>,
    /// Where the audit records go that the launcher is to keep.
    pub audit: Option<AuditFile>,
}

/// Processes that run, and what they share. Dropping it ends them all.
#[derive(Debug)]
pub struct Running {
    /// Rung when there may be something on a console.
    pub host: File,
    /// Protection domains.
    pub pds: Vec<Process>,
    /// Disks, with the QEMU that is their device.
    pub disks: Vec<(String, Qemu)>,
    /// The audit records that the launcher keeps.
    pub audit: Option<Kept>,
}

/// A PD's bell, as the parent holds it.
struct Shared {
    pending: Region,
    sleeping: Region,
    event: File,
}

/// Everything that must exist before the first process is started.
struct Ground<'a> {
    plan: &'a Plan,
    regions: BTreeMap<&'a str, Region>,
    bells: BTreeMap<&'a str, Shared>,
    host: File,
}

impl Setup {
    /// Starts everything. Call it from the main thread: the processes end with it.
    ///
    /// # Errors
    /// A message for people. Nothing keeps running.
    pub fn start(mut self) -> Result<Running, String> {
        let programs = self.plan.pds.iter().map(|pd| self.program(pd)).collect::<Result<Vec<_>, _>>()?;
        let ground = Ground::new(&self.plan).map_err(|error| format!("no memory for the system: {error}"))?;
        let mut running = Running { host: clone(&ground.host)?, pds: Vec::new(), disks: Vec::new(), audit: None };
        running.audit = self.audit.take().map(|file| ground.audit(file)).transpose()?;
        let mut lines = BTreeMap::new();
        for disk in &self.plan.disks {
            let image = self.images.remove(&disk.name).ok_or_else(|| format!("disk `{}` has no file", disk.name))?;
            let (qemu, line) = ground.machine(disk, image, &self.cpus)?;
            running.disks.push((disk.name.clone(), qemu));
            lines.insert(disk.driver.as_str(), line);
        }
        let mut pds: Vec<_> = self.plan.pds.iter().zip(programs).collect();
        // Servers before their clients. It is only kinder: any order works.
        pds.sort_by_key(|(pd, _)| std::cmp::Reverse(pd.priority));
        for (pd, program) in pds {
            let Some(program) = program else { continue };
            let line = lines.remove(pd.name.as_str());
            let listener = self.listeners.remove(&pd.name).unwrap_or_default();
            let process = ground.process(pd, program.role, line, listener, &self.cpus);
            running.pds.push(process.map_err(|error| format!("protection domain `{}`: {error}", pd.name))?);
        }
        Ok(running)
    }

    /// The program of a PD; `None` where this world does its work itself.
    fn program(&self, pd: &Pd) -> Result<Option<Program>, String> {
        if BUILT_IN.contains(&pd.program.as_str()) {
            return Ok(None);
        }
        let found = self.programs.iter().find(|program| program.name == pd.program);
        found.copied().map(Some).ok_or_else(|| {
            let names: Vec<&str> = self.programs.iter().map(|program| program.name).collect();
            let (name, image) = (&pd.name, &pd.image);
            format!(
                "protection domain `{name}` runs {image}, which the host world does not have; it runs only programs \
                 that are built into orion: {}",
                names.join(", ")
            )
        })
    }
}

fn clone(file: &File) -> Result<File, String> {
    file.try_clone().map_err(|error| error.to_string())
}

fn absent(what: &str) -> io::Error {
    io::Error::other(format!("the plan has no {what}"))
}

impl<'a> Ground<'a> {
    fn new(plan: &'a Plan) -> io::Result<Self> {
        let in_memory = plan.regions.iter().filter(|r| !matches!(r.kind, RegionKind::Device | RegionKind::BootInfo));
        let regions = in_memory
            .map(|region| Ok((region.name.as_str(), Region::new(&region.name, region.size)?)))
            .collect::<io::Result<_>>()?;
        let bells =
            plan.pds.iter().map(|pd| Ok((pd.name.as_str(), Shared::new(&pd.name)?))).collect::<io::Result<_>>()?;
        Ok(Self { plan, regions, bells, host: sys::event()? })
    }

    fn audit(&self, file: AuditFile) -> Result<Kept, String> {
        let region = |name| self.regions.get(name).ok_or_else(|| absent(name).to_string());
        file.keep(region(AUDIT_RECORDS)?, region(AUDIT_TAKEN)?)
    }

    fn machine(&self, disk: &Disk, image: Image, cpus: &Cpus) -> Result<(Qemu, Line), String> {
        let wrong = |what: &str| format!("disk `{}`: the plan has no {what}", disk.name);
        let driver = self.plan.pds.iter().find(|pd| pd.name == disk.driver).ok_or_else(|| wrong("driver"))?;
        let config = Config::parse(&driver.config).map_err(|_| wrong("configuration of its driver"))?;
        let device = config.devices.first().ok_or_else(|| wrong("device of its driver"))?;
        let page = self.registers(driver, device.config_vaddr.get()).ok_or_else(|| wrong("configuration page"))?;
        let Slot::Pci(slot) = disk.slot else {
            return Err(wrong("PCI slot"));
        };
        let machine = Machine {
            name: disk.name.clone(),
            slot,
            ecam: page.phys.saturating_sub(u64::from(slot) << 15),
            image,
            dimms: self.dimms(&disk.name).map_err(|error| format!("disk `{}`: {error}", disk.name))?,
            cpus: cpus.clone(),
        };
        let bell = self.bells.get(driver.name.as_str()).ok_or_else(|| wrong("driver"))?;
        machine.start(&bell.event)
    }

    /// The regions that the device of `disk` may reach.
    fn dimms(&self, disk: &str) -> io::Result<Vec<Dimm>> {
        let reachable = self.plan.regions.iter().filter(|region| region.dma_by.iter().any(|d| d == disk));
        reachable
            .map(|region| {
                let backing = self.regions.get(region.name.as_str()).ok_or_else(|| absent(&region.name))?;
                let bus = region.bus.ok_or_else(|| absent("bus address of a region that a device may reach"))?;
                Ok(Dimm { memory: backing.file(true).try_clone()?, size: region.size, bus })
            })
            .collect()
    }

    fn process(
        &self,
        pd: &Pd,
        role: Role,
        device: Option<Line>,
        listener: Vec<OwnedFd>,
        cpus: &Cpus,
    ) -> io::Result<Process> {
        let mut launch = Launch { name: pd.name.clone(), program: pd.program.clone(), ..Launch::default() };
        let bell = self.bells.get(pd.name.as_str()).ok_or_else(|| absent("bell"))?;
        launch.own = Some((fd(bell.pending.file(true)), fd(bell.sleeping.file(true)), fd(&bell.event)));
        launch.maps = pd.maps.iter().filter_map(|map| self.map(map)).collect();
        launch.files = pd.maps.iter().filter_map(|map| self.registers(pd, map.vaddr)).collect();
        launch.peers = self.peers(&pd.name);
        let irq = pd.irqs.iter().find(|irq| irq.source == IrqSource::Event).map_or(u8::MAX, |irq| irq.id);
        launch.device = device.as_ref().map(|line| (line.qtest.as_raw_fd(), line.kick.as_raw_fd(), irq));
        launch.listen = listener.iter().map(AsRawFd::as_raw_fd).collect();
        let ring = Region::new(&format!("{}-console", pd.name), CONSOLE_BYTES)?;
        launch.console = Some((fd(ring.file(true)), CONSOLE_BYTES, fd(&self.host)));
        let tail = Tail::new(Mapped::new(ring.file(true), None, CONSOLE_BYTES, true)?.window())?;
        let config = configuration(pd)?;
        let size = (config.len() as u64).next_multiple_of(4096);
        let config = sys::constant(&format!("orion-{}-config", pd.name), &config, size)?;
        launch.config = Some((fd(&config), size));
        Process::start(&launch, role, tail, cpus)
    }

    fn map(&self, map: &Map) -> Option<launch::Map> {
        let region = self.regions.get(map.region.as_str())?;
        let (vaddr, write, name) = (map.vaddr, map.write, map.region.clone());
        Some(launch::Map { fd: fd(region.file(write)), vaddr, size: region.size, write, name })
    }

    /// The register file that is mapped at `vaddr`.
    fn registers(&self, pd: &Pd, vaddr: u64) -> Option<launch::File> {
        let map = pd.maps.iter().find(|map| map.vaddr == vaddr)?;
        let region = self.plan.regions.iter().find(|r| r.name == map.region && r.kind == RegionKind::Device)?;
        Some(launch::File { vaddr, size: region.size, phys: region.phys? })
    }

    fn peers(&self, name: &str) -> Vec<launch::Peer> {
        let ends = |channel: &'a orion_system::plan::Channel| [(&channel.a, &channel.b), (&channel.b, &channel.a)];
        let mine = self.plan.channels.iter().flat_map(ends).filter(|((pd, _), _)| pd == name);
        mine.filter_map(|((_, channel), (peer, bit))| {
            let bell = self.bells.get(peer.as_str())?;
            Some(launch::Peer {
                channel: *channel,
                bit: *bit,
                pending: fd(bell.pending.file(true)),
                sleeping: fd(bell.sleeping.file(false)),
                event: fd(&bell.event),
            })
        })
        .collect()
    }
}

/// The PD's configuration, with what only this world knows: the message by which its device interrupts it.
fn configuration(pd: &Pd) -> io::Result<Vec<u8>> {
    if pd.config.is_empty() {
        // A PD of the user's own, without a link to us.
        return Ok(Builder { name: pd.name.clone(), ..Builder::default() }.bytes());
    }
    let bad = || io::Error::other("its configuration is damaged");
    let mut blob = pd.config.clone();
    let (header, _) = Header::read_from_prefix(&blob).map_err(|_| bad())?;
    let [_, _, _, devices, ..] = header.tables;
    let table = blob.get_mut(devices.offset.get() as usize..).ok_or_else(bad)?;
    let count = devices.count.get() as usize;
    let (devices, _) = <[Device]>::mut_from_prefix_with_elems(table, count).map_err(|_| bad())?;
    for device in devices {
        device.msi_address = qemu::MESSAGE.0.into();
        device.msi_data = qemu::MESSAGE.1.into();
    }
    Ok(blob)
}

fn fd(file: &File) -> RawFd {
    file.as_raw_fd()
}

impl Shared {
    fn new(name: &str) -> io::Result<Self> {
        let pending = Region::new(&format!("{name}-pending"), bell::BYTES)?;
        let sleeping = Region::new(&format!("{name}-sleeping"), bell::BYTES)?;
        Ok(Self { pending, sleeping, event: sys::event()? })
    }
}
