// SPDX-License-Identifier: MIT
use super::{Layout, SLOTS_MAX, needs_event};
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
            assert_eq!(l.slot_of(id).map(usize::from), expected);
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
