// SPDX-License-Identifier: MIT
//! Reads a table: a pull parser that says which blocks it wants next, and does no I/O itself.
use crate::chain::{self, Chain};
use crate::copies::{Array, Head};
use crate::wire::{self, Mbr};
use crate::{Error, Fault, Kind, Scheme, Table};
use orion_block::BlockSize;

/// Most bytes that are wanted at once.
pub const FEED_MAX: usize = 4096;

/// Consecutive blocks of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// First block.
    pub first: u64,
    /// Blocks; [`FEED_MAX`] bytes at most.
    pub blocks: u64,
}

/// What is read next.
#[derive(Debug)]
enum Step {
    Mbr,
    /// The block after one that is no MBR.
    Unprotected,
    /// The header in this block.
    Header(u64),
    Array(Head, Array),
    /// The extended boot record in this block.
    Chain(u64),
    Done(Option<Error>),
}

/// Reads the table of one disk.
#[derive(Debug)]
pub struct Probe {
    block: BlockSize,
    capacity: u64,
    step: Step,
    /// The backup copy of a GPT is being read.
    backup: bool,
    /// The header of the primary copy, if that is good.
    head: Option<Head>,
    primary: Option<Fault>,
    hybrid: bool,
    chain: Chain,
    /// The first thing wrong with an entry.
    wrong: Option<Fault>,
    table: Table,
}

impl Probe {
    /// Of a disk of `capacity` blocks.
    pub fn new(block: BlockSize, capacity: u64) -> Self {
        let table = Table::EMPTY;
        let mut probe = Self {
            block,
            capacity,
            step: Step::Mbr,
            backup: false,
            head: None,
            primary: None,
            hybrid: false,
            chain: Chain::default(),
            wrong: None,
            table,
        };
        if block > BlockSize::B4096 {
            probe.fail(Kind::BlockSize, 0);
        } else if capacity == 0 {
            probe.fail(Kind::TooSmall, 0);
        }
        probe
    }

    /// Of a disk that is not there.
    pub fn absent() -> Self {
        let mut probe = Self::new(BlockSize::B512, 1);
        probe.silent();
        probe
    }

    /// The blocks to [`feed`](Self::feed) next, all of them on the disk; `None` once the outcome is known.
    pub fn want(&self) -> Option<Extent> {
        let (first, blocks) = match &self.step {
            Step::Mbr => (0, 1),
            Step::Unprotected => (1, 1),
            Step::Header(at) | Step::Chain(at) => (*at, 1),
            Step::Array(head, array) => array.next(head, self.block.shift())?,
            Step::Done(_) => return None,
        };
        Some(Extent { first, blocks })
    }

