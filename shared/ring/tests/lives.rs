// SPDX-License-Identifier: MIT
//! Either end dies between any two steps and begins again, against an oracle that knows of each request whose it is:
//! each is answered once, or its client is told that it is lost; nothing of one life is taken for what is of another.
#![cfg(not(loom))]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests end with a panic"
)]
mod common;
use common::{AGREED, EPOCH, LIFE, Regions, SERVED, info, request};
use orion_ring::{Answer, Client, Incoming, Interrupted, Server};
use proptest::prelude::*;
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug)]
enum Step {
    Push,
    Publish,
    Take,
    Answer,
    PublishAnswers,
    Pop,
    /// Each looks whether the other is in another life.
    ClientSleeps,
    ServerSleeps,
    AskServer,
    ClientDies,
    ServerDies,
}

const STEPS: [Step; 11] = [
    Step::Push,
    Step::Publish,
    Step::Take,
    Step::Answer,
    Step::PublishAnswers,
    Step::Pop,
    Step::ClientSleeps,
    Step::ServerSleeps,
    Step::AskServer,
    Step::ClientDies,
    Step::ServerDies,
];

struct Oracle<'a> {
    regions: &'a Regions,
    client: Client,
    server: Server,
    next: u32,
    /// What the client of this life asked and was neither answered nor said to be lost.
    asked: BTreeSet<u32>,
    /// What a server of this life took and has not answered.
    taken: Vec<u32>,
    /// What any server ever took: nothing is taken twice.
    ever: BTreeSet<u32>,
    /// The first request of the client's life, and the first that is not lost.
    first: u32,
}

impl<'a> Oracle<'a> {
    fn new(regions: &'a Regions) -> Self {
        let (client, server) = regions.pair();
        let (asked, ever) = (BTreeSet::new(), BTreeSet::new());
        Self { regions, client, server, next: 0, asked, taken: Vec::new(), ever, first: 0 }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Push => {
                if self.client.push(request(self.next)).is_ok() {
                    assert!(self.client.is_open());
                    self.asked.insert(self.next);
                    self.next += 1;
                }
            }
            Step::Publish => drop(self.client.publish()),
            Step::Take => self.take(),
            Step::Answer => {
                if let Some(id) = self.taken.pop() {
                    self.server.push(Answer { id, status: Ok(()), blocks: (id % 7) as u16 });
                }
            }
            Step::PublishAnswers => drop(self.server.publish()),
            Step::Pop => self.pop(),
            Step::ClientSleeps => drop(self.client.sleep()),
            Step::ServerSleeps => {
                self.server.sleep();
                let gone = self.server.take_left();
                assert!(
                    !gone || self.taken.iter().any(|id| *id < self.first),
                    "the client whose requests are here lives"
                );
            }
            Step::AskServer => {
                let open = self.client.server().is_some();
                assert!(!open || self.client.is_open());
            }
            Step::ClientDies => {
                self.client = self.regions.client();
                self.asked.clear();
                self.first = self.next;
            }
            Step::ServerDies => {
                self.server = self.regions.server();
                self.server.announce(&info());
                self.taken.clear();
            }
        }
        assert_eq!((self.client.misbehaved(), self.server.misbehaved()), (None, None));
        assert_eq!(self.server.outstanding(), self.taken.len());
        if self.client.room() > 0 {
            assert_eq!(self.client.room(), self.client.capacity() - self.asked.len());
        }
    }

    fn take(&mut self) {
        let Some(incoming) = self.server.pop().unwrap() else { return };
        let Incoming::Request(found) = incoming else { panic!("{incoming:?}") };
        assert_eq!(found, request(found.id), "not torn");
        assert!(self.ever.insert(found.id), "{} is taken twice", found.id);
        // Until it serves the next life, it takes what the last one has asked.
        if self.regions.info.get(SERVED) == self.regions.ext.get(LIFE) {
            assert!(self.asked.contains(&found.id), "{} is of a life that is over", found.id);
            assert!(self.taken.iter().all(|id| *id >= self.first), "what an earlier life asked is still under way");
        }
        self.taken.push(found.id);
    }

    fn pop(&mut self) {
        match self.client.pop() {
            Ok(None) => {}
            Ok(Some(Answer { id, status, blocks })) => {
                assert_eq!((status, blocks), (Ok(()), (id % 7) as u16));
                assert!(
                    self.asked.remove(&id),
                    "{id} was answered twice, or not asked by this life, or said to be lost"
                );
            }
            Err(Interrupted::Restarted) => {
                self.asked.clear();
                self.first = self.next;
            }
            Err(misbehaved) => panic!("{misbehaved}"),
        }
    }

    /// Nobody dies any more: everything that was asked is answered, or known to be lost, and the ring carries as much as
    /// ever.
    fn settles(mut self) {
        for _ in 0..4 {
            self.step(Step::AskServer);
            self.exchange();
            self.step(Step::ClientSleeps);
            self.step(Step::Publish);
            self.step(Step::ServerSleeps);
        }
        self.exchange();
        assert!(self.asked.is_empty() && self.taken.is_empty() && self.client.is_open() && self.server.is_open());
        for _ in 0..self.client.capacity() {
            assert_eq!(self.client.push(request(self.next)), Ok(()));
            self.asked.insert(self.next);
            self.next += 1;
        }
        self.exchange();
        assert!(self.asked.is_empty());
        assert_eq!(self.regions.info.get(EPOCH), self.regions.ext.get(AGREED));
        assert!(self.regions.intact());
    }

    /// Everything goes round once.
    fn exchange(&mut self) {
        self.step(Step::Publish);
        for _ in 0..self.client.capacity() {
            self.step(Step::Take);
        }
        for _ in 0..=self.taken.len() {
            self.step(Step::Answer);
            self.step(Step::PublishAnswers);
        }
        for _ in 0..=self.client.capacity() {
            self.step(Step::Pop);
        }
    }
}

