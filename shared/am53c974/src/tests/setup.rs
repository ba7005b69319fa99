// SPDX-License-Identifier: MIT
//! What is found, what is refused, what is agreed.
use super::*;

#[test]
fn the_first_disk_of_the_bus_is_found_and_serves() {
    for manners in [Manners::PLAIN, Manners::lively(1), Manners::lively(2)] {
        let mut rig = Rig::new(manners);
        let line = std::format!("{}", orion_driver::Describe::<_, u32>::new(&rig.driver, Unit(0)));
        let expected = "Am53C974, target 3, logical unit 0: ORION MODEL DISK 0.1, 2048 blocks of 512 bytes, \
                        32 requests in flight, volatile cache, discard";
        assert!(line.starts_with(expected), "{line}");
        let lively = manners.disconnects > 0;
        assert_eq!(line.ends_with(", tags, synchronous transfers"), lively, "{line}");
        assert!(rig.data.copy_in(512, &[0xa5; 1024]));
        assert_eq!(rig.one(request(Op::Write, 2046, 2, 512)), Completion::ok(2));
        assert_eq!(rig.content(2046 * 512, 1024), [0xa5; 1024]);
        assert_eq!(rig.one(request(Op::Read, 0, 200, 0)), Completion::ok(200));
        assert_eq!(rig.payload(0, 200 * 512), rig.content(0, 200 * 512));
        assert_eq!(rig.one(request(Op::Flush, 0, 0, 0)), Completion::ok(0));
        assert_eq!(rig.one(request(Op::WriteZeroes, 3, 500, 0)), Completion::ok(500));
        assert_eq!(rig.content(3 * 512, 500 * 512), [0; 500 * 512][..]);
        assert_eq!(rig.one(request(Op::Discard, 3, 500, 0)), Completion::ok(500));
        assert_eq!(rig.driver.counters().misused + rig.driver.counters().timeouts, 0);
        assert_eq!(rig.device.borrow().resets, 1, "the one of the start");
    }
}

#[test]
fn units_of_several_targets_stand_side_by_side() {
    let places = [(0, 0), (0, 7), (6, 1)].map(|(target, lun)| Place { target, lun });
    let disks = places.iter().zip([1000u64, 500, 250]).map(|(place, blocks)| (*place, Disk::new(blocks, 512)));
    let missing = Place { target: 5, lun: 0 };
    let choices: Vec<Choice> = places.into_iter().chain([missing]).map(Choice::At).collect();
    let mut rig = Rig::over(bus(disks), &choices, Manners::lively(3));
    let capacities: Vec<_> = (0..4).map(|unit| rig.driver.limits(Unit(unit)).map(|limits| limits.capacity)).collect();
    assert_eq!(capacities, [Some(1000), Some(500), Some(250), None]);
    for unit in 0..3 {
        assert_eq!(rig.one_of(unit, request(Op::Read, 1, 1, 0)), Completion::ok(1));
    }
    assert_eq!(rig.one_of(3, request(Op::Read, 1, 1, 0)), Completion::error(Error::Offline));
}

#[test]
fn what_the_adapter_cannot_do_is_refused_with_a_reason() {
    let refused = |choices: &[Choice], change: fn(&mut Setup<'_>)| {
        Rig::with(bus([(PLACE, disk())]), choices, Manners::PLAIN, change).map(|_| ()).unwrap_err()
    };
    assert_eq!(refused(&FIRST, |s| s.dma_bus = 1 << 32), Fault::Dma);
    assert_eq!(refused(&FIRST, |s| s.dma_bus = DMA_BUS + 32), Fault::Dma);
    assert_eq!(refused(&FIRST, |s| s.dma = memory::<1>(64 << 10).into_iter().next().unwrap()), Fault::Dma);
    assert_eq!(refused(&FIRST, |s| s.regions = &[Span { bus: 0xffff_f000, size: 0x1001 }]), Fault::High);
    assert_eq!(refused(&FIRST, |s| s.regions = &[Span { bus: u64::MAX, size: 2 }]), Fault::High);
    for place in [Place { target: 7, lun: 0 }, Place { target: 0, lun: 8 }] {
        assert_eq!(refused(&[Choice::At(place)], |_| {}), Fault::Place);
    }
}

#[test]
fn memory_is_reached_only_once_the_bus_has_settled() {
    let mut rig = Rig::with(bus([(PLACE, disk())]), &FIRST, Manners::PLAIN, |_| {}).unwrap();
    assert!(!rig.device.borrow().master());
    assert_eq!(rig.run(1000 * SECOND + 249_000_000), []);
    assert!(!rig.device.borrow().master() && rig.driver.limits(Unit(0)).is_none());
    rig.settle();
    assert!(rig.device.borrow().master() && rig.driver.limits(Unit(0)).is_some());
}

/// A target may take our proposal in any way; what is moved afterwards is moved as the two agreed, which the model checks.
#[test]
fn proposals_end_in_an_agreement_that_both_sides_keep() {
    for (synchronous, timing) in [
        (Synchronous::Ignores, None),
        (Synchronous::Rejects, None),
        (Synchronous::Leaves, None),
        (Synchronous::Answers(25, 15), Some((4, 15))),
        (Synchronous::Answers(50, 8), Some((8, 8))),
        (Synchronous::Answers(200, 1), Some((0, 1))),
        (Synchronous::Answers(218, 7), Some((3, 7))),
        (Synchronous::Answers(25, 0), None),
        // More than we proposed, and slower than the adapter can be.
        (Synchronous::Insists(12, 15), None),
        (Synchronous::Insists(25, 31), None),
        (Synchronous::Insists(255, 4), None),
    ] {
        let manners = Manners { synchronous, ..Manners::lively(5) };
        let mut rig = Rig::new(manners);
        assert!(rig.data.copy_in(0, &[0x3c; 4096]));
        assert_eq!(rig.one(request(Op::Write, 8, 8, 0)), Completion::ok(8), "{synchronous:?}");
        assert_eq!(rig.one(request(Op::Read, 8, 8, 8192)), Completion::ok(8), "{synchronous:?}");
        assert_eq!(rig.payload(8192, 4096), [0x3c; 4096]);
        assert_eq!(rig.device.borrow().synchronous > 0, timing.is_some(), "{synchronous:?}");
        if let Some(timing) = timing {
            assert_eq!(rig.device.borrow().timing(), timing, "{synchronous:?}");
        }
        assert_eq!(rig.driver.counters().misused, 0, "{synchronous:?}");
    }
}

#[test]
fn a_target_may_propose_itself() {
    let manners = Manners { proposes: true, flags: 2, ..Manners::lively(6) };
    let mut rig = Rig::new(manners);
    assert_eq!(rig.one(request(Op::Read, 8, 8, 0)), Completion::ok(8));
    // It proposed a period of 80 ns and an offset of 31: 100 ns and 15 are what the adapter can.
    assert_eq!(rig.device.borrow().timing(), (4, 15));
}

#[test]
fn tags_are_used_where_the_unit_says_that_it_has_them() {
    for (flags, any) in [(0x12, true), (2, true), (0x10, false), (0, false)] {
        let mut rig = Rig::new(Manners { flags, ..Manners::lively(7) });
        (0..16).for_each(|tag| rig.send(tag, 0, request(Op::Read, tag.into(), 1, u64::from(tag) * 512)));
        assert_eq!(rig.finish().len(), 16);
        assert_eq!(rig.device.borrow().tagged > 0, any);
    }
}
