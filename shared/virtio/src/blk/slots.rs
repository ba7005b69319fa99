// SPDX-License-Identifier: MIT
//! The tables of a driver: requests at the device, free slots, answers that wait to be fetched.
use crate::queue::SLOTS_MAX;
use orion_block::{Completion, Instant};

const MOST: usize = SLOTS_MAX as usize;

/// A request at the device.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot<T> {
    /// What its sender calls it.
    pub tag: T,
    /// Its blocks.
    pub blocks: u32,
    /// Bytes that the device must have written before the status.
    pub reads: u32,
    /// Whether a flush follows before it is answered.
    pub flush_after: bool,
    /// When it is given up.
    pub deadline: Instant,
}

/// The slots that are free, the last freed first: its memory is still in the cache.
#[repr(C)]
#[derive(Debug)]
pub struct Free {
    free: usize,
    slots: usize,
    stack: [u16; MOST],
}

impl Free {
    /// `slots` free slots.
    pub fn new(slots: u16) -> Self {
        let slots = slots.min(SLOTS_MAX);
        let mut stack = [0; MOST];
        stack.iter_mut().zip((0..slots).rev()).for_each(|(to, slot)| *to = slot);
        Self { stack, free: slots.into(), slots: slots.into() }
    }

    /// Takes a free slot.
    pub fn take(&mut self) -> Option<u16> {
        let below = self.free.checked_sub(1)?;
        let slot = *self.stack.get(below)?;
        self.free = below;
        Some(slot)
    }

    /// Gives a taken slot back.
    pub fn give(&mut self, slot: u16) {
        if let Some(place) = self.stack.get_mut(self.free) {
            *place = slot;
            self.free += 1;
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.free
    }

    /// Whether no slot is taken.
    pub fn is_full(&self) -> bool {
        self.free == self.slots
    }
}

/// Answers that no device is needed for, or that a reset left: oldest first. The node above keeps to the capacity, so
/// that they and the requests at the device are never more than the slots.
#[repr(C)]
#[derive(Debug)]
pub struct Done<T> {
    count: usize,
    first: usize,
    answers: [(T, Completion); MOST],
}

impl<T: Copy + Default> Done<T> {
    /// None.
    pub fn new() -> Self {
        Self { answers: [(T::default(), Completion::ok(0)); MOST], first: 0, count: 0 }
    }

    /// Adds an answer.
    pub fn push(&mut self, tag: T, done: Completion) {
        debug_assert!(self.count < MOST, "the node above keeps to the capacity");
        let place = (self.first + self.count) % MOST;
        if let Some(answer) = self.answers.get_mut(place).filter(|_| self.count < MOST) {
            *answer = (tag, done);
            self.count += 1;
        }
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes the oldest.
    pub fn pop(&mut self) -> Option<(T, Completion)> {
        self.count = self.count.checked_sub(1)?;
        let answer = self.answers.get(self.first).copied();
        self.first = (self.first + 1) % MOST;
        answer
    }
}
