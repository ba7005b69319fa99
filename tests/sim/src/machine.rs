// SPDX-License-Identifier: MIT
//! A plan, running: the scheduler picks one PD that has something to do, by the seed, until none has.
use crate::disk::Disk;
use crate::fused::Fused;
use crate::garbage::Garbage;
use crate::memory::Memory;
use crate::random::Random;
use crate::world::{Common, SimWorld};
use orion_demo::{Demo, Reader};
use orion_gatekeeper::GatekeeperPd;
use orion_gpt_pd::GptPd;
use orion_pd::{ChannelSet, Config, Instant, ProtectionDomain, Verdict};
use orion_system::plan::{Board, Plan};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A PD of any type.
trait Step {
    fn step(&mut self, from: ChannelSet, world: &mut SimWorld) -> Option<Instant>;
}

impl<P: ProtectionDomain<SimWorld>> Step for P {
    fn step(&mut self, from: ChannelSet, world: &mut SimWorld) -> Option<Instant> {
        self.notified(from, world)
    }
}

struct Domain {
    pd: Box<dyn Step>,
    world: SimWorld,
    deadline: Option<Instant>,
}

/// What a run came to.
#[derive(Debug)]
pub struct Outcome {
    /// What each PD reported of its job.
    pub verdicts: BTreeMap<String, Verdict>,
    /// What was printed.
    pub lines: Vec<String>,
    /// Steps of PDs.
    pub steps: u64,
    /// Notifications sent.
    pub notified: u64,
    /// The time at its end, in nanoseconds.
    pub now: u64,
}

/// A plan, running.
pub struct Machine {
    // In this order: the PDs go before the memory that they have windows on.
    domains: Vec<Domain>,
    common: Rc<RefCell<Common>>,
    random: Random,
    _memory: Memory,
}

/// A PD on which a run ends when nothing else does: far more than any test needs.
const STEPS_MAX: u64 = 20_000_000;

impl Machine {
    /// The system that `xml` describes, scheduled by `seed`; `settings` are given to every client.
    pub fn new(xml: &str, seed: u64, settings: &[(&str, u64)]) -> Self {
        Self::with_media(xml, seed, settings, &[])
    }

    /// The same with disks, by name, that begin with these bytes.
    pub fn with_media(xml: &str, seed: u64, settings: &[(&str, u64)], media: &[(&str, &[u8])]) -> Self {
        let client_settings = settings.iter().map(|(k, v)| ((*k).to_string(), *v)).collect();
        let options = orion_system::Options { client_settings, ..orion_system::Options::default() };
        let plan = orion_system::plan(xml, Board::Host, &options).expect("the test's system is in order");
        let memory = Memory::new(&plan);
        let media = media.iter().map(|(disk, bytes)| ((*disk).to_string(), bytes.to_vec())).collect();
        let common = Common { pending: vec![0; plan.pds.len()], media, ..Common::default() };
        let common = Rc::new(RefCell::new(common));
        let worlds: Vec<_> = (0..plan.pds.len()).map(|pd| world(&plan, pd, &memory, &common)).collect();
        let programs = plan.pds.iter().map(|p| p.program.clone());
        let domains = worlds.into_iter().zip(programs).map(|(world, program)| start(&program, world)).collect();
        Self { domains, common, random: Random::new(seed), _memory: memory }
    }

    /// Runs until no PD has anything to do, or every client has reported.
    pub fn run(mut self) -> Outcome {
        let mut steps = 0;
        while let Some(ready) = self.ready() {
            steps += 1;
            assert!(steps < STEPS_MAX, "the system never comes to rest");
            let next = ready[self.random.below(ready.len())];
            self.step(next);
        }
        let common = self.common.take();
        Outcome { verdicts: common.verdicts, lines: common.lines, steps, notified: common.notified, now: common.now }
    }

    fn ready(&self) -> Option<Vec<usize>> {
        let mut common = self.common.borrow_mut();
        loop {
            let due = |d: &Domain| d.deadline.is_some_and(|at| at.0 <= common.now);
            let ready: Vec<_> =
                (0..self.domains.len()).filter(|&i| common.pending[i] != 0 || due(&self.domains[i])).collect();
            if !ready.is_empty() {
                return Some(ready);
            }
            common.now = self.domains.iter().filter_map(|d| d.deadline).min()?.0;
        }
    }

    fn step(&mut self, index: usize) {
        let from = std::mem::take(&mut self.common.borrow_mut().pending[index]);
        let domain = &mut self.domains[index];
        domain.deadline = domain.pd.step(ChannelSet(from), &mut domain.world);
    }
}

fn world(plan: &Plan, index: usize, memory: &Memory, common: &Rc<RefCell<Common>>) -> SimWorld {
    let pd = &plan.pds[index];
    let number = |name: &str| plan.pds.iter().position(|p| p.name == name).expect("channels join PDs of the plan");
    let ends = plan.channels.iter().flat_map(|c| [(&c.a, &c.b), (&c.b, &c.a)]);
    let peers = ends.filter(|(here, _)| here.0 == pd.name).map(|(here, there)| (here.1, (number(&there.0), there.1)));
    // A PD's configuration lives as long as the program, as it does where it is mapped.
    let blob: &'static [u8] = Vec::leak(pd.config.clone());
    SimWorld {
        config: Config::parse(blob).expect("a derived configuration parses"),
        memory: memory.clone(),
        maps: pd.maps.iter().map(|m| (m.vaddr, (m.region.clone(), false))).collect(),
        peers: peers.collect(),
        common: common.clone(),
    }
}

fn start(program: &str, mut world: SimWorld) -> Domain {
    let pd: Box<dyn Step> = match program {
        "gatekeeper" => Box::new(init::<GatekeeperPd>(&mut world)),
        "virtio-blk" => Box::new(init::<Disk>(&mut world)),
        "virtio-blk-gpt" => Box::new(init::<Fused>(&mut world)),
        "gpt" => Box::new(init::<GptPd>(&mut world)),
        "demo" => Box::new(init::<Demo>(&mut world)),
        "reader" => Box::new(init::<Reader>(&mut world)),
        "garbage" => Box::new(init::<Garbage>(&mut world)),
        other => panic!("the simulated world has no program {other}"),
    };
    Domain { pd, world, deadline: Some(Instant(0)) }
}

fn init<P: ProtectionDomain<SimWorld>>(world: &mut SimWorld) -> P {
    P::init(world).unwrap_or_else(|e| panic!("{}: {e}", world.config.name))
}
