// SPDX-License-Identifier: MIT
//! The jobs against a gatekeeper of a few lines, correct and with each of the faults that the demo is there to find.
use crate::job::{Ask, Data, Grant, Next, Server, WINDOWS, right};
use crate::setup::{self, Work};
use crate::slots::Slots;
use core::cell::RefCell;
use orion_block::{BlockSize, Completion, Error, Limits, Op};
use orion_pd::Verdict;
use std::collections::VecDeque;
use std::format;
use std::string::String;
use std::vec::Vec;

const SIZE: u64 = 512;
const DATA: u64 = 64 * 1024;
const DISK: u64 = 400;
/// First block on the disk of each window.
const BASES: [u64; 3] = [8, 100, 200];

struct Memory(RefCell<Vec<u8>>);

impl Memory {
    fn range(&self, offset: u64, len: usize) -> Option<core::ops::Range<usize>> {
        let end = usize::try_from(offset).ok()?.checked_add(len)?;
        (end <= self.0.borrow().len()).then(|| end - len..end)
    }
}

impl Data for Memory {
    fn put(&self, offset: u64, bytes: &[u8]) -> bool {
        let range = self.range(offset, bytes.len());
        range.map(|r| self.0.borrow_mut()[r].copy_from_slice(bytes)).is_some()
    }
    fn get(&self, offset: u64, bytes: &mut [u8]) -> bool {
        let range = self.range(offset, bytes.len());
        range.map(|r| bytes.copy_from_slice(&self.0.borrow()[r])).is_some()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    LosesAWrite,
    MisplacesAWrite,
    ReadsNothing,
    AnswersShort,
    AllowsOnePastTheEnd,
    AllowsEveryRight,
    WrapsBlocks,
    TouchesMemoryOfRefusedReads,
    IgnoresThePayloadsPlace,
    FailsFlush,
}

/// The other side: windows on a disk.
struct Gate {
    grants: [Grant; WINDOWS],
    disk: Vec<u8>,
    memory: Memory,
    fault: Fault,
    asked: Vec<Ask>,
}

impl Gate {
    fn new(grants: &[(u64, u16)], fault: Fault) -> Self {
        let mut all = [Grant::default(); WINDOWS];
        for (to, &(blocks, rights)) in all.iter_mut().zip(grants) {
            *to = Grant { blocks, rights };
        }
        let memory = Memory(RefCell::new(std::vec![0; usize::try_from(DATA).unwrap()]));
        let disk = (0..DISK * SIZE).map(|i| (i % 251) as u8).collect();
        Self { grants: all, disk, memory, fault, asked: Vec::new() }
    }

    fn server(&self) -> Server {
        let limits = Limits { block: BlockSize::B512, ..Limits::default() };
        Server { limits, grants: self.grants, data: DATA }
    }

    /// Where on the disk the request lies, if policy allows it.
    fn admit(&self, ask: Ask) -> Result<u64, Error> {
        let (window, block) = (usize::try_from(ask.block >> 40).unwrap(), ask.block & ((1 << 40) - 1));
        let grant = self.grants.get(window).filter(|g| g.blocks > 0).ok_or(Error::Denied)?;
        if !grant.allows(ask.op) && self.fault != Fault::AllowsEveryRight {
            return Err(Error::Denied);
        }
        let slack = u64::from(self.fault == Fault::AllowsOnePastTheEnd);
        let end = block + u64::from(ask.count);
        let wraps = self.fault == Fault::WrapsBlocks && end >= 1 << 40;
        if end > grant.blocks + slack && !wraps {
            return Err(Error::OutOfRange);
        }
        let len = u64::from(ask.count) * SIZE;
        let outside = ask.address.checked_add(len).is_none_or(|end| end > DATA);
        if ask.op.has_payload() && outside && self.fault != Fault::IgnoresThePayloadsPlace {
            return Err(Error::Invalid);
        }
        Ok(BASES[window] + if wraps { 0 } else { block })
    }

