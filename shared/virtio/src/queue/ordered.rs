// SPDX-License-Identifier: MIT
//! A split virtqueue with VIRTIO_F_IN_ORDER (virtio 1.2, section 2.7.9): descriptors are used in the order of the table, and
//! the device may write one used entry for a batch of requests. Only with indirect descriptors: a request is one descriptor.
use super::fifo::Fifo;
use super::layout::{DESCRIPTOR, HEADER, STATUS, TABLE};
use super::slots::Slots;
use super::{Armed, Held, Layout, Misused, NO_STATUS, Payload, Place, Tables, Terms, Used, WORDS};
use super::{chain, flags, needs_event, store, tail};
use crate::Fault;
use crate::mmio::halves;
use core::sync::atomic::{Ordering, fence};
use orion_region::Window;
use virtio_drivers::device::common::Feature;

/// A split virtqueue whose requests are used in order.
#[derive(Debug)]
pub struct Ordered {
    layout: Layout,
    event_idx: bool,
    staged: u16,
    published: u16,
    taken: u16,
    /// Where the requests end that the last used entry stands for, and what it says of the last of them.
    end: u16,
    last: u32,
    armed: Option<u16>,
    held: Held,
    order: Fifo,
    tables: Tables,
    slots: Slots,
}

impl Ordered {
    /// An empty queue. The device must be reset.
    ///
    /// # Errors
    /// [`Fault::Queue`] where the device's queue does not hold a request, [`Fault::Dma`] where the memory does not.
    pub fn new(memory: Window, bus: u64, terms: Terms) -> Result<Self, Fault> {
        Layout::fit(usize::MAX, terms.most, true).ok_or(Fault::Queue)?;
        let layout = Layout::fit(memory.len(), terms.most, true).ok_or(Fault::Dma)?;
        let mut ordered = Self {
            layout,
            event_idx: false,
            staged: 0,
            published: 0,
            taken: 0,
            end: 0,
            last: 0,
            armed: None,
            held: Held::NONE,
            order: Fifo::EMPTY,
            tables: Tables::new(&memory, &layout).ok_or(Fault::Dma)?,
            slots: Slots::new(memory, bus, layout.slot(0), layout.slots()),
        };
        ordered.empty(terms);
        Ok(ordered)
    }

    /// Empties it after a reset.
    ///
    /// # Errors
    /// [`Fault::Changed`] where the device would not take it as it was.
    pub fn again(&mut self, terms: Terms) -> Result<(), Fault> {
        if terms.most < self.layout.size().into() {
            return Err(Fault::Changed);
        }
        self.empty(terms);
        Ok(())
    }

    fn empty(&mut self, terms: Terms) {
        self.event_idx = terms.has(Feature::RING_EVENT_IDX);
        (self.staged, self.published, self.taken, self.end, self.armed) = (0, 0, 0, 0, None);
        (self.held, self.order) = (Held::NONE, Fifo::EMPTY);
        self.slots.clear();
        for slot in 0..self.slots.count() {
            let (header, status) = (self.slots.at(slot, HEADER), self.slots.at(slot, STATUS));
            self.slots.store(slot, TABLE, [header, tail(16, flags::NEXT, 1)]);
            self.slots.store(slot, TABLE + 2 * DESCRIPTOR, [status, tail(1, flags::WRITE, 0)]);
        }
    }

    pub(super) fn place(&self) -> Place {
        let areas = [0, self.layout.avail(), self.layout.used()].map(|offset| self.slots.bus(offset));
        Place { size: self.layout.size(), areas }
    }

    pub(super) fn slots(&self) -> u16 {
        self.slots.count()
    }

    pub(super) fn held(&self) -> Held {
        self.held
    }

    pub(super) fn forget(&mut self) {
        (self.held, self.order, self.end) = (Held::NONE, Fifo::EMPTY, self.taken);
    }

    pub(super) fn has_seen(&self) -> bool {
        self.taken != self.end
    }

