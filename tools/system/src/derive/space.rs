// SPDX-License-Identifier: MIT
//! Address ranges: first fit, with a gap between neighbours.

/// Addresses from which ranges are taken.
#[derive(Clone, Debug)]
pub struct Space {
    first: u64,
    end: u64,
    gap: u64,
    /// Start and end of each range in use, sorted.
    taken: Vec<(u64, u64)>,
}

impl Space {
    /// The addresses `first..end`, with at least `gap` bytes between any two ranges.
    pub fn new(first: u64, end: u64, gap: u64) -> Self {
        Self { first, end, gap, taken: Vec::new() }
    }

    /// Marks `start..start + size` as in use, whether or not something is there already.
    pub fn take(&mut self, start: u64, size: u64) {
        let range = (start, start.saturating_add(size));
        let at = self.taken.partition_point(|other| *other < range);
        self.taken.insert(at, range);
    }

    /// Takes the lowest `size` bytes that begin at a multiple of `align`; `None` where there is no room.
    pub fn allocate(&mut self, size: u64, align: u64) -> Option<u64> {
        let mut at = self.first.checked_next_multiple_of(align)?;
        for &(start, end) in &self.taken {
            let needed = at.checked_add(size)?.checked_add(self.gap)?;
            if needed > start && end.saturating_add(self.gap) > at {
                at = end.checked_add(self.gap)?.checked_next_multiple_of(align)?;
            }
        }
        if at.checked_add(size)? > self.end {
            return None;
        }
        self.take(at, size);
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::Space;

    #[test]
    fn ranges_keep_their_gap_and_alignment_and_fill_holes() {
        let mut space = Space::new(0x1000, 0x10_0000, 0x1000);
        space.take(0x4000, 0x1000);
        assert_eq!(space.allocate(0x1000, 0x1000), Some(0x1000));
        assert_eq!(space.allocate(0x1000, 0x1000), Some(0x6000));
        assert_eq!(space.allocate(0x1000, 0x8000), Some(0x8000));
        assert_eq!(space.allocate(0x10_0000, 0x1000), None);
    }

    #[test]
    fn no_two_ranges_ever_meet() {
        let mut state = 7_u64;
        let mut next = |n: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % n
        };
        let mut space = Space::new(0, 1 << 20, 0x1000);
        let mut got: Vec<(u64, u64)> = Vec::new();
        for _ in 0..10 {
            let (start, size) = (next(200) * 0x1000, (1 + next(3)) * 0x1000);
            space.take(start, size);
            got.push((start, start + size));
        }
        let fixed = got.len();
        while let Some(at) = space.allocate((1 + next(4)) * 0x1000, 0x1000 << next(3)) {
            got.push((at, at + 0x1000));
        }
        for (i, a) in got.iter().enumerate().skip(fixed) {
            for b in &got[..i] {
                assert!(a.1 + 0x1000 <= b.0 || b.1 + 0x1000 <= a.0, "{a:x?} meets {b:x?}");
            }
        }
    }
}
