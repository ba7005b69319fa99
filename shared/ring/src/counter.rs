// SPDX-License-Identifier: MIT
//! Free-running counters, and the slot of a queue that each value names.
//!
//! sDDF's head and tail are `u32` that count entries for ever, and an entry lies in slot `counter % capacity`. Where the
//! capacity does not divide 2^32, the slots jump when the counter wraps, and two entries that are both in the queue
//! can then name the same slot. Two remedies ([`Wrap`]):
//! - both ends are ours: the counter wraps earlier, at the largest multiple of the capacity, so nothing jumps;
//! - the peer is plain sDDF: we jump as it does, and whoever produces here keeps no more than 2^32 mod capacity entries
//!   in the queue while it holds counters of both sides of the wrap ([`Shape::fits`]), so that no two share a slot.

/// Where counters wrap, which tells also what the peer is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    /// At 2^32, as sDDF's do: the peer is plain sDDF, and there is no client's page.
    Plain,
    /// At the largest multiple of the capacity that is at most 2^32: the peer is ours.
    Seamless,
}

/// Capacity of a queue, and how its counters go round.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    capacity: u32,
    /// The last value of a counter; 0 follows.
    last: u32,
    /// 2^32 - 1 - last.
    gap: u32,
    /// Entries that are safe while the queue straddles the wrap.
    straddle: u32,
    /// The slot before which the next position is simply the next; 0 where slots jump when counters wrap.
    edge: u32,
}

/// A counter of this side, with its slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Its value.
    pub count: u32,
    /// Always below the capacity.
    pub slot: u32,
}

impl Shape {
    /// The shape of a queue of `capacity` entries, at least 1.
    pub fn new(capacity: u32, wrap: Wrap) -> Self {
        let capacity = capacity.max(1);
        let remainder = (u32::MAX % capacity + 1) % capacity;
        let (gap, straddle) = match wrap {
            Wrap::Seamless => (remainder, capacity),
            Wrap::Plain if remainder == 0 => (0, capacity),
            Wrap::Plain => (0, remainder),
        };
        let edge = if straddle == capacity { capacity } else { 0 };
        Self { capacity, last: u32::MAX - gap, gap, straddle, edge }
    }

    /// Entries.
    #[inline]
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// Entries that fit wherever the counters stand.
    #[inline]
    pub fn always(&self) -> u32 {
        self.straddle
    }

    /// The cursor at a counter value; `None` for a value that no counter can have.
    pub fn cursor(&self, count: u32) -> Option<Cursor> {
        let slot = count % self.capacity;
        (count <= self.last).then_some(Cursor { count, slot })
    }

    /// The next position. A compare, not a division: this runs for every entry.
    #[inline]
    pub fn next(&self, at: Cursor) -> Cursor {
        let slot = at.slot + 1;
        if slot >= self.edge {
            return self.first(at);
        }
        // Where slots don't jump, counters wrap after the last slot only.
        Cursor { count: at.count.wrapping_add(1), slot }
    }

    /// The position after the last slot, or where slots may jump.
    #[cold]
    #[inline(never)]
    fn first(&self, at: Cursor) -> Cursor {
        let count = if at.count == self.last { 0 } else { at.count + 1 };
        let slot = if count == 0 || at.slot + 1 == self.capacity { 0 } else { at.slot + 1 };
        Cursor { count, slot }
    }

    /// The counter `entries` further on.
    #[inline]
    pub fn ahead(&self, count: u32, entries: u32) -> u32 {
        let left = self.last - count;
        if entries > left { entries - left - 1 } else { count + entries }
    }

    /// The position `entries` further on, at most the capacity. For [`Wrap::Seamless`] only.
    pub fn skip(&self, at: Cursor, entries: usize) -> Cursor {
        let entries = u32::try_from(entries).unwrap_or(0).min(self.capacity);
        let count = self.ahead(at.count, entries);
        let to_end = self.capacity - at.slot;
        let slot = if entries >= to_end { entries - to_end } else { at.slot + entries };
        Cursor { count, slot }
    }

