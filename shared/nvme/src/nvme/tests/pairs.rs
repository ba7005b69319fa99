// SPDX-License-Identifier: MIT
//! Several pairs of queues, their arbitration, and interrupts that are held back.
use super::*;
use crate::queues::Many;

fn rig(wishes: Wishes, change: impl FnOnce(&mut Shape)) -> Rig<Many> {
    let spaces = vec![(1, Space::new(2048, 9))];
    Rig::wishing(Shape::new().with(change), spaces, &[Place::FIRST], DMA_BYTES, wishes, |_| {}).unwrap()
}

fn several(queues: u8) -> Wishes {
    Wishes { queues, ..Wishes::default() }
}

/// Which pair each request of a batch went to.
fn spread(rig: &mut Rig<Many>, requests: &[(u8, Op)]) -> Vec<u16> {
    for (tag, (client, op)) in (0..).zip(requests) {
        rig.nvme.lane(*client);
        rig.send(tag, request(*op, u64::from(tag), 1, 0));
    }
    rig.nvme.kick();
    rig.device.borrow_mut().take();
    let mut taken: Vec<_> = rig.device.borrow().taken.iter().map(|taken| (taken.dwords[10], taken.queue)).collect();
    taken.sort_unstable();
    each_once(&rig.finish(), requests.len() as u32);
    taken.into_iter().map(|(_, queue)| queue).collect()
}

#[test]
fn there_are_as_many_pairs_as_both_have() {
    type Change = fn(&mut Shape);
    let cases: [(u8, Change, u16); 8] = [
        (1, |_| {}, 1),
        (4, |_| {}, 4),
        (8, |shape| (shape.grants, shape.queues) = (64, 64), 8),
        (255, |shape| (shape.grants, shape.queues) = (64, 64), 8),
        (4, |shape| shape.grants = 3, 3),
        // It granted what it does not have.
        (4, |shape| shape.queues = 2, 2),
        // Two entries a queue: one request.
        (4, |shape| shape.capabilities = shape.capabilities & !0xffff | 1, 4),
        // The doorbells of the others, 1024 bytes apart, are not in the page that can shadow them.
        (4, |shape| shape.capabilities |= 8 << 32, 1),
    ];
    for (number, (wished, change, pairs)) in cases.into_iter().enumerate() {
        let mut rig = rig(several(wished), change);
        let there: Vec<u16> = rig.device.borrow().pairs().iter().map(|(id, _)| *id).collect();
        assert_eq!(there, (1..=pairs).collect::<Vec<_>>(), "{number}");
        for _ in 0..9 {
            assert_eq!(rig.one(request(Op::Read, 3, 5, 4096)), Completion::ok(5), "{number}");
        }
        assert_eq!(rig.payload(4096, 2560), rig.content(3 * 512..8 * 512));
    }
}

#[test]
fn each_client_has_a_pair_and_the_batches_of_one_go_round() {
    let mut alone = rig(several(3), |_| {});
    let read = |client| (client, Op::Read);
    for pair in [1, 2, 3, 1, 2] {
        assert_eq!(spread(&mut alone, &[read(7), read(7), read(7)]), [pair; 3]);
    }
    let mut rig = rig(several(3), |_| {});
    assert_eq!(spread(&mut rig, &[read(0), read(1), read(2), read(4), read(1)]), [1, 2, 3, 2, 2]);
    assert_eq!(spread(&mut rig, &[read(2), read(2)]), [3, 3]);
}

#[test]
fn where_the_controller_weighs_reads_go_before_writes_before_the_rest() {
    let wishes = Wishes { weighted: true, ..Wishes::default() };
    let mut weighs = rig(wishes, |shape| shape.capabilities |= 1 << 17);
    assert_eq!(weighs.device.borrow().pairs(), [(1, 1), (2, 2), (3, 3)]);
    assert_eq!(weighs.device.borrow().features[&1], 0x0f03_0003);
    let batch = [(0, Op::Discard), (0, Op::Write), (0, Op::Read), (0, Op::WriteZeroes), (0, Op::Read)];
    assert_eq!(spread(&mut weighs, &batch), [3, 2, 1, 3, 1]);
    // One that does not: its pairs are equal, and it is not asked.
    let plain = rig(wishes, |_| {});
    assert_eq!(plain.device.borrow().pairs(), [(1, 0), (2, 0), (3, 0)]);
    assert!(!plain.device.borrow().features.contains_key(&1));
}

