// SPDX-License-Identifier: MIT
//! A stream of bytes from one PD to another, for consoles. Lossy: a writer never waits.
//!
//! Layout: u32 bytes read at 0, u32 bytes written at 4, u32 bytes dropped at 8, data from 64 to the end of the region.
//! The counters are those of bytes modulo twice the data's size: equal where there are none, that size apart where there is no room.
use crate::AttachError;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use orion_region::Window;

const READ: usize = 0;
const WRITTEN: usize = 4;
const DROPPED: usize = 8;
const DATA: usize = 64;
/// Beyond this the size of a region is not used.
const SIZE_MAX: usize = 1 << 30;

/// How the counters of a ring with so many bytes of data go round.
#[derive(Clone, Copy, Debug)]
struct Round(u32);

impl Round {
    /// Bytes from `from` to `to`; `None` where these are no counters, or more than the data apart.
    fn distance(self, from: u32, to: u32) -> Option<u32> {
        let twice = 2 * self.0;
        let ahead = if to >= from { to - from } else { twice.checked_sub(from)?.checked_add(to)? };
        (from < twice && to < twice && ahead <= self.0).then_some(ahead)
    }

    /// The counter `bytes` further on, at most all of the data.
    fn skip(self, at: u32, bytes: usize) -> u32 {
        (at + u32::try_from(bytes).unwrap_or(0).min(self.0)) % (2 * self.0)
    }

    /// Where the byte lies, and how many lie from there to the end of the data.
    fn place(self, at: u32) -> (usize, usize) {
        let place = at % self.0;
        (place as usize, (self.0 - place) as usize)
    }

    /// A counter that an earlier life has left.
    fn left(self, at: u32) -> u32 {
        if at < 2 * self.0 { at } else { 0 }
    }
}

fn attach(window: &Window) -> Result<Round, AttachError> {
    let size = window.len().saturating_sub(DATA).min(SIZE_MAX);
    match u32::try_from(size) {
        Ok(size) if size > 0 => Ok(Round(size)),
        _ => Err(AttachError::TooSmall { region: "byte ring", needed: DATA + 1, found: window.len() }),
    }
}

/// The end that writes.
#[derive(Debug)]
pub struct Writer {
    window: Window,
    round: Round,
    tail: u32,
    dropped: u32,
}

impl Writer {
    /// Takes the writing end.
    ///
    /// # Errors
    /// The region has no room for data.
    pub fn attach(window: Window) -> Result<Self, AttachError> {
        let round = attach(&window)?;
        let tail = round.left(window.load(WRITTEN, Relaxed));
        let dropped = window.load(DROPPED, Relaxed);
        Ok(Self { window, round, tail, dropped })
    }

    /// Writes as much of `bytes` as there is room for, and counts the rest as dropped. How many were written. While the
    /// reader's counter makes no sense, all are dropped.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let head = self.window.load(READ, Acquire);
        let used = self.round.distance(head, self.tail);
        let room = used.map_or(0, |used| self.round.0 - used) as usize;
        let (fit, lost) = bytes.split_at(room.min(bytes.len()));
        let (place, to_end) = self.round.place(self.tail);
        let (first, second) = fit.split_at(to_end.min(fit.len()));
        self.window.copy_in(DATA + place, first);
        self.window.copy_in(DATA, second);
        self.tail = self.round.skip(self.tail, fit.len());
        self.window.store(WRITTEN, self.tail, Release);
        if !lost.is_empty() {
            self.dropped = self.dropped.wrapping_add(u32::try_from(lost.len()).unwrap_or(u32::MAX));
            self.window.store(DROPPED, self.dropped, Release);
        }
        fit.len()
    }

    /// Bytes dropped so far.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }
}

/// The end that reads.
#[derive(Debug)]
pub struct Reader {
    window: Window,
    round: Round,
    head: u32,
}

impl Reader {
    /// Takes the reading end.
    ///
    /// # Errors
    /// The region has no room for data.
    pub fn attach(window: Window) -> Result<Self, AttachError> {
        let round = attach(&window)?;
        let head = round.left(window.load(READ, Relaxed));
        Ok(Self { window, round, head })
    }

    /// Reads at most `to.len()` bytes. How many were read: 0 also where the writer's counter makes no sense.
    pub fn read(&mut self, to: &mut [u8]) -> usize {
        let tail = self.window.load(WRITTEN, Acquire);
        let used = self.round.distance(self.head, tail).unwrap_or(0) as usize;
        let take = used.min(to.len());
        let (place, to_end) = self.round.place(self.head);
        let (first, rest) = to.split_at_mut(to_end.min(take));
        let (second, _) = rest.split_at_mut(take - first.len());
        self.window.copy_out(DATA + place, first);
        self.window.copy_out(DATA, second);
        self.head = self.round.skip(self.head, take);
        self.window.store(READ, self.head, Release);
        take
    }

    /// Bytes that the writer says it dropped, modulo 2^32.
    pub fn dropped(&self) -> u32 {
        self.window.load(DROPPED, Acquire)
    }
}
