// SPDX-License-Identifier: MIT
//! Messages of a fixed size between two sides, each of which writes one page: at 0 the messages that it wrote, at 4 the
//! messages of the other page that it read (both counts run freely and wrap), from 64 its messages.
use crate::wire::{self, Ask, Refused};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use orion_caps::Outcome;
use orion_region::Window;

/// Bytes of a message.
pub const MESSAGE: usize = 128;
/// Messages that a page holds.
pub const SLOTS: u32 = 16;
/// Bytes of a page.
pub const PAGE: usize = 4096;
const WRITTEN: usize = 0;
const READ: usize = 4;
const MESSAGES: usize = 64;
const _: () = assert!(MESSAGES + MESSAGE * SLOTS as usize <= PAGE && SLOTS.is_power_of_two());

/// One side.
#[derive(Debug)]
pub struct End {
    own: Window,
    peer: Window,
    written: u32,
    read: u32,
}

fn place(count: u32) -> usize {
    MESSAGES + (count % SLOTS) as usize * MESSAGE
}

impl End {
    /// The side that writes `own`; `None` where a window is too small. It goes on where an earlier life of it stopped.
    pub fn attach(own: Window, peer: Window) -> Option<Self> {
        let large = own.len() >= PAGE && peer.len() >= PAGE;
        let (written, read) = (own.load(WRITTEN, Relaxed), own.load(READ, Relaxed));
        large.then_some(Self { own, peer, written, read })
    }

    /// Messages that may be written now. 0 also where the peer's count makes no sense.
    pub fn room(&self) -> u32 {
        let unread = self.written.wrapping_sub(self.peer.load(READ, Acquire));
        SLOTS.saturating_sub(unread)
    }

    /// Writes a message; whether there was room.
    pub fn push(&mut self, message: &[u8; MESSAGE]) -> bool {
        if self.room() == 0 || !self.own.copy_in(place(self.written), message) {
            return false;
        }
        self.written = self.written.wrapping_add(1);
        self.own.store(WRITTEN, self.written, Release);
        true
    }

    /// Takes the next message. `None` also where the peer's count makes no sense.
    pub fn pop(&mut self) -> Option<[u8; MESSAGE]> {
        let unread = self.peer.load(WRITTEN, Acquire).wrapping_sub(self.read);
        let mut message = [0; MESSAGE];
        if unread == 0 || unread > SLOTS || !self.peer.copy_out(place(self.read), &mut message) {
            return None;
        }
        self.read = self.read.wrapping_add(1);
        self.own.store(READ, self.read, Release);
        Some(message)
    }

    /// Whether a message is there.
    pub fn pending(&self) -> bool {
        (1..=SLOTS).contains(&self.peer.load(WRITTEN, Acquire).wrapping_sub(self.read))
    }
}

/// The side that asks.
#[derive(Debug)]
pub struct Client {
    end: End,
    next: u32,
}

impl Client {
    /// The asking side of a connection.
    pub const fn new(end: End) -> Self {
        Self { end, next: 0 }
    }

    /// Sends a command: the number that its answer will carry, or `None` where the ring is full. The caller then wakes the
    /// gatekeeper, over the channel of its data ring.
    pub fn ask(&mut self, ask: &Ask) -> Option<u32> {
        let id = self.next;
        self.end.push(&wire::emit(id, ask)).then(|| {
            self.next = id.wrapping_add(1);
            id
        })
    }

    /// The next answer: to which command, and what it came to. Answers that make no sense are passed over.
    pub fn answer(&mut self) -> Option<(u32, Result<Outcome, Refused>)> {
        for _ in 0..SLOTS {
            if let Some(answer) = wire::parse_answer(&self.end.pop()?) {
                return Some(answer);
            }
        }
        None
    }
}

/// The side that does what is asked.
#[derive(Debug)]
pub struct Server {
    end: End,
}

impl Server {
    /// The serving side of a connection.
    pub const fn new(end: End) -> Self {
        Self { end }
    }

    /// Whether there is a command, and room for its answer.
    pub fn pending(&self) -> bool {
        self.end.pending() && self.end.room() > 0
    }

    /// The next command; `None` also while there is no room for its answer.
    pub fn take(&mut self) -> Option<(u32, Result<Ask, Refused>)> {
        if self.end.room() == 0 {
            return None;
        }
        Some(wire::parse(&self.end.pop()?))
    }

    /// Answers a command.
    pub fn answer(&mut self, id: u32, result: Result<Outcome, Refused>) {
        self.end.push(&wire::emit_answer(id, result));
    }
}
