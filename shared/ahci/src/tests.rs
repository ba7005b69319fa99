// SPDX-License-Identifier: MIT
//! The driver against the model.
#![allow(clippy::cast_possible_truncation, reason = "a test's small numbers")]
use crate::model::{self, Abar, Drive, Mischief, Model, Shape, Shared};
use crate::{Ahci, Fault, Options, Place, Power};
use orion_block::{BlockSize, Buf, Completion, Error, Instant, Lba, Op, RegionId, Request};
use orion_driver::{Describe, Engine, Setup, Span, Unit};
use orion_region::Window;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

mod faults;
mod multiplier;
mod plug;
mod setup;
mod smart;
mod traffic;

const DMA_BUS: u64 = 0x9000_0000;
const DMA_LEN: usize = 512 << 10;
const DATA_BUS: u64 = 0x1_4000_0000;
const SECOND: u64 = 1_000_000_000;
const REGION: RegionId = RegionId(1);
const BLOCKS: usize = 2048;
const FIRST: u32 = Place::ANY;

/// A driver, its controller, and the client's payload.
struct Rig {
    ahci: Ahci<Abar>,
    hba: Shared,
    data: Window,
    now: u64,
}

impl Rig {
    fn new(drive: Drive) -> Self {
        Self::with(Shape::default(), vec![(0, drive)], &[FIRST], Options::default()).unwrap()
    }

    fn with(shape: Shape, drives: Vec<(usize, Drive)>, units: &[u32], options: Options) -> Result<Self, Fault> {
        Self::of(shape, drives, units, options, 256 << 10, |_| {})
    }

