// SPDX-License-Identifier: MIT
//! Writes that are compared with their payload: what the medium changed is found, and mended where that can be.
use super::*;
use crate::Many;
use crate::model::Zones;
use proptest::prelude::*;

const COMPARE: u8 = 5;
const VERIFIED: Place = Place { verify: true, ..Place::FIRST };

fn compared(change: impl FnOnce(&mut Shape)) -> Rig {
    let mut rig = Rig::with(Shape::new().with(change), vec![(1, Space::new(4096, 9))], &[VERIFIED]).unwrap();
    rig.at(SECOND);
    rig.settle();
    rig
}

fn fill(rig: &Rig, byte: u8) {
    (0..DATA_LEN).step_by(8).for_each(|at| {
        rig.data.write(at, u64::from_ne_bytes([byte; 8]));
    });
}

fn says(rig: &Rig) -> std::string::String {
    std::format!("{}", rig.nvme.health.verify)
}

#[test]
fn each_part_of_a_write_is_compared_and_nothing_else_is() {
    // By list and by SGL, in one part and in several.
    for sgl in [0, 1] {
        let mut rig = compared(|shape| (shape.controller.sgls, shape.controller.mdts) = (sgl.into(), 3));
        fill(&rig, 0xa7);
        for (blocks, parts) in [(1, 1), (8, 1), (64, 1), (65, 2), (1000, 16)] {
            let before = rig.done(COMPARE);
            assert_eq!(rig.one(request(Op::Write, 3, blocks, 4)), Completion::ok(blocks));
            assert_eq!((rig.done(COMPARE) - before, says(&rig).as_str()), (parts, ""));
        }
        // What is compared is what the medium has: it is durable.
        assert!(rig.durable(3 * 512..1003 * 512).iter().all(|byte| *byte == 0xa7));
        let before = rig.done(COMPARE);
        for op in [Op::Read, Op::WriteZeroes, Op::Discard] {
            assert_eq!(rig.one(request(op, 0, 200, 0)), Completion::ok(200));
        }
        assert_eq!(rig.one(request(Op::Flush, 0, 0, 0)), Completion::ok(0));
        assert_eq!(rig.done(COMPARE), before);
    }
    let mut rig = Rig::new(|_| {});
    assert_eq!(rig.one(request(Op::Write, 0, 8, 0)), Completion::ok(8));
    assert_eq!(rig.done(COMPARE), 0, "nobody asked for it");
}

#[test]
fn what_the_medium_changed_is_written_once_more_and_is_a_medium_error_then() {
    let mut rig = compared(|shape| shape.controller.mdts = 3);
    fill(&rig, 0x11);
    rig.device.borrow_mut().rots = 1;
    assert_eq!(rig.one(request(Op::Write, 0, 8, 0)), Completion::ok(8));
    assert!(rig.content(0..4096).iter().all(|byte| *byte == 0x11));
    assert_eq!(says(&rig), "1 writes differed, 1 mended");
    rig.device.borrow_mut().rots = 2;
    assert_eq!(rig.one(request(Op::Write, 8, 8, 0)), Completion::error(Error::Medium));
    assert_eq!(says(&rig), "2 writes differed, 1 mended");
    assert_eq!((rig.done(COMPARE), rig.nvme.in_flight()), (4, 0));
    // The parts before the one that fails are done; each of them may be mended.
    rig.device.borrow_mut().rots = 1;
    assert_eq!(rig.one(request(Op::Write, 0, 640, 0)), Completion::ok(640));
    rig.send(1, request(Op::Write, 0, 640, 0));
    rig.nvme.kick();
    let mut done = Vec::new();
    for step in 0..40 {
        // Of the third part both writes.
        rig.device.borrow_mut().rots = u32::from(matches!(step, 4 | 6));
        rig.device.borrow_mut().take();
        if rig.device.borrow().taken.is_empty() {
            break;
        }
        rig.device.borrow_mut().finish(0);
        done.extend(rig.drain());
        rig.nvme.kick();
    }
    assert_eq!(done, [(1, Completion { status: Err(Error::Medium), blocks: 128 })]);
}

