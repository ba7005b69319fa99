// SPDX-License-Identifier: MIT
//! Keeps the records of a ring in an extent: looks at what is there, finds the chain's end, and goes on with it.
//!
//! It does no I/O itself: [`Keeper::step`] says what to do next, one thing at a time, and is told of its end. A record is taken
//! from the ring once it is durable.
use crate::chain::{Fault, Head};
use crate::extent::{self, BLOCK, PER_BLOCK, Scan};
use crate::ring::Consumer;
use crate::wire::{Bytes, RECORD};
use core::fmt;

/// Blocks that are read at a time while the chain is looked at.
pub const CHUNK: u32 = 16;
/// Fewest blocks of an extent.
pub const BLOCKS_MIN: u64 = 64;

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Read blocks, then give each to [`Keeper::read`].
    Read {
        /// The first, counted from the extent's first.
        block: u64,
        /// How many.
        count: u32,
    },
    /// Write [`Keeper::page`], then call [`Keeper::done`].
    Write {
        /// Where.
        block: u64,
    },
    /// Make durable what was written, then call [`Keeper::done`].
    Flush,
    /// Nothing until the ring has records.
    Rest,
    /// Nothing any more.
    Over(Over),
}

/// Why no more records are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// There is something in the extent that is no audit.
    Foreign,
    /// The audit there was begun with another number of blocks: this one.
    Size(u64),
    /// The chain is broken at this record.
    Broken(u64, Fault),
    /// What the ring has does not follow what is kept.
    Ring,
    /// The extent is full.
    Full,
}

impl fmt::Display for Over {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign => {
                f.write_str("there is something in the extent that is no audit; zero these blocks, or give it others")
            }
            Self::Size(blocks) => {
                write!(f, "the audit was begun with {blocks} blocks; give it as many, or begin a new one")
            }
            Self::Broken(at, fault) => write!(
                f,
                "the chain is broken at record {at}: {fault}; look at it with `orion audit show`, keep a copy, then zero its blocks"
            ),
            Self::Ring => f.write_str("what the gatekeeper records does not follow what is kept"),
            Self::Full => f.write_str("the extent is full; keep a copy of it, then zero its blocks"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Reads the first block.
    Header,
    /// Follows the chain, from this block on.
    Scan(u64),
    /// Reads the block that holds the chain's end.
    Tail,
    /// Writes that block anew, without what a crash left of records.
    Mend,
    /// Writes the first block.
    Label,
    /// Makes durable what was found, which an earlier life of the keeper may have written and not flushed, or was just written.
    Settle,
    /// Waits for records.
    Ready,
    /// Writes so many.
    Append(u64),
    /// Makes them durable.
    Commit(u64),
    Over(Over),
}

/// The keeper of an extent.
#[derive(Debug)]
pub struct Keeper {
    blocks: u64,
    state: State,
    scan: Scan,
    /// The end of what is in the extent and in `tail`.
    head: Head,
    /// The block that holds the chain's end.
    tail: [u8; BLOCK],
    /// The extent has no first block yet.
    fresh: bool,
    /// The ring was told where the chain goes on.
    resumed: bool,
}

impl Keeper {
    /// The keeper of an extent of so many blocks.
    pub fn new(blocks: u64) -> Self {
        Self {
            blocks,
            state: State::Header,
            scan: Scan::default(),
            head: Head::default(),
            tail: [0; BLOCK],
            fresh: false,
            resumed: false,
        }
    }

    /// The end of the chain that was found, once it is known.
    pub fn found(&self) -> Option<Head> {
        self.resumed.then(|| self.scan.head())
    }

    /// The record at which the chain that was found had to be mended.
    pub fn mended(&self) -> Option<u64> {
        self.scan.fault().map(|(at, _)| at)
    }

