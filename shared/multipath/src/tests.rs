// SPDX-License-Identifier: MIT
//! The layer over ways that fail and come back.
use super::*;
use orion_block::{Access, Buf, Completion, Error, Instant, Lba, Limits, Op, Request};
use orion_layer::{Around, Event, Interrupted, Lowers, NoPayload, Node, Submission, Uppers};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::vec;
use std::vec::Vec;

const SECOND: u64 = 1_000_000_000;

#[derive(Debug, Default)]
struct Top {
    asked: VecDeque<Submission>,
    answered: Vec<(u32, Result<(), Error>)>,
}

impl Uppers for Top {
    fn count(&self) -> u8 {
        1
    }
    fn next(&mut self, _: u8) -> Option<Submission> {
        self.asked.pop_front()
    }
    fn complete(&mut self, _: u8, tag: u32, done: Completion) {
        self.answered.push((tag, done.status));
    }
}

/// Ways to one disk: what each answers, and what came over it.
#[derive(Debug)]
struct Ways {
    answers: Vec<Result<(), Error>>,
    sizes: Vec<u64>,
    held: VecDeque<(u8, Submission)>,
    seen: Vec<u8>,
}

impl Lowers for Ways {
    fn count(&self) -> u8 {
        u8::try_from(self.sizes.len()).unwrap()
    }
    fn capacity(&self, _: u8) -> u16 {
        32
    }
    fn limits(&self, port: u8) -> Option<Limits> {
        Some(Limits { capacity: self.sizes[usize::from(port)], ..Limits::default() })
    }
    fn submit(&mut self, port: u8, submission: Submission) {
        self.seen.push(port);
        self.held.push_back((port, submission));
    }
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        let Some((port, submission)) = self.held.pop_front() else { return Ok(None) };
        let done = match self.answers[usize::from(port)] {
            Ok(()) => Completion::ok(submission.req.blocks),
            Err(error) => Completion::error(error),
        };
        Ok(Some((port, submission.tag, done)))
    }
}

struct Rig {
    node: Node<Multipath, 32>,
    top: Top,
    ways: Ways,
    now: u64,
    asked: u32,
}

impl Rig {
    fn new(sizes: &[u64]) -> Self {
        let ways =
            Ways { answers: vec![Ok(()); sizes.len()], sizes: sizes.into(), held: VecDeque::new(), seen: vec![] };
        Self {
            node: Node::new(Multipath::new(u8::try_from(sizes.len()).unwrap()), 0),
            top: Top::default(),
            ways,
            now: SECOND,
            asked: 0,
        }
    }

