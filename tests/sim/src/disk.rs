// SPDX-License-Identifier: MIT
//! A simulated disk: what it holds, what only its cache holds, and what goes wrong with it.
//!
//! Writes go into a volatile cache; a flush makes them durable. When power is lost, each block that is cached gets any
//! one of the versions that it had since the last flush: so multi-block writes are torn between blocks, and writes are
//! reordered, but a block is never a mixture.
use crate::events::{Event, Events};
use crate::faults::{Fault, FaultSet};
use crate::random::Random;
use orion_driver::model::Medium;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Bytes of a sector, virtio's unit.
const SECTOR: usize = 512;

/// What a disk is.
#[derive(Clone, Copy, Debug)]
pub struct DiskShape {
    /// Bytes of a block: 512 or 4096.
    pub block: usize,
    /// Blocks.
    pub blocks: usize,
    /// It has a volatile cache, and flushes it when asked.
    pub cache: bool,
    /// What goes wrong.
    pub faults: FaultSet,
}

/// A simulated disk. It outlives its machine's power.
#[derive(Debug)]
pub struct SimDisk {
    /// What it is.
    pub shape: DiskShape,
    /// What is durable.
    durable: Vec<u8>,
    /// What reads see, where it differs: the versions of each block since the last flush, in order.
    cached: BTreeMap<usize, Vec<Vec<u8>>>,
    /// Number of the request that changed each cached block last.
    changed: BTreeMap<usize, u64>,
    requests: u64,
    /// Blocks that can't be read until they are written again.
    bad: BTreeSet<usize>,
    /// Blocks that it has damaged in silence, since this was last taken.
    damaged: Vec<usize>,
    /// Nothing goes wrong with the blocks before this one: a table of partitions is there.
    guarded: usize,
    random: Random,
    /// What happened.
    pub events: Events,
}

impl SimDisk {
    /// A disk that begins with `start`, with which nothing goes wrong.
    pub fn new(shape: DiskShape, start: &[u8], seed: u64) -> Self {
        let mut durable = vec![0; shape.block * shape.blocks];
        durable[..start.len()].copy_from_slice(start);
        Self {
            shape,
            durable,
            cached: BTreeMap::new(),
            changed: BTreeMap::new(),
            requests: 0,
            bad: BTreeSet::new(),
            damaged: Vec::new(),
            guarded: start.len().div_ceil(shape.block),
            random: Random::new(seed),
            events: Events::default(),
        }
    }

    /// Blocks that it has damaged in silence since this was last asked.
    pub fn take_damaged(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.damaged)
    }

    /// What is durable.
    pub fn durable(&self) -> &[u8] {
        &self.durable
    }

    /// From this block on it holds what it did before.
    pub fn put_back(&mut self, block: usize, bytes: &[u8]) {
        self.durable[block * self.shape.block..][..bytes.len()].copy_from_slice(bytes);
    }

    /// A bit of a durable block changes, in a byte by this number.
    pub fn flip(&mut self, block: usize, at: usize) {
        self.durable[block * self.shape.block + at % self.shape.block] ^= 1 << (at % 8);
    }

    /// From now on things go wrong with all blocks but those before this one.
    pub fn guard(&mut self, before: usize) {
        self.guarded = before;
    }

    /// Some blocks can't be read until they are written again.
    pub fn lose(&mut self, blocks: std::ops::Range<usize>) {
        self.bad.extend(blocks);
    }

    /// Another disk is there, which is empty.
    pub fn wipe(&mut self) {
        self.durable.fill(0);
        self.bad.clear();
    }

    /// All blocks can be read.
    pub fn heal(&mut self) {
        self.bad.clear();
    }

    fn strikes(&mut self, fault: Fault, one_in: usize) -> bool {
        self.shape.faults.has(fault) && self.random.below(one_in) == 0
    }

    /// The blocks that some sectors are, if it has them all.
    fn blocks(&self, sector: u64, bytes: usize) -> Option<std::ops::Range<usize>> {
        let start = usize::try_from(sector).ok()?.checked_mul(SECTOR)?;
        let end = start.checked_add(bytes)?;
        let whole = bytes > 0 && start % self.shape.block == 0 && end % self.shape.block == 0;
        (whole && end <= self.durable.len()).then_some(start / self.shape.block..end / self.shape.block)
    }

    /// What reads of a block see.
    pub fn content(&self, block: usize) -> &[u8] {
        let own = block * self.shape.block..(block + 1) * self.shape.block;
        self.cached.get(&block).and_then(|versions| versions.last()).map_or(&self.durable[own], |version| version)
    }

    fn put(&mut self, block: usize, bytes: &[u8]) {
        self.bad.remove(&block);
        if self.shape.cache {
            self.cached.entry(block).or_default().push(bytes.to_vec());
            self.changed.insert(block, self.requests);
        } else {
            self.durable[block * self.shape.block..][..bytes.len()].copy_from_slice(bytes);
        }
    }

    /// Writes one block, if nothing goes wrong.
    fn write_block(&mut self, block: usize, bytes: &[u8]) {
        if self.strikes(Fault::Lost, 300) && block >= self.guarded {
            self.events.note(Event::LostWrite);
            self.damaged.push(block);
        } else if self.strikes(Fault::Misdirected, 300) && block >= self.guarded {
            self.events.note(Event::Misdirected);
            let other = self.guarded + self.random.below(self.shape.blocks - self.guarded);
            self.damaged.extend([block, other]);
            self.put(other, bytes);
        } else {
            self.put(block, bytes);
        }
    }

    /// Content changes by itself, also what is durable.
    fn rots(&mut self) {
        if !self.strikes(Fault::Rot, 300) {
            return;
        }
        let block = self.guarded + self.random.below(self.shape.blocks - self.guarded);
        let at = self.random.below(self.shape.block);
        let bit = 1 << self.random.below(8);
        self.durable[block * self.shape.block + at] ^= bit;
        for version in self.cached.get_mut(&block).into_iter().flatten() {
            version[at] ^= bit;
        }
        self.events.note(Event::Rot);
        self.damaged.push(block);
    }

    /// Takes the power away: what the cache holds survives in part.
    pub fn lose_power(&mut self) {
        let cached = std::mem::take(&mut self.cached);
        let changed = std::mem::take(&mut self.changed);
        let mood = self.random.below(4);
        let (mut kept, mut lost) = (BTreeSet::new(), BTreeSet::new());
        for (block, versions) in cached {
            let count = versions.len();
            // All, nothing, or any version of each block.
            let survivor = match mood {
                0 => count,
                1 => 0,
                _ => self.random.below(count + 1),
            };
            let own = block * self.shape.block;
            match survivor.checked_sub(1) {
                None => self.events.note(Event::CacheLost),
                Some(at) => {
                    self.durable[own..][..self.shape.block].copy_from_slice(&versions[at]);
                    if survivor < count {
                        self.events.note(Event::CacheOlder);
                    }
                    if self.strikes(Fault::TornBlocks, 8) {
                        self.durable[own..][..self.shape.block / 2].fill(0xee);
                    }
                }
            }
            let request = changed.get(&block).copied().unwrap_or(0);
            if survivor == count {
                kept.insert(request)
            } else {
                lost.insert(request)
            };
        }
        if kept.intersection(&lost).next().is_some() {
            self.events.note(Event::Torn);
        }
        if lost.first().zip(kept.last()).is_some_and(|(lost, kept)| lost < kept) {
            self.events.note(Event::Reordered);
        }
    }
}

