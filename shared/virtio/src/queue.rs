// SPDX-License-Identifier: MIT
//! A split virtqueue (virtio 1.2, section 2.7) for requests of one shape: a header, at most one payload, a status.
//!
//! Every request slot owns its three descriptors, its header and its status byte for ever, so a submission writes
//! the header, the payload's descriptor and one entry of the available ring, and a completion frees nothing. With
//! INDIRECT_DESC the three lie in a table of the slot's own, and the queue holds as many requests as it has entries.
//!
//! The payload is a bus address: no memory but the DMA region is named, let alone referenced, here. Nothing that the
//! device can write is trusted: not what it used, not how far, and descriptors are never read back.
use crate::mmio::halves;
use core::sync::atomic::{AtomicU16, AtomicU64, Ordering, fence};
use orion_region::{Circle, Fixed, Window};

mod any;
mod cursor;
mod fifo;
mod layout;
mod many;
mod ordered;
mod packed;
mod ring;
mod slots;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod threads;

pub use any::AnyQueue;
use layout::{DESCRIPTOR, EXTRA, HEADER, STATUS, TABLE};
pub use layout::{Layout, SLOTS_MAX};
pub use many::Many;
pub use ring::{Place, QUEUES_MAX, RING_RESET, Ring, Terms, WORDS, Wishes};

/// Descriptor flags (2.7.5).
mod flags {
    pub const NEXT: u16 = 1;
    pub const WRITE: u16 = 2;
    pub const INDIRECT: u16 = 4;
}
/// Used ring flag (2.7.6): the device needs no notification.
const NO_NOTIFY: u32 = 1;
/// What a status byte holds until the device writes it: no status that virtio defines.
pub const NO_STATUS: u8 = 0xff;

/// Payload of one request: memory that the device reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload {
    address: u64,
    len: u32,
    flags: u16,
}

impl Payload {
    /// None.
    pub const NONE: Self = Self { address: 0, len: 0, flags: 0 };

    /// `len` bytes at this bus address, which the device reads.
    pub const fn to_device(address: u64, len: u32) -> Self {
        Self { address, len, flags: 0 }
    }

    /// `len` bytes at this bus address, which the device writes.
    pub const fn from_device(address: u64, len: u32) -> Self {
        Self { address, len, flags: flags::WRITE }
    }
}

/// A request that the device has used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Used {
    /// Its slot.
    pub slot: u16,
    /// Bytes that the device says it wrote: payload and status.
    pub written: u32,
    /// The status byte; [`NO_STATUS`] where the device wrote none.
    pub status: u8,
}

/// A set of slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held([bool; SLOTS_MAX as usize]);

impl Held {
    /// None.
    pub const NONE: Self = Self([false; SLOTS_MAX as usize]);

    /// Whether `slot` is one of them.
    pub fn contains(&self, slot: u16) -> bool {
        self.0.get(usize::from(slot)).is_some_and(|held| *held)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.iter().filter(|held| **held).count()
    }

    /// Puts `slot` in.
    pub fn add(&mut self, slot: u16) {
        self.set(slot, true);
    }

    /// Puts `slot` in or takes it out; whether that changed anything.
    fn set(&mut self, slot: u16, held: bool) -> bool {
        self.0.get_mut(usize::from(slot)).is_some_and(|h| core::mem::replace(h, held) != held)
    }
}

/// The device broke the rules of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misused(pub &'static str);

/// What came of asking for an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Armed {
    /// The device was asked.
    Now,
    /// It knew already: nothing was taken since it was last asked.
    Already,
    /// It used something meanwhile, so that the caller must look again.
    Late,
}

/// What each request touches of the DMA region.
#[derive(Debug)]
struct Tables {
    /// Entries of the available ring.
    avail: Circle<AtomicU16>,
    /// Entries of the used ring.
    used: Circle<AtomicU64>,
    /// The slots' own 128 bytes.
    slots: Circle<[AtomicU64; 16]>,
    /// Flags and index of the available ring, and of the used ring.
    heads: [Option<Fixed<4>>; 2],
    /// The event index for interrupts, and the one for notifications.
    events: [Option<Fixed<4>>; 2],
}

impl Tables {
    /// Those of a layout; `None` where the memory does not hold them.
    fn new(memory: &Window, layout: &Layout) -> Option<Self> {
        let (entries, slots) = (layout.size().into(), layout.slots().into());
        Some(Self {
            avail: Circle::new(memory, layout.avail_entry(0), entries)?,
            used: Circle::new(memory, layout.used_entry(0), entries)?,
            slots: Circle::new(memory, layout.slot(0), slots)?,
            heads: [layout.avail(), layout.used()].map(|at| Fixed::within(memory, at)),
            events: [layout.used_event(), layout.avail_event()].map(|at| Fixed::within(memory, at)),
        })
    }
}