#[test]
fn a_controller_that_cannot_compare_is_refused_where_it_is_to() {
    let start = |shape: Shape, space: Space, place| Rig::with(shape, vec![(1, space)], &[place]).map(|_| ());
    let none = Shape::new().with(|shape| shape.controller.oncs = 0b1_1100.into());
    assert_eq!(start(none.clone(), Space::new(64, 9), Place::FIRST), Ok(()));
    assert_eq!(start(none, Space::new(64, 9), VERIFIED), Err(Fault::Compare));
    let protected = Space::new(64, 9).with(|identify| {
        identify.formats[0] = (9 << 16 | 8).into();
        identify.dps = 1;
    });
    assert_eq!(start(Shape::new(), protected.clone(), Place::FIRST), Ok(()));
    assert_eq!(start(Shape::new(), protected, VERIFIED), Err(Fault::Compare));
    assert!(Fault::Compare.text().contains("take it out of the disk's element, or use another disk"));
}

#[test]
fn after_a_reset_it_is_written_again_and_then_compared() {
    for lost in [Mischief::Swallow, Mischief::Fail] {
        let mut rig = compared(|_| {});
        fill(&rig, 0x22);
        rig.send(0, request(Op::Write, 0, 8, 0));
        rig.nvme.kick();
        rig.device.borrow_mut().take();
        rig.device.borrow_mut().finish(0);
        assert_eq!(rig.drain(), []);
        rig.nvme.kick();
        rig.device.borrow_mut().take();
        assert_eq!(rig.device.borrow().taken[0].opcode(), COMPARE);
        // The controller loses what it remembers, and the command.
        rig.device.borrow_mut().spaces.get_mut(&1).unwrap().content.fill(0);
        rig.device.borrow_mut().mischief = Some(lost);
        rig.device.borrow_mut().finish(0);
        let expected = if lost == Mischief::Fail { Completion::ok(8) } else { Completion::error(Error::TimedOut) };
        assert_eq!(rig.wait(SECOND, 1), [(0, expected)]);
        assert_eq!(says(&rig), "", "nothing differed: it was written again");
        assert!(lost == Mischief::Swallow || rig.durable(0..4096).iter().all(|byte| *byte == 0x22));
        assert_eq!(rig.one(request(Op::Write, 0, 8, 0)), Completion::ok(8));
    }
}

#[test]
fn writes_of_a_zone_are_compared_before_the_next_and_never_written_twice() {
    let space = Space { zones: Some(Zones::new(8, 64, 64, 8)), ..Space::new(512, 9) };
    let shape = Shape::new().with(|shape| shape.capabilities |= 1 << 43);
    let mut rig = Rig::with(shape, vec![(1, space)], &[VERIFIED]).unwrap();
    rig.at(SECOND);
    rig.settle();
    (0..4).for_each(|tag| rig.send(tag, request(Op::Write, u64::from(tag) * 8, 8, 0)));
    let done = rig.finish();
    each_once(&done, 4);
    assert!(done.iter().all(|(_, done)| done.status.is_ok()), "{done:?}");
    assert_eq!((rig.done(COMPARE), rig.done(1)), (4, 4));
    rig.device.borrow_mut().rots = 1;
    (0..2).for_each(|tag| rig.send(tag, request(Op::Write, 32 + u64::from(tag) * 8, 8, 0)));
    let mut done = rig.finish();
    done.sort_by_key(|(tag, _)| *tag);
    assert_eq!(done, [(0, Completion::error(Error::Medium)), (1, Completion::ok(8))]);
    assert_eq!(says(&rig), "1 writes differed, 0 mended");
}

