// SPDX-License-Identifier: MIT
//! Devices that break the protocol or never answer: every request is answered once, and nothing is believed.
#![allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]
use super::*;
use crate::model::Mischief;
use proptest::prelude::*;

/// Submits `n` reads and lets the device serve them.
fn reads<Q: Ring>(rig: &mut Rig<Q>, n: u32) -> Vec<(u32, Completion)> {
    (0..n).for_each(|tag| rig.submit(tag, Op::Read, u64::from(tag), 1, u64::from(tag) * 512));
    let mut done = rig.finish();
    // What the device lost is answered at the deadline.
    rig.blk.set_time(Instant(rig.blk.deadline().map_or(0, |d| d.0)));
    if rig.blk.expire() {
        done.extend(rig.finish());
    }
    done
}

fn each_once(done: &[(u32, Completion)], n: u32) {
    let mut tags: Vec<u32> = done.iter().map(|(tag, _)| *tag).collect();
    tags.sort_unstable();
    assert_eq!(tags, (0..n).collect::<Vec<_>>());
}

#[test]
fn a_device_that_uses_what_it_does_not_hold_is_reset_and_used_again() {
    for via in VIAS {
        for mischief in [
            Mischief::UseId(0xffff_ffff),
            Mischief::UseId(0x1_0000),
            Mischief::UseId(127),
            Mischief::UseTwice,
            Mischief::Advance(200),
            Mischief::Advance(0xffff),
        ] {
            is_reset_after(mischief, Rig::new(full(), via));
            wishes().for_each(|wishes| is_reset_after(mischief, Rig::<Many>::granted(full(), via, wishes)));
        }
    }
}

fn is_reset_after<Q: Ring>(mischief: Mischief, mut rig: Rig<Q>) {
    assert!(reads(&mut rig, 4).iter().all(|(_, done)| done.status.is_ok()));
    rig.device.borrow_mut().mischief = Some(mischief);
    let done = reads(&mut rig, 8);
    each_once(&done, 8);
    let errors = [Error::Io, Error::TimedOut].map(Completion::error);
    assert!(done.iter().any(|(_, d)| errors.contains(d)), "{mischief:?}");
    let counters = rig.blk.counters();
    assert_eq!((rig.device.borrow().resets, counters.misused + counters.timeouts), (1, 1), "{mischief:?}");
    assert!(rig.blk.take_fault().is_some() && rig.blk.take_fault().is_none());
    let done = reads(&mut rig, 16);
    each_once(&done, 16);
    assert!(done.iter().all(|(_, d)| *d == Completion::ok(1)), "the device serves again");
}

#[test]
fn an_answer_without_the_data_or_a_status_is_no_success() {
    for (mischief, error) in [
        (Mischief::ShortLength, Error::Io),
        (Mischief::NoStatus, Error::Io),
        (Mischief::Status(1), Error::Io),
        (Mischief::Status(2), Error::Unsupported),
        (Mischief::Status(3), Error::Io),
        (Mischief::Status(255), Error::Io),
    ] {
        let mut rig = Rig::new(full(), Via::Mmio);
        rig.device.borrow_mut().mischief = Some(mischief);
        let done = reads(&mut rig, 3);
        assert_eq!(done[0], (0, Completion::error(error)), "{mischief:?}");
        assert!(done[1..].iter().all(|(_, d)| *d == Completion::ok(1)));
        assert_eq!(rig.device.borrow().resets, 0);
    }
}

#[test]
fn a_device_that_misbehaves_after_each_reset_is_left_alone() {
    let mut rig = Rig::new(full(), Via::PciMessage);
    let mut answered = 0;
    for round in 0..10 {
        rig.device.borrow_mut().mischief = Some(Mischief::UseId(500));
        let done = reads(&mut rig, 5);
        each_once(&done, 5);
        answered += done.len();
        if round >= 4 {
            assert!(done.iter().all(|(_, d)| *d == Completion::error(Error::Offline)));
        }
    }
    assert_eq!((answered, rig.blk.counters().misused), (50, 4));
    assert_eq!(rig.blk.limits(Unit(0)), None);
    assert!(!rig.device.borrow().reaches_memory());
    assert_eq!(rig.device.borrow().status() & 4, 0);
    assert_eq!(rig.blk.deadline(), None);
}

#[test]
fn a_device_that_does_some_good_between_its_faults_stays_in_use() {
    let mut rig = Rig::new(full(), Via::Mmio);
    for round in 0..10 {
        rig.device.borrow_mut().mischief = Some(Mischief::UseTwice);
        each_once(&reads(&mut rig, 5), 5);
        let good = reads(&mut rig, 5);
        assert!(good.iter().all(|(_, d)| *d == Completion::ok(1)), "round {round}");
    }
}

#[test]
fn a_request_that_takes_too_long_ends_after_the_reset_and_not_before() {
    let mut rig = Rig::new(full(), Via::Mmio);
    rig.blk.set_time(Instant(SECOND));
    rig.device.borrow_mut().mischief = Some(Mischief::Lose);
    (0..3).for_each(|tag| rig.submit(tag, Op::Read, 0, 1, 0));
    assert_eq!(rig.finish().len(), 2);
    rig.blk.set_time(Instant(4 * SECOND));
    rig.submit(9, Op::Write, 1, 1, 0);
    rig.blk.kick();
    assert_eq!(rig.blk.deadline(), Some(Instant(6 * SECOND)));
    assert!(!rig.blk.expire());
    rig.blk.set_time(Instant(6 * SECOND - 1));
    assert!(!rig.blk.expire());
    assert_eq!((rig.next(), rig.device.borrow().resets), (None, 0));
    rig.blk.set_time(Instant(6 * SECOND));
    assert!(rig.blk.expire());
    assert_eq!(rig.device.borrow().resets, 1, "the device let go of the buffers first");
    let timed_out = Completion::error(Error::TimedOut);
    assert_eq!(rig.drain(), [(0, timed_out), (9, timed_out)]);
    assert_eq!((rig.blk.deadline(), rig.blk.counters().timeouts), (None, 1));
    assert_eq!(reads(&mut rig, 4).len(), 4);
}

