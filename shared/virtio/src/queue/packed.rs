// SPDX-License-Identifier: MIT
//! A packed virtqueue (virtio 1.2, section 2.8), with slots as the split one has: each owns its header, status and table.
//!
//! One ring serves both directions. What is staged becomes visible with the first descriptor of the batch, which is written
//! last. A buffer's id is its slot. With IN_ORDER the device may write one used descriptor for a batch of requests.
use super::cursor::Cursor;
use super::fifo::Fifo;
use super::layout::{HEADER, SLOT, STATUS, TABLE};
use super::slots::Slots;
use super::{Armed, Held, Misused, NO_STATUS, Payload, Place, SLOTS_MAX, Terms, Used, WORDS, flags};
use crate::Fault;
use core::sync::atomic::{AtomicU64, Ordering, fence};
use orion_region::{Fixed, Table, Window};
use virtio_drivers::device::common::Feature;

/// The descriptor is available on this lap, or was used on it (2.8.1).
const AVAIL: u16 = 1 << 7;
const USED: u16 = 1 << 15;
/// Event suppression (2.8.14): never, or at the place that is named.
const NEVER: u32 = 1;
const AT_PLACE: u32 = 2;
/// Most descriptors of a request: header, payload, status.
const CHAIN: u16 = 3;
const DESCRIPTOR: usize = 16;

/// A packed virtqueue in a DMA region.
#[derive(Debug)]
pub struct Packed {
    size: u16,
    indirect: bool,
    event_idx: bool,
    in_order: bool,
    /// Where the next descriptor goes.
    next: Cursor,
    /// The first descriptor that the device was not shown, and what it will hold.
    hidden: Option<(Cursor, u64)>,
    /// Where the device uses next.
    taken: Cursor,
    /// `taken` when the device was last asked to interrupt.
    armed: Option<Cursor>,
    /// With IN_ORDER: what the device holds, the oldest first.
    order: Fifo,
    /// With IN_ORDER: requests that a used descriptor stands for and that were not taken, and what it says of the last.
    batch: u16,
    last: u32,
    /// Descriptors of each slot's request.
    counts: [u8; SLOTS_MAX as usize],
    held: Held,
    ring: Table<[AtomicU64; 2]>,
    /// When the driver, and when the device, wants to be told.
    events: [Option<Fixed<4>>; 2],
    slots: Slots,
}

impl Packed {
    /// An empty queue. The device must be reset.
    ///
    /// # Errors
    /// [`Fault::Queue`] where the device's queue does not hold a request, [`Fault::Dma`] where the memory does not.
    pub fn new(memory: Window, bus: u64, terms: Terms) -> Result<Self, Fault> {
        let indirect = terms.has(Feature::RING_INDIRECT_DESC);
        let stride = if indirect { 1 } else { CHAIN };
        let most = u16::try_from(terms.most).unwrap_or(u16::MAX).min(SLOTS_MAX * stride);
        let bytes = |slots: u16| usize::from(slots * stride) * DESCRIPTOR + 128 + usize::from(slots) * SLOT + SLOT;
        if most / stride == 0 {
            return Err(Fault::Queue);
        }
        let slots = (1..=most / stride).rev().find(|slots| bytes(*slots) <= memory.len()).ok_or(Fault::Dma)?;
        let size = slots * stride;
        let events = usize::from(size) * DESCRIPTOR;
        let mut packed = Self {
            size,
            indirect,
            event_idx: false,
            in_order: false,
            next: Cursor::START,
            hidden: None,
            taken: Cursor::START,
            armed: None,
            order: Fifo::EMPTY,
            batch: 0,
            last: 0,
            counts: [0; SLOTS_MAX as usize],
            held: Held::NONE,
            ring: Table::new(&memory, 0, size.into()).ok_or(Fault::Dma)?,
            events: [events, events + 4].map(|at| Fixed::within(&memory, at)),
            slots: Slots::new(memory, bus, (events + 8).next_multiple_of(SLOT), slots),
        };
        packed.empty(terms);
        Ok(packed)
    }

