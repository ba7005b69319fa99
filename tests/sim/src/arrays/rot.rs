// SPDX-License-Identifier: MIT
//! Content that changes by itself. Reads do not notice: what RAID promises is that a repair mends it where two parities or most
//! copies tell which block is wrong, if nobody has written there since, and that it is found, reported and left where nothing does.
use super::World;
use super::kinds::{Group, Log, SECTOR};
use orion_metrics::Verb;

/// Most repairs of one array that a loss of power ends.
const TRIES: u32 = 6;

/// Where what a disk held and what it holds differ first.
fn differs((disk, (before, after)): (&usize, (&Vec<u8>, &Vec<u8>))) -> Option<String> {
    let at = before.iter().zip(after).position(|(before, after)| before != after)?;
    Some(format!("block {} of the data of d{disk:02} is not what it was", at / SECTOR))
}

impl World {
    /// Where all arrays are whole, some members rot, and are repaired, or only found, while power is lost.
    pub(super) fn rots(&mut self) -> Result<(), String> {
        let kind = self.kind.clone();
        // Of what a write journal holds nobody knows yet what lies on the members.
        for group in kind.groups.iter().filter(|group| group.log != Log::Journal) {
            let members: Vec<usize> = self.members(group).into_iter().flatten().collect();
            let span = self.span(group).ok_or("an array without members")?;
            let before = self.data(span, &members);
            let rotten = self.rot(group, span, &members);
            if group.can_tell() {
                self.repaired(group)?;
                let after = self.data(span, &members);
                if let Some(what) = members.iter().zip(before.iter().zip(&after)).find_map(differs) {
                    return Err(format!("{}: {rotten:?} rotted and was repaired, but {what}", group.volume));
                }
            } else {
                let rotted = self.data(span, &members);
                self.found(group)?;
                let after = self.data(span, &members);
                if after != rotted {
                    return Err(format!("{} was written though nobody can know what is right", group.volume));
                }
                self.unrot(span, &members, &before);
            }
        }
        Ok(())
    }

    /// All is as it was before.
    fn unrot(&self, (first, _): (usize, usize), disks: &[usize], before: &[Vec<u8>]) {
        disks.iter().zip(before).for_each(|(disk, before)| self.disks[*disk].borrow_mut().put_back(first, before));
    }

    /// What these disks hold of their array's data.
    fn data(&self, (first, count): (usize, usize), disks: &[usize]) -> Vec<Vec<u8>> {
        let own = |disk: &usize| self.disks[*disk].borrow().durable()[first * SECTOR..][..count * SECTOR].to_vec();
        disks.iter().map(own).collect()
    }

    /// Some sectors of one member rot: disk, block, byte.
    fn rot(&mut self, group: &Group, (first, count): (usize, usize), members: &[usize]) -> Vec<(usize, usize, usize)> {
        let disk = members[self.random.below(members.len())];
        let mut rotten = Vec::new();
        for _ in 0..1 + self.random.below(6) {
            let most = [64, count][self.random.below(2)];
            let block = first + self.random.below(most.min(count));
            if rotten.iter().all(|(_, own, _)| *own != block) {
                let at = self.random.below(SECTOR);
                self.disks[disk].borrow_mut().flip(block, at);
                rotten.push((disk, block, at));
            }
        }
        self.story(|| format!("{} rots: {rotten:?}", group.volume));
        rotten
    }

    /// Repairs an array, and is interrupted.
    fn repaired(&mut self, group: &Group) -> Result<(), String> {
        for attempt in 0..TRIES {
            let last = attempt + 1 == TRIES;
            let mut machine = self.boot(0, 0);
            let loss = if last { u64::MAX } else { 100 + self.random.below(20_000) as u64 };
            let done = self.works(&mut machine, group, Verb::ArrayRepair, loss)?;
            let (steps, lines) = (machine.steps, machine.common.borrow().lines.join("\n    "));
            self.story(|| format!("  repaired until {loss}: {done:?} at {steps}\n    {lines}"));
            self.lose_power(machine);
            if done.is_some() {
                return Ok(());
            }
        }
        Err(format!("{} is never repaired", group.volume))
    }

    /// Has an array compared or repaired: something differs.
    fn found(&mut self, group: &Group) -> Result<(), String> {
        let verb = [Verb::ArrayCheck, Verb::ArrayRepair][self.random.below(2)];
        let mut machine = self.boot(0, 0);
        let differ = self.works(&mut machine, group, verb, u64::MAX)?;
        self.lose_power(machine);
        if differ == Some(0) { Err(format!("{}: nothing was found", group.volume)) } else { Ok(()) }
    }
}
