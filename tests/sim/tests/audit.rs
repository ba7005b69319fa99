// SPDX-License-Identifier: MIT
//! Audits under seeded schedules: what is refused and changed is in the chain on the disk, whenever the system is stopped.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "tests")]
use orion_audit::extent::{self, BLOCK, Scan};
use orion_audit::{Name, RECORD, Record, What};
use orion_block::Op;
use orion_caps::{Extent, Rights};
use orion_control::{Ask, Kind, Refused};
use orion_pd::Verdict;
use orion_sim::{Common, DiskShape, FaultSet, Machine, Outcome, Pace, Random, SimDisk, System, Told, Wish};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

const SYSTEM: &str = include_str!("../../../docs/examples/audit.xml");
/// Where the audit of that system lies: blocks of 4096 bytes.
const EXTENT: Range<usize> = 4352..4608;
/// So much of the grants is written, so that a run is short.
const SMALL: &[(&str, u64)] = &[("demo_bytes", 65536)];

/// A system with its disk, which outlives the machine.
struct Rig {
    system: Rc<System>,
    disk: Rc<RefCell<SimDisk>>,
    extent: Range<usize>,
}

impl Rig {
    fn new(xml: &str, extent: Range<usize>, settings: &[(&str, u64)], seed: u64) -> Self {
        let shape = DiskShape { block: 512, blocks: 32 << 11, cache: true, faults: FaultSet::default() };
        let disk = Rc::new(RefCell::new(SimDisk::new(shape, &[], seed)));
        Self { system: Rc::new(System::new(xml, settings)), disk, extent }
    }

    fn example(seed: u64) -> Self {
        Self::new(SYSTEM, EXTENT, SMALL, seed)
    }

    fn boot(&self, seed: u64) -> Machine {
        Machine::boot(&self.system, std::slice::from_ref(&self.disk), Common::default(), Pace::default(), seed)
    }

    /// The bytes of the extent.
    fn bytes(&self) -> Vec<u8> {
        let disk = self.disk.borrow();
        (self.extent.start * 8..self.extent.end * 8).flat_map(|block| disk.content(block).to_vec()).collect()
    }

    fn edit(&self, byte: usize) {
        let (block, at) = (self.extent.start * 8 + byte / 512, byte % 512);
        let mut bytes = self.disk.borrow().content(block).to_vec();
        bytes[at] ^= 1;
        assert!(orion_driver::model::Medium::write(&mut orion_sim::Attached(self.disk.clone()), block as u64, &bytes));
    }

    /// The records of the chain, and what is wrong with it.
    fn scan(&self) -> (Vec<Record>, Scan) {
        let (bytes, mut scan) = (self.bytes(), Scan::default());
        let places = bytes[BLOCK..].as_chunks::<RECORD>().0;
        let records = places.iter().filter(|place| scan.place(place)).map(Record::parse).collect();
        (records, scan)
    }

    /// The records of the chain, which must be whole.
    fn records(&self) -> Vec<Record> {
        let (records, scan) = self.scan();
        assert_eq!(scan.fault(), None);
        assert!(records.is_empty() || extent::blocks(&self.bytes()) == Some(self.extent.len() as u64));
        records
    }
}

fn texts(records: &[Record]) -> Vec<String> {
    records.iter().map(ToString::to_string).collect()
}

fn count(records: &[Record], what: What) -> usize {
    records.iter().filter(|record| record.what == what).count()
}

fn passed(verdicts: &BTreeMap<String, Verdict>, lines: &[String]) {
    for client in ["demo", "reader"] {
        assert_eq!(verdicts.get(client), Some(&Verdict::Passed), "{lines:#?}");
    }
}

fn run(machine: Machine) -> Outcome {
    let outcome = machine.run();
    passed(&outcome.verdicts, &outcome.lines);
    outcome
}

#[test]
fn what_is_refused_and_changed_is_on_the_disk_under_every_schedule() {
    for seed in 0..30 {
        let rig = Rig::example(seed);
        run(rig.boot(seed));
        let records = rig.records();
        let texts = texts(&records);
        for wanted in [
            "the gatekeeper started with 3 grants",
            "granted to demo as window 0: blocks 0..4096 of d0, read write flush derive (system.xml line 24)",
            "granted to auditor as window 0: blocks 4352..4608 of d0, read write flush (system.xml line 28)",
            "demo was refused: Read blocks 32768..32769 (of 512 bytes) through window 0, outside its extent (system.xml line 24)",
            "demo was refused: Discard blocks 0..1 (of 512 bytes) through window 0 without the right to discard (system.xml line 24)",
            "demo was refused: Read blocks 0..1 (of 512 bytes) through window 1, which holds no capability",
            "demo gave reader as window 1, from its window 0: blocks 0..16 of d0, read (system.xml line 24)",
            "demo took back window 1 of reader: 1 capability (system.xml line 24)",
            "reader was refused: Read blocks 0..128 (of 512 bytes) through window 1, which holds no capability",
        ] {
            assert_eq!(texts.iter().filter(|text| *text == wanted).count(), 1, "{wanted}: {texts:#?}");
        }
        // Of four requests the ring itself says that they are malformed.
        let refused = records.iter().filter(|r| matches!(r.what, What::Refused(..))).count();
        let counted: u64 = records.iter().filter(|r| r.what == What::Counted).map(|r| r.count).sum();
        assert_eq!((refused, counted), (6, 4), "{texts:#?}");
        assert!(records.is_sorted_by_key(|record| record.time));
        let changes: Vec<u64> = records.iter().map(|record| record.state).filter(|state| *state > 0).collect();
        assert_eq!(changes, [1, 2], "each is the number of the state that holds it");
    }
}

