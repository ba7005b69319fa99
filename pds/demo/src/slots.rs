// SPDX-License-Identifier: MIT
//! The data region, cut into as many slots as requests may be in flight.
use crate::job::{MOST_SLOTS, Slot};

/// The slots and which of them are free.
#[derive(Debug)]
pub struct Slots {
    bytes: u64,
    count: usize,
    /// Bit `n`: slot `n` is free.
    free: u64,
}

impl Slots {
    /// `count` slots of `bytes` bytes, at most [`MOST_SLOTS`].
    pub fn new(bytes: u64, count: usize) -> Self {
        let count = count.min(MOST_SLOTS);
        let free = if count == MOST_SLOTS { u64::MAX } else { (1 << count) - 1 };
        Self { bytes, count, free }
    }

    fn slot(&self, index: usize) -> Slot {
        let offset = self.bytes.wrapping_mul(index as u64);
        Slot { index, offset }
    }

    /// A free slot. It stays free until it is taken.
    pub fn first_free(&self) -> Option<Slot> {
        let index = self.free.trailing_zeros() as usize;
        (index < self.count).then(|| self.slot(index))
    }

    /// Marks a slot as in use by the request of the same number.
    pub fn take(&mut self, slot: Slot) {
        self.free &= !(1 << slot.index);
    }

    /// Frees the slot of request `id`, which was in flight.
    pub fn put_back(&mut self, id: u32) -> Slot {
        self.free |= 1u64.wrapping_shl(id);
        self.slot(usize::try_from(id).unwrap_or(0))
    }
}
