// SPDX-License-Identifier: MIT
//! Controllers and drives in every state when the driver begins.
use super::*;

fn fault(shape: Shape) -> Fault {
    Rig::with(shape, vec![(0, drive())], &[FIRST], Options::default()).err().unwrap()
}

#[test]
fn a_controller_that_cannot_be_used_is_refused() {
    let good = Shape::default();
    assert_eq!(fault(Shape { ports: 0, ..good }), Fault::NoPorts);
    assert_eq!(fault(Shape { slots: 1, ..good }), Fault::OneSlot);
    assert_eq!(fault(Shape { stuck: true, ..good }), Fault::Reset);
    assert_eq!(fault(Shape { handoff: Some(u32::MAX), ..good }), Fault::Firmware);
    let new = |units: &[u32]| Rig::with(good, vec![(0, drive())], units, Options::default()).err();
    assert_eq!(new(&[]), Some(Fault::TooMany));
    assert_eq!(new(&[FIRST; 9]), Some(Fault::TooMany));
    assert_eq!(new(&[1]), Some(Fault::Port));
    assert_eq!(new(&[0, 0]), Some(Fault::Port));
    assert_eq!(new(&[32]), Some(Fault::Port));
    let of = |change: fn(&mut Setup<'_>)| {
        Rig::of(good, vec![(0, drive())], &[FIRST], Options::default(), 4096, change).err()
    };
    assert_eq!(of(|setup| setup.dma_bus += 512), Some(Fault::Dma));
    assert_eq!(of(|setup| setup.dma_bus = u64::MAX - 0xfff), Some(Fault::Dma));
    assert_eq!(of(|setup| setup.dma = model::memory::<1>(64 << 10).into_iter().next().unwrap()), Some(Fault::Dma));
}

#[test]
fn the_firmware_is_asked_to_let_go_first() {
    // The model panics where the controller is reset before.
    let shape = Shape { handoff: Some(1000), ..Shape::default() };
    let rig = Rig::with(shape, vec![(0, drive())], &[FIRST], Options::default()).unwrap();
    assert!(rig.ahci.limits(Unit(0)).is_some());
}

#[test]
fn a_controller_without_64_bits_reaches_no_further() {
    let narrow = Shape { wide: false, ..Shape::default() };
    let mut rig = Rig::with(narrow, vec![(0, drive())], &[FIRST], Options::default()).unwrap();
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::error(Error::Invalid));
    let far = |setup: &mut Setup<'_>| setup.dma_bus = 1 << 32;
    assert_eq!(Rig::of(narrow, vec![(0, drive())], &[FIRST], Options::default(), 4096, far).err(), Some(Fault::Dma));
}

#[test]
fn a_slow_drive_is_waited_for() {
    let shape = Shape { slow: 5000, ..Shape::default() };
    let mut rig = Rig::with(shape, vec![(0, drive())], &[0], Options::default()).unwrap();
    assert!(rig.ahci.limits(Unit(0)).is_none());
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::error(Error::Offline));
    assert_eq!(rig.wait(29), []);
    assert!(rig.ahci.take_change() || rig.ahci.limits(Unit(0)).is_none());
    rig.wait(200);
    assert!(rig.ahci.limits(Unit(0)).is_some());
}

#[test]
fn fewer_slots_or_a_shorter_queue_mean_fewer_requests() {
    for (slots, queue, depth) in [(32, 31, 31), (32, 15, 16), (2, 31, 1), (8, 3, 4), (32, 0, 1)] {
        let shape = Shape { slots, ..Shape::default() };
        let drives = vec![(0, drive().with(75, 31, queue))];
        let mut rig = Rig::with(shape, drives, &[FIRST], Options::default()).unwrap();
        assert_eq!((rig.ahci.depth(), rig.ahci.limits(Unit(0)).unwrap().queue_depth), (depth, depth));
        for tag in 0..depth {
            rig.send(tag.into(), request(Op::Read, 0, 1, 0));
        }
        assert!(!rig.ahci.has_room(Unit(0)));
        assert_eq!(rig.go_on().len(), depth.into());
    }
}

#[test]
fn queues_are_used_where_both_sides_have_them() {
    for (ncq, drive, queued) in [(true, drive(), true), (false, drive(), false), (true, drive().without_ncq(), false)] {
        let shape = Shape { ncq, ..Shape::default() };
        let mut rig = Rig::with(shape, vec![(0, drive)], &[FIRST], Options::default()).unwrap();
        assert_eq!(rig.ahci.is_queued(Unit(0)), queued);
        assert_eq!(rig.one(request(Op::Read, 0, 8, 0)), Completion::ok(8));
    }
    let mut old = Rig::new(super::drive().without_48());
    assert_eq!(old.ahci.limits(Unit(0)).unwrap().max_blocks, 256);
    assert_eq!(old.one(request(Op::Read, 1000, 256, 0)), Completion::ok(256));
    assert_eq!(old.payload(0, 256 * 512), old.content()[1000 * 512..1256 * 512]);
    assert_eq!(old.one(request(Op::Flush, 0, 0, 0)), Completion::ok(0));
    assert_eq!((old.done(0xe7), old.done(0xea)), (1, 0));
}

