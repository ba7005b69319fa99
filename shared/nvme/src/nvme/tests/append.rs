// SPDX-License-Identifier: MIT
//! Appends to zones, and zones that change by themselves.
use super::*;
use crate::Many;
use crate::model::Zones;
use orion_driver::{Bottom, Zones as Shown};
use orion_layer::{Lowers, Submission};
use proptest::prelude::*;

const ZONE: u64 = 64;
const CAPACITY: u64 = 48;
const COUNT: u64 = 8;
const READ_ONLY: u8 = 13;
const OFFLINE: u8 = 15;

fn zoned<Q: Queues>(shape: Shape, place: Place, queues: u8) -> Rig<Q> {
    let shape = shape.with(|shape| shape.capabilities |= 1 << 43);
    let space = Space { zones: Some(Zones::new(COUNT, ZONE, CAPACITY, 8)), ..Space::new((ZONE * COUNT) as usize, 9) };
    let wishes = Wishes { queues, ..Wishes::default() };
    let mut rig = Rig::wishing(shape, vec![(1, space)], &[place], DMA_BYTES, wishes, |_| {}).unwrap();
    rig.at(SECOND);
    rig.settle();
    rig
}

fn append<Q: Queues>(rig: &mut Rig<Q>, zone: u64, blocks: u32) -> Result<Completion, Error> {
    rig.nvme.append(Unit(0), 7, &request(Op::Write, zone * ZONE, blocks, 0))?;
    let done = rig.finish();
    assert_eq!((done.len(), done[0].0), (1, 7));
    Ok(done[0].1)
}

#[test]
fn an_append_says_where_it_begins_and_what_cannot_be_one_is_not_taken() {
    let mut rig = zoned::<One>(Shape::new().with(|shape| shape.append_pages = 2), Place::FIRST, 1);
    assert_eq!(rig.nvme.zones(Unit(0)), Some(Shown { blocks: ZONE, append_blocks: 32 }));
    let at = |offset| Ok(Completion::ok(offset));
    assert_eq!([append(&mut rig, 1, 8), append(&mut rig, 1, 32), append(&mut rig, 2, 1)], [at(0), at(8), at(0)]);
    assert_eq!(rig.content(64 * 512..104 * 512), [rig.payload(0, 4096), rig.payload(0, 16384)].concat());
    let full = Ok(Completion::error(Error::NoSpace));
    assert_eq!([append(&mut rig, 1, 9), append(&mut rig, 1, 8), append(&mut rig, 1, 1)], [full, at(40), full]);
    let refused = |rig: &mut Rig, req: Request| rig.nvme.append(Unit(0), 1, &req).unwrap_err();
    assert_eq!(refused(&mut rig, request(Op::Write, 1, 8, 0)), Error::Invalid, "no zone begins there");
    assert_eq!(refused(&mut rig, request(Op::Write, 0, 33, 0)), Error::Invalid, "more than it appends at once");
    assert_eq!(refused(&mut rig, request(Op::Write, 0, 0, 0)), Error::Invalid);
    assert_eq!(refused(&mut rig, request(Op::Read, 0, 8, 0)), Error::Invalid);
    assert_eq!(refused(&mut rig, request(Op::Write, ZONE * COUNT, 8, 0)), Error::OutOfRange);
    assert_eq!(refused(&mut rig, request(Op::Write, 0, 8, DATA_LEN as u64)), Error::Invalid);
    let mut plain = Rig::new(|_| {});
    assert_eq!(
        (plain.nvme.zones(Unit(0)), refused(&mut plain, request(Op::Write, 0, 8, 0))),
        (None, Error::Unsupported)
    );
    // Where it would be if it were not: nobody believes that.
    for misplaced in [0, 3 * ZONE - 1, 4 * ZONE - 7, u64::MAX] {
        rig.device.borrow_mut().misplaced = Some(misplaced);
        assert_eq!(append(&mut rig, 3, 8), Ok(Completion::error(Error::Io)), "{misplaced}");
    }
    assert_eq!((rig.nvme.counters().misused, append(&mut rig, 3, 8)), (4, at(32)));
}

