// SPDX-License-Identifier: MIT
//! RAID 4, 5 and 6: how much is read and written for what, and what happens beyond what they bear.
use super::rig::{Rig, new};
use crate::Kind;
use crate::engine::Raid;
use orion_block::{Error, Op};
use orion_layer::Node;

/// Members of 320 sectors of data, in chunks of 16.
fn rig(level: i32, members: usize) -> Rig {
    let mut rig = Rig::new(&new(level, 2, 16), &std::vec![64 + 320; members], 0, false, 1);
    rig.start();
    // In use, so that superblocks are not counted.
    assert!(rig.write(1, 160, 1).status.is_ok());
    rig
}

/// Reads and writes that some work takes.
fn cost(rig: &mut Rig, work: impl FnOnce(&mut Rig)) -> (u64, u64) {
    let sum = |rig: &Rig| rig.disks.disks.iter().fold((0, 0), |(r, w), disk| (r + disk.reads, w + disk.writes));
    let before = sum(rig);
    work(rig);
    let after = sum(rig);
    (after.0 - before.0, after.1 - before.1)
}

#[test]
fn a_write_reads_no_more_than_it_must() {
    let mut five = rig(5, 5);
    // Old data and old parity.
    assert_eq!(cost(&mut five, |rig| assert!(rig.write(2, 3, 2).status.is_ok())), (2, 2));
    // A whole stripe: nothing.
    assert_eq!(cost(&mut five, |rig| assert!(rig.write(3, 64, 64).status.is_ok())), (0, 5));
    // Two of four chunks: the two others, or these and parity.
    assert_eq!(cost(&mut five, |rig| assert!(rig.write(4, 128, 32).status.is_ok())), (2, 3));
    // Three of four: the fourth.
    assert_eq!(cost(&mut five, |rig| assert!(rig.write(5, 192, 48).status.is_ok())), (1, 4));
    // A read is one read.
    assert_eq!(cost(&mut five, |rig| assert_eq!(rig.versions(3, 2), [2, 2])), (1, 0));
    let mut six = rig(6, 7);
    assert_eq!(cost(&mut six, |rig| assert!(rig.write(2, 3, 2).status.is_ok())), (3, 3));
    assert_eq!(cost(&mut six, |rig| assert!(rig.write(3, 80, 80).status.is_ok())), (0, 7));
    // Of three, two data: the other one, less than three.
    let mut three = rig(5, 3);
    assert_eq!(cost(&mut three, |rig| assert!(rig.write(2, 3, 2).status.is_ok())), (1, 2));
}

#[test]
fn a_stripe_that_is_written_in_parts_is_written_once() {
    let mut rig = rig(5, 5);
    let done = cost(&mut rig, |rig| {
        for part in 0..16 {
            rig.send(part, Op::Write, false, 64 + 4 * u64::from(part), 4, 0);
        }
        while rig.top.answered.len() < 16 {
            rig.step();
        }
    });
    assert_eq!(done, (0, 5));
}

#[test]
fn a_stream_that_is_longer_than_the_node_takes_at_once_reads_nothing() {
    for seed in 0..20 {
        let mut rig = rig(5, 5);
        rig.disks.numbers = super::rig::Numbers(seed);
        let done = cost(&mut rig, |rig| {
            // In turn by one member's part of a stripe, and by four stripes.
            let step = if seed % 2 == 0 { 16 } else { 256 };
            for (tag, first) in (0..).zip((0..1280).step_by(step)) {
                rig.send(tag, Op::Write, false, first, step as u64, 0);
            }
            while rig.top.answered.len() < 1280 / step {
                rig.step();
            }
        });
        assert_eq!(done, (0, 100), "seed {seed}");
    }
}

#[test]
fn beyond_its_limit_an_array_stops_and_writes_nothing() {
    for (level, members, bears) in [(5, 4, 1), (6, 5, 2)] {
        let mut rig = rig(level, members);
        assert!(rig.write(2, 0, 64).status.is_ok());
        for port in 0..bears {
            rig.kill(port);
            assert!(rig.write(3, 0, 64).status.is_ok());
        }
        rig.disks.disks[bears].worn = true;
        rig.disks.disks[bears + 1].worn = true;
        assert!(rig.write(4, 0, 64).status.is_err());
        rig.disks.disks[bears].worn = false;
        rig.disks.disks[bears + 1].worn = false;
        let done = cost(&mut rig, |rig| assert_eq!(rig.write(5, 128, 8).status, Err(Error::Io)));
        assert_eq!(done, (0, 0), "what was broken stays as it is");
    }
}

#[test]
fn parity_that_may_be_wrong_is_not_relied_upon_after_a_restart() {
    let mut rig = rig(5, 4);
    rig.kill(1);
    assert!(rig.write(2, 0, 8).status.is_ok());
    // The power goes while the array, which lacks a member, is in use.
    rig.crash();
    for _ in 0..1000 {
        rig.step();
    }
    let fault = rig.node.layer().fault().map(|fault| fault.kind);
    assert_eq!(fault, Some(Kind::Dirty));
    assert_eq!(rig.node.limits(), None);
    // What it is told to do all the same, it does.
    let mut layer = Raid::new(None, super::rig::WORK);
    layer.force();
    *rig.node = Node::new(layer, 3);
    rig.start();
    assert_eq!(rig.versions(0, 8), [2; 8]);
}
