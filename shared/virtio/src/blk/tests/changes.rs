// SPDX-License-Identifier: MIT
//! What changes while the device runs, and what it says of itself.
use super::*;
use crate::model::Mischief;

/// What the driver's PD does after an interrupt; what it took.
fn woken<Q: Ring>(rig: &mut Rig<Q>) -> Vec<(u32, Completion)> {
    if rig.device.borrow_mut().take_interrupt() {
        rig.blk.interrupted();
    }
    rig.drain()
}

fn capacity<Q: Ring>(rig: &Rig<Q>) -> u64 {
    rig.blk.limits(Unit(0)).unwrap().capacity
}

#[test]
fn a_resize_of_an_idle_device_is_followed_at_once() {
    for via in VIAS {
        for offered in [0, INDIRECT, EVENT, INDIRECT | EVENT] {
            let mut rig = Rig::new(Shape::new(64, offered), via);
            assert_eq!(rig.one(request(Op::Read, 63, 1, 0)), Completion::ok(1));
            woken(&mut rig);
            assert!(!rig.blk.take_change());
            for sectors in [100, 32] {
                rig.device.borrow_mut().resize(sectors);
                assert_eq!(woken(&mut rig), []);
                assert!(rig.blk.take_change() && !rig.blk.take_change(), "{via:?}, {offered:#x}");
                assert_eq!(capacity(&rig), sectors as u64);
                let last = sectors as u64 - 1;
                assert_eq!(rig.one(request(Op::Read, last, 1, 0)), Completion::ok(1));
                assert_eq!(rig.one(request(Op::Read, last, 2, 0)), Completion::error(Error::OutOfRange));
                woken(&mut rig);
            }
        }
    }
}

#[test]
fn a_resize_that_shares_its_message_with_a_completion_is_seen_at_a_deadline() {
    let mut rig = Rig::new(full(), Via::PciMessage);
    rig.blk.set_time(Instant(SECOND));
    assert_eq!(rig.drain(), []);
    rig.submit(0, Op::Read, 0, 1, 0);
    rig.submit(1, Op::Read, 0, 1, 0);
    rig.blk.kick();
    rig.device.borrow_mut().take();
    rig.device.borrow_mut().finish(0);
    rig.device.borrow_mut().resize(4096);
    assert_eq!(woken(&mut rig).len(), 1);
    assert!(!rig.blk.take_change(), "nothing tells it from the completion");
    rig.blk.set_time(rig.blk.deadline().unwrap());
    assert!(rig.blk.expire(), "the other request is late");
    assert!(rig.blk.take_change());
    assert_eq!(capacity(&rig), 4096);
}

#[test]
fn a_device_that_says_so_is_reset_before_any_deadline() {
    for via in VIAS {
        let mut rig = Rig::new(full(), via);
        assert_eq!(rig.drain(), []);
        rig.submit(7, Op::Read, 0, 1, 0);
        rig.blk.kick();
        rig.device.borrow_mut().take();
        rig.device.borrow_mut().needs_reset();
        assert_eq!(woken(&mut rig), [(7, Completion::error(Error::Io))], "{via:?}");
        assert_eq!(rig.device.borrow().resets, 1);
        assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
    }
}

#[test]
fn what_cannot_be_followed_is_said_and_changes_nothing() {
    let mut rig = Rig::new(full(), Via::Mmio);
    let before = rig.blk.limits(Unit(0));
    for (offset, bytes) in [(20, 4096u32), (20, 511), (0, u32::MAX)] {
        let at = offset..offset + 4;
        let old = rig.device.borrow().shape.config[at.clone()].to_vec();
        rig.device.borrow_mut().shape.config[at.clone()].copy_from_slice(&bytes.to_le_bytes());
        if offset == 0 {
            rig.device.borrow_mut().shape.config[4..8].fill(0xff);
        }
        rig.device.borrow_mut().reconfigured();
        assert_eq!(woken(&mut rig), []);
        assert!(!rig.blk.take_change() && rig.blk.take_fault().is_some());
        assert_eq!(rig.blk.limits(Unit(0)), before);
        rig.device.borrow_mut().shape.config[at].copy_from_slice(&old);
    }
}

#[test]
fn interrupts_in_vain_cost_a_look_and_change_nothing() {
    for via in VIAS {
        let mut rig = Rig::new(full(), via);
        for _ in 0..100 {
            rig.blk.interrupted();
            assert_eq!(rig.drain(), []);
        }
        rig.submit(0, Op::Read, 0, 1, 0);
        rig.blk.kick();
        rig.blk.interrupted();
        assert_eq!(rig.drain(), []);
        assert_eq!(rig.finish(), [(0, Completion::ok(1))]);
        assert_eq!((rig.device.borrow().resets, rig.blk.take_fault()), (0, None));
    }
}

