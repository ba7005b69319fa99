// SPDX-License-Identifier: MIT
//! Whether to keep a free place for a client that will ask again in a moment.
//!
//! Who asks one at a time has nothing waiting when its request is answered, so a queue that is never idle takes turns
//! whatever the weights. The field's answer is to idle (Iyer, Druschel: Anticipatory scheduling, SOSP 2001; Linux's CFQ and
//! BFQ): a place that is free stays so for a short grace if whose turn it is by weight is about to ask.
//!
//! Three things bound what that costs the others. Only who came back within the grace several times running is waited
//! for, so who has gone idle is waited for once. A place is kept for at most the grace after that client's last request.
//! And what is waited beyond the time of one request is charged to who was waited for, as if it had been served
//! meanwhile: who thinks as long as it can before each request loses by that itself.
use orion_block::Instant;

/// Times running that a client must have come back within the grace.
const PROMPT: u8 = 3;
/// Nanoseconds that a request is taken to last at least.
const EACH_LEAST: u64 = 1_000;
/// Most nanoseconds that are charged at once, or seen between two requests: more is a clock that jumped.
const JUMP: u64 = 20_000_000;

fn since(from: Instant, now: Instant) -> u64 {
    now.0.saturating_sub(from.0).min(JUMP)
}

/// How a client asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// When its last request ended. Its lane knows whether it has asked since.
    ended: Instant,
    /// It has asked nothing since.
    thinks: bool,
    /// Times running that it came back within the grace.
    prompt: u8,
}

impl Manner {
    pub const UNKNOWN: Self = Self { ended: Instant(0), thinks: false, prompt: 0 };

    /// A request of it has ended.
    pub fn ends(&mut self, now: Instant) {
        (self.ended, self.thinks) = (now, true);
    }

    /// It asks.
    pub fn asks(&mut self, now: Instant, grace: u64) {
        if !core::mem::take(&mut self.thinks) {
            return;
        }
        let back = now < self.ended;
        self.prompt = if back || since(self.ended, now) > grace { 0 } else { self.prompt.saturating_add(1) };
    }

    /// Until when it may be expected, if it may.
    pub fn comes_until(&mut self, now: Instant, grace: u64) -> Option<Instant> {
        let until = self.ended.after(grace);
        if self.thinks && self.ended <= now && now < until {
            return Some(until);
        }
        (self.thinks, self.prompt) = (false, 0);
        None
    }

    pub fn is_prompt(&self) -> bool {
        self.prompt >= PROMPT
    }
}

/// A lane's places that are kept, and what that costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept {
    /// Nanoseconds; 0: none is kept.
    grace: u64,
    /// Clients that have asked nothing since their last request ended, a bit each.
    thinking: u64,
    /// For whom a place is kept, and since when.
    of: Option<(u8, Instant)>,
    /// When a request last got or left a place, and the nanoseconds that places were taken since one was last left.
    seen: Instant,
    taken: u64,
    /// Nanoseconds that a request has a place, on average.
    each: u64,
}

impl Kept {
    pub fn new(grace_us: u16) -> Self {
        let grace = u64::from(grace_us) * 1000;
        Self { grace, thinking: 0, of: None, seen: Instant(0), taken: 0, each: 0 }
    }

    pub fn grace(&self) -> u64 {
        self.grace
    }

    /// Whether there may be somebody to keep a place for.
    #[inline]
    pub fn may(&self) -> bool {
        self.grace != 0
    }

    /// Clients that may ask again in a moment.
    pub fn thinking(&self) -> impl Iterator<Item = u8> + use<> {
        let thinking = self.thinking;
        (0..64).filter(move |client| thinking >> client & 1 == 1)
    }

    pub fn thinks(&mut self, client: u8) {
        self.thinking |= 1u64.checked_shl(client.into()).unwrap_or(0);
    }

    pub fn forget(&mut self, client: u8) {
        self.thinking &= !1u64.checked_shl(client.into()).unwrap_or(0);
    }

    pub fn whom(&self) -> Option<u8> {
        self.of.map(|(client, _)| client)
    }

    /// From now on a place is kept for this one, if for anyone.
    pub fn begin(&mut self, client: Option<u8>, now: Instant) {
        if self.whom() != client {
            self.of = client.map(|client| (client, now));
        }
    }

    /// A place is kept no longer: for whom it was, and how many requests could have been served, beyond a first.
    pub fn end(&mut self, now: Instant) -> Option<(u8, u64)> {
        let (client, from) = self.of.take()?;
        let each = self.each.max(EACH_LEAST);
        Some((client, since(from, now).saturating_sub(each).div_ceil(each)))
    }

    /// A request gets a place beside `used` others.
    pub fn passes(&mut self, now: Instant, used: u16) {
        self.taken = self.taken.saturating_add(since(self.seen, now).saturating_mul(u64::from(used)));
        self.seen = now;
    }

    /// One of `used` leaves its place. Places times time, by how many left: the time that each had one (Little's law).
    pub fn ends(&mut self, now: Instant, used: u16) {
        self.passes(now, used);
        let last = core::mem::take(&mut self.taken);
        self.each = if self.each == 0 { last } else { self.each - self.each / 8 + last / 8 };
    }
}
