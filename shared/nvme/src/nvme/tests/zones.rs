// SPDX-License-Identifier: MIT
//! A namespace of zones: what is written in order passes, the rest is refused, and an operator looks after zones.
use super::*;
use crate::model::Zones;
use orion_metrics::{Progress, Reply, Row, Verb, Work};
use proptest::prelude::*;

const ZONE: u64 = 64;
const CAPACITY: u64 = 48;
const COUNT: u64 = 100;

/// 100 zones of 64 blocks, of which 48 can be written; two are open at a time.
fn zoned() -> Rig {
    let shape = Shape::new().with(|shape| shape.capabilities |= 1 << 43);
    let space = Space { zones: Some(Zones::new(COUNT, ZONE, CAPACITY, 2)), ..Space::new((ZONE * COUNT) as usize, 9) };
    let mut rig = Rig::with(shape, vec![(1, space)], &[Place::FIRST]).unwrap();
    rig.at(SECOND);
    rig.settle();
    rig
}

fn write(rig: &mut Rig, lba: u64, blocks: u32) -> Result<(), Error> {
    rig.one(request(Op::Write, lba, blocks, 0)).status
}

fn order(rig: &mut Rig, verb: Verb, first: u64) -> Result<(), u16> {
    assert_eq!(rig.nvme.order(1, &Work { first, ..Work::new(verb, 0) }), Reply::Begun);
    rig.nvme.expire();
    rig.nvme.kick();
    rig.device.borrow_mut().serve();
    assert_eq!(rig.drain(), []);
    rig.settle();
    let Some(Row::DiskWork(row)) = rig.nvme.report(0) else { panic!("no row") };
    match Progress::of(row.progress) {
        Progress::Done => Ok(()),
        Progress::Failed => Err(row.status.get() & 0x7ff),
        other => panic!("{other:?}"),
    }
}

/// First block, pointer and state of the zones from the one with block `from` on.
fn zones(rig: &mut Rig, from: u64) -> Vec<(u64, u64, u8)> {
    order(rig, Verb::Zones, from).unwrap();
    let rows = (1..).map_while(|index| rig.nvme.report(index));
    let zones = rows.flat_map(|row| match row {
        Row::DiskZones(row) => row.list.into_iter().take(row.count.into()),
        other => panic!("{other:?}"),
    });
    zones.map(|zone| (zone.first.get(), zone.pointer.get(), zone.state())).collect()
}

#[test]
fn what_is_written_in_order_passes_and_the_rest_is_refused() {
    let mut rig = zoned();
    assert!(std::format!("{}", orion_driver::Describe::<_, u32>::new(&rig.nvme, Unit(0))).contains(", zoned"));
    assert_eq!([write(&mut rig, 0, 8), write(&mut rig, 8, 8)], [Ok(()); 2]);
    assert_eq!(write(&mut rig, 8, 8), Err(Error::Invalid), "below the pointer");
    assert_eq!(write(&mut rig, 24, 8), Err(Error::Invalid), "above the pointer");
    assert_eq!(write(&mut rig, 16, 33), Err(Error::Invalid), "beyond what can be written");
    assert_eq!([write(&mut rig, 16, 32), write(&mut rig, ZONE, 1)], [Ok(()); 2]);
    assert_eq!(write(&mut rig, 48, 1), Err(Error::NoSpace), "a full zone");
    assert_eq!([write(&mut rig, 2 * ZONE, 1), write(&mut rig, 3 * ZONE, 1)], [Ok(()), Err(Error::NoSpace)]);
    assert_eq!(rig.one(request(Op::Read, 0, 48, 0)), Completion::ok(48));
    assert_eq!(rig.one(request(Op::Read, 60, 8, 0)).status, Err(Error::Invalid), "two zones");
    let found = zones(&mut rig, 0);
    assert_eq!((found.len(), &found[..4]), (63, &[(0, 48, 14), (64, 65, 2), (128, 129, 2), (192, 192, 1)][..]));
    assert_eq!((zones(&mut rig, 99 * ZONE), zones(&mut rig, 37 * ZONE + 5).len()), (vec![(6336, 6336, 1)], 63));
    assert_eq!(rig.nvme.in_flight(), 0);
}

#[test]
fn an_operator_opens_closes_fills_and_empties_zones() {
    let mut rig = zoned();
    write(&mut rig, 0, 8).unwrap();
    assert_eq!(order(&mut rig, Verb::CloseZone, 0), Ok(()));
    assert_eq!(order(&mut rig, Verb::OpenZone, ZONE), Ok(()));
    assert_eq!(order(&mut rig, Verb::FinishZone, 2 * ZONE), Ok(()));
    assert_eq!(zones(&mut rig, 0)[..3], [(0, 8, 4), (64, 64, 3), (128, 192, 14)]);
    assert_eq!(order(&mut rig, Verb::CloseZone, 2 * ZONE), Err(0x1bf));
    assert_eq!(order(&mut rig, Verb::ResetZone, 1), Err(0x002), "no zone begins there");
    assert_eq!(order(&mut rig, Verb::ResetZone, 2 * ZONE), Ok(()));
    assert_eq!(zones(&mut rig, 2 * ZONE)[0], (128, 128, 1));
    assert_eq!(order(&mut rig, Verb::ResetZones, 0), Ok(()));
    assert!(zones(&mut rig, 0).iter().all(|(first, pointer, state)| first == pointer && *state == 1));
    assert_eq!(write(&mut rig, 0, 8), Ok(()));
}

