// SPDX-License-Identifier: MIT
//! One member more is lost than the level bears: the array stops with what it knows, and writes nothing.
use super::kinds::{Group, Log};
use super::{ArrayCase, World};
use crate::machine::Machine;
use orion_metrics::{Verb, Work};

/// Steps after which a life that nothing ends is over.
const STEPS: u64 = 40_000;

/// Loses more than a level bears in the middle of work, then power, then has all come back.
///
/// # Errors
/// What is wrong: something was written without the members that are needed, or something that was promised is lost.
pub fn run_beyond(case: &ArrayCase) -> Result<(), String> {
    let mut world = World::new(case);
    world.strict = false;
    let at = world.random.below(world.kind.groups.len());
    let lost = world.too_many(at);
    world.story(|| format!("without {lost:?}"));
    world.beyond(at, &lost).map_err(|why| format!("{case}: {why}\n{}", world.story.join("\n")))
}

impl World {
    /// Members without which a group is not enough.
    fn too_many(&mut self, at: usize) -> Vec<usize> {
        let kind = self.kind.clone();
        let group = &kind.groups[at];
        let mut members: Vec<usize> = group.disks().take(group.members).collect();
        // Both of a pair.
        if group.level == 10 {
            return members.split_off(2 * self.random.below(2)).into_iter().take(2).collect();
        }
        (0..=group.limit()).map(|_| members.swap_remove(self.random.below(members.len()))).collect()
    }

    fn beyond(&mut self, at: usize, lost: &[usize]) -> Result<(), String> {
        let kind = self.kind.clone();
        let group = &kind.groups[at];
        let mut machine = self.boot(100, 4);
        let steps = 300 + self.random.below(4000) as u64;
        self.goes(&mut machine, steps)?;
        lost.iter().for_each(|disk| machine.devices[*disk].vanish());
        self.goes(&mut machine, STEPS)?;
        self.away.extend(lost);
        self.finish(machine);

        // The others alone: nothing is done to them, whatever anybody asks.
        let before = self.media(group, lost);
        let mut machine = self.boot(50, 4);
        for verb in [Verb::ArrayCheck, Verb::ArrayRepair, Verb::ArrayAdd] {
            let how = group.members as u32;
            self.goes(&mut machine, 2000)?;
            self.order(&mut machine, group, Work { how, first: 1, count: 1, ..Work::new(verb, 0) });
        }
        self.goes(&mut machine, STEPS)?;
        self.finish(machine);
        if self.media(group, lost) != before {
            return Err(format!("{} was written without {lost:?}", group.volume));
        }

        // All are there again: what was promised is there, or it is said that it cannot be known.
        self.away.clear();
        if group.log == Log::Ppl {
            self.common.iter_mut().for_each(|common| common.journal.doubt());
        }
        let mut machine = self.boot(30, 4);
        self.goes(&mut machine, STEPS)?;
        self.finish(machine);
        Ok(())
    }

    /// What lies on a group's disks but these.
    fn media(&self, group: &Group, without: &[usize]) -> Vec<Vec<u8>> {
        let others = group.all().filter(|disk| !without.contains(disk));
        others.map(|disk| self.disks[disk].borrow().durable().to_vec()).collect()
    }

    /// Lets it live for so many steps, or until everything is at rest.
    fn goes(&self, machine: &mut Machine, steps: u64) -> Result<(), String> {
        let end = machine.steps + steps;
        while machine.steps < end && machine.step() {
            let common = &mut *machine.common.borrow_mut();
            if let Some(what) = common.journal.violation.take() {
                return Err(format!("{what}\n{}", common.lines.join("\n")));
            }
        }
        Ok(())
    }

    fn finish(&mut self, machine: Machine) {
        let lines = machine.common.borrow().lines.join("\n    ");
        self.story(|| format!("a life\n    {lines}"));
        self.lose_power(machine);
    }
}
