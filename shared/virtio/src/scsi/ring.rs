// SPDX-License-Identifier: MIT
//! The rings of a split virtqueue (virtio 1.2, section 2.7) in a DMA region, without opinion on what descriptors hold:
//! whoever uses them keeps a chain for each head, and knows which the device has.
use crate::mmio::halves;
use crate::queue::Misused;
use core::sync::atomic::{AtomicU16, AtomicU64, Ordering, fence};
use orion_region::{Fixed, Table, Window};

/// Bytes of a descriptor.
pub const DESCRIPTOR: usize = 16;
/// Used ring flag (2.7.6): the device needs no notification.
const NO_NOTIFY: u32 = 1;

/// Descriptor flags (2.7.5).
pub mod flags {
    /// Another follows.
    pub const NEXT: u16 = 1;
    /// The device writes it.
    pub const WRITE: u16 = 2;
    /// It is a table of descriptors.
    pub const INDIRECT: u16 = 4;
}

/// The second half of a descriptor: length, flags, next.
#[inline]
pub fn tail(len: u32, flags: u16, next: u16) -> u64 {
    u64::from(len) | u64::from(flags) << 32 | u64::from(next) << 48
}

/// Where the parts of a queue lie: its descriptors, the available ring, the used ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    /// Entries: a power of two.
    pub size: u16,
    /// Descriptors.
    pub table: usize,
    avail: usize,
    used: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Parts {
    /// None.
    pub const NONE: Self = Self { size: 0, table: 0, avail: 0, used: 0, end: 0 };

    /// A queue of `size` entries from `offset`, a multiple of 64.
    pub fn new(offset: usize, size: u16) -> Self {
        let entries = usize::from(size);
        let avail = offset + entries * DESCRIPTOR;
        // The used ring's first word ends at a multiple of 8, so that each of its entries is one aligned word.
        let used = (avail + 8 + 2 * entries).next_multiple_of(64) + 4;
        let end = (used + 8 + 8 * entries).next_multiple_of(64);
        Self { size, table: offset, avail, used, end }
    }

    fn used_event(&self) -> usize {
        self.avail + 4 + 2 * usize::from(self.size)
    }

    fn avail_event(&self) -> usize {
        self.used + 4 + 8 * usize::from(self.size)
    }
}

/// A queue's rings.
#[derive(Debug)]
pub struct Ring {
    staged: u16,
    published: u16,
    taken: u16,
    seen: u16,
    armed: Option<u16>,
    mask: u16,
    event_idx: bool,
    avail: Table<AtomicU16>,
    used: Table<AtomicU64>,
    /// Flags and index of the available ring, and of the used ring.
    heads: [Option<Fixed<4>>; 2],
    /// The event index for interrupts, and the one for notifications.
    events: [Option<Fixed<4>>; 2],
    parts: Parts,
}

impl Ring {
    /// Empty rings, whose memory is written. The device must be reset.
    pub fn new(memory: &Window, parts: Parts, event_idx: bool) -> Self {
        (parts.table..parts.end).step_by(8).for_each(|at| {
            memory.write(at, 0u64);
        });
        let entries = parts.size.into();
        let fixed = |at| Fixed::within(memory, at);
        Self {
            staged: 0,
            published: 0,
            taken: 0,
            seen: 0,
            armed: None,
            mask: parts.size.wrapping_sub(1),
            event_idx,
            avail: Table::new(memory, parts.avail + 4, entries).unwrap_or_else(Table::empty),
            used: Table::new(memory, parts.used + 4, entries).unwrap_or_else(Table::empty),
            heads: [fixed(parts.avail), fixed(parts.used)],
            events: [fixed(parts.used_event()), fixed(parts.avail_event())],
            parts,
        }
    }

    /// No rings: nothing is offered there, and nothing comes back.
    pub const fn none() -> Self {
        Self {
            staged: 0,
            published: 0,
            taken: 0,
            seen: 0,
            armed: None,
            mask: 0,
            event_idx: false,
            avail: Table::empty(),
            used: Table::empty(),
            heads: [None, None],
            events: [None, None],
            parts: Parts::NONE,
        }
    }

