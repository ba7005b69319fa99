// SPDX-License-Identifier: MIT
//! How long a client had to wait: the longest times between two answers, as where PDs end and are restarted meanwhile.
use core::fmt;
use orion_block::Instant;

/// Most pauses that are kept.
const MOST: usize = 64;

/// The longest pauses so far.
#[derive(Clone, Debug)]
pub struct Pauses {
    last: Option<Instant>,
    /// In nanoseconds, longest first; the first `kept` count.
    longest: [u64; MOST],
    kept: usize,
}

impl Pauses {
    /// Keeps the `count` longest.
    pub fn new(count: u64) -> Self {
        Self { last: None, longest: [0; MOST], kept: usize::try_from(count).unwrap_or(MOST).clamp(1, MOST) }
    }

    /// Answers came at `now`.
    pub fn answered(&mut self, now: Instant) {
        let Some(last) = self.last.replace(now) else { return };
        let pause = now.0.saturating_sub(last.0);
        let at = self.longest.partition_point(|other| *other >= pause);
        if let Some(shorter @ [_, ..]) = self.longest.get_mut(at..) {
            shorter.rotate_right(1);
            shorter.iter_mut().take(1).for_each(|first| *first = pause);
        }
    }
}

impl fmt::Display for Pauses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |at: usize| {
            let us = self.longest.get(at).map_or(0, |ns| ns / 1000);
            (us / 1000, us % 1000)
        };
        let ((worst, a), (median, b), kept) = (ms(0), ms(self.kept / 2), self.kept);
        write!(f, "pauses: the longest {worst}.{a:03} ms; the {kept} longest: median {median}.{b:03} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn the_longest_are_kept_whatever_their_order() {
        let (mut pauses, mut now) = (Pauses::new(3), 0);
        for ms in [1, 9, 2, 7, 3, 8, 1] {
            now += ms * 1_000_000;
            pauses.answered(Instant(now));
        }
        assert_eq!(pauses.to_string(), "pauses: the longest 9.000 ms; the 3 longest: median 8.000 ms");
        for pause in (0..100).map(|_| 20_500_000).chain([5]) {
            now += pause;
            pauses.answered(Instant(now));
        }
        assert_eq!(pauses.to_string(), "pauses: the longest 20.500 ms; the 3 longest: median 20.500 ms");
    }
}