/// Power is lost at any step, twice, and the system is started again on what the disk holds then: one chain, with a start for
/// each time, of which nothing is lost that was durable; and what is served as whole is whole.
#[test]
fn the_chain_goes_on_wherever_power_was_lost() {
    let mut random = Random::new(9);
    let (mut longest, mut torn) = (0, 0);
    for seed in 0..80 {
        let (rig, mut before) = (Rig::example(seed), Vec::new());
        let steps = Rig::example(seed).boot(seed).run().steps;
        for life in 0..3 {
            let mut machine = rig.boot(seed + life);
            if life == 2 {
                let outcome = run(machine);
                let starts = count(&rig.records(), What::Started);
                let told = outcome.lines.iter().any(|line| line.starts_with("auditor: the chain goes on behind"));
                assert_eq!(told, starts > 1, "{:#?}", outcome.lines);
                assert!(rig.records().starts_with(&before));
                longest = longest.max(starts);
                break;
            }
            let most = random.number() % steps;
            for _ in 0..most {
                machine.step();
            }
            machine.lose_power();
            let (records, scan) = rig.scan();
            assert!(scan.fault().is_none() || scan.torn(), "{:?}", scan.fault());
            assert!(records.starts_with(&before) && count(&records, What::Started) <= life as usize + 1);
            torn += u32::from(scan.fault().is_some());
            before = records;
        }
    }
    assert!(longest == 3 && torn > 0, "{longest} starts at most, {torn} torn");
}

/// `a` may pass its blocks on to `b`.
fn puppets() -> String {
    let puppet = |name: &str, blocks: &str, rights: &str| {
        format!(
            "<protection_domain name=\"{name}\" priority=\"90\"><program_image path=\"puppet.elf\"/></protection_domain>
             <orion:grant client=\"{name}\" disk=\"d0\" blocks=\"{blocks}\" rights=\"{rights}\"/>"
        )
    };
    let clients = puppet("a", "0..64", "read write flush derive admin") + &puppet("b", "64..65", "read");
    format!(
        "<system xmlns:orion=\"urn:orion-storage:1\"><orion:disk name=\"d0\" bus=\"virtio-blk\"/>{clients}
         <orion:audit disk=\"d0\" blocks=\"128..192\"/></system>"
    )
}

fn lend(window: u8) -> Wish {
    let extent = Extent { first: 0, blocks: 4 };
    Wish::Command(Ask { extent, rights: Rights::READ, ..Ask::on(Kind::Delegate, "b", window) })
}

/// The gatekeeper dies and is started again: the chain goes on, and says that it was, and with which state.
#[test]
fn a_restart_of_the_gatekeeper_is_a_record() {
    for seed in 0..20 {
        let rig = Rig::new(&puppets(), 128..192, &[], seed);
        let mut machine = rig.boot(seed);
        assert!(machine.ask("a", lend(1)).good());
        machine.rest();
        for life in 1..4 {
            machine.renew("gatekeeper");
            machine.pass(50_000_000);
            assert!(machine.ask("a", lend(life + 1)).good());
            assert!(!machine.ask("b", Wish::Blocks(Op::Write, 1, 0, 1)).good());
        }
        machine.run();
        let records = rig.records();
        let states: Vec<_> = records.iter().filter(|r| r.what == What::Restarted).map(|r| r.state).collect();
        assert_eq!(states, [1, 2, 3], "{:#?}", texts(&records));
        let lent: Vec<_> =
            records.iter().filter(|r| r.what == What::Delegated).map(|r| (r.to_window, r.state)).collect();
        assert_eq!(lent, [(1, 1), (2, 2), (3, 3), (4, 4)]);
        assert_eq!((count(&records, What::Started), count(&records, What::Granted)), (1, 3));
    }
}

