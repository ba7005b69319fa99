// SPDX-License-Identifier: MIT
//! The initiator and its transport against the model of a host with disks.
#![allow(clippy::cast_possible_truncation, reason = "small numbers of a test")]
use super::*;
use crate::MmioTransport;
use crate::model::{self, ScsiMischief, ScsiMmio, ScsiModel, ScsiShape, SharedScsi, Tasks};
use orion_block::{BlockSize, Buf, Completion, Error, Instant, Lba, Op, RegionId, Request};
use orion_driver::{Engine, Span, Unit};
use orion_scsi::model::{Bad, Bus as Disks, Disk, Fault as Failure, Readiness};
use orion_scsi::{Choice, Place, Sense};
use std::string::ToString;
use std::vec;
use std::vec::Vec;

mod hostile;
mod rules;
mod traffic;
mod units;

const INDIRECT: u64 = 1 << 28;
const EVENT: u64 = 1 << 29;
const DMA_BUS: u64 = 0x9000_0000;
const DATA_BUS: u64 = 0x1_4000_0000;
const DATA_LEN: usize = 256 << 10;
const SECOND: u64 = 1_000_000_000;
const REGION: RegionId = RegionId(1);
const FIRST: [Choice; 1] = [Choice::First];

/// A driver, its device, and the client's payload.
struct Rig {
    scsi: VirtioScsi<MmioTransport<ScsiMmio>>,
    device: SharedScsi,
    data: Window,
    now: u64,
}

impl Rig {
    fn new(disk: Disk) -> Self {
        Self::over(Disks::of(disk), &FIRST)
    }

    /// Ready, or known not to be.
    fn over(disks: Disks, choices: &[Choice]) -> Self {
        let mut rig = Self::with(ScsiShape::new(INDIRECT | EVENT | 6), disks, choices, |_| {}).unwrap();
        rig.settle();
        rig
    }

