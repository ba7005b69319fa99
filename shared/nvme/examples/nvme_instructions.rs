// SPDX-License-Identifier: MIT
//! What a request costs in the driver, in instructions: run it under callgrind, which counts inside `driver_` only.
//!
//!     cargo build --release -p orion-nvme --features model --example nvme_instructions
//!     valgrind --tool=callgrind --toggle-collect='*driver_*' target/release/examples/nvme_instructions
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a program to be measured")]
use orion_block::{Buf, Instant, Lba, Op, RegionId, Request};
use orion_driver::{Engine, Registers, Setup, Span, Unit};
use orion_nvme::model::{self, Model, ModelRegisters};
use orion_nvme::{DMA_BYTES, Nvme, Place};
use orion_region::{Mmio, Window};
use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;

const DMA_BUS: u64 = 0x9000_0000;
const DATA_BUS: u64 = 0xa000_0000;
const ROUNDS: u32 = 10_000;
/// Where the driver has the queue for answers, and its entries.
const ANSWERS: usize = 10 * 4096;
const ENTRIES: usize = 256;

/// The model's registers until `off`: then a doorbell is a store, as it is where registers are mapped.
#[derive(Debug)]
struct Quiet {
    model: ModelRegisters,
    off: Rc<Cell<bool>>,
    doorbell: Cell<u32>,
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
        self.model.read32(offset)
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
            self.doorbell.set(value);
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
    fn messages(&self) -> bool {
        false
    }
}

#[inline(never)]
fn driver_submits(disk: &mut Nvme<Quiet>, depth: u32) {
    for tag in 0..depth {
        let buf = Buf { region: RegionId(0), offset: u64::from(tag) << 12 };
        let req = Request { op: Op::Read, fua: false, lba: Lba(u64::from(tag) * 8), blocks: 8, buf };
        disk.start(Unit(0), tag, &req);
    }
    disk.kick();
}

#[inline(never)]
fn driver_drains(disk: &mut Nvme<Quiet>) -> u32 {
    let mut count = 0;
    disk.interrupted();
    disk.drain(|_, done| count += u32::from(black_box(done).status.is_ok()));
    count
}

/// A controller that does nothing but answer.
fn answer(dma: &Window, done: &mut usize, depth: u32) {
    for _ in 0..depth {
        let command: u32 = dma.read(6 * 4096 + *done % ENTRIES * 64).unwrap();
        let phase = u32::from((*done / ENTRIES).is_multiple_of(2));
        dma.write(ANSWERS + *done % ENTRIES * 16 + 12, command >> 16 | phase << 16);
        *done += 1;
    }
}

fn main() {
    for depth in [1, 32] {
        let [dma, device_dma, ours] = model::memory(DMA_BYTES);
        let [data] = model::memory(1 << 20);
        let device = Model::simple(4096, 9, vec![(DMA_BUS, device_dma), (DATA_BUS, data)]);
        device.borrow_mut().shape.messages = false;
        let off = Rc::new(Cell::new(false));
        let registers = Quiet { model: ModelRegisters(device), off: off.clone(), doorbell: Cell::new(0) };
        let regions = [Span { bus: DATA_BUS, size: 1 << 20 }];
        let setup =
            Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only: false, timeout_ns: 1 << 40 };
        let mut disk = Nvme::new(registers, setup, &[Place::FIRST]).unwrap();
        disk.set_time(Instant(1));
        disk.expire();
        (0..8).for_each(|_| disk.interrupted());
        off.set(true);
        let mut done = 0;
        let mut total = 0;
        let start = std::time::Instant::now();
        for _ in 0..ROUNDS {
            driver_submits(&mut disk, depth);
            answer(&ours, &mut done, depth);
            total += driver_drains(&mut disk);
        }
        let ns = start.elapsed().as_nanos() / u128::from(total);
        assert_eq!(total, ROUNDS * depth);
        println!("depth {depth}: {total} requests, {ns} ns each with a controller that does nothing");
    }
}