    /// Offsets of descriptors, the driver's and the device's area.
    pub fn areas(&self) -> [usize; 3] {
        [self.parts.table, self.parts.avail, self.parts.used]
    }

    /// Entries.
    pub fn size(&self) -> u16 {
        self.parts.size
    }

    /// Hands the chain at `head` to the device, which sees it at the next [`publish`](Self::publish). No more chains may be
    /// with the device than the queue has entries.
    #[inline]
    pub fn offer(&mut self, head: u16) {
        if let Some(entry) = self.avail.get(usize::from(self.staged & self.mask)) {
            entry.store(head.to_le(), Ordering::Relaxed);
        }
        self.staged = self.staged.wrapping_add(1);
    }

    /// Shows the device what was offered; whether it must be notified of it.
    #[inline]
    pub fn publish(&mut self) -> bool {
        let (old, new) = (self.published, self.staged);
        if old == new {
            return false;
        }
        // Flags (0: interrupt us) and index are one word. Release: the device sees descriptors before the index.
        if let [Some(head), _] = &self.heads {
            head.store(0, (u32::from(new) << 16).to_le(), Ordering::Release);
        }
        self.published = new;
        // 2.7.13.3.1: whether the device waits is read after the index was written, or a notification may be lost.
        fence(Ordering::SeqCst);
        if !self.event_idx {
            return self.used_head(Ordering::Relaxed).0 & NO_NOTIFY == 0;
        }
        let [_, event] = &self.events;
        let word = u32::from_le(event.as_ref().map_or(0, |event| event.load(0, Ordering::Relaxed)));
        let event = u16::try_from(word & 0xffff).unwrap_or(0);
        new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
    }

    /// The next chain that the device has used: its head, and how many bytes the device says it wrote.
    ///
    /// # Errors
    /// [`Misused`] where it used more than was offered.
    #[inline]
    pub fn pop(&mut self) -> Result<Option<(u32, u32)>, Misused> {
        if self.taken == self.seen && !self.look()? {
            return Ok(None);
        }
        let entry = self.used.get(usize::from(self.taken & self.mask));
        let [id, written] = halves(entry.map_or(u64::MAX, |word| u64::from_le(word.load(Ordering::Relaxed))));
        self.taken = self.taken.wrapping_add(1);
        Ok(Some((id, written)))
    }

    /// Reads the used index; whether there is something to take.
    fn look(&mut self) -> Result<bool, Misused> {
        // Acquire: the entries and what the device wrote into memory come after the index.
        let (_, index) = self.used_head(Ordering::Acquire);
        let fresh = index.wrapping_sub(self.taken);
        if fresh > self.published.wrapping_sub(self.taken) {
            return Err(Misused("the device used more requests than it holds"));
        }
        self.seen = index;
        Ok(fresh != 0)
    }

    /// Asks the device for an interrupt at its next completion; whether one came meanwhile, so that the caller must look
    /// again.
    #[inline]
    pub fn arm(&mut self) -> bool {
        if self.event_idx && self.armed != Some(self.taken) {
            if let [Some(word), _] = &self.events {
                word.store(0, u32::from(self.taken).to_le(), Ordering::Relaxed);
            }
            self.armed = Some(self.taken);
            // 2.7.7.2: the used index is read after the event index was written, or an interrupt may be lost.
            fence(Ordering::SeqCst);
        }
        self.used_head(Ordering::Acquire).1 != self.taken
    }

    /// The flags and the index of the used ring: both are in its first word.
    #[inline]
    fn used_head(&self, order: Ordering) -> (u32, u16) {
        let [_, head] = &self.heads;
        let word = u32::from_le(head.as_ref().map_or(0, |head| head.load(0, order)));
        (word & 0xffff, u16::try_from(word >> 16).unwrap_or(0))
    }
}
