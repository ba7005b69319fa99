// SPDX-License-Identifier: MIT
//! One line for each device and each layer. Those that need rings and PDs are in `tests/sim` and `tests/host`.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use orion_am53c974::model::Manners;
use orion_block::{BlockSize, Buf, Error, RegionId};
use orion_caps::{Capability, Extent, Gatekeeper, Rights};
use orion_contract::{
    Bottom, DrivenBlk, DrivenScsi, Expect, Memory, Narrow, Stack, ahci, am53c974, nvme, nvme_queues, nvme_verified,
    virtio_blk, virtio_scsi,
};
use orion_gpt::{Partitions, Select};
use orion_layer::{Delay, Faults, Passthrough};
use orion_nvme::{Many as Pairs, One};
use orion_scsi::model::Disk;
use orion_virtio::queue::Queue;
use orion_virtio::{Many, Wishes};

const B512: BlockSize = BlockSize::B512;
const B4096: BlockSize = BlockSize::B4096;
const NARROW: Narrow = Narrow { max_blocks: 7, boundary: 16 };

fn memory() -> Stack<Memory> {
    Stack::memory(1000, B512, &[])
}

fn blk(blocks: usize, block: BlockSize, read_only: bool) -> Stack<DrivenBlk<Queue>> {
    Stack::on(|data| virtio_blk(blocks, block, read_only, data, Wishes::default()))
}

fn virtio() -> Stack<DrivenBlk<Queue>> {
    blk(1000, B512, false)
}

fn scsi(disk: Disk, read_only: bool) -> Stack<DrivenScsi> {
    Stack::on(|data| virtio_scsi(disk, read_only, data))
}

#[test]
fn the_memory_disk() {
    memory().holds();
    Stack::memory(64, B4096, &[]).holds();
}

#[test]
fn layers_that_change_nothing() {
    let report = memory().layer(Passthrough).report();
    assert!(report.failures().is_empty() && report.passed("restart"), "{report:#?}");
    memory().layer(Delay::<16>::new(1000)).holds();
    memory().layer(Passthrough).layer(Delay::<4>::new(300)).layer(Passthrough).holds();
}

#[test]
fn layers_that_fail() {
    let report = memory().layer(Faults::default()).report();
    assert!(report.failures().is_empty() && report.passed("a failing part"), "{report:#?}");
}

#[test]
fn split_requests() {
    memory().layer(NARROW).holds();
    let report = memory().layer(Faults::default()).layer(NARROW).layer(Delay::<16>::new(700)).report();
    assert!(report.failures().is_empty() && report.passed("a failing part"), "{report:#?}");
    virtio().layer(Faults::default()).layer(Narrow { max_blocks: 1, boundary: 4 }).holds();
}

#[test]
fn the_virtio_driver() {
    let report = virtio().report();
    assert!(report.failures().is_empty() && report.passed("loss of power") && report.passed("restart"), "{report:#?}");
    blk(128, B4096, false).holds();
    blk(128, B512, true).holds();
}

#[test]
fn the_virtio_driver_with_other_queues() {
    for (queues, packed, in_order) in
        [(1, true, false), (1, false, true), (1, true, true), (4, false, false), (4, true, false)]
    {
        let wishes = Wishes { queues, packed, in_order, queue_reset: true };
        let report = Stack::on(|data| virtio_blk::<Many>(512, B512, false, data, wishes)).report();
        let passed = report.passed("loss of power") && report.passed("restart");
        assert!(report.failures().is_empty() && passed, "{wishes:?}: {report:#?}");
    }
}

#[test]
fn the_nvme_driver() {
    for plain in [false, true] {
        let report = Stack::on(|data| nvme(1000, B512, false, plain, data)).report();
        assert!(report.failures().is_empty(), "{report:#?}");
        assert!(report.passed("loss of power") && report.passed("restart"), "{report:#?}");
        Stack::on(|data| nvme(128, B4096, false, plain, data)).holds();
        Stack::on(|data| nvme(128, B512, true, plain, data)).holds();
    }
}

#[test]
fn the_nvme_driver_with_several_queues() {
    let wishes = nvme_wishes(4, false);
    for plain in [false, true] {
        for wishes in [wishes, nvme_wishes(0, true)] {
            Stack::on(|data| nvme_queues::<Pairs>((1000, B512), false, plain, data, wishes)).holds();
        }
        Stack::on(|data| nvme_queues::<Pairs>((128, B4096), true, plain, data, wishes)).holds();
    }
}

#[test]
fn the_nvme_driver_that_compares_what_it_writes() {
    Stack::on(|data| nvme_verified::<One>(1000, data, nvme_wishes(1, false))).holds();
    Stack::on(|data| nvme_verified::<Pairs>(1000, data, nvme_wishes(3, false))).holds();
}