#[test]
fn a_layer_of_the_same_pd_appends_by_the_engine_below_it() {
    let shape = Shape::new().with(|shape| shape.capabilities |= 1 << 43);
    let space = Space { zones: Some(Zones::new(COUNT, ZONE, CAPACITY, 8)), ..Space::new((ZONE * COUNT) as usize, 9) };
    let [dma, dma_device] = model::memory(DMA_BYTES);
    let [_data, data_device] = model::memory(DATA_LEN);
    let device = Model::new(shape, vec![(1, space)], vec![(DMA_BUS, dma_device), (DATA_BUS, data_device)]);
    let spans = [Span::default(), Span { bus: DATA_BUS, size: DATA_LEN as u64 }];
    let setup = Setup { dma, dma_bus: DMA_BUS, regions: &spans, iommu: false, read_only: false, timeout_ns: SECOND };
    let mut nvme: Nvme<_, (u8, u32)> = Nvme::new(ModelRegisters(device.clone()), setup, &[Place::FIRST]).unwrap();
    for (tag, at) in [(5, 0), (6, 4)] {
        let submission = Submission { tag, req: request(Op::Write, ZONE, 4, 0) };
        Bottom(&mut nvme).append(0, &submission).unwrap();
        nvme.kick();
        device.borrow_mut().serve();
        assert_eq!(Bottom(&mut nvme).next().unwrap(), Some((0, tag, Completion::ok(at))));
    }
    assert_eq!(
        Bottom(&mut nvme).append(1, &Submission { tag: 1, req: request(Op::Write, 0, 1, 0) }),
        Err(Error::Offline)
    );
}

