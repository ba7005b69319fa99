// SPDX-License-Identifier: MIT
//! Random traffic with an oracle, where each side acts only when the other has told it to.
#![allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]
use super::*;
use proptest::prelude::*;

/// A generator good enough for schedules: splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ z >> 31) % n as u64) as usize
    }
}

const BLOCKS: usize = 64;
/// Blocks of one request at most, and so of one payload slot.
const MOST: usize = 4;

/// A client that never has two requests for the same block in flight, so that it knows what each must find.
struct Client {
    random: Random,
    depth: usize,
    /// Requests in flight, each with its payload slot.
    flying: Vec<Option<Request>>,
    content: Vec<u8>,
    ended: usize,
}

impl Client {
    fn free(&self, lba: u64, blocks: u32) -> bool {
        let end = lba + u64::from(blocks);
        let mut flying = self.flying.iter().flatten();
        flying.all(|r| r.lba.0 >= end || r.end().unwrap() <= lba)
    }

    /// Submits a random request if a slot is free; whether it did.
    fn submit<Q: Ring>(&mut self, rig: &mut Rig<Q>) -> bool {
        let Some(slot) = self.flying.iter().take(self.depth).position(Option::is_none) else {
            return false;
        };
        let blocks = 1 + self.random.below(MOST);
        let lba = self.random.below(BLOCKS - blocks + 1) as u64;
        let op = [Op::Read, Op::Write, Op::Write, Op::Flush, Op::WriteZeroes][self.random.below(5)];
        if op != Op::Flush && !self.free(lba, blocks as u32) {
            return false;
        }
        let offset = (slot * MOST * 512) as u64;
        let mut req = request(op, lba, blocks as u32, offset);
        if op == Op::Flush {
            (req.blocks, req.lba) = (0, Lba(0));
        }
        req.fua = op.modifies() && self.random.below(3) == 0;
        let range = lba as usize * 512..(lba as usize + blocks) * 512;
        let fresh: Vec<u8> = (0..blocks * 512).map(|i| (self.random.0 >> (i % 7)) as u8 ^ i as u8).collect();
        match op {
            Op::Write => self.content[range].copy_from_slice(&fresh),
            Op::WriteZeroes => self.content[range].fill(0),
            _ => {}
        }
        assert!(rig.data.copy_in(offset as usize, &fresh));
        self.flying[slot] = Some(req);
        rig.send(slot as u32, req);
        true
    }

    fn ended<Q: Ring>(&mut self, rig: &Rig<Q>, tag: u32, done: Completion) {
        let req = self.flying[tag as usize].take().expect("answered once");
        assert_eq!(done, Completion::ok(req.blocks), "{req:?}");
        let start = req.lba.0 as usize * 512;
        let range = start..start + req.blocks as usize * 512;
        if req.op == Op::Read {
            assert_eq!(rig.payload(req.buf.offset as usize, range.len()), self.content[range.clone()]);
        }
        if req.fua {
            assert_eq!(rig.device.borrow().durable[range.clone()], self.content[range]);
        }
        self.ended += 1;
    }
}

/// Runs `total` requests. The device looks only after a notification, the driver only after an interrupt or when it has
/// something to submit: where one loses a wake-up, nothing moves any more.
fn run<Q: Ring>(mut rig: Rig<Q>, seed: u64, depth: usize, total: usize) {
    let content = rig.device.borrow().content.clone();
    let depth = depth.min(rig.blk.depth().into());
    let mut client = Client { random: Random(seed), depth, flying: vec![None; depth], content, ended: 0 };
    let mut quiet = 0;
    assert_eq!(rig.next(), None);
    while client.ended < total {
        let wants = client.random.below(3) == 0 || client.flying.iter().all(Option::is_none);
        let most = if wants { 1 + client.random.below(depth) } else { 0 };
        rig.blk.lane(client.random.below(3) as u8);
        let submitted = (0..most).filter(|_| client.submit(&mut rig)).count();
        rig.blk.kick();
        device_works(rig.device.borrow_mut(), &mut client.random);
        let interrupted = rig.device.borrow_mut().take_interrupt();
        if interrupted {
            rig.blk.interrupted();
        }
        if interrupted || submitted > 0 {
            while let Some((tag, done)) = rig.next() {
                client.ended(&rig, tag, done);
                quiet = 0;
            }
            rig.blk.kick();
        }
        quiet += 1;
        assert!(quiet < 1000, "nothing moves: a wake-up was lost after {} requests", client.ended);
    }
    assert_eq!(rig.blk.counters().misused, 0);
}

fn device_works(mut device: core::cell::RefMut<'_, Model>, random: &mut Random) {
    device.take();
    let some = random.below(device.taken.len() + 1);
    for _ in 0..some {
        let nth = random.below(device.taken.len());
        device.finish(nth);
    }
}

fn shape(offered: u64) -> Shape {
    Shape::new(BLOCKS, offered | feature::WRITE_ZEROES)
        .field(wire::config::MAX_WRITE_ZEROES_SECTORS, 1024u32.to_le_bytes())
}

/// The driver of either kind, on a device that offers what it wishes for.
fn run_any(shape: Shape, via: Via, wishes: Option<Wishes>, seed: u64, depth: usize, total: usize) {
    match wishes {
        None => run(Rig::new(shape, via), seed, depth, total),
        Some(wishes) => run(Rig::<Many>::granted(shape, via, wishes), seed, depth, total),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn every_request_ends_once_and_right_and_no_wake_up_is_lost(
        seed: u64,
        depth in 1usize..130,
        via in prop::sample::select(&VIAS[..]),
        indirect: bool,
        event: bool,
        flush: bool,
        queue_max in prop::sample::select(vec![4u16, 8, 64, 256, 1024]),
        nth in prop::option::of(0usize..8),
    ) {
        let offered = if indirect { INDIRECT } else { 0 } | if event { EVENT } else { 0 };
        let offered = offered | if flush { feature::FLUSH } else { 0 };
        let wishes = nth.and_then(|nth| wishes().nth(nth));
        run_any(Shape { queue_max, ..shape(offered) }, via, wishes, seed, depth, 600);
    }
}

#[test]
fn no_wake_up_is_lost_where_the_ring_indices_wrap() {
    // Each index wraps twice: reads and writes of one block, at depths that hit the wrap differently.
    for (seed, depth) in [(1, 1), (2, 3), (3, 64)] {
        run_any(shape(INDIRECT | EVENT), Via::Mmio, None, seed, depth, 140_000 / if depth == 3 { 4 } else { 1 });
    }
    // The index of a split ring that is used in order.
    let in_order = Wishes { in_order: true, ..Wishes::default() };
    run_any(shape(INDIRECT | EVENT), Via::Mmio, Some(in_order), 4, 64, 140_000);
}