fn nvme_wishes(queues: u8, weighted: bool) -> orion_nvme::Wishes {
    orion_nvme::Wishes { queues, weighted, ..orion_nvme::Wishes::default() }
}

#[test]
fn the_ahci_driver() {
    for plain in [false, true] {
        let report = Stack::on(|data| ahci(1000, B512, false, plain, data)).report();
        assert!(report.failures().is_empty(), "{report:#?}");
        assert!(report.passed("loss of power") && report.passed("restart"), "{report:#?}");
        Stack::on(|data| ahci(128, B4096, false, plain, data)).holds();
        Stack::on(|data| ahci(128, B512, true, plain, data)).holds();
    }
}

#[test]
fn the_virtio_scsi_driver() {
    let report = scsi(Disk::new(1000, 512), false).report();
    assert!(report.failures().is_empty() && report.passed("loss of power") && report.passed("restart"), "{report:#?}");
    scsi(Disk { fua: true, ..Disk::new(128, 4096) }, false).holds();
    scsi(Disk { write_cache: false, max_unmap: 3, max_write_same: 5, ..Disk::new(1000, 512) }, false).holds();
    scsi(Disk { version: 2, unknown: [0x9e, 0x93, 0x1a].into(), ..Disk::new(128, 512) }, false).holds();
    scsi(Disk::new(128, 512), true).holds();
    let report = scsi(Disk::new(1000, 512), false).layer(Faults::default()).layer(NARROW).report();
    assert!(report.failures().is_empty() && report.passed("a failing part"), "{report:#?}");
}

#[test]
fn the_am53c974_driver() {
    let on = |disk, manners, read_only| Stack::on(|data| am53c974(disk, manners, read_only, data));
    for manners in [Manners::PLAIN, Manners::lively(1), Manners { flags: 0, ..Manners::lively(2) }] {
        let report = on(Disk::new(1000, 512), manners, false).report();
        assert!(report.failures().is_empty(), "{report:#?}");
        assert!(report.passed("loss of power") && report.passed("restart"), "{report:#?}");
    }
    on(Disk { fua: true, ..Disk::new(128, 4096) }, Manners::lively(3), false).holds();
    on(Disk::new(128, 512), Manners::lively(4), true).holds();
    let report = on(Disk::new(1000, 512), Manners::lively(5), false).layer(Faults::default()).layer(NARROW).report();
    assert!(report.failures().is_empty() && report.passed("a failing part"), "{report:#?}");
}

#[test]
fn the_gatekeeper() {
    over(memory(), 800).holds();
    over(Stack::memory(256, B4096, &[]), 100).holds();
    over(virtio(), 800).holds();
    over(Stack::on(|data| nvme(1000, B512, false, false, data)), 800).holds();
    over(Stack::on(|data| ahci(1000, B512, false, false, data)), 800).holds();
    over(virtio().layer(Faults::default()).layer(NARROW), 800).holds();
}

/// A gatekeeper that grants 100 blocks of 4096 bytes in the middle, `blocks` of the disk's, and a neighbour some others.
fn over<B: Bottom>(stack: Stack<B>, blocks: u64) -> Stack<B> {
    let mut gatekeeper = Gatekeeper::new();
    for (client, first, blocks) in [(0, 8, 100), (1, 0, 8)] {
        let extent = Extent { first, blocks };
        gatekeeper
            .grant(Capability { client, extent, rights: Rights::from_bits(0xff), ..Capability::default() })
            .unwrap();
    }
    let denied = Expect { beyond: Error::Denied, read_only: Error::Denied };
    stack.layer(gatekeeper).clients(2).part(8 * blocks / 100, blocks).refuses(denied)
}

#[test]
fn partitions() {
    for (number, first, blocks) in [(1, 1003, 300), (2, 3, 900)] {
        let mut layer = Partitions::new(Buf { region: RegionId(0), offset: 64 << 10 });
        assert!(layer.add(Select::parse(&format!("number={number}")).unwrap()));
        Stack::memory(2000, B512, &table())
            .layer(Faults::default())
            .layer(NARROW)
            .layer(layer)
            .part(first, blocks)
            .holds();
    }
}

/// An MBR with a partition of 300 blocks at 1003, and one of 900 at 3.
fn table() -> Vec<u8> {
    let mut record = vec![0; 512];
    for (at, first, blocks) in [(446, 1003u32, 300u32), (462, 3, 900)] {
        record[at + 4] = 0x83;
        record[at + 8..at + 12].copy_from_slice(&first.to_le_bytes());
        record[at + 12..at + 16].copy_from_slice(&blocks.to_le_bytes());
    }
    record[510..].copy_from_slice(&[0x55, 0xaa]);
    record
}