#[test]
fn an_answer_in_another_queue_is_a_broken_protocol() {
    let mut rig = rig(several(2), |_| {});
    rig.at(SECOND);
    rig.nvme.expire();
    rig.settle();
    (0..4).for_each(|tag| rig.send(tag, request(Op::Read, u64::from(tag), 1, 0)));
    rig.nvme.kick();
    rig.device.borrow_mut().take();
    rig.device.borrow_mut().taken[0].queue = 2;
    rig.device.borrow_mut().serve();
    let done = rig.wait(SECOND, 4);
    each_once(&done, 4);
    assert!(done.iter().all(|(_, done)| *done == Completion::ok(1)), "{done:?}");
    assert_eq!((rig.device.borrow().enables, rig.nvme.counters().misused), (2, 1));
    assert_eq!(rig.device.borrow().pairs().len(), 2, "they are made again");
}

#[test]
fn an_abort_names_the_queue_that_has_the_request() {
    let mut rig = rig(several(4), |_| {});
    for round in 1..=4u64 {
        let now = round * 100 * SECOND;
        rig.at(now);
        rig.nvme.expire();
        rig.settle();
        rig.device.borrow_mut().mischief = Some(Mischief::Lose);
        rig.send(0, request(Op::Read, 0, 1, 0));
        rig.nvme.kick();
        rig.device.borrow_mut().serve();
        assert_eq!(rig.wait(now, 1), [(0, Completion::error(Error::TimedOut))]);
    }
    // Each was found: nothing had to be reset.
    assert_eq!((rig.device.borrow().enables, rig.device.borrow().done[&(true, 8)]), (1, 4));
}

#[test]
fn several_queues_are_taken_over_from_any_state() {
    for messages in [true, false] {
        let mut rig = rig(several(4), |shape| shape.messages = messages);
        for round in 0..40u32 {
            for tag in 0..round % 8 {
                rig.send(tag, request(Op::Write, 1, 1, 0));
                rig.nvme.kick();
            }
            rig.device.borrow_mut().take();
            for _ in 0..round % 5 {
                if !rig.device.borrow().taken.is_empty() {
                    rig.device.borrow_mut().finish(0);
                }
            }
            if round % 3 == 0 {
                rig.drain();
            }
            rig = rig.reborn();
            rig.settle();
            assert!(messages || !rig.device.borrow_mut().take_interrupt(), "the pin is stuck in round {round}");
            assert_eq!(rig.one(request(Op::Read, 3, 1, 0)), Completion::ok(1));
            rig.settle();
        }
    }
}

#[test]
fn interrupts_are_held_back_as_wished_and_no_longer() {
    let wishes = Wishes { gather: 8, gather_us: 300, ..Wishes::default() };
    let mut one = rig(wishes, |_| {});
    let feature = one.device.borrow().features[&8];
    assert_eq!(feature, 3 << 8 | 7, "three times 100 us, eight answers");
    one.settle();
    // Eight answers are one interrupt; and fewer, after 300 us at most.
    for (answers, us) in [(8, 0), (16, 0), (5, 300), (1, 300), (11, 300)] {
        let before = one.device.borrow().interrupts;
        (0..answers).for_each(|tag| one.send(tag, request(Op::Read, u64::from(tag), 1, 0)));
        one.nvme.kick();
        one.device.borrow_mut().serve();
        let now = one.device.borrow().interrupts;
        assert_eq!(now - before, u64::from(answers / 8), "{answers}");
        if us > 0 {
            one.device.borrow_mut().elapse(299);
            assert_eq!(one.device.borrow().interrupts, now, "{answers}: it is early");
            one.device.borrow_mut().elapse(1);
            assert_eq!(one.device.borrow().interrupts, now + 1, "{answers}: it is late");
        }
        each_once(&one.drain(), answers);
    }
    // Who cannot, does not; who was not asked, does not.
    let refuses = rig(wishes, |shape| shape.gathers = false);
    let unasked = rig(several(2), |_| {});
    for mut rig in [refuses, unasked] {
        let before = rig.device.borrow().interrupts;
        assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
        assert!(rig.device.borrow().interrupts > before);
    }
}