    fn of(
        shape: Shape,
        drives: Vec<(usize, Drive)>,
        units: &[u32],
        options: Options,
        data_len: usize,
        change: impl FnOnce(&mut Setup<'_>),
    ) -> Result<Self, Fault> {
        Self::on(shape, drives, units, options, data_len, change, |_| {})
    }

    /// As above, with what else is done to the controller before the driver sees it.
    fn on(
        shape: Shape,
        drives: Vec<(usize, Drive)>,
        units: &[u32],
        options: Options,
        data_len: usize,
        change: impl FnOnce(&mut Setup<'_>),
        prepare: impl FnOnce(&mut Model),
    ) -> Result<Self, Fault> {
        let [dma, dma_device] = model::memory(DMA_LEN);
        let [data, data_device] = model::memory(data_len);
        let hba = Model::new(shape, drives, vec![(DMA_BUS, dma_device), (DATA_BUS, data_device)]);
        prepare(&mut hba.borrow_mut());
        let regions = [Span::default(), Span { bus: DATA_BUS, size: data_len as u64 }];
        let mut setup =
            Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only: false, timeout_ns: 5 * SECOND };
        change(&mut setup);
        let places: Vec<Place> = units.iter().map(|port| Place::of(*port, false)).collect();
        let ahci = Ahci::new(Abar(hba.clone()), setup, &places, options)?;
        let mut rig = Self { ahci, hba, data, now: SECOND };
        rig.ahci.set_time(Instant(rig.now));
        rig.go_on();
        Ok(rig)
    }

    fn send(&mut self, tag: u32, req: Request) {
        assert!(self.ahci.has_room(Unit(0)));
        self.ahci.start(Unit(0), tag, &req);
    }

    fn drain(&mut self) -> Vec<(u32, Completion)> {
        core::iter::from_fn(|| self.ahci.finished()).collect()
    }

    /// What the PD around a driver does when it is woken.
    fn woken(&mut self) -> Vec<(u32, Completion)> {
        self.ahci.set_time(Instant(self.now));
        if self.hba.borrow_mut().take_interrupt() {
            self.ahci.interrupted();
        }
        let mut all = Vec::new();
        loop {
            all.extend(self.drain());
            self.ahci.kick();
            if !self.ahci.expire() {
                return all;
            }
        }
    }

    /// Runs driver and controller, without time going by, until neither has anything to do.
    fn go_on(&mut self) -> Vec<(u32, Completion)> {
        let mut all = self.woken();
        loop {
            self.hba.borrow_mut().serve();
            let interrupted = { self.hba.borrow_mut().take_interrupt() };
            if !interrupted {
                return all;
            }
            self.ahci.interrupted();
            all.extend(self.woken());
        }
    }

    /// As above, while time goes by as the driver asks for it, for so many seconds at most.
    fn wait(&mut self, seconds: u64) -> Vec<(u32, Completion)> {
        let end = self.now + seconds * SECOND;
        let mut all = self.go_on();
        while let Some(Instant(at)) = self.ahci.deadline() {
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            all.extend(self.go_on());
            // A driver that asks to be woken at once, for ever, is at fault.
            self.now += 1000;
        }
        all
    }

    fn one(&mut self, req: Request) -> Completion {
        self.send(77, req);
        let done = self.wait(60);
        assert_eq!(done.len(), 1, "{req:?}: {done:?}");
        assert_eq!(done[0].0, 77);
        done[0].1
    }

    fn payload(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        assert!(self.data.copy_out(offset, &mut bytes));
        bytes
    }

    fn content(&self) -> Vec<u8> {
        self.hba.borrow_mut().drive(0).content.clone()
    }

    fn durable(&self) -> Vec<u8> {
        self.hba.borrow_mut().drive(0).durable.clone()
    }

    fn done(&self, command: u8) -> u64 {
        self.hba.borrow().done.get(&command).copied().unwrap_or(0)
    }
}

fn request(op: Op, lba: u64, blocks: u32, offset: u64) -> Request {
    Request { op, fua: false, lba: Lba(lba), blocks, buf: Buf { region: REGION, offset } }
}

fn forced(lba: u64) -> Request {
    Request { fua: true, ..request(Op::Write, lba, 1, 0) }
}

fn drive() -> Drive {
    Drive::new(BLOCKS, 512)
}

/// Every way in which commands go: queued, DMA and PIO with 48 and 28 bits.
fn ways() -> Vec<(Options, u8, u8)> {
    let all = Options::default();
    vec![
        (all, 0x60, 0x61),
        (Options { ncq: false, ..all }, 0x25, 0x35),
        (Options { lba48: false, ..all }, 0xc8, 0xca),
        (Options { dma: false, ..all }, 0x24, 0x34),
        (Options { dma: false, lba48: false, ..all }, 0x20, 0x30),
    ]
}

#[test]
fn reads_and_writes_reach_the_medium_in_every_way() {
    for (options, read, write) in ways() {
        for (first, blocks) in [(0, 1), (0, 8), (1, 16), (3, 5), (BLOCKS as u64 - 1, 1), (BLOCKS as u64 - 256, 256)] {
            let mut rig = Rig::with(Shape::default(), vec![(0, drive())], &[FIRST], options).unwrap();
            let at = first as usize * 512..(first as usize + blocks as usize) * 512;
            assert_eq!(rig.one(request(Op::Read, first, blocks, 4096)), Completion::ok(blocks));
            assert_eq!(rig.payload(4096, at.len()), rig.content()[at.clone()], "{options:?}");
            assert!(rig.data.copy_in(0, &vec![0xa5; at.len()]));
            assert_eq!(rig.one(request(Op::Write, first, blocks, 0)), Completion::ok(blocks));
            assert!(rig.content()[at.clone()].iter().all(|byte| *byte == 0xa5));
            assert!(rig.durable()[at.clone()].iter().any(|byte| *byte != 0xa5), "only in the volatile cache");
            assert_eq!(rig.one(request(Op::Flush, 0, 0, 0)), Completion::ok(0));
            assert!(rig.durable()[at].iter().all(|byte| *byte == 0xa5));
            assert_eq!((rig.done(read), rig.done(write)), (1, 1), "{options:?}");
        }
    }
}

#[test]
fn blocks_of_4096_bytes_are_addressed_as_such() {
    for (options, ..) in ways() {
        let drives = vec![(0, Drive::new(64, 4096))];
        let mut rig = Rig::with(Shape::default(), drives, &[FIRST], options).unwrap();
        let limits = rig.ahci.limits(Unit(0)).unwrap();
        assert_eq!((limits.block, limits.capacity), (BlockSize::B4096, 64));
        assert_eq!(rig.one(request(Op::Read, 63, 1, 8192)), Completion::ok(1));
        assert_eq!(rig.payload(8192, 4096), rig.content()[63 * 4096..]);
        assert_eq!(rig.one(request(Op::Read, 64, 1, 0)), Completion::error(Error::OutOfRange));
    }
}

#[test]
fn a_large_request_is_described_in_parts_of_4_mebibytes() {
    let blocks = (9 << 20) / 512;
    let drives = vec![(0, Drive::new(2 * blocks, 512))];
    let mut rig = Rig::of(Shape::default(), drives, &[FIRST], Options::default(), 10 << 20, |_| {}).unwrap();
    assert_eq!(rig.ahci.limits(Unit(0)).unwrap().max_blocks, 65536);
    assert_eq!(rig.one(request(Op::Read, 7, blocks as u32, 2)), Completion::ok(blocks as u32));
    assert!(rig.payload(2, 9 << 20) == rig.content()[7 * 512..(7 + blocks) * 512]);
    // The slot is used again for what one part describes.
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
}

#[test]
fn a_forced_write_is_durable_when_it_ends_and_costs_a_flush_only_where_it_must() {
    let all = Options::default();
    let plain = Options { ncq: false, ..all };
    for (drive, options, by_command) in [
        (drive(), all, true),
        (drive(), plain, true),
        (drive().with(84, 0x40, 0), all, false),
        (drive().with(84, 0x40, 0), plain, false),
        (drive(), Options { lba48: false, ..all }, false),
        (drive(), Options { dma: false, ..all }, false),
    ] {
        let mut rig = Rig::with(Shape::default(), vec![(0, drive)], &[FIRST], options).unwrap();
        assert!(rig.data.copy_in(0, &[0x5a; 512]));
        assert_eq!(rig.one(forced(9)), Completion::ok(1));
        assert_eq!(rig.durable()[9 * 512..10 * 512], [0x5a; 512], "{options:?}");
        assert_eq!(rig.done(0xea) + rig.done(0xe7), u64::from(!by_command), "{options:?}");
    }
    let off = Options { write_cache: Some(false), ..all };
    let mut rig = Rig::with(Shape::default(), vec![(0, drive().with(84, 0x40, 0))], &[FIRST], off).unwrap();
    assert!(!rig.ahci.limits(Unit(0)).unwrap().volatile_cache);
    assert_eq!(rig.one(forced(9)), Completion::ok(1));
    assert_eq!(rig.one(request(Op::Flush, 0, 0, 0)), Completion::ok(0));
    assert_eq!(rig.durable(), rig.content());
    assert_eq!(rig.done(0xea), 0, "what is not volatile needs no flush");
}

#[test]
fn a_flush_that_fails_fails_the_forced_write() {
    let mut rig = Rig::new(drive().with(84, 0x40, 0));
    rig.send(1, forced(9));
    rig.ahci.kick();
    rig.hba.borrow_mut().serve();
    rig.hba.borrow_mut().mischief = Some(Mischief::Fail(4));
    assert_eq!(rig.go_on(), [(1, Completion::error(Error::Io))]);
    assert_eq!(rig.done(0x61), 1, "the write itself went well");
}

#[test]
fn queued_commands_and_others_never_meet_and_both_get_on() {
    // The model panics where they meet.
    let mut rig = Rig::new(drive());
    let mut tag = 0;
    let mut ended = Vec::new();
    for _ in 0..40 {
        for op in [Op::Read, Op::Write, Op::Flush, Op::Read, Op::Discard] {
            rig.send(tag, request(op, 8, if op == Op::Flush { 0 } else { 8 }, 0));
            tag += 1;
            ended.extend(rig.woken());
            rig.hba.borrow_mut().take();
            if !rig.hba.borrow().taken.is_empty() && tag % 3 == 0 {
                rig.hba.borrow_mut().finish(0);
            }
            if !rig.ahci.has_room(Unit(0)) {
                ended.extend(rig.go_on());
            }
        }
    }
    ended.extend(rig.go_on());
    assert!(ended.iter().all(|(_, done)| done.status.is_ok()));
    let mut tags: Vec<u32> = ended.iter().map(|(tag, _)| *tag).collect();
    tags.sort_unstable();
    assert_eq!(tags, (0..200).collect::<Vec<_>>());
}

#[test]
fn a_batch_is_one_write_of_ci_and_its_slots_are_its_tags() {
    let mut rig = Rig::new(drive());
    let before = rig.hba.borrow().kicks;
    for tag in 0..31 {
        rig.send(tag, request(Op::Read, u64::from(tag), 1, u64::from(tag) * 512));
    }
    assert!(!rig.ahci.has_room(Unit(0)));
    rig.ahci.kick();
    rig.ahci.kick();
    assert_eq!(rig.hba.borrow().kicks, before + 1);
    assert_eq!(rig.hba.borrow().ports[0].active().0, 0x7fff_ffff);
    assert_eq!(rig.go_on().len(), 31);
    assert_eq!(rig.payload(0, 31 * 512), rig.content()[..31 * 512]);
}

#[test]
fn discards_are_lists_of_ranges() {
    let drives = || vec![(0, Drive::new(1 << 17, 512))];
    let mut rig = Rig::with(Shape::default(), drives(), &[FIRST], Options::default()).unwrap();
    assert_eq!(rig.one(request(Op::Discard, 5, 65_536, 0)), Completion::ok(65_536));
    let content = rig.content();
    assert!(content[5 * 512..65_541 * 512].iter().all(|byte| *byte == 0));
    assert!(content[65_541 * 512..65_542 * 512].iter().any(|byte| *byte != 0));
    assert_eq!(rig.one(request(Op::WriteZeroes, 0, 1, 0)), Completion::error(Error::Unsupported));
    let mut without = Rig::new(drive().with(169, 1, 0));
    assert_eq!(without.one(request(Op::Discard, 0, 1, 0)), Completion::error(Error::Unsupported));
    assert_eq!(without.ahci.limits(Unit(0)).unwrap().discard_granularity, 0);
}

#[test]
fn what_cannot_be_done_is_refused_before_the_drive_sees_it() {
    let mut rig = Rig::new(drive());
    let (len, before) = (256 << 10, rig.hba.borrow().kicks);
    let elsewhere = |region| Request { buf: Buf { region: RegionId(region), offset: 0 }, ..request(Op::Read, 0, 1, 0) };
    for (req, error) in [
        (request(Op::Read, 2048, 1, 0), Error::OutOfRange),
        (request(Op::Write, 2047, 2, 0), Error::OutOfRange),
        (request(Op::Discard, u64::MAX, 2, 0), Error::OutOfRange),
        (request(Op::Read, 0, 0, 0), Error::Invalid),
        (request(Op::Discard, 0, 0, 0), Error::Invalid),
        (request(Op::Read, 0, u32::MAX, 0), Error::Invalid),
        (request(Op::Read, 0, 65_537, 0), Error::Invalid),
        (request(Op::Read, 0, 1, len - 511), Error::Invalid),
        (request(Op::Write, 0, 2, len - 512), Error::Invalid),
        (request(Op::Write, 0, 1, u64::MAX), Error::Invalid),
        (request(Op::Read, 0, 1, 1), Error::Invalid),
        (elsewhere(0), Error::Invalid),
        (elsewhere(2), Error::Invalid),
        (elsewhere(u16::MAX), Error::Invalid),
    ] {
        assert_eq!(rig.one(req), Completion::error(error), "{req:?}");
    }
    assert_eq!(rig.hba.borrow().kicks, before);
    assert_eq!(rig.one(request(Op::Read, 2047, 1, len - 512)), Completion::ok(1));
    rig.ahci.start(Unit(1), 5, &request(Op::Read, 0, 1, 0));
    rig.ahci.start(Unit(9), 6, &request(Op::Read, 0, 1, 0));
    let offline = Completion::error(Error::Offline);
    assert_eq!(rig.drain(), [(5, offline), (6, offline)]);
}

#[test]
fn nothing_is_written_where_the_policy_is_read_only() {
    let drives = vec![(0, drive())];
    let mut rig =
        Rig::of(Shape::default(), drives, &[FIRST], Options::default(), 4096, |s| s.read_only = true).unwrap();
    for op in [Op::Write, Op::Discard, Op::WriteZeroes] {
        assert_eq!(rig.one(request(op, 0, 1, 0)), Completion::error(Error::ReadOnly));
    }
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
}

#[test]
fn one_request_in_64_is_timed_and_all_are_counted() {
    use orion_metrics::{Counter, Kind};
    let mut rig = Rig::new(drive());
    for n in 1..=128u64 {
        let op = if n == 64 { Op::Read } else { Op::Write };
        rig.send(7, request(op, 8, 8, 0));
        rig.woken();
        rig.hba.borrow_mut().serve();
        rig.now += if n == 64 { 50_000 } else { 80_000 };
        assert_eq!(rig.woken().len(), 1);
    }
    let figures = rig.ahci.figures();
    assert_eq!((figures.get(Counter::Requests), figures.get(Counter::Errors)), (128, 0));
    assert_eq!(figures.get(Counter::Sectors), 2 * 8 * 64);
    for (kind, ns) in [(Kind::Read, 50_000), (Kind::Write, 80_000)] {
        let (times, longest) = (figures.times(kind), figures.times(kind).quantile(1, 1).unwrap());
        assert!(times.count() == 1 && (ns..ns + ns / 7).contains(&longest), "{kind:?}: {longest}");
    }
}

#[test]
fn a_drive_is_described_in_one_line() {
    let rig = Rig::new(drive());
    assert_eq!(
        Describe::new(&rig.ahci, Unit(0)).to_string(),
        "SATA port 0, ORION MODEL DISK, 2048 blocks of 512 bytes, 31 requests in flight, NCQ, volatile cache, discard"
    );
    assert_eq!(Describe::new(&rig.ahci, Unit(3)).to_string(), "no drive");
}
