// SPDX-License-Identifier: MIT
//! A client that has several requests out, and a model that knows what it may find.
use super::rig::{Numbers, Rig, content};
use orion_block::{Completion, Op};
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

/// What each sector may hold.
struct Model {
    /// What it held when all was flushed last, and what was written since, answered or not.
    durable: Vec<u32>,
    since: Vec<Vec<u32>>,
    /// What reads see; several where writes are out.
    seen: Vec<Vec<u32>>,
}

impl Model {
    fn new(sectors: u64) -> Self {
        let n = sectors as usize;
        Self { durable: vec![0; n], since: vec![vec![]; n], seen: vec![vec![0]; n] }
    }
    fn begins(&mut self, at: u64, version: u32) {
        self.since[at as usize].push(version);
        self.seen[at as usize].push(version);
    }
    fn ends(&mut self, at: u64, version: u32) {
        self.seen[at as usize] = vec![version];
    }
    fn flushed(&mut self, before: &[Vec<u32>]) {
        for (at, seen) in before.iter().enumerate() {
            // One that was sent before may have been answered before.
            let known = |one| self.since[at].iter().position(|version| *version == one);
            if let [one] = seen[..]
                && let Some(nth) = known(one)
            {
                self.durable[at] = one;
                self.since[at].drain(..=nth);
            }
        }
    }
    /// Whether it may hold this after a loss of power; from then on it does.
    fn after_crash(&mut self, at: u64, found: u32) {
        let at = at as usize;
        assert!(
            found == self.durable[at] || self.since[at].contains(&found),
            "sector {at} holds {found} of {:?}, durable {}",
            self.since[at],
            self.durable[at]
        );
        (self.durable[at], self.since[at], self.seen[at]) = (found, vec![], vec![found]);
    }
}

/// A request that is out.
struct Out {
    op: Op,
    first: u64,
    count: u64,
    version: u32,
    slot: u64,
    /// What sectors could hold when it was sent.
    before: Vec<Vec<u32>>,
}

/// A client that has several requests out, and compares.
pub struct Life {
    pub rig: Rig,
    model: Model,
    out: BTreeMap<u32, Out>,
    next: u32,
    pub numbers: Numbers,
    scale: u8,
}

const SLOT: u64 = 32 << 10;

impl Life {
    pub fn new(mut rig: Rig, seed: u64) -> Self {
        rig.start();
        let (model, scale) = (Model::new(rig.sectors()), rig.disks.scale);
        Self { rig, model, out: BTreeMap::new(), next: 1, numbers: Numbers(seed ^ 0x55), scale }
    }

    /// Sends a random request that no other that is out meets, where one of both writes.
    fn ask(&mut self) {
        let sectors = self.model.durable.len() as u64;
        let unit = 1 << self.scale;
        let slot = (0..16).find(|slot| self.out.values().all(|out| out.slot != *slot)).unwrap();
        let op = [Op::Write, Op::Write, Op::Write, Op::Read, Op::Read, Op::Flush][self.numbers.below(6) as usize];
        // Mostly near the start, so that things meet.
        let span = if self.numbers.below(2) == 0 { sectors.min(96) } else { sectors };
        let first = self.numbers.below(span / unit) * unit;
        let most = (sectors - first).min(if self.numbers.below(4) == 0 { 64 } else { 12 });
        let count = (1 + self.numbers.below(most / unit)) * unit;
        let (first, count) = if op == Op::Flush { (0, 0) } else { (first, count) };
        let meets = |out: &Out| first < out.first + out.count && out.first < first + count;
        if self.out.values().any(|out| (op == Op::Write || out.op == Op::Write) && meets(out)) {
            return;
        }
        let (tag, version) = (self.next, self.next);
        self.next += 1;
        let fua = op == Op::Write && self.numbers.below(5) == 0;
        let before = match op {
            Op::Flush => self.model.seen.clone(),
            _ => vec![],
        };
        if op == Op::Write {
            let bytes: Vec<u8> = (first..first + count).flat_map(|at| content(at, version)).collect();
            self.rig.put(slot * SLOT, &bytes);
            (first..first + count).for_each(|at| self.model.begins(at, version));
        }
        self.rig.send(tag, op, fua, first, count, slot * SLOT);
        self.out.insert(tag, Out { op, first, count, version, slot, before });
    }

