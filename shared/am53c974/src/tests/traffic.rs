// SPDX-License-Identifier: MIT
//! Random requests on targets that do all that they may, against a vector of bytes.
use super::*;
use proptest::prelude::*;

const BLOCKS: u64 = 256;

#[derive(Clone, Debug)]
struct Step {
    op: Op,
    unit: u8,
    lba: u64,
    blocks: u32,
    fill: u8,
    fua: bool,
    together: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let ops = prop_oneof![
        4 => Just(Op::Read),
        4 => Just(Op::Write),
        1 => Just(Op::Flush),
        1 => Just(Op::WriteZeroes),
    ];
    (ops, 0..2u8, 0..BLOCKS, 1..24u32, any::<u8>(), any::<bool>(), prop::bool::weighted(0.8)).prop_map(
        |(op, unit, lba, blocks, fill, fua, together)| Step {
            op,
            unit,
            lba,
            blocks: blocks.min((BLOCKS - lba) as u32),
            fill,
            fua,
            together,
        },
    )
}

fn manners() -> impl Strategy<Value = Manners> {
    let how = prop_oneof![
        Just(Synchronous::Ignores),
        Just(Synchronous::Rejects),
        Just(Synchronous::Answers(25, 15)),
        Just(Synchronous::Answers(60, 3)),
    ];
    (any::<u64>(), 0..5u64, 1..6000usize, how, 0..4u8, 1..8usize, any::<bool>()).prop_map(
        |(seed, disconnects, chunk, synchronous, flags, depth, proposes)| Manners {
            seed,
            disconnects,
            chunk,
            synchronous,
            // One that does not know the message does not send it.
            proposes: proposes && synchronous != Synchronous::Ignores,
            flags: flags & 1 | (flags & 1) << 4 | flags & 2,
            depth,
        },
    )
}

/// Steps that run together touch blocks of their own: those in flight have no order.
fn batches(steps: Vec<Step>) -> Vec<Vec<Step>> {
    let mut batches: Vec<Vec<Step>> = Vec::new();
    for step in steps {
        let apart = |other: &Step| {
            other.unit != step.unit
                || other.lba + u64::from(other.blocks) <= step.lba
                || step.lba + u64::from(step.blocks) <= other.lba
        };
        match batches.last_mut() {
            Some(batch) if step.together && batch.len() < 10 && batch.iter().all(apart) => batch.push(step),
            _ => batches.push(vec![step]),
        }
    }
    batches
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    #[test]
    fn every_request_ends_once_and_reads_see_writes(manners in manners(), steps in prop::collection::vec(step(), 1..60)) {
        let places = [PLACE, Place { target: 5, lun: 2 }];
        let disks = places.map(|place| (place, Disk::new(BLOCKS, 512)));
        let mut rig = Rig::over(bus(disks), &places.map(Choice::At), manners);
        let mut expected: Vec<Vec<u8>> =
            places.iter().map(|place| rig.device.borrow().bus.disks[place].content.clone()).collect();
        for batch in batches(steps) {
            for (slot, step) in batch.iter().enumerate() {
                let (at, bytes) = (slot * 12288, step.blocks as usize * 512);
                if step.op == Op::Write {
                    assert!(rig.data.copy_in(at, &vec![step.fill; bytes]));
                }
                let req = Request { fua: step.fua, ..request(step.op, step.lba, step.blocks, at as u64) };
                rig.send(slot as u32, step.unit, req);
            }
            let mut done = rig.finish();
            done.sort_unstable_by_key(|(tag, _)| *tag);
            let fine: Vec<_> = batch.iter().map(|step| Completion::ok(step.blocks)).collect();
            prop_assert_eq!(done.iter().map(|(tag, _)| *tag as usize).collect::<Vec<_>>(), (0..batch.len()).collect::<Vec<_>>());
            for (slot, step) in batch.iter().enumerate() {
                let range = step.lba as usize * 512..(step.lba as usize + step.blocks as usize) * 512;
                let content = &mut expected[usize::from(step.unit)];
                prop_assert_eq!(done[slot].1.status, fine[slot].status, "{:?}", step);
                match step.op {
                    Op::Write => content[range].fill(step.fill),
                    Op::WriteZeroes => content[range].fill(0),
                    Op::Read => prop_assert!(rig.payload(slot * 12288, range.len()) == content[range], "{:?}", step),
                    _ => {}
                }
            }
        }
        for (place, expected) in places.iter().zip(&expected) {
            prop_assert!(rig.device.borrow().bus.disks[place].content == *expected);
        }
        prop_assert_eq!(rig.device.borrow().taken(), 0);
        prop_assert_eq!(rig.driver.counters().misused + rig.driver.counters().timeouts, 0);
    }
}

/// That the targets above do what they may, and not only could.
#[test]
fn lively_targets_disconnect_and_keep_several_commands() {
    let mut rig = Rig::new(Manners::lively(11));
    for tag in 0..32 {
        rig.send(tag, 0, request(Op::Read, u64::from(tag) * 16, 16, u64::from(tag) * 8192));
    }
    let done = rig.finish();
    assert!(done.len() == 32 && done.iter().all(|(_, done)| *done == Completion::ok(16)));
    assert_eq!(rig.payload(0, 32 * 8192), rig.content(0, 32 * 8192));
    let order: Vec<u32> = done.iter().map(|(tag, _)| *tag).collect();
    assert!(!order.is_sorted(), "tagged commands end in the target's order");
    assert!(rig.device.borrow().disconnections > 20);
}
