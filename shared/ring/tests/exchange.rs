// SPDX-License-Identifier: MIT
//! Every order of steps of both ends, for small capacities around the wrap of the counters, against plain queues.
#![cfg(not(loom))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests end with a panic"
)]
mod common;
use common::{Regions, request};
use orion_block::{Error, Op};
use orion_ring::{Answer, Client, Full, Incoming, Server};
use proptest::prelude::*;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug)]
enum Step {
    Push,
    Publish,
    Take,
    Answer,
    AnswerLast,
    PublishAnswers,
    Pop,
}

const STEPS: [Step; 7] =
    [Step::Push, Step::Publish, Step::Take, Step::Answer, Step::AnswerLast, Step::PublishAnswers, Step::Pop];

/// Both ends, and beside them what they should do: four queues.
struct Oracle {
    client: Client,
    server: Server,
    next: u32,
    staged: VecDeque<u32>,
    asked: VecDeque<u32>,
    taken: VecDeque<u32>,
    answers: VecDeque<Answer>,
    visible: VecDeque<Answer>,
}

impl Oracle {
    fn new(regions: &Regions) -> Self {
        let (client, server) = match regions.plain {
            false => regions.pair(),
            true => (regions.client(), regions.server()),
        };
        Self {
            client,
            server,
            next: 0,
            staged: VecDeque::new(),
            asked: VecDeque::new(),
            taken: VecDeque::new(),
            answers: VecDeque::new(),
            visible: VecDeque::new(),
        }
    }

    fn flying(&self) -> usize {
        self.staged.len() + self.asked.len() + self.taken.len() + self.answers.len() + self.visible.len()
    }