#[test]
fn a_deadline_moves_on_with_the_oldest_request() {
    let mut rig = Rig::new(full(), Via::Mmio);
    for (at, tag) in [(1, 0), (2, 1), (3, 2)] {
        rig.blk.set_time(Instant(at * SECOND));
        rig.submit(tag, Op::Read, 0, 1, 0);
    }
    rig.blk.kick();
    rig.device.borrow_mut().take();
    rig.device.borrow_mut().finish(0);
    assert_eq!(rig.drain().len(), 1);
    rig.blk.set_time(Instant(6 * SECOND));
    assert!(!rig.blk.expire(), "the first was answered in time");
    assert_eq!(rig.blk.deadline(), Some(Instant(7 * SECOND)));
}

#[test]
fn a_driver_that_was_not_run_for_long_takes_the_answers_that_are_there() {
    let mut rig = Rig::new(full(), Via::Mmio);
    rig.submit(0, Op::Read, 0, 1, 0);
    rig.blk.kick();
    rig.device.borrow_mut().serve();
    rig.blk.set_time(Instant(100 * SECOND));
    assert!(rig.blk.expire(), "there is something to fetch");
    assert_eq!(rig.drain(), [(0, Completion::ok(1))]);
    assert_eq!(rig.device.borrow().resets, 0);
}

#[test]
fn a_device_that_comes_back_as_another_is_not_used() {
    for change in [
        |s: &mut Shape| s.config[..8].copy_from_slice(&100u64.to_le_bytes()),
        |s: &mut Shape| s.features |= feature::RO,
        |s: &mut Shape| s.features &= !feature::FLUSH,
        |s: &mut Shape| s.features &= !INDIRECT,
        |s: &mut Shape| s.config[20..24].copy_from_slice(&4096u32.to_le_bytes()),
        |s: &mut Shape| s.queue_max = 64,
        |s: &mut Shape| s.stuck = true,
        |s: &mut Shape| s.refuses = true,
    ] {
        let mut rig = Rig::new(full(), Via::Mmio);
        change(&mut rig.device.borrow_mut().shape);
        rig.device.borrow_mut().mischief = Some(Mischief::UseTwice);
        each_once(&reads(&mut rig, 6), 6);
        assert_eq!(rig.blk.limits(Unit(0)), None);
        assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::error(Error::Offline));
    }
    let mut rig = Rig::new(full(), Via::Mmio);
    rig.device.borrow_mut().shape.config[..8].copy_from_slice(&4096u64.to_le_bytes());
    rig.device.borrow_mut().mischief = Some(Mischief::UseTwice);
    each_once(&reads(&mut rig, 6), 6);
    assert_eq!(rig.blk.limits(Unit(0)).unwrap().capacity, 4096, "one that grew is");
    assert!(rig.blk.take_change() && !rig.blk.take_change());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// A device that scribbles over its queue: no panic, and each request ends exactly once.
    #[test]
    fn scribbles_end_in_answers(
        noise in prop::collection::vec((0usize..32 << 10, any::<[u8; 4]>()), 1..64),
        rings in prop::collection::vec((any::<u16>(), any::<u32>(), any::<u32>()), 0..16),
        indirect: bool,
        nth in prop::option::of(0usize..8),
    ) {
        let offered = if indirect { INDIRECT | EVENT } else { EVENT };
        let shape = Shape::new(64, offered);
        match nth.and_then(|nth| wishes().nth(nth)) {
            None => scribbled(Rig::new(shape, Via::Mmio), noise, rings),
            Some(wishes) => scribbled(Rig::<Many>::granted(shape, Via::Mmio, wishes), noise, rings),
        }
    }
}

fn scribbled<Q: Ring>(mut rig: Rig<Q>, noise: Vec<(usize, [u8; 4])>, rings: Vec<(u16, u32, u32)>) {
    let n = 20;
    let mut done = Vec::new();
    (0..n).for_each(|tag| rig.submit(tag, Op::Read, u64::from(tag), 1, 0));
    rig.blk.kick();
    let [ring, _, used] = rig.blk.queue.place(0).areas.map(|area| (area - DMA_BUS) as usize);
    let packed = rig.device.borrow().negotiated() & 1 << 34 != 0;
    for (index, id, len) in rings {
        if packed {
            // A used descriptor of either lap, of any id.
            let flags = if len & 1 == 0 { 0x8080u32 } else { 0 };
            rig.dma.write(ring + 16 * usize::from(index % 32) + 8, len);
            rig.dma.write(ring + 16 * usize::from(index % 32) + 12, (id % 140) | (flags << 16));
        } else {
            rig.dma.write(used + 4 + 8 * usize::from(index % 32), id % 140);
            rig.dma.write(used + 8 + 8 * usize::from(index % 32), len);
            rig.dma.write(used + 2, index % 40);
        }
        done.extend(rig.drain());
    }
    for (at, bytes) in noise {
        rig.dma.copy_in(at, &bytes);
        done.extend(rig.drain());
    }
    rig.blk.set_time(Instant(10 * SECOND));
    while rig.blk.expire() {
        done.extend(rig.drain());
    }
    each_once(&done, n);
}
