// SPDX-License-Identifier: MIT
//! Free-running counters, and the slot of a queue that each value names.
//!
//! sDDF's head and tail are `u32` that count entries for ever and wrap at 2^32, and an entry lies in slot `counter % capacity`.
//! Where the capacity does not divide 2^32, the slots jump when the counter wraps, and two entries that are both in the
//! queue can then name the same slot. Two remedies ([`Wrap`]):
//! - both ends are ours: of a capacity that is no power of two they use the largest power of two in it, so nothing jumps;
//! - the peer is plain sDDF: we jump as it does, and whoever produces here keeps no more than 2^32 mod capacity entries
//!   in the queue while it holds counters of both sides of the wrap ([`Shape::fits`]), so that no two share a slot.

/// How many of a queue's entries are used, which tells also what the peer is said to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    /// All: the peer is plain sDDF, and there is no client's page.
    Plain,
    /// A power of two: the peer is ours.
    Seamless,
}

impl Wrap {
    /// Entries that are used of `capacity`, at least 1.
    pub fn entries(self, capacity: u32) -> u32 {
        match (self, capacity) {
            (_, 0) => 1,
            (Self::Plain, _) => capacity,
            (Self::Seamless, _) => 1 << capacity.ilog2(),
        }
    }
}

/// Capacity of a queue, and how its counters go round.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    capacity: u32,
    /// Entries that are safe while the queue straddles the wrap.
    straddle: u32,
}

impl Shape {
    /// The shape of a queue of `capacity` entries, at least 1.
    pub fn new(capacity: u32, wrap: Wrap) -> Self {
        let capacity = wrap.entries(capacity);
        let jump = (u32::MAX % capacity + 1) % capacity;
        Self { capacity, straddle: if jump == 0 { capacity } else { jump } }
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

    /// Entries from `from`, a counter of ours or one that was checked, to `to`; `None` if that is more than the capacity
    /// away, which is what a counter that runs backwards looks like.
    #[inline]
    pub fn distance(&self, from: u32, to: u32) -> Option<u32> {
        let ahead = to.wrapping_sub(from);
        (ahead <= self.capacity).then_some(ahead)
    }

    /// Whether `entries` consecutive entries from counter `from` on can be in the queue together.
    #[inline]
    pub fn fits(&self, from: u32, entries: u32) -> bool {
        entries <= self.straddle || (entries <= self.capacity && from.checked_add(entries - 1).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Capacities and both wraps.
    fn shapes() -> impl Iterator<Item = (Shape, u32, Wrap)> {
        (1..=20u32)
            .chain([24, 32, 48, 64, 1000])
            .flat_map(|capacity| [Wrap::Plain, Wrap::Seamless].map(|wrap| (Shape::new(capacity, wrap), capacity, wrap)))
    }

    impl Shape {
        /// The slot of a counter value.
        fn slot(&self, count: u32) -> u32 {
            count % self.capacity
        }
    }

    /// The counters from `2 * capacity` before the wrap to as many after it.
    fn around(capacity: u32) -> Vec<u32> {
        (0..4 * capacity).map(|i| i.wrapping_sub(2 * capacity)).collect()
    }

    #[test]
    fn between_ours_nothing_jumps_and_at_least_half_is_used() {
        for (shape, capacity, _) in shapes().filter(|(.., wrap)| *wrap == Wrap::Seamless) {
            let slots: Vec<u32> = around(capacity).iter().map(|count| shape.slot(*count)).collect();
            assert!(slots.windows(2).all(|pair| pair[1] == (pair[0] + 1) % shape.capacity()), "{capacity}");
            assert!(shape.capacity() <= capacity && 2 * shape.capacity() > capacity);
        }
    }

    #[test]
    fn distance_counts_steps_and_nothing_else() {
        for (shape, capacity, _) in shapes().filter(|(_, capacity, _)| *capacity < 100) {
            let all = around(capacity);
            for (i, from) in all.iter().enumerate() {
                for (j, to) in all.iter().enumerate() {
                    let steps = j.checked_sub(i).and_then(|steps| u32::try_from(steps).ok());
                    let want = steps.filter(|steps| *steps <= shape.capacity());
                    assert_eq!(shape.distance(*from, *to), want, "{shape:?} {from:?} {to:?}");
                }
            }
        }
    }

    #[test]
    fn what_fits_shares_no_slot() {
        for (shape, capacity, wrap) in shapes().filter(|(_, capacity, _)| *capacity < 100) {
            let all = around(capacity);
            for start in 0..2 * capacity as usize {
                for entries in 1..=capacity as usize + 1 {
                    let mut slots: Vec<u32> =
                        all[start..start + entries].iter().map(|count| shape.slot(*count)).collect();
                    slots.sort_unstable();
                    slots.dedup();
                    let fits = shape.fits(all[start], u32::try_from(entries).unwrap());
                    assert_eq!(fits, slots.len() == entries, "{shape:?} {start} {entries}");
                }
            }
            assert_eq!(shape.always() == capacity, capacity.is_power_of_two(), "{wrap:?}");
            assert!(shape.always() >= 1);
        }
    }
}
