// SPDX-License-Identifier: MIT
//! The slots' own 128 bytes in DMA memory: header, status, own payload, table.
use super::layout::{EXTRA, SLOT, STATUS};
use super::{NO_STATUS, Payload, WORDS, store};
use core::sync::atomic::{AtomicU64, Ordering};
use orion_region::{Table, Window};

/// The slots of a queue, behind its rings.
#[derive(Debug)]
pub struct Slots {
    memory: Window,
    bus: u64,
    first: usize,
    words: Table<[AtomicU64; 16]>,
}

impl Slots {
    /// `count` slots from byte `first` of `memory` on, a multiple of 128; none where they do not lie in it.
    pub fn new(memory: Window, bus: u64, first: usize, count: u16) -> Self {
        Self { words: Table::new(&memory, first, count.into()).unwrap_or_else(Table::empty), memory, bus, first }
    }

    /// How many there are.
    pub fn count(&self) -> u16 {
        u16::try_from(self.words.len()).unwrap_or(0)
    }

    /// Zeroes all of the memory up to their end.
    pub fn clear(&mut self) {
        for at in (0..self.first + self.words.len() * SLOT).step_by(8) {
            self.memory.write(at, 0u64);
        }
    }

    /// The bus address of a byte of the memory.
    pub fn bus(&self, offset: usize) -> u64 {
        self.bus.wrapping_add(offset as u64)
    }

    /// The bus address of a byte of a slot.
    pub fn at(&self, slot: u16, offset: usize) -> u64 {
        self.bus(self.first + usize::from(slot) * SLOT + offset)
    }

    /// Stores words into a slot, from byte `offset` on.
    pub fn store<const N: usize>(&self, slot: u16, offset: usize, values: [u64; N]) {
        if let Some(words) = self.memory.longs::<N>(self.first + usize::from(slot) * SLOT + offset) {
            store(words.each_ref(), values);
        }
    }

    /// The aligned words at a byte of the memory.
    pub fn longs<const N: usize>(&self, offset: usize) -> Option<&[AtomicU64; N]> {
        self.memory.longs(offset)
    }

    /// See [`super::Ring::words`].
    pub fn words(&self, slot: u16, words: [u64; WORDS], len: u32) -> Payload {
        self.store(slot, EXTRA, words);
        Payload::to_device(self.at(slot, EXTRA), len)
    }

    /// See [`super::Ring::blank`].
    pub fn blank(&self, slot: u16, len: u32) -> Payload {
        self.store(slot, EXTRA, [0; WORDS]);
        Payload::from_device(self.at(slot, EXTRA), len)
    }

    /// See [`super::Ring::written`].
    pub fn written(&self, slot: u16) -> [u64; WORDS] {
        let words = self.memory.longs::<WORDS>(self.first + usize::from(slot) * SLOT + EXTRA);
        words.map_or([0; WORDS], |words| words.each_ref().map(|word| u64::from_le(word.load(Ordering::Relaxed))))
    }

    /// The status byte of a slot.
    pub fn status(&self, slot: u16) -> u8 {
        self.words.get(slot.into()).map_or(NO_STATUS, |words| {
            let [status, ..] = words[STATUS / 8].load(Ordering::Relaxed).to_ne_bytes();
            status
        })
    }
}
