// SPDX-License-Identifier: MIT
//! Random traffic against an oracle that is a vector of bytes.
use super::*;
use proptest::prelude::*;

/// One thing that happens.
#[derive(Clone, Debug)]
enum Step {
    Request(Op, u64, u32, bool, u8),
    Finish(usize),
    Attention(u8, u8),
    Busy,
    Time(u64),
    Refresh,
}

fn step() -> impl Strategy<Value = Step> {
    let op = prop_oneof![4 => Just(Op::Read), 4 => Just(Op::Write), 1 => Just(Op::Flush), 1 => Just(Op::WriteZeroes)];
    prop_oneof![
        8 => (op, 0u64..120, 1u32..9, any::<bool>(), any::<u8>()).prop_map(|(op, lba, n, fua, byte)| Step::Request(op, lba, n, fua, byte)),
        8 => (0usize..32).prop_map(Step::Finish),
        1 => prop_oneof![Just((0x29u8, 0u8)), Just((0x2a, 1)), Just((0x3f, 0x0e)), Just((0x29, 2))].prop_map(|(a, q)| Step::Attention(a, q)),
        1 => Just(Step::Busy),
        1 => (0u64..40_000_000).prop_map(Step::Time),
        1 => Just(Step::Refresh),
    ]
}

/// What is in flight: what it must give back, and where.
struct Expected {
    tag: u32,
    req: Request,
    content: Vec<u8>,
}

const BLOCKS: usize = 128;

/// Requests in flight overlap in nothing, so that what each must give is known when it is sent.
fn free(open: &[Expected], req: &Request) -> bool {
    let overlaps = |other: &Request| req.lba.0 < other.end().unwrap() && other.lba.0 < req.end().unwrap();
    open.iter().all(|other| !overlaps(&other.req)) && open.len() < 24
}

fn check(rig: &Rig, open: &mut Vec<Expected>, (tag, done): (u32, Completion)) {
    let nth = open.iter().position(|expected| expected.tag == tag).expect("an answer to what was asked, once");
    let expected = open.remove(nth);
    let blocks = if expected.req.op == Op::Flush { 0 } else { expected.req.blocks };
    assert_eq!(done, Completion::ok(blocks), "{:?}", expected.req);
    if expected.req.op == Op::Read {
        assert_eq!(rig.payload(expected.req.buf.offset as usize, expected.content.len()), expected.content);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn every_request_is_answered_once_with_the_right_bytes(
        steps in proptest::collection::vec(step(), 1..120), offered in 0u64..4, fua: bool, queue in 0usize..3, queues in 1u8..9,
    ) {
        let disk = Disk { fua, max_unmap: 4, max_write_same: 3, ..Disk::new(BLOCKS as u64, 512) };
        let shape = ScsiShape { queue_max: [256, 64, 32][queue], ..ScsiShape::new(offered << 28 | 6).queues(queues) };
        let mut rig = Rig::with(shape, Disks::of(disk), &FIRST, |_| {}).unwrap();
        rig.settle();
        let mut oracle = rig.disk(|disk| disk.content.clone());
        let (mut open, mut tag) = (Vec::new(), 0);
        for step in steps {
            rig.scsi.set_time(Instant(rig.now));
            match step {
                Step::Request(op, lba, blocks, fua, byte) => {
                    let blocks = if op == Op::Flush { 0 } else { blocks };
                    let offset = u64::from(tag % 64) * 4096;
                    let req = Request { fua, ..request(op, lba, blocks, offset) };
                    if !rig.scsi.has_room(Unit(0)) || !free(&open, &req) || open.iter().any(|e| e.req.buf.offset == offset) {
                        continue;
                    }
                    let range = lba as usize * 512..(lba as usize + blocks as usize) * 512;
                    match op {
                        Op::Write => {
                            assert!(rig.data.copy_in(offset as usize, &vec![byte; range.len()]));
                            oracle[range.clone()].fill(byte);
                        }
                        Op::WriteZeroes => oracle[range.clone()].fill(0),
                        _ => {}
                    }
                    rig.scsi.start(Unit(0), tag, &req);
                    open.push(Expected { tag, req, content: oracle[range].to_vec() });
                    tag += 1;
                }
                Step::Finish(nth) => {
                    rig.scsi.kick();
                    let mut device = rig.device.borrow_mut();
                    device.take();
                    let held = device.taken.len();
                    if held > 0 {
                        device.finish(nth % held);
                    }
                }
                Step::Attention(asc, ascq) => rig.disk(|disk| disk.attentions.push_back((asc, ascq))),
                Step::Busy => rig.disk(|disk| {
                    disk.faults.push(Failure { opcode: None, block: None, times: 1, bad: Bad::Status(0x28) });
                }),
                Step::Time(ns) => rig.now += ns,
                Step::Refresh => rig.scsi.refresh(),
            }
            while let Some(done) = rig.scsi.finished() {
                check(&rig, &mut open, done);
            }
            rig.scsi.expire();
        }
        for done in rig.finish() {
            check(&rig, &mut open, done);
        }
        prop_assert!(open.is_empty(), "requests that were never answered");
        prop_assert_eq!(rig.scsi.in_flight(), 0);
        prop_assert!(rig.disk(|disk| disk.content == oracle));
        prop_assert_eq!(rig.scsi.counters().misused + rig.scsi.counters().timeouts, 0);
    }
}
