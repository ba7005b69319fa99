// SPDX-License-Identifier: MIT
//! The tables of an engine: free slots, answers that wait to be fetched.
use orion_block::Completion;

/// The slots that are free, the last freed first: its memory is still in the cache.
#[repr(C)]
#[derive(Debug)]
pub struct Free<const MOST: usize> {
    free: usize,
    slots: usize,
    stack: [u16; MOST],
}

impl<const MOST: usize> Free<MOST> {
    /// `slots` free slots.
    pub fn new(slots: u16) -> Self {
        let slots = slots.min(u16::try_from(MOST).unwrap_or(u16::MAX));
        let mut stack = [0; MOST];
        stack.iter_mut().zip((0..slots).rev()).for_each(|(to, slot)| *to = slot);
        Self { stack, free: slots.into(), slots: slots.into() }
    }

    /// Takes a free slot.
    #[inline]
    pub fn take(&mut self) -> Option<u16> {
        let below = self.free.checked_sub(1)?;
        let slot = *self.stack.get(below)?;
        self.free = below;
        Some(slot)
    }

    /// Gives a taken slot back.
    #[inline]
    pub fn give(&mut self, slot: u16) {
        if let Some(place) = self.stack.get_mut(self.free) {
            *place = slot;
            self.free += 1;
        }
    }

    /// How many there are.
    #[inline]
    pub fn count(&self) -> usize {
        self.free
    }

    /// Whether no slot is taken.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.free == self.slots
    }
}

/// Answers that no device is needed for, or that a reset left: oldest first. The node above keeps to the capacity, so
/// that they and the requests at the device are never more than the slots.
#[repr(C)]
#[derive(Debug)]
pub struct Done<T, const MOST: usize> {
    count: usize,
    first: usize,
    answers: [(T, Completion); MOST],
}

impl<T: Copy + Default, const MOST: usize> Done<T, MOST> {
    /// None.
    #[expect(clippy::new_without_default, reason = "as all tables are made")]
    pub fn new() -> Self {
        Self { answers: [(T::default(), Completion::ok(0)); MOST], first: 0, count: 0 }
    }

    /// Adds an answer.
    #[inline]
    pub fn push(&mut self, tag: T, done: Completion) {
        debug_assert!(self.count < MOST, "the node above keeps to the capacity");
        let place = (self.first + self.count) % MOST;
        if let Some(answer) = self.answers.get_mut(place).filter(|_| self.count < MOST) {
            *answer = (tag, done);
            self.count += 1;
        }
    }

    /// How many there are.
    #[inline]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Takes the oldest.
    #[inline]
    pub fn pop(&mut self) -> Option<(T, Completion)> {
        self.count = self.count.checked_sub(1)?;
        let answer = self.answers.get(self.first).copied();
        self.first = (self.first + 1) % MOST;
        answer
    }
}
