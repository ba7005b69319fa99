// SPDX-License-Identifier: MIT
//! A virtqueue of the shape that the device and its driver agreed on, one of several queues of the same device.
use super::ordered::Ordered;
use super::packed::Packed;
use super::{Armed, Held, Misused, Payload, Place, Queue, RING_RESET, Ring, Terms, Used, WORDS, Wishes};
use crate::Fault;
use orion_region::Window;
use virtio_drivers::device::common::Feature;

/// A virtqueue of any shape.
#[derive(Debug)]
pub enum AnyQueue {
    /// Split, used in any order.
    Split(Queue),
    /// Split, used in order.
    Ordered(Ordered),
    /// Packed.
    Packed(Packed),
}

macro_rules! each {
    ($self:ident, $queue:ident => $call:expr) => {
        match $self {
            Self::Split($queue) => $call,
            Self::Ordered($queue) => $call,
            Self::Packed($queue) => $call,
        }
    };
}

impl Ring for AnyQueue {
    fn features(wishes: Wishes) -> u64 {
        let mut features = Feature::empty();
        features.set(Feature::RING_PACKED, wishes.packed);
        features.set(Feature::IN_ORDER, wishes.in_order);
        features.bits() | if wishes.queue_reset { RING_RESET } else { 0 }
    }

    fn agree(features: u64) -> u64 {
        let has = |feature: Feature| features & feature.bits() != 0;
        // In a split ring a request must be one descriptor, so that the n-th request is the n-th descriptor.
        let loose = !has(Feature::RING_PACKED) && !has(Feature::RING_INDIRECT_DESC);
        if loose { features & !Feature::IN_ORDER.bits() } else { features }
    }

    fn new(memory: Window, bus: u64, terms: Terms) -> Result<Self, Fault> {
        if terms.has(Feature::RING_PACKED) {
            return Packed::new(memory, bus, terms).map(Self::Packed);
        }
        if terms.has(Feature::IN_ORDER) {
            return Ordered::new(memory, bus, terms).map(Self::Ordered);
        }
        Ring::new(memory, bus, terms).map(Self::Split)
    }

    fn again(&mut self, terms: Terms) -> Result<(), Fault> {
        let packed = matches!(self, Self::Packed(_));
        let ordered = matches!(self, Self::Ordered(_));
        let same = packed == terms.has(Feature::RING_PACKED) && (packed || ordered == terms.has(Feature::IN_ORDER));
        if !same {
            return Err(Fault::Changed);
        }
        match self {
            Self::Split(queue) => Ring::again(queue, terms),
            Self::Ordered(queue) => queue.again(terms),
            Self::Packed(queue) => queue.again(terms),
        }
    }

    fn forget(&mut self) {
        each!(self, queue => queue.forget());
    }

    fn place(&self, nth: u16) -> Place {
        match self {
            Self::Split(queue) => Ring::place(queue, nth),
            Self::Ordered(queue) => queue.place(),
            Self::Packed(queue) => queue.place(),
        }
    }

    fn slots(&self) -> u16 {
        each!(self, queue => queue.slots())
    }

    fn shape(&self) -> &'static str {
        match self {
            Self::Split(queue) => queue.shape(),
            Self::Ordered(_) => ", indirect descriptors, in order",
            Self::Packed(queue) => match (queue.indirect(), queue.in_order()) {
                (true, true) => ", packed ring, indirect descriptors, in order",
                (true, false) => ", packed ring, indirect descriptors",
                (false, true) => ", packed ring, in order",
                (false, false) => ", packed ring",
            },
        }
    }

    fn held(&self) -> Held {
        each!(self, queue => queue.held())
    }

    fn has_seen(&self) -> bool {
        each!(self, queue => queue.has_seen())
    }

    fn pending(&self) -> bool {
        each!(self, queue => queue.pending())
    }

    fn words(&mut self, slot: u16, words: [u64; WORDS], len: u32) -> Payload {
        each!(self, queue => queue.words(slot, words, len))
    }

    fn blank(&mut self, slot: u16, len: u32) -> Payload {
        each!(self, queue => queue.blank(slot, len))
    }

    fn written(&self, slot: u16) -> [u64; WORDS] {
        each!(self, queue => queue.written(slot))
    }

    fn stage(&mut self, slot: u16, header: [u64; 2], payload: Payload) {
        each!(self, queue => queue.stage(slot, header, payload));
    }

    fn show(&mut self, mut notify: impl FnMut(u16)) {
        if each!(self, queue => queue.publish()) {
            notify(0);
        }
    }

    fn pop(&mut self) -> Result<Option<Used>, Misused> {
        each!(self, queue => queue.pop())
    }

    fn arm(&mut self) -> Armed {
        each!(self, queue => queue.arm())
    }
}
