// SPDX-License-Identifier: MIT
//! The keeper of an extent over crashes, at every step, of a disk that tears writes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "tests")]
use orion_audit::extent::{self, BLOCK, Scan};
use orion_audit::{Consumer, Fault, Keeper, Over, Producer, RECORD, Record, Step, What};
use orion_audit_tests::{Disk, Ring};
use proptest::prelude::*;

const BLOCKS: u64 = 64;

/// A record that is known again by its number.
fn record(number: u64) -> Record {
    Record { what: What::Counted, client: 0, count: number, ..Record::default() }
}

/// The numbers in the chain on the disk as it reads now, and what is wrong with it.
fn numbers(disk: &Disk) -> (Vec<u64>, Scan) {
    let (content, mut scan) = (disk.content(), Scan::default());
    let places = content[BLOCK..].as_chunks::<RECORD>().0;
    let found = places.iter().filter(|place| scan.place(place)).map(|place| Record::parse(place).count).collect();
    (found, scan)
}

/// A keeper with its ring, as they are after boot.
struct Life {
    memory: Ring,
    producer: Producer,
    ring: Consumer,
    keeper: Keeper,
}

impl Life {
    fn boot() -> Self {
        let memory = Ring::new();
        let producer = Producer::attach(memory.records(), memory.taken(), true).unwrap();
        let ring = Consumer::attach(memory.records(), memory.taken()).unwrap();
        Self { memory, producer, ring, keeper: Keeper::new(BLOCKS) }
    }

    /// The keeper's PD dies and is started again.
    fn restart_keeper(&mut self) {
        self.ring = Consumer::attach(self.memory.records(), self.memory.taken()).unwrap();
        self.keeper = Keeper::new(BLOCKS);
    }

    /// The gatekeeper's PD dies and is started again.
    fn restart_gatekeeper(&mut self) {
        self.producer = Producer::attach(self.memory.records(), self.memory.taken(), true).unwrap();
    }

    fn publish(&mut self) {
        self.producer.refresh(|_| {});
        if let orion_audit::Place::After(head, _) = self.producer.place() {
            self.producer.begin(head);
        }
        self.producer.publish();
    }

    /// One step; whether there was something to do.
    fn step(&mut self, disk: &mut Disk) -> bool {
        match self.keeper.step(&mut self.ring) {
            Step::Read { block, count } => {
                (block..block + u64::from(count)).for_each(|at| self.keeper.read(&disk.read(at)))
            }
            Step::Write { block } => {
                disk.write(block, &self.keeper.page());
                self.keeper.done(&mut self.ring);
            }
            Step::Flush => {
                disk.flush();
                self.keeper.done(&mut self.ring);
            }
            Step::Rest => return false,
            Step::Over(over) => {
                assert_eq!(over, Over::Full);
                return false;
            }
        }
        true
    }

    /// Until there is nothing to do.
    fn rest(&mut self, disk: &mut Disk) {
        while self.step(disk) {
            self.publish();
        }
        self.publish();
        while self.step(disk) {}
        self.publish();
    }
}

#[derive(Clone, Debug)]
enum Act {
    Push(u64),
    Steps(u32),
    PowerGoes(Vec<bool>),
    KeeperDies,
    GatekeeperDies,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (1u64..40).prop_map(Act::Push),
        6 => (1u32..12).prop_map(Act::Steps),
        2 => prop::collection::vec(any::<bool>(), 16).prop_map(Act::PowerGoes),
        1 => Just(Act::KeeperDies),
        1 => Just(Act::GatekeeperDies),
    ]
}

