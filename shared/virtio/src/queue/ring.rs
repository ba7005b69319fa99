// SPDX-License-Identifier: MIT
//! What the block device's engine asks of its queue, whatever the shape of the ring.
//!
//! The engine is compiled for each ring, so that the common one, a split ring, costs nothing for the others being there.
use super::{Armed, Held, Layout, Misused, Payload, Queue, Used};
use crate::Fault;
use core::fmt::Debug;
use orion_region::Window;
use virtio_drivers::device::common::Feature;

/// What a driver would like of a device's queues. What the device does not offer is done without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Request queues at most; 0 is 1.
    pub queues: u16,
    /// Packed rings (2.8).
    pub packed: bool,
    /// That requests are used in the order in which they were made available (2.7.9, 2.8.17).
    pub in_order: bool,
    /// That one queue can be reset without the others (2.6.1).
    pub queue_reset: bool,
}

/// What a device and its driver agreed on for the queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The features.
    pub features: u64,
    /// Most entries of each queue.
    pub most: u32,
    /// Request queues.
    pub queues: u16,
}

impl Terms {
    /// Whether all of `feature` was agreed on.
    pub fn has(&self, feature: Feature) -> bool {
        self.features & feature.bits() == feature.bits()
    }
}

/// Where a queue lies, for the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Entries.
    pub size: u16,
    /// Bus addresses of the descriptor area, the driver's and the device's.
    pub areas: [u64; 3],
}

/// The queue, or queues, of a block device: slots for requests of one header, at most one payload, and a status.
pub trait Ring: Debug + Sized {
    /// Features that it can use, beyond indirect descriptors and event indices.
    fn features(wishes: Wishes) -> u64;

    /// What it would have of the features that are offered and wished for.
    fn agree(features: u64) -> u64 {
        features
    }

    /// Empty, in `memory`, which the device names by the bus address `bus`. The device must be reset.
    ///
    /// # Errors
    /// [`Fault::Queue`] where the device's queue does not hold one request, [`Fault::Dma`] where the memory does not.
    fn new(memory: Window, bus: u64, terms: Terms) -> Result<Self, Fault>;

    /// Empties it after a reset of the device.
    ///
    /// # Errors
    /// [`Fault::Changed`] where the device would not take it as it was.
    fn again(&mut self, terms: Terms) -> Result<(), Fault>;

    /// Takes nothing any more of what the device was seen to have used, and holds it to hold nothing. It must be reset.
    fn forget(&mut self);

    /// Queues of the device that it is made of.
    fn queues(&self) -> u16 {
        1
    }

    /// The one that holds the request in `slot`.
    fn queue_of(&self, _slot: u16) -> Option<u16> {
        Some(0)
    }

    /// Empties one of them after it alone was reset; where it lies.
    ///
    /// # Errors
    /// [`Fault`] where this ring knows no such reset.
    fn renew(&mut self, _queue: u16) -> Result<Place, Fault> {
        Err(Fault::Queue)
    }

    /// Where one of them lies.
    fn place(&self, queue: u16) -> Place;

    /// Requests that it holds.
    fn slots(&self) -> u16;

    /// What people are told of its shape, each part after a comma.
    fn shape(&self) -> &'static str;

    /// Slots that the device holds.
    fn held(&self) -> Held;

    /// Whether the device was seen to have used something that was not taken yet.
    fn has_seen(&self) -> bool;

    /// Whether the device has used something that was not taken yet.
    fn pending(&self) -> bool;

    /// Lays words for the device into `slot`, of which it reads `len` bytes: the payload for the [`stage`](Self::stage) that follows.
    fn words(&mut self, slot: u16, words: [u64; WORDS], len: u32) -> Payload;

    /// Room in `slot` for the device to write `len` bytes into, at most [`WORDS`] words: the payload for the [`stage`](Self::stage) that follows.
    fn blank(&mut self, slot: u16, len: u32) -> Payload;

    /// What the device wrote there.
    fn written(&self, slot: u16) -> [u64; WORDS];

    /// Hands the request in `slot`, which must be free, to the device, which sees it at the next [`show`](Self::show).
    fn stage(&mut self, slot: u16, header: [u64; 2], payload: Payload);

    /// Shows the device everything that was staged, and calls `notify` with each queue for which it must be notified.
    fn show(&mut self, notify: impl FnMut(u16));

    /// The next request that the device has used.
    ///
    /// # Errors
    /// [`Misused`] where the device broke the rules. Only a reset helps then.
    fn pop(&mut self) -> Result<Option<Used>, Misused>;

    /// Asks the device for an interrupt at its next completion.
    fn arm(&mut self) -> Armed;

    /// The requests that follow are of this client.
    fn lane(&mut self, _client: u8) {}
}

/// VIRTIO_F_RING_RESET: one queue can be reset (6).
pub const RING_RESET: u64 = 1 << 40;
/// Queues at most.
pub const QUEUES_MAX: u16 = 8;
/// Words of a slot's own payload: enough for two segments to clear, or a serial number.
pub const WORDS: usize = 4;

impl Ring for Queue {
    fn features(_: Wishes) -> u64 {
        0
    }

    fn new(memory: Window, bus: u64, terms: Terms) -> Result<Self, Fault> {
        let indirect = terms.has(Feature::RING_INDIRECT_DESC);
        Layout::fit(usize::MAX, terms.most, indirect).ok_or(Fault::Queue)?;
        let layout = Layout::fit(memory.len(), terms.most, indirect).ok_or(Fault::Dma)?;
        Self::new(memory, bus, layout, terms.has(Feature::RING_EVENT_IDX)).ok_or(Fault::Dma)
    }

    fn again(&mut self, terms: Terms) -> Result<(), Fault> {
        let old = self.layout();
        if terms.most < old.size().into() || terms.has(Feature::RING_INDIRECT_DESC) != old.indirect() {
            return Err(Fault::Changed);
        }
        self.reset(terms.has(Feature::RING_EVENT_IDX));
        Ok(())
    }

    fn forget(&mut self) {
        self.forget();
    }

    fn place(&self, _: u16) -> Place {
        Place { size: self.layout().size(), areas: self.areas() }
    }

    #[inline]
    fn slots(&self) -> u16 {
        self.layout.slots()
    }

    fn shape(&self) -> &'static str {
        if self.layout().indirect() { ", indirect descriptors" } else { "" }
    }

    fn held(&self) -> Held {
        self.held()
    }

    #[inline]
    fn has_seen(&self) -> bool {
        self.has_seen()
    }

    fn pending(&self) -> bool {
        self.pending()
    }

    fn words(&mut self, slot: u16, words: [u64; WORDS], len: u32) -> Payload {
        self.words(slot, words, len)
    }

    fn blank(&mut self, slot: u16, len: u32) -> Payload {
        self.blank(slot, len)
    }

    fn written(&self, slot: u16) -> [u64; WORDS] {
        self.written(slot)
    }

    #[inline(always)]
    fn stage(&mut self, slot: u16, header: [u64; 2], payload: Payload) {
        self.stage(slot, header, payload);
    }

    #[inline]
    fn show(&mut self, mut notify: impl FnMut(u16)) {
        if self.publish() {
            notify(0);
        }
    }

    #[inline]
    fn pop(&mut self) -> Result<Option<Used>, Misused> {
        self.pop()
    }

    #[inline]
    fn arm(&mut self) -> Armed {
        self.arm()
    }
}