    /// What to do next. Asked again before that is done, it says the same.
    pub fn step(&mut self, ring: &mut Consumer) -> Step {
        if self.state == State::Ready {
            self.state = self.gather(ring);
        }
        match self.state {
            State::Header => Step::Read { block: 0, count: 1 },
            State::Scan(block) => {
                let left = u32::try_from(self.blocks.saturating_sub(block)).unwrap_or(u32::MAX);
                Step::Read { block, count: left.min(CHUNK) }
            }
            State::Tail => Step::Read { block: extent::block_of(self.head.records), count: 1 },
            State::Mend => Step::Write { block: extent::block_of(self.head.records) },
            State::Append(_) => Step::Write { block: extent::block_of(self.head.records - 1) },
            State::Label => Step::Write { block: 0 },
            State::Settle | State::Commit(_) => Step::Flush,
            State::Ready => Step::Rest,
            State::Over(over) => {
                ring.stop();
                Step::Over(over)
            }
        }
    }

    /// What to write.
    pub fn page(&self) -> [u8; BLOCK] {
        if self.state == State::Label { extent::header(self.blocks) } else { self.tail }
    }

    /// Takes a block that was read.
    pub fn read(&mut self, block: &[u8; BLOCK]) {
        match self.state {
            State::Header => self.state = self.opened(block),
            State::Scan(at) => {
                for record in block.as_chunks::<RECORD>().0 {
                    self.scan.place(record);
                }
                self.state = if at + 1 < self.blocks { State::Scan(at + 1) } else { self.scanned() };
            }
            State::Tail => {
                let good = usize::try_from(self.head.records % PER_BLOCK).unwrap_or(0) * RECORD;
                self.tail = *block;
                self.tail.iter_mut().skip(good).for_each(|byte| *byte = 0);
                self.state = if self.tail == *block { State::Settle } else { State::Mend };
            }
            _ => {}
        }
    }

    /// What was to be written, or made durable, is.
    pub fn done(&mut self, ring: &mut Consumer) {
        self.state = match self.state {
            State::Mend | State::Label => State::Settle,
            State::Settle => State::Ready,
            State::Append(records) => State::Commit(records),
            State::Commit(records) => {
                ring.take(records);
                if self.head.records.is_multiple_of(PER_BLOCK) {
                    self.tail = [0; BLOCK];
                }
                State::Ready
            }
            other => other,
        };
    }

    fn opened(&mut self, block: &[u8; BLOCK]) -> State {
        self.fresh = block.iter().all(|byte| *byte == 0);
        match extent::blocks(block) {
            _ if self.fresh => State::Scan(1),
            None => State::Over(Over::Foreign),
            Some(blocks) if blocks != self.blocks => State::Over(Over::Size(blocks)),
            Some(_) => State::Scan(1),
        }
    }

    fn scanned(&mut self) -> State {
        self.head = self.scan.head();
        match self.scan.fault() {
            // Whoever begins an audit on what is not empty may have the wrong blocks.
            Some(_) if self.fresh => State::Over(Over::Foreign),
            _ if self.fresh && self.head.records > 0 => State::Over(Over::Foreign),
            _ if self.fresh => State::Label,
            Some((at, fault)) if !self.scan.torn() => State::Over(Over::Broken(at, fault)),
            // Full: there is no block that holds its end.
            _ if self.head.records >= extent::capacity(self.blocks) => State::Settle,
            _ => State::Tail,
        }
    }

    /// Puts what the ring has into the block that holds the chain's end, as much as has room there.
    fn gather(&mut self, ring: &mut Consumer) -> State {
        let room = extent::capacity(self.blocks).saturating_sub(self.head.records);
        if !self.resumed {
            if !ring.resume(self.head, room) {
                return State::Over(Over::Ring);
            }
            self.resumed = true;
        }
        if room == 0 {
            return State::Over(Over::Full);
        }
        let first = self.head.records;
        let most = PER_BLOCK - first % PER_BLOCK;
        let mut records = 0;
        while records < most
            && let Some(record) = ring.peek(records)
        {
            let Ok(head) = self.head.follow(&record) else { return State::Over(Over::Ring) };
            self.put(self.head.records, &record);
            self.head = head;
            records += 1;
        }
        if records == 0 { State::Ready } else { State::Append(records) }
    }

    fn put(&mut self, sequence: u64, record: &Bytes) {
        let place = usize::try_from(sequence % PER_BLOCK).unwrap_or(0);
        if let Some(to) = self.tail.as_chunks_mut::<RECORD>().0.get_mut(place) {
            *to = *record;
        }
    }
}
