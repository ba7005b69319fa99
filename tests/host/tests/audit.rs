// SPDX-License-Identifier: MIT
//! Audits of systems in real processes: kept on a disk and in a file, wherever the system is killed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
use orion_audit::extent::{self, BLOCK, Scan};
use orion_audit::{RECORD, Record, What};
use orion_host_tests::{DEFAULT, Place};
use std::fs;
use std::path::Path;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orion-host-tests");
const SYSTEM: &str = include_str!("../../../docs/examples/audit.xml");
const EXTENT: std::ops::Range<usize> = 4352 * BLOCK..4608 * BLOCK;

/// The records in these places, which must be a whole chain.
fn chain(places: &[u8]) -> Vec<Record> {
    let mut scan = Scan::default();
    let places = places.as_chunks::<RECORD>().0;
    let records = places.iter().filter(|place| scan.place(place)).map(Record::parse).collect();
    assert_eq!(scan.fault(), None);
    records
}

fn on_disk(image: &Path) -> Vec<Record> {
    let bytes = fs::read(image).unwrap();
    assert_eq!(extent::blocks(&bytes[EXTENT]), Some(256));
    chain(&bytes[EXTENT][BLOCK..])
}

fn count(records: &[Record], what: What) -> usize {
    records.iter().filter(|record| record.what == what).count()
}

#[test]
fn what_is_refused_and_changed_is_on_the_disk() {
    let place = Place::new();
    for run in 1..=3 {
        let mut run_of = place.run(PROGRAM, SYSTEM, &[]);
        assert!(run_of.end().success(), "{} {:#?}", run_of.error(), run_of.events);
        let records = on_disk(&place.path("build/d0.img"));
        // The last records of a run may not have reached the disk when its last job ended.
        let starts = count(&records, What::Started);
        assert!((1..=run).contains(&starts) && count(&records, What::Granted) >= 3 * starts, "{records:#?}");
        let refused = records.iter().filter(|record| matches!(record.what, What::Refused(..))).count();
        assert!(refused >= starts, "{records:#?}");
    }
}

/// The whole system is killed, each time a little later, and started again: it goes on behind what is there.
#[test]
fn the_chain_goes_on_after_kills() {
    let place = Place::new();
    let mut known = 0;
    for (pd, line) in [
        ("auditor", "a new chain begins"),
        ("gatekeeper", "refused demo: Read of blocks 0..1 through window 1"),
        ("demo", "verified: "),
        ("demo", "lent: "),
        ("reader", "read: "),
        ("gatekeeper", "demo: Revoke of window 1"),
    ] {
        let mut run = place.run(PROGRAM, SYSTEM, &[]);
        while run
            .next_event()
            .is_some_and(|e| !(e["pd"] == pd && e["text"].as_str().is_some_and(|t| t.starts_with(line))))
        {}
        run.signal(libc::SIGKILL);
        let _ = run.child.wait();
    }
    for _ in 0..2 {
        let mut run = place.run(PROGRAM, SYSTEM, &[]);
        assert!(run.end().success(), "{} {:#?}", run.error(), run.events);
        assert!(
            run.said("auditor").iter().any(|line| line.starts_with("the chain goes on behind ")),
            "{:#?}",
            run.events
        );
        let records = on_disk(&place.path("build/d0.img"));
        assert!(records.len() > known && count(&records, What::Started) > 2);
        known = records.len();
    }
}

/// A system without an extent: the launcher keeps the records, and goes on with its file.
#[test]
fn the_launcher_keeps_records_in_a_file() {
    let place = Place::new();
    for run in 1..=2 {
        let mut run_of = place.run(PROGRAM, DEFAULT, &["--audit", "records"]);
        assert!(run_of.end().success(), "{} {:#?}", run_of.error(), run_of.events);
        let records = chain(&fs::read(place.path("records")).unwrap());
        let granted: u64 =
            records.iter().filter(|record| record.what == What::Started).map(|record| record.count).sum();
        assert_eq!((count(&records, What::Started), count(&records, What::Granted) as u64), (run, granted));
        assert_eq!((count(&records, What::Delegated), count(&records, What::Revoked)), (run, run));
    }
    // What was cut off in the middle of a record is written anew; what was changed is left alone.
    let mut bytes = fs::read(place.path("records")).unwrap();
    bytes.truncate(bytes.len() - 100);
    fs::write(place.path("records"), &bytes).unwrap();
    assert!(place.run(PROGRAM, DEFAULT, &["--audit", "records"]).end().success());
    assert_eq!(count(&chain(&fs::read(place.path("records")).unwrap()), What::Started), 3);
    bytes[300] ^= 1;
    fs::write(place.path("records"), &bytes).unwrap();
    let error = place.refused(PROGRAM, DEFAULT, &["--audit", "records"]);
    assert!(
        error.contains("records: record 1: edited: its content does not have its hash; keep it as it is"),
        "{error}"
    );
    assert!(fs::read(place.path("records")).unwrap() == bytes);
    let error = place.refused(PROGRAM, SYSTEM, &["--audit", "other"]);
    assert!(error.contains("keeps the records in an extent of its own; leave out --audit"), "{error}");
}
