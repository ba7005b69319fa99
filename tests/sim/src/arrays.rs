// SPDX-License-Identifier: MIT
//! Worlds with arrays: members die, wear out and rot up to the level's limit while clients work, power is lost, and members are
//! rebuilt. No client sees an error, and nothing that was promised is lost.
//!
//! At any time only some members, the *weak* ones, have faults: as many as the level bears. Others become weak once the array is
//! whole again. What a level does not bear is not asked of it: an array without a log whose parity may be wrong since power was
//! lost loses nobody until it is in sync.
mod beyond;
mod kinds;
mod life;
mod media;
mod rot;

use crate::client::Job;
use crate::disk::{DiskShape, SimDisk};
use crate::events::{Event, Events};
use crate::faults::FaultSet;
use crate::machine::{Machine, Pace};
use crate::random::Random;
use crate::run::Ran;
use crate::world::Common;
pub use beyond::run_beyond;
use kinds::{CLIENTS, Group, Kind, Log, SECTOR};
pub use kinds::{KINDS, named};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

/// A world with arrays: its line is its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArrayCase {
    /// Of everything random.
    pub seed: u64,
    /// Which of the systems.
    pub kind: usize,
    /// How often power is lost.
    pub losses: u32,
}

impl ArrayCase {
    /// The world of a seed.
    pub fn of(seed: u64) -> Self {
        Self { seed, kind: seed as usize % KINDS, losses: 12 }
    }
}

impl std::fmt::Display for ArrayCase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{},{}", kinds::kind(self.kind).name, self.seed, self.losses)
    }
}

impl std::str::FromStr for ArrayCase {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is not KIND,SEED,LOSSES, as a failing run prints it");
        let fields: Vec<&str> = text.split(',').collect();
        let [kind, seed, losses] = fields[..] else { return Err(wrong()) };
        let number = |text: &str| text.parse().map_err(|_| wrong());
        Ok(Self { kind: named(kind).ok_or_else(wrong)?, seed: number(seed)?, losses: number(losses)? as u32 })
    }
}

/// A world.
pub(crate) struct World {
    kind: Rc<Kind>,
    random: Random,
    disks: Vec<Rc<RefCell<SimDisk>>>,
    common: Option<Common>,
    /// The weak disks, all of a group at a time.
    weak: Vec<usize>,
    /// No client may see an error.
    strict: bool,
    /// Disks that are not there.
    away: BTreeSet<usize>,
    /// What became of it, for who looks for what is wrong.
    story: Vec<String>,
    ran: Ran,
}

/// Runs a world to its end, or to what is wrong first.
///
/// # Errors
/// What is wrong.
pub fn run_arrays(case: &ArrayCase) -> Result<Ran, String> {
    let mut world = World::new(case);
    for life in 0..=case.losses {
        world.story(|| format!("life {life}"));
        let lived = world.between().and_then(|()| world.live(life == case.losses));
        lived.map_err(|why| format!("{case}: {why}\n{}", world.story.join("\n")))?;
    }
    world.media_hold_together().map_err(|why| format!("{case}: {why}\n{}", world.story.join("\n")))?;
    Ok(world.ends())
}

impl World {
    pub(crate) fn new(case: &ArrayCase) -> Self {
        let kind = kinds::kind(case.kind);
        let mut random = Random::new(case.seed);
        let disk = |image: &Vec<u8>| {
            let blocks = image.len() / SECTOR;
            let shape = DiskShape { block: SECTOR, blocks, cache: true, faults: FaultSet::default() };
            let mut disk = SimDisk::new(shape, image, random.number());
            disk.guard(kind.data);
            Rc::new(RefCell::new(disk))
        };
        let disks = kind.images.iter().map(disk).collect();
        let (weak, away, story, ran) = (Vec::new(), BTreeSet::new(), Vec::new(), Ran::default());
        Self { kind, random, disks, common: Some(Common::default()), weak, strict: true, away, story, ran }
    }

    fn story(&mut self, what: impl FnOnce() -> String) {
        self.story.push(what());
    }

    /// Gives it power; clients ask for so much.
    fn boot(&mut self, requests: u32, depth: usize) -> Machine {
        let mut common = self.common.take().expect("a world without power");
        let reads = requests > 0 || depth > 0;
        common.jobs = CLIENTS
            .iter()
            .enumerate()
            .map(|(number, (name, ..))| {
                let parts = if reads { kinds::parts(number) } else { Vec::new() };
                let seed = self.random.number();
                let depth = depth.max(1);
                let job = Job {
                    parts,
                    requests,
                    depth,
                    strict: self.strict,
                    through: false,
                    zeroes: true,
                    discards: false,
                    seed,
                };
                ((*name).to_string(), job)
            })
            .collect();
        common.operator = Default::default();
        common.journal.copies = self.kind.groups.iter().any(|group| matches!(group.level, 1 | 10));
        let pace = Pace { step_ns: 200, device_ns: 20_000 };
        let mut machine = Machine::boot(&self.kind.system, &self.disks, common, pace, self.random.number());
        for disk in &self.away {
            let driver = self.driver(&machine, *disk);
            machine.kill(driver);
        }
        machine
    }

    /// The PD that drives a disk.
    fn driver(&self, machine: &Machine, disk: usize) -> usize {
        let name = format!("d{disk:02}");
        let own = |pd: &orion_system::plan::Pd| pd.disk.as_ref() == Some(&name);
        machine.system.plan.pds.iter().position(own).expect("each disk has a driver")
    }

    /// Takes the power away.
    fn lose_power(&mut self, machine: Machine) {
        self.ran.steps += machine.steps;
        let mut common = machine.lose_power();
        common.journal.events.note(Event::PowerLoss);
        self.common = Some(common);
    }

    fn ends(mut self) -> Ran {
        let common = self.common.take().expect("a world without power");
        let mut events = Events::default();
        self.disks.iter().for_each(|disk| events.add(&disk.borrow().events));
        events.add(&common.journal.events);
        self.ran.events = events;
        self.ran.ns = common.now;
        self.ran
    }
}

/// Whether some kind of log makes parity right after a loss of power.
fn logs(group: &Group) -> bool {
    group.log != Log::Nothing
}