/// Else a compare would find what another has written since, and call that the medium's fault.
#[test]
fn what_changes_the_same_blocks_waits_for_what_came_first() {
    for lost in [false, true] {
        let mut rig = compared(|shape| shape.controller.mdts = 3);
        fill(&rig, 0x33);
        rig.data.write(0, 0u64);
        let all =
            [(Op::Write, 0, 8), (Op::Write, 4, 200), (Op::WriteZeroes, 7, 1), (Op::Discard, 100, 8), (Op::Write, 6, 4)];
        for (tag, (op, lba, blocks)) in (0..).zip(all) {
            rig.send(tag, Request { fua: true, ..request(op, lba, blocks, u64::from(tag) * 8) });
        }
        rig.send(5, request(Op::Write, 2000, 8, 0));
        rig.nvme.kick();
        rig.device.borrow_mut().take();
        let taken: Vec<u8> = rig.device.borrow().taken.iter().map(model::Taken::opcode).collect();
        assert_eq!(taken, [1, 1], "the first, and the one beside them all");
        rig.device.borrow_mut().mischief = lost.then_some(Mischief::Swallow);
        let mut done = rig.wait(SECOND, 6);
        done.sort_by_key(|(tag, _)| *tag);
        for (tag, done) in &done {
            let expected = if lost && *tag == 0 { Err(Error::TimedOut) } else { Ok(()) };
            assert_eq!(done.status, expected, "{tag}");
        }
        // The last of them is what there is.
        assert_eq!((rig.content(6 * 512..10 * 512), says(&rig).as_str()), (rig.payload(32, 2048), ""));
        assert_eq!(rig.nvme.in_flight(), 0);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever rots, in whatever order the controller works and over however many queues: what is acknowledged is on the medium, and
    /// durable there, and what is not is called a medium error.
    #[test]
    fn what_is_acknowledged_is_on_the_medium(
        writes in prop::collection::vec((0u64..32, 1u32..40), 1..40),
        choices in prop::collection::vec((0usize..128, 0u32..4), 600),
        queues in 1u8..4,
    ) {
        let shape = Shape::new().with(|shape| shape.controller.mdts = 1);
        let wishes = Wishes { queues, ..Wishes::default() };
        let spaces = vec![(1, Space::new(2048, 9))];
        let mut rig = Rig::<Many>::wishing(shape, spaces, &[VERIFIED], DMA_BYTES, wishes, |_| {}).unwrap();
        rig.at(SECOND);
        rig.settle();
        let mut at = 0;
        let mut sent = Vec::new();
        for (tag, (gap, blocks)) in (0u32..).zip(&writes) {
            let offset = u64::from(tag) * 20480;
            (0..blocks * 512).step_by(8).for_each(|byte| {
                rig.data.write((offset + u64::from(byte)) as usize, u64::from(tag + 1) << 32 | u64::from(byte));
            });
            rig.send(tag, request(Op::Write, at + gap, *blocks, offset));
            sent.push((at + gap, *blocks, offset));
            at += gap % 8 + u64::from(*blocks) + 32;
            if at > 1900 { break }
        }
        let (mut done, mut choices) = (Vec::new(), choices.into_iter());
        loop {
            rig.nvme.kick();
            rig.device.borrow_mut().take();
            let held = rig.device.borrow().taken.len();
            if held == 0 {
                break;
            }
            let (nth, rots) = choices.next().unwrap_or((0, 1));
            rig.device.borrow_mut().rots = u32::from(rots == 0);
            rig.device.borrow_mut().finish(nth % held);
            rig.settle();
            done.extend(rig.drain());
        }
        each_once(&done, sent.len() as u32);
        for (tag, done) in done {
            let (lba, blocks, offset) = sent[tag as usize];
            let good = if done.status.is_ok() { blocks } else { done.blocks };
            prop_assert!(done.status.is_ok() || done.status == Err(Error::Medium));
            let bytes = good as usize * 512;
            prop_assert_eq!(rig.durable(lba as usize * 512..lba as usize * 512 + bytes), rig.payload(offset as usize, bytes));
        }
    }
}
