// SPDX-License-Identifier: MIT
//! A stream of bytes from one PD to another, for consoles. Lossy: a writer never waits.
//!
//! Layout: u32 bytes read at 0, u32 bytes written at 4, u32 bytes dropped at 8, data from 64 to the end of the region.
//! The counters are free-running and wrap at the largest multiple of the data's size (`counter.rs`).
use crate::AttachError;
use crate::counter::{Cursor, Shape, Wrap};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use orion_region::Window;

const READ: usize = 0;
const WRITTEN: usize = 4;
const DROPPED: usize = 8;
const DATA: usize = 64;
/// Beyond this the size of a region is not used.
const SIZE_MAX: usize = 1 << 30;

fn attach(window: &Window) -> Result<Shape, AttachError> {
    let size = window.len().saturating_sub(DATA).min(SIZE_MAX);
    match u32::try_from(size) {
        Ok(size) if size > 0 => Ok(Shape::new(size, Wrap::Seamless)),
        _ => Err(AttachError::TooSmall { region: "byte ring", needed: DATA + 1, found: window.len() }),
    }
}

/// The end that writes.
#[derive(Debug)]
pub struct Writer {
    window: Window,
    shape: Shape,
    tail: Cursor,
    dropped: u32,
}

impl Writer {
    /// Takes the writing end.
    ///
    /// # Errors
    /// The region has no room for data.
    pub fn attach(window: Window) -> Result<Self, AttachError> {
        let shape = attach(&window)?;
        let tail = shape.cursor(window.load(WRITTEN, Relaxed)).unwrap_or_default();
        let dropped = window.load(DROPPED, Relaxed);
        Ok(Self { window, shape, tail, dropped })
    }

    /// Writes as much of `bytes` as there is room for, and counts the rest as dropped. How many were written. While the
    /// reader's counter makes no sense, all are dropped.
    pub fn write(&mut self, bytes: &[u8]) -> usize {
        let head = self.window.load(READ, Acquire);
        let used = self.shape.distance(head, self.tail.count);
        let room = used.map_or(0, |used| self.shape.capacity() - used) as usize;
        let (fit, lost) = bytes.split_at(room.min(bytes.len()));
        let to_end = (self.shape.capacity() - self.tail.slot) as usize;
        let (first, second) = fit.split_at(to_end.min(fit.len()));
        self.window.copy_in(DATA + self.tail.slot as usize, first);
        self.window.copy_in(DATA, second);
        self.tail = self.shape.skip(self.tail, fit.len());
        self.window.store(WRITTEN, self.tail.count, Release);
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
    shape: Shape,
    head: Cursor,
}

impl Reader {
    /// Takes the reading end.
    ///
    /// # Errors
    /// The region has no room for data.
    pub fn attach(window: Window) -> Result<Self, AttachError> {
        let shape = attach(&window)?;
        let head = shape.cursor(window.load(READ, Relaxed)).unwrap_or_default();
        Ok(Self { window, shape, head })
    }

    /// Reads at most `to.len()` bytes. How many were read: 0 also where the writer's counter makes no sense.
    pub fn read(&mut self, to: &mut [u8]) -> usize {
        let tail = self.window.load(WRITTEN, Acquire);
        let used = self.shape.distance(self.head.count, tail).unwrap_or(0) as usize;
        let take = used.min(to.len());
        let to_end = (self.shape.capacity() - self.head.slot) as usize;
        let (first, rest) = to.split_at_mut(to_end.min(take));
        let (second, _) = rest.split_at_mut(take - first.len());
        self.window.copy_out(DATA + self.head.slot as usize, first);
        self.window.copy_out(DATA, second);
        self.head = self.shape.skip(self.head, take);
        self.window.store(READ, self.head.count, Release);
        take
    }

    /// Bytes that the writer says it dropped, modulo 2^32.
    pub fn dropped(&self) -> u32 {
        self.window.load(DROPPED, Acquire)
    }
}
