// SPDX-License-Identifier: MIT
//! Random traffic with an oracle, where each side acts only when the other has told it to.
use super::*;
use crate::queues::Many;
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

const BLOCKS: usize = 96;
/// Blocks of one request at most: lists and SGLs are among them; and bytes of one payload slot.
const MOST: usize = 24;
const ROOM: usize = MOST * 512 + 4096;

/// A client that never has two requests for the same block in flight, so that it knows what each must find.
struct Client {
    random: Random,
    /// Requests in flight, each with its payload slot.
    flying: Vec<Option<Request>>,
    content: Vec<u8>,
    ended: usize,
}

impl Client {
    fn free(&self, lba: u64, blocks: u32) -> bool {
        let end = lba + u64::from(blocks);
        self.flying.iter().flatten().all(|r| r.lba.0 >= end || r.end().unwrap() <= lba)
    }

    /// Submits a random request if a slot is free; whether it did.
    fn submit(&mut self, rig: &mut Rig<impl Queues>) -> bool {
        let Some(slot) = self.flying.iter().position(Option::is_none) else {
            return false;
        };
        let blocks = 1 + self.random.below(MOST);
        let lba = self.random.below(BLOCKS - blocks + 1) as u64;
        let op = [Op::Read, Op::Write, Op::Write, Op::Flush, Op::WriteZeroes, Op::Discard][self.random.below(6)];
        if op != Op::Flush && !self.free(lba, blocks as u32) {
            return false;
        }
        let offset = slot * ROOM + 4 * self.random.below(1024);
        let mut req = request(op, lba, blocks as u32, offset as u64);
        if op == Op::Flush {
            (req.blocks, req.lba) = (0, Lba(0));
        }
        req.fua = op.modifies() && self.random.below(3) == 0;
        let range = lba as usize * 512..(lba as usize + blocks) * 512;
        let fresh: Vec<u8> = (0..blocks * 512).map(|i| (self.random.0 >> (i % 7)) as u8 ^ i as u8).collect();
        match op {
            Op::Write => self.content[range].copy_from_slice(&fresh),
            Op::WriteZeroes | Op::Discard => self.content[range].fill(0),
            _ => {}
        }
        assert!(rig.data.copy_in(offset, &fresh));
        self.flying[slot] = Some(req);
        rig.send(slot as u32, req);
        true
    }

    fn ended(&mut self, rig: &Rig<impl Queues>, tag: u32, done: Completion) {
        let req = self.flying[tag as usize].take().expect("answered once");
        assert_eq!(done, Completion::ok(req.blocks), "{req:?}");
        let start = req.lba.0 as usize * 512;
        let range = start..start + req.blocks as usize * 512;
        if req.op == Op::Read {
            assert_eq!(rig.payload(req.buf.offset as usize, range.len()), self.content[range.clone()]);
        }
        if req.fua {
            assert_eq!(rig.durable(range.clone()), self.content[range]);
        }
        self.ended += 1;
    }
}

/// Runs `total` requests. The controller looks only after a doorbell, the driver only after an interrupt or when it has something
/// to submit: where one loses a wake-up, nothing moves any more. Now and then the controller breaks the protocol, and is reset.
fn run<Q: Queues>(shape: Shape, wishes: Wishes, (seed, depth): (u64, usize), resets: bool, total: usize) {
    let spaces = vec![(1, Space::new(BLOCKS, 9))];
    let place = Place { verify: seed & 1 == 1, ..Place::FIRST };
    let mut rig = Rig::<Q>::wishing(shape, spaces, &[place], DMA_BYTES, wishes, |_| {}).unwrap();
    let depth = depth.min(rig.nvme.depth().into());
    let content = rig.content(0..BLOCKS * 512);
    let mut client = Client { random: Random(seed), flying: vec![None; depth], content, ended: 0 };
    let (mut quiet, mut broke_at) = (0, None);
    rig.at(1);
    rig.nvme.expire();
    assert_eq!(rig.nvme.finished(), None);
    while client.ended < total {
        let wants = client.random.below(3) == 0 || client.flying.iter().all(Option::is_none);
        let most = if wants { 1 + client.random.below(depth) } else { 0 };
        rig.nvme.lane(client.random.below(3) as u8);
        let submitted = (0..most).filter(|_| rig.nvme.has_room(Unit(0)) && client.submit(&mut rig)).count();
        rig.nvme.kick();
        // One that fails again and again before it has done anything is given up.
        if resets && client.random.below(100) == 0 && broke_at != Some(client.ended) {
            broke_at = Some(client.ended);
            rig.device.borrow_mut().mischief = Some(Mischief::Id(0x300));
        }
        device_works(rig.device.borrow_mut(), &mut client.random);
        let interrupted = rig.device.borrow_mut().take_interrupt();
        if interrupted {
            rig.nvme.interrupted();
        }
        if interrupted || submitted > 0 {
            while let Some((tag, done)) = rig.nvme.finished() {
                client.ended(&rig, tag, done);
                quiet = 0;
            }
            rig.nvme.kick();
        }
        quiet += 1;
        assert!(quiet < 1000, "nothing moves: a wake-up was lost after {} requests", client.ended);
    }
    assert!(resets || rig.nvme.counters().misused == 0);
}

fn device_works(mut device: core::cell::RefMut<'_, Model>, random: &mut Random) {
    device.take();
    let some = random.below(device.taken.len() + 1);
    for _ in 0..some {
        if !device.taken.is_empty() {
            let nth = random.below(device.taken.len());
            device.finish(nth);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_request_ends_once_and_right_and_no_wake_up_is_lost(
        seed: u64,
        depth in 1usize..130,
        messages: bool,
        plain: bool,
        resets: bool,
        entries in prop::sample::select(vec![2u64, 3, 8, 64, 100, 1024]),
        several in any::<Option<u8>>(),
        weighted: bool,
        granted in 1u16..10,
    ) {
        let shape = Shape::new().with(|shape| {
            shape.messages = messages;
            shape.capabilities = shape.capabilities & !0xffff | (entries - 1);
            shape.capabilities |= u64::from(granted % 2) << 17;
            shape.grants = granted;
            if plain {
                (shape.controller.oacs, shape.controller.sgls) = (0.into(), 0.into());
            }
        });
        let wishes = several.map_or(Wishes::default(), |queues| Wishes { queues: 2 + queues % 9, weighted, ..Wishes::default() });
        if wishes == Wishes::default() {
            run::<One>(shape, wishes, (seed, depth), resets, 500);
        } else {
            run::<Many>(shape, wishes, (seed, depth), resets, 500);
        }
    }
}