/// The auditor dies and is started again, with records on their way: none is lost and none is there twice.
#[test]
fn a_restart_of_the_auditor_loses_nothing() {
    for seed in 0..40 {
        let rig = Rig::new(&puppets(), 128..192, &[], seed);
        let (mut machine, mut random) = (rig.boot(seed), Random::new(seed));
        machine.rest();
        for window in 1..6 {
            let number = machine.wish("a", lend(window));
            for _ in 0..random.below(60) {
                machine.step();
            }
            let auditor = machine.pd("auditor").unwrap();
            machine.kill(auditor);
            for _ in 0..random.below(60) {
                machine.step();
            }
            machine.restart(auditor).unwrap();
            machine.pass(2_000_000_000);
            assert!(machine.told("a", number).is_some_and(|told| told.good()));
        }
        machine.run();
        let lent: Vec<_> = rig.records().iter().filter(|r| r.what == What::Delegated).map(|r| r.to_window).collect();
        assert_eq!(lent, [1, 2, 3, 4, 5]);
    }
}

/// An audit that can't be kept fills up, and with it the rights of a client to change something: others' requests, and its own
/// that change nothing, go on.
#[test]
fn what_can_not_be_recorded_is_not_done() {
    let rig = Rig::new(&puppets(), 128..192, &[], 1);
    rig.edit(5000);
    let mut machine = rig.boot(1);
    let (mut done, full) = (0, Told::Command(Err(Refused::AuditFull)));
    loop {
        let told = machine.ask("a", if done % 2 == 0 { lend(1) } else { Wish::Command(Ask::on(Kind::Revoke, "b", 1)) });
        if told == full {
            break;
        }
        assert!(told.good() && done < 2000, "{told:?}");
        done += 1;
    }
    // A third of the ring, less what is kept for the gatekeeper.
    assert_eq!(done, 256);
    assert!(machine.ask("a", Wish::Command(Ask::on(Kind::Look, "a", 0))).good());
    assert!(machine.ask("a", Wish::Blocks(Op::Write, 0, 0, 8)).good());
    assert!(machine.ask("b", Wish::Blocks(Op::Read, 0, 0, 8)).good());
    assert!(!machine.ask("b", Wish::Blocks(Op::Read, 1, 0, 8)).good());
}

/// A client that writes garbage into its rings and its control page leaves room for the records of others, and theirs are all
/// there.
#[test]
fn a_client_that_floods_the_audit_leaves_others_their_share() {
    let client = |name: &str, program: &str, what: &str| {
        format!(
            "<protection_domain name=\"{name}\" priority=\"90\"><program_image path=\"{program}.elf\"/></protection_domain>
             <orion:grant client=\"{name}\" disk=\"d0\" {what}/>"
        )
    };
    let xml = format!(
        "<system xmlns:orion=\"urn:orion-storage:1\"><orion:disk name=\"d0\" bus=\"virtio-blk\"/>{}{}{}
         <orion:audit disk=\"d0\" blocks=\"1024..1088\"/></system>",
        client("demo", "demo", "blocks=\"0..128\" rights=\"read write flush derive\""),
        client("mad", "garbage", "blocks=\"128..136\" rights=\"read derive admin\""),
        client("reader", "reader", "blocks=\"136..137\" rights=\"read\""),
    );
    for seed in 0..30 {
        let rig = Rig::new(&xml, 1024..1088, &[("seed", seed), ("demo_bytes", 65536)], seed);
        run(rig.boot(seed));
        let records = rig.records();
        let of = |name: &str| records.iter().filter(|record| record.who == Name::new(name)).count();
        // A quarter of the extent's 1008, less what is kept for the gatekeeper.
        assert!(of("mad") <= 188, "{}", of("mad"));
        let texts = texts(&records);
        for wanted in ["demo gave reader as window 1, from its window 0: ", "demo took back window 1 of reader: "] {
            assert!(texts.iter().any(|text| text.starts_with(wanted)), "{texts:#?}");
        }
    }
}

/// Where the extent holds something else, nothing is written to it.
#[test]
fn what_is_no_audit_is_not_overwritten() {
    for byte in [0, 5 * BLOCK, EXTENT.len() * BLOCK - 1] {
        let rig = Rig::example(3);
        rig.edit(byte);
        let before = rig.bytes();
        let outcome = run(rig.boot(3));
        assert!(rig.bytes() == before);
        let wanted = "auditor: no records are kept any more: there is something in the extent that is no audit; zero these \
                      blocks, or give it others; changes are refused once the ring is full too";
        assert!(outcome.lines.iter().any(|line| line == wanted), "{:#?}", outcome.lines);
    }
}

/// A chain that somebody has edited is left as it is, for whoever looks into it.
#[test]
fn a_broken_chain_is_not_gone_on_with() {
    let rig = Rig::example(4);
    // More than a block of records, so that the edit is not in the last one.
    while rig.records().len() < 20 {
        run(rig.boot(4));
    }
    rig.edit(BLOCK + 3 * RECORD + 100);
    let before = rig.bytes();
    let outcome = run(rig.boot(4));
    assert!(rig.bytes() == before);
    let wanted = "the chain is broken at record 3: edited";
    assert!(outcome.lines.iter().any(|line| line.contains(wanted)), "{:#?}", outcome.lines);
}
