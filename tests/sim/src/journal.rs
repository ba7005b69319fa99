// SPDX-License-Identifier: MIT
//! What all clients of a world did to the blocks of all disks, and whether what they found is legal.
use crate::events::{Event, Events};
use crate::history::{Ended, History, Moment, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Content of a block that names its value: the value, then what follows from value and block.
pub fn content(value: Value, block: u64, bytes: &mut [u8]) {
    if value == 0 {
        return bytes.fill(0);
    }
    let mut word = value;
    for chunk in bytes.chunks_exact_mut(8) {
        chunk.copy_from_slice(&word.to_le_bytes());
        word = (word ^ block.wrapping_mul(0x9e37_79b9_7f4a_7c15)).rotate_left(23).wrapping_add(value);
    }
}

/// The value that some content of a block names; `None` where it is not the whole content of one.
pub fn value(block: u64, bytes: &[u8]) -> Option<Value> {
    let value = u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?);
    let mut want = vec![0; bytes.len()];
    content(value, block, &mut want);
    (want == bytes).then_some(value)
}

/// A block: its disk and its number there.
pub type Place = (usize, u64);

/// What all clients did and found.
#[derive(Debug, Default)]
pub struct Journal {
    blocks: BTreeMap<Place, History>,
    /// Written, and not known to be durable: disk, block, value.
    loose: BTreeMap<usize, Vec<(u64, Value, Moment)>>,
    /// When each read in flight began.
    reads: BTreeSet<Moment>,
    /// Operations in flight on each block, to count overlaps.
    open: BTreeMap<Place, u32>,
    clock: Moment,
    values: Value,
    /// Blocks have several copies.
    pub copies: bool,
    /// What was wrong first.
    pub violation: Option<String>,
    /// What happened.
    pub events: Events,
}

impl Journal {
    /// The next moment.
    pub fn now(&mut self) -> Moment {
        self.clock += 1;
        self.clock
    }

    /// A value that nobody has.
    pub fn fresh(&mut self) -> Value {
        self.values += 1;
        // So that no two values differ in few bits.
        self.values.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
    }

    /// Something is wrong. Only what is wrong first is kept.
    pub fn wrong(&mut self, what: impl FnOnce() -> String) {
        if self.violation.is_none() {
            self.violation = Some(what());
        }
    }

    fn block(&mut self, place: Place) -> &mut History {
        self.blocks.entry(place).or_default()
    }

    fn oldest(&self) -> Moment {
        self.reads.first().copied().unwrap_or(self.clock)
    }

    fn enter(&mut self, place: Place) {
        let open = self.open.entry(place).or_default();
        *open += 1;
        if *open > 1 {
            self.events.note(Event::Overlap);
        }
    }

    fn leave(&mut self, place: Place) {
        if let Some(open) = self.open.get_mut(&place) {
            *open = open.saturating_sub(1);
        }
    }

    /// Whether all of these blocks can be written with zeroes so that the reads of it are known as such.
    pub fn can_take_zeroes(&mut self, disk: usize, mut blocks: Range<u64>) -> bool {
        blocks.all(|block| self.block((disk, block)).can_take_zeroes())
    }

    /// A write begins.
    pub fn write_begins(&mut self, disk: usize, blocks: Range<u64>, value: Value) {
        let now = self.now();
        for block in blocks {
            self.enter((disk, block));
            self.block((disk, block)).write_begins(value, now);
            if self.copies {
                self.block((disk, block)).is_copied(value);
            }
        }
    }

    /// A write ends; of each block it is known how.
    pub fn write_ends(&mut self, disk: usize, blocks: Range<u64>, value: Value, how: impl Fn(u64) -> Ended) {
        let (now, oldest) = (self.now(), self.oldest());
        for block in blocks {
            self.leave((disk, block));
            let how = how(block);
            let result = self.block((disk, block)).write_ends(value, now, how, oldest);
            if let Err(what) = result {
                self.wrong(|| format!("disk {disk} block {block}: {what}"));
            }
            if how == (Ended::Done { durable: false }) {
                self.loose.entry(disk).or_default().push((block, value, now));
            }
        }
    }

    /// A read begins: its moment.
    pub fn read_begins(&mut self, disk: usize, blocks: Range<u64>) -> Moment {
        let now = self.now();
        self.reads.insert(now);
        blocks.for_each(|block| self.enter((disk, block)));
        now
    }

    /// A read ends; `found` gives the content of a block, where it was read.
    pub fn read_ends(
        &mut self,
        disk: usize,
        blocks: Range<u64>,
        begin: Moment,
        found: impl Fn(u64) -> Option<Vec<u8>>,
    ) {
        let now = self.now();
        self.reads.remove(&begin);
        for block in blocks {
            self.leave((disk, block));
            let Some(bytes) = found(block) else { continue };
            let history = self.block((disk, block));
            let event = if history.is_lost() { Event::RecoveryChecked } else { Event::ReadChecked };
            let wild = history.is_wild();
            let result = history.read(value(block, &bytes), begin, now);
            if !wild {
                self.events.note(event);
            }
            if let Err(what) = result {
                self.wrong(|| format!("disk {disk} block {block}: a read found {what}"));
            }
        }
    }

    /// A flush that began at `begin` has succeeded.
    pub fn flushed(&mut self, disk: usize, begin: Moment) {
        let oldest = self.oldest();
        let loose = self.loose.remove(&disk).unwrap_or_default();
        let (done, rest) = loose.into_iter().partition(|(.., ended)| *ended < begin);
        self.loose.insert(disk, rest);
        let done: Vec<(u64, Value, Moment)> = done;
        for (block, value, _) in done {
            self.block((disk, block)).flushed(value, begin, oldest);
        }
    }

    /// Nothing is known of a block any more.
    pub fn spoil(&mut self, disk: usize, block: u64) {
        let now = self.now();
        self.block((disk, block)).spoil(now);
    }

    /// A block could not be read: after a loss of power nothing is known of it then.
    pub fn unreadable(&mut self, disk: usize, block: u64) {
        if self.block((disk, block)).is_lost() {
            self.spoil(disk, block);
        }
    }

    /// A PD between clients and disks has died: what is in flight is asked again.
    pub fn repeats(&mut self) {
        self.blocks.values_mut().for_each(History::repeats);
    }

    /// What was not durable when power was lost is in doubt: nothing is known of it.
    pub fn doubt(&mut self) {
        let now = self.now();
        self.blocks.values_mut().filter(|history| history.is_open()).for_each(|history| history.spoil(now));
    }

    /// Power is lost.
    pub fn power_lost(&mut self) {
        let now = self.now();
        self.blocks.values_mut().for_each(|history| history.power_lost(now));
        (self.loose, self.reads, self.open) = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_names_its_value_and_its_block() {
        let mut bytes = vec![0; 512];
        for (value_of, block) in [(0, 3), (1, 0), (77, 12), (u64::MAX - 5, 1 << 40)] {
            content(value_of, block, &mut bytes);
            assert_eq!(value(block, &bytes), Some(value_of));
            assert!(value_of == 0 || value(block + 1, &bytes).is_none());
            for at in [0, 9, 255, 256, 511] {
                let mut other = bytes.clone();
                other[at] ^= 4;
                assert_eq!(value(block, &other), None, "{value_of} {at}");
            }
        }
    }
}