/// A split virtqueue in a DMA region.
#[repr(C)]
#[derive(Debug)]
pub struct Queue {
    /// One past the last entry of the available ring that was written.
    staged: u16,
    /// The available index as the device sees it.
    published: u16,
    /// One past the last entry of the used ring that was taken.
    taken: u16,
    /// The used index as last read.
    seen: u16,
    /// `taken` when the device was last asked to interrupt; nothing while it was not asked at all.
    armed: Option<u16>,
    layout: Layout,
    event_idx: bool,
    tables: Tables,
    /// The slots that the device holds.
    held: Held,
    memory: Window,
    bus: u64,
}

impl Queue {
    /// An empty queue in `memory`, which the device names by the bus address `bus`. The device must be reset. `None` where the
    /// memory is too small for the layout, or not aligned.
    pub fn new(memory: Window, bus: u64, layout: Layout, event_idx: bool) -> Option<Self> {
        let mut queue = Self {
            tables: Tables::new(&memory, &layout)?,
            memory,
            bus,
            layout,
            event_idx,
            staged: 0,
            published: 0,
            taken: 0,
            seen: 0,
            armed: None,
            held: Held::NONE,
        };
        queue.reset(event_idx);
        Some(queue)
    }

    /// Empties the queue. The device must be reset.
    pub fn reset(&mut self, event_idx: bool) {
        let layout = self.layout;
        self.event_idx = event_idx;
        (self.staged, self.published, self.taken, self.seen) = (0, 0, 0, 0);
        (self.armed, self.held) = (None, Held::NONE);
        for at in (0..layout.end()).step_by(8) {
            self.memory.write(at, 0u64);
        }
        (0..layout.slots()).for_each(|slot| self.prepare(slot));
    }

    /// Takes nothing any more of what the device was seen to have used, and holds it to hold nothing. It must be reset.
    pub fn forget(&mut self) {
        (self.seen, self.held) = (self.taken, Held::NONE);
    }

    /// Writes what never changes of a slot: where its header, status and table are.
    fn prepare(&mut self, slot: u16) {
        let (chain, own) = (self.layout.chain(slot), self.layout.slot(slot));
        self.describe(chain, own + HEADER, 16, flags::NEXT, self.layout.link(slot, 1));
        self.describe(chain + 2 * DESCRIPTOR, own + STATUS, 1, flags::WRITE, 0);
        if self.layout.indirect() {
            self.describe(usize::from(slot) * DESCRIPTOR, own + TABLE, 3 * 16, flags::INDIRECT, 0);
        }
    }

    /// A descriptor for `len` bytes of the DMA region.
    fn describe(&mut self, at: usize, offset: usize, len: u32, flags: u16, next: u16) {
        let address = self.bus.wrapping_add(offset as u64);
        self.put(at, [address, tail(len, flags, next)]);
    }

    /// Where the queue lies and how large it is.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Bus addresses of the descriptor table, the driver's and the device's area.
    pub fn areas(&self) -> [u64; 3] {
        [0, self.layout.avail(), self.layout.used()].map(|offset| self.bus.wrapping_add(offset as u64))
    }

    /// Slots that the device holds.
    pub fn held(&self) -> Held {
        self.held
    }

    /// Whether the device was seen to have used something that was not taken yet.
    #[inline]
    pub fn has_seen(&self) -> bool {
        self.taken != self.seen
    }

    /// Whether the device has used something that was not taken yet.
    pub fn pending(&self) -> bool {
        self.used_head(Ordering::Acquire).1 != self.taken
    }

    /// Lays words for the device into `slot`, of which it reads `len` bytes: the payload for the [`stage`](Self::stage) that
    /// follows.
    pub fn words(&mut self, slot: u16, words: [u64; WORDS], len: u32) -> Payload {
        let at = self.layout.slot(slot) + EXTRA;
        self.put(at, words);
        Payload::to_device(self.bus.wrapping_add(at as u64), len)
    }

    /// Room in `slot` for `len` bytes of the device's: the payload for the [`stage`](Self::stage) that follows.
    pub fn blank(&mut self, slot: u16, len: u32) -> Payload {
        let at = self.layout.slot(slot) + EXTRA;
        self.put(at, [0; WORDS]);
        Payload::from_device(self.bus.wrapping_add(at as u64), len)
    }

    /// What the device wrote there.
    pub fn written(&self, slot: u16) -> [u64; WORDS] {
        let words = self.memory.longs::<WORDS>(self.layout.slot(slot) + EXTRA);
        words.map_or([0; WORDS], |words| words.each_ref().map(|word| u64::from_le(word.load(Ordering::Relaxed))))
    }

