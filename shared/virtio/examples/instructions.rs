// SPDX-License-Identifier: MIT
//! What a request costs in the driver, in instructions: run it under callgrind, which counts inside `driver_` only.
//!
//!     cargo build --release -p orion-virtio --features model --example instructions
//!     valgrind --tool=callgrind --toggle-collect='*driver_*' target/release/examples/instructions
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a program to be measured")]
use orion_block::{Buf, Lba, Op, RegionId, Request};
use orion_driver::{Engine, Setup, Span, Unit};
use orion_region::Window;
use orion_virtio::model::{self, MmioModel, Model, Shape};
use orion_virtio::{MmioTransport, VirtioBlk};
use std::hint::black_box;

const DMA_BUS: u64 = 0x9000_0000;
const DATA_BUS: u64 = 0xa000_0000;
const ROUNDS: u32 = 10_000;

type Disk = VirtioBlk<MmioTransport<MmioModel>>;

#[inline(never)]
fn driver_submits(disk: &mut Disk, depth: u32) {
    for tag in 0..depth {
        let buf = Buf { region: RegionId(0), offset: u64::from(tag) << 12 };
        let req = Request { op: Op::Read, fua: false, lba: Lba(u64::from(tag) * 8), blocks: 8, buf };
        disk.start(Unit(0), tag, &req);
    }
    disk.kick();
}

#[inline(never)]
fn driver_drains(disk: &mut Disk) -> u32 {
    let mut well = 0;
    disk.drain(|_, done| well += u32::from(black_box(done).status.is_ok()));
    well
}

/// A device that does nothing but answer: it knows the queue's shape, 128 entries with indirect tables.
fn answer(dma: &Window, done: &mut u16, depth: u32) {
    let (avail, used) = (128 * 16, 2372);
    for _ in 0..depth {
        let slot = usize::from(*done % 128);
        let head = dma.read::<u16>(avail + 4 + 2 * slot).unwrap();
        dma.write(used + 4 + 8 * slot, [u32::from(head), 4097]);
        dma.write(3456 + 128 * usize::from(head) + 16, 0u8);
        *done = done.wrapping_add(1);
    }
    dma.write(used + 2, *done);
}

fn main() {
    for depth in [1, 32] {
        let [dma, device_dma, ours] = model::memory(64 << 10);
        let [data] = model::memory(1 << 20);
        let shape = Shape { queue_max: 128, ..Shape::new(4096, 3 << 28) };
        let device = Model::new(shape, vec![(DMA_BUS, device_dma), (DATA_BUS, data)]);
        let bus = MmioTransport::new(MmioModel(device), MmioModel::BASE).unwrap();
        let regions = [Span { bus: DATA_BUS, size: 1 << 20 }];
        let setup =
            Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only: false, timeout_ns: 1 << 40 };
        let mut disk = VirtioBlk::new(bus, setup).unwrap();
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
        println!("depth {depth}: {total} requests, {ns} ns each with a device that does nothing");
    }
}
