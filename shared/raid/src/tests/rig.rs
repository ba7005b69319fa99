// SPDX-License-Identifier: MIT
//! An array over disks in memory that keep what is written in a cache, answer in any order, fail, and lose power.
use crate::create::{Device, New};
use crate::engine::{FANOUT, SLOTS, WORK_BYTES};
use crate::wire::SUPER_BYTES;
use crate::{Array, Raid, Super, Uuid, Version, probe};
use orion_block::{BlockSize, Buf, Completion, Error, Instant, Limits, Op, RegionId, Request};
use orion_layer::{Around, Event, Interrupted, Lowers, Node, Payload, Submission, Uppers};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

/// The layer's own memory.
pub const WORK: Buf = Buf { region: RegionId(1), offset: 4096 };

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
pub struct Ram(Rc<RefCell<[Vec<u8>; 2]>>);

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
    fn put(&mut self, at: usize, bytes: [u8; 512], fua: bool) {
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
    fn flush(&mut self) {
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
    pending: Vec<(u8, Submission)>,
    answers: VecDeque<(u8, u32, Completion)>,
    pub numbers: Numbers,
    /// So many requests are performed, then none: the power is about to go.
    pub left: Option<u64>,
    /// Requests that were performed.
    pub performed: u64,
}

impl Disks {
    /// Performs one request, any of those that are out; whether there was one.
    fn perform(&mut self, ram: &mut Ram) -> bool {
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
        let rest = Limits { atomic_blocks: 1, fua: true, write_zeroes: true, ..Limits::default() };
        Some(Limits { block, physical: block, capacity, volatile_cache, ..rest })
    }
    fn submit(&mut self, port: u8, submission: Submission) {
        self.pending.push((port, submission));
    }
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        Ok(self.answers.pop_front())
    }
}

#[derive(Debug, Default)]
pub struct Top {
    pub asked: VecDeque<Submission>,
    pub answered: VecDeque<(u32, Completion)>,
}

impl Uppers for Top {
    fn count(&self) -> u8 {
        1
    }
    fn next(&mut self, _: u8) -> Option<Submission> {
        self.asked.pop_front()
    }
    fn complete(&mut self, _: u8, tag: u32, done: Completion) {
        self.answered.push_back((tag, done));
    }
}

/// An array in use.
pub struct Rig {
    pub node: std::boxed::Box<Node<Raid, SLOTS, FANOUT>>,
    pub disks: Disks,
    pub top: Top,
    pub ram: Ram,
    pub now: u64,
}

impl Rig {
    /// Over these images.
    pub fn over(images: Vec<Vec<u8>>, scale: u8, cache: bool, seed: u64) -> Self {
        let disk = |durable| Disk { durable, cached: cache.then(BTreeMap::new), ..Disk::default() };
        let disks = images.into_iter().map(disk).collect();
        let numbers = Numbers(seed);
        let disks =
            Disks { disks, scale, pending: vec![], answers: VecDeque::new(), numbers, left: None, performed: 0 };
        let ram = Ram(Rc::new(RefCell::new([vec![0; 1 << 20], vec![0; 4096 + WORK_BYTES]])));
        let node = std::boxed::Box::new(Node::new(Raid::new(None, WORK), 1));
        Self { node, disks, top: Top::default(), ram, now: 0 }
    }

    /// A new array on disks of so many sectors.
    pub fn new(new: &New<'_>, sizes: &[u64], spares: usize, cache: bool, seed: u64) -> Self {
        Self::over(create(new, sizes, spares), 0, cache, seed)
    }

    /// Runs everything until nothing moves, or `steps` are over; whether something may still move.
    pub fn run(&mut self, steps: u64) -> bool {
        for _ in 0..steps {
            if !self.step() {
                return false;
            }
        }
        true
    }

    /// One step; whether anything moved.
    pub fn step(&mut self) -> bool {
        self.now += 1_000_000;
        let performed = self.disks.perform(&mut self.ram);
        let now = Instant(self.now);
        let (uppers, lowers, payload) = (&mut self.top, &mut self.disks, &mut self.ram);
        let progress = self.node.run(&mut Around { uppers, lowers, payload, now });
        assert_eq!(progress.misbehaved, None);
        performed || progress.moved || (progress.deadline.is_some() && self.disks.left != Some(0))
    }

    /// Until it serves.
    pub fn start(&mut self) -> &mut Self {
        for _ in 0..1000 {
            if self.node.ready() {
                return self;
            }
            self.step();
            assert_eq!(self.node.layer().fault(), None);
        }
        panic!("it does not start");
    }

    pub fn sectors(&self) -> u64 {
        let limits = self.node.limits().unwrap();
        limits.capacity << (limits.block.shift() - 9)
    }

    /// Sends a request for sectors, with payload at `at` of the client's memory.
    pub fn send(&mut self, tag: u32, op: Op, fua: bool, first: u64, count: u64, at: u64) {
        let scale = self.disks.scale;
        let buf = Buf { region: RegionId(0), offset: at };
        let (lba, blocks) = (orion_block::Lba(first >> scale), (count >> scale) as u32);
        self.top.asked.push_back(Submission { tag, req: Request { op, fua, lba, blocks, buf } });
    }

    /// Sends a request and waits for its end.
    pub fn ask(&mut self, op: Op, first: u64, count: u64, at: u64) -> Completion {
        self.send(7, op, false, first, count, at);
        for _ in 0..100_000 {
            if let Some((tag, done)) = self.top.answered.pop_front() {
                assert_eq!(tag, 7);
                return done;
            }
            self.step();
        }
        panic!("it hangs: {op:?} {first} {count}");
    }

