// SPDX-License-Identifier: MIT
//! What a request costs in the driver, in instructions: run it under callgrind, which counts inside `driver_` only.
//!
//!     cargo build --release -p orion-ahci --features model --example ahci_instructions
//!     valgrind --tool=callgrind --toggle-collect='*driver_*' target/release/examples/ahci_instructions
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a program to be measured")]
use orion_ahci::model::{self, Abar, Drive, Model, Shape};
use orion_ahci::wire::registers::{hba, is, port};
use orion_ahci::{Ahci, Options, Place};
use orion_block::{Buf, Instant, Lba, Op, RegionId, Request};
use orion_driver::{Engine, Registers, Setup, Span, Unit};
use orion_region::Mmio;
use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;

const DMA_BUS: u64 = 0x9000_0000;
const DATA_BUS: u64 = 0xa000_0000;
const ROUNDS: u32 = 10_000;

/// The model's registers until `off`: then a write is a store, as it is where registers are mapped, and every command has ended.
#[derive(Debug)]
struct Quiet {
    model: Abar,
    off: Rc<Cell<bool>>,
    written: Cell<u32>,
}

impl Mmio for Quiet {
    fn len(&self) -> usize {
        self.model.len()
    }
    fn read8(&self, offset: usize) -> u8 {
        self.model.read8(offset)
    }
    fn read16(&self, offset: usize) -> u16 {
        self.model.read16(offset)
    }
    fn read32(&self, offset: usize) -> u32 {
        match (self.off.get(), offset) {
            (false, _) => self.model.read32(offset),
            (true, hba::IS) => 1,
            (true, _) if offset == hba::PORTS + port::IS => is::SDBS,
            (true, _) => 0,
        }
    }
    fn read64(&self, offset: usize) -> u64 {
        self.model.read64(offset)
    }
    fn write8(&self, offset: usize, value: u8) {
        self.model.write8(offset, value);
    }
    fn write16(&self, offset: usize, value: u16) {
        self.model.write16(offset, value);
    }
    fn write32(&self, offset: usize, value: u32) {
        if self.off.get() {
            self.written.set(value);
        } else {
            self.model.write32(offset, value);
        }
    }
    fn write64(&self, offset: usize, value: u64) {
        self.model.write64(offset, value);
    }
}

impl Registers for Quiet {
    fn set_dma(&mut self, on: bool) {
        self.model.set_dma(on);
    }
}

#[inline(never)]
fn driver_submits(disk: &mut Ahci<Quiet>, depth: u32) {
    for tag in 0..depth {
        let buf = Buf { region: RegionId(0), offset: u64::from(tag) << 12 };
        let req = Request { op: Op::Read, fua: false, lba: Lba(u64::from(tag) * 8), blocks: 8, buf };
        disk.start(Unit(0), tag, &req);
    }
    disk.kick();
}

#[inline(never)]
fn driver_drains(disk: &mut Ahci<Quiet>) -> u32 {
    let mut count = 0;
    disk.interrupted();
    disk.drain(|_, done| count += u32::from(black_box(done).status.is_ok()));
    count
}

fn main() {
    for depth in [1, 31] {
        let [dma, device_dma] = model::memory(512 << 10);
        let [data] = model::memory(1 << 20);
        let memory = vec![(DMA_BUS, device_dma), (DATA_BUS, data)];
        let device = Model::new(Shape::default(), vec![(0, Drive::new(4096, 512))], memory);
        let off = Rc::new(Cell::new(false));
        let registers = Quiet { model: Abar(device.clone()), off: off.clone(), written: Cell::new(0) };
        let regions = [Span { bus: DATA_BUS, size: 1 << 20 }];
        let setup =
            Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only: false, timeout_ns: 1 << 40 };
        let mut disk = Ahci::new(registers, setup, &[Place::FIRST], Options::default()).unwrap();
        for now in 1..100 {
            disk.set_time(Instant(now));
            device.borrow_mut().serve();
            disk.interrupted();
            assert!(disk.finished().is_none());
            disk.kick();
            disk.expire();
        }
        assert!(disk.deadline().is_none() && disk.is_queued(Unit(0)));
        off.set(true);
        let mut total = 0;
        let start = std::time::Instant::now();
        for _ in 0..ROUNDS {
            driver_submits(&mut disk, depth);
            total += driver_drains(&mut disk);
        }
        let ns = start.elapsed().as_nanos() / u128::from(total);
        assert_eq!(total, ROUNDS * depth);
        println!("depth {depth}: {total} requests, {ns} ns each with a controller that does nothing");
    }
}