    /// Entries from `from`, a counter of ours or one that was checked, to `to`; `None` if that is no counter or more
    /// than the capacity away, which is what a counter that runs backwards looks like.
    #[inline]
    pub fn distance(&self, from: u32, to: u32) -> Option<u32> {
        let ahead = to.wrapping_sub(from);
        let ahead = if to < from { ahead.wrapping_sub(self.gap) } else { ahead };
        (ahead <= self.capacity && to <= self.last).then_some(ahead)
    }

    /// Whether `entries` consecutive entries from counter `from` on can be in the queue together.
    #[inline]
    pub fn fits(&self, from: u32, entries: u32) -> bool {
        entries <= self.straddle
            || (entries <= self.capacity && from.checked_add(entries - 1).is_some_and(|last| last <= self.last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Capacities, both wraps, and a start a little before the wrap.
    fn shapes() -> impl Iterator<Item = (Shape, u32, Wrap)> {
        (1..=20u32)
            .chain([24, 32, 48, 64])
            .flat_map(|capacity| [Wrap::Plain, Wrap::Seamless].map(|wrap| (Shape::new(capacity, wrap), capacity, wrap)))
    }

    /// The cursors from `2 * capacity` before the wrap to as many after it.
    fn around(shape: &Shape, capacity: u32) -> Vec<Cursor> {
        let mut at = shape.cursor(shape.last - 2 * capacity + 1).unwrap();
        let mut all = Vec::new();
        for _ in 0..4 * capacity {
            all.push(at);
            at = shape.next(at);
        }
        all
    }

    #[test]
    fn slots_are_the_counter_modulo_the_capacity() {
        for (shape, capacity, wrap) in shapes() {
            let all = around(&shape, capacity);
            assert!(all.iter().all(|at| at.slot == at.count % capacity));
            assert_eq!(all[2 * capacity as usize].count, 0, "the wrap is where it is said to be");
            if wrap == Wrap::Seamless {
                assert!(all.windows(2).all(|pair| pair[1].slot == (pair[0].slot + 1) % capacity), "nothing jumps");
            }
        }
    }

    #[test]
    fn distance_counts_steps_and_nothing_else() {
        for (shape, capacity, _) in shapes() {
            let all = around(&shape, capacity);
            for (i, from) in all.iter().enumerate() {
                for (j, to) in all.iter().enumerate() {
                    let steps = j.checked_sub(i).and_then(|steps| u32::try_from(steps).ok());
                    let want = steps.filter(|steps| *steps <= capacity);
                    assert_eq!(shape.distance(from.count, to.count), want, "{shape:?} {from:?} {to:?}");
                }
                for no_counter in shape.last..u32::MAX {
                    assert_eq!(shape.distance(from.count, no_counter + 1), None);
                    assert_eq!(shape.cursor(no_counter + 1), None);
                }
            }
        }
    }

    #[test]
    fn what_fits_shares_no_slot() {
        for (shape, capacity, wrap) in shapes() {
            let all = around(&shape, capacity);
            for start in 0..2 * capacity as usize {
                for entries in 1..=capacity as usize + 1 {
                    let mut slots: Vec<u32> = all[start..start + entries].iter().map(|at| at.slot).collect();
                    slots.sort_unstable();
                    slots.dedup();
                    let fits = shape.fits(all[start].count, u32::try_from(entries).unwrap());
                    assert_eq!(fits, slots.len() == entries, "{shape:?} {start} {entries}");
                }
            }
            let power = capacity.is_power_of_two();
            assert_eq!(shape.always() == capacity, power || wrap == Wrap::Seamless);
            assert!(shape.always() >= 1);
        }
    }

    #[test]
    fn skipping_is_stepping() {
        for (shape, capacity, _) in shapes().filter(|(.., wrap)| *wrap == Wrap::Seamless) {
            let all = around(&shape, capacity);
            for start in 0..3 * capacity as usize {
                for entries in 0..=capacity as usize {
                    assert_eq!(
                        shape.skip(all[start], entries),
                        all.get(start + entries).copied().unwrap_or(all[start])
                    );
                }
            }
        }
    }
}
