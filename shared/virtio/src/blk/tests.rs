// SPDX-License-Identifier: MIT
//! The driver against the device model, over both transports.
use super::wire::feature;
use super::*;
use crate::model::{self, MmioModel, Model, PciBars, PciConfig, Registers, Shape, Shared};
use crate::{AnyBus, Many, MmioTransport, Msi, PciTransport};
use orion_block::{BlockSize, Buf, Lba, Limits, Op, RegionId, Request};
use orion_driver::{Engine, Unit};
use orion_region::Window;
use std::vec;
use std::vec::Vec;

mod changes;
mod clearing;
mod hostile;
mod rings;
mod setup;
mod traffic;

const INDIRECT: u64 = 1 << 28;
const EVENT: u64 = 1 << 29;
const PLATFORM: u64 = 1 << 33;
const DMA_BUS: u64 = 0x9000_0000;
const DATA_BUS: u64 = 0x1_4000_0000;
const DATA_LEN: usize = 256 << 10;
const SECOND: u64 = 1_000_000_000;
const REGION: RegionId = RegionId(1);

/// How the driver reaches the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Via {
    Mmio,
    PciMessage,
    PciPin,
}
const VIAS: [Via; 3] = [Via::Mmio, Via::PciMessage, Via::PciPin];
const MSI: Msi = Msi { address: 0xfee0_1000, data: 0x4321 };

type Bus = AnyBus<Registers>;

fn bus(device: &Shared, via: Via) -> Result<Bus, Fault> {
    if via == Via::Mmio {
        let registers = Registers::Mmio(MmioModel(device.clone()));
        return MmioTransport::new(registers, MmioModel::BASE).map(AnyBus::Mmio);
    }
    let function = model::pci(device, 0x1000_0000, 0x8000);
    let msi = (via == Via::PciMessage).then_some(MSI);
    let (config, bars) = (PciConfig(function.clone()), PciBars(function));
    PciTransport::new(Registers::Config(config), Registers::Bars(bars), 0x1000_0000, msi).map(AnyBus::Pci)
}

/// A driver, its device, and the client's payload.
struct Rig<Q = Queue> {
    blk: VirtioBlk<Bus, u32, Q>,
    device: Shared,
    data: Window,
    dma: Window,
}

impl Rig {
    fn new(shape: Shape, via: Via) -> Self {
        Self::with(shape, via, |_| {}).unwrap()
    }

