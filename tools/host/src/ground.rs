// SPDX-License-Identifier: MIT
//! What lives as long as the system, whoever of its processes dies: memory for each region, a bell for each PD.
use crate::audit::{AuditFile, Kept};
use crate::bell::{self, Rope};
use crate::call::Page;
use crate::launch;
use crate::qemu::Dimm;
use crate::regions::{Mapped, Region};
use crate::sys::{self, Cpus};
use orion_pd::Config;
use orion_pd::supervision::{Life, State, life_offset};
use orion_region::Window;
use orion_system::plan::{Channel, Map, Pd, Plan, RegionKind};
use orion_system::{AUDIT_RECORDS, AUDIT_TAKEN};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::Ordering;

/// The region in which the supervisor says what became of its children.
const LIVES: &str = "lives";
/// The PD that watches the supervisor.
const GATEKEEPER: &str = "gatekeeper";

/// A PD's bell, as the parent holds it.
#[derive(Debug)]
pub struct Shared {
    pub(crate) pending: Region,
    pub(crate) sleeping: Region,
    pub(crate) event: File,
}

/// Everything that must exist before the first process is started, and stays until the last has ended.
#[derive(Debug)]
pub struct Ground {
    /// The system.
    pub plan: Plan,
    /// The processors that everything runs on.
    pub cpus: Cpus,
    regions: BTreeMap<String, Region>,
    bells: BTreeMap<String, Shared>,
    /// Pages for protected calls.
    calls: Vec<Calls>,
    host: File,
    lives: Option<Window>,
}

/// A channel over which protected calls are made: an end is a PD and its channel.
#[derive(Debug)]
struct Calls {
    caller: (String, u8),
    server: (String, u8),
    region: Region,
    page: Page,
}

impl Calls {
    fn new(channel: &Channel) -> io::Result<Option<Self>> {
        let (caller, server) = match channel.calls {
            Some('a') => (channel.a.clone(), channel.b.clone()),
            Some(_) => (channel.b.clone(), channel.a.clone()),
            None => return Ok(None),
        };
        let region = Page::region(&format!("calls-{}-{}", caller.0, server.0))?;
        let page = Page::new(region.file(true))?;
        Ok(Some(Self { caller, server, region, page }))
    }
}

pub(crate) fn absent(what: &str) -> io::Error {
    io::Error::other(format!("the plan has no {what}"))
}

pub(crate) fn fd(file: &File) -> RawFd {
    file.as_raw_fd()
}

