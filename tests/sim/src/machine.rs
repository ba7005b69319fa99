// SPDX-License-Identifier: MIT
//! A machine that has power: the scheduler picks one PD or device that has something to do, by the seed, until none has.
use crate::client::SimClient;
use crate::device::SimDevice;
use crate::disk::{DiskShape, SimDisk};
use crate::events::Event;
use crate::faults::FaultSet;
use crate::garbage::Garbage;
use crate::memory::Memory;
use crate::plain::{PlainClient, PlainDisk};
use crate::puppet::Puppet;
use crate::random::Random;
use crate::system::System;
use crate::world::{Common, SimWorld};
use orion_ahci_pd::AhciPd;
use orion_am53c974_pd::Am53c974Pd;
use orion_auditor::Auditor;
use orion_contract::Contract;
use orion_demo::{Demo, Reader};
use orion_gatekeeper::GatekeeperPd;
use orion_gpt_pd::GptPd;
use orion_manager::OnSockets;
use orion_multipath_pd::MultipathPd;
use orion_nvme_pd::NvmePd;
use orion_pd::{ChannelSet, Config, InitError, Instant, ProtectionDomain, Verdict};
use orion_raid_pd::RaidPd;
use orion_stack::VirtioBlkGpt;
use orion_supervisor::Supervisor;
use orion_virtio_blk::VirtioBlkPd;
use orion_virtio_scsi::VirtioScsiPd;
use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A PD of any type.
trait Step {
    fn step(&mut self, from: ChannelSet, world: &mut SimWorld) -> Option<Instant>;
    /// As what it is.
    fn any(&self) -> &dyn Any;
}

impl<P: ProtectionDomain<SimWorld> + 'static> Step for P {
    fn step(&mut self, from: ChannelSet, world: &mut SimWorld) -> Option<Instant> {
        self.notified(from, world)
    }

    fn any(&self) -> &dyn Any {
        self
    }
}

struct Domain {
    /// Nothing where it is dead.
    pd: Option<Box<dyn Step>>,
    world: SimWorld,
    deadline: Option<Instant>,
    /// When it said so: if the clock has gone back since, every deadline counts as over.
    asked_at: u64,
    /// It faces the operator.
    manager: bool,
    /// Its disk, among the machine's devices, and the channel of the interrupt.
    device: Option<(usize, u8)>,
}

/// A new PD. Each in a frame of its own: one of all that there are is too large for a test's stack.
#[inline(never)]
fn boxed<P: ProtectionDomain<SimWorld> + 'static>(world: &mut SimWorld) -> Result<Box<dyn Step>, InitError> {
    Ok(Box::new(P::init(world)?))
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// What each PD reported of its job.
    pub verdicts: BTreeMap<String, Verdict>,
    /// What was printed.
    pub lines: Vec<String>,
    /// Steps of PDs and devices.
    pub steps: u64,
    /// Notifications sent.
    pub notified: u64,
    /// The time at its end, in nanoseconds.
    pub now: u64,
}

/// How fast things are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Nanoseconds of one step.
    pub step_ns: u64,
    /// Nanoseconds that a device takes for a request at most.
    pub device_ns: u64,
}

/// A machine that has power.
pub struct Machine {
    // In this order: PDs and devices go before the memory that they have windows on.
    domains: Vec<Domain>,
    pub(crate) devices: Vec<SimDevice>,
    /// What all PDs share.
    pub common: Rc<RefCell<Common>>,
    pub(crate) system: Rc<System>,
    pub(crate) memory: Memory,
    random: Random,
    pub(crate) pace: Pace,
    /// Steps so far.
    pub steps: u64,
}

/// Steps after which a run is said never to come to rest: far more than any test needs.
const STEPS_MAX: u64 = 20_000_000;
/// Bytes of a disk, where the test does not say.
const DISK_BYTES: usize = 32 << 20;

impl Machine {
    /// The system that `xml` describes on disks of zeroes, scheduled by `seed`; `settings` are given to every client.
    pub fn new(xml: &str, seed: u64, settings: &[(&str, u64)]) -> Self {
        Self::with_media(xml, seed, settings, &[])
    }

    /// The same with disks, by name, that begin with these bytes.
    pub fn with_media(xml: &str, seed: u64, settings: &[(&str, u64)], media: &[(&str, &[u8])]) -> Self {
        Self::with_system(System::new(xml, settings), seed, media)
    }

    /// The same, with these PDs as plain sDDF components: see [`System::with_plain`].
    pub fn with_plain(xml: &str, seed: u64, settings: &[(&str, u64)], plain: &[&str]) -> Self {
        Self::with_system(System::new(xml, settings).with_plain(plain, settings), seed, &[])
    }

    fn with_system(system: System, seed: u64, media: &[(&str, &[u8])]) -> Self {
        let shape = DiskShape { block: 512, blocks: DISK_BYTES / 512, cache: true, faults: FaultSet::default() };
        let mut all: BTreeMap<&str, Rc<RefCell<SimDisk>>> = BTreeMap::new();
        let disks = system.plan.disks.iter().map(|disk| {
            // Several ways lead to one.
            let name = disk.file_of();
            let start = media.iter().find(|(other, _)| *other == name).map_or(&[][..], |(_, bytes)| bytes);
            all.entry(name).or_insert_with(|| Rc::new(RefCell::new(SimDisk::new(shape, start, seed)))).clone()
        });
        let disks: Vec<_> = disks.collect();
        Self::boot(&Rc::new(system), &disks, Common::default(), Pace::default(), seed)
    }

