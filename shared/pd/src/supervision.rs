// SPDX-License-Identifier: MIT
//! What the supervisor and the PDs that it watches over tell each other: two kinds of pages, each with one writer.
//!
//! Every child writes a page of its own, whose *pulse* it moves each time the supervisor asks: what it counts otherwise
//! can't tell idle from hung. The supervisor writes one page of *lives*, which its children read: a beat, by which they see
//! that it lives itself, and what became of each child.
use crate::{Channel, ChannelSet, InitError, Instant, World};
use core::sync::atomic::Ordering;
use orion_region::Window;

/// Bytes of either page.
pub const PAGE: u64 = 4096;
/// Offset in a child's page of its pulse: a word that wraps.
pub const PULSE: usize = 0;
/// Offset in the page of lives of the supervisor's beat: a word that wraps.
pub const BEAT: usize = 0;
/// Most children.
pub const CHILDREN_MAX: usize = 62;

/// Offset in the page of lives of what became of a child: a [`Life`].
pub const fn life_offset(child: u8) -> usize {
    // Widening.
    4 + 4 * child as usize
}

/// What became of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Runs,
    /// It has ended, and waits to be restarted.
    Waits,
    /// It has ended and will not be restarted before the system is booted again.
    GivenUp,
}

/// What the page of lives says of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// What it does.
    pub state: State,
    /// How often it was restarted.
    pub restarts: u32,
}

impl Life {
    /// From the page's word.
    pub const fn of(word: u32) -> Self {
        let state = match word & 0xff {
            0 => State::Runs,
            1 => State::Waits,
            _ => State::GivenUp,
        };
        Self { state, restarts: word >> 8 }
    }

    /// As the page has it.
    pub const fn word(self) -> u32 {
        let state = match self.state {
            State::Runs => 0,
            State::Waits => 1,
            State::GivenUp => 2,
        };
        state | self.restarts << 8
    }
}

/// A PD's side of being watched over. Where nobody watches, nothing is ever asked.
#[derive(Debug)]
pub struct Supervised {
    pages: Option<Pages>,
    asks: ChannelSet,
}

#[derive(Debug)]
struct Pages {
    own: Window,
    lives: Window,
}

impl Supervised {
    /// As the configuration says, in the settings `pulse_vaddr`, `lives_vaddr` and `supervisor_channel`.
    ///
    /// # Errors
    /// [`InitError`] where a page is not mapped.
    pub fn new<W: World>(world: &mut W) -> Result<Self, InitError> {
        let unmapped =
            InitError("a page of the supervisor's is not mapped: build the image and its configuration together");
        let config = world.config();
        let (Some(own), Some(lives)) = (config.setting("pulse_vaddr"), config.setting("lives_vaddr")) else {
            return Ok(Self { pages: None, asks: ChannelSet::default() });
        };
        let own = world.window(own).ok_or(unmapped)?;
        let lives = world.window(lives).ok_or(unmapped)?;
        let channel = config.setting("supervisor_channel").and_then(|c| u8::try_from(c).ok()).filter(|c| *c < 62);
        let asks = channel.map_or(ChannelSet::default(), |channel| ChannelSet::default().with(Channel(channel)));
        Ok(Self { pages: Some(Pages { own, lives }), asks })
    }

    /// The channel by which the supervisor asks.
    pub fn channels(&self) -> ChannelSet {
        self.asks
    }

    /// Answers the supervisor, if it is among those who called; whether it was.
    #[cold]
    #[inline(never)]
    pub fn answer(&self, from: ChannelSet) -> bool {
        let Some(Pages { own, .. }) = self.pages.as_ref().filter(|_| from.0 & self.asks.0 != 0) else { return false };
        let pulse = own.load(PULSE, Ordering::Relaxed);
        own.store(PULSE, pulse.wrapping_add(1), Ordering::Release);
        true
    }

    /// What became of the supervised PD of this number; `None` where nobody watches.
    pub fn life(&self, number: u8) -> Option<Life> {
        let Pages { lives, .. } = self.pages.as_ref()?;
        Some(Life::of(lives.load(life_offset(number), Ordering::Acquire)))
    }

    /// The supervisor's beat; `None` where nobody watches.
    pub fn beat(&self) -> Option<u32> {
        self.pages.as_ref().map(|pages| pages.lives.load(BEAT, Ordering::Acquire))
    }
}

/// How often it is looked whether the supervisor's beat has moved, in one patience.
const LOOKS: u64 = 6;

/// Watches the supervisor.
#[derive(Debug)]
pub struct Watch {
    beat: u32,
    /// Looks in a row at which it had not moved.
    still: u64,
    /// When to look next, and how many nanoseconds later again. Looks are counted, not time: who was kept from running
    /// blames nobody for it.
    next: Instant,
    step: u64,
    lost: bool,
}

impl Watch {
    /// As the setting `supervisor_ms` of the configuration says: milliseconds for which the beat may stand still.
    pub fn new<W: World>(supervised: &Supervised, world: &W) -> Option<Self> {
        let (beat, patience) = (supervised.beat()?, world.config().setting("supervisor_ms")?);
        Some(Self::of(beat, world.now(), patience.saturating_mul(1_000_000)))
    }

    fn of(beat: u32, now: Instant, patience: u64) -> Self {
        let step = patience / LOOKS;
        Self { beat, still: 0, next: now.after(step), step, lost: false }
    }

    /// Looks at the beat; whether the supervisor lives, where that has changed.
    pub fn look(&mut self, beat: u32, now: Instant) -> Option<bool> {
        if beat != self.beat {
            (self.beat, self.still, self.next) = (beat, 0, now.after(self.step));
            return core::mem::take(&mut self.lost).then_some(true);
        }
        if now < self.next || self.lost {
            return None;
        }
        (self.still, self.next) = (self.still + 1, now.after(self.step));
        self.lost = self.still >= LOOKS;
        self.lost.then_some(false)
    }

    /// Whether the supervisor was lost.
    pub fn lost(&self) -> bool {
        self.lost
    }

    /// When to look again.
    pub fn next(&self) -> Instant {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant(ms * 1_000_000)
    }

    #[test]
    fn a_beat_that_stands_still_is_noticed_in_time_and_so_is_one_that_moves_again() {
        let mut watch = Watch::of(7, at(0), 600_000_000);
        assert_eq!((0..50).map(|i| watch.look(8 + i, at(u64::from(i) * 1000))).find(Option::is_some), None);
        let begin = 49_000;
        let noticed = (0..).map(|ms| begin + ms).find(|&ms| watch.look(57, at(ms)) == Some(false));
        assert_eq!((noticed, watch.lost()), (Some(begin + 600), true));
        assert_eq!((watch.look(57, at(60_000)), watch.look(58, at(60_001)), watch.lost()), (None, Some(true), false));
        assert_eq!(watch.look(58, at(60_002)), None);
    }

    #[test]
    fn who_looks_rarely_blames_nobody_for_it() {
        let mut watch = Watch::of(0, at(0), 600_000_000);
        assert!((1..6).all(|hour| watch.look(0, at(hour * 3_600_000)).is_none()));
        assert_eq!(watch.look(1, at(6 * 3_600_000)), None);
    }

    #[test]
    fn words_of_lives_come_back() {
        for state in [State::Runs, State::Waits, State::GivenUp] {
            for restarts in [0, 1, 77, 0xff_ffff] {
                let life = Life { state, restarts };
                assert_eq!(Life::of(life.word()), life);
            }
        }
        assert_eq!(Life { state: State::Runs, restarts: 0 }.word(), 0, "zeroed memory says that all run");
    }
}
