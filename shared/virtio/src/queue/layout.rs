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
/// Offset of a slot's status byte, the first of a word of its own.
pub const STATUS: usize = 16;
/// Offset of a slot's own payload: 32 bytes.
pub const EXTRA: usize = 32;
/// Offset of a slot's indirect table: three descriptors.
pub const TABLE: usize = 64;
/// Bytes of a slot.
pub const SLOT: usize = 128;

/// The shape of a queue. Offsets that each request needs are kept, the others are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    size: u16,
    mask: u16,
    slots: u16,
    /// Descriptors of the queue's table that a slot takes: 1 with indirect tables, 3 without.
    stride: u16,
    /// What an index of the slot's own descriptors is counted from, for each slot: 0 with indirect tables.
    link: u16,
    avail: usize,
    used: usize,
    first_slot: usize,
    first_chain: usize,
    chain: usize,
}

impl Layout {
    /// The largest queue with at most `most` entries, as the device says, in a DMA region of `bytes`. `None` where not
    /// one request fits.
    pub fn fit(bytes: usize, most: u32, indirect: bool) -> Option<Self> {
        let wanted = if indirect { SLOTS_MAX } else { (SLOTS_MAX * 3).next_power_of_two() };
        let most = u16::try_from(most).unwrap_or(u16::MAX);
        let mut size = wanted.min(most.checked_ilog2().map(|log| 1 << log)?);
        while size > 1 {
            let layout = Self::new(size, indirect);
            if layout.slots > 0 && layout.end() <= bytes {
                return Some(layout);
            }
            size /= 2;
        }
        None
    }

    fn new(size: u16, indirect: bool) -> Self {
        let stride = if indirect { 1 } else { 3 };
        let entries = usize::from(size);
        let avail = entries * DESCRIPTOR;
        // The used ring's first word ends at a multiple of 8, so that each of its entries is one aligned word.
        let used = (avail + 8 + 2 * entries).next_multiple_of(64) + 4;
        let first_slot = (used + 8 + 8 * entries).next_multiple_of(SLOT);
        let (first_chain, chain) = if indirect { (first_slot + TABLE, SLOT) } else { (0, 3 * DESCRIPTOR) };
        let (slots, link) = ((size / stride).min(SLOTS_MAX), if indirect { 0 } else { 3 });
        Self { size, mask: size - 1, slots, stride, link, avail, used, first_slot, first_chain, chain }
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
        self.stride == 1
    }

    /// Bytes used of the DMA region: a multiple of 8.
    pub const fn end(&self) -> usize {
        self.slot(self.slots)
    }

    pub(super) const fn avail(&self) -> usize {
        self.avail
    }

    /// The entry of a ring for a free-running index.
    pub(super) const fn entry(&self, index: u16) -> usize {
        (index & self.mask) as usize
    }

    pub(super) const fn avail_entry(&self, index: u16) -> usize {
        self.avail + 4 + 2 * (index & self.mask) as usize
    }

    /// The word whose lower half is the event index for interrupts; the upper half belongs to nobody.
    pub(super) const fn used_event(&self) -> usize {
        // A queue of one entry would have its event index in the middle of a word; `fit` makes none.
        self.avail + 4 + 2 * self.size as usize
    }

    pub(super) const fn used(&self) -> usize {
        self.used
    }

    pub(super) const fn used_entry(&self, index: u16) -> usize {
        self.used + 4 + 8 * (index & self.mask) as usize
    }

    /// The word whose lower half is the event index for notifications.
    pub(super) const fn avail_event(&self) -> usize {
        self.used + 4 + 8 * self.size as usize
    }

    pub(super) const fn slot(&self, slot: u16) -> usize {
        self.first_slot + slot as usize * SLOT
    }

    /// Where the slot's three descriptors are.
    pub(super) const fn chain(&self, slot: u16) -> usize {
        self.first_chain + slot as usize * self.chain
    }

    /// The index by which one of the slot's three descriptors is linked.
    pub(super) const fn link(&self, slot: u16, nth: u16) -> u16 {
        slot * self.link + nth
    }

    /// The descriptor that heads the slot's request.
    pub(super) const fn head(&self, slot: u16) -> u16 {
        slot * self.stride
    }

    /// The slot that descriptor `id` would head: one that the layout has only where a slot of this number is held.
    #[inline]
    pub(super) fn slot_of(&self, id: u32) -> Option<u16> {
        let id = u16::try_from(id).ok()?;
        if self.stride == 1 { Some(id) } else { (id % 3 == 0).then_some(id / 3) }
    }
}