    /// Puts a pattern into the client's memory.
    pub fn put(&mut self, at: u64, bytes: &[u8]) {
        assert!(self.ram.write(Buf { region: RegionId(0), offset: at }, bytes));
    }

    pub fn get(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        assert!(self.ram.read(Buf { region: RegionId(0), offset: at }, &mut bytes));
        bytes
    }

    /// Writes `version` of some sectors.
    pub fn write(&mut self, version: u32, first: u64, count: u64) -> Completion {
        let bytes: Vec<u8> = (first..first + count).flat_map(|at| content(at, version)).collect();
        self.put(0, &bytes);
        self.ask(Op::Write, first, count, 0)
    }

    /// The versions of some sectors, each read by itself.
    pub fn versions(&mut self, first: u64, count: u64) -> Vec<u32> {
        let done = self.ask(Op::Read, first, count, 0);
        assert_eq!(done, Completion::ok((count >> self.disks.scale) as u32), "{first} {count}");
        let bytes = self.get(0, count as usize * 512);
        (first..).zip(bytes.chunks(512)).map(|(at, bytes)| version(at, bytes)).collect()
    }

    /// Takes the power away and gives it back.
    pub fn crash(&mut self) {
        for disk in &mut self.disks.disks {
            disk.lose_power(&mut self.disks.numbers);
        }
        self.disks.pending.clear();
        self.disks.answers.clear();
        self.disks.left = None;
        self.top = Top::default();
        *self.node = Node::new(Raid::new(None, WORK), 2);
    }

    /// A device is gone for good.
    pub fn kill(&mut self, port: usize) {
        self.disks.disks[port].dead = true;
        self.disks.pending.retain(|(at, _)| *at != port as u8);
        self.disks.answers.retain(|(at, ..)| *at != port as u8);
        let (uppers, lowers, payload) = (&mut self.top, &mut self.disks, &mut self.ram);
        self.node.event(port as u8, Event::Gone, &mut Around { uppers, lowers, payload, now: Instant(self.now) });
    }

    /// Compares all copies.
    pub fn check(&mut self, repair: bool) {
        let (uppers, lowers, payload) = (&mut self.top, &mut self.disks, &mut self.ram);
        let around = &mut Around { uppers, lowers, payload, now: Instant(self.now) };
        self.node.control(around, |raid, io| raid.check(repair, io));
        self.settle();
    }

    /// Runs until nothing goes on in the background.
    pub fn settle(&mut self) {
        for _ in 0..2_000_000 {
            self.step();
            if self.node.layer().is_settled() && self.disks.pending.is_empty() && self.disks.answers.is_empty() {
                return;
            }
        }
        panic!("it never comes to rest: {:?}", self.node.layer().progress());
    }

    /// The superblocks as they are on the disks.
    pub fn supers(&self) -> Vec<Super> {
        let alive = self.disks.disks.iter().filter(|disk| !disk.dead);
        alive.filter_map(found).collect()
    }

    /// The array as anybody else would put it together.
    pub fn array(&self) -> Array {
        let supers = self.supers();
        Array::assemble(&supers, supers[0].set).unwrap()
    }
}

fn found(disk: &Disk) -> Option<Super> {
    let sectors = disk.durable.len() as u64 / 512;
    probe::places(sectors).find_map(|at| {
        let bytes: Vec<u8> = (0..SUPER_BYTES / 512).flat_map(|n| disk.sector(at as usize + n)).collect();
        Super::parse(&bytes, at, sectors)?.ok()
    })
}

/// Images of a new array.
pub fn create(new: &New<'_>, sizes: &[u64], spares: usize) -> Vec<Vec<u8>> {
    let members = sizes.len() - spares;
    let device = |(n, sectors): (usize, &u64)| Device {
        sectors: *sectors,
        uuid: Uuid([n as u8 + 1; 16]),
        spare: n >= members,
        missing: false,
    };
    let devices: Vec<Device> = sizes.iter().enumerate().map(device).collect();
    let mut images: Vec<Vec<u8>> = sizes.iter().map(|sectors| vec![0; *sectors as usize * 512]).collect();
    for (image, made) in images.iter_mut().zip(new.supers(&devices).unwrap()) {
        let at = made.super_offset as usize * 512;
        let mut bytes = [0; 1024];
        let used = made.emit(&mut bytes).unwrap();
        image[at..at + used].copy_from_slice(&bytes[..used]);
    }
    images
}

/// An array of 1.2, data from sector 64 on.
pub fn new(level: i32, layout: u32, chunk: u32) -> New<'static> {
    let (version, set) = (Version::V12, Uuid([9; 16]));
    New { version, set, name: "test:rig", created: 1, level, layout, chunk, data_offset: 64, clean: true }
}

/// What version `version` of a sector holds: 0 is zeroes.
pub fn content(sector: u64, version: u32) -> [u8; 512] {
    let mut bytes = [0; 512];
    if version > 0 {
        let word = sector << 32 | u64::from(version);
        bytes.chunks_mut(8).for_each(|chunk| chunk.copy_from_slice(&word.to_le_bytes()));
    }
    bytes
}

/// The version that a sector holds.
pub fn version(sector: u64, bytes: &[u8]) -> u32 {
    let version = u32::from_le_bytes(bytes[..4].try_into().unwrap());
    assert_eq!(bytes, content(sector, version), "sector {sector} holds what is of another, or no version at all");
    version
}
