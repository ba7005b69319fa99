// SPDX-License-Identifier: MIT
//! What a request costs in the driver, in instructions: run it under callgrind.
//!
//!     cargo build --release -p orion-nvme --features model --example nvme_instructions
//!     valgrind --tool=callgrind --toggle-collect='*driver_submits*' --toggle-collect='*driver_drains*' \
//!         target/release/examples/nvme_instructions
#![allow(missing_docs, clippy::unwrap_used, reason = "a program to be measured")]
use orion_block::Instant;
use orion_driver::model::cost::{Quiet, measure};
use orion_driver::{Engine, Setup, Span};
use orion_nvme::model::{self, Model, ModelRegisters};
use orion_nvme::{DMA_BYTES, Nvme, Place};
use orion_region::Window;

const DMA_BUS: u64 = 0x9000_0000;
const DATA_BUS: u64 = 0xa000_0000;
/// Where the driver has the queue for answers, and its entries.
const ANSWERS: usize = 10 * 4096;
const ENTRIES: usize = 256;

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
        let (registers, is_quiet) = Quiet::new(ModelRegisters(device), |_| 0);
        let regions = [Span { bus: DATA_BUS, size: 1 << 20 }];
        let setup =
            Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only: false, timeout_ns: 1 << 40 };
        let mut disk = Nvme::new(registers, setup, &[Place::FIRST]).unwrap();
        disk.set_time(Instant(1));
        disk.expire();
        (0..8).for_each(|_| disk.interrupted());
        is_quiet.set(true);
        let mut done = 0;
        measure::<Nvme<_>>(&mut disk, depth, |depth| answer(&ours, &mut done, depth));
    }
}
