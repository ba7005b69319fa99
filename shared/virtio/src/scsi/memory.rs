// SPDX-License-Identifier: MIT
//! Where everything lies in the DMA region: the queues, then 512 bytes for each slot, then the initiator's own.
//!
//! Every slot owns its header, its answer and its descriptors for ever: a command writes four words of the header, one of
//! the answer and two descriptors, and its end frees nothing. With several queues for requests a slot is always of the same one.
use super::ring::{DESCRIPTOR, Parts};
use super::wire;

/// Entries of the control queue, of which one is used at a time, and of the queue for events.
pub const CONTROL: u16 = 4;
/// Events that the device can report before we look.
pub const EVENTS: u16 = 8;
/// Queues for requests at most.
pub const QUEUES_MAX: usize = 8;
/// Bytes of a slot.
const SLOT: usize = 512;
/// Offset of a slot's header: five words, and zeroes up to its length.
pub const HEADER: usize = 0;
/// Offset of a slot's indirect table.
const TABLE: usize = 64;
/// Offset of a slot's answer. The device's writes share no cache line with ours.
pub const ANSWER: usize = 128;
/// Offset of an answer's word with status and response: status qualifier, status, response, then sense data.
pub const STATUS: usize = ANSWER + 8;

/// The shape of the memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The control queue.
    pub control: Parts,
    /// The queue for events.
    pub events: Parts,
    /// The queues for requests, of which the first [`queues`](Self::queues) are used.
    pub requests: [Parts; QUEUES_MAX],
    /// The number of them is 2 to the power of this: a slot's queue is in its low bits.
    pub shift: u8,
    /// The task management request, and 64 bytes on its answer.
    pub task: usize,
    /// The buffers for events.
    pub event: usize,
    /// Commands that can be in flight.
    pub slots: u16,
    /// Descriptors of the queue's table that a slot takes: 1 with indirect tables, 3 without.
    pub stride: u16,
    first: usize,
    /// The initiator's own memory.
    pub own: usize,
}

impl Layout {
    /// The largest in `bytes` bytes for a device with queues of at most `most` entries, with 2 to the power of `shift` for requests. `None` where it has too few for one
    /// request and a question to every unit, or the memory is too small.
    pub fn fit(bytes: usize, most: [u32; 3], indirect: bool, shift: u8) -> Option<Self> {
        let power = |most: u32, wanted: u16| {
            let most = u16::try_from(most).unwrap_or(u16::MAX).checked_ilog2()?;
            Some(wanted.min(1 << most))
        };
        let [control, events, requests] = most;
        let stride = if indirect { 1 } else { 3 };
        let wanted = ((slots_max() >> shift) * stride).next_power_of_two();
        let (control, events) = (power(control, CONTROL)?, power(events, EVENTS)?);
        if control < 2 {
            return None;
        }
        let layout = Self::new(control, events, power(requests, wanted)?, stride, shift);
        let enough = usize::from(layout.slots) > orion_scsi::UNITS;
        (enough && layout.end() <= bytes).then_some(layout)
    }

    fn new(control: u16, events: u16, size: u16, stride: u16, shift: u8) -> Self {
        let control = Parts::new(0, control);
        let events = Parts::new(control.end, events);
        let (mut requests, mut task) = ([Parts::NONE; QUEUES_MAX], events.end);
        for part in requests.iter_mut().take(1 << shift) {
            *part = Parts::new(task, size);
            task = part.end;
        }
        let slots = ((size / stride) << shift).min(slots_max());
        let event = task + 128;
        let after = event + usize::from(events.size) * wire::EVENT_LEN as usize;
        let first = after.next_multiple_of(SLOT);
        let own = first + usize::from(slots) * SLOT;
        Self { control, events, requests, shift, task, event, slots, stride, first, own }
    }

    /// Queues for requests.
    pub fn queues(&self) -> u16 {
        1 << self.shift
    }