#[test]
fn a_lost_interrupt_costs_a_deadline_and_no_reset() {
    for nth in 0..8 {
        let mut rig = Rig::<Many>::granted(full(), Via::PciMessage, wishes().nth(nth).unwrap());
        rig.blk.set_time(Instant(SECOND));
        assert_eq!(rig.drain(), []);
        rig.submit(3, Op::Read, 0, 1, 0);
        rig.blk.kick();
        rig.device.borrow_mut().mischief = Some(Mischief::Silent);
        rig.device.borrow_mut().serve();
        assert!(!rig.device.borrow_mut().take_interrupt());
        rig.blk.set_time(rig.blk.deadline().unwrap());
        assert!(rig.blk.expire(), "there is something to fetch");
        assert_eq!(rig.drain(), [(3, Completion::ok(1))]);
        assert_eq!((rig.device.borrow().resets, rig.blk.counters().timeouts), (0, 0));
    }
}

#[test]
fn the_device_is_asked_who_it_is_and_how_worn() {
    let shape = || Shape { features: full().features | feature::LIFETIME, ..full() };
    let mut rig = Rig::new(shape(), Via::Mmio);
    assert!(rig.blk.health(Unit(0)).is_none());
    for (wear, used, spare, failing) in [
        ([0, 0, 0], None, None, None),
        ([1, 1, 3], Some(30), None, Some(false)),
        ([2, 0xa, 0], Some(100), Some(20), Some(false)),
        ([3, 1, 1], Some(10), Some(10), Some(true)),
        ([1, 0, 0xb], Some(110), None, Some(true)),
        ([0xffff, 0xc, 0x101], None, None, None),
    ] {
        rig.device.borrow_mut().wear = wear;
        rig.blk.refresh();
        rig.blk.refresh();
        assert_eq!(rig.finish(), [], "nobody else is told");
        let health = *rig.blk.health(Unit(0)).unwrap();
        assert_eq!(health.serial.as_str(), "model of a disk");
        assert_eq!((health.used_percent, health.spare_percent, health.failing), (used, spare, failing), "{wear:?}");
    }
    assert_eq!((rig.device.borrow().done[&8], rig.device.borrow().done[&10]), (6, 6));
    assert_eq!((rig.blk.in_flight(), rig.blk.deadline()), (0, None));
    // Without the feature it is not asked how worn it is.
    let mut rig = Rig::<Many>::granted(full(), Via::PciPin, Wishes { queues: 4, packed: true, ..Wishes::default() });
    rig.blk.refresh();
    assert_eq!(rig.finish(), []);
    let serial = rig.blk.health(Unit(0)).map(|health| health.serial);
    assert_eq!(serial.unwrap().as_str(), "model of a disk");
    assert_eq!(rig.device.borrow().done.get(&10), None);
}

#[test]
fn a_question_that_fails_or_is_lost_is_asked_again_and_harms_no_request() {
    let mut rig = Rig::new(full(), Via::Mmio);
    rig.device.borrow_mut().mischief = Some(Mischief::Status(2));
    rig.blk.refresh();
    assert_eq!(rig.finish(), []);
    assert!(rig.blk.health(Unit(0)).is_none());
    rig.blk.set_time(Instant(SECOND));
    rig.device.borrow_mut().mischief = Some(Mischief::Lose);
    rig.blk.refresh();
    rig.submit(1, Op::Read, 0, 1, 0);
    assert_eq!(rig.finish(), [(1, Completion::ok(1))]);
    rig.blk.set_time(rig.blk.deadline().unwrap());
    assert!(rig.blk.expire());
    assert_eq!(rig.drain(), [], "nobody asked it but the driver");
    assert_eq!((rig.device.borrow().resets, rig.blk.deadline()), (1, None));
    rig.blk.refresh();
    assert_eq!(rig.finish(), []);
    assert!(rig.blk.health(Unit(0)).is_some());
    let depth = rig.blk.depth();
    (0..u32::from(depth)).for_each(|tag| rig.submit(tag, Op::Read, 0, 1, 0));
    rig.blk.refresh();
    assert_eq!(
        rig.finish().len(),
        usize::from(depth),
        "it takes no slot that a request waits for, and leaves none behind"
    );
}