    fn around<T>(&mut self, f: impl FnOnce(&mut Node<Multipath, 32>, &mut Around<'_, Top, Ways>) -> T) -> T {
        let (uppers, lowers, now) = (&mut self.top, &mut self.ways, Instant(self.now));
        f(&mut self.node, &mut Around { uppers, lowers, payload: &mut NoPayload, now })
    }

    fn run(&mut self) {
        for _ in 0..8 {
            self.around(|node, around| node.run(around));
        }
    }

    fn ask(&mut self) -> u32 {
        self.asked += 1;
        let req = Request { op: Op::Read, fua: false, lba: Lba(0), blocks: 1, buf: Buf::default() };
        self.top.asked.push_back(Submission { tag: self.asked, req });
        self.asked
    }

    /// Over which ways a request went, and how it ended, if it has.
    fn one(&mut self) -> (Vec<u8>, Option<Result<(), Error>>) {
        self.ways.seen.clear();
        let tag = self.ask();
        self.run();
        let end = self.top.answered.iter().find(|(other, _)| *other == tag).map(|(_, status)| *status);
        (self.ways.seen.clone(), end)
    }

    fn access(&mut self, path: u8, access: Access) {
        self.event(path, Event::Worth(access));
    }

    fn event(&mut self, path: u8, event: Event) {
        self.around(|node, around| node.event(path, event, around));
        self.run();
    }
}

#[test]
fn a_request_goes_over_the_best_way_and_over_another_when_that_fails() {
    let mut rig = Rig::new(&[64, 64]);
    assert_eq!(rig.one(), (vec![0], Some(Ok(()))));
    for error in [Error::Offline, Error::TimedOut, Error::Io] {
        let mut rig = Rig::new(&[64, 64]);
        rig.run();
        rig.ways.answers[0] = Err(error);
        assert_eq!(rig.one(), (vec![0, 1], Some(Ok(()))), "{error:?}");
        assert_eq!(rig.one(), (vec![1], Some(Ok(()))), "it is not tried at once again");
        rig.now += 6 * SECOND;
        rig.run();
        assert_eq!(rig.one().1, Some(Ok(())));
        rig.ways.answers[0] = Ok(());
        rig.event(0, Event::Back);
        assert_eq!(rig.one(), (vec![0], Some(Ok(()))), "it is back");
    }
    // What the way is not to blame for is answered.
    rig.ways.answers[0] = Err(Error::Medium);
    assert_eq!(rig.one(), (vec![0], Some(Err(Error::Medium))));
}

#[test]
fn where_every_way_fails_the_request_does() {
    let mut rig = Rig::new(&[64, 64, 64]);
    rig.run();
    rig.ways.answers = vec![Err(Error::Offline); 3];
    let (seen, end) = rig.one();
    assert!(seen.contains(&1) && seen.contains(&2) && end == Some(Err(Error::Offline)), "{seen:?} {end:?}");
    rig.ways.answers[2] = Ok(());
    assert_eq!(rig.one().1, Some(Ok(())), "one that came back is found though nobody says so");
}

#[test]
fn optimised_ways_come_before_others_and_inaccessible_ones_are_not_taken() {
    let mut rig = Rig::new(&[64, 64]);
    rig.access(0, Access::NonOptimised);
    assert_eq!(rig.one(), (vec![1], Some(Ok(()))));
    rig.ways.answers[1] = Err(Error::Offline);
    assert_eq!(rig.one(), (vec![1, 0], Some(Ok(()))));
    rig.access(0, Access::Inaccessible);
    // What failed over the one is kept for the other: as one gets worse another gets better.
    let (seen, end) = rig.one();
    assert!(seen.iter().all(|path| *path == 1) && end.is_none(), "{seen:?} {end:?}");
    rig.access(0, Access::Optimised);
    assert_eq!(rig.top.answered.last(), Some(&(rig.asked, Ok(()))));
    rig.access(0, Access::Inaccessible);
    rig.access(1, Access::Lost);
    assert_eq!(rig.one(), (vec![], None));
    rig.now += 31 * SECOND;
    rig.run();
    assert_eq!(rig.top.answered.last(), Some(&(rig.asked, Err(Error::Offline))), "not for ever");
    rig.access(0, Access::Lost);
    assert_eq!(rig.one(), (vec![], Some(Err(Error::Offline))));
}

#[test]
fn a_way_that_says_not_now_is_asked_again_and_not_for_ever() {
    let mut rig = Rig::new(&[64, 64]);
    rig.run();
    rig.ways.answers = vec![Err(Error::Again), Ok(())];
    assert_eq!(rig.one(), (vec![0, 1], Some(Ok(()))));
    rig.event(1, Event::Gone);
    assert_eq!(rig.one(), (vec![], None), "it is not asked at once");
    rig.now += SECOND;
    rig.ways.answers[0] = Ok(());
    rig.run();
    assert_eq!(rig.top.answered.last(), Some(&(rig.asked, Ok(()))));
    rig.ways.answers[0] = Err(Error::Again);
    rig.ask();
    for _ in 0..32 {
        rig.run();
        rig.now += SECOND;
    }
    assert_eq!(rig.top.answered.len(), rig.asked as usize, "{:?}", rig.top.answered);
    assert!(rig.ways.seen.len() < 40, "{:?}", rig.ways.seen);
}

#[test]
fn one_that_never_came_is_left_out() {
    let mut rig = Rig::new(&[0, 64, 64]);
    assert_eq!(rig.one(), (vec![1], Some(Ok(()))));
    assert_eq!(rig.node.limits().map(|limits| limits.capacity), Some(64));
    assert_eq!(Rig::new(&[0, 0]).one().1, Some(Err(Error::Invalid)), "nothing is there");
}

#[test]
fn ways_that_are_refused_serve_nothing() {
    let mut rig = Rig::new(&[64, 64]);
    rig.around(|node, around| node.control(around, |layer, _| layer.refuse()));
    assert_eq!(rig.one(), (vec![], Some(Err(Error::Invalid))));
}

#[test]
fn a_way_that_changes_is_waited_for_and_no_longer_than_it_may_take() {
    let mut rig = Rig::new(&[64, 64]);
    rig.access(0, Access::Inaccessible);
    rig.access(1, Access::Changing(3));
    assert_eq!(rig.one(), (vec![], None));
    rig.access(1, Access::Optimised);
    assert_eq!(rig.top.answered, [(1, Ok(()))]);
    rig.access(1, Access::Changing(3));
    assert_eq!(rig.one(), (vec![], None));
    rig.now = 3 * SECOND;
    rig.run();
    assert_eq!(rig.top.answered, [(1, Ok(()))], "it is late, and may still come");
    rig.now = 32 * SECOND;
    rig.run();
    assert_eq!(rig.top.answered, [(1, Ok(())), (2, Err(Error::Offline))]);
    // Who says that it takes longer than that is believed.
    rig.access(1, Access::Changing(100));
    assert_eq!(rig.one(), (vec![], None));
    rig.now = 131 * SECOND;
    rig.run();
    assert_eq!(rig.top.answered.len(), 2);
    rig.now = 133 * SECOND;
    rig.run();
    assert_eq!(rig.top.answered.last(), Some(&(3, Err(Error::Offline))));
}

#[test]
fn ways_that_are_not_as_large_do_not_lead_to_the_same_disk() {
    let mut rig = Rig::new(&[64, 65]);
    assert_eq!(rig.one(), (vec![], Some(Err(Error::Invalid))));
}

proptest! {
    /// Whatever fails and comes back, in whatever order: every request ends once; well, if a way worked all the time.
    #[test]
    fn every_request_ends_once_and_well_if_a_way_works(
        steps in prop::collection::vec((0u8..6, 0u8..3, 0u8..5), 1..60), good in 0u8..3,
    ) {
        let mut rig = Rig::new(&[64; 3]);
        for (what, path, how) in steps {
            let fails = [Error::Offline, Error::TimedOut, Error::Io, Error::Again][usize::from(how % 4)];
            match what {
                0 if path != good => rig.ways.answers[usize::from(path)] = Err(fails),
                1 => rig.ways.answers[usize::from(path)] = Ok(()),
                2 if path != good => {
                    let all =
                        [Access::Optimised, Access::NonOptimised, Access::Inaccessible, Access::Lost, Access::Changing(1)];
                    rig.access(path, all[usize::from(how)]);
                }
                3 if path != good => rig.event(path, if how % 2 == 0 { Event::Gone } else { Event::Back }),
                4 => rig.now += SECOND * u64::from(how),
                _ => {
                    rig.ask();
                }
            }
            rig.run();
        }
        // What waits where one said "not now" is asked again.
        rig.now += 2 * SECOND;
        rig.run();
        let mut tags: Vec<u32> = rig.top.answered.iter().map(|(tag, _)| *tag).collect();
        tags.sort_unstable();
        prop_assert_eq!(tags, (1..=rig.asked).collect::<Vec<_>>());
        prop_assert!(rig.top.answered.iter().all(|(_, end)| end.is_ok()), "{:?}", rig.top.answered);
    }
}
