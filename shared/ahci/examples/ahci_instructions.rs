// SPDX-License-Identifier: MIT
//! What a request costs in the driver, in instructions: run it under callgrind.
//!
//!     cargo build --release -p orion-ahci --features model --example ahci_instructions
//!     valgrind --tool=callgrind --toggle-collect='*driver_submits*' --toggle-collect='*driver_drains*' \
//!         target/release/examples/ahci_instructions
#![allow(missing_docs, clippy::unwrap_used, reason = "a program to be measured")]
use orion_ahci::model::{self, Abar, Drive, Model, Shape};
use orion_ahci::wire::registers::{hba, is, port};
use orion_ahci::{Ahci, Options, Place};
use orion_block::Instant;
use orion_driver::model::cost::{Quiet, measure};
use orion_driver::{Engine, Setup, Span, Unit};

const DMA_BUS: u64 = 0x9000_0000;
const DATA_BUS: u64 = 0xa000_0000;

/// Registers where every command has ended.
fn ended(offset: usize) -> u32 {
    match offset {
        hba::IS => 1,
        _ if offset == hba::PORTS + port::IS => is::SDBS,
        _ => 0,
    }
}

fn main() {
    for depth in [1, 31] {
        let [dma, device_dma] = model::memory(512 << 10);
        let [data] = model::memory(1 << 20);
        let memory = vec![(DMA_BUS, device_dma), (DATA_BUS, data)];
        let device = Model::new(Shape::default(), vec![(0, Drive::new(4096, 512))], memory);
        let (registers, is_quiet) = Quiet::new(Abar(device.clone()), ended);
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
        is_quiet.set(true);
        measure(&mut disk, depth, |_| {});
    }
}