    /// Empties it after a reset.
    ///
    /// # Errors
    /// [`Fault::Changed`] where the device would not take it as it was.
    pub fn again(&mut self, terms: Terms) -> Result<(), Fault> {
        if terms.most < self.size.into() || terms.has(Feature::RING_INDIRECT_DESC) != self.indirect {
            return Err(Fault::Changed);
        }
        self.empty(terms);
        Ok(())
    }

    fn empty(&mut self, terms: Terms) {
        (self.event_idx, self.in_order) = (terms.has(Feature::RING_EVENT_IDX), terms.has(Feature::IN_ORDER));
        (self.next, self.taken, self.hidden, self.armed) = (Cursor::START, Cursor::START, None, None);
        (self.order, self.batch, self.held) = (Fifo::EMPTY, 0, Held::NONE);
        self.slots.clear();
        for slot in 0..self.slots.count() {
            self.slots.store(slot, TABLE, [self.slots.at(slot, HEADER), tail(16, 0, 0)]);
        }
    }

    pub(super) fn place(&self) -> Place {
        let events = usize::from(self.size) * DESCRIPTOR;
        Place { size: self.size, areas: [0, events, events + 4].map(|offset| self.slots.bus(offset)) }
    }

    pub(super) fn slots(&self) -> u16 {
        self.slots.count()
    }

    pub(super) fn indirect(&self) -> bool {
        self.indirect
    }

    pub(super) fn in_order(&self) -> bool {
        self.in_order
    }

    pub(super) fn held(&self) -> Held {
        self.held
    }

    pub(super) fn forget(&mut self) {
        (self.held, self.order, self.batch) = (Held::NONE, Fifo::EMPTY, 0);
    }

    pub(super) fn has_seen(&self) -> bool {
        self.batch > 0
    }

    pub(super) fn pending(&self) -> bool {
        self.batch > 0 || self.used().is_some()
    }

    pub(super) fn words(&mut self, slot: u16, words: [u64; WORDS], len: u32) -> Payload {
        self.slots.words(slot, words, len)
    }

    pub(super) fn blank(&mut self, slot: u16, len: u32) -> Payload {
        self.slots.blank(slot, len)
    }

    pub(super) fn written(&self, slot: u16) -> [u64; WORDS] {
        self.slots.written(slot)
    }

    pub(super) fn stage(&mut self, slot: u16, header: [u64; 2], payload: Payload) {
        let fresh = self.held.set(slot, true);
        debug_assert!(fresh, "the slot is free");
        self.slots.store(slot, HEADER, [header[0], header[1], NO_STATUS.into()]);
        let status = [self.slots.at(slot, STATUS), 1];
        let (data, data_flags) = ([payload.address, payload.len.into()], payload.flags);
        let count = if payload.len == 0 { 2 } else { CHAIN };
        if self.indirect {
            // In a table only the flag of the direction counts (2.8.7).
            let mut table = [data[0], tail(payload.len, 0, data_flags), status[0], tail(1, 0, flags::WRITE)];
            if count == 2 {
                table.rotate_left(2);
            }
            self.slots.store(slot, TABLE + DESCRIPTOR, table);
            self.push(slot, self.slots.at(slot, TABLE), u32::from(count) * 16, flags::INDIRECT);
        } else {
            self.push(slot, self.slots.at(slot, HEADER), 16, flags::NEXT);
            if count == CHAIN {
                self.push(slot, payload.address, payload.len, flags::NEXT | data_flags);
            }
            self.push(slot, status[0], 1, flags::WRITE);
        }
        if let Some(place) = self.counts.get_mut(usize::from(slot)) {
            *place = if self.indirect { 1 } else { u8::try_from(count).unwrap_or(0) };
        }
        if self.in_order {
            self.order.push(slot);
        }
    }

