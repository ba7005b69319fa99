// SPDX-License-Identifier: MIT
//! Lives: either end of a connection may die and begin again, and the other must never take what is of one life for
//! what is of another.
//!
//! The server's life is `epoch` in its page, the client's `life` in its own; each is one more than what the end finds
//! there when it begins. The connection is open while the client has agreed to the server's epoch and the server serves
//! the client's life. Then requests are counted on from the client's `start`, answers from where the server stands, and
//! nothing that was asked before is answered any more (see `docs/ring.md`).
use crate::extension::{self, SERVER};
use crate::shared::{Shared, Word};
use core::mem::offset_of;
use core::sync::atomic::Ordering::Relaxed;

/// The server's life; its own word.
pub const EPOCH: Word = Word::ServerPage(SERVER + offset_of!(extension::Server, epoch));
/// The client's life that the server serves; the server's word.
pub const SERVED: Word = Word::ServerPage(SERVER + offset_of!(extension::Server, client));
/// The client's life; its own word.
pub const LIFE: Word = Word::ClientPage(offset_of!(extension::Client, life));
/// The server's life that the client has agreed to; the client's word.
pub const AGREED: Word = Word::ClientPage(offset_of!(extension::Client, epoch));
/// Where requests begin that are of these two lives; the client's word.
pub const START: Word = Word::ClientPage(offset_of!(extension::Client, start));

/// Lives of a peer in a row, without a request or an answer in any, after which it is said to misbehave: who changes it all
/// the time keeps us busy for so long at most, and nobody else comes so far.
pub const RESTLESS: u32 = 10_000;

/// The next life. None is 0.
pub fn next(life: u32) -> u32 {
    life.wrapping_add(1).max(1)
}

/// Whether a peer whose life was `from` (0: unknown) can be in life `to` now: lives never go back.
pub fn follows(from: u32, to: u32) -> bool {
    to != 0 && (from == 0 || (1..1 << 31).contains(&to.wrapping_sub(from)))
}

/// What an end watches its peer's life for. No life while there is no agreement, so that it is looked at each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Watch(u64);

impl Watch {
    /// For any other than this.
    pub const fn life(life: u32) -> Self {
        Self(life as u64)
    }

    /// For any.
    pub const ANY: Self = Self(u64::MAX);

    /// Whether nothing has changed.
    #[inline]
    pub fn quiet(self, life: u32) -> bool {
        u64::from(life) == self.0
    }
}

/// An end's own two counters, as an earlier life of it has left them: where it puts the next entry, where it takes it.
pub fn left<M: Shared>(memory: &M, put: Word, took: Word) -> [u32; 2] {
    [put, took].map(|word| memory.load(word, Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_go_on_and_never_back() {
        assert_eq!([0, 1, u32::MAX - 1, u32::MAX].map(next), [1, 2, u32::MAX, 1]);
        for life in [1, 2, 1 << 31, u32::MAX - 1, u32::MAX] {
            let after = next(life);
            assert!(follows(life, after) && follows(0, life) && follows(life, next(after)), "{life}");
            assert!(!follows(after, life) && !follows(life, life) && !follows(life, 0), "{life}");
        }
        assert!(!follows(0, 0));
        assert!(Watch::life(7).quiet(7) && !Watch::life(7).quiet(8) && !Watch::life(7).quiet(0));
        assert!([0, 1, u32::MAX].iter().all(|life| !Watch::ANY.quiet(*life)));
    }
}
