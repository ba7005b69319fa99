// SPDX-License-Identifier: MIT
//! What is timed against what every request took.
use super::*;
use crate::{Around, Interrupted, Lowers, NoPayload, Passthrough, Submission, Uppers};
use orion_block::{Buf, Completion, Lba, Limits, Request};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::vec::Vec;

/// One client that keeps some requests asked, and when each was taken.
#[derive(Default)]
struct Client {
    now: u64,
    depth: usize,
    asked: u32,
    taken: BTreeMap<u32, (Op, u64)>,
    /// Those that have ended since the last look: what, and how long it took.
    ended: Vec<(Op, u64)>,
}

impl Uppers for Client {
    fn count(&self) -> u8 {
        1
    }
    fn next(&mut self, _: u8) -> Option<Submission> {
        if self.taken.len() >= self.depth {
            return None;
        }
        let op = [Op::Read, Op::Write, Op::Flush][self.asked as usize % 3];
        let req = Request { op, lba: Lba(0), blocks: u32::from(op != Op::Flush), buf: Buf::default(), fua: false };
        self.asked += 1;
        self.taken.insert(self.asked, (op, self.now));
        Some(Submission { tag: self.asked, req })
    }
    fn complete(&mut self, _: u8, tag: u32, _: Completion) {
        let (op, since) = self.taken.remove(&tag).unwrap();
        self.ended.push((op, self.now - since));
    }
}

/// A device that ends so many requests at a time, the last one first at times.
#[derive(Default)]
struct Device {
    held: VecDeque<(u32, u32)>,
    ends: usize,
    last_first: bool,
}

impl Lowers for Device {
    fn count(&self) -> u8 {
        1
    }
    fn capacity(&self, _: u8) -> u16 {
        16
    }
    fn limits(&self, _: u8) -> Option<Limits> {
        Some(Limits { capacity: 8, ..Limits::default() })
    }
    fn submit(&mut self, _: u8, s: Submission) {
        self.held.push_back((s.tag, s.req.blocks));
    }
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        if self.ends == 0 {
            return Ok(None);
        }
        self.ends -= 1;
        let one = if self.last_first { self.held.pop_back() } else { self.held.pop_front() };
        Ok(one.map(|(tag, blocks)| (0, tag, Completion::ok(blocks))))
    }
}

proptest! {
    /// Whatever the depths and orders: what is said of a request is true of one that ended in that very call; and as long
    /// as requests come and go, some are timed.
    #[test]
    fn what_is_timed_took_that_long(phases in prop::collection::vec((1usize..17, 1usize..17, any::<bool>()), 1..6)) {
        let mut node: Node<Passthrough, 16> = Node::new(Passthrough, 0);
        let (mut client, mut device, mut probe) = (Client::default(), Device::default(), Probe::new());
        for (depth, ends, last_first) in phases {
            let mut timed = 0;
            (client.depth, device.last_first) = (depth, last_first);
            for _ in 0..2400 {
                client.now += 7;
                device.ends = ends;
                client.ended.clear();
                let now = Instant(client.now);
                let (uppers, lowers) = (&mut client, &mut device);
                node.run(&mut Around { uppers, lowers, payload: &mut NoPayload, now });
                if probe.is_due() && let Some(said) = node.look(&mut probe, now) {
                    prop_assert!(client.ended.contains(&said), "{said:?} is not in {:?}", client.ended);
                    timed += 1;
                }
            }
            // A device that ends the last one first may never come to the slot that is watched.
            prop_assert!(timed >= if last_first { 0 } else { 3 }, "{timed} timed at depth {depth}, {ends} at a time");
        }
    }
}
