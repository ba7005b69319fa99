// SPDX-License-Identifier: MIT
//! A request in one of a port's slots, and the structures of the slot in memory.
use super::Port;
use crate::layout::{self, SLOTS};
use crate::wire::ata::TaskFile;
use crate::wire::{fis, memory};
use core::sync::atomic::Ordering::Relaxed;
use orion_block::{Error, Instant};

/// What is to be known of a request.
pub mod flag {
    /// It goes to the device as a queued command.
    pub const QUEUED: u8 = 1;
    /// It changes what blocks read as.
    pub const WRITE: u8 = 1 << 1;
    /// A flush follows before it is answered.
    pub const FLUSH_AFTER: u8 = 1 << 2;
    /// The controller counts the bytes that it moves.
    pub const COUNTED: u8 = 1 << 3;
    /// It is the driver's own.
    pub const OWN: u8 = 1 << 4;
    /// More is to be done when it ends than to answer it.
    pub const SPECIAL: u8 = FLUSH_AFTER | COUNTED | OWN;
}

/// A request in a slot.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot<T> {
    /// What its sender calls it.
    pub tag: T,
    /// When it is given up.
    pub deadline: Instant,
    /// Its blocks.
    pub blocks: u32,
    /// Bytes that it moves.
    pub bytes: u32,
    /// [`flag`]s.
    pub flags: u8,
    /// Times that it was tried again because of what was not its fault.
    pub tries: u8,
    /// Why it failed.
    pub error: Option<Error>,
}

impl<T: Copy + Default> Port<T> {
    /// Fills in what never changes: where each slot's table lies. The FIS's last words, and the zeroes, stay zero.
    pub(super) fn lay_out(&mut self) {
        for word in (0..layout::PORT_BYTES).step_by(8) {
            self.dma.write(word, 0u64);
        }
        for (slot, table) in (0..SLOTS).zip((self.dma_bus + layout::TABLES as u64..).step_by(layout::TABLE_BYTES)) {
            if let Some(header) = self.list.get(slot) {
                header[1].store(table, Relaxed);
            }
        }
    }

    /// Writes a command that moves `bytes` at `address` into a slot: at most as many as a table's entries describe.
    #[inline]
    pub(super) fn describe(&self, slot: u8, words: [u64; 2], write: bool, address: u64, bytes: u32) {
        let (Some(header), Some(table)) = (self.list.get(slot.into()), self.tables.get(slot.into())) else { return };
        table[0].store(words[0] | self.route[1], Relaxed);
        table[1].store(words[1], Relaxed);
        table[layout::PRDT].store(address, Relaxed);
        table[layout::PRDT + 1].store(memory::entry(bytes), Relaxed);
        header[0].store(memory::head(write, 1) | self.route[0], Relaxed);
        if bytes > layout::ENTRY_BYTES {
            self.describe_large(slot, write, address, bytes);
        }
    }

    /// The entries of what one can't describe.
    #[cold]
    #[inline(never)]
    fn describe_large(&self, slot: u8, write: bool, mut address: u64, bytes: u32) {
        let (Some(header), Some(table)) = (self.list.get(slot.into()), self.tables.get(slot.into())) else { return };
        let (mut rest, mut entries) = (bytes, 0);
        for pair in table.get(layout::PRDT..).unwrap_or_default().chunks_exact(2) {
            let now = rest.min(layout::ENTRY_BYTES);
            if let ([first, second], true) = (pair, now > 0) {
                first.store(address, Relaxed);
                second.store(memory::entry(now), Relaxed);
                entries += 1;
            }
            rest -= now;
            address = address.wrapping_add(now.into());
        }
        header[0].store(memory::head(write, entries) | self.route[0], Relaxed);
    }

    /// Writes a command without payload into a slot.
    pub(super) fn describe_empty(&self, slot: u8, task: &TaskFile) {
        let (Some(header), Some(table)) = (self.list.get(slot.into()), self.tables.get(slot.into())) else { return };
        let [first, second] = fis::words(task);
        table[0].store(first | self.route[1], Relaxed);
        table[1].store(second, Relaxed);
        header[0].store(memory::head(false, 0) | self.route[0], Relaxed);
    }

    /// Writes a command into a slot whose payload is a list of ranges to trim: 512 bytes, of which the ranges are the first.
    pub(super) fn describe_ranges(&self, slot: u8, task: &TaskFile, lba: u64, blocks: u32) {
        let (Some(header), Some(table)) = (self.list.get(slot.into()), self.tables.get(slot.into())) else { return };
        let [first, second] = fis::words(task);
        table[0].store(first | self.route[1], Relaxed);
        table[1].store(second, Relaxed);
        let (mut at, mut rest) = (lba, blocks);
        for word in table.get(layout::RANGES..).unwrap_or_default() {
            // A range is at most 65,535 blocks; one of none says nothing (ACS-3, 7.5.3).
            let now = rest.min(0xffff);
            word.store(if now == 0 { 0 } else { at | u64::from(now) << 48 }, Relaxed);
            at += u64::from(now);
            rest -= now;
        }
        let own = self.tables_bus + u64::from(slot) * layout::TABLE_BYTES as u64 + layout::RANGES as u64 * 8;
        let ranges = layout::RANGES_MAX * 8;
        for (place, word) in [
            (layout::PRDT, own),
            (layout::PRDT + 1, memory::entry(ranges)),
            (layout::PRDT + 2, self.dma_bus + layout::ZEROES as u64),
            (layout::PRDT + 3, memory::entry(512 - ranges)),
        ] {
            if let Some(to) = table.get(place) {
                to.store(word, Relaxed);
            }
        }
        header[0].store(memory::head(true, 2) | self.route[0], Relaxed);
    }

    /// Bytes that the controller says it moved for a slot.
    pub(super) fn moved(&self, slot: u8) -> u32 {
        let header = self.list.get(slot.into()).map_or(0, |header| header[0].load(Relaxed));
        u32::try_from(header >> 32).unwrap_or(0)
    }

    /// Nothing was moved for a slot that is about to be issued again (4.2.2: software clears the count).
    pub(super) fn rewind(&self, slot: u8) {
        if let Some(header) = self.list.get(slot.into()) {
            header[0].store(header[0].load(Relaxed) & u64::from(u32::MAX), Relaxed);
        }
    }

    /// The slots of `mask`, one after the other.
    pub(super) fn each(mask: u32) -> impl Iterator<Item = u8> {
        (0u8..32).filter(move |slot| mask >> slot & 1 != 0)
    }

    /// Ends a request with an error. The device must not hold it.
    pub(super) fn fail(&mut self, slot: u8, error: Error) {
        let bit = 1u32.wrapping_shl(slot.into());
        (self.queued, self.plain) = (self.queued & !bit, self.plain & !bit);
        (self.lost, self.suspects) = (self.lost & !bit, self.suspects & !bit);
        if bit & self.all & !self.free == 0 {
            return;
        }
        if let Some(record) = self.slots.get_mut(usize::from(slot)) {
            record.error = Some(error);
            self.ended |= bit;
        }
    }

    /// Ends every request that the device does not hold.
    pub(super) fn fail_all(&mut self, error: Error) {
        for slot in Self::each(self.all & !self.free & !self.held & !self.ended) {
            self.fail(slot, error);
        }
    }
}
