// SPDX-License-Identifier: MIT
//! Random traffic against an oracle, while drives misbehave and each side acts only when the other wakes it.
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Blocks that requests touch, and bytes of each.
const FEW: u64 = 24;
/// Requests at once.
const TAGS: u32 = 31;

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Move {
    Start(Op, u64, u32, bool),
    Wake,
    Take,
    Finish(usize),
    Mischief(Mischief),
    Time(u64),
}

fn moves() -> impl Strategy<Value = Move> {
    let op = prop_oneof![4 => Just(Op::Read), 4 => Just(Op::Write), 1 => Just(Op::Flush)];
    prop_oneof![
        12 => (op, 0..FEW, 1u32..5, any::<bool>()).prop_map(|(op, lba, blocks, fua)| Move::Start(op, lba, blocks, fua)),
        6 => Just(Move::Wake),
        6 => Just(Move::Take),
        12 => any::<usize>().prop_map(Move::Finish),
        1 => mischief().prop_map(Move::Mischief),
        1 => (0u64..3_000_000_000).prop_map(Move::Time),
    ]
}

fn mischief() -> impl Strategy<Value = Mischief> {
    prop::sample::select(vec![
        Mischief::Fail(0x40),
        Mischief::Fail(0x84),
        Mischief::FailBusy(4),
        Mischief::Lose,
        Mischief::BlameOther(3),
        Mischief::BadLog,
        Mischief::NoLog,
        Mischief::LinkFails,
        Mischief::BusFails,
        Mischief::Sticks,
        Mischief::Spurious,
    ])
}

/// What a request may find, or leave, in each of its blocks.
type Seen = BTreeMap<u64, Vec<u8>>;

/// What each block may hold: the stamps of writes that no later write has certainly replaced.
#[derive(Debug, Default)]
struct Oracle {
    may: BTreeMap<u64, Vec<u8>>,
    flying: BTreeMap<u32, (Request, u8, Seen)>,
}

impl Oracle {
    fn may(&self, block: u64) -> Vec<u8> {
        self.may.get(&block).cloned().unwrap_or_else(|| vec![0])
    }

    fn start(&mut self, tag: u32, req: Request, stamp: u8) {
        let blocks = || req.lba.0..req.lba.0 + u64::from(req.blocks);
        let mut seen = BTreeMap::new();
        for block in blocks() {
            if req.op == Op::Write {
                let mut may = self.may(block);
                may.push(stamp);
                self.may.insert(block, may);
                for (other, _, seen) in self.flying.values_mut() {
                    let overlaps =
                        other.op == Op::Read && (other.lba.0..other.lba.0 + u64::from(other.blocks)).contains(&block);
                    if overlaps {
                        seen.entry(block).or_default().push(stamp);
                    }
                }
            }
            seen.insert(block, self.may(block));
        }
        self.flying.insert(tag, (req, stamp, seen));
    }

    fn end(&mut self, tag: u32, done: Completion, data: &Window) {
        let (req, stamp, seen) = self.flying.remove(&tag).expect("an answer to what was asked, once");
        let alone = |oracle: &Self, block: u64| {
            oracle.flying.values().all(|(other, ..)| {
                other.op != Op::Write || !(other.lba.0..other.lba.0 + u64::from(other.blocks)).contains(&block)
            })
        };
        for i in 0..u64::from(req.blocks) {
            let block = req.lba.0 + i;
            match (req.op, done.status) {
                (Op::Read, Ok(())) => {
                    let mut bytes = [0; 512];
                    assert!(data.copy_out(req.buf.offset as usize + i as usize * 512, &mut bytes));
                    assert!(bytes.iter().all(|byte| *byte == bytes[0]), "a torn block");
                    assert!(
                        seen[&block].contains(&bytes[0]),
                        "block {block}: {} is none of {:?}",
                        bytes[0],
                        seen[&block]
                    );
                }
                // No other write of it was in flight at any time: it is what the block holds.
                (Op::Write, Ok(()))
                    if alone(self, block) && self.may(block).last() == Some(&stamp) && seen[&block].len() == 2 =>
                {
                    self.may.insert(block, vec![stamp]);
                }
                _ => {}
            }
        }
        assert!(done.status.is_err() || done.blocks == req.blocks);
    }
}

struct Traffic {
    rig: Rig,
    oracle: Oracle,
    free: Vec<u32>,
    stamp: u8,
}

impl Traffic {
    /// `behind`: behind a port multiplier, with FIS-based switching or without.
    fn new(options: Options, drive: Drive, behind: Option<bool>) -> Self {
        let mut drive = drive;
        drive.content.fill(0);
        drive.durable.fill(0);
        let rig = match behind {
            Some(by_fis) => multiplier::alone(by_fis, options, drive),
            None => Rig::with(Shape::default(), vec![(0, drive)], &[FIRST], options).unwrap(),
        };
        Self { rig, oracle: Oracle::default(), free: (0..TAGS).collect(), stamp: 0 }
    }

    fn answers(&mut self, done: Vec<(u32, Completion)>) {
        for (tag, done) in done {
            self.oracle.end(tag, done, &self.rig.data);
            self.free.push(tag);
        }
    }

    fn step(&mut self, step: Move) {
        match step {
            Move::Start(op, lba, blocks, fua) => {
                if !self.rig.ahci.has_room(Unit(0)) {
                    return;
                }
                let Some(tag) = self.free.pop() else { return };
                let blocks = if op == Op::Flush { 0 } else { blocks };
                let mut req = request(op, lba, blocks, u64::from(tag) * 4096);
                req.fua = fua;
                if op == Op::Write {
                    self.stamp = self.stamp.wrapping_add(1);
                    assert!(self.rig.data.copy_in(tag as usize * 4096, &vec![self.stamp; blocks as usize * 512]));
                }
                self.oracle.start(tag, req, self.stamp);
                self.rig.send(tag, req);
            }
            Move::Wake => {
                let done = self.rig.woken();
                self.answers(done);
            }
            Move::Take => self.rig.hba.borrow_mut().take(),
            Move::Finish(nth) => {
                let mut hba = self.rig.hba.borrow_mut();
                let taken = hba.taken.len();
                if taken > 0 {
                    hba.finish(nth % taken);
                }
            }
            Move::Mischief(mischief) => self.rig.hba.borrow_mut().mischief = Some(mischief),
            Move::Time(ns) => self.rig.now += ns,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn every_request_gets_one_answer_and_reads_see_what_was_written(
        way in 0usize..5,
        fua in any::<bool>(),
        behind in any::<Option<bool>>(),
        steps in proptest::collection::vec(moves(), 1..300),
    ) {
        let drive = if fua { drive() } else { drive().with(84, 0x40, 0) };
        let mut traffic = Traffic::new(ways()[way].0, drive, behind);
        for step in steps {
            traffic.step(step);
        }
        traffic.rig.hba.borrow_mut().mischief = None;
        let rest = traffic.rig.wait(300);
        traffic.answers(rest);
        prop_assert!(traffic.oracle.flying.is_empty(), "without an answer: {:?}", traffic.oracle.flying);
        prop_assert_eq!(traffic.rig.ahci.deadline(), None);
    }
}