#[test]
fn cache_and_look_ahead_are_set_and_passwords_are_frozen() {
    let rig = Rig::new(drive());
    assert!(rig.hba.borrow_mut().drive(0).frozen);
    let options = Options { write_cache: Some(false), look_ahead: Some(false), freeze: false, ..Options::default() };
    let rig = Rig::with(Shape::default(), vec![(0, drive())], &[FIRST], options).unwrap();
    let hba = &mut *rig.hba.borrow_mut();
    let drive = hba.drive(0);
    assert!(!drive.cache && !drive.look_ahead && !drive.frozen);
    assert!(!rig.ahci.limits(Unit(0)).unwrap().volatile_cache);
}

#[test]
fn a_link_saves_power_while_idle_and_wakes_for_the_next_request() {
    let able = Shape { low_power: true, ..Shape::default() };
    for (shape, drive, power, sleeps) in [
        (able, drive(), Power::Partial, true),
        (able, drive(), Power::Slumber, true),
        (able, drive(), Power::Active, false),
        (Shape::default(), drive(), Power::Slumber, false),
        (able, drive().with(76, 0x200, 0), Power::Slumber, false),
    ] {
        let options = Options { power, ..Options::default() };
        let mut rig = Rig::with(shape, vec![(0, drive)], &[FIRST], options).unwrap();
        let (naps, interrupts) = (rig.hba.borrow().naps, rig.hba.borrow().interrupts);
        for round in 0..20 {
            assert_eq!(rig.one(request(Op::Read, round, 1, 0)), Completion::ok(1));
            assert_eq!(rig.payload(0, 512), rig.content()[round as usize * 512..][..512]);
        }
        let hba = rig.hba.borrow();
        assert_eq!(hba.naps - naps, if sleeps { 20 } else { 0 }, "{power:?}");
        assert_eq!(hba.interrupts - interrupts, 20, "nobody is woken by a link that rests");
        drop(hba);
        assert_eq!(rig.hba.borrow_mut().drive(0).saves, power != Power::Active && shape.low_power, "{power:?}");
    }
}

#[test]
fn a_drive_that_leaves_while_its_link_saves_power_is_missed_when_it_is_asked() {
    let shape = Shape { low_power: true, ..Shape::default() };
    let options = Options { power: Power::Slumber, ..Options::default() };
    let mut rig = Rig::with(shape, vec![(0, drive())], &[FIRST], options).unwrap();
    let pulled = rig.hba.borrow_mut().unplug(0).unwrap();
    rig.go_on();
    let done = rig.one(request(Op::Read, 0, 1, 0));
    assert!(done == Completion::error(Error::TimedOut) || done == Completion::error(Error::Offline), "{done:?}");
    rig.wait(60);
    assert!(rig.ahci.limits(Unit(0)).is_none());
    rig.hba.borrow_mut().plug(0, *pulled);
    rig.wait(60);
    assert_eq!(rig.one(request(Op::Read, 3, 1, 0)), Completion::ok(1));
}

#[test]
fn a_drive_that_stays_busy_after_its_link_was_reset_is_reset_by_software() {
    for overrides in [true, false] {
        let mut sulking = drive();
        sulking.sulks = true;
        let shape = Shape { overrides, ..Shape::default() };
        let mut rig = Rig::with(shape, vec![(0, sulking)], &[0], Options::default()).unwrap();
        rig.wait(200);
        assert_eq!(rig.ahci.limits(Unit(0)).is_some(), overrides);
        assert_eq!(rig.ahci.deadline(), None);
        if overrides {
            assert_eq!((rig.hba.borrow().comresets, rig.hba.borrow().resets), (0, 0));
            assert_eq!(rig.one(request(Op::Read, 3, 1, 0)), Completion::ok(1));
        }
    }
}

#[test]
fn lying_drives_are_refused_and_left_alone() {
    for (word, clear, set) in
        [(0, 0, 0x8000), (103, 0, 0x8000), (106, 0, 0x5000), (255, 0, 0xa5), (49, 0x200, 0), (100, 0xffff, 0)]
    {
        let drives = vec![(0, drive().with(word, clear, set))];
        let mut rig = Rig::with(Shape::default(), drives, &[0], Options::default()).unwrap();
        rig.wait(200);
        assert_eq!(rig.ahci.limits(Unit(0)), None, "word {word}");
        assert_eq!(rig.ahci.deadline(), None, "nothing is waited for");
        assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::error(Error::Offline));
    }
}

#[test]
fn a_life_of_the_driver_takes_over_what_another_left_behind() {
    let mut rig = Rig::new(drive());
    for tag in 0..20 {
        rig.send(tag, request(Op::Write, 0, 8, 0));
    }
    rig.ahci.kick();
    rig.hba.borrow_mut().take();
    let [dma, device] = model::memory(DMA_LEN);
    rig.hba.borrow_mut().replace_memory(DMA_BUS, device);
    let regions = [Span::default(), Span { bus: DATA_BUS, size: 256 << 10 }];
    let setup =
        Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only: false, timeout_ns: 5 * SECOND };
    rig.ahci = Ahci::new(Abar(rig.hba.clone()), setup, &[Place::FIRST], Options::default()).unwrap();
    assert_eq!(rig.wait(60), []);
    assert_eq!(rig.one(request(Op::Read, 1, 1, 0)), Completion::ok(1));
}