    fn with(shape: Shape, via: Via, change: impl FnOnce(&mut Setup<'_>)) -> Result<Self, Fault> {
        Self::in_memory(shape, via, 64 << 10, change)
    }

    fn in_memory(shape: Shape, via: Via, dma: usize, change: impl FnOnce(&mut Setup<'_>)) -> Result<Self, Fault> {
        Self::wishing(shape, via, Wishes::default(), dma, change)
    }
}

impl<Q: Ring> Rig<Q> {
    /// A driver that gets what it wishes for.
    fn granted(shape: Shape, via: Via, wishes: Wishes) -> Self {
        Self::wishing(shape.offering(wishes), via, wishes, 64 << 10, |_| {}).unwrap()
    }

    fn wishing(
        shape: Shape,
        via: Via,
        wishes: Wishes,
        dma: usize,
        change: impl FnOnce(&mut Setup<'_>),
    ) -> Result<Self, Fault> {
        let [dma, dma_device, dma_test] = model::memory(dma);
        let [data, data_device] = model::memory(DATA_LEN);
        let device = Model::new(shape, vec![(DMA_BUS, dma_device), (DATA_BUS, data_device)]);
        let span = Span { bus: DATA_BUS, size: DATA_LEN as u64 };
        let regions = [Span::default(), span];
        let mut setup =
            Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only: false, timeout_ns: 5 * SECOND };
        change(&mut setup);
        let blk = VirtioBlk::with(bus(&device, via)?, setup, wishes)?;
        Ok(Self { blk, device, data, dma: dma_test })
    }

    fn submit(&mut self, tag: u32, op: Op, lba: u64, blocks: u32, offset: u64) {
        self.send(tag, Request { op, fua: false, lba: Lba(lba), blocks, buf: Buf { region: REGION, offset } });
    }

    fn send(&mut self, tag: u32, req: Request) {
        self.blk.start(Unit(0), tag, &req);
    }

    fn next(&mut self) -> Option<(u32, Completion)> {
        self.blk.finished()
    }

    fn drain(&mut self) -> Vec<(u32, Completion)> {
        core::iter::from_fn(|| self.next()).collect()
    }

    /// Everything that is submitted, carried out.
    fn finish(&mut self) -> Vec<(u32, Completion)> {
        let mut all = self.drain();
        loop {
            self.blk.kick();
            if !self.device.borrow().is_notified() {
                return all;
            }
            self.device.borrow_mut().serve();
            all.extend(self.drain());
        }
    }

    fn one(&mut self, req: Request) -> Completion {
        self.send(77, req);
        let done = self.finish();
        assert_eq!(done.len(), 1, "{req:?}: {done:?}");
        assert_eq!(done[0].0, 77);
        done[0].1
    }

    fn payload(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        assert!(self.data.copy_out(offset, &mut bytes));
        bytes
    }
}

/// What a driver may wish for, in every combination, with one queue and with several.
fn wishes() -> impl Iterator<Item = Wishes> {
    (0..8u8).map(|n| {
        let queues = if n & 4 != 0 { 4 } else { 1 };
        Wishes { queues, packed: n & 1 != 0, in_order: n & 2 != 0, queue_reset: false }
    })
}

fn request(op: Op, lba: u64, blocks: u32, offset: u64) -> Request {
    Request { op, fua: false, lba: Lba(lba), blocks, buf: Buf { region: REGION, offset } }
}

/// A device that offers everything.
fn full() -> Shape {
    let offered = feature::FLUSH | feature::DISCARD | feature::WRITE_ZEROES | feature::TOPOLOGY | feature::BLK_SIZE;
    Shape::new(2048, offered | feature::SEG_MAX | INDIRECT | EVENT)
        .field(wire::config::SEG_MAX, 254u32.to_le_bytes())
        .field(wire::config::BLK_SIZE, 512u32.to_le_bytes())
        .field(wire::config::PHYSICAL_BLOCK_EXP, [3])
        .field(wire::config::OPT_IO_SIZE, 128u32.to_le_bytes())
        .field(wire::config::MAX_DISCARD_SECTORS, 16u32.to_le_bytes())
        .field(wire::config::DISCARD_SECTOR_ALIGNMENT, 8u32.to_le_bytes())
        .field(wire::config::MAX_WRITE_ZEROES_SECTORS, 1024u32.to_le_bytes())
}

#[test]
fn reads_and_writes_reach_the_medium_over_every_transport_and_ring_shape() {
    for via in VIAS {
        for offered in [0, INDIRECT, EVENT, INDIRECT | EVENT] {
            let shape = || Shape::new(64, feature::FLUSH | offered);
            let rig = Rig::new(shape(), via);
            assert_eq!(rig.blk.layout().indirect(), offered & INDIRECT != 0);
            reads_and_writes(rig);
            wishes().for_each(|wishes| reads_and_writes(Rig::<Many>::granted(shape(), via, wishes)));
        }
    }
}

fn reads_and_writes<Q: Ring>(mut rig: Rig<Q>) {
    assert_eq!(rig.one(request(Op::Read, 3, 5, 4096)), Completion::ok(5));
    assert_eq!(rig.payload(4096, 2560), rig.device.borrow().content[3 * 512..8 * 512]);
    assert!(rig.data.copy_in(0, &[0xa5; 1024]));
    assert_eq!(rig.one(request(Op::Write, 62, 2, 0)), Completion::ok(2));
    assert_eq!(rig.device.borrow().content[62 * 512..], [0xa5; 1024]);
    assert_ne!(rig.device.borrow().durable[62 * 512..], [0xa5; 1024]);
    assert_eq!(rig.one(request(Op::Flush, 0, 0, 0)), Completion::ok(0));
    assert_eq!(rig.device.borrow().durable[62 * 512..], [0xa5; 1024]);
}

#[test]
fn a_write_with_fua_completes_only_when_it_is_durable() {
    let mut rig = Rig::new(full(), Via::Mmio);
    assert!(rig.data.copy_in(0, &[0x5a; 512]));
    rig.send(1, Request { fua: true, ..request(Op::Write, 9, 1, 0) });
    rig.blk.kick();
    rig.device.borrow_mut().serve();
    assert_eq!(rig.next(), None, "the data is only in the volatile cache");
    assert_eq!(rig.blk.in_flight(), 1);
    assert_eq!(rig.finish(), [(1, Completion::ok(1))]);
    assert_eq!(rig.device.borrow().durable[9 * 512..10 * 512], [0x5a; 512]);
    assert_eq!(rig.device.borrow().done[&4], 1);
}

#[test]
fn fua_costs_no_flush_where_nothing_is_volatile() {
    let through = Shape::new(64, feature::FLUSH | feature::CONFIG_WCE | EVENT);
    for shape in [Shape::new(64, INDIRECT), through] {
        let mut rig = Rig::new(shape, Via::PciMessage);
        assert!(!rig.blk.limits(Unit(0)).unwrap().volatile_cache);
        assert_eq!(rig.one(Request { fua: true, ..request(Op::Write, 0, 1, 0) }), Completion::ok(1));
        assert_eq!(rig.device.borrow().done.get(&4), None);
        assert_eq!(rig.device.borrow().durable, rig.device.borrow().content);
    }
}

#[test]
fn a_failed_flush_fails_the_write_with_fua() {
    let mut rig = Rig::new(full(), Via::Mmio);
    rig.send(1, Request { fua: true, ..request(Op::Write, 9, 1, 0) });
    rig.blk.kick();
    rig.device.borrow_mut().serve();
    assert_eq!(rig.next(), None);
    rig.device.borrow_mut().mischief = Some(model::Mischief::Status(1));
    assert_eq!(rig.finish(), [(1, Completion::error(Error::Io))]);
}

#[test]
fn a_flush_without_a_cache_is_answered_without_the_device() {
    let mut rig = Rig::new(Shape::new(64, 0), Via::Mmio);
    rig.submit(5, Op::Flush, 0, 0, 0);
    assert_eq!(rig.next(), Some((5, Completion::ok(0))));
    assert_eq!(rig.device.borrow().notifications, 0);
}

#[test]
fn discards_and_zeroes_keep_to_the_devices_limits() {
    let mut rig = Rig::new(full(), Via::PciPin);
    assert_eq!(rig.one(request(Op::WriteZeroes, 10, 1000, 0)), Completion::ok(1000));
    assert_eq!(rig.device.borrow().content[10 * 512..1010 * 512], [0; 1000 * 512][..]);
    let before = rig.device.borrow().content[..5 * 512].to_vec();
    assert_eq!(rig.device.borrow().content[..5 * 512], before);
    assert_eq!(rig.one(request(Op::Discard, 5, 1000, 0)), Completion::ok(1000));
    assert_eq!(rig.device.borrow().content[5 * 512..1005 * 512], [0xdd; 1000 * 512][..]);
    assert_eq!(rig.device.borrow().content[1005 * 512..1010 * 512], [0; 5 * 512]);
    // Up to the next multiple of the alignment, then as much as the device takes at once.
    assert_eq!(rig.device.borrow().done[&11], 1 + (1000u64 - 11).div_ceil(16));
    let mut plain = Rig::new(Shape::new(64, 0), Via::Mmio);
    for op in [Op::Discard, Op::WriteZeroes] {
        assert_eq!(plain.one(request(op, 0, 1, 0)), Completion::error(Error::Unsupported));
    }
}

#[test]
fn addresses_are_in_the_devices_blocks() {
    let shape = Shape::new(64, feature::BLK_SIZE).field(wire::config::BLK_SIZE, 4096u32.to_le_bytes());
    let mut rig = Rig::new(shape, Via::Mmio);
    let limits = rig.blk.limits(Unit(0)).unwrap();
    assert_eq!((limits.block, limits.capacity), (BlockSize::B4096, 8));
    assert_eq!(rig.one(request(Op::Read, 7, 1, 8192)), Completion::ok(1));
    assert_eq!(rig.payload(8192, 4096), rig.device.borrow().content[7 * 4096..]);
    assert_eq!(rig.one(request(Op::Read, 8, 1, 0)), Completion::error(Error::OutOfRange));
}

#[test]
fn what_cannot_be_done_is_refused_before_the_device_sees_it() {
    let mut rig = Rig::new(full(), Via::Mmio);
    let len = DATA_LEN as u64;
    for (req, error) in [
        (request(Op::Read, 2048, 1, 0), Error::OutOfRange),
        (request(Op::Write, 2047, 2, 0), Error::OutOfRange),
        (request(Op::Discard, u64::MAX, 2, 0), Error::OutOfRange),
        (request(Op::Read, 0, 0, 0), Error::Invalid),
        (request(Op::Read, 0, u32::MAX, 0), Error::Invalid),
        (request(Op::Read, 0, 1, len - 511), Error::Invalid),
        (request(Op::Write, 0, 2, len - 512), Error::Invalid),
        (request(Op::Write, 0, 1, u64::MAX), Error::Invalid),
        (Request { buf: Buf { region: RegionId(0), offset: 0 }, ..request(Op::Read, 0, 1, 0) }, Error::Invalid),
        (Request { buf: Buf { region: RegionId(2), offset: 0 }, ..request(Op::Read, 0, 1, 0) }, Error::Invalid),
        (Request { buf: Buf { region: RegionId(u16::MAX), offset: 0 }, ..request(Op::Read, 0, 1, 0) }, Error::Invalid),
    ] {
        assert_eq!(rig.one(req), Completion::error(error), "{req:?}");
    }
    assert_eq!(rig.device.borrow().notifications, 0);
    assert_eq!(rig.one(request(Op::Read, 2047, 1, len - 512)), Completion::ok(1));
}

#[test]
fn nothing_is_written_where_the_device_or_the_policy_is_read_only() {
    let by_device = Rig::new(Shape { features: full().features | feature::RO, ..full() }, Via::Mmio);
    let by_policy = Rig::with(full(), Via::Mmio, |s| s.read_only = true).unwrap();
    for mut rig in [by_device, by_policy] {
        assert!(rig.blk.limits(Unit(0)).unwrap().read_only);
        for op in [Op::Write, Op::Discard, Op::WriteZeroes] {
            assert_eq!(rig.one(request(op, 0, 1, 0)), Completion::error(Error::ReadOnly));
        }
        assert_eq!(rig.device.borrow().notifications, 0);
        assert_eq!(rig.one(request(Op::Read, 0, 1, 0)), Completion::ok(1));
    }
}

#[test]
fn a_batch_is_one_notification_and_one_interrupt_message() {
    let mut rig = Rig::new(full(), Via::PciMessage);
    assert_eq!(rig.next(), None);
    for tag in 0..32 {
        rig.submit(tag, Op::Read, u64::from(tag), 1, u64::from(tag) * 512);
    }
    rig.blk.kick();
    rig.blk.kick();
    assert_eq!(rig.device.borrow().notifications, 1);
    rig.device.borrow_mut().serve();
    assert_eq!(rig.device.borrow().messages, [(MSI.address, MSI.data)]);
    assert_eq!(rig.drain().len(), 32);
}

#[test]
fn one_request_in_64_is_timed_and_all_are_counted() {
    use orion_metrics::{Counter, Kind};
    let mut rig = Rig::new(full(), Via::Mmio);
    let mut now = 1_000_000;
    for n in 1..=192u64 {
        rig.blk.set_time(Instant(now));
        // Those that are timed take longer than the others, each kind for another time.
        let (op, ns) = match n {
            64 => (Op::Read, 50_000),
            128 => (Op::Write, 80_000),
            192 => (Op::Flush, 20_000),
            _ => (Op::Read, 1000),
        };
        rig.send(7, request(op, 8, if op == Op::Flush { 0 } else { 8 }, 0));
        rig.blk.kick();
        rig.device.borrow_mut().serve();
        now += ns;
        rig.blk.set_time(Instant(now));
        assert_eq!(rig.drain().len(), 1);
    }
    let figures = rig.blk.figures();
    assert_eq!((figures.get(Counter::Requests), figures.get(Counter::Errors)), (192, 0));
    assert_eq!(figures.get(Counter::Sectors), 2 * 8 * 64);
    for (kind, ns) in [(Kind::Read, 50_000), (Kind::Write, 80_000), (Kind::Flush, 20_000)] {
        let (times, longest) = (figures.times(kind), figures.times(kind).quantile(1, 1).unwrap());
        assert!(times.count() == 1 && (ns..ns + ns / 7).contains(&longest), "{kind:?}: {longest}");
    }
}
