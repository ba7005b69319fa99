// SPDX-License-Identifier: MIT
//! An array in use over disks in memory.
pub use super::disks::{Disk, Disks, Numbers, Ram};
use crate::create::{Device, New};
use crate::engine::{Ctx, FANOUT, Mend, SLOTS, WORK_BYTES};
use crate::ppl::TURN_SECTORS;
use crate::wire::{SUPER_BYTES, feature};
use crate::{Array, Ppl, Raid, Super, Uuid, Version, probe};
use orion_block::{Buf, Completion, Instant, Op, RegionId, Request};
use orion_layer::{Around, Event, Io, Node, Payload, Submission, Uppers};
use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

/// The layer's own memory.
pub const WORK: Buf = Buf { region: RegionId(1), offset: 4096 };

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
        let disks = Disks {
            disks,
            scale,
            pending: vec![],
            answers: VecDeque::new(),
            numbers,
            left: None,
            performed: 0,
            plain: false,
        };
        let ram = Ram(Rc::new(RefCell::new([vec![0; 1 << 20], vec![0x77; 4096 + WORK_BYTES]])));
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

    /// So many steps, whether anything moves or not.
    pub fn steps(&mut self, steps: u64) {
        for _ in 0..steps {
            self.step();
        }
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

    /// Orders something of the layer.
    pub fn order<T>(&mut self, f: impl FnOnce(&mut Raid, &mut Io<'_, Ctx>) -> T) -> T {
        let (uppers, lowers, payload) = (&mut self.top, &mut self.disks, &mut self.ram);
        let around = &mut Around { uppers, lowers, payload, now: Instant(self.now) };
        self.node.control(around, f).unwrap()
    }

    /// Compares all copies.
    pub fn check(&mut self, mend: Mend) {
        let (uppers, lowers, payload) = (&mut self.top, &mut self.disks, &mut self.ram);
        let around = &mut Around { uppers, lowers, payload, now: Instant(self.now) };
        self.node.control(around, |raid, io| raid.check(mend, io));
        self.settle();
    }

    /// Orders a reshape.
    pub fn reshape(&mut self, change: &crate::reshape::Change) {
        self.order(|raid, io| raid.reshape(change, io)).unwrap();
    }

    /// Orders whatever makes of the array what is wanted, with what follows from that.
    pub fn grow(&mut self, change: &crate::reshape::Change) -> Result<(), crate::Kind> {
        let change = change.of(&self.array().newest);
        self.order(|raid, io| raid.reshape(&change, io))
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

pub fn found(disk: &Disk) -> Option<Super> {
    let sectors = disk.durable.len() as u64 / 512;
    probe::places(sectors).find_map(|at| {
        let bytes: Vec<u8> = (0..SUPER_BYTES / 512).flat_map(|n| disk.sector(at as usize + n)).collect();
        Super::parse(&bytes, at, sectors)?.ok()
    })
}

/// Images of a new array.
pub fn create(new: &New<'_>, sizes: &[u64], spares: usize) -> Vec<Vec<u8>> {
    marked(new, sizes, spares, None)
}

/// Images of a new array, with a bitmap of which a bit stands for so many bytes.
pub fn marked(new: &New<'_>, sizes: &[u64], spares: usize, chunk: Option<u32>) -> Vec<Vec<u8>> {
    let members = sizes.len() - spares;
    let device = |(n, sectors): (usize, &u64)| Device {
        sectors: *sectors,
        uuid: Uuid([n as u8 + 1; 16]),
        spare: n >= members,
        missing: false,
    };
    let devices: Vec<Device> = sizes.iter().enumerate().map(device).collect();
    let mut images: Vec<Vec<u8>> = sizes.iter().map(|sectors| vec![0; *sectors as usize * 512]).collect();
    let mut supers: Vec<Super> = new.supers(&devices).unwrap().collect();
    let bitmap = chunk.map(|chunk| new.bitmap(&mut supers, Some(chunk)).unwrap());
    for (image, made) in images.iter_mut().zip(supers) {
        if let Some((head, at)) = bitmap.zip(made.bitmap) {
            let at = at as usize * 512;
            image[at..at + head.bytes() as usize].fill(0xff);
            image[at..at + 256].copy_from_slice(&head.emit());
        }
        let at = made.super_offset as usize * 512;
        let mut bytes = [0; 1024];
        let used = made.emit(&mut bytes).unwrap();
        image[at..at + used].copy_from_slice(&bytes[..used]);
    }
    images
}

/// A RAID 5 with a partial parity log.
pub fn logged(layout: u32, chunk: u32) -> New<'static> {
    New { ppl: true, data_offset: 64, ..new(5, layout, chunk) }
}

/// Images of a RAID 5 with room for several partial parity logs, as mdadm makes it: so many members, and spares.
pub fn in_turn(layout: u32, chunk: u32, members: usize, spares: usize) -> Vec<Vec<u8>> {
    let sizes = vec![16 + u64::from(TURN_SECTORS) + 96; members + spares];
    let new = New { data_offset: 16 + u64::from(TURN_SECTORS), ..logged(layout, chunk) };
    let mut images = create(&new, &sizes, spares);
    for image in &mut images {
        let mut made = Super::parse(&image[4096..][..SUPER_BYTES], 8, sizes[0]).unwrap().unwrap();
        made.features = made.features & !feature::PPL | feature::PPLS;
        made.ppl = made.ppl.map(|ppl| Ppl { sectors: TURN_SECTORS, ..ppl });
        let mut bytes = [0; 1024];
        let used = made.emit(&mut bytes).unwrap();
        image[4096..][..used].copy_from_slice(&bytes[..used]);
        // What is there from before is no log.
        image[8192..][..usize::from(TURN_SECTORS) * 512].fill(0x5a);
    }
    images
}

/// An array of 1.2, data from sector 64 on.
pub fn new(level: i32, layout: u32, chunk: u32) -> New<'static> {
    let (version, set) = (Version::V12, Uuid([9; 16]));
    New { version, set, name: "test:rig", created: 1, level, layout, chunk, data_offset: 64, ppl: false, clean: true }
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
    assert!(bytes == content(sector, version), "sector {sector} holds what is of another, or no version at all");
    version
}