    /// The queue of a slot.
    #[inline]
    pub fn queue(&self, slot: u16) -> u16 {
        slot & (self.queues() - 1)
    }

    /// The first descriptor of a queue's table.
    fn table(&self, queue: u16) -> usize {
        self.requests.get(usize::from(queue)).map_or(0, |parts| parts.table)
    }

    /// Where the descriptor is that heads a slot's request.
    pub fn head_at(&self, slot: u16) -> usize {
        self.table(self.queue(slot)) + usize::from(self.head(slot)) * DESCRIPTOR
    }

    /// One past the last byte.
    pub fn end(&self) -> usize {
        self.own + orion_scsi::OWN
    }

    /// Whether each slot's descriptors lie in a table of its own.
    pub fn indirect(&self) -> bool {
        self.stride == 1
    }

    /// Where a slot begins.
    #[inline]
    pub fn slot(&self, slot: u16) -> usize {
        self.first + usize::from(slot) * SLOT
    }

    /// The descriptor that heads a slot's request.
    #[inline]
    pub fn head(&self, slot: u16) -> u16 {
        (slot >> self.shift) * self.stride
    }

    /// The slot that descriptor `id` of a queue heads.
    #[inline]
    pub fn slot_of(&self, queue: u16, id: u32) -> Option<u16> {
        let id = u16::try_from(id).ok()?;
        let (nth, rest) = if self.stride == 1 { (id, 0) } else { (id / 3, id % 3) };
        let slot = (u32::from(nth) << self.shift) | u32::from(queue);
        u16::try_from(slot).ok().filter(|slot| rest == 0 && *slot < self.slots)
    }

    /// Where the slot's three descriptors are.
    #[inline]
    pub fn chain(&self, slot: u16) -> usize {
        if self.stride == 1 { self.slot(slot) + TABLE } else { self.head_at(slot) }
    }

    /// The index by which the first of a slot's three descriptors is linked.
    #[inline]
    pub fn link(&self, slot: u16) -> u16 {
        if self.stride == 1 { 0 } else { self.head(slot) }
    }
}

fn slots_max() -> u16 {
    u16::try_from(orion_scsi::MOST).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn nothing_overlaps_and_heads_name_their_slots() {
        for (indirect, shift) in
            [false, true].into_iter().flat_map(|indirect| (0..4).map(move |shift| (indirect, shift)))
        {
            for most in [27, 31, 32, 64, 128, 256, 1024, 65536] {
                let Some(layout) = Layout::fit(256 << 10, [128, 128, most], indirect, shift) else {
                    assert!(!indirect && most < 32, "{most}");
                    continue;
                };
                let queues = &layout.requests[..1 << shift];
                assert!(layout.end() <= 256 << 10 && queues.iter().all(|queue| u32::from(queue.size) <= most));
                let parts: Vec<Parts> = [layout.control, layout.events].iter().chain(queues).copied().collect();
                assert!(parts.windows(2).all(|two| two[0].end <= two[1].table && two[1].table % 64 == 0));
                assert!(parts[parts.len() - 1].end <= layout.task && layout.event >= layout.task + 65);
                assert!(layout.slot(0) >= layout.event + 16 * usize::from(layout.events.size));
                for slot in 0..layout.slots {
                    let queue = layout.queue(slot);
                    assert_eq!(layout.slot_of(queue, layout.head(slot).into()), Some(slot));
                    let parts = queues[usize::from(queue)];
                    assert!(layout.slot(slot) + SLOT <= layout.own && layout.head(slot) < parts.size);
                    assert!(layout.head_at(slot) >= parts.table && layout.head_at(slot) < parts.end);
                }
                assert_eq!(layout.slot_of(0, layout.head(layout.slots).into()), None);
                assert!(indirect || layout.slot_of(0, 1).is_none());
            }
        }
        assert_eq!(Layout::fit(64 << 10, [128; 3], true, 0), None);
        assert_eq!(Layout::fit(256 << 10, [0, 128, 128], true, 0), None);
    }
}
