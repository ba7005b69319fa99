// SPDX-License-Identifier: MIT
//! To verify: every block is looked at once at least, and those that cannot be read are found.
use super::*;
use orion_metrics::{DiskWork, Progress, Reply, Row, Verb, Work};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::format;
use std::string::String;

fn begin(rig: &mut Rig, first: u64, count: u64) -> Reply {
    rig.nvme.order(1, &Work { first, count, ..Work::new(Verb::Verify, 0) })
}

fn row(rig: &Rig) -> DiskWork {
    let Some(Row::DiskWork(row)) = rig.nvme.report(0) else { panic!("no row") };
    row
}

/// Lets the order come to its end.
fn end(rig: &mut Rig) -> DiskWork {
    for step in 0..100_000u64 {
        if !matches!(Progress::of(row(rig).progress), Progress::Runs | Progress::Waits) {
            return row(rig);
        }
        rig.at(SECOND + step * 1_000_000);
        rig.nvme.expire();
        rig.nvme.kick();
        rig.device.borrow_mut().serve();
        assert_eq!(rig.drain(), [], "nobody asked");
        rig.settle();
    }
    panic!("a hang")
}

fn why(row: &DiskWork) -> String {
    String::from_utf8_lossy(&row.why).trim_end_matches('\0').into()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn every_block_is_looked_at_and_the_unreadable_ones_are_found(
        bad in prop::collection::btree_set(0u64..2048, 0..20), first in 0u64..2048, count in 0u64..2048, most in 8u32..3000,
    ) {
        let mut rig = Rig::new(|shape| shape.verify_blocks = most);
        rig.at(SECOND);
        rig.settle();
        rig.device.borrow_mut().unreadable = bad.clone();
        let end_block = if count == 0 { 2048 } else { first + count };
        let reply = begin(&mut rig, first, count);
        prop_assert_eq!(reply, if end_block <= 2048 { Reply::Begun } else { Reply::Invalid });
        if reply == Reply::Begun {
            let row = end(&mut rig);
            let found: BTreeSet<u64> = bad.range(first..end_block).copied().collect();
            prop_assert_eq!(row.value.get(), found.len() as u64);
            let expected = found.first().map_or(String::new(), |bad| format!("{} unreadable, the first is {bad}", found.len()));
            prop_assert_eq!(why(&row), expected);
            prop_assert_eq!(row.progress == Progress::Done.number(), found.is_empty());
            prop_assert_eq!(row.permille.get(), 1000);
            let seen: BTreeSet<u64> = rig.device.borrow().verified.iter().flat_map(|(at, n)| *at..*at + u64::from(*n)).collect();
            prop_assert_eq!(seen, (first..end_block).collect::<BTreeSet<_>>());
        }
    }
}

#[test]
fn it_goes_on_after_a_reset_and_requests_go_on_beside_it() {
    let mut rig = Rig::new(|shape| shape.verify_blocks = 64);
    rig.at(SECOND);
    rig.settle();
    assert_eq!(begin(&mut rig, 0, 0), Reply::Begun);
    assert_eq!(begin(&mut rig, 0, 0), Reply::Busy);
    rig.device.borrow_mut().mischief = Some(Mischief::Fail);
    rig.send(1, request(Op::Read, 0, 8, 0));
    rig.nvme.kick();
    rig.device.borrow_mut().serve();
    assert_eq!(rig.wait(2 * SECOND, 1)[0].1.status, Ok(()));
    assert_eq!(end(&mut rig).progress, Progress::Done.number());
    assert!(rig.device.borrow().enables > 1);
}

#[test]
fn what_cannot_be_verified_is_refused_and_a_disk_full_of_errors_is_left() {
    let mut rig = Rig::new(|shape| shape.controller.oncs = (1 << 2 | 1 << 3).into());
    rig.at(SECOND);
    rig.settle();
    assert_eq!(begin(&mut rig, 0, 0), Reply::Begun);
    let row_of_none = end(&mut rig);
    assert_eq!(
        (row_of_none.status.get() & 0x7ff, why(&row_of_none).as_str()),
        (1, "the device does not know the command")
    );
    let mut rig = Rig::new(|_| {});
    rig.at(SECOND);
    rig.settle();
    for (first, count) in [(2048, 0), (0, 2049), (1, u64::MAX), (u64::MAX, 0)] {
        assert_eq!(begin(&mut rig, first, count), Reply::Invalid);
    }
    rig.device.borrow_mut().unreadable = (100..2048).collect();
    assert_eq!(begin(&mut rig, 0, 0), Reply::Begun);
    let row = end(&mut rig);
    assert_eq!((row.value.get(), why(&row).as_str()), (1000, "1000 unreadable, the first is 100"));
    rig.device.borrow_mut().unreadable.clear();
    rig.device.borrow_mut().mischief = Some(Mischief::Status(0x4006));
    assert_eq!(begin(&mut rig, 0, 0), Reply::Begun);
    assert_eq!((end(&mut rig).progress, row.status.get() & 0x7ff), (Progress::Failed.number(), 0x281));
}
