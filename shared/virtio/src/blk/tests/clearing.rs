// SPDX-License-Identifier: MIT
//! Discards, zeroes and secure erase: what the device clears at once, in how many segments, and where parts begin.
#![allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]
use super::*;
use crate::blk::properties::Clearing;
use crate::blk::wire::config;
use crate::model::Mischief;
use proptest::prelude::*;

const ALL: u64 = feature::FLUSH | feature::DISCARD | feature::WRITE_ZEROES | feature::SECURE_ERASE | INDIRECT;

/// A device that clears `most` sectors in each of `segments`.
fn clearer(most: u32, segments: u32, align: u32) -> Shape {
    let zeroes = most.max(128).to_le_bytes();
    Shape::new(4096, ALL)
        .field(config::MAX_DISCARD_SECTORS, most.to_le_bytes())
        .field(config::MAX_DISCARD_SEG, segments.to_le_bytes())
        .field(config::DISCARD_SECTOR_ALIGNMENT, align.to_le_bytes())
        .field(config::MAX_WRITE_ZEROES_SECTORS, zeroes)
        .field(config::MAX_WRITE_ZEROES_SEG, segments.to_le_bytes())
        .field(config::MAX_SECURE_ERASE_SECTORS, most.to_le_bytes())
        .field(config::MAX_SECURE_ERASE_SEG, segments.to_le_bytes())
        .field(config::SECURE_ERASE_SECTOR_ALIGNMENT, align.to_le_bytes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever the device clears at once, all that was asked for is cleared and nothing else; the model holds the driver to
    /// the device's limits.
    #[test]
    fn all_is_cleared_and_nothing_else(
        most in 1u32..300, segments in 0u32..4, align in 0u32..20,
        lba in 0u64..1000, blocks in 1u32..1000, how in 0u8..2, fua: bool, nth in 0usize..8,
    ) {
        let mut rig = Rig::<Many>::granted(clearer(most, segments, align), Via::Mmio, wishes().nth(nth).unwrap());
        let before = rig.device.borrow().content.clone();
        let (op, fill) = [(Op::Discard, 0xdd), (Op::WriteZeroes, 0)][usize::from(how)];
        prop_assert_eq!(rig.one(Request { fua, ..request(op, lba, blocks, 0) }), Completion::ok(blocks));
        let device = rig.device.borrow();
        let range = lba as usize * 512..(lba as usize + blocks as usize) * 512;
        prop_assert!(device.content[range.clone()].iter().all(|byte| *byte == fill));
        prop_assert_eq!(&device.content[..range.start], &before[..range.start]);
        prop_assert_eq!(&device.content[range.end..], &before[range.end..]);
        prop_assert_eq!(device.done.get(&4).copied().unwrap_or(0), u64::from(fua), "one flush after all of it");
        prop_assert!(!fua || device.durable == device.content);
    }

    /// Parts are within the limit, make progress, and end at a multiple where they can.
    #[test]
    fn parts_make_progress_and_begin_at_multiples(most: u32, align: u32, lba in 0u64..1 << 55, left in 1u32..) {
        let clearing = Clearing { most, segments: 1, align };
        let part = clearing.next(lba, left);
        prop_assert!(part > 0 && part <= left && part <= most.max(1));
        let next = lba + u64::from(part);
        let multiples = (lba + u64::from(most.max(1))) / u64::from(align.max(1)) > lba / u64::from(align.max(1));
        prop_assert!(part == left || !multiples || next.is_multiple_of(align.max(1).into()));
    }
}

#[test]
fn several_segments_are_one_request() {
    for (segments, requests) in [(1, 8), (2, 4), (3, 4)] {
        let mut rig = Rig::new(clearer(16, segments, 16), Via::Mmio);
        assert_eq!(rig.one(request(Op::Discard, 32, 128, 0)), Completion::ok(128));
        assert_eq!(rig.device.borrow().done[&11], requests, "a slot has room for two segments");
    }
}

#[test]
fn zeroes_do_not_limit_the_largest_read() {
    let mut rig = Rig::new(clearer(128, 1, 1), Via::Mmio);
    let limits = rig.blk.limits(Unit(0)).unwrap();
    assert!(limits.write_zeroes && limits.max_blocks > 128);
    assert_eq!(rig.one(request(Op::Read, 0, 500, 0)), Completion::ok(500));
    let few = Shape::new(64, ALL).field(config::MAX_WRITE_ZEROES_SECTORS, 127u32.to_le_bytes());
    assert!(!Rig::new(few, Via::Mmio).blk.limits(Unit(0)).unwrap().write_zeroes);
}

#[test]
fn a_step_that_fails_fails_the_request_and_the_next_request_is_whole() {
    let mut rig = Rig::new(clearer(16, 1, 1), Via::Mmio);
    rig.submit(5, Op::Discard, 0, 64, 0);
    rig.blk.kick();
    rig.device.borrow_mut().serve();
    assert_eq!(rig.drain(), []);
    rig.device.borrow_mut().mischief = Some(Mischief::Status(1));
    assert_eq!(rig.finish(), [(5, Completion::error(Error::Io))]);
    assert_eq!(rig.device.borrow().done[&11], 2);
    let mut req = request(Op::Write, 9, 1, 0);
    req.fua = true;
    assert_eq!(rig.one(req), Completion::ok(1), "in the same slot");
    assert_eq!((rig.device.borrow().done[&4], rig.device.borrow().done[&11]), (1, 2));
}

#[test]
fn a_step_has_as_much_time_as_a_request() {
    let mut rig = Rig::new(clearer(16, 1, 1), Via::Mmio);
    rig.submit(5, Op::Discard, 0, 64, 0);
    for step in 0..4u64 {
        rig.blk.kick();
        rig.blk.set_time(Instant(step * 4 * SECOND));
        assert!(!rig.blk.expire(), "step {step}");
        rig.device.borrow_mut().serve();
        let done = rig.drain();
        assert_eq!(done.len(), usize::from(step == 3));
    }
}

#[test]
fn secure_erase_is_for_whole_multiples_of_a_device_that_has_it() {
    let erase = |rig: &mut Rig, lba, blocks| {
        rig.blk.erase(9, Lba(lba), blocks);
        let done = rig.finish();
        assert_eq!(done.len(), 1);
        done[0].1
    };
    let mut rig = Rig::new(clearer(64, 2, 8), Via::Mmio);
    assert_eq!(erase(&mut rig, 16, 1000), Completion::ok(1000));
    assert!(rig.device.borrow().content[16 * 512..1016 * 512].iter().all(|byte| *byte == 0xee));
    assert_eq!(rig.device.borrow().done[&14], 1000u64.div_ceil(128));
    for (lba, blocks, error) in [
        (4, 8, Error::Invalid),
        (8, 4, Error::Invalid),
        (8, 0, Error::Invalid),
        (4096, 8, Error::OutOfRange),
        (u64::MAX - 7, 8, Error::OutOfRange),
    ] {
        assert_eq!(erase(&mut rig, lba, blocks), Completion::error(error), "{blocks} at {lba}");
    }
    let mut without = Rig::new(full(), Via::Mmio);
    assert_eq!(erase(&mut without, 0, 8), Completion::error(Error::Unsupported));
    let mut fixed = Rig::with(clearer(64, 2, 8), Via::Mmio, |setup| setup.read_only = true).unwrap();
    assert_eq!(erase(&mut fixed, 0, 8), Completion::error(Error::ReadOnly));
}