    /// Writes the next descriptor, but for what makes the first of a batch visible.
    fn push(&mut self, slot: u16, address: u64, len: u32, flags: u16) {
        let place = self.next;
        let lap = if place.wrap { AVAIL } else { USED };
        let word = tail(len, slot, flags | lap);
        if let Some([first, second]) = self.ring.get(place.at.into()) {
            first.store(address.to_le(), Ordering::Relaxed);
            if self.hidden.is_some() {
                second.store(word.to_le(), Ordering::Relaxed);
            }
        }
        if self.hidden.is_none() {
            self.hidden = Some((place, word));
        }
        self.next = place.after(1, self.size);
    }

    /// Shows the device everything that was staged; whether it must be notified of it.
    pub(super) fn publish(&mut self) -> bool {
        let Some((first, word)) = self.hidden.take() else { return false };
        // Release: the device sees the rest of the batch before what says that there is one (2.8.21.1).
        if let Some([_, second]) = self.ring.get(first.at.into()) {
            second.store(word.to_le(), Ordering::Release);
        }
        // 2.8.21.3.1: whether the device waits is read after that, or a notification may be lost.
        fence(Ordering::SeqCst);
        let [_, event] = &self.events;
        let event = u32::from_le(event.as_ref().map_or(0, |event| event.load(0, Ordering::Relaxed)));
        match event >> 16 & 3 {
            NEVER => false,
            AT_PLACE if self.event_idx => {
                self.next.passed(first, u16::try_from(event & 0xffff).unwrap_or(0), self.size)
            }
            _ => true,
        }
    }

    /// What the device wrote over the descriptor where it uses next: length, id and flags.
    fn used(&self) -> Option<u64> {
        let [_, word] = self.ring.get(self.taken.at.into())?;
        // Acquire: what the device wrote into memory comes after this.
        let word = u64::from_le(word.load(Ordering::Acquire));
        let flags = u16::try_from(word >> 48).unwrap_or(0);
        let lap = if self.taken.wrap { AVAIL | USED } else { 0 };
        (flags & (AVAIL | USED) == lap).then_some(word)
    }

    pub(super) fn pop(&mut self) -> Result<Option<Used>, Misused> {
        if self.batch == 0 {
            let Some(word) = self.used() else { return Ok(None) };
            let id = u16::try_from(word >> 32 & 0xffff).unwrap_or(u16::MAX);
            let len = u32::try_from(word & 0xffff_ffff).unwrap_or(0);
            if !self.in_order {
                return self.take(id, len).map(Some);
            }
            // One used descriptor may stand for all up to the one that it names.
            self.batch = self.order.upto(id).ok_or(Misused("the device used a request out of order"))?;
            self.last = len;
        }
        let slot = self.order.pop().ok_or(Misused("the device used more requests than it holds"))?;
        self.batch -= 1;
        // 2.8.17: those that it does not name were used wholly.
        let len = if self.batch == 0 { self.last } else { u32::MAX };
        self.take(slot, len).map(Some)
    }

    fn take(&mut self, slot: u16, written: u32) -> Result<Used, Misused> {
        if slot >= self.slots.count() || !self.held.set(slot, false) {
            return Err(Misused("the device used a request that it does not hold"));
        }
        let count = self.counts.get(usize::from(slot)).copied().unwrap_or(1);
        self.taken = self.taken.after(count.into(), self.size);
        Ok(Used { slot, written, status: self.slots.status(slot) })
    }

    /// Asks the device for an interrupt at its next completion.
    pub(super) fn arm(&mut self) -> Armed {
        let mut asked = Armed::Already;
        if self.event_idx && self.armed != Some(self.taken) {
            let event = u32::from(self.taken.event()) | AT_PLACE << 16;
            if let [Some(word), _] = &self.events {
                word.store(0, event.to_le(), Ordering::Relaxed);
            }
            self.armed = Some(self.taken);
            // 2.8.21.2.1: the ring is read after that, or an interrupt may be lost.
            fence(Ordering::SeqCst);
            asked = Armed::Now;
        }
        if self.pending() { Armed::Late } else { asked }
    }
}

/// The second half of a descriptor: length, buffer id, flags.
fn tail(len: u32, id: u16, flags: u16) -> u64 {
    u64::from(len) | u64::from(id) << 32 | u64::from(flags) << 48
}