#[test]
fn zones_are_of_zoned_namespaces_and_a_reset_loses_no_slot() {
    assert_eq!(Rig::new(|_| {}).nvme.order(1, &Work::new(Verb::Zones, 0)), Reply::Unsupported);
    let mut rig = zoned();
    let beyond = Work { first: ZONE * COUNT, ..Work::new(Verb::ResetZone, 0) };
    assert_eq!(rig.nvme.order(1, &beyond), Reply::Invalid);
    // The controller loses the command, and the abort finds it; it loses it for good, and is reset.
    for mischief in [Mischief::Lose, Mischief::Swallow] {
        rig.device.borrow_mut().mischief = Some(mischief);
        assert_eq!(rig.nvme.order(1, &Work::new(Verb::ResetZone, 0)), Reply::Begun);
        rig.nvme.expire();
        rig.nvme.kick();
        rig.device.borrow_mut().serve();
        let from = rig.nvme.now.0;
        for step in 0..200 {
            rig.at(from + step * SECOND / 10);
            rig.nvme.expire();
            rig.nvme.kick();
            rig.device.borrow_mut().serve();
            rig.settle();
            assert_eq!(rig.drain(), []);
        }
        let Some(Row::DiskWork(row)) = rig.nvme.report(0) else { panic!("no row") };
        assert_eq!((Progress::of(row.progress), rig.nvme.in_flight()), (Progress::Failed, 0), "{mischief:?}");
        assert!(!zones(&mut rig, 0).is_empty());
    }
    assert_eq!(rig.device.borrow().enables, 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a report claims, no more is shown than it can hold.
    #[test]
    fn any_report_is_shown(list in prop::collection::vec((any::<u8>(), any::<u64>()), COUNT as usize)) {
        let mut rig = zoned();
        rig.device.borrow_mut().spaces.get_mut(&1).unwrap().zones.as_mut().unwrap().list = list;
        prop_assert_eq!(zones(&mut rig, 0).len(), 63);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    /// However many writes of however many zones are in flight, in whatever order the controller does them, over resets too: where each zone's are
    /// asked for in order all pass, and never two of one zone are at the controller.
    #[test]
    fn writes_in_flight_to_a_zone_keep_their_order(
        zones in prop::collection::vec(0u64..4, 1..40), order in prop::collection::vec(0usize..128, 80),
    ) {
        let mut rig = zoned();
        rig.device.borrow_mut().spaces.get_mut(&1).unwrap().zones = Some(Zones::new(COUNT, ZONE, CAPACITY, 8));
        let mut next = [0u64; 4];
        for (tag, zone) in (0u32..).zip(&zones) {
            let at = &mut next[*zone as usize];
            if *at + 4 > CAPACITY {
                continue;
            }
            rig.send(tag, request(Op::Write, zone * ZONE + *at, 4, u64::from(tag) * 2048));
            *at += 4;
        }
        let (mut done, mut order) = (Vec::new(), order.into_iter());
        loop {
            rig.nvme.kick();
            rig.device.borrow_mut().take();
            let held = rig.device.borrow().taken.len();
            let zones: Vec<u64> = rig.device.borrow().taken.iter().map(|taken| u64::from(taken.dwords[10]) / ZONE).collect();
            let mut once = zones.clone();
            once.sort_unstable();
            once.dedup();
            prop_assert_eq!(once.len(), zones.len(), "two writes of a zone at once");
            if held == 0 {
                break;
            }
            rig.device.borrow_mut().finish(order.next().unwrap_or(0) % held);
            rig.settle();
            done.extend(rig.drain());
        }
        prop_assert!(done.iter().all(|(_, done)| done.status.is_ok()), "{:?}", done);
        prop_assert_eq!(done.len() as u64, next.iter().sum::<u64>() / 4);
    }
}

/// What waits is neither lost nor late when the controller is reset, or what it waited for is given up.
#[test]
fn what_waits_for_a_zone_goes_on_after_a_reset() {
    let mut rig = zoned();
    rig.device.borrow_mut().mischief = Some(Mischief::Swallow);
    for tag in 0..4 {
        rig.send(tag, request(Op::Write, u64::from(tag) * 8, 8, 0));
    }
    rig.nvme.kick();
    let done = rig.wait(SECOND, 4);
    let status = |tag: u32| done.iter().find(|(other, _)| *other == tag).unwrap().1.status;
    assert_eq!(status(0), Err(Error::TimedOut));
    // What is behind it was meant for another place.
    assert_eq!([1, 2, 3].map(status), [Err(Error::Invalid); 3]);
    assert_eq!(write(&mut rig, 0, 8), Ok(()));
}
