// SPDX-License-Identifier: MIT
//! Fault injection: a supervisor that also ends its children, at any of their instructions. It takes the supervisor's
//! place where `orion qemu --torture` asks for it, and is in no other image.
//!
//! Settings: `torture` (children are ended so many times), `torture_gap_ms` (between two ends, at most), `torture_seed`;
//! or `torture_always` (the number of a child each life of which is ended at once), or `torture_self` (after so many ms).
use crate::children;
use crate::end::End;
use crate::world::Sel4World;
use orion_pd::supervision::State;
use orion_pd::{ChannelSet, Config, InitError, Instant, ProtectionDomain, World};
use orion_supervisor::Supervisor;

const MS: u64 = 1_000_000;
/// Who ends last prints that it does: the console is let live.
const SPARED: &str = "serial";

/// The supervisor, and what it does to its children beside.
#[derive(Debug)]
pub struct Torture {
    supervisor: Supervisor,
    config: Config<'static>,
    /// Ends still to come.
    left: u64,
    gap: u64,
    next: Instant,
    random: u64,
    /// A child that is ended once more when it begins again, and how often it had been restarted.
    twice: Option<(u8, u32)>,
    /// One that hangs: nobody else is ended until that was found.
    hangs: Option<(u8, u32)>,
    always: Option<u8>,
    own_end: Option<Instant>,
}

/// Ways to end.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// A jump to where nothing is mapped.
    Fault,
    /// An endless loop, at the child's priority.
    Spin,
    /// It just runs no more, and nobody is told.
    Stop,
    /// A fault, and another one at the next life's first instruction.
    Twice,
}

impl ProtectionDomain<Sel4World> for Torture {
    fn init(world: &mut Sel4World) -> Result<Self, InitError> {
        let (config, now) = (world.config(), world.now());
        let get = |key, default| config.setting(key).unwrap_or(default);
        Ok(Self {
            supervisor: Supervisor::init(world)?,
            config,
            left: get("torture", 0),
            gap: get("torture_gap_ms", 20).max(1) * MS,
            next: now,
            random: get("torture_seed", 1),
            twice: None,
            hangs: None,
            always: config.setting("torture_always").and_then(|child| u8::try_from(child).ok()),
            own_end: config.setting("torture_self").map(|ms| now.after(ms.saturating_mul(MS))),
        })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut Sel4World) -> Option<Instant> {
        let due = self.supervisor.notified(from, world);
        let now = world.now();
        if self.own_end.is_some_and(|end| end <= now) {
            End::Panic.now()
        }
        if let Some(child) = self.always.filter(|child| self.runs(*child)) {
            children::jump(child, children::NOWHERE);
        }
        if let Some((child, _)) = self.twice.filter(|(child, before)| self.begun_since(*child, *before)) {
            self.twice = None;
            children::jump(child, children::NOWHERE);
        }
        self.hangs = self.hangs.filter(|(child, before)| !self.begun_since(*child, *before));
        if self.left > 0 && self.hangs.is_none() && self.next <= now {
            self.next = now.after(self.random() % self.gap);
            self.end_one(world);
        }
        let next = (self.left > 0 && self.hangs.is_none()).then_some(self.next);
        [due, next, self.own_end].into_iter().flatten().min()
    }
}

impl Torture {
    fn runs(&self, child: u8) -> bool {
        self.supervisor.life(child).is_some_and(|life| life.state == State::Runs)
    }

    /// Whether `child` runs, and was restarted more than `before` times.
    fn begun_since(&self, child: u8, before: u32) -> bool {
        self.supervisor.life(child).is_some_and(|life| life.state == State::Runs && life.restarts > before)
    }

    /// The next number of splitmix64.
    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn end_one(&mut self, world: &mut Sel4World) {
        let number = self.random() % self.config.children.len().max(1) as u64;
        let Ok(child) = u8::try_from(number) else { return };
        let record = self.config.children.get(usize::from(child)).filter(|record| record.pd.as_str() != SPARED);
        // Those that are down already are left alone until they are up again.
        if record.is_none() || !self.runs(child) || self.twice.is_some() {
            return;
        }
        let before = self.supervisor.life(child).map_or(0, |life| life.restarts);
        match self.way() {
            Way::Fault => _ = children::jump(child, children::NOWHERE),
            Way::Spin => {
                children::jump(child, crate::restart::SPIN);
                self.hangs = Some((child, before));
            }
            Way::Stop => {
                children::stop(child);
                self.hangs = Some((child, before));
            }
            Way::Twice => {
                children::jump(child, children::NOWHERE);
                self.twice = Some((child, before));
            }
        }
        self.left -= 1;
        if self.left == 0 {
            world.print(format_args!("torture: the last end was injected"));
        }
    }

    fn way(&mut self) -> Way {
        match self.random() % 6 {
            0 => Way::Spin,
            1 => Way::Stop,
            2 => Way::Twice,
            _ => Way::Fault,
        }
    }
}
