// SPDX-License-Identifier: MIT
//! A SCSI disk that answers with anything: the driver ends in time, and what it offers makes sense.
//!
//! An input is lies: a number of the questions below, a length, and so many bytes that the disk answers it with; or, where the
//! number is beyond them, a failure: operation code, status, and 18 bytes of sense data.
#![allow(unsafe_code, reason = "windows on a test's own memory")]
use super::Input;
use orion_block::{Buf, Instant, Lba, Op, RegionId, Request};
use orion_driver::{Engine, Setup, Span, Unit};
use orion_region::Window;
use orion_scsi::model::{Bad, Bus, Disk, Fault};
use orion_scsi::wire::{log, luns, mode, reserve};
use orion_scsi::{Choice, Sense, Wanted};
use orion_virtio::model::{ScsiMmio, ScsiModel, ScsiShape, memory};
use orion_virtio::{MmioTransport, VirtioScsi};
use std::ptr::NonNull;

const DMA: u64 = 0x9000_0000;
const DATA: u64 = 0xa000_0000;
const DMA_LEN: usize = 256 << 10;
const DATA_LEN: usize = 64 << 10;
/// Questions, by the first three bytes of their commands.
const QUESTIONS: [[u8; 3]; 10] = [
    [0x12, 0, 0],
    [0x12, 1, 0],
    [0x12, 1, 0x80],
    [0x12, 1, 0x83],
    [0x12, 1, 0xb0],
    [0x12, 1, 0xb2],
    [0x9e, 0x10, 0],
    [0x1a, 8, 8],
    [0x4d, 0, 0x40],
    [0x4d, 0, 0x6f],
];

/// A disk that lies.
pub fn scsi(bytes: &[u8]) {
    // Parsers that no question of the driver reaches.
    let _ = (luns::units(bytes).count(), mode::select_write_cache(bytes, true), reserve::reservation(bytes));
    let _ = reserve::keys(bytes).map(|(_, keys)| keys.count());
    let mut health = orion_driver::Health::default();
    log::PAGES.into_iter().for_each(|page| log::learn(bytes, page, &mut health));
    let mut disk = Disk::new(64, 512);
    // What it offers is for its lies to say: a write that is forced is nothing to wonder at.
    disk.fua = true;
    let mut input = Input(bytes);
    while !input.is_empty() {
        match QUESTIONS.get(usize::from(input.byte())) {
            Some(question) => {
                let len = usize::from(input.byte());
                disk.lies.insert(*question, (0..len).map(|_| input.byte()).collect());
            }
            None => disk.faults.push(fault(&mut input)),
        }
    }
    drive(disk);
}

fn fault(input: &mut Input<'_>) -> Fault {
    let (opcode, status) = (Some(input.byte()), input.byte());
    let bad = Sense::parse(&input.take::<18>()).map_or(Bad::Status(status.max(1)), Bad::Sense);
    Fault { opcode, block: None, times: u32::from(status >> 6) + 1, bad }
}

/// Until nothing is due: time goes from one deadline to the next.
fn settle(
    scsi: &mut VirtioScsi<MmioTransport<ScsiMmio>>,
    device: &orion_virtio::model::SharedScsi,
    now: &mut u64,
) -> usize {
    let (mut answers, until) = (0, *now + 10_000_000_000);
    for _ in 0..100_000 {
        scsi.set_time(Instant(*now));
        answers += core::iter::from_fn(|| scsi.finished()).count();
        scsi.kick();
        if scsi.expire() {
            continue;
        }
        device.borrow_mut().serve();
        if device.borrow_mut().take_interrupt() {
            scsi.interrupted();
            continue;
        }
        match scsi.deadline().filter(|at| at.0 <= until) {
            Some(at) => *now = at.0.max(*now),
            None => return answers,
        }
    }
    panic!("it does not come to rest");
}

thread_local! {
    /// DMA memory and payload: the model's are never freed, so that each run has the same.
    static MEMORY: [NonNull<u8>; 2] = [DMA_LEN, DATA_LEN].map(|len| memory::<1>(len).map(|window| window.base())[0]);
}

fn windows<const N: usize>(base: NonNull<u8>, len: usize) -> [Window; N] {
    // SAFETY: the bytes are never freed, aligned to a page, and reached only through windows.
    std::array::from_fn(|_| unsafe { Window::new(base, len) })
}

fn drive(disk: Disk) {
    let ([dma, dma_device], [data_device]) =
        MEMORY.with(|[dma, data]| (windows(*dma, DMA_LEN), windows(*data, DATA_LEN)));
    let device =
        ScsiModel::new(ScsiShape::new(3 << 28 | 6), Bus::of(disk), vec![(DMA, dma_device), (DATA, data_device)]);
    let regions = [Span { bus: DATA, size: DATA_LEN as u64 }];
    let timeout_ns = 1_000_000_000;
    let setup = Setup { dma, dma_bus: DMA, regions: &regions, iommu: false, read_only: false, timeout_ns };
    let bus = MmioTransport::new(ScsiMmio(device.clone()), 0).unwrap();
    let wanted = [Wanted { write_cache: Some(false), ..Wanted::of(Choice::First) }];
    let mut scsi = orion_virtio::scsi::open(bus, &wanted, setup).unwrap();
    let mut now = 0;
    assert_eq!(settle(&mut scsi, &device, &mut now), 0);
    scsi.refresh();
    assert_eq!(settle(&mut scsi, &device, &mut now), 0);
    let Some(limits) = scsi.limits(Unit(0)) else { return };
    assert!(limits.capacity > 0 && limits.max_blocks > 0 && limits.atomic_blocks == 1);
    // Only what lies within the disk as it is: the model holds the driver to that.
    if limits.block.bytes() != 512 || limits.max_blocks < 8 || limits.capacity < 64 {
        return;
    }
    let ops = [Op::Read, Op::Write, Op::Flush, Op::WriteZeroes, Op::Discard];
    for (tag, op) in (0..).zip(ops) {
        let blocks = if op == Op::Flush { 0 } else { 8 };
        let buf = Buf { region: RegionId(0), offset: u64::from(tag) * 4096 };
        scsi.start(Unit(0), tag, &Request { op, fua: true, lba: Lba(8), blocks, buf });
    }
    assert_eq!(settle(&mut scsi, &device, &mut now), ops.len(), "each request is answered once");
}
