// SPDX-License-Identifier: MIT
//! What the gatekeeper records, what it only counts, and what it refuses, while the ring and clients' shares of it fill up.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "tests")]
use orion_audit::extent::Scan;
use orion_audit::{Consumer, GATEKEEPER, Head, Log, Name, Producer, RECORD, Record, SLOTS, What};
use orion_audit_tests::Ring;
use orion_block::Instant;
use proptest::prelude::*;
use std::sync::atomic::Ordering::Relaxed;

const MS: u64 = 1_000_000;

fn log(memory: &Ring, clients: usize, kept: bool) -> Log {
    let producer = Producer::attach(memory.records(), memory.taken(), kept).unwrap();
    Log::new(producer, clients, kept)
}

fn consumer(memory: &Ring) -> Consumer {
    Consumer::attach(memory.records(), memory.taken()).unwrap()
}

fn name(client: u8) -> Name {
    Name::new(&format!("c{client}"))
}

fn of(client: u8, what: What) -> Record {
    Record { what, client, who: name(client), ..Record::default() }
}

fn refused(client: u8) -> Record {
    of(client, What::Refused(orion_block::Op::Read, orion_caps::Reason::Extent))
}

/// Takes all that is there; it must be the chain that was followed so far, gone on with.
fn take(ring: &mut Consumer, scan: &mut Scan) -> Vec<Record> {
    let mut records = Vec::new();
    while let Some(bytes) = ring.peek(0) {
        assert!(scan.place(&bytes), "{:?}", scan.fault());
        records.push(Record::parse(&bytes));
        ring.take(1);
    }
    records
}

/// A client that has all its requests refused, and one that changes capabilities on and on, fill their shares and no more: a
/// third one's refusals and changes are recorded as if they were not there.
#[test]
fn a_flood_leaves_others_their_share() {
    for room in [u64::MAX, 1024, 2000] {
        let memory = Ring::new();
        let (mut log, mut ring) = (log(&memory, 3, true), consumer(&memory));
        assert!(ring.resume(Head::default(), room));
        for now in 0..10_000 {
            log.refused(&refused(0), Instant(now * MS));
            if log.may(1) {
                assert!(log.changed(&of(1, What::Delegated)));
            }
            log.settle(Instant(now * MS), name);
        }
        assert!(!log.may(0) && !log.may(1), "both have used up their share");
        for _ in 0..64 {
            assert!(log.may(2) && log.changed(&of(2, What::Revoked)));
            log.refused(&refused(2), Instant(20_000 * MS));
        }
        assert!(log.note(&of(GATEKEEPER, What::StateLost)), "and the gatekeeper itself");
        log.settle(Instant(20_000 * MS), name);
        let records = take(&mut ring, &mut Scan::default());
        let count = |client| records.iter().filter(|record| record.client == client).count();
        assert_eq!(
            (count(0), count(1), count(2), count(GATEKEEPER)),
            (256, 256, 128, 1),
            "of a third of the ring each"
        );
    }
}

/// Where somebody is to keep the records, a change that can't be recorded is not done; once there is room it is.
#[test]
fn changes_wait_for_room() {
    let memory = Ring::new();
    let (mut log, mut ring) = (log(&memory, 1, true), consumer(&memory));
    assert!(ring.resume(Head::default(), u64::MAX));
    let mut scan = Scan::default();
    for _ in 0..5 {
        let mut done = 0;
        while log.may(0) {
            assert!(log.changed(&of(0, What::Frozen)));
            done += 1;
        }
        log.settle(Instant(0), name);
        assert_eq!((done, take(&mut ring, &mut scan).len()), (SLOTS - 256, 768));
    }
    // Nobody is to keep them: nothing is refused for their sake.
    let mut free = self::log(&Ring::new(), 1, false);
    for _ in 0..3 * SLOTS {
        assert!(free.may(0));
        free.changed(&of(0, What::Frozen));
    }
}