    /// Hands the request in `slot` to the device, which sees it at the next [`publish`](Self::publish). The slot must
    /// be one of the layout's, and free.
    #[inline(always)]
    pub fn stage(&mut self, slot: u16, header: [u64; 2], payload: Payload) {
        let fresh = self.held.set(slot, true);
        debug_assert!(fresh, "the slot is free");
        let request = [header[0], header[1], NO_STATUS.into()];
        let head = if self.layout.indirect() {
            let chain = chain(payload, 0);
            // All of it lies within the slot's 128 bytes, which are looked up once.
            let [a, b, c, _, _, _, _, _, _, d, e, f, ..] = self.tables.slots.at(slot.into());
            store([a, b, c, d, e, f], [request[0], request[1], request[2], chain[0], chain[1], chain[2]]);
            slot
        } else {
            self.put(self.layout.slot(slot) + HEADER, request);
            self.put(self.layout.chain(slot) + 8, chain(payload, self.layout.head(slot)));
            self.layout.head(slot)
        };
        self.tables.avail.at(self.staged.into()).store(head.to_le(), Ordering::Relaxed);
        self.staged = self.staged.wrapping_add(1);
    }

    fn put<const N: usize>(&self, at: usize, values: [u64; N]) {
        if let Some(words) = self.memory.longs::<N>(at) {
            store(words.each_ref(), values);
        }
    }

    /// Shows the device everything that was staged; whether it must be notified of it.
    pub fn publish(&mut self) -> bool {
        let (old, new) = (self.published, self.staged);
        if old == new {
            return false;
        }
        // Flags (0: interrupt us) and index are one word. Release: the device sees descriptors before the index.
        let word = u32::from(new) << 16;
        if let [Some(head), _] = &self.tables.heads {
            head.store(0, word.to_le(), Ordering::Release);
        }
        self.published = new;
        // 2.7.13.3.1: whether the device waits is read after the index was written, or a notification may be lost.
        fence(Ordering::SeqCst);
        if self.event_idx {
            needs_event(self.avail_event(), new, old)
        } else {
            self.used_head(Ordering::Relaxed).0 & NO_NOTIFY == 0
        }
    }

    /// The next request that the device has used.
    ///
    /// # Errors
    /// [`Misused`] where the device used what it does not hold. Only a reset helps then.
    #[inline]
    pub fn pop(&mut self) -> Result<Option<Used>, Misused> {
        if self.taken == self.seen && !self.look()? {
            return Ok(None);
        }
        let entry = u64::from_le(self.tables.used.at(self.taken.into()).load(Ordering::Relaxed));
        let [id, written] = halves(entry);
        let slot = self.layout.slot_of(id).ok_or(Misused("the device used a descriptor that heads no request"))?;
        if !self.held.set(slot, false) {
            return Err(Misused("the device used a request that it does not hold"));
        }
        self.taken = self.taken.wrapping_add(1);
        let [status, ..] = self.tables.slots.at(slot.into())[STATUS / 8].load(Ordering::Relaxed).to_ne_bytes();
        Ok(Some(Used { slot, written, status }))
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

    /// Asks the device for an interrupt at its next completion.
    pub fn arm(&mut self) -> Armed {
        let mut asked = Armed::Already;
        if self.event_idx && self.armed != Some(self.taken) {
            let event = u32::from(self.taken);
            if let [Some(word), _] = &self.tables.events {
                word.store(0, event.to_le(), Ordering::Relaxed);
            }
            self.armed = Some(self.taken);
            // 2.7.7.2: the used index is read after the event index was written, or an interrupt may be lost.
            fence(Ordering::SeqCst);
            asked = Armed::Now;
        }
        if self.pending() { Armed::Late } else { asked }
    }

    /// The flags and the index of the used ring: both are in its first word.
    #[inline]
    fn used_head(&self, order: Ordering) -> (u32, u16) {
        let [_, head] = &self.tables.heads;
        let word = u32::from_le(head.as_ref().map_or(0, |head| head.load(0, order)));
        (word & 0xffff, u16::try_from(word >> 16).unwrap_or(0))
    }

    /// The available index at which the device wants to be notified.
    #[inline]
    fn avail_event(&self) -> u16 {
        let [_, event] = &self.tables.events;
        let word = u32::from_le(event.as_ref().map_or(0, |event| event.load(0, Ordering::Relaxed)));
        u16::try_from(word & 0xffff).unwrap_or(0)
    }
}

fn store<const N: usize>(words: [&AtomicU64; N], values: [u64; N]) {
    words.iter().zip(values).for_each(|(word, value)| word.store(value.to_le(), Ordering::Relaxed));
}

/// The second half of the first of three descriptors, whose indices begin with `first`, and the whole of the next: a request
/// without payload has its header linked to its status.
#[inline(always)]
fn chain(Payload { address, len, flags }: Payload, first: u16) -> [u64; 3] {
    let second = if len == 0 { 2 } else { 1 };
    [tail(16, flags::NEXT, first + second), address, tail(len, flags::NEXT | flags, first + 2)]
}

/// The second half of a descriptor: length, flags, next.
fn tail(len: u32, flags: u16, next: u16) -> u64 {
    u64::from(len) | u64::from(flags) << 32 | u64::from(next) << 48
}

/// Whether the index went past `event` on its way from `old` to `new` (2.7.10, `vring_need_event`).
fn needs_event(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}
