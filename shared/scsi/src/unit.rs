// SPDX-License-Identifier: MIT
//! A logical unit: what it says of itself, asked one command at a time, and what that means for requests.
use crate::Place;
use crate::wire::sense::Sense;
use crate::wire::vpd::{BlockLimits, Designator, Provisioning};
use crate::wire::{capacity::Capacity, inquiry::Inquiry, mode, mode::Mode};
use orion_block::{BlockSize, Error, Instant, Limits};
use orion_driver::Health;

mod facts;
mod steps;

pub use steps::{Ask, Step};

/// How zeroes are written: each way is tried until the unit says that it has no such command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Zeroes {
    /// WRITE SAME (16) of a block of zeroes.
    #[default]
    Same,
    /// WRITE of as many zeroes as there is memory for.
    Plain,
}

/// What each request needs to know of its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits {
    /// Blocks; 0 while it serves nobody.
    pub capacity: u64,
    /// Most blocks of a request.
    pub max_blocks: u32,
    /// Binary logarithm of a block's bytes.
    pub shift: u8,
    /// 16-byte commands are there.
    pub long: bool,
    /// Nothing can be written.
    pub read_only: bool,
    /// Writes can force unit access.
    pub fua: bool,
    /// Completed writes may be lost until a SYNCHRONIZE CACHE.
    pub volatile: bool,
    /// Most blocks of an UNMAP; 0 where there is none.
    pub unmap: u32,
    /// How zeroes are written.
    pub zeroes: Zeroes,
    /// Most blocks of a WRITE SAME.
    pub same: u32,
}

/// What was gathered of a unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Facts {
    inquiry: Inquiry,
    designator: Option<Designator>,
    limits: Option<BlockLimits>,
    provisioning: Option<Provisioning>,
    capacity: Capacity,
    long: bool,
    mode: Mode,
    /// Whether SYNCHRONIZE CACHE is there, where the unit does not say whether it has a cache.
    synchronizes: bool,
    /// Whether it was told to start.
    started: bool,
    /// Which pages it lists, by the order of [`steps::Step`].
    pages: u8,
    logs: u8,
}

/// Why a unit serves nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Absent(pub &'static str);

/// A logical unit.
#[derive(Clone, Copy, Debug)]
pub struct LogicalUnit {
    /// What each request needs.
    pub traits: Traits,
    /// Where it is.
    pub place: Place,
    /// Whether it serves requests.
    pub serves: bool,
    /// What was cached was lost: the next flush must say so.
    pub lost: bool,
    step: Step,
    /// Of the command of this step: sent so often, and not again before.
    tries: u8,
    due: Instant,
    /// When it must be ready.
    patience: Instant,
    facts: Facts,
    /// What was found when it was last usable.
    known: Option<Facts>,
    limits: Limits,
    health: Health,
    /// What is being gathered of its health.
    fresh: Health,
    read_only: bool,
    /// Whether its write cache is to be on or off; how often that was asked for in vain; and the list with which it is.
    write_cache: Option<bool>,
    turned: u8,
    list: ([u8; mode::LIST], u8),
    bytes_max: u32,
    /// Something changed while it was being asked.
    stale: bool,
}

impl LogicalUnit {
    /// A unit that nothing is known of, whose write cache is to be turned on or off, or left as it is. No request may have more
    /// bytes than `bytes_max`.
    pub fn new(place: Place, read_only: bool, write_cache: Option<bool>, bytes_max: u32) -> Self {
        Self {
            traits: Traits::default(),
            place,
            serves: false,
            lost: false,
            step: Step::Inquiry,
            tries: 0,
            due: Instant::default(),
            patience: Instant(u64::MAX),
            facts: Facts::default(),
            known: None,
            limits: Limits::default(),
            health: Health::default(),
            fresh: Health::default(),
            read_only,
            write_cache,
            turned: 0,
            list: ([0; mode::LIST], 0),
            bytes_max,
            stale: false,
        }
    }

    /// A unit that is not there.
    pub fn absent(mut self, why: &'static str) -> Self {
        self.step = Step::Gone(Absent(why));
        self
    }

    /// What it offers; `None` where it serves nobody.
    pub fn limits(&self) -> Option<Limits> {
        self.serves.then_some(self.limits)
    }

    /// What it said of its health.
    pub fn health(&self) -> &Health {
        &self.health
    }

    /// Whether it was told apart: it serves, or it is known why not.
    pub fn is_settled(&self) -> bool {
        self.serves || matches!(self.step, Step::Gone(_))
    }

    /// Why it is not there.
    pub fn gone(&self) -> Option<&'static str> {
        match self.step {
            Step::Gone(Absent(why)) => Some(why),
            _ => None,
        }
    }

    /// Who it is.
    pub fn inquiry(&self) -> Inquiry {
        self.known.unwrap_or(self.facts).inquiry
    }

    /// Asks it everything anew; it serves meanwhile.
    pub fn examine(&mut self, now: Instant, patience_ns: u64) {
        match self.step {
            Step::Up | Step::Gone(_) => self.begin(now, patience_ns),
            Step::Inquiry if self.tries == 0 => {}
            _ => self.stale = true,
        }
    }

    /// Begins with the first question.
    pub fn begin(&mut self, now: Instant, patience_ns: u64) {
        self.patience = now.after(patience_ns);
        self.facts = Facts::default();
        self.stale = false;
        self.go(Step::Inquiry);
    }

    /// It is asked for the first time, and must be ready by then.
    pub fn wait_until(&mut self, patience: Instant) {
        if self.patience == Instant(u64::MAX) {
            self.patience = patience;
        }
    }

    /// It left: it serves nobody until it is examined again.
    pub fn leave(&mut self, why: &'static str) {
        self.serves = false;
        self.traits = Traits::default();
        self.go(Step::Gone(Absent(why)));
    }

    /// The list of the command that it is asked.
    pub fn list(&self) -> &[u8] {
        let (bytes, len) = &self.list;
        bytes.get(..usize::from(*len)).unwrap_or_default()
    }

    /// It expects to fail.
    pub fn warn(&mut self) {
        self.health.failing = Some(true);
    }

    /// Begins to ask for its health, if it is not asking anything.
    pub fn refresh(&mut self) {
        if self.step == Step::Up && self.serves {
            self.fresh = Health { failing: None, temperature: None, media_errors: None, ..self.health };
            self.go(Step::Logs);
        }
    }

    fn go(&mut self, step: Step) {
        (self.step, self.tries, self.due) = (step, 0, Instant::default());
    }

    /// What of a partial failure is certain: blocks before the one that the sense data name.
    pub fn good_before(sense: Option<Sense>, first: u64, blocks: u32) -> u32 {
        let bad = sense.filter(|sense| sense.key == crate::wire::sense::key::MEDIUM_ERROR);
        let at = bad.and_then(|sense| sense.information).and_then(|bad| bad.checked_sub(first));
        at.and_then(|good| u32::try_from(good).ok()).filter(|good| *good < blocks).unwrap_or(0)
    }

    /// Whether the unit has no such command for zeroes; the next way is then used.
    pub fn downgrade(&mut self, error: Error) -> bool {
        let lower = error == Error::Unsupported && self.traits.zeroes == Zeroes::Same;
        if lower {
            self.traits.zeroes = Zeroes::Plain;
        }
        lower
    }

    /// A block.
    pub fn block(&self) -> BlockSize {
        self.limits.block
    }
}
