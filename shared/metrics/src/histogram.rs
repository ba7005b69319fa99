// SPDX-License-Identifier: MIT
//! A histogram of times with logarithmic buckets, each power of two in eight linear ones: a quantile is at most an eighth
//! too large.
use zerocopy::byteorder::little_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Nanoseconds that are told apart at the lower end.
pub const UNIT_NS: u64 = 32;
/// Buckets: up to 2^40 ns, eighteen minutes; what is longer counts in the last.
pub const BUCKETS: usize = 264;
/// Binary logarithm of the buckets of a power of two.
const FINE: u32 = 3;

/// How often something took how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(transparent)]
pub struct Histogram {
    buckets: [U32; BUCKETS],
}

/// The bucket of a time.
fn bucket(ns: u64) -> usize {
    let units = ns / UNIT_NS;
    let Some(octave) = units.checked_ilog2().and_then(|log| log.checked_sub(FINE)) else {
        return usize::try_from(units).unwrap_or(0);
    };
    // Between 8 and 15: the highest four bits.
    let index = u64::from(octave) * 8 + (units >> octave);
    usize::try_from(index).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The longest time that the bucket holds.
fn longest(bucket: usize) -> u64 {
    let bucket = u64::try_from(bucket).unwrap_or(0);
    let (octave, fine) = match bucket {
        0..8 => (0, bucket),
        _ => (bucket / 8 - 1, bucket % 8 + 8),
    };
    ((fine + 1) << octave) * UNIT_NS - 1
}

impl Histogram {
    /// Of nothing.
    pub const EMPTY: Self = Self { buckets: [U32::ZERO; BUCKETS] };

    /// Counts a time.
    pub fn record(&mut self, ns: u64) {
        if let Some(count) = self.buckets.get_mut(bucket(ns)) {
            *count = count.get().saturating_add(1).into();
        }
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|count| u64::from(count.get())).sum()
    }

    /// The time within which `part` of `of` were done, at most an eighth and [`UNIT_NS`] too large; `None` where nothing
    /// was counted.
    pub fn quantile(&self, part: u32, of: u32) -> Option<u64> {
        let count = self.count();
        let rank = u128::from(count) * u128::from(part.min(of));
        let rank = u64::try_from(rank.div_ceil(u128::from(of.max(1)))).unwrap_or(u64::MAX).max(1);
        let mut sum = 0u64;
        let reached = self.buckets.iter().position(|count| {
            sum = sum.saturating_add(u64::from(count.get()));
            sum >= rank
        });
        reached.filter(|_| count > 0).map(longest)
    }

    /// What was counted after `earlier`, a copy of the same histogram.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = *self;
        for (count, before) in since.buckets.iter_mut().zip(&earlier.buckets) {
            *count = count.get().saturating_sub(before.get()).into();
        }
        since
    }

    /// Both together.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let mut both = *self;
        for (count, more) in both.buckets.iter_mut().zip(&other.buckets) {
            *count = count.get().saturating_add(more.get()).into();
        }
        both
    }
}

impl Default for Histogram {
    fn default() -> Self {
        Self::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Times of every length alike.
    fn times() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec((0u32..40, any::<u64>()).prop_map(|(bits, n)| n & ((1 << bits) - 1)), 1..300)
    }

    fn of(times: &[u64]) -> Histogram {
        let mut histogram = Histogram::EMPTY;
        times.iter().for_each(|ns| histogram.record(*ns));
        histogram
    }

    proptest! {
        #[test]
        fn a_quantile_is_that_of_the_sorted_list_or_an_eighth_more(times in times(), part in 0u32..=1000) {
            let found = of(&times).quantile(part, 1000).unwrap();
            let mut sorted = times;
            sorted.sort_unstable();
            let rank = (sorted.len() * part as usize).div_ceil(1000).max(1);
            let exact = sorted[rank - 1];
            prop_assert!(found >= exact && found <= exact + exact / 8 + UNIT_NS, "{found} for {exact}");
        }

        #[test]
        fn what_came_later_is_what_came_later(before in times(), after in times()) {
            let both: Vec<u64> = before.iter().chain(&after).copied().collect();
            prop_assert_eq!(of(&both).since(&of(&before)), of(&after));
            prop_assert_eq!(of(&before).with(&of(&after)), of(&both));
            prop_assert_eq!(of(&both).count(), both.len() as u64);
        }

        /// Any bytes are a histogram: its sums neither overflow nor panic.
        #[test]
        fn any_bytes_have_quantiles(bytes in prop::collection::vec(any::<u8>(), BUCKETS * 4), part: u32, of: u32) {
            let histogram = Histogram::read_from_bytes(&bytes).unwrap();
            prop_assert!(histogram.quantile(part, of).is_some());
            prop_assert!(histogram.with(&histogram).count() >= histogram.count());
        }
    }

    #[test]
    fn every_bucket_ends_where_the_next_begins() {
        for index in 0..BUCKETS - 1 {
            assert_eq!((bucket(longest(index)), bucket(longest(index) + 1)), (index, index + 1));
        }
        assert_eq!((bucket(0), bucket(u64::MAX)), (0, BUCKETS - 1));
        assert_eq!(longest(BUCKETS - 1), (1 << 40) - 1);
        assert_eq!(Histogram::EMPTY.quantile(1, 2), None);
    }
}
