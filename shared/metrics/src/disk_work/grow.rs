// SPDX-License-Identifier: MIT
//! What an array is to become.
use super::{Verb, Work};

/// What an array is to become, as [`Verb::ArrayGrow`] says it; what is `None` stays, or follows from the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grow {
    /// Members.
    pub disks: Option<u32>,
    /// Sectors of a chunk.
    pub chunk: Option<u32>,
    /// The layout, by its number.
    pub layout: Option<u32>,
    /// The level: 0 to 10.
    pub level: Option<u32>,
}

/// Nothing is 0, all else one more.
fn code(value: Option<u32>) -> u32 {
    value.map_or(0, |value| value.saturating_add(1))
}

/// The lower half of a word, and the upper one.
fn halves(word: u64) -> (Option<u32>, Option<u32>) {
    let half = |word: u64| u32::try_from(word & u64::from(u32::MAX)).ok().and_then(|half| half.checked_sub(1));
    (half(word), half(word >> 32))
}

impl Grow {
    /// As an order.
    pub fn work(self) -> Work {
        let first = u64::from(code(self.chunk)) | u64::from(code(self.layout)) << 32;
        Work { how: code(self.disks), first, count: code(self.level).into(), ..Work::new(Verb::ArrayGrow, 0) }
    }

    /// From an order.
    pub fn of(work: &Work) -> Self {
        let (chunk, layout) = halves(work.first);
        Self { disks: work.how.checked_sub(1), chunk, layout, level: halves(work.count).0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is ordered arrives, by way of the bytes of an order too; and any order is something.
        #[test]
        fn what_is_to_become_of_an_array_arrives(
            disks in prop::option::of(0..u32::MAX), chunk in prop::option::of(0..u32::MAX),
            layout in prop::option::of(0..u32::MAX), level in prop::option::of(0..u32::MAX),
            any: (u32, u64, u64),
        ) {
            let grow = Grow { disks, chunk, layout, level };
            prop_assert_eq!(Grow::of(&Work::parse(&grow.work().bytes()).unwrap()), grow);
            let work = Work { how: any.0, first: any.1, count: any.2, ..Work::new(Verb::ArrayGrow, 0) };
            prop_assert_eq!(Grow::of(&Grow::of(&work).work()), Grow::of(&work));
        }
    }
}