#[test]
fn what_was_appended_is_compared_where_it_is() {
    let mut rig = zoned::<One>(Shape::new(), Place { verify: true, ..Place::FIRST }, 1);
    assert_eq!([append(&mut rig, 2, 8), append(&mut rig, 2, 8)], [Ok(Completion::ok(0)), Ok(Completion::ok(8))]);
    rig.device.borrow_mut().rots = 1;
    assert_eq!(append(&mut rig, 2, 8), Ok(Completion::error(Error::Medium)));
    assert_eq!((rig.done(5), std::format!("{}", rig.nvme.health.verify)), (3, "1 writes differed, 0 mended".into()));
    assert_eq!(append(&mut rig, 2, 8), Ok(Completion::ok(24)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// However many are in flight, over however many queues, in whatever order the controller does them, over resets too: each place that
    /// is told has what was appended, and no two are the same.
    #[test]
    fn every_append_is_where_its_answer_says(
        zones in prop::collection::vec((0u64..4, 1u32..5), 1..40), order in prop::collection::vec(0usize..128, 200),
        queues in 1u8..4, fails in prop::option::of(0usize..30), verify: bool,
    ) {
        let mut rig = zoned::<Many>(Shape::new(), Place { verify, ..Place::FIRST }, queues);
        let mut sent = Vec::new();
        for (zone, blocks) in zones {
            let tag = sent.len() as u32;
            let offset = u64::from(tag) * 2048;
            (0..u64::from(blocks) * 512).step_by(8).for_each(|at| {
                rig.data.write((offset + at) as usize, u64::from(tag + 1) << 32 | at);
            });
            rig.nvme.append(Unit(0), tag, &request(Op::Write, zone * ZONE, blocks, offset)).unwrap();
            sent.push((zone, blocks, offset));
        }
        let (mut done, mut order, mut step) = (Vec::new(), order.into_iter(), 0);
        while done.len() < sent.len() {
            rig.nvme.kick();
            rig.device.borrow_mut().take();
            let held = rig.device.borrow().taken.len();
            if fails == Some(step) && held > 0 {
                rig.device.borrow_mut().mischief = Some(Mischief::Id(0x300));
            }
            if held > 0 {
                rig.device.borrow_mut().finish(order.next().unwrap_or(0) % held);
            }
            rig.settle();
            done.extend(rig.drain());
            step += 1;
            prop_assert!(step < 1000, "a hang");
        }
        let mut taken = std::collections::BTreeSet::new();
        for (tag, done) in done {
            let (zone, blocks, offset) = sent[tag as usize];
            // What was appended twice may have filled a zone.
            if done.status.is_err() {
                prop_assert!(fails.is_some() || done.status == Err(Error::NoSpace), "{:?}", done);
                continue;
            }
            let first = zone * ZONE + u64::from(done.blocks);
            prop_assert!((first..first + u64::from(blocks)).all(|block| taken.insert(block)), "two in one place");
            let (at, bytes) = (first as usize * 512, blocks as usize * 512);
            prop_assert_eq!(rig.content(at..at + bytes), rig.payload(offset as usize, bytes));
        }
    }
}

#[test]
fn zones_that_change_by_themselves_are_noticed_and_counted() {
    let mut rig = zoned::<One>(Shape::new(), Place::FIRST, 1);
    assert_eq!(rig.device.borrow().features[&0x0b] >> 27 & 1, 1, "it is to tell of them");
    let said = |rig: &mut Rig| {
        rig.nvme.kick();
        rig.device.borrow_mut().serve();
        assert_eq!(rig.drain(), []);
        rig.nvme.kick();
        rig.device.borrow_mut().serve();
        assert_eq!(rig.drain(), []);
        std::format!("{}", rig.nvme.health.zones)
    };
    rig.nvme.take_fault();
    assert_eq!(said(&mut rig), "");
    rig.device.borrow_mut().zone_becomes(1, 2, READ_ONLY);
    rig.settle();
    assert_eq!(said(&mut rig), "1 changed, 1 read-only, 0 offline");
    assert_eq!(rig.nvme.take_fault(), Some("zones are read-only or offline that were not: see `orion health`"));
    assert_eq!(rig.one(request(Op::Write, 2 * ZONE, 1, 0)).status, Err(Error::ReadOnly));
    // Several before it looks: one event, one list.
    for (zone, state) in [(3, OFFLINE), (2, OFFLINE), (4, READ_ONLY), (5, 1)] {
        rig.device.borrow_mut().zone_becomes(1, zone, state);
    }
    rig.settle();
    assert_eq!(said(&mut rig), "5 changed, 1 read-only, 2 offline");
    assert_eq!(rig.one(request(Op::Read, 3 * ZONE, 1, 0)).status, Err(Error::Offline));
    assert_eq!(rig.nvme.in_flight(), 0);
    // More than the list has room for are not counted beyond it; the events of other namespaces are of no interest here.
    (0..600).for_each(|_| rig.device.borrow_mut().zone_becomes(1, 6, READ_ONLY));
    rig.settle();
    assert_eq!(said(&mut rig), "516 changed, 2 read-only, 2 offline");
    // A controller that tells of nothing is asked when somebody asks how it is.
    let silent = Shape::new().with(|shape| shape.controller.oaes = 0.into());
    let mut rig = zoned::<One>(silent, Place::FIRST, 1);
    rig.device.borrow_mut().zone_becomes(1, 0, OFFLINE);
    rig.settle();
    assert_eq!(said(&mut rig), "");
    rig.nvme.refresh();
    rig.settle();
    assert_eq!(said(&mut rig), "0 changed, 0 read-only, 1 offline");
}

#[test]
fn zones_are_counted_though_the_controller_is_reset_meanwhile() {
    for mischief in [Mischief::Swallow, Mischief::Fail] {
        let mut rig = zoned::<One>(Shape::new(), Place::FIRST, 1);
        rig.device.borrow_mut().zone_becomes(1, 2, READ_ONLY);
        rig.device.borrow_mut().mischief = Some(mischief);
        let mut now = SECOND;
        for _ in 0..60 {
            rig.settle();
            rig.nvme.kick();
            rig.device.borrow_mut().serve();
            assert_eq!(rig.drain(), []);
            rig.at(now);
            rig.nvme.expire();
            now += SECOND / 2;
        }
        assert_eq!(std::format!("{}", rig.nvme.health.zones), "1 changed, 1 read-only, 0 offline", "{mischief:?}");
        assert_eq!((rig.nvme.in_flight(), rig.device.borrow().enables), (0, 2));
    }
}
