// SPDX-License-Identifier: MIT
//! Disks in memory that keep what is written in a cache, answer in any order, fail, and lose power.
use orion_block::{BlockSize, Buf, Completion, Error, Limits, Op, Request};
use orion_layer::{Interrupted, Lowers, Payload, Submission};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::vec::Vec;

/// Numbers from a seed: splitmix64.
#[derive(Clone, Debug)]
pub struct Numbers(pub u64);

impl Numbers {
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.number() % n
    }
}

/// Region 0 is the client's, region 1 the layer's.
#[derive(Clone, Debug)]
pub struct Ram(pub Rc<RefCell<[Vec<u8>; 2]>>);

impl Payload for Ram {
    fn read(&self, from: Buf, to: &mut [u8]) -> bool {
        let all = self.0.borrow();
        let at = from.offset as usize;
        all[from.region.0 as usize].get(at..at + to.len()).is_some_and(|bytes| {
            to.copy_from_slice(bytes);
            true
        })
    }
    fn write(&mut self, to: Buf, from: &[u8]) -> bool {
        let mut all = self.0.borrow_mut();
        let at = to.offset as usize;
        all[to.region.0 as usize].get_mut(at..at + from.len()).is_some_and(|bytes| {
            bytes.copy_from_slice(from);
            true
        })
    }
    fn lend(&mut self, at: Buf, len: usize, f: &mut dyn FnMut(&mut [u8])) -> bool {
        let mut all = self.0.borrow_mut();
        let bytes = all[1].get_mut(at.offset as usize..).and_then(|bytes| bytes.get_mut(..len));
        at.region.0 == 1 && bytes.map(f).is_some()
    }
}

/// One disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    pub durable: Vec<u8>,
    /// Versions of each sector since the last flush, where there is a cache.
    pub cached: Option<BTreeMap<usize, Vec<[u8; 512]>>>,
    /// Sectors that cannot be read until they are written.
    pub bad: BTreeSet<usize>,
    /// Writes fail.
    pub worn: bool,
    /// Writes are refused, as something that the disk does not do.
    pub refuses: bool,
    pub dead: bool,
    pub reads: u64,
    pub writes: u64,
    /// Sectors that were written.
    pub written: u64,
    pub flushes: u64,
}

impl Disk {
    pub fn sector(&self, at: usize) -> [u8; 512] {
        let cached = self.cached.as_ref().and_then(|cache| cache.get(&at)).and_then(|versions| versions.last());
        cached.copied().unwrap_or_else(|| self.durable[at * 512..][..512].try_into().unwrap())
    }
    pub fn put(&mut self, at: usize, bytes: [u8; 512], fua: bool) {
        self.bad.remove(&at);
        self.written += 1;
        match &mut self.cached {
            Some(cache) if !fua => cache.entry(at).or_default().push(bytes),
            cache => {
                if let Some(cache) = cache {
                    cache.remove(&at);
                }
                self.durable[at * 512..][..512].copy_from_slice(&bytes);
            }
        }
    }
    pub fn flush(&mut self) {
        for (at, versions) in self.cached.iter_mut().flat_map(std::mem::take) {
            self.durable[at * 512..][..512].copy_from_slice(versions.last().unwrap());
        }
    }
    /// Each sector of the cache keeps any of the versions that it had.
    pub fn lose_power(&mut self, numbers: &mut Numbers) {
        let mood = numbers.below(4);
        for (at, versions) in self.cached.iter_mut().flat_map(std::mem::take) {
            let count = versions.len() as u64;
            let kept = match mood {
                0 => count,
                1 => 0,
                _ => numbers.below(count + 1),
            };
            if kept > 0 {
                self.durable[at * 512..][..512].copy_from_slice(&versions[kept as usize - 1]);
            }
        }
    }
    fn perform(&mut self, req: &Request, scale: u8, ram: &mut Ram) -> Completion {
        let (first, count) = ((req.lba.0 << scale) as usize, (req.blocks as usize) << scale);
        if self.dead {
            return Completion::error(Error::Offline);
        }
        if req.op != Op::Flush && (first + count) * 512 > self.durable.len() {
            return Completion::error(Error::OutOfRange);
        }
        match req.op {
            Op::Read => self.reads += 1,
            Op::Flush => self.flushes += 1,
            _ => self.writes += 1,
        }
        for n in 0..count {
            let buf = Buf { offset: req.buf.offset + n as u64 * 512, ..req.buf };
            let at = first + n;
            let blocks = (n >> scale) as u32;
            match req.op {
                Op::Read if self.bad.contains(&at) => return Completion { status: Err(Error::Medium), blocks },
                Op::Read => assert!(ram.write(buf, &self.sector(at)), "{req:?}"),
                Op::Write if self.refuses => return Completion { status: Err(Error::Unsupported), blocks },
                Op::Write if self.worn => return Completion { status: Err(Error::Io), blocks },
                Op::Write => {
                    let mut bytes = [0; 512];
                    assert!(ram.read(buf, &mut bytes), "{req:?}");
                    self.put(at, bytes, req.fua);
                }
                _ => self.put(at, [0; 512], req.fua),
            }
        }
        if req.op == Op::Flush {
            self.flush();
        }
        Completion::ok(req.blocks)
    }
}

/// All disks, as what is below the node.
#[derive(Clone, Debug)]
pub struct Disks {
    pub disks: Vec<Disk>,
    pub scale: u8,
    pub pending: Vec<(u8, Submission)>,
    pub answers: VecDeque<(u8, u32, Completion)>,
    pub numbers: Numbers,
    /// So many requests are performed, then none: the power is about to go.
    pub left: Option<u64>,
    /// Requests that were performed.
    pub performed: u64,
    /// They take no writes that are durable at once.
    pub plain: bool,
}

impl Disks {
    /// Performs one request, any of those that are out; whether there was one.
    pub fn perform(&mut self, ram: &mut Ram) -> bool {
        if self.pending.is_empty() || self.left == Some(0) {
            return false;
        }
        if let Some(left) = &mut self.left {
            *left -= 1;
        }
        self.performed += 1;
        let next = self.numbers.below(self.pending.len() as u64) as usize;
        let (port, Submission { tag, req }) = self.pending.swap_remove(next);
        let done = self.disks[port as usize].perform(&req, self.scale, ram);
        self.answers.push_back((port, tag, done));
        true
    }
}

impl Lowers for Disks {
    fn count(&self) -> u8 {
        self.disks.len() as u8
    }
    fn capacity(&self, _: u8) -> u16 {
        512
    }
    fn limits(&self, port: u8) -> Option<Limits> {
        let disk = self.disks.get(port as usize)?;
        let block = BlockSize::from_shift(9 + self.scale).unwrap();
        let capacity = if disk.dead { 0 } else { (disk.durable.len() as u64 / 512) >> self.scale };
        let volatile_cache = disk.cached.is_some();
        let rest = Limits { atomic_blocks: 1, fua: !self.plain, write_zeroes: true, ..Limits::default() };
        Some(Limits { block, physical: block, capacity, volatile_cache, ..rest })
    }
    fn submit(&mut self, port: u8, submission: Submission) {
        self.pending.push((port, submission));
    }
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        Ok(self.answers.pop_front())
    }
}