    /// Takes the bytes of the blocks that were wanted; anything but exactly those counts as unreadable.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Some(Extent { first, blocks }) = self.want() else {
            return;
        };
        if bytes.len() as u64 != blocks << self.block.shift() {
            return self.unreadable();
        }
        match core::mem::replace(&mut self.step, Step::Mbr) {
            Step::Mbr => self.mbr(bytes),
            Step::Unprotected => self.unprotected(bytes),
            Step::Header(at) => self.header(at, bytes),
            Step::Array(head, array) => self.array(head, array, bytes, first),
            Step::Chain(at) => self.link(at, bytes),
            done @ Step::Done(_) => self.step = done,
        }
    }

    /// Says that the blocks that were wanted cannot be read.
    pub fn unreadable(&mut self) {
        let at = self.want().map_or(0, |extent| extent.first);
        let fault = Fault { kind: Kind::Unreadable, at };
        match self.step {
            Step::Header(_) | Step::Array(..) => self.copy_ended(Err(fault)),
            Step::Done(_) => {}
            _ => self.step = Step::Done(Some(Error::Table(fault))),
        }
    }

    /// Says that the disk does not answer: nothing more is wanted.
    pub fn silent(&mut self) {
        if let Some(Extent { first, .. }) = self.want() {
            self.fail(Kind::Silent, first);
        }
    }

    /// The table, or why there is none; `None` while something is wanted.
    pub fn outcome(&self) -> Option<Result<&Table, Error>> {
        match &self.step {
            Step::Done(None) => Some(Ok(&self.table)),
            Step::Done(Some(error)) => Some(Err(*error)),
            _ => None,
        }
    }

    fn fail(&mut self, kind: Kind, at: u64) {
        self.step = Step::Done(Some(Error::Table(Fault { kind, at })));
    }

    fn mbr(&mut self, block: &[u8]) {
        let Some(mbr) = Mbr::parse(block) else {
            if self.capacity > 1 {
                self.step = Step::Unprotected;
            } else {
                self.fail(Kind::NoTable, 0);
            }
            return;
        };
        if mbr.protective() {
            self.hybrid = mbr.entries.iter().any(|e| e.kind != 0 && e.kind != wire::PROTECTIVE);
            return self.read_header(1);
        }
        self.table.scheme = Scheme::Mbr { signature: mbr.signature.get() };
        match chain::primary(mbr, self.capacity, &mut self.table) {
            Ok(Some((at, chain))) => {
                self.chain = chain;
                self.step = Step::Chain(at);
            }
            Ok(None) => self.step = Step::Done(None),
            Err(kind) => self.fail(kind, 0),
        }
    }

    fn unprotected(&mut self, block: &[u8]) {
        let kind = if wire::Header::parse(block).is_some() { Kind::Unprotected } else { Kind::NoTable };
        self.fail(kind, 0);
    }

    fn link(&mut self, at: u64, block: &[u8]) {
        match self.chain.link(at, block, &mut self.table) {
            Ok(Some(next)) => self.step = Step::Chain(next),
            Ok(None) => self.step = Step::Done(None),
            Err(fault) => self.fail(fault.kind, fault.at),
        }
    }

    fn read_header(&mut self, at: u64) {
        self.step = Step::Header(at);
        if at >= self.capacity || (self.backup && at <= 1) {
            self.copy_ended(Err(Fault { kind: Kind::NoHeader, at }));
        }
    }

    fn header(&mut self, at: u64, block: &[u8]) {
        match Head::parse(block, at, self.backup, self.capacity) {
            Ok(head) => self.step = Step::Array(head, Array::default()),
            Err(fault) => self.copy_ended(Err(fault)),
        }
    }

    fn array(&mut self, head: Head, mut array: Array, bytes: &[u8], at: u64) {
        // The backup is only compared where the primary copy is good.
        let collect = self.head.is_none();
        for found in array.feed(&head, bytes) {
            if collect && let Err(kind) = found.and_then(|partition| self.table.add(partition)) {
                self.wrong.get_or_insert(Fault { kind, at });
            }
        }
        if array.next(&head, self.block.shift()).is_some() {
            self.step = Step::Array(head, array);
        } else if array.matches(&head) {
            self.copy_ended(Ok(head));
        } else {
            self.copy_ended(Err(Fault { kind: Kind::ArrayCrc, at: head.array }));
        }
    }

    /// Goes on to the backup, or to the outcome. A table whose CRCs match and whose entries make no sense is what somebody
    /// wrote: the other copy is not tried then.
    fn copy_ended(&mut self, outcome: Result<Head, Fault>) {
        match outcome {
            Ok(_) => {
                if let Some(fault) = self.wrong {
                    return self.fail(fault.kind, fault.at);
                }
            }
            Err(_) if self.head.is_none() => {
                self.table.partitions.clear();
                self.wrong = None;
            }
            Err(_) => {}
        }
        if self.backup {
            return self.both_read(outcome);
        }
        self.backup = true;
        self.head = outcome.ok();
        self.primary = outcome.err();
        self.read_header(self.head.map_or(self.capacity.saturating_sub(1), |head| head.other));
    }

    fn both_read(&mut self, outcome: Result<Head, Fault>) {
        let (head, backup) = match (self.head, outcome) {
            (Some(head), Ok(other)) if other.content == head.content => (head, None),
            (Some(head), Ok(other)) => (head, Some(Fault { kind: Kind::Differs, at: other.at })),
            (Some(head), Err(fault)) => (head, Some(fault)),
            (None, Ok(other)) => (other, None),
            (None, Err(backup)) => {
                let primary = self.primary.unwrap_or(backup);
                self.step = Step::Done(Some(Error::Copies { primary, backup }));
                return;
            }
        };
        self.table.scheme = Scheme::Gpt {
            disk: head.content.disk,
            primary: self.primary,
            backup,
            grown: self.primary.is_none() && head.other < self.capacity.saturating_sub(1),
            hybrid: self.hybrid,
        };
        self.step = Step::Done(None);
    }
}
