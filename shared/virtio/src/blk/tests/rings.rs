// SPDX-License-Identifier: MIT
//! What is agreed on for the queues, and what one queue of several does to the others.
use super::*;
use crate::model::Mischief;

fn described(rig: &Rig<Many>) -> std::string::String {
    std::format!("{}", orion_driver::Describe::new(&rig.blk, Unit(0)))
}

#[test]
fn what_is_wished_for_is_used_where_the_device_has_it() {
    let all = Wishes { queues: 4, packed: true, in_order: true, queue_reset: true };
    let negotiated = |rig: &Rig<Many>| rig.device.borrow().negotiated() & (1 << 12 | 0x43 << 34);
    for wishes in wishes() {
        // The device has more than is wished for.
        let rig = Rig::<Many>::wishing(full().offering(all), Via::Mmio, wishes, 64 << 10, |_| {}).unwrap();
        let expected = Shape::new(0, 0).offering(wishes).features & !(1 << 32);
        assert_eq!(negotiated(&rig), expected, "{wishes:?}");
        // It has nothing of it.
        let mut rig = Rig::<Many>::wishing(full(), Via::Mmio, wishes, 64 << 10, |_| {}).unwrap();
        assert_eq!((negotiated(&rig), rig.blk.queue.queues()), (0, 1));
        assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
    }
    let rig = Rig::<Many>::granted(full(), Via::Mmio, all);
    assert!(described(&rig).contains("128 requests in flight, 4 queues, packed ring, indirect descriptors, in order"));
    // A split ring without indirect descriptors cannot be used in order.
    let in_order = Wishes { in_order: true, ..Wishes::default() };
    let rig = Rig::<Many>::granted(Shape::new(64, EVENT), Via::Mmio, in_order);
    assert_eq!(negotiated(&rig), 0);
}

#[test]
fn a_count_of_queues_that_is_a_lie_is_no_harm() {
    let wishes = Wishes { queues: 8, ..Wishes::default() };
    let open = |shape: Shape| Rig::<Many>::wishing(shape, Via::PciMessage, wishes, 64 << 10, |_| {});
    let count = |n: u16| wire::config::NUM_QUEUES..wire::config::NUM_QUEUES + n.to_le_bytes().len();
    for (said, has, expected) in
        [(0u16, 4, Err(Fault::Config)), (u16::MAX, 4, Err(Fault::Queue)), (3, 4, Ok(3)), (8, 8, Ok(8))]
    {
        let mut shape = full().offering(Wishes { queues: has, ..wishes });
        shape.config[count(said)].copy_from_slice(&said.to_le_bytes());
        assert_eq!(open(shape).map(|rig| rig.blk.queue.queues()), expected, "it says {said} and has {has}");
    }
}

#[test]
fn each_client_has_a_queue_and_one_alone_goes_round() {
    let wishes = Wishes { queues: 4, ..Wishes::default() };
    let kicked = |rig: &mut Rig<Many>| {
        rig.submit(1, Op::Read, 0, 1, 0);
        rig.blk.kick();
        let queue = (0..4).position(|nth| rig.device.borrow().is_queue_notified(nth)).unwrap();
        rig.device.borrow_mut().serve();
        assert_eq!(rig.drain(), [(1, Completion::ok(1))]);
        queue
    };
    let mut rig = Rig::<Many>::granted(full(), Via::Mmio, wishes);
    rig.blk.lane(2);
    let alone: Vec<usize> = (0..8).map(|_| kicked(&mut rig)).collect();
    assert_eq!(alone, [0, 1, 2, 3, 0, 1, 2, 3]);
    for client in [1, 2, 1, 5, 2] {
        rig.blk.lane(client);
        assert_eq!(kicked(&mut rig), usize::from(client) % 4);
    }
}

#[test]
fn a_full_queue_is_no_end_while_another_has_room() {
    for wishes in wishes().filter(|wishes| wishes.queues > 1) {
        let mut rig = Rig::<Many>::granted(full(), Via::Mmio, wishes);
        rig.blk.lane(0);
        rig.blk.lane(1);
        let depth = u32::from(rig.blk.depth());
        assert_eq!(depth, 128);
        (0..depth).for_each(|tag| rig.submit(tag, Op::Read, 0, 1, 0));
        assert!(!rig.blk.has_room(Unit(0)));
        let mut done: Vec<u32> = rig.finish().iter().map(|(tag, _)| *tag).collect();
        done.sort_unstable();
        assert_eq!(done, (0..depth).collect::<Vec<_>>());
    }
}

