// SPDX-License-Identifier: MIT
//! What a request costs in the driver, in instructions: run it under callgrind.
//!
//!     cargo build --release -p orion-virtio --features model --example instructions
//!     valgrind --tool=callgrind --toggle-collect='*driver_submits*' --toggle-collect='*driver_drains*' \
//!         target/release/examples/instructions
#![allow(missing_docs, clippy::unwrap_used, clippy::cast_possible_truncation, reason = "a program to be measured")]
use orion_driver::model::cost::measure;
use orion_driver::{Setup, Span};
use orion_region::Window;
use orion_virtio::model::{self, MmioModel, Model, Shape};
use orion_virtio::{MmioTransport, VirtioBlk};

const DMA_BUS: u64 = 0x9000_0000;
const DATA_BUS: u64 = 0xa000_0000;

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
        measure(&mut disk, depth, |depth| answer(&ours, &mut done, depth));
    }
}