    /// Gives a system power, with its disks in the order of the plan.
    ///
    /// # Panics
    /// Where a PD can't start.
    pub fn boot(system: &Rc<System>, disks: &[Rc<RefCell<SimDisk>>], common: Common, pace: Pace, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let plan = &system.plan;
        let memory = Memory::new(plan);
        let common = Rc::new(RefCell::new(Common { pending: vec![0; plan.pds.len()], ..common }));
        let devices = plan.disks.iter().zip(disks).map(|(disk, medium)| {
            let reached = plan.regions.iter().filter(|r| r.dma_by.contains(&disk.name));
            let windows = reached.filter_map(|r| Some((r.bus?, memory.window(&r.name)?)));
            let device = SimDevice::new(
                disk.bus,
                medium,
                windows.collect(),
                disk.options,
                pace.device_ns,
                Random::new(random.number()),
            );
            disk.way.iter().for_each(|way| device.is_way(&way.volume));
            device
        });
        let devices = devices.collect();
        let mut machine =
            Self { domains: Vec::new(), devices, common, system: system.clone(), memory, random, pace, steps: 0 };
        for pd in 0..plan.pds.len() {
            let (world, device) = (machine.world(pd), machine.device(pd));
            machine.domains.push(Domain { pd: None, world, deadline: None, asked_at: 0, manager: false, device });
            machine.domains[pd].manager = plan.pds[pd].program == "manager";
            machine.start(pd).unwrap_or_else(|e| panic!("{}: {e}", plan.pds[pd].name));
        }
        machine
    }

    fn device(&self, pd: usize) -> Option<(usize, u8)> {
        let plan = &self.system.plan;
        let disk = plan.pds[pd].disk.as_ref()?;
        let index = plan.disks.iter().position(|d| d.name == *disk)?;
        let config = Config::parse(self.system.blobs[pd]).expect("a derived configuration parses");
        Some((index, config.devices.first()?.irq.get() as u8))
    }

    /// What a PD sees at the begin of each of its lives.
    fn world(&self, pd: usize) -> SimWorld {
        let config = Config::parse(self.system.blobs[pd]).expect("a derived configuration parses");
        let plan = &self.system.plan.pds[pd];
        let mut registers = BTreeMap::new();
        if let (Some((disk, _)), Some(device)) = (self.device(pd), config.devices.first()) {
            registers.extend(self.devices[disk].registers(device));
        }
        SimWorld {
            config,
            memory: self.memory.clone(),
            maps: plan.maps.iter().map(|m| (m.vaddr, (m.region.clone(), false))).collect(),
            registers,
            peers: self.system.peers[pd].clone(),
            common: self.common.clone(),
        }
    }

    /// Begins a PD's life. What it shares with others is as its life before has left it.
    fn start(&mut self, pd: usize) -> Result<(), InitError> {
        let world = &mut self.domains[pd].world;
        let started: Box<dyn Step> = match self.system.plan.pds[pd].program.as_str() {
            "gatekeeper" => boxed::<GatekeeperPd>(world)?,
            "virtio-blk" => boxed::<VirtioBlkPd<SimWorld>>(world)?,
            "nvme" => boxed::<NvmePd<SimWorld>>(world)?,
            "ahci" => boxed::<AhciPd<SimWorld>>(world)?,
            "virtio-scsi" => boxed::<VirtioScsiPd<SimWorld>>(world)?,
            "am53c974" => boxed::<Am53c974Pd<SimWorld>>(world)?,
            "virtio-blk-gpt" => boxed::<VirtioBlkGpt<SimWorld>>(world)?,
            "gpt" => boxed::<GptPd>(world)?,
            "raid" => boxed::<RaidPd>(world)?,
            "multipath" => boxed::<MultipathPd>(world)?,
            "auditor" => boxed::<Auditor>(world)?,
            "demo" => boxed::<Demo>(world)?,
            "reader" => boxed::<Reader>(world)?,
            "contract" => boxed::<Contract>(world)?,
            "client" => boxed::<SimClient>(world)?,
            "puppet" => boxed::<Puppet>(world)?,
            "plain-client" => boxed::<PlainClient>(world)?,
            "plain-disk" => boxed::<PlainDisk>(world)?,
            "manager" => boxed::<OnSockets>(world)?,
            "supervisor" => boxed::<Supervisor>(world)?,
            "garbage" => boxed::<Garbage>(world)?,
            other => panic!("the simulated world has no program {other}"),
        };
        self.domains[pd].pd = Some(started);
        self.domains[pd].deadline = Some(Instant(0));
        Ok(())
    }

    /// The number of the PD of this name.
    pub fn pd(&self, name: &str) -> Option<usize> {
        self.system.plan.pds.iter().position(|pd| pd.name == name)
    }

