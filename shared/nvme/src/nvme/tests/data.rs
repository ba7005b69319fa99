// SPDX-License-Identifier: MIT
//! Blocks reach the medium, whichever way payload is named.
use super::*;
use proptest::prelude::*;

#[test]
fn reads_and_writes_reach_the_medium() {
    for messages in [true, false] {
        for plain in [true, false] {
            let mut rig = Rig::new(|shape| {
                shape.messages = messages;
                *shape = if plain { shape.clone().plain() } else { shape.clone() };
            });
            assert_eq!(rig.one(request(Op::Read, 3, 5, 4096)), Completion::ok(5));
            assert_eq!(rig.payload(4096, 2560), rig.content(3 * 512..8 * 512));
            assert!(rig.data.copy_in(0, &[0xa5; 1024]));
            assert_eq!(rig.one(request(Op::Write, 62, 2, 0)), Completion::ok(2));
            assert_eq!(rig.content(62 * 512..64 * 512), [0xa5; 1024]);
            assert_ne!(rig.durable(62 * 512..64 * 512), [0xa5; 1024]);
            assert_eq!(rig.one(request(Op::Flush, 0, 0, 0)), Completion::ok(0));
            assert_eq!(rig.durable(62 * 512..64 * 512), [0xa5; 1024]);
            assert_eq!(rig.nvme.queues.is_shadowed(), messages && !plain);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Wherever a payload lies in its pages and however long it is: no byte more or less, by list and by SGL.
    #[test]
    fn any_payload_is_moved_whole(sgl: bool, offset in 0u64..20_000, blocks in 1u32..1024, write: bool) {
        let mut rig = Rig::new(|shape| if !sgl { *shape = shape.clone().plain() });
        let (offset, bytes) = (offset * 4, blocks as usize * 512);
        let fill: Vec<u8> = (0..DATA_LEN / 4).map(|i| (i % 251) as u8).collect();
        assert!(rig.data.copy_in(0, &fill));
        let op = if write { Op::Write } else { Op::Read };
        prop_assert_eq!(rig.one(request(op, 7, blocks, offset)), Completion::ok(blocks));
        let (start, content) = (offset as usize, rig.content(7 * 512..7 * 512 + bytes));
        prop_assert_eq!(rig.payload(start, bytes), content);
        prop_assert_eq!(rig.payload(0, start), &fill[..start]);
        let after = start + bytes;
        prop_assert_eq!(rig.payload(after, fill.len() - after), &fill[after..]);
    }
}

#[test]
fn a_list_names_as_much_as_is_promised() {
    let mut rig = Rig::set_up(
        Shape::new().plain().with(|shape| shape.controller.mdts = 0),
        vec![(1, Space::new(8192, 9))],
        &[Place::FIRST],
        DMA_BYTES,
        |_| {},
    )
    .unwrap();
    let limits = rig.nvme.limits(Unit(0)).unwrap();
    assert_eq!((limits.max_blocks, limits.optimal_blocks), (524_288, 4096));
    // Not aligned to a page, the list is full.
    assert_eq!(rig.one(request(Op::Read, 1, 4096, 4092)), Completion::ok(4096));
    assert_eq!(rig.payload(4092, 2 << 20), rig.content(512..512 + (2 << 20)));
    assert_eq!(rig.done(2), 1);
    assert_eq!(rig.one(request(Op::Read, 1, 4097, 0)), Completion::ok(4097));
    assert_eq!((rig.payload(0, 4097 * 512), rig.done(2)), (rig.content(512..4098 * 512), 3));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// What is too large for a command, or crosses a boundary, goes in parts, which keep to both.
    #[test]
    fn parts_are_the_whole(
        mdts in 1u8..5,
        boundary in prop::sample::select(vec![0u16, 5, 8, 12, 64, 100]),
        lba in 0u64..100,
        blocks in 1u32..1900,
        op in prop::sample::select(vec![Op::Read, Op::Write, Op::WriteZeroes]),
    ) {
        let shape = Shape::new().with(|shape| shape.controller.mdts = mdts);
        let space = Space::new(2048, 9).with(|identify| identify.boundary = boundary.into());
        let mut rig = Rig::with(shape, vec![(1, space)], &[Place::FIRST]).unwrap();
        let fill: Vec<u8> = (0..1 << 20).map(|i| (i % 241) as u8).collect();
        assert!(rig.data.copy_in(0, &fill));
        let (start, end) = (lba as usize * 512, (lba as usize + blocks as usize) * 512);
        let before = rig.content(0..1 << 20);
        prop_assert_eq!(rig.one(request(op, lba, blocks, 0)), Completion::ok(blocks));
        let expected = match op {
            Op::Write => fill[..end - start].to_vec(),
            Op::Read => before[start..end].to_vec(),
            _ => vec![0; end - start],
        };
        prop_assert_eq!(rig.content(start..end), &expected[..]);
        prop_assert_eq!((rig.content(0..start), rig.content(end..1 << 20)), (before[..start].to_vec(), before[end..].to_vec()));
        prop_assert!(op != Op::Read || rig.payload(0, end - start) == expected);
        let (most, kept) = (8u64 << mdts, if boundary == 5 { 0 } else { u64::from(boundary) });
        let (mut at, mut parts) = (lba, 0);
        while at < lba + u64::from(blocks) {
            at += most.min(if kept == 0 { u64::MAX } else { kept - at % kept });
            parts += 1;
        }
        prop_assert_eq!(rig.device.borrow().done.iter().filter(|((admin, _), _)| !admin).map(|(_, n)| n).sum::<u64>(), parts);
    }
}

#[test]
fn a_part_that_fails_says_how_many_blocks_are_done() {
    let mut rig = Rig::new(|shape| shape.controller.mdts = 1);
    rig.send(1, request(Op::Read, 3, 100, 0));
    rig.nvme.kick();
    for _ in 0..3 {
        rig.device.borrow_mut().serve();
        assert_eq!(rig.drain(), []);
        rig.nvme.kick();
    }
    rig.device.borrow_mut().mischief = Some(Mischief::Status(0x281));
    assert_eq!(rig.finish(), [(1, Completion { status: Err(Error::Medium), blocks: 48 })]);
    assert_eq!(rig.nvme.in_flight(), 0);
}

#[test]
fn durability_is_what_was_asked_for() {
    let mut rig = Rig::new(|_| {});
    assert!(rig.data.copy_in(0, &[0x5a; 512]));
    assert_eq!(rig.one(Request { fua: true, ..request(Op::Write, 9, 1, 0) }), Completion::ok(1));
    assert_eq!(rig.durable(9 * 512..10 * 512), [0x5a; 512]);
    assert_eq!(rig.one(Request { fua: true, ..request(Op::WriteZeroes, 9, 1, 0) }), Completion::ok(1));
    assert_eq!(rig.durable(9 * 512..10 * 512), [0; 512]);
    assert_eq!(rig.done(0), 0, "neither takes a flush");
    assert_eq!(rig.one(Request { fua: true, ..request(Op::Discard, 4, 2, 0) }), Completion::ok(2));
    assert_eq!((rig.durable(4 * 512..6 * 512), rig.done(0)), (vec![0; 1024], 1));
}

#[test]
fn a_failed_second_half_fails_the_whole() {
    let mut rig = Rig::new(|_| {});
    rig.send(1, Request { fua: true, ..request(Op::Discard, 9, 1, 0) });
    rig.nvme.kick();
    rig.device.borrow_mut().serve();
    assert_eq!(rig.nvme.finished(), None, "it is not durable yet");
    rig.device.borrow_mut().mischief = Some(Mischief::Status(0x006));
    assert_eq!(rig.finish(), [(1, Completion::error(Error::Io))]);
}

#[test]
fn without_a_volatile_cache_a_flush_needs_no_controller() {
    for change in [(|shape| shape.controller.vwc = 0) as fn(&mut Shape), |shape| shape.cache_off = true] {
        let mut rig = Rig::new(change);
        assert!(!rig.nvme.limits(Unit(0)).unwrap().volatile_cache);
        assert_eq!(rig.one(request(Op::Flush, 0, 0, 0)), Completion::ok(0));
        assert_eq!(rig.done(0), 0);
        assert_eq!(rig.one(request(Op::Write, 9, 1, 0)), Completion::ok(1));
        assert_eq!(rig.durable(0..1 << 20), rig.content(0..1 << 20));
    }
}

#[test]
fn discards_and_zeroes_are_what_is_offered() {
    let mut rig = Rig::new(|_| {});
    assert_eq!(rig.one(request(Op::WriteZeroes, 10, 1000, 0)), Completion::ok(1000));
    assert_eq!(rig.content(10 * 512..1010 * 512), vec![0; 1000 * 512]);
    assert_eq!(rig.one(request(Op::Discard, 1500, 500, 0)), Completion::ok(500));
    assert_eq!(rig.content(1500 * 512..2000 * 512), vec![0; 500 * 512]);
    assert_ne!(rig.content(1499 * 512..1500 * 512), vec![0; 512]);
    assert_ne!(rig.content(2000 * 512..2001 * 512), vec![0; 512]);
    let mut plain = Rig::new(|shape| *shape = shape.clone().plain());
    for op in [Op::Discard, Op::WriteZeroes] {
        assert_eq!(plain.one(request(op, 0, 1, 0)), Completion::error(Error::Unsupported));
    }
}

#[test]
fn what_cannot_be_done_is_refused_before_the_controller_sees_it() {
    let mut rig = Rig::new(|_| {});
    let len = DATA_LEN as u64;
    for (req, error) in [
        (request(Op::Read, 2048, 1, 0), Error::OutOfRange),
        (request(Op::Write, 2047, 2, 0), Error::OutOfRange),
        (request(Op::Discard, u64::MAX, 2, 0), Error::OutOfRange),
        (request(Op::Read, 0, 0, 0), Error::Invalid),
        (request(Op::WriteZeroes, 0, 0, 0), Error::Invalid),
        (request(Op::Read, 0, u32::MAX, 0), Error::Invalid),
        (request(Op::Read, 0, 524_289, 0), Error::Invalid),
        (request(Op::Read, 0, 1, len - 511), Error::Invalid),
        (request(Op::Write, 0, 2, len - 512), Error::Invalid),
        (request(Op::Write, 0, 1, u64::MAX), Error::Invalid),
        (request(Op::Read, 0, 1, 2), Error::Invalid),
        (Request { buf: Buf { region: RegionId(0), offset: 0 }, ..request(Op::Read, 0, 1, 0) }, Error::Invalid),
        (Request { buf: Buf { region: RegionId(u16::MAX), offset: 0 }, ..request(Op::Read, 0, 1, 0) }, Error::Invalid),
    ] {
        assert_eq!(rig.one(req), Completion::error(error), "{req:?}");
    }
    assert_eq!(rig.device.borrow().doorbells[0], 0);
    for unit in [1, 15, 16, 255] {
        rig.nvme.start(Unit(unit), 5, &request(Op::Read, 0, 1, 0));
        rig.nvme.start(Unit(unit), 6, &request(Op::Flush, 0, 0, 0));
        let offline = Completion::error(Error::Offline);
        assert_eq!(rig.finish(), [(5, offline), (6, offline)]);
    }
    assert_eq!(rig.one(request(Op::Read, 2047, 1, len - 512)), Completion::ok(1));
}

#[test]
fn nothing_is_written_where_the_namespace_or_the_policy_is_read_only() {
    let space = Space::new(64, 9).with(|identify| identify.attributes = 1);
    let by_device = Rig::with(Shape::new(), vec![(1, space)], &[Place::FIRST]).unwrap();
    let spaces = vec![(1, Space::new(64, 9))];
    let by_policy =
        Rig::set_up(Shape::new(), spaces, &[Place::FIRST], DMA_BYTES, |setup| setup.read_only = true).unwrap();
    for mut rig in [by_device, by_policy] {
        assert!(rig.nvme.limits(Unit(0)).unwrap().read_only);
        for op in [Op::Write, Op::Discard, Op::WriteZeroes] {
            assert_eq!(rig.one(request(op, 0, 1, 0)), Completion::error(Error::ReadOnly));
        }
        assert_eq!(rig.device.borrow().doorbells[0], 0);
        assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
    }
}

#[test]
fn blocks_of_4096_bytes_and_protection_information() {
    let protected = Space::new(64, 12).with(|identify| {
        identify.formats[0] = (12 << 16 | 8).into();
        (identify.dps, identify.mc) = (1, 1);
    });
    for space in [Space::new(64, 12), protected] {
        let mut rig = Rig::with(Shape::new(), vec![(1, space)], &[Place::FIRST]).unwrap();
        let limits = rig.nvme.limits(Unit(0)).unwrap();
        assert_eq!((limits.block, limits.capacity, limits.optimal_blocks), (BlockSize::B4096, 64, 128));
        assert_eq!(rig.one(request(Op::Read, 63, 1, 8192)), Completion::ok(1));
        assert_eq!(rig.payload(8192, 4096), rig.content(63 * 4096..64 * 4096));
        assert_eq!(rig.one(request(Op::Write, 5, 3, 8192)), Completion::ok(3));
        assert_eq!(rig.one(request(Op::Read, 64, 1, 0)), Completion::error(Error::OutOfRange));
    }
}

#[test]
fn namespaces_are_disks_of_their_own() {
    let places = [5, u32::MAX, 3, 7].map(|namespace| Place { namespace, read_only: namespace == 7, ..Place::FIRST });
    let spaces = vec![(2, Space::new(64, 9)), (5, Space::new(32, 12)), (7, Space::new(16, 9))];
    let mut rig = Rig::with(Shape::new(), spaces, &places).unwrap();
    let capacity = |rig: &Rig, unit| rig.nvme.limits(Unit(unit)).map(|limits| limits.capacity);
    assert_eq!([0, 1, 2, 3].map(|unit| capacity(&rig, unit)), [Some(32), Some(64), None, Some(16)]);
    assert_eq!([0, 1, 3].map(|unit| rig.nvme.limits(Unit(unit)).unwrap().read_only), [false, false, true]);
    assert!(rig.data.copy_in(0, &[0x77; 4096]));
    rig.nvme.start(Unit(0), 1, &request(Op::Write, 31, 1, 0));
    rig.nvme.start(Unit(1), 2, &request(Op::Read, 63, 1, 8192));
    rig.nvme.start(Unit(2), 3, &request(Op::Read, 0, 1, 0));
    let mut done = rig.finish();
    done.sort_by_key(|(tag, _)| *tag);
    assert_eq!(done, [(1, Completion::ok(1)), (2, Completion::ok(1)), (3, Completion::error(Error::Offline))]);
    let device = rig.device.borrow();
    assert_eq!(device.spaces[&5].content[31 * 4096..], [0x77; 4096]);
    assert_eq!(device.spaces[&2].content[63 * 512..], rig.payload(8192, 512));
}

#[test]
fn a_batch_is_one_doorbell_each_way() {
    for messages in [true, false] {
        let mut rig = Rig::new(|shape| {
            shape.messages = messages;
            shape.controller.oacs = 0.into();
        });
        for round in 1..=20 {
            for tag in 0..32 {
                rig.send(tag, request(Op::Read, u64::from(tag), 1, u64::from(tag) * 512));
            }
            rig.nvme.kick();
            rig.nvme.kick();
            rig.device.borrow_mut().serve();
            assert_eq!(rig.drain().len(), 32);
            assert_eq!(rig.nvme.finished(), None);
            assert_eq!(rig.device.borrow().doorbells, [round; 2]);
            assert_eq!(rig.nvme.counters().kicks, 2 * round);
        }
    }
}

#[test]
fn where_memory_shadows_doorbells_answers_are_given_back_many_together() {
    let mut rig = Rig::new(|_| {});
    for round in 0..640u64 {
        assert_eq!(rig.one(request(Op::Read, round, 1, 0)), Completion::ok(1));
    }
    let [_, heads] = rig.device.borrow().doorbells;
    assert!((1..=10).contains(&heads), "{heads} doorbells");
    // All that the registers were written is counted.
    let rung = rig.device.borrow().doorbells;
    assert_eq!(rig.nvme.counters().kicks, rung.iter().sum::<u64>());
}

#[test]
fn a_controller_that_polls_needs_no_doorbell() {
    let mut rig = Rig::new(|_| {});
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
    rig.device.borrow_mut().polls = true;
    let before = rig.device.borrow().doorbells[0];
    for round in 0..300u64 {
        rig.send(round as u32, request(Op::Read, round, 1, 0));
        rig.nvme.kick();
        rig.device.borrow_mut().serve();
        assert_eq!(rig.drain(), [(round as u32, Completion::ok(1))]);
    }
    let rung = rig.device.borrow().doorbells[0] - before;
    assert!(rung <= 4, "{rung} doorbells: at most one a turn of the queue");
}

#[test]
fn one_request_in_64_is_timed_and_all_are_counted() {
    use orion_metrics::{Counter, Kind};
    let mut rig = Rig::new(|_| {});
    let mut now = 1_000_000;
    for n in 1..=192u64 {
        rig.at(now);
        let (op, ns) = match n {
            64 => (Op::Read, 50_000),
            128 => (Op::Write, 80_000),
            192 => (Op::Flush, 20_000),
            _ => (Op::Read, 1000),
        };
        rig.send(7, request(op, 8, if op == Op::Flush { 0 } else { 8 }, 0));
        rig.nvme.kick();
        rig.device.borrow_mut().serve();
        now += ns;
        rig.at(now);
        assert_eq!(rig.drain().len(), 1);
    }
    let figures = rig.nvme.figures();
    assert_eq!((figures.get(Counter::Requests), figures.get(Counter::Errors)), (192, 0));
    assert_eq!(figures.get(Counter::Sectors), 2 * 8 * 64);
    for (kind, ns) in [(Kind::Read, 50_000), (Kind::Write, 80_000), (Kind::Flush, 20_000)] {
        let (times, longest) = (figures.times(kind), figures.times(kind).quantile(1, 1).unwrap());
        assert!(times.count() == 1 && (ns..ns + ns / 7).contains(&longest), "{kind:?}: {longest}");
    }
}

/// Type 1: the controller makes and checks it, the driver says which block is meant.
#[test]
fn a_block_whose_protection_information_is_wrong_is_a_medium_error() {
    for shift in [9u8, 12] {
        let protected = Space::new(64, shift).with(|identify| {
            identify.formats[0] = (u32::from(shift) << 16 | 8).into();
            (identify.dps, identify.mc) = (1, 1);
        });
        let mut rig = Rig::with(Shape::new(), vec![(1, protected)], &[Place::FIRST]).unwrap();
        let block = 1usize << shift;
        assert!(rig.data.copy_in(0, &vec![0x3c; 8 * block]));
        assert_eq!(rig.one(request(Op::Write, 10, 8, 0)), Completion::ok(8));
        assert_eq!(rig.one(request(Op::Read, 9, 10, 0)), Completion::ok(10));
        let of = |rig: &Rig, lba: u64| rig.device.borrow().spaces[&1].protection[&lba];
        let (guard, tag) = of(&rig, 12);
        assert_eq!((guard, tag), (model::guard(&vec![0x3c; block]), 12));
        // A bit turns; then the guard is made good, and the block is another's; then all is well again.
        let rot = |rig: &Rig, byte: u8, guard: u16, tag: u32| {
            let space = &mut *rig.device.borrow_mut();
            let space = space.spaces.get_mut(&1).unwrap();
            space.content[12 * block + 7] = byte;
            space.protection.insert(12, (guard, tag));
        };
        let cases =
            [(0x3d, guard, 12, false), (0x3c, guard ^ 1, 12, false), (0x3c, guard, 13, false), (0x3c, guard, 12, true)];
        for (byte, guard, tag, good) in cases {
            rot(&rig, byte, guard, tag);
            let expected = if good { Completion::ok(3) } else { Completion::error(Error::Medium) };
            assert_eq!(rig.one(request(Op::Read, 11, 3, 0)), expected, "{byte:#x} {guard:#x} {tag}");
            assert_eq!(rig.one(request(Op::Read, 13, 3, 0)), Completion::ok(3));
        }
        // Who writes over it makes it good.
        rot(&rig, 0, 0, 0);
        assert_eq!(rig.one(request(Op::Write, 12, 1, 0)), Completion::ok(1));
        assert_eq!(rig.one(request(Op::Read, 11, 3, 0)), Completion::ok(3));
        assert_eq!(rig.one(request(Op::WriteZeroes, 10, 4, 0)), Completion::ok(4));
        assert_eq!(rig.one(request(Op::Read, 10, 4, 0)), Completion::ok(4));
    }
}