    fn possible(&self, step: Step) -> bool {
        match step {
            Step::Push => self.flying() < self.client.capacity(),
            Step::Publish => !self.staged.is_empty(),
            Step::Take => !self.asked.is_empty(),
            Step::Answer => !self.taken.is_empty(),
            Step::AnswerLast => self.taken.len() > 1,
            Step::PublishAnswers => !self.answers.is_empty(),
            Step::Pop => !self.visible.is_empty(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Push => self.push(),
            Step::Publish => {
                self.client.publish();
                self.asked.append(&mut self.staged);
            }
            Step::Take => self.take(),
            Step::Answer => {
                let id = self.taken.pop_front();
                self.answer(id);
            }
            Step::AnswerLast => {
                let last = (self.taken.len() > 1).then(|| self.taken.pop_back()).flatten();
                self.answer(last);
            }
            Step::PublishAnswers => {
                self.server.publish();
                self.visible.append(&mut self.answers);
            }
            Step::Pop => assert_eq!(self.client.pop(), Ok(self.visible.pop_front())),
        }
        assert_eq!(self.client.room(), self.client.capacity() - self.flying());
        assert_eq!(self.server.outstanding(), self.taken.len());
    }

    fn push(&mut self) {
        let full = self.flying() == self.client.capacity();
        let result = self.client.push(request(self.next));
        assert_eq!(result, if full { Err(Full) } else { Ok(()) });
        if !full {
            self.staged.push_back(self.next);
            self.next += 1;
        }
    }

    fn take(&mut self) {
        let id = self.asked.pop_front();
        let want = id.map(|id| Incoming::Request(request(id)));
        assert_eq!(self.server.pop(), Ok(want));
        self.taken.extend(id);
    }

    fn answer(&mut self, id: Option<u32>) {
        if let Some(id) = id {
            let status = if id.is_multiple_of(3) { Err(Error::Offline) } else { Ok(()) };
            let answer = Answer { id, status, blocks: (id % 7) as u16 };
            self.server.push(answer);
            self.answers.push_back(answer);
        }
    }
}

/// Counters to begin at.
fn starts(capacity: u16) -> Vec<u32> {
    let capacity = u32::from(capacity);
    (0..=capacity).map(|before| u32::MAX - before).chain([0]).collect()
}

/// Tries every order of `depth` more steps after those of `path`. Steps that can do nothing change nothing, so each is
/// tried at every point, but not followed.
fn every_order(capacity: u16, plain: bool, start: u32, path: &mut Vec<Step>, depth: usize) {
    let regions = Regions::new(capacity, plain).start_at(start);
    let mut oracle = Oracle::new(&regions);
    path.iter().for_each(|step| oracle.step(*step));
    let (possible, idle): (Vec<Step>, Vec<Step>) = STEPS.iter().partition(|step| oracle.possible(**step));
    idle.into_iter().for_each(|step| oracle.step(step));
    assert!(regions.intact());
    if depth > 0 {
        for step in possible {
            path.push(step);
            every_order(capacity, plain, start, path, depth - 1);
            path.pop();
        }
    }
}

#[test]
fn every_order_of_steps() {
    for (capacity, plain, depth) in [(1, false, 20), (2, false, 12), (3, false, 9), (5, true, 14)] {
        for start in starts(capacity) {
            every_order(capacity, plain, start, &mut Vec::new(), depth);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn long_runs(
        capacity in prop_oneof![1u16..=9, Just(64), Just(192), Just(1000)],
        plain: bool,
        before in 0u32..1200,
        steps in prop::collection::vec(prop::sample::select(&STEPS[..]), 1..4000),
    ) {
        let start = starts(capacity)[0].wrapping_sub(before);
        let regions = Regions::new(capacity, plain).start_at(start);
        let mut oracle = Oracle::new(&regions);
        steps.into_iter().for_each(|step| oracle.step(step));
        prop_assert!(regions.intact());
    }
}

/// A plain client keeps as much in flight as the queues hold, also where two entries would share a slot at the wrap:
/// the server then waits until the client has taken answers, and loses none.
#[test]
fn a_plain_server_never_overwrites_an_answer_at_the_wrap() {
    for capacity in 1..=24u32 {
        for before in 0..=capacity {
            let start = u32::MAX - before;
            let regions = Regions::new(capacity as u16, true).start_at(start);
            let mut server = regions.server();
            let (mut answered, mut read) = (0, 0);
            for asked in 0..6 * capacity {
                // As sDDF counts: slots by division, both queues full.
                let tail = start.wrapping_add(asked);
                let entry = 16 + (tail % capacity) as usize * 32;
                regions.requests.set(entry, 0);
                regions.requests.set(entry + 28, asked);
                regions.requests.set(4, tail.wrapping_add(1));
                while let Some(Incoming::Request(request)) = server.pop().unwrap() {
                    assert_eq!(request.id, answered);
                    let answer = Answer { id: request.id, status: Ok(()), blocks: 1 };
                    server.push(answer);
                    server.publish();
                    answered += 1;
                }
                let keep = capacity - 1;
                let blocked = server.blocked();
                assert_eq!(blocked, answered != asked + 1, "nothing waits without being said to");
                while read < answered && (blocked || answered - read > keep) {
                    let head = start.wrapping_add(read);
                    let entry = 8 + (head % capacity) as usize * 12;
                    assert_eq!(regions.responses.get(entry + 8), read, "capacity {capacity}, {before} before the wrap");
                    read += 1;
                    regions.responses.set(0, start.wrapping_add(read));
                }
            }
            assert!(answered + 1 >= 6 * capacity);
        }
    }
}

#[test]
fn operations_and_units_cross() {
    let regions = Regions::new(8, false);
    let (mut client, mut server) = regions.pair();
    assert_eq!(server.unit().bytes(), 512, "known since both have agreed");
    for (id, op) in Op::ALL.into_iter().enumerate() {
        let submission = orion_ring::Submission { op, fua: op == Op::Write, ..request(id as u32) };
        client.push(submission).unwrap();
        client.publish();
        assert_eq!(server.pop(), Ok(Some(Incoming::Request(submission))));
        assert_eq!(server.unit().bytes(), 512);
    }
    for error in Error::ALL.into_iter().take(5) {
        server.push(Answer { id: 1, status: Err(error), blocks: 3 });
        server.publish();
        assert_eq!(client.pop().unwrap().unwrap().status, Err(error));
    }
}

#[test]
fn who_is_awake_is_not_notified() {
    let regions = Regions::new(4, false);
    let (mut client, mut server) = regions.pair();
    let ask = |client: &mut Client, id| {
        client.push(request(id)).unwrap();
        client.publish()
    };
    assert!(!client.publish() && !server.publish(), "nothing to show, nobody to notify");
    assert!(ask(&mut client, 0), "a server that has not said that it is awake sleeps");
    server.wake();
    assert!(!ask(&mut client, 1));
    assert!(!server.sleep(), "requests wait");
    assert!(!ask(&mut client, 2), "so it stayed awake");
    for id in 0..3 {
        server.pop().unwrap().unwrap();
        server.push(Answer { id, status: Ok(()), blocks: 0 });
    }
    assert!(server.sleep());
    assert!(ask(&mut client, 3));
    assert!(server.publish(), "the client sleeps");
    client.wake();
    assert!(!client.sleep(), "answers wait");
    while client.pop().unwrap().is_some() {}
    assert!(client.sleep());
}