/// States from which every order of some more steps is tried.
fn beginnings() -> [Vec<Step>; 6] {
    use Step::*;
    let traffic = [Push, Publish, Push, Publish, Take, Answer, Take];
    let with = |more: &[Step]| traffic.iter().chain(more).copied().collect();
    [
        vec![],
        with(&[]),
        with(&[PublishAnswers]),
        with(&[ServerDies, ClientSleeps, Pop, ClientSleeps]),
        with(&[ClientDies, ServerSleeps, AskServer, Publish]),
        with(&[ServerDies, ClientDies, AskServer, Publish, ServerSleeps]),
    ]
}

fn every_order(capacity: u16, path: &mut Vec<Step>, depth: usize) {
    let regions = Regions::new(capacity, false).start_at(u32::MAX / 3 * 3 - 2);
    let mut oracle = Oracle::new(&regions);
    path.iter().for_each(|step| oracle.step(*step));
    oracle.settles();
    if depth > 0 {
        for step in STEPS {
            path.push(step);
            every_order(capacity, path, depth - 1);
            path.pop();
        }
    }
}

#[test]
fn every_order_of_deaths_and_steps() {
    for mut beginning in beginnings() {
        every_order(2, &mut beginning, 4);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]
    #[test]
    fn long_lives_and_short_ones(
        capacity in prop_oneof![1u16..=5, Just(64)],
        rare in 0usize..3,
        steps in prop::collection::vec(prop::sample::select(&STEPS[..]), 1..600),
    ) {
        let regions = Regions::new(capacity, false).start_at(u32::MAX / 64 * 64 / u32::from(capacity) * u32::from(capacity) - 1);
        let mut oracle = Oracle::new(&regions);
        for (number, step) in steps.into_iter().enumerate() {
            let dies = matches!(step, Step::ClientDies | Step::ServerDies);
            if !dies || number % (1 << (2 * rare)) == 0 {
                oracle.step(step);
            }
        }
        oracle.settles();
    }
}

/// Lives wrap around, and none is ever 0.
#[test]
fn lives_wrap() {
    let regions = Regions::new(2, false);
    regions.info.set(EPOCH, u32::MAX - 2);
    regions.ext.set(LIFE, u32::MAX - 1);
    let mut oracle = Oracle::new(&regions);
    for _ in 0..5 {
        for step in [Step::ServerDies, Step::ClientSleeps, Step::Publish, Step::ServerSleeps, Step::ClientSleeps] {
            oracle.step(step);
        }
        for step in [Step::Pop, Step::Push, Step::ClientDies, Step::ServerSleeps, Step::AskServer] {
            oracle.step(step);
        }
    }
    assert_eq!((regions.info.get(EPOCH), regions.ext.get(LIFE)), (4, 5));
    oracle.settles();
}
