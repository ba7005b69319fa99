// SPDX-License-Identifier: MIT
//! The byte ring against a queue of bytes, and against neighbours that write its counters.
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
use orion_ring::bytes::{Reader, Writer};
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Debug)]
enum Step {
    Write(Vec<u8>),
    Read(usize),
    Scribble(usize, u32),
}

fn honest() -> impl Strategy<Value = Step> {
    prop_oneof![prop::collection::vec(any::<u8>(), 0..100).prop_map(Step::Write), (0usize..100).prop_map(Step::Read),]
}

proptest! {
    #[test]
    fn bytes_arrive_in_order_and_the_rest_is_counted(
        size in 1usize..100,
        before in 0u32..200,
        steps in prop::collection::vec(honest(), 1..200),
    ) {
        let region = Region::new(64 + size);
        let size = region.window().len() - 64;
        let capacity = size as u32;
        let last = 2 * capacity - 1;
        for word in [0, 4] {
            region.set(word, last - before % (2 * capacity));
        }
        let (mut writer, mut reader) = (Writer::attach(region.window()).unwrap(), Reader::attach(region.window()).unwrap());
        let (mut oracle, mut dropped) = (VecDeque::new(), 0);
        for step in steps {
            match step {
                Step::Write(bytes) => {
                    let fit = bytes.len().min(size - oracle.len());
                    prop_assert_eq!(writer.write(&bytes), fit);
                    oracle.extend(&bytes[..fit]);
                    dropped += (bytes.len() - fit) as u32;
                }
                Step::Read(len) => {
                    let mut to = vec![0; len];
                    let read = reader.read(&mut to);
                    prop_assert_eq!(read, len.min(oracle.len()));
                    let want: Vec<u8> = oracle.drain(..read).collect();
                    prop_assert_eq!(&to[..read], &want[..]);
                }
                Step::Scribble(..) => {}
            }
            prop_assert_eq!((writer.dropped(), reader.dropped()), (dropped, dropped));
        }
        prop_assert!(region.intact());
    }

    #[test]
    fn neither_end_leaves_the_region(
        size in 1usize..100,
        steps in prop::collection::vec(
            prop_oneof![
                honest(),
                (0usize..3, prop_oneof![0u32..200, any::<u32>(), Just(u32::MAX)])
                    .prop_map(|(word, value)| Step::Scribble(word * 4, value)),
            ],
            1..200,
        ),
    ) {
        let region = Region::new(64 + size);
        let (mut writer, mut reader) = (Writer::attach(region.window()).unwrap(), Reader::attach(region.window()).unwrap());
        for step in steps {
            match step {
                Step::Write(bytes) => prop_assert!(writer.write(&bytes) <= bytes.len()),
                Step::Read(len) => prop_assert!(reader.read(&mut vec![0; len]) <= len),
                Step::Scribble(at, value) => region.set(at, value),
            }
        }
        prop_assert!(region.intact());
    }
}

#[test]
fn a_region_without_room_for_data_is_refused() {
    assert!(Writer::attach(Region::new(64).window()).is_err());
    assert!(Reader::attach(Region::new(8).window()).is_err());
}
