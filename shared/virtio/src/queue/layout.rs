// SPDX-License-Identifier: MIT
//! Where the parts of a queue lie in its DMA region.
//!
//! Descriptor table, available ring, used ring, then 128 bytes for each slot. Slots start at a multiple of 128, so the
//! device's writes to one slot share no cache line with another's.

/// Most requests in flight.
pub const SLOTS_MAX: u16 = 128;
/// Bytes of a descriptor.
pub const DESCRIPTOR: usize = 16;
/// Offset of a slot's header in its 128 bytes: 16 bytes.
pub const HEADER: usize = 0;
/// Offset of a slot's extra payload: 16 bytes.
pub const EXTRA: usize = 16;
/// Offset of a slot's status byte.
pub const STATUS: usize = 32;
/// Offset of a slot's indirect table: three descriptors.
pub const TABLE: usize = 64;
const SLOT: usize = 128;

/// The shape of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    size: u16,
    slots: u16,
    indirect: bool,
}

impl Layout {
    /// The largest queue with at most `most` entries, as the device says, in a DMA region of `bytes`. `None` where not
    /// one request fits.
    pub fn fit(bytes: usize, most: u32, indirect: bool) -> Option<Self> {
        let wanted = if indirect { SLOTS_MAX } else { (SLOTS_MAX * 3).next_power_of_two() };
        let most = u16::try_from(most).unwrap_or(u16::MAX);
        let mut size = wanted.min(most.checked_ilog2().map(|log| 1 << log)?);
        while size > 1 {
            let slots = if indirect { size } else { size / 3 }.min(SLOTS_MAX);
            let layout = Self { size, slots, indirect };
            if slots > 0 && layout.end() <= bytes {
                return Some(layout);
            }
            size /= 2;
        }
        None
    }

    /// Entries of the queue: a power of two.
    pub const fn size(&self) -> u16 {
        self.size
    }

    /// Requests that it holds.
    pub const fn slots(&self) -> u16 {
        self.slots
    }

    /// Whether each slot's descriptors lie in a table of its own.
    pub const fn indirect(&self) -> bool {
        self.indirect
    }

    /// Bytes used of the DMA region: a multiple of 8.
    pub const fn end(&self) -> usize {
        self.slots_start() + self.slots as usize * SLOT
    }

    pub(super) const fn avail(&self) -> usize {
        self.size as usize * DESCRIPTOR
    }

    pub(super) const fn avail_entry(&self, index: u16) -> usize {
        self.avail() + 4 + 2 * (index & (self.size - 1)) as usize
    }

    /// The word whose lower half is the event index for interrupts; the upper half belongs to nobody.
    pub(super) const fn used_event(&self) -> usize {
        // A queue of one entry has its event index in the middle of a word; `fit` makes none.
        (self.avail() + 4 + 2 * self.size as usize).next_multiple_of(4)
    }

    pub(super) const fn used(&self) -> usize {
        (self.used_event() + 4).next_multiple_of(64)
    }

    pub(super) const fn used_entry(&self, index: u16) -> usize {
        self.used() + 4 + 8 * (index & (self.size - 1)) as usize
    }

    /// The word whose lower half is the event index for notifications.
    pub(super) const fn avail_event(&self) -> usize {
        self.used() + 4 + 8 * self.size as usize
    }

    const fn slots_start(&self) -> usize {
        (self.avail_event() + 4).next_multiple_of(SLOT)
    }

    pub(super) const fn slot(&self, slot: u16) -> usize {
        self.slots_start() + slot as usize * SLOT
    }

    /// Where the slot's three descriptors are.
    pub(super) const fn chain(&self, slot: u16) -> usize {
        if self.indirect { self.slot(slot) + TABLE } else { slot as usize * 3 * DESCRIPTOR }
    }

    /// The index by which one of the slot's three descriptors is linked.
    pub(super) const fn link(&self, slot: u16, nth: u16) -> u16 {
        if self.indirect { nth } else { slot * 3 + nth }
    }

    /// The descriptor that heads the slot's request.
    pub(super) const fn head(&self, slot: u16) -> u16 {
        if self.indirect { slot } else { slot * 3 }
    }

    /// The slot that descriptor `id` heads.
    pub(super) fn slot_of(&self, id: u32) -> Option<u16> {
        let id = u16::try_from(id).ok()?;
        let (slot, rest) = if self.indirect { (id, 0) } else { (id / 3, id % 3) };
        (rest == 0 && slot < self.slots).then_some(slot)
    }
}