    fn serve(&mut self, ask: Ask) -> Completion {
        self.asked.push(ask);
        let first = match self.admit(ask) {
            Ok(first) => first,
            Err(error) => {
                if self.fault == Fault::TouchesMemoryOfRefusedReads {
                    self.memory.put(ask.address, &[0; 8]);
                }
                return Completion::error(error);
            }
        };
        let mut content = std::vec![0; usize::from(ask.count) * 512];
        let at = usize::try_from(first * SIZE).unwrap();
        let on_disk = at..at + content.len();
        let nth = self.asked.len();
        match (ask.op, self.fault) {
            (Op::Write, Fault::LosesAWrite) if nth == 3 => {}
            (Op::Write, fault) => {
                let shift = if fault == Fault::MisplacesAWrite && nth == 2 { 512 } else { 0 };
                self.memory.get(ask.address, &mut content);
                self.disk[on_disk.start + shift..on_disk.end + shift].copy_from_slice(&content);
            }
            (Op::Read, Fault::ReadsNothing) => {}
            (Op::Read, _) => {
                content.copy_from_slice(&self.disk[on_disk]);
                self.memory.put(ask.address, &content);
            }
            (Op::Flush, Fault::FailsFlush) => return Completion::error(Error::Io),
            _ => {}
        }
        let short = u32::from(self.fault == Fault::AnswersShort && ask.op == Op::Read);
        Completion::ok(u32::from(ask.count) - short)
    }
}

/// Runs a job to its end, answering in an order that is neither that of the requests nor its reverse.
fn run(gate: &mut Gate, settings: &[(&str, u64)], depth: u64) -> (Verdict, Vec<String>) {
    let lines = RefCell::new(Vec::new());
    let mut say = |line: core::fmt::Arguments<'_>| lines.borrow_mut().push(format!("{line}"));
    let setting = |key: &str| settings.iter().find(|(k, _)| *k == key).map(|(_, v)| *v);
    let (mut work, mut slots): (Work, Slots) = setup::job(&gate.server(), setting, depth, 1).unwrap();
    let mut in_flight = VecDeque::new();
    loop {
        let next = slots.first_free().map(|slot| (slot, work.job().next(slot, &gate.memory)));
        match next {
            Some((slot, Next::Send(ask))) => {
                slots.take(slot);
                in_flight.push_back((slot, ask));
                assert!(in_flight.len() as u64 <= depth);
                continue;
            }
            Some((_, Next::Done)) => break,
            Some((_, Next::Wait)) | None => {}
        }
        work.job().sent();
        let (slot, ask) = in_flight.remove(in_flight.len() / 2).expect("nothing in flight and not done");
        let done = gate.serve(ask);
        slots.put_back(u32::try_from(slot.index).unwrap());
        let blocks = u16::try_from(done.blocks).unwrap();
        work.job().answered(slot, done.status, blocks, &gate.memory, &mut say);
    }
    let verdict = work.job().end(5_000_000, &mut say);
    (verdict, lines.into_inner())
}

const ALL: u16 = 1 | 2 | 4 | 8 | 16;
const GRANTS: [(u64, u16); 3] = [(64, ALL), (40, 1), (30, 1 | 2 | 4)];
const SMALL: &[(&str, u64)] = &[("demo_bytes", 32 * SIZE), ("demo_chunk", 5), ("seed", 9)];

#[test]
fn a_correct_gatekeeper_passes_and_nothing_beyond_the_grant_changes() {
    let mut gate = Gate::new(&GRANTS, Fault::None);
    let before = gate.disk.clone();
    let (verdict, lines) = run(&mut gate, SMALL, 7);
    assert_eq!(verdict, Verdict::Passed, "{lines:#?}");
    let changed = |block: usize| before[block * 512..][..512] != gate.disk[block * 512..][..512];
    let written = (8..8 + 32).chain([8 + 63]).chain(200..230);
    assert!((0..400).filter(|&b| changed(b)).eq(written));
    let denied = lines.iter().filter(|l| l.starts_with("denied: ")).count();
    let last = lines.last().unwrap();
    assert!(
        last.starts_with("verified: 31 KiB written, flushed, read back and equal (63 blocks of 512 bytes)"),
        "{last}"
    );
    assert!(last.contains(&format!("{denied} requests beyond the grant denied")), "{last}");
    assert!(lines.contains(
        &"denied: write of 1 block from block 0 of window 1, without the right to write: denied by policy".into()
    ));
}

#[test]
fn each_fault_of_the_other_side_is_found() {
    use Fault::*;
    let faults = [
        LosesAWrite,
        MisplacesAWrite,
        ReadsNothing,
        AnswersShort,
        AllowsOnePastTheEnd,
        AllowsEveryRight,
        WrapsBlocks,
        TouchesMemoryOfRefusedReads,
        IgnoresThePayloadsPlace,
        FailsFlush,
    ];
    for fault in faults {
        let (verdict, lines) = run(&mut Gate::new(&GRANTS, fault), SMALL, 4);
        assert_eq!(verdict, Verdict::Failed, "{fault:?}: {lines:#?}");
        assert_eq!(lines.iter().filter(|l| l.starts_with("failed: ")).count(), 1, "{fault:?}: {lines:#?}");
    }
}

#[test]
fn without_writes_nothing_that_modifies_is_even_tried() {
    let mut gate = Gate::new(&GRANTS, Fault::None);
    let settings = [SMALL, &[("writes", 0)]].concat();
    let (verdict, lines) = run(&mut gate, &settings, 8);
    assert_eq!(verdict, Verdict::Passed, "{lines:#?}");
    assert!(gate.asked.iter().all(|ask| !ask.op.modifies()));
    assert!(lines.last().unwrap().contains("read, nothing written"));
}

#[test]
fn every_small_grant_passes_or_says_that_nothing_may_be_read() {
    for (blocks, rights, depth) in (1..5).flat_map(|b| (0..=ALL).map(move |r| (b, r, 1 + u64::from(r) % 3))) {
        let (verdict, lines) = run(&mut Gate::new(&[(blocks, rights)], Fault::None), SMALL, depth);
        let may_read = rights & right(Op::Read) != 0;
        assert_eq!(verdict == Verdict::Passed, may_read, "{blocks} blocks, rights {rights}: {lines:#?}");
    }
}

#[test]
fn the_meter_sends_as_many_as_asked_within_its_span() {
    for (stride, blocks) in [(7, 1), (0, 1), (3, 4), (64, 16)] {
        let mut gate = Gate::new(&[(64, ALL)], Fault::None);
        let span = 20;
        let settings = [("bench_op", 1), ("bench_count", 100), ("bench_blocks", blocks)];
        let settings = [&settings[..], &[("bench_stride", stride), ("bench_span", span), ("bench_depth", 5)]].concat();
        let (verdict, lines) = run(&mut gate, &settings, 32);
        assert_eq!((verdict, gate.asked.len()), (Verdict::Passed, 100));
        assert!(gate.asked.iter().all(|a| a.op == Op::Read && a.block + u64::from(a.count) <= span));
        let expected = format!("bench: 100 x read of {} bytes, depth 5: 5000000 ns, 50000 ns each", blocks * SIZE);
        assert_eq!(lines, [expected]);
    }
}

#[test]
fn the_meter_does_not_write_where_writes_are_forbidden() {
    let gate = Gate::new(&[(64, ALL)], Fault::None);
    let setting = |key: &str| [("bench_op", 2), ("writes", 0)].into_iter().find(|(k, _)| *k == key).map(|(_, v)| v);
    assert!(setup::job(&gate.server(), setting, 4, 1).is_err());
}
