// SPDX-License-Identifier: MIT
//! Which of many rings have to be looked at: whoever is not awake notifies, so only those who notified.
use crate::{Channel, ChannelSet};

/// No ring.
const NOBODY: u8 = u8::MAX;

/// Some of at most 64 rings, and the channels by which their peers notify.
#[repr(C)]
#[derive(Debug)]
pub(super) struct Active {
    /// The rings that say that we are awake, a bit each.
    rings: u64,
    /// The channels of all rings.
    channels: u64,
    /// The ring of each channel.
    by_channel: [u8; 64],
}

impl Active {
    /// No ring.
    pub const fn new() -> Self {
        Self { rings: 0, channels: 0, by_channel: [NOBODY; 64] }
    }

    /// Says on which channel the peer of a ring notifies.
    pub fn insert(&mut self, ring: usize, channel: Channel) {
        if let (Some(entry), Ok(ring)) = (self.by_channel.get_mut(usize::from(channel.0)), u8::try_from(ring)) {
            *entry = ring;
            self.channels |= 1 << channel.0;
        }
    }

    /// Adds the rings of those who notified; calls `wake` for each that was not in the set.
    #[inline]
    pub fn wake(&mut self, from: ChannelSet, mut wake: impl FnMut(usize)) {
        let mut left = from.0 & self.channels;
        while left != 0 {
            let ring = self.by_channel.get(left.trailing_zeros() as usize).copied().unwrap_or(NOBODY);
            left &= left - 1;
            let bit = 1u64.checked_shl(ring.into()).unwrap_or(0);
            if bit & !self.rings != 0 {
                self.rings |= bit;
                wake(ring.into());
            }
        }
    }

    /// The rings, a bit each.
    #[inline]
    pub fn rings(&self) -> u64 {
        self.rings
    }

    /// The rings of the set and `others` in turn, each with whether it is in the set; it leaves the set where `asleep` is
    /// true of it.
    #[inline]
    pub fn settle(&mut self, others: u64, mut asleep: impl FnMut(usize, bool) -> bool) {
        let mut left = self.rings | others;
        while left != 0 {
            let ring = left.trailing_zeros();
            left &= left - 1;
            if asleep(ring as usize, self.rings >> ring & 1 != 0) {
                self.rings &= !(1 << ring);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn who_notified_is_looked_at_until_nothing_is_left() {
        let mut active = Active::new();
        [(0, 7), (1, 3), (61, 0)].into_iter().for_each(|(ring, channel)| active.insert(ring, Channel(channel)));
        let mut woken = Vec::new();
        active.wake(ChannelSet(1 << 3 | 1 << 5), |ring| woken.push(ring));
        active.wake(ChannelSet::ALL, |ring| woken.push(ring));
        assert_eq!((woken, active.rings()), (Vec::from([1, 61, 0]), 1 << 61 | 0b11));
        active.settle(0, |ring, _| ring != 1);
        assert_eq!(active.rings(), 0b10);
        let mut seen = Vec::new();
        active.settle(1 << 5, |ring, awake| {
            seen.push((ring, awake));
            true
        });
        assert_eq!(seen, [(1, true), (5, false)]);
        assert_eq!(active.rings(), 0);
    }
}
