// SPDX-License-Identifier: MIT
//! Synchronous transfers (SCSI-2, 6.6.21): what is agreed with a target, and how the adapter is told.

/// Nanoseconds of a clock.
const CLOCK_NS: u16 = 25;
/// Clocks of a byte: from 4 (10 MB/s) to 35.
const CLOCKS: core::ops::RangeInclusive<u16> = 4..=35;
/// Most bytes under way that the adapter takes.
const OFFSET_MAX: u8 = 15;
/// The fastest period, in units of 4 ns.
const FACTOR_MIN: u8 = 25;
/// From this period on transfers are not fast (5 MB/s).
const SLOW: u8 = 50;

/// How data are moved between a target and us. Offset 0 is asynchronous.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Agreement {
    /// Time between two bytes, in units of 4 ns.
    pub factor: u8,
    /// Bytes that may be under way without an acknowledgement.
    pub offset: u8,
}

impl Agreement {
    /// Each byte is acknowledged.
    pub const ASYNCHRONOUS: Self = Self { factor: 0, offset: 0 };
    /// What we propose: the fastest that the adapter can.
    pub const BEST: Self = Self { factor: FACTOR_MIN, offset: OFFSET_MAX };

    /// The nearest to what a target proposed that both can.
    pub fn nearest(self) -> Self {
        let nearest = Self { factor: self.factor.max(FACTOR_MIN), offset: self.offset.min(OFFSET_MAX) };
        if nearest.offset == 0 || nearest.clocks() > *CLOCKS.end() { Self::ASYNCHRONOUS } else { nearest }
    }

    /// Clocks of the adapter for a byte: never fewer than agreed.
    fn clocks(self) -> u16 {
        (u16::from(self.factor) * 4).div_ceil(CLOCK_NS).max(*CLOCKS.start())
    }

    /// The register of the period, which has five bits: 32 to 35 clocks are 0 to 3.
    pub fn period(self) -> u8 {
        u8::try_from(self.clocks() & 0x1f).unwrap_or(0)
    }

    /// Whether it needs the bus's fast timing.
    pub fn is_fast(self) -> bool {
        self.offset != 0 && self.factor < SLOW
    }

    /// The message that proposes it (SYNCHRONOUS DATA TRANSFER REQUEST).
    pub fn message(self) -> [u8; 5] {
        [1, 3, 1, self.factor, self.offset]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_adapter_is_never_faster_than_was_agreed() {
        for factor in 0..=255 {
            for offset in 0..=255 {
                let proposed = Agreement { factor, offset };
                let agreed = proposed.nearest();
                assert!(agreed.offset <= offset && agreed.offset <= 15);
                if agreed.offset == 0 {
                    // Only what neither can: no offset, or a period of more than 35 clocks of 25 ns.
                    assert!(offset == 0 || u32::from(factor) * 4 > 35 * 25);
                    continue;
                }
                assert!(agreed.factor >= factor && agreed.factor >= 25);
                let clocks = match agreed.period() {
                    n @ 0..=3 => 32 + u32::from(n),
                    n => n.into(),
                };
                assert!((4..=35).contains(&clocks) && clocks * 25 >= u32::from(agreed.factor) * 4);
                assert!((clocks - 1) * 25 < u32::from(agreed.factor) * 4, "nor slower than it must be");
                assert_eq!(agreed.is_fast(), u32::from(agreed.factor) * 4 < 200);
            }
        }
        assert_eq!(Agreement::BEST.nearest(), Agreement::BEST);
        assert_eq!(Agreement::BEST.message(), [1, 3, 1, 25, 15]);
    }
}
