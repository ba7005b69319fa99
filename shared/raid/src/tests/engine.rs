// SPDX-License-Identifier: MIT
//! Arrays in use: spread, mirrored, degraded, rebuilt, after a loss of power.
use super::rig::{Numbers, Rig, content, new};
use crate::{Standing, wire};
use orion_block::{Completion, Error, Op};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

const RAID0: (i32, u32, u32) = (0, 2, 8);
const ORIGINAL: (i32, u32, u32) = (0, 1, 8);
const LINEAR: (i32, u32, u32) = (-1, 0, 0);
const RAID1: (i32, u32, u32) = (1, 0, 0);
const NEAR2: (i32, u32, u32) = (10, 0x102, 8);
const NEAR3: (i32, u32, u32) = (10, 0x103, 8);
const FAR2: (i32, u32, u32) = (10, 0x201, 8);
const OFFSET2: (i32, u32, u32) = (10, 0x1_0201, 8);

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
struct Life {
    rig: Rig,
    model: Model,
    out: BTreeMap<u32, Out>,
    next: u32,
    numbers: Numbers,
    scale: u8,
}

const SLOT: u64 = 32 << 10;

impl Life {
    fn new(mut rig: Rig, seed: u64) -> Self {
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

    fn drain(&mut self) {
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
    fn live(&mut self, requests: u32) {
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

    /// The power goes while requests are out, after so many more that disks do.
    fn crash(&mut self, after: u64) {
        self.rig.disks.left = Some(after);
        self.live(20);
        while self.rig.disks.left != Some(0) && self.rig.step() {
            self.take();
        }
        // What was answered by now was answered.
        self.rig.run(50);
        self.take();
        self.rig.crash();
        self.out.clear();
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
    fn ends(mut self) -> Rig {
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
        alike(&self.rig);
        self.rig
    }
}

/// All copies of each sector are the same.
fn alike(rig: &Rig) {
    let array = rig.array();
    assert!(!array.newest.is_dirty() || array.newest.level < 1);
    let alive: Vec<_> = rig.disks.disks.iter().filter(|disk| !disk.dead).collect();
    for sector in 0..array.sectors() {
        let places = (0..).map_while(|copy| array.geometry.place(sector, copy));
        let held = places.filter_map(|place| {
            let slot = array.slots[place.member as usize]?;
            Some(alive[slot.device].sector((slot.offset + place.sector) as usize))
        });
        let held: Vec<_> = held.collect();
        assert!(held.windows(2).all(|pair| pair[0] == pair[1]), "the copies of sector {sector} differ");
    }
}

/// A level, its members' sectors, and how many members may go.
type Case = ((i32, u32, u32), Vec<u64>, usize);

fn cases() -> Vec<Case> {
    vec![
        (RAID0, vec![64 + 160, 64 + 96, 64 + 200], 0),
        (ORIGINAL, vec![64 + 160, 64 + 96, 64 + 160], 0),
        (LINEAR, vec![64 + 40, 64 + 96, 64 + 16], 0),
        (RAID1, vec![64 + 320; 2], 1),
        (RAID1, vec![64 + 320; 3], 2),
        (NEAR2, vec![64 + 96; 4], 1),
        (NEAR2, vec![64 + 96; 3], 1),
        (NEAR3, vec![64 + 96; 5], 2),
        (FAR2, vec![64 + 96; 3], 1),
        (OFFSET2, vec![64 + 96; 4], 1),
    ]
}

fn rig(case: &Case, spares: usize, seed: u64) -> Rig {
    let ((level, layout, chunk), sizes, _) = case;
    let sizes: Vec<u64> = sizes.iter().copied().chain(vec![sizes[0]; spares]).collect();
    Rig::new(&new(*level, *layout, *chunk), &sizes, spares, !seed.is_multiple_of(4), seed)
}

/// Seeds that each test of this file lives through, per case.
const SEEDS: u64 = 12;

#[test]
fn what_is_written_is_read_whatever_the_level() {
    for (n, case) in cases().iter().enumerate() {
        for seed in 0..SEEDS {
            let mut life = Life::new(rig(case, 0, seed), seed * 100 + n as u64);
            life.live(150);
            life.ends();
        }
    }
}

#[test]
fn members_die_and_nobody_notices() {
    for (n, case) in cases().iter().enumerate().filter(|(_, case)| case.2 > 0) {
        for seed in 0..SEEDS {
            let mut life = Life::new(rig(case, 0, seed), seed * 100 + n as u64);
            for gone in 0..case.2 {
                life.live(60);
                let port = (seed as usize + gone) % case.1.len();
                match seed % 3 {
                    0 => life.rig.kill(port),
                    1 => life.rig.disks.disks[port].dead = true,
                    _ => life.rig.disks.disks[port].worn = true,
                }
            }
            life.live(100);
            let rig = life.ends();
            if seed % 3 != 1 {
                assert_eq!(rig.node.layer().missing().count(), case.2, "{case:?} {seed}");
            }
        }
    }
}

#[test]
fn a_loss_of_power_at_any_step_loses_nothing_that_was_answered() {
    for (n, case) in cases().iter().enumerate() {
        for seed in 0..SEEDS * 3 {
            let mut life = Life::new(rig(case, 0, seed), seed * 100 + n as u64);
            for round in 0..3 {
                life.live(20);
                let after = life.numbers.below(60);
                if case.2 > 0 && round == 1 && seed % 3 == 0 {
                    // Until the copies agree, those that were not read may hold the other outcome of a write.
                    life.drain();
                    life.rig.settle();
                    life.rig.kill(seed as usize % case.1.len());
                }
                life.crash(after);
            }
            life.live(30);
            life.ends();
        }
    }
}

#[test]
fn a_spare_takes_the_place_of_a_member_that_died() {
    for (n, case) in cases().iter().enumerate().filter(|(_, case)| case.2 > 0) {
        for seed in 0..SEEDS {
            let mut life = Life::new(rig(case, 1, seed), seed * 100 + n as u64);
            life.live(60);
            life.rig.kill(seed as usize % case.1.len());
            life.live(60);
            if seed % 2 == 0 {
                let after = life.numbers.below(300);
                life.crash(after);
                life.live(20);
            }
            let rig = life.ends();
            assert_eq!(rig.node.layer().missing().count(), 0, "{case:?} {seed}");
            let array = rig.array();
            assert!(!array.is_degraded(), "{case:?}");
            // What Linux would find: no rebuild, and the spare a member.
            assert!(rig.supers().iter().all(|s| s.recovery.is_none() && !s.has(wire::feature::RECOVERY)));
        }
    }
}

#[test]
fn sectors_that_cannot_be_read_are_read_elsewhere_and_written_again() {
    for case in cases().iter().filter(|case| case.2 > 0) {
        let mut rig = rig(case, 0, 3);
        rig.start();
        let sectors = rig.sectors();
        for at in (0..sectors).step_by(32) {
            assert!(rig.write(5, at, 32.min(sectors - at)).status.is_ok());
        }
        let bad: Vec<usize> = (64..64 + 48).step_by(7).collect();
        rig.disks.disks[0].bad.extend(&bad);
        for _ in 0..4 {
            for at in 0..sectors {
                assert_eq!(rig.versions(at, 1), [5]);
            }
        }
        rig.settle();
        assert_eq!(rig.node.layer().missing().count(), 0, "a sector that is bad is no reason to leave a member behind");
        rig.check(false);
        assert!(rig.disks.disks[0].bad.is_empty(), "{:?}", rig.disks.disks[0].bad);
        assert_eq!(rig.node.layer().mismatches(), 0);
    }
}

#[test]
fn a_check_finds_what_rotted_and_a_repair_makes_it_alike() {
    for case in cases().iter().filter(|case| case.2 > 0) {
        let mut rig = rig(case, 0, 4);
        rig.start();
        rig.write(5, 0, 32);
        rig.settle();
        let last = rig.disks.disks.len() - 1;
        for at in [64, 65, 90] {
            rig.disks.disks[last].durable[at * 512 + 7] ^= 0x10;
            rig.disks.disks[last].cached = None;
        }
        for (repair, found) in [(false, 3), (false, 3), (true, 3), (false, 0)] {
            rig.check(repair);
            assert_eq!(rig.node.layer().mismatches(), found, "{case:?} {repair}");
        }
        alike(&rig);
    }
}

#[test]
fn the_last_copy_is_never_left_behind() {
    let mut rig = rig(&cases()[3], 0, 1);
    rig.start();
    assert!(rig.write(1, 0, 8).status.is_ok());
    rig.kill(0);
    rig.disks.disks[1].worn = true;
    assert_eq!(rig.write(2, 0, 8).status, Err(Error::Io));
    rig.disks.disks[1].worn = false;
    assert_eq!(rig.node.layer().missing().collect::<Vec<_>>(), [0]);
    assert_eq!(rig.versions(8, 8), [0; 8]);
}

#[test]
fn a_member_that_was_missing_while_others_were_written_is_never_taken_for_good() {
    let mut rig = rig(&cases()[3], 0, 2);
    rig.start();
    assert!(rig.write(1, 0, 8).status.is_ok());
    rig.settle();
    // One start without it, and the power goes just after the write is answered.
    rig.disks.disks[0].dead = true;
    rig.crash();
    rig.start();
    assert!(rig.write(2, 0, 8).status.is_ok());
    assert!(rig.ask(Op::Flush, 0, 0, 0).status.is_ok());
    rig.crash();
    rig.disks.disks[0].dead = false;
    rig.start();
    assert_eq!(rig.versions(0, 8), [2; 8]);
    let supers = rig.supers();
    assert!(matches!(rig.array().standing(&supers[0]), Standing::Stale { .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn members_with_large_blocks_are_counted_in_theirs(seed in any::<u64>()) {
        let images = super::rig::create(&new(1, 0, 0), &[64 + 320; 2], 0);
        let mut life = Life::new(Rig::over(images, 3, true, seed), seed);
        life.live(60);
        life.crash(seed % 50);
        life.live(30);
        life.ends();
    }
}