/// The disk as its controller's medium.
#[derive(Clone, Debug)]
pub struct Attached(pub Rc<RefCell<SimDisk>>);

impl Medium for Attached {
    fn read(&mut self, sector: u64, into: &mut [u8]) -> bool {
        let disk = &mut *self.0.borrow_mut();
        disk.rots();
        let Some(blocks) = disk.blocks(sector, into.len()) else { return false };
        for (block, part) in blocks.zip(into.chunks_mut(disk.shape.block)) {
            if block >= disk.guarded && disk.strikes(Fault::Errors, 400) {
                disk.bad.insert(block);
            }
            if disk.bad.contains(&block) {
                disk.events.note(Event::MediumError);
                return false;
            }
            part.copy_from_slice(disk.content(block));
        }
        true
    }

    fn write(&mut self, sector: u64, from: &[u8]) -> bool {
        let disk = &mut *self.0.borrow_mut();
        let Some(blocks) = disk.blocks(sector, from.len()) else { return false };
        disk.requests += 1;
        for (block, part) in blocks.zip(from.chunks(disk.shape.block)) {
            // The blocks before it are written.
            if disk.strikes(Fault::Errors, 400) {
                disk.events.note(Event::MediumError);
                return false;
            }
            disk.write_block(block, part);
        }
        true
    }

    fn clear(&mut self, sector: u64, sectors: u32, zeroes: bool) -> bool {
        let disk = &mut *self.0.borrow_mut();
        let Some(blocks) = disk.blocks(sector, sectors as usize * SECTOR) else { return false };
        disk.requests += 1;
        // A discard may be ignored, or leave anything.
        let fill = match (zeroes, disk.random.below(3)) {
            (true, _) | (false, 0) => 0,
            (false, 1) => return true,
            _ => 0xdd,
        };
        let bytes = vec![fill; disk.shape.block];
        blocks.for_each(|block| disk.write_block(block, &bytes));
        true
    }

    fn flush(&mut self) -> bool {
        let disk = &mut *self.0.borrow_mut();
        if disk.strikes(Fault::Errors, 100) {
            disk.events.note(Event::FlushError);
            return false;
        }
        if disk.strikes(Fault::Lies, 2) {
            disk.events.note(Event::LyingFlush);
            return true;
        }
        for (block, versions) in std::mem::take(&mut disk.cached) {
            if let Some(last) = versions.last() {
                disk.durable[block * disk.shape.block..][..last.len()].copy_from_slice(last);
            }
        }
        disk.changed.clear();
        true
    }
}