proptest! {
    /// Whatever dies whenever: what was taken from the ring stays, in order; what is served as a whole chain is one; and a chain
    /// that a crash has torn goes on behind what was durable.
    #[test]
    fn the_chain_survives_every_crash(acts in prop::collection::vec(act(), 1..60)) {
        let (mut disk, mut life) = (Disk::new(BLOCKS), Life::boot());
        // Numbers in the order in which they were put into the ring and not lost by a crash since, as far as that is known.
        let (mut next, mut pushed): (u64, Vec<u64>) = (1, Vec::new());
        for act in acts {
            let before = numbers(&disk).0;
            match act {
                Act::Push(count) => {
                    for _ in 0..count {
                        if life.producer.push(&record(next)) {
                            pushed.push(next);
                        }
                        next += 1;
                    }
                    life.publish();
                }
                Act::Steps(count) => {
                    for _ in 0..count {
                        life.step(&mut disk);
                        life.publish();
                    }
                }
                Act::KeeperDies => life.restart_keeper(),
                Act::GatekeeperDies => life.restart_gatekeeper(),
                Act::PowerGoes(kept) => {
                    let mut kept = kept.into_iter().cycle();
                    disk.lose_power(|| kept.next().unwrap_or(true));
                    life = Life::boot();
                    let (found, scan) = numbers(&disk);
                    prop_assert!(scan.fault().is_none() || scan.torn(), "{:?}", scan.fault());
                    prop_assert!(before.starts_with(&found), "{before:?} {found:?}");
                }
            }
            let (found, _) = numbers(&disk);
            prop_assert!(found.iter().all(|n| pushed.contains(n)) && found.is_sorted(), "{found:?}");
        }
        life.rest(&mut disk);
        disk.flush();
        let (found, scan) = numbers(&disk);
        prop_assert_eq!(scan.fault(), None);
        prop_assert!(found.is_sorted() && found.iter().all(|n| pushed.contains(n)), "{:?}", found);
        if !life.producer.waits() && found.len() < extent::capacity(BLOCKS) as usize {
            prop_assert_eq!(life.producer.unread(), 0);
        }
    }

    /// A record that was taken from the ring is durable: no crash from then on takes it away.
    #[test]
    fn what_was_taken_is_durable(bursts in prop::collection::vec((1u64..50, 1u32..9), 1..30), kept in any::<bool>()) {
        let (mut disk, mut life) = (Disk::new(BLOCKS), Life::boot());
        let mut number = 0;
        for (count, steps) in bursts {
            for _ in 0..count {
                number += u64::from(life.producer.push(&record(number + 1)));
            }
            for _ in 0..steps {
                life.step(&mut disk);
                life.publish();
                let taken = number - life.producer.unread();
                let mut crashed = disk.clone();
                crashed.lose_power(|| kept);
                let (found, _) = numbers(&crashed);
                prop_assert!(found.len() as u64 >= taken, "{taken} taken, {} left", found.len());
            }
        }
    }
}

#[test]
fn a_full_extent_is_whole_and_takes_no_more() {
    let (mut disk, mut life) = (Disk::new(BLOCKS), Life::boot());
    let capacity = extent::capacity(BLOCKS);
    let mut number = 0;
    for _ in 0..4 * capacity / 500 {
        for _ in 0..500 {
            number += u64::from(life.producer.push(&record(number + 1)));
        }
        life.rest(&mut disk);
    }
    let (found, scan) = numbers(&disk);
    assert_eq!((found.len() as u64, scan.fault()), (capacity, None));
    assert_eq!(life.keeper.step(&mut life.ring), Step::Over(Over::Full));
    assert_eq!(life.producer.room(), 0, "the ring is full as well");
    // After the next boot nothing has changed.
    let before = disk.content();
    life = Life::boot();
    life.producer.push(&record(0));
    life.rest(&mut disk);
    assert!(disk.content() == before);
}

/// Whatever is edited on the disk while the system is off, but for the block that holds the end, is not gone on with.
#[test]
fn an_edited_chain_is_not_gone_on_with() {
    let (mut disk, mut life) = (Disk::new(BLOCKS), Life::boot());
    (1..=40).for_each(|number| assert!(life.producer.push(&record(number))));
    life.rest(&mut disk);
    for at in 0..40 {
        let mut edited = disk.clone();
        let mut block = edited.read(extent::block_of(at));
        block[at as usize % 16 * RECORD + 33] ^= 4;
        edited.write(extent::block_of(at), &block);
        edited.flush();
        let before = edited.content();
        let mut life = Life::boot();
        let over = loop {
            match life.keeper.step(&mut life.ring) {
                Step::Read { block, count } => {
                    (block..block + u64::from(count)).for_each(|at| life.keeper.read(&edited.read(at)))
                }
                Step::Over(over) => break Some(over),
                _ => break None,
            }
        };
        let expected = (at < 32).then_some(Over::Broken(at, Fault::Edited));
        assert_eq!(over, expected, "record {at}");
        assert!(edited.content() == before);
    }
}