    fn with(
        shape: ScsiShape,
        disks: Disks,
        choices: &[Choice],
        change: impl FnOnce(&mut Setup<'_>),
    ) -> Result<Self, Fault> {
        let wanted: Vec<Wanted> = choices.iter().copied().map(Wanted::of).collect();
        Self::wanting(shape, disks, &wanted, change)
    }

    fn wanting(
        shape: ScsiShape,
        disks: Disks,
        wanted: &[Wanted],
        change: impl FnOnce(&mut Setup<'_>),
    ) -> Result<Self, Fault> {
        let [dma, dma_device] = model::memory(256 << 10);
        let [data, data_device] = model::memory(DATA_LEN);
        let device = ScsiModel::new(shape, disks, vec![(DMA_BUS, dma_device), (DATA_BUS, data_device)]);
        let regions = [Span::default(), Span { bus: DATA_BUS, size: DATA_LEN as u64 }];
        let mut setup =
            Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only: false, timeout_ns: 8 * SECOND };
        change(&mut setup);
        let read_only = setup.read_only;
        let wanted: Vec<Wanted> = wanted.iter().map(|disk| Wanted { read_only, ..*disk }).collect();
        let bus = MmioTransport::new(ScsiMmio(device.clone()), 0)?;
        let scsi = open_with(bus, &wanted, setup, 8)?;
        Ok(Self { scsi, device, data, now: 1_000 * SECOND })
    }

    /// Both sides act while the other wakes them, then time goes to the next deadline, until `until`.
    fn run(&mut self, until: u64) -> Vec<(u32, Completion)> {
        let mut all = Vec::new();
        loop {
            self.scsi.set_time(Instant(self.now));
            all.extend(core::iter::from_fn(|| self.scsi.finished()));
            self.scsi.kick();
            if self.scsi.expire() {
                continue;
            }
            self.device.borrow_mut().serve();
            if self.device.borrow_mut().take_interrupt() {
                self.scsi.interrupted();
                continue;
            }
            match self.scsi.deadline().filter(|at| at.0 <= until) {
                Some(at) => self.now = self.now.max(at.0),
                None => return all,
            }
        }
    }

    fn settle(&mut self) {
        self.scsi.set_time(Instant(self.now));
        let until = self.now + 20 * SECOND;
        assert_eq!(self.run(until), []);
    }

    fn finish(&mut self) -> Vec<(u32, Completion)> {
        let until = self.now + 20 * SECOND;
        self.run(until)
    }

    fn send(&mut self, tag: u32, unit: u8, req: Request) {
        self.scsi.set_time(Instant(self.now));
        self.scsi.start(Unit(unit), tag, &req);
    }

    fn one_of(&mut self, unit: u8, req: Request) -> Completion {
        self.send(77, unit, req);
        let done = self.finish();
        assert_eq!(done.len(), 1, "{req:?}: {done:?}");
        assert_eq!(done[0].0, 77);
        done[0].1
    }

    fn one(&mut self, req: Request) -> Completion {
        self.one_of(0, req)
    }

    fn limits(&self, unit: u8) -> Option<orion_block::Limits> {
        self.scsi.limits(Unit(unit))
    }

    fn payload(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        assert!(self.data.copy_out(offset, &mut bytes));
        bytes
    }

    fn disk<R>(&self, f: impl FnOnce(&mut Disk) -> R) -> R {
        f(self.device.borrow_mut().bus.first())
    }

    fn count(&self, opcode: u8) -> u64 {
        self.disk(|disk| disk.done.get(&opcode).copied().unwrap_or(0))
    }
}

fn request(op: Op, lba: u64, blocks: u32, offset: u64) -> Request {
    Request { op, fua: false, lba: Lba(lba), blocks, buf: Buf { region: REGION, offset } }
}

fn disk() -> Disk {
    Disk::new(2048, 512)
}

#[test]
fn reads_and_writes_reach_the_medium_over_every_ring_shape() {
    for offered in [0, INDIRECT, EVENT, INDIRECT | EVENT] {
        let mut rig = Rig::with(ScsiShape::new(offered), Disks::of(disk()), &FIRST, |_| {}).unwrap();
        rig.settle();
        let limits = rig.limits(0).unwrap();
        assert_eq!((limits.capacity, limits.block, limits.physical), (2048, BlockSize::B512, BlockSize::B4096));
        assert_eq!(rig.one(request(Op::Read, 3, 5, 4096)), Completion::ok(5));
        assert_eq!(rig.payload(4096, 2560), rig.disk(|disk| disk.content[3 * 512..8 * 512].to_vec()));
        assert!(rig.data.copy_in(0, &[0xa5; 1024]));
        assert_eq!(rig.one(request(Op::Write, 2046, 2, 0)), Completion::ok(2));
        assert!(
            rig.disk(|disk| disk.content[2046 * 512..] == [0xa5; 1024] && disk.durable[2046 * 512..] != [0xa5; 1024])
        );
        assert_eq!(rig.one(request(Op::Flush, 0, 0, 0)), Completion::ok(0));
        assert!(rig.disk(|disk| disk.durable[2046 * 512..] == [0xa5; 1024]));
    }
}

#[test]
fn it_says_what_it_found_and_how_it_drives_it() {
    let rig = Rig::new(disk());
    let line = std::format!("{}", orion_driver::Describe::<_, u32>::new(&rig.scsi, Unit(0)));
    let expected = "virtio-scsi, target 0, logical unit 0: ORION MODEL DISK 0.1, 2048 blocks of 512 bytes, \
                    120 requests in flight, volatile cache, discard, indirect descriptors";
    assert_eq!(line, expected);
}

#[test]
fn a_write_with_fua_is_durable_however_the_disk_does_that() {
    for (fua, cache, syncs) in [(false, true, 1), (true, true, 0), (false, false, 0), (true, false, 0)] {
        let mut rig = Rig::new(Disk { fua, write_cache: cache, ..disk() });
        assert!(rig.data.copy_in(0, &[0x5a; 512]));
        assert_eq!(rig.one(Request { fua: true, ..request(Op::Write, 9, 1, 0) }), Completion::ok(1));
        assert_eq!(rig.disk(|disk| disk.durable[9 * 512..10 * 512].to_vec()), [0x5a; 512]);
        assert_eq!(rig.count(0x35), syncs);
        assert_eq!(rig.one(Request { fua: true, ..request(Op::WriteZeroes, 9, 1, 0) }), Completion::ok(1));
        assert_eq!(rig.disk(|disk| disk.durable[9 * 512..10 * 512].to_vec()), [0; 512]);
    }
}

#[test]
fn a_flush_without_a_cache_is_answered_without_the_device() {
    let mut rig = Rig::new(Disk { write_cache: false, ..disk() });
    let before = rig.device.borrow().notifications.clone();
    assert_eq!(rig.one(request(Op::Flush, 0, 0, 0)), Completion::ok(0));
    assert_eq!(rig.device.borrow().notifications, before);
}

#[test]
fn discards_and_zeroes_are_done_in_parts_that_the_disk_takes() {
    let mut rig = Rig::new(Disk { max_unmap: 16, max_write_same: 100, ..disk() });
    assert_eq!(rig.one(request(Op::WriteZeroes, 10, 1000, 0)), Completion::ok(1000));
    assert_eq!(rig.disk(|disk| disk.content[10 * 512..1010 * 512].to_vec()), [0; 1000 * 512][..]);
    assert_eq!(rig.count(0x93), 10);
    assert_eq!(rig.one(request(Op::Discard, 5, 40, 0)), Completion::ok(40));
    assert_eq!(rig.disk(|disk| disk.content[5 * 512..45 * 512].to_vec()), [0xdd; 40 * 512]);
    assert_eq!(rig.count(0x42), 3);
    let mut thick = Rig::new(Disk { max_unmap: 0, ..disk() });
    assert_eq!(thick.one(request(Op::Discard, 0, 1, 0)), Completion::error(Error::Unsupported));
}

#[test]
fn zeroes_are_written_where_the_disk_has_no_command_for_them() {
    for (block, blocks) in [(512, 1500u32), (4096, 200)] {
        let mut rig = Rig::new(Disk { unknown: [0x93].into(), ..Disk::new(2048, block) });
        assert_eq!(rig.one(request(Op::WriteZeroes, 10, blocks, 0)), Completion::ok(blocks));
        let range = 10 * block..(10 + blocks as usize) * block;
        assert!(rig.disk(|disk| disk.content[range.clone()].iter().all(|byte| *byte == 0)));
        assert!(rig.disk(|disk| disk.content[9 * block..10 * block].iter().any(|byte| *byte != 0)));
        let (before, same) = (rig.count(0x2a), rig.count(0x93));
        assert_eq!((before, same), ((blocks as u64 * block as u64).div_ceil(65536), 0));
        assert_eq!(rig.one(request(Op::WriteZeroes, 10, 1, 0)), Completion::ok(1));
        assert_eq!(rig.count(0x2a), before + 1, "it is not asked again for what it does not know");
    }
}

#[test]
fn large_requests_use_the_commands_that_fit() {
    let mut rig =
        Rig::with(ScsiShape::new(INDIRECT | 6).field(8, [0; 4]), Disks::of(Disk::new(1 << 17, 512)), &FIRST, |setup| {
            setup.timeout_ns = SECOND;
        })
        .unwrap();
    rig.settle();
    assert_eq!(rig.one(request(Op::WriteZeroes, 0, 1 << 17, 0)), Completion::ok(1 << 17));
    assert_eq!(rig.count(0x93), (1 << 17) / 4096);
    assert_eq!(rig.one(request(Op::Read, (1 << 17) - 8, 8, 0)), Completion::ok(8));
    assert_eq!((rig.count(0x28), rig.count(0x88)), (1, 0));
}

#[test]
fn what_cannot_be_done_is_refused_before_the_device_sees_it() {
    let mut rig = Rig::new(disk());
    let (len, before) = (DATA_LEN as u64, rig.device.borrow().notifications.clone());
    for (req, error) in [
        (request(Op::Read, 2048, 1, 0), Error::OutOfRange),
        (request(Op::Write, 2047, 2, 0), Error::OutOfRange),
        (request(Op::Discard, u64::MAX, 2, 0), Error::OutOfRange),
        (request(Op::Read, 0, 0, 0), Error::Invalid),
        (request(Op::WriteZeroes, 0, 0, 0), Error::Invalid),
        (request(Op::Read, 0, u32::MAX, 0), Error::Invalid),
        (request(Op::Read, 0, 1, len - 511), Error::Invalid),
        (request(Op::Write, 0, 2, len - 512), Error::Invalid),
        (request(Op::Write, 0, 1, u64::MAX), Error::Invalid),
        (Request { buf: Buf { region: RegionId(0), offset: 0 }, ..request(Op::Read, 0, 1, 0) }, Error::Invalid),
        (Request { buf: Buf { region: RegionId(u16::MAX), offset: 0 }, ..request(Op::Read, 0, 1, 0) }, Error::Invalid),
    ] {
        assert_eq!(rig.one(req), Completion::error(error), "{req:?}");
    }
    assert_eq!(rig.one_of(1, request(Op::Read, 0, 1, 0)), Completion::error(Error::Offline));
    assert_eq!(rig.one_of(200, request(Op::Read, 0, 1, 0)), Completion::error(Error::Offline));
    assert_eq!(rig.device.borrow().notifications, before);
    assert_eq!(rig.one(request(Op::Read, 2047, 1, len - 512)), Completion::ok(1));
}

#[test]
fn nothing_is_written_where_the_disk_or_the_policy_is_read_only() {
    let by_disk = Rig::new(Disk { write_protected: true, ..disk() });
    let mut by_policy = Rig::with(ScsiShape::new(6), Disks::of(disk()), &FIRST, |s| s.read_only = true).unwrap();
    by_policy.settle();
    for mut rig in [by_disk, by_policy] {
        assert!(rig.limits(0).unwrap().read_only && !rig.limits(0).unwrap().write_zeroes);
        for op in [Op::Write, Op::Discard, Op::WriteZeroes] {
            assert_eq!(rig.one(request(op, 0, 1, 0)), Completion::error(Error::ReadOnly));
        }
        assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
    }
}

#[test]
fn a_batch_is_one_notification() {
    let mut rig = Rig::new(disk());
    let before = rig.device.borrow().notifications[2];
    for tag in 0..32 {
        rig.send(tag, 0, request(Op::Read, u64::from(tag), 1, u64::from(tag) * 512));
    }
    rig.scsi.kick();
    rig.scsi.kick();
    assert_eq!(rig.device.borrow().notifications[2], before + 1);
    assert_eq!(rig.finish().len(), 32);
}

#[test]
fn requests_are_spread_over_the_queues_that_driver_and_device_have() {
    for (offered, used) in [(1u8, 1usize), (2, 2), (3, 2), (5, 4), (200, 8)] {
        for features in [6, INDIRECT | 6, INDIRECT | EVENT | 6] {
            let shape = ScsiShape::new(features).queues(offered);
            let mut rig = Rig::with(shape, Disks::of(disk()), &FIRST, |_| {}).unwrap();
            rig.settle();
            let before = rig.device.borrow().notifications.clone();
            for tag in 0..24 {
                rig.send(tag, 0, request(Op::Read, u64::from(tag), 1, u64::from(tag) * 512));
            }
            rig.scsi.kick();
            let rung = rig.device.borrow().notifications.clone();
            let rung: Vec<u64> = rung.iter().zip(before).map(|(now, before)| now - before).collect();
            let expected: Vec<u64> = (0..rung.len()).map(|queue| u64::from((2..2 + used).contains(&queue))).collect();
            assert_eq!(rung, expected, "each queue is rung once for a batch");
            assert_eq!(rig.finish().len(), 24);
            assert_eq!(rig.payload(0, 24 * 512), rig.disk(|disk| disk.content[..24 * 512].to_vec()));
            let line = orion_driver::Describe::<_, u32>::new(&rig.scsi, Unit(0)).to_string();
            assert_eq!(line.contains(&std::format!(", {used} queues")), used > 1, "{line}");
        }
    }
}

#[test]
fn devices_that_cannot_be_used_are_refused_with_a_reason() {
    let refused = |shape: ScsiShape, change: fn(&mut Setup<'_>)| {
        Rig::with(shape, Disks::of(disk()), &FIRST, change).map(|_| ()).unwrap_err()
    };
    let good = || ScsiShape::new(INDIRECT);
    assert_eq!(refused(ScsiShape { device_type: 2, ..good() }, |_| {}), Fault::WrongType);
    assert_eq!(refused(ScsiShape { features: 0, ..good() }, |_| {}), Fault::Legacy);
    assert_eq!(refused(good(), |s| s.iommu = true), Fault::Bypass);
    assert_eq!(refused(ScsiShape { refuses: true, ..good() }, |_| {}), Fault::Features);
    assert_eq!(refused(ScsiShape { stuck: true, ..good() }, |_| {}), Fault::Reset);
    assert_eq!(refused(good().field(20, 4096u32.to_le_bytes()), |_| {}), Fault::Config);
    assert_eq!(refused(good().field(4, [0; 4]), |_| {}), Fault::Config);
    assert_eq!(refused(ScsiShape { queue_max: 8, ..good() }, |_| {}), Fault::Queue);
    assert_eq!(refused(ScsiShape { queue_max: 16, features: 1 << 32, ..good() }, |_| {}), Fault::Queue);
    assert_eq!(refused(good(), |s| s.dma = model::memory::<1>(64 << 10).into_iter().next().unwrap()), Fault::Dma);
    assert_eq!(refused(good(), |s| s.dma_bus = 100), Fault::Dma);
    assert_eq!(refused(good(), |s| s.dma_bus = u64::MAX - 4095), Fault::Dma);
}