    /// The array of the volume, while its PD lives.
    pub fn array(&self, volume: &str) -> Option<&orion_raid::Raid> {
        let pd = self.domains[self.pd(&format!("raid_{volume}"))?].pd.as_ref()?;
        pd.any().downcast_ref::<RaidPd>().map(RaidPd::layer)
    }

    /// The PDs that may die, each with what happens then.
    pub fn mortals(&self) -> impl Iterator<Item = (usize, Event)> {
        let event = |program: &str| match program {
            "virtio-blk" | "virtio-blk-gpt" | "nvme" | "ahci" | "virtio-scsi" | "am53c974" => Some(Event::DriverDied),
            "gpt" | "raid" | "multipath" => Some(Event::LayerDied),
            "gatekeeper" => Some(Event::GatekeeperDied),
            "client" => Some(Event::ClientDied),
            _ => None,
        };
        let pds = self.system.plan.pds.iter().enumerate();
        pds.filter_map(move |(number, pd)| Some((number, event(&pd.program)?)))
    }

    /// Ends a PD's life between two of its steps: it does nothing more, and its private state is gone. Its device lives on.
    pub fn kill(&mut self, pd: usize) {
        self.domains[pd].pd = None;
        self.domains[pd].deadline = None;
    }

    /// Begins the next life of a PD that was killed.
    ///
    /// # Errors
    /// Why it can't start.
    pub fn restart(&mut self, pd: usize) -> Result<(), InitError> {
        self.domains[pd].world = self.world(pd);
        // Whoever was told nothing before is told everything now.
        self.common.borrow_mut().pending[pd] = u64::MAX;
        self.start(pd)
    }

    /// Runs until nothing has anything to do.
    ///
    /// # Panics
    /// Where that never comes.
    pub fn run(mut self) -> Outcome {
        while self.step() {
            assert!(self.steps < STEPS_MAX, "the system never comes to rest");
        }
        let common = self.common.take();
        let (steps, notified) = (self.steps, common.notified);
        Outcome { verdicts: common.verdicts, lines: common.lines, steps, notified, now: common.now }
    }

    /// Lets one PD or device that has something to do go on; `false` where nothing ever has.
    pub fn step(&mut self) -> bool {
        loop {
            let first = match self.step_now() {
                Ok(()) => return true,
                Err(first) => first,
            };
            let Some(first) = first else { return false };
            self.common.borrow_mut().now = first;
        }
    }

    /// Lets one PD or device that has something to do at this instant go on.
    ///
    /// # Errors
    /// None has: when the next one will; `None`: never.
    pub fn step_now(&mut self) -> Result<(), Option<u64>> {
        let ready = self.ready()?;
        self.steps += 1;
        self.common.borrow_mut().now += self.pace.step_ns;
        let next = ready[self.random.below(ready.len())];
        match next.checked_sub(self.domains.len()) {
            None => self.step_domain(next),
            Some(device) => self.devices[device].step(self.common.borrow().now),
        }
        self.interrupt();
        Ok(())
    }

    /// Takes the power away: what clients and PDs knew is gone, what disks held only in their caches in part.
    pub fn lose_power(mut self) -> Common {
        self.devices.iter_mut().for_each(SimDevice::lose_power);
        let mut common = self.common.take();
        common.lines.clear();
        common.verdicts.clear();
        common.flights.clear();
        common.journal.power_lost();
        common
    }

    /// PDs, then devices, that have something to do now; where none has, when that changes.
    fn ready(&self) -> Result<Vec<usize>, Option<u64>> {
        let common = self.common.borrow();
        let mut ready = Vec::with_capacity(8);
        let mut first = u64::MAX;
        for (index, domain) in self.domains.iter().enumerate().filter(|(_, domain)| domain.pd.is_some()) {
            let back = common.now < domain.asked_at;
            let deadline = domain.deadline.map_or(u64::MAX, |at| if back { 0 } else { at.0 });
            let called = domain.manager && common.operator.calls();
            if called || common.pending[index] != 0 || deadline <= common.now {
                ready.push(index);
            }
            first = first.min(deadline);
        }
        for (index, device) in self.devices.iter().enumerate() {
            let next = device.next().unwrap_or(u64::MAX);
            if next <= common.now {
                ready.push(self.domains.len() + index);
            }
            first = first.min(next);
        }
        if ready.is_empty() { Err(Some(first).filter(|at| *at != u64::MAX)) } else { Ok(ready) }
    }

    fn step_domain(&mut self, index: usize) {
        let from = std::mem::take(&mut self.common.borrow_mut().pending[index]);
        let domain = &mut self.domains[index];
        domain.asked_at = self.common.borrow().now;
        if let Some(pd) = &mut domain.pd {
            domain.deadline = pd.step(ChannelSet(from), &mut domain.world);
        }
    }

    /// Rings the drivers whose devices have interrupted them.
    fn interrupt(&mut self) {
        for (index, domain) in self.domains.iter().enumerate() {
            if let Some((device, channel)) = domain.device
                && self.devices[device].take_interrupt()
            {
                self.common.borrow_mut().pending[index] |= 1 << channel;
            }
        }
    }
}