/// A lasting audit with room for little: each client has its part of it, over any number of rings full.
#[test]
fn an_extent_is_shared_as_well() {
    let memory = Ring::new();
    let (mut log, mut ring) = (log(&memory, 2, true), consumer(&memory));
    assert!(ring.resume(Head::default(), 3256));
    let (mut scan, mut done) = (Scan::default(), 0);
    for now in 0..100_000 {
        if log.may(0) && log.changed(&of(0, What::Frozen)) {
            done += 1;
        }
        log.settle(Instant(now), name);
        take(&mut ring, &mut scan);
    }
    assert_eq!(done, 1500);
    assert!(log.may(1));
}

proptest! {
    /// However refusals come, and whenever the consumer takes records: each refusal has a record or is counted in one, once
    /// there is room, and the sum is right.
    #[test]
    fn every_refusal_is_accounted_for(
        acts in prop::collection::vec((0u8..4, 0u64..2000, 0u32..300, any::<bool>()), 1..60),
        late in any::<bool>(),
    ) {
        let memory = Ring::new();
        let (mut log, mut ring) = (log(&memory, 4, true), consumer(&memory));
        if !late {
            prop_assert!(ring.resume(Head::default(), u64::MAX));
        }
        let (mut scan, mut now, mut records, mut sent) = (Scan::default(), 0, Vec::new(), [0u64; 4]);
        for (client, wait, count, takes) in acts {
            now += wait * MS;
            for _ in 0..count {
                log.refused(&refused(client), Instant(now));
            }
            log.missed(client, u64::from(count / 7));
            sent[usize::from(client)] += u64::from(count + count / 7);
            log.settle(Instant(now), name);
            if takes {
                records.extend(take(&mut ring, &mut scan));
            }
        }
        if late {
            prop_assert!(records.is_empty() && ring.resume(Head::default(), u64::MAX));
        }
        // It asks to be called again for as long as something is left, and in the end nothing is.
        while let Some(at) = log.settle(Instant(now), name).again {
            prop_assert!(at.0 > now);
            now = at.0;
            records.extend(take(&mut ring, &mut scan));
        }
        records.extend(take(&mut ring, &mut scan));
        for (client, sent) in (0..).zip(sent) {
            let of = records.iter().filter(|record| record.client == client);
            let told: u64 = of.map(|r| if r.what == What::Counted { r.count } else { 1 }).sum();
            prop_assert_eq!(told, sent, "client {}", client);
        }
    }

    /// A consumer that writes anything into its page gains nothing: what it was shown, and never claimed to have taken, is not
    /// overwritten, and what it is shown is one chain.
    #[test]
    fn a_consumer_that_lies_breaks_no_chain(lies in prop::collection::vec((0usize..8, any::<u32>(), 0u32..3), 0..40)) {
        let memory = Ring::new();
        let (mut log, mut ring) = (log(&memory, 1, true), consumer(&memory));
        prop_assert!(ring.resume(Head::default(), u64::MAX));
        let (page, mut shown, mut claims, mut head) = (memory.taken(), Vec::new(), vec![0], Head::default());
        for (word, value, kind) in lies {
            for _ in 0..300 {
                if log.may(0) {
                    log.changed(&of(0, What::Frozen));
                }
                log.note(&of(GATEKEEPER, What::Frozen));
            }
            log.settle(Instant(0), name);
            let slot = |count: usize| {
                let mut record = [0; RECORD];
                memory.records().copy_out(4096 + count % SLOTS as usize * RECORD, &mut record);
                record
            };
            let published = memory.records().load(0, Relaxed) as usize;
            for count in shown.len()..published {
                head = head.follow(&slot(count)).unwrap();
                shown.push(slot(count));
            }
            let claimed = claims.iter().copied().filter(|claim| *claim <= published).max().unwrap_or(0);
            prop_assert!(published - claimed <= SLOTS as usize);
            let untouched = shown.iter().enumerate().skip(claimed).all(|(count, record)| slot(count) == *record);
            prop_assert!(untouched, "a record from {} on was overwritten", claimed);
            let value = match kind {
                0 => value,
                1 => value % 2000,
                _ => 0,
            };
            page.store(word * 4, value, Relaxed);
            let taken = u64::from(page.load(0, Relaxed)) | u64::from(page.load(4, Relaxed)) << 32;
            claims.push(taken as usize);
        }
    }
}
