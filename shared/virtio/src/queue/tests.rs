// SPDX-License-Identifier: MIT
use super::{Layout, Misused, NO_STATUS, Payload, Queue, SLOTS_MAX, needs_event};
use orion_region::Window;
use std::vec::Vec;

#[test]
fn an_event_is_needed_where_the_index_passes_it_also_across_the_wrap() {
    for old in (0..=u16::MAX).step_by(251).chain(65_500..=u16::MAX).chain(0..40) {
        for count in 0..40u16 {
            let new = old.wrapping_add(count);
            for event in (0..90).map(|e| old.wrapping_sub(45).wrapping_add(e)) {
                let passed = (0..count).any(|step| old.wrapping_add(step) == event);
                assert_eq!(needs_event(event, new, old), passed, "event {event}, {old} to {new}");
            }
        }
    }
}

fn layouts() -> impl Iterator<Item = (usize, Layout)> {
    let mosts = [2, 3, 4, 7, 8, 16, 63, 64, 128, 255, 256, 384, 512, 1024, 32_768, u32::MAX];
    let sizes = (0..64).map(|i| i * 1024).chain([usize::MAX]);
    sizes.flat_map(move |bytes| {
        mosts.into_iter().flat_map(move |most| {
            [false, true].into_iter().filter_map(move |indirect| Some((bytes, Layout::fit(bytes, most, indirect)?)))
        })
    })
}

#[test]
fn the_parts_of_a_queue_are_aligned_apart_and_within_the_region() {
    let mut seen = 0;
    for (bytes, l) in layouts() {
        let (size, slots) = (usize::from(l.size()), usize::from(l.slots()));
        assert!(l.size().is_power_of_two() && slots > 0 && slots <= usize::from(SLOTS_MAX));
        assert!(slots * if l.indirect() { 1 } else { 3 } <= size);
        let ends = [16 * size, l.avail() + 6 + 2 * size, l.used() + 6 + 8 * size, l.end()];
        let starts = [0, l.avail(), l.used(), l.slot(0)];
        assert!(starts.iter().skip(1).zip(ends).all(|(start, end)| *start >= end), "{l:?}");
        assert!(l.end() <= bytes && l.used() % 8 == 4 && l.avail() % 4 == 0 && l.slot(0) % 128 == 0);
        // Where the specification has them: behind the rings.
        assert_eq!((l.used_event(), l.avail_event()), (l.avail() + 4 + 2 * size, l.used() + 4 + 8 * size));
        seen += 1;
    }
    assert!(seen > 500);
}

#[test]
fn a_used_id_names_the_slot_that_it_heads_or_none() {
    for (_, l) in layouts() {
        let heads: Vec<u32> = (0..l.slots()).map(|slot| u32::from(l.head(slot))).collect();
        for id in (0..2048).chain([65_535, 65_536, 65_537, u32::MAX]) {
            let expected = heads.iter().position(|head| *head == id);
            let found = l.slot_of(id).filter(|slot| *slot < l.slots());
            assert_eq!(found.map(usize::from), expected);
        }
    }
}

#[test]
fn no_queue_where_not_one_request_fits() {
    assert_eq!(Layout::fit(usize::MAX, 0, true), None);
    assert_eq!(Layout::fit(usize::MAX, 1, true), None);
    assert_eq!(Layout::fit(usize::MAX, 2, false), None);
    assert_eq!(Layout::fit(100, 256, true), None);
    assert_eq!(Layout::fit(65_536, 256, true).map(|l| l.slots()), Some(128));
    assert_eq!(Layout::fit(65_536, 256, false).map(|l| l.slots()), Some(85));
}

/// A queue whose device is the test: it writes the used ring by hand.
struct Hand {
    queue: Queue,
    memory: Window,
}

impl Hand {
    fn new(indirect: bool) -> Self {
        let [ours, memory] = crate::model::memory(64 << 10);
        let layout = Layout::fit(64 << 10, 8, indirect).unwrap();
        Self { queue: Queue::new(ours, 0x4000, layout, true).unwrap(), memory }
    }

    fn send(&mut self, slot: u16) {
        self.queue.stage(slot, [1, 2], Payload::from_device(0x8000, 512));
        self.queue.publish();
    }

    /// Writes the entry `at` of the used ring.
    fn entry(&self, at: u16, slot: u16) {
        let l = self.queue.layout();
        assert!(self.memory.write(l.used_entry(at), u32::from(l.head(slot))));
        assert!(self.memory.write(l.used_entry(at) + 4, 513u32));
    }

    fn index(&self, index: u16) {
        assert!(self.memory.write(self.queue.layout().used() + 2, index));
    }

    fn pop(&mut self) -> Result<Option<u16>, Misused> {
        self.queue.pop().map(|used| used.map(|u| u.slot))
    }
}

#[test]
fn what_comes_between_looking_and_arming_is_not_slept_over() {
    let mut hand = Hand::new(true);
    (0..3).for_each(|slot| hand.send(slot));
    assert_ne!(hand.queue.arm(), super::Armed::Late);
    hand.entry(0, 1);
    hand.index(1);
    assert_eq!(hand.pop(), Ok(Some(1)));
    assert_eq!(hand.pop(), Ok(None));
    // No interrupt for this one: the device was last asked for one after the first.
    hand.entry(1, 0);
    hand.index(2);
    assert_eq!(hand.queue.arm(), super::Armed::Late);
    assert_eq!((hand.pop(), hand.pop()), (Ok(Some(0)), Ok(None)));
    assert_ne!(hand.queue.arm(), super::Armed::Late);
    let event = hand.queue.layout().used_event();
    assert_eq!(hand.memory.read::<u16>(event), Some(2));
}

#[test]
fn old_entries_are_not_taken_again_where_the_index_runs_ahead() {
    for indirect in [false, true] {
        let mut hand = Hand::new(indirect);
        hand.send(0);
        hand.send(1);
        hand.entry(0, 0);
        hand.entry(1, 1);
        hand.index(2);
        assert_eq!((hand.pop(), hand.pop()), (Ok(Some(0)), Ok(Some(1))));
        // The same slots again; the index goes round the ring, so that the old entries would name them.
        hand.send(0);
        hand.send(1);
        hand.index(2 + hand.queue.layout().size() + 2);
        assert_eq!(hand.pop(), Err(Misused("the device used more requests than it holds")));
        assert_eq!(hand.queue.held().count(), 2);
    }
}

#[test]
fn a_request_is_a_header_a_payload_and_a_status() {
    for indirect in [false, true] {
        let mut hand = Hand::new(indirect);
        hand.send(1);
        let l = hand.queue.layout();
        let read = |at| hand.memory.read::<[u64; 2]>(at).unwrap();
        let (own, base) = (0x4000 + l.slot(1) as u64, u64::from(l.link(1, 0)));
        let (next, write) = (1u64 << 32, 2u64 << 32);
        assert_eq!(read(l.chain(1)), [own, 16 | next | (base + 1) << 48]);
        assert_eq!(read(l.chain(1) + 16), [0x8000, 512 | next | write | (base + 2) << 48]);
        assert_eq!(read(l.chain(1) + 32), [own + 16, 1 | write]);
        assert_eq!((read(l.slot(1)), hand.memory.read(l.slot(1) + 16)), ([1, 2], Some(NO_STATUS)));
        if indirect {
            assert_eq!(read(16), [0x4000 + l.chain(1) as u64, 48 | 4 << 32]);
        }
    }
}
