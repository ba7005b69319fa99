// SPDX-License-Identifier: MIT
//! Slots in the order in which the device got them.
use super::SLOTS_MAX;

const MOST: u16 = SLOTS_MAX;

/// Slots, the oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Fifo {
    first: u16,
    count: u16,
    slots: [u16; MOST as usize],
}

impl Fifo {
    /// None.
    pub const EMPTY: Self = Self { first: 0, count: 0, slots: [0; MOST as usize] };

    fn place(&self, nth: u16) -> usize {
        usize::from((self.first + nth) % MOST)
    }

    /// Adds the youngest. There are never more than there are slots.
    pub fn push(&mut self, slot: u16) {
        let place = self.place(self.count);
        if let Some(to) = self.slots.get_mut(place).filter(|_| self.count < MOST) {
            *to = slot;
            self.count += 1;
        }
    }

    /// Takes the oldest.
    pub fn pop(&mut self) -> Option<u16> {
        self.count = self.count.checked_sub(1)?;
        let slot = self.slots.get(self.place(0)).copied();
        self.first = (self.first + 1) % MOST;
        slot
    }

    /// How many there are up to and with `slot`.
    pub fn upto(&self, slot: u16) -> Option<u16> {
        (1..=self.count).find(|nth| self.slots.get(self.place(nth - 1)) == Some(&slot))
    }
}