/// Two clients on two queues, of which the first's loses a request.
fn one_stuck(via: Via, packed: bool) -> Rig<Many> {
    let wishes = Wishes { queues: 2, packed, in_order: false, queue_reset: true };
    let mut rig = Rig::<Many>::granted(full(), via, wishes);
    rig.blk.lane(0);
    rig.blk.lane(1);
    rig.blk.set_time(Instant(SECOND));
    for (client, tag) in [(0, 10), (0, 11), (1, 20)] {
        rig.blk.lane(client);
        rig.submit(tag, Op::Read, 1, 1, 0);
        if client == 0 {
            rig.blk.kick();
        }
    }
    // The other one is asked later, and at work when the first is given up.
    rig.blk.set_time(Instant(4 * SECOND));
    rig.submit(21, Op::Read, 1, 1, 0);
    rig.blk.kick();
    rig.device.borrow_mut().take();
    rig
}

#[test]
fn a_queue_is_reset_while_the_other_works() {
    for (via, packed) in VIAS.into_iter().flat_map(|via| [(via, false), (via, true)]) {
        let mut rig = one_stuck(via, packed);
        rig.device.borrow_mut().taken.retain(|taken| taken.queue == 1);
        let first = rig.device.borrow().taken.len() - 2;
        rig.device.borrow_mut().finish(first);
        rig.blk.set_time(Instant(6 * SECOND));
        assert_eq!(rig.drain(), [(20, Completion::ok(1))]);
        assert!(rig.blk.expire());
        let late = Completion::error(Error::TimedOut);
        assert_eq!(rig.drain(), [(10, late), (11, late)], "{via:?}");
        assert_eq!((rig.device.borrow().resets, rig.device.borrow().queue_resets), (0, 1));
        assert!(rig.blk.take_fault().unwrap().contains("its queue was reset"));
        rig.device.borrow_mut().serve();
        assert_eq!(rig.drain(), [(21, Completion::ok(1))], "it was at work all the time");
        for client in 0..2 {
            rig.blk.lane(client);
            assert_eq!(rig.one(request(Op::Read, 5, 2, 0)), Completion::ok(2));
        }
    }
}

#[test]
fn a_device_that_does_not_let_go_of_a_queue_is_reset_whole() {
    for via in VIAS {
        let mut rig = one_stuck(via, false);
        rig.device.borrow_mut().mischief = Some(Mischief::KeepQueue);
        rig.blk.set_time(Instant(6 * SECOND));
        assert!(rig.blk.expire());
        let mut done = rig.drain();
        done.sort_unstable_by_key(|(tag, _)| *tag);
        assert_eq!(done, [10, 11, 20, 21].map(|tag| (tag, Completion::error(Error::TimedOut))));
        assert_eq!((rig.device.borrow().resets, rig.device.borrow().queue_resets), (1, 0));
        assert_eq!(rig.one(request(Op::Read, 5, 2, 0)), Completion::ok(2));
    }
}

#[test]
fn a_queue_that_is_stuck_again_and_again_ends_with_the_device() {
    let mut rig = Rig::<Many>::granted(full(), Via::Mmio, Wishes { queue_reset: true, ..Wishes::default() });
    for round in 1..8u64 {
        rig.blk.set_time(Instant(round * 20 * SECOND));
        rig.submit(1, Op::Read, 0, 1, 0);
        rig.blk.kick();
        rig.device.borrow_mut().mischief = Some(Mischief::Lose);
        rig.device.borrow_mut().serve();
        rig.blk.set_time(Instant(round * 20 * SECOND + 10 * SECOND));
        rig.blk.expire();
        let expected = if round <= 4 { Error::TimedOut } else { Error::Offline };
        assert_eq!(rig.drain(), [(1, Completion::error(expected))], "round {round}");
    }
    assert_eq!((rig.device.borrow().queue_resets, rig.blk.limits(Unit(0))), (3, None));
}
