// SPDX-License-Identifier: MIT
//! PDs that die between any two of their steps, and begin again some steps later.
use crate::events::Event;
use crate::machine::Machine;
use crate::random::Random;

/// Steps between two deaths at most, and between a death and the next life.
const APART: usize = 120;
const AWAY: usize = 60;

/// Who dies when.
#[derive(Debug)]
pub struct Deaths {
    random: Random,
    left: u32,
    /// Who does not die.
    pub spared: Vec<usize>,
    /// Who died last.
    pub last: Option<usize>,
    /// The step after which the next one dies.
    next: u64,
    /// Who is dead, and the step after which it begins again.
    dead: Vec<(usize, u64)>,
}

impl Deaths {
    /// So many, of any PD of the system that is neither plain nor hostile.
    pub fn new(count: u32, seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0xdead_dead_dead_dead);
        let next = random.below(APART) as u64;
        Self { random, left: count, spared: Vec::new(), last: None, next, dead: Vec::new() }
    }

    /// Lets those die, and those begin again, whose time has come; all that are dead begin again where everything else is at
    /// rest. `None`: a PD could not begin again; its device has left, and somebody would have to say that it is given up.
    pub fn step(&mut self, machine: &mut Machine, rest: bool) -> Option<()> {
        let steps = machine.steps;
        let (now, later): (Vec<_>, Vec<_>) = self.dead.drain(..).partition(|(_, at)| rest || *at <= steps);
        self.dead = later;
        for (pd, _) in now {
            machine.restart(pd).ok()?;
        }
        if self.left > 0 && steps >= self.next {
            self.left -= 1;
            self.next = steps + 1 + self.random.below(APART) as u64;
            self.kill(machine);
        }
        Some(())
    }

    /// Whether any has died.
    pub fn happened(&self) -> bool {
        self.last.is_some()
    }

    /// Whether some are dead.
    pub fn any(&self) -> bool {
        !self.dead.is_empty()
    }

    fn kill(&mut self, machine: &mut Machine) {
        let alive =
            |pd: &(usize, Event)| !self.dead.iter().any(|(dead, _)| *dead == pd.0) && !self.spared.contains(&pd.0);
        let mortals: Vec<_> = machine.mortals().filter(alive).collect();
        let Some((pd, event)) = mortals.get(self.random.below(mortals.len().max(1))).copied() else { return };
        machine.kill(pd);
        self.last = Some(pd);
        let journal = &mut machine.common.borrow_mut().journal;
        journal.events.note(event);
        // What a client had asked nobody asks again.
        if event != Event::ClientDied {
            journal.repeats();
        }
        self.dead.push((pd, machine.steps + self.random.below(AWAY) as u64));
    }
}
