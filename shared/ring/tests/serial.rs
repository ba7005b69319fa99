// SPDX-License-Identifier: MIT
//! sDDF's serial queue against a queue of bytes, written as sDDF's clients write it, and against counters that lie.
#![cfg(not(loom))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests end with a panic"
)]
mod common;
use common::Region;
use orion_ring::serial::{DATA, Reader};
use proptest::prelude::*;
use std::collections::VecDeque;

const CAPACITY: u32 = 64;

/// Puts one byte where `serial_enqueue` of sDDF 0.7 would; whether there was room.
fn enqueue(region: &Region, byte: u8) -> bool {
    let (tail, head) = (region.get(0), region.get(4));
    if tail.wrapping_sub(head) == CAPACITY {
        return false;
    }
    let at = DATA + (tail % CAPACITY) as usize;
    let shift = at % 4 * 8;
    let word = region.get(at / 4 * 4) & !(0xff << shift) | u32::from(byte) << shift;
    region.set(at / 4 * 4, word);
    region.set(0, tail.wrapping_add(1));
    true
}

proptest! {
    #[test]
    fn bytes_arrive_in_order_across_the_wrap_of_the_counters(
        start in prop_oneof![Just(0u32), (0u32..100).prop_map(|below| u32::MAX - below), any::<u32>()],
        steps in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..80), 0usize..80), 1..60),
    ) {
        let region = Region::new(DATA + CAPACITY as usize);
        region.set(0, start);
        region.set(4, start);
        let mut reader = Reader::attach(region.window()).unwrap();
        let mut expected = VecDeque::new();
        for (write, read) in steps {
            expected.extend(write.into_iter().filter(|byte| enqueue(&region, *byte)));
            let mut to = vec![0; read];
            let got = reader.read(&mut to);
            prop_assert_eq!(got, read.min(expected.len()));
            let want: Vec<u8> = expected.drain(..got).collect();
            prop_assert_eq!(&to[..got], want.as_slice());
        }
    }

    #[test]
    fn a_client_that_writes_the_counters_gets_no_more_than_its_data_printed(
        writes in prop::collection::vec((0usize..3, any::<u32>()), 1..60),
    ) {
        let region = Region::new(DATA + CAPACITY as usize);
        let mut reader = Reader::attach(region.window()).unwrap();
        for (word, value) in writes {
            region.set(word * 4, value);
            prop_assert!(reader.read(&mut [0; 200]) <= CAPACITY as usize);
            prop_assert!(region.intact());
        }
    }
}

#[test]
fn a_writer_that_waits_for_room_is_told_once() {
    let region = Region::new(DATA + CAPACITY as usize);
    let mut reader = Reader::attach(region.window()).unwrap();
    region.set(8, 1);
    assert!(!reader.wants_signal(), "it asked for nothing");
    region.set(8, 0);
    assert!(reader.wants_signal());
    assert!(!reader.wants_signal(), "once");
}

#[test]
fn data_of_an_odd_size_is_refused() {
    for size in [0, 3 * 64] {
        assert!(Reader::attach(Region::new(DATA + size).window()).is_err());
    }
}
