// SPDX-License-Identifier: MIT
//! A PD's notification object: a word of pending channels, a flag that says it sleeps, and an event counter.
//!
//! Peers set their channel's bit, and ring the counter only where the PD sleeps (Dekker's pattern: each side writes its
//! own word, passes a full fence, reads the other's). The word can be written by every peer, so one that misbehaves can
//! forge or clear bits of others; but the flag is the PD's alone and the counter can't be taken back, so nobody can
//! keep an honest peer from waking it, and a PD that is woken for no reason it can see looks at all its channels.
use crate::regions::Mapped;
use crate::sys;
use orion_pd::ChannelSet;
use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::time::Duration;

/// Bytes of each of the two shared pieces.
pub const BYTES: u64 = 4096;
/// What a peer adds to the counter. A device adds 1, so the two can be told apart.
const FROM_PEER: u64 = 1 << 32;

fn atomic_missing() -> io::Error {
    io::Error::other("a notification page is too small")
}

/// The PD's own side.
#[derive(Debug)]
pub struct Bell {
    pending: &'static AtomicU64,
    sleeping: &'static AtomicU32,
    event: File,
    interrupt: ChannelSet,
}

impl Bell {
    /// The bell whose pieces are in these files. `interrupt` is the channel that a device's ring stands for, if any.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(pending: &File, sleeping: &File, event: File, interrupt: ChannelSet) -> io::Result<Self> {
        Ok(Self {
            pending: Mapped::new(pending, None, BYTES, true)?.atomic().ok_or_else(atomic_missing)?,
            sleeping: Mapped::new(sleeping, None, BYTES, true)?.atomic().ok_or_else(atomic_missing)?,
            event,
            interrupt,
        })
    }

    /// Takes the pending channels without sleeping.
    pub fn pending(&self) -> ChannelSet {
        ChannelSet(self.pending.swap(0, Ordering::SeqCst))
    }

    /// Says that we sleep; whether we may, since nothing is pending. Call [`wake`](Self::wake) afterwards.
    pub fn doze(&self) -> bool {
        self.sleeping.store(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        self.pending.load(Ordering::SeqCst) == 0
    }

    /// Sleeps until rung, or for `limit`; whether the counter was rung.
    pub fn sleep(&self, limit: Option<Duration>) -> bool {
        // Without a limit the read itself sleeps, which saves a system call.
        limit.is_none() || sys::wait_one(&self.event, limit)
    }

    /// The event counter, to sleep on with others.
    pub const fn event(&self) -> &File {
        &self.event
    }

    /// Says that we are awake and takes what is pending. `rung`: the counter is to be read (which sleeps until it is
    /// rung).
    pub fn wake(&self, rung: bool) -> ChannelSet {
        let count = if rung { sys::take(&self.event) } else { 0 };
        self.sleeping.store(0, Ordering::SeqCst);
        let pending = self.pending();
        let interrupt = if count % FROM_PEER != 0 { self.interrupt } else { ChannelSet::default() };
        if count >= FROM_PEER && pending.0 == 0 {
            return ChannelSet::ALL;
        }
        ChannelSet(pending.0 | interrupt.0)
    }
}

/// A peer's side of somebody's bell.
#[derive(Debug)]
pub struct Rope {
    pending: &'static AtomicU64,
    sleeping: &'static AtomicU32,
    event: File,
    bit: u64,
}

impl Rope {
    /// The rope to the bell whose pieces are in these files; `bit` is the channel's number at the bell's owner.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(pending: &File, sleeping: &File, event: File, bit: u8) -> io::Result<Self> {
        Ok(Self {
            pending: Mapped::new(pending, None, BYTES, true)?.atomic().ok_or_else(atomic_missing)?,
            sleeping: Mapped::new(sleeping, None, BYTES, false)?.atomic().ok_or_else(atomic_missing)?,
            event,
            bit: 1 << (bit & 63),
        })
    }

    /// Notifies the bell's owner.
    pub fn pull(&self) {
        self.pending.fetch_or(self.bit, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::SeqCst) != 0 {
            sys::ring(&self.event, FROM_PEER);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::regions::Region;

    fn bell() -> (Bell, Rope, File) {
        let (pending, sleeping) = (Region::new("p", BYTES).unwrap(), Region::new("s", BYTES).unwrap());
        let event = sys::event().unwrap();
        let other = event.try_clone().unwrap();
        let rope = Rope::new(pending.file(true), sleeping.file(false), event.try_clone().unwrap(), 5).unwrap();
        let bell = Bell::new(pending.file(true), sleeping.file(true), event, ChannelSet(1 << 60)).unwrap();
        (bell, rope, other)
    }

    #[test]
    fn rings_only_a_sleeper() {
        let (bell, rope, counter) = bell();
        rope.pull();
        assert!(!sys::wait_one(&counter, Some(Duration::ZERO)));
        assert_eq!(bell.pending(), ChannelSet(1 << 5));
        assert!(bell.doze());
        rope.pull();
        assert!(bell.sleep(Some(Duration::from_secs(10))));
        assert_eq!(bell.wake(true), ChannelSet(1 << 5));
        assert!(!sys::wait_one(&counter, Some(Duration::ZERO)));
    }

    #[test]
    fn what_comes_before_sleep_keeps_us_awake() {
        let (bell, rope, _) = bell();
        rope.pull();
        assert!(!bell.doze());
        assert_eq!(bell.wake(false), ChannelSet(1 << 5));
    }

    #[test]
    fn tells_a_device_from_a_peer() {
        let (bell, rope, counter) = bell();
        assert!(bell.doze());
        sys::ring(&counter, 1);
        assert_eq!(bell.wake(true), ChannelSet(1 << 60));
        assert!(bell.doze());
        sys::ring(&counter, 1);
        rope.pull();
        assert_eq!(bell.wake(true), ChannelSet(1 << 60 | 1 << 5));
        // A peer that clears what another has set does not make us overlook it.
        assert!(bell.doze());
        rope.pull();
        bell.pending();
        assert_eq!(bell.wake(true), ChannelSet::ALL);
    }

    /// Two threads notify each other in turn: a notification that is lost would end the game. Waking for no reason is
    /// allowed, so whose turn it is stands in a word of its own.
    #[test]
    fn nothing_is_lost() {
        let (a, to_a, _) = bell();
        let (b, to_b, _) = bell();
        let turn = AtomicU64::new(0);
        let wait = |own: &Bell, number: u64| {
            while turn.load(Ordering::SeqCst) != number {
                let may = own.doze();
                assert!(!may || own.sleep(Some(Duration::from_secs(60))), "a notification was lost");
                own.wake(may);
            }
        };
        let play = |own: &Bell, peer: &Rope, first: u64| {
            for number in (first..40_000).step_by(2) {
                wait(own, number);
                turn.store(number + 1, Ordering::SeqCst);
                peer.pull();
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| play(&a, &to_b, 0));
            play(&b, &to_a, 1);
        });
    }
}