    /// Takes the answers that are there.
    fn take(&mut self) {
        while let Some((tag, done)) = self.rig.top.answered.pop_front() {
            let out = self.out.remove(&tag).expect("an answer to what was asked");
            assert_eq!(
                done,
                Completion::ok((out.count >> self.scale) as u32),
                "{:?} {} {}",
                out.op,
                out.first,
                out.count
            );
            let sectors = out.first..out.first + out.count;
            match out.op {
                Op::Write => sectors.for_each(|at| self.model.ends(at, out.version)),
                Op::Flush => self.model.flushed(&out.before),
                _ => {
                    let bytes = self.rig.get(out.slot * SLOT, out.count as usize * 512);
                    for (at, bytes) in sectors.zip(bytes.chunks(512)) {
                        let found = super::rig::version(at, bytes);
                        assert!(
                            self.model.seen[at as usize].contains(&found),
                            "sector {at}: {found} of {:?}",
                            self.model.seen[at as usize]
                        );
                    }
                }
            }
        }
    }

    pub fn drain(&mut self) {
        for _ in 0..100_000 {
            self.take();
            if self.out.is_empty() {
                return;
            }
            self.rig.step();
        }
        panic!("{} requests are never answered", self.out.len());
    }

    /// A number of requests, several at a time.
    pub fn live(&mut self, requests: u32) {
        for _ in 0..requests {
            if self.out.len() < 12 {
                self.ask();
            }
            for _ in 0..self.numbers.below(4) {
                self.rig.step();
            }
            self.take();
        }
    }

    /// The power goes: what was answered by now was answered.
    fn cut(&mut self) {
        self.rig.run(50);
        self.take();
        self.rig.crash();
        self.out.clear();
    }

    /// The power goes while requests are out, after so many more that disks do.
    pub fn crash(&mut self, after: u64) {
        self.rig.disks.left = Some(after);
        self.live(20);
        while self.rig.disks.left != Some(0) && self.rig.step() {
            self.take();
        }
        self.cut();
        self.rig.start();
        self.look();
    }

    /// The same, and a member is gone when the power is back.
    fn lose(&mut self, after: u64, port: usize) {
        self.rig.disks.left = Some(after);
        self.live(20);
        self.cut();
        self.rig.disks.disks[port].dead = true;
        self.rig.start();
    }

    /// The same, with a log that may not know of all that is lost what it should be.
    pub fn crash_and_lose(&mut self, after: u64, port: usize) {
        self.lose(after, port);
        // What was being written to several members, or was and is not flushed, and one of these is gone, is neither old nor
        // new: that is beyond this log.
        for at in
            (0..).zip(&self.model.since).filter(|(_, since)| !since.is_empty()).map(|(at, _)| at).collect::<Vec<_>>()
        {
            let version = self.next;
            self.next += 1;
            assert!(self.rig.write(version, at, 1).status.is_ok());
            self.model.begins(at, version);
            self.model.ends(at, version);
        }
        assert!(self.rig.ask(Op::Flush, 0, 0, 0).status.is_ok());
        self.look();
    }

    /// The same, with a log that knows of all that it covers what it should be.
    pub fn crash_without(&mut self, after: u64, port: usize) {
        self.lose(after, port);
        self.look();
    }

    /// A member is gone and the power goes soon after; when it is back, so is the member.
    pub fn crash_with_return(&mut self, before: u64, after: u64, port: usize) {
        self.live(12);
        self.rig.disks.left = Some(before);
        self.rig.run(50);
        self.rig.disks.left = Some(after);
        self.rig.kill(port);
        self.live(12);
        self.cut();
        self.rig.disks.disks[port].dead = false;
        self.rig.start();
        self.look();
    }

    /// Reads everything, twice: what is found is legal, and stays.
    fn look(&mut self) {
        let sectors = self.model.durable.len() as u64;
        for at in (0..sectors).step_by(32) {
            let count = 32.min(sectors - at);
            let found = self.rig.versions(at, count);
            (at..).zip(&found).for_each(|(at, found)| self.model.after_crash(at, *found));
            assert_eq!(found, self.rig.versions(at, count), "a read may not change");
        }
    }

    /// Everything is as the client wrote it, and all copies are alike, when it has come to rest.
    pub fn ends(mut self) -> Rig {
        self.drain();
        self.rig.settle();
        let sectors = self.model.durable.len() as u64;
        for at in (0..sectors).step_by(32) {
            let count = 32.min(sectors - at);
            for (at, found) in (at..).zip(self.rig.versions(at, count)) {
                assert_eq!(self.model.seen[at as usize], [found], "sector {at}");
            }
        }
        self.rig.settle();
        super::engine::alike(&self.rig);
        self.rig
    }
}