impl Ground {
    /// What `plan` needs.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(plan: Plan, cpus: Cpus) -> io::Result<Self> {
        let in_memory = plan.regions.iter().filter(|r| !matches!(r.kind, RegionKind::Device | RegionKind::BootInfo));
        let regions = in_memory
            .map(|region| Ok((region.name.clone(), Region::new(&region.name, region.size)?)))
            .collect::<io::Result<BTreeMap<_, _>>>()?;
        let bells =
            plan.pds.iter().map(|pd| Ok((pd.name.clone(), Shared::new(&pd.name)?))).collect::<io::Result<_>>()?;
        let lives = regions.get(LIVES).map(|region| Mapped::new(region.file(false), None, region.size, false));
        let lives = lives.transpose()?.map(|mapped| mapped.window());
        let calls = plan.channels.iter().filter_map(|channel| Calls::new(channel).transpose());
        let calls = calls.collect::<io::Result<_>>()?;
        Ok(Self { plan, cpus, regions, bells, calls, host: sys::event()?, lives })
    }

    /// What is rung when there may be something on a console.
    ///
    /// # Errors
    /// Where the process may open no more descriptors.
    pub fn host(&self) -> io::Result<File> {
        self.host.try_clone()
    }

    pub(crate) fn host_fd(&self) -> RawFd {
        fd(&self.host)
    }

    pub(crate) fn audit(&self, file: AuditFile) -> Result<Kept, String> {
        let region = |name| self.regions.get(name).ok_or_else(|| absent(name).to_string());
        file.keep(region(AUDIT_RECORDS)?, region(AUDIT_TAKEN)?)
    }

    /// The PD of this name.
    pub fn pd(&self, name: &str) -> Option<&Pd> {
        self.plan.pds.iter().find(|pd| pd.name == name)
    }

    /// The supervisor's child of this number.
    pub fn child(&self, number: u8) -> Option<&Pd> {
        self.plan.pds.iter().find(|pd| pd.parent.as_ref().is_some_and(|(_, own)| *own == number))
    }

    /// Whether the supervisor has given up its child of this number.
    pub fn given_up(&self, number: u8) -> bool {
        let word = self.lives.as_ref().map(|lives| lives.load(life_offset(number), Ordering::Acquire));
        word.is_some_and(|word| Life::of(word).state == State::GivenUp)
    }

    /// The bell of a PD.
    pub(crate) fn bell(&self, pd: &str) -> io::Result<&Shared> {
        self.bells.get(pd).ok_or_else(|| absent("bell"))
    }

    /// A rope to the bell of `pd`, on which nobody else pulls.
    ///
    /// # Errors
    /// What the system says.
    pub fn rope(&self, pd: &str, bit: u8) -> io::Result<Rope> {
        let bell = self.bell(pd)?;
        Rope::new(bell.pending.file(true), bell.sleeping.file(false), bell.event.try_clone()?, bit)
    }

    /// The rope by which the gatekeeper is reminded to look at the supervisor, where there are both.
    ///
    /// # Errors
    /// What the system says.
    pub fn reminder(&self) -> io::Result<Option<Rope>> {
        let config = self.pd(GATEKEEPER).and_then(|pd| Config::parse(&pd.config).ok());
        let channel = config.and_then(|config| u8::try_from(config.setting("supervisor_channel")?).ok());
        channel.map(|channel| self.rope(GATEKEEPER, channel)).transpose()
    }

    /// The pages over which a PD makes calls, and those over which it serves them, each with its channel.
    pub(crate) fn calls(&self, pd: &str) -> [Vec<(u8, RawFd)>; 2] {
        let pages = |end: fn(&Calls) -> &(String, u8)| {
            let own = self.calls.iter().filter(move |calls| end(calls).0 == pd);
            own.map(move |calls| (end(calls).1, fd(calls.region.file(true)))).collect()
        };
        [pages(|calls| &calls.caller), pages(|calls| &calls.server)]
    }

    /// A PD has ended: nobody waits for it.
    pub fn hang_up(&self, pd: &str) {
        self.calls.iter().filter(|calls| calls.server.0 == pd).for_each(|calls| calls.page.close());
    }

    /// The regions that `device` may reach.
    pub(crate) fn dimms(&self, device: &str) -> io::Result<Vec<Dimm>> {
        let reachable = self.plan.regions.iter().filter(|region| region.dma_by.iter().any(|by| by == device));
        reachable
            .map(|region| {
                let backing = self.regions.get(region.name.as_str()).ok_or_else(|| absent(&region.name))?;
                let bus = region.bus.ok_or_else(|| absent("bus address of a region that a device may reach"))?;
                Ok(Dimm { memory: backing.file(true).try_clone()?, size: region.size, bus })
            })
            .collect()
    }

    pub(crate) fn map(&self, map: &Map) -> Option<launch::Map> {
        let region = self.regions.get(map.region.as_str())?;
        let (vaddr, write, name) = (map.vaddr, map.write, map.region.clone());
        Some(launch::Map { fd: fd(region.file(write)), vaddr, size: region.size, write, name })
    }

    /// The register file that is mapped at `vaddr`.
    pub(crate) fn registers(&self, pd: &Pd, vaddr: u64) -> Option<launch::File> {
        let map = pd.maps.iter().find(|map| map.vaddr == vaddr)?;
        let region = self.plan.regions.iter().find(|r| r.name == map.region && r.kind == RegionKind::Device)?;
        Some(launch::File { vaddr, size: region.size, phys: region.phys? })
    }

    pub(crate) fn peers(&self, name: &str) -> Vec<launch::Peer> {
        let ends = self.plan.channels.iter().flat_map(|c| [(&c.a, &c.b), (&c.b, &c.a)]);
        let mine = ends.filter(|((pd, _), _)| pd == name);
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

impl Shared {
    fn new(name: &str) -> io::Result<Self> {
        let pending = Region::new(&format!("{name}-pending"), bell::BYTES)?;
        let sleeping = Region::new(&format!("{name}-sleeping"), bell::BYTES)?;
        Ok(Self { pending, sleeping, event: sys::event()? })
    }
}
