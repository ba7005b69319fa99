// SPDX-License-Identifier: MIT
//! Devices and clients that die between any two steps.
use super::*;
use crate::Interrupted;

/// A device that loses what it holds when it dies.
struct Mortal {
    device: Device,
    restarted: bool,
}

impl Mortal {
    fn die(&mut self) -> Vec<Submission> {
        self.restarted = true;
        core::mem::take(&mut self.device.held)
    }
}

impl Lowers for Mortal {
    fn count(&self) -> u8 {
        1
    }
    fn capacity(&self, port: u8) -> u16 {
        self.device.capacity(port)
    }
    fn limits(&self, port: u8) -> Option<Limits> {
        self.device.limits(port)
    }
    fn submit(&mut self, port: u8, s: Submission) {
        self.device.submit(port, s);
    }
    // What it answered before it died comes first.
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        match self.device.ended.pop_front() {
            None if core::mem::take(&mut self.restarted) => Err(Interrupted::Restarted(0)),
            answer => Ok(answer),
        }
    }
}

/// Sends each request twice, as a mirror does; the second half a request of its own.
struct Twice;

impl Layer for Twice {
    type Ctx = u8;
    const FANOUT: usize = 2;
    fn limits(&self, below: &[Limits]) -> Limits {
        below[0]
    }
    fn submit(&mut self, id: Id, io: &mut Io<'_, u8>) {
        let req = io.request(id);
        io.lower(id, 0, 0, req);
        io.lower(id, 0, 1, Request { lba: Lba(req.lba.0 + 500), ..req });
    }
    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, u8>) {
        let ended = io.ctx(id).map(|ended| core::mem::replace(ended, 1));
        if ended == Some(1) {
            io.done(id, done);
        }
    }
}

/// Runs requests to their end on a device that dies at some of the steps.
fn survive<L: Layer, const F: usize>(
    layer: L,
    asked: &[(u64, u32)],
    steps: &[(bool, prop::sample::Index)],
) -> Result<(), TestCaseError> {
    let mut node = Node::<L, 8, F>::new(layer, 0);
    let mut low = Mortal { device: Device::new(limits(5, 0), 8), restarted: false };
    let mut up = Clients::new(2);
    for (tag, &(lba, blocks)) in (0..).zip(asked) {
        up.ask(tag as usize % 2, tag, req(Op::Write, lba, blocks));
    }
    let mut steps = steps.iter();
    loop {
        let around = &mut Around { uppers: &mut up, lowers: &mut low, payload: &mut NoPayload, now: Instant(0) };
        node.run(around);
        if low.device.held.is_empty() && low.device.ended.is_empty() {
            break;
        }
        match steps.next() {
            Some((true, _)) => {
                let lost = low.die();
                let around =
                    &mut Around { uppers: &mut up, lowers: &mut low, payload: &mut NoPayload, now: Instant(0) };
                node.run(around);
                let held = &low.device.held;
                prop_assert!(lost.iter().all(|s| held.contains(s)), "what was lost is asked again, under its tag");
                let mut tags: Vec<u32> = held.iter().map(|s| s.tag).collect();
                tags.sort_unstable();
                tags.dedup();
                prop_assert_eq!(tags.len(), held.len(), "and nothing twice");
            }
            Some((false, nth)) if !low.device.held.is_empty() => {
                let nth = nth.index(low.device.held.len());
                low.device.end(nth, |r| Completion::ok(r.blocks));
            }
            _ if !low.device.held.is_empty() => low.device.end(0, |r| Completion::ok(r.blocks)),
            _ => {}
        }
    }
    prop_assert_eq!(node.in_flight(), 0);
    prop_assert_eq!(up.answers.len(), asked.len(), "one answer each");
    for (_, tag, done) in up.answers {
        prop_assert_eq!(done, Completion::ok(asked[tag as usize].1), "and no error of it");
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_device_that_dies_is_a_delay(
        way in 0..3,
        asked in prop::collection::vec((0u64..400, 1u32..20), 1..12),
        steps in prop::collection::vec((prop::bool::weighted(0.2), any::<prop::sample::Index>()), 0..60),
    ) {
        match way {
            0 => survive::<_, 1>(Passthrough, &asked, &steps)?,
            1 => survive::<_, 1>(Long, &asked, &steps)?,
            _ => survive::<_, 2>(Twice, &asked, &steps)?,
        }
    }
}

#[test]
fn a_closed_device_is_not_asked_again() {
    let mut node = Node::<Passthrough, 4>::new(Passthrough, 0);
    let (mut low, mut up) = (Device::new(limits(0, 0), 4), Clients::new(1));
    up.ask(0, 1, req(Op::Read, 0, 1));
    run(&mut node, &mut up, &mut low, 0);
    for event in [Event::Gone, Event::Restarted] {
        let around = &mut Around { uppers: &mut up, lowers: &mut low, payload: &mut NoPayload, now: Instant(0) };
        node.event(0, event, around);
    }
    assert_eq!((low.seen.len(), &up.answers[..]), (1, &[(0, 1, Completion::error(Error::Offline))][..]));
}

/// Of a request that is being split no further part is issued once its client has died, and its neighbour's go on.
#[test]
fn what_a_dead_client_asked_is_not_issued_on() {
    for ended in [false, true] {
        let mut node = Node::<Passthrough, 2>::new(Passthrough, 0);
        let (mut low, mut up) = (Device::new(limits(4, 0), 2), Clients::new(2));
        up.ask(0, 1, req(Op::Write, 0, 40));
        run(&mut node, &mut up, &mut low, 0);
        assert_eq!(low.held.len(), 1, "half of the slots");
        if ended {
            low.end(0, |r| Completion::ok(r.blocks));
            // Its end is seen, and the next part issued; that one ends too.
            run(&mut node, &mut up, &mut low, 0);
        }
        let issued = low.seen.len();
        let around = &mut Around { uppers: &mut up, lowers: &mut low, payload: &mut NoPayload, now: Instant(0) };
        node.upper_gone(0, around);
        up.ask(1, 2, req(Op::Write, 100, 8));
        while !low.held.is_empty() || !low.ended.is_empty() || !up.queues[1].is_empty() {
            run(&mut node, &mut up, &mut low, 0);
            if !low.held.is_empty() {
                low.end(0, |r| Completion::ok(r.blocks));
            }
        }
        run(&mut node, &mut up, &mut low, 0);
        assert_eq!(low.seen.iter().filter(|r| r.lba.0 < 40).count(), issued, "no further part");
        let tags: Vec<u32> = up.answers.iter().map(|a| a.1).collect();
        assert!(tags.len() == 2 && tags.contains(&1) && tags.contains(&2), "{tags:?}");
        assert_eq!(node.in_flight(), 0);
    }
}