    pub(super) fn pending(&self) -> bool {
        self.has_seen() || self.used_head(Ordering::Acquire).1 != self.taken
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
        self.slots.store(slot, TABLE + 8, chain(payload, 0));
        // The descriptor is the one whose turn it is, not the slot's own.
        let at = self.layout.entry(self.staged);
        let words = [self.slots.at(slot, TABLE), tail(3 * 16, flags::INDIRECT, 0)];
        if let Some(descriptor) = self.slots.longs::<2>(at * DESCRIPTOR) {
            store(descriptor.each_ref(), words);
        }
        self.tables.avail.at(self.staged.into()).store(u16::try_from(at).unwrap_or(0).to_le(), Ordering::Relaxed);
        self.order.push(slot);
        self.staged = self.staged.wrapping_add(1);
    }

    /// Shows the device everything that was staged; whether it must be notified of it.
    pub(super) fn publish(&mut self) -> bool {
        let (old, new) = (self.published, self.staged);
        if old == new {
            return false;
        }
        if let [Some(head), _] = &self.tables.heads {
            head.store(0, (u32::from(new) << 16).to_le(), Ordering::Release);
        }
        self.published = new;
        // As in the other split queue (2.7.13.3.1).
        fence(Ordering::SeqCst);
        if !self.event_idx {
            return self.used_head(Ordering::Relaxed).0 & super::NO_NOTIFY == 0;
        }
        let [_, event] = &self.tables.events;
        let event = u32::from_le(event.as_ref().map_or(0, |event| event.load(0, Ordering::Relaxed)));
        needs_event(u16::try_from(event & 0xffff).unwrap_or(0), new, old)
    }

    pub(super) fn pop(&mut self) -> Result<Option<Used>, Misused> {
        if self.taken == self.end && !self.look()? {
            return Ok(None);
        }
        let slot = self.order.pop().filter(|slot| self.held.set(*slot, false));
        let slot = slot.ok_or(Misused("the device used more requests than it holds"))?;
        self.taken = self.taken.wrapping_add(1);
        // 2.7.9: those that it does not name were used wholly.
        let written = if self.taken == self.end { self.last } else { u32::MAX };
        Ok(Some(Used { slot, written, status: self.slots.status(slot) }))
    }

    /// Reads the next used entry; whether there is one.
    fn look(&mut self) -> Result<bool, Misused> {
        let (_, index) = self.used_head(Ordering::Acquire);
        let fresh = index.wrapping_sub(self.taken);
        if fresh == 0 {
            return Ok(false);
        }
        if fresh > self.published.wrapping_sub(self.taken) {
            return Err(Misused("the device used more requests than it holds"));
        }
        let [id, written] = halves(u64::from_le(self.tables.used.at(self.taken.into()).load(Ordering::Relaxed)));
        let named = u16::try_from(id).ok().filter(|id| *id < self.layout.size());
        let ahead = named.map(|id| self.layout.entry(id.wrapping_sub(self.taken)) as u64 + 1);
        let count = ahead.and_then(|n| u16::try_from(n).ok()).filter(|n| *n <= fresh);
        let count = count.ok_or(Misused("the device used a request out of order"))?;
        (self.end, self.last) = (self.taken.wrapping_add(count), written);
        Ok(true)
    }

    /// Asks the device for an interrupt at its next completion.
    pub(super) fn arm(&mut self) -> Armed {
        let mut asked = Armed::Already;
        if self.event_idx && self.armed != Some(self.taken) {
            if let [Some(word), _] = &self.tables.events {
                word.store(0, u32::from(self.taken).to_le(), Ordering::Relaxed);
            }
            self.armed = Some(self.taken);
            fence(Ordering::SeqCst);
            asked = Armed::Now;
        }
        if self.pending() { Armed::Late } else { asked }
    }

    fn used_head(&self, order: Ordering) -> (u32, u16) {
        let [_, head] = &self.tables.heads;
        let word = u32::from_le(head.as_ref().map_or(0, |head| head.load(0, order)));
        (word & 0xffff, u16::try_from(word >> 16).unwrap_or(0))
    }
}
