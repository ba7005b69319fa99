// SPDX-License-Identifier: MIT
//! What a request costs in a driver alone: programs that count its instructions, with a device that does nothing.
use super::super::{Engine, Registers, Unit};
use core::cell::Cell;
use core::hint::black_box;
use orion_block::{Buf, Lba, Op, RegionId, Request};
use orion_region::Mmio;
use std::println;
use std::rc::Rc;

/// How often requests are sent in [`measure`].
const ROUNDS: u32 = 10_000;

/// A model's registers until it is quiet: then writes are stores, as they are where registers are mapped, and reads are what a
/// device shows that has ended everything.
#[derive(Debug)]
pub struct Quiet<R> {
    registers: R,
    is_quiet: Rc<Cell<bool>>,
    ended: fn(usize) -> u32,
    written: Cell<u32>,
}

impl<R> Quiet<R> {
    /// These registers; quiet, they read as `ended` says, by offset. Setting the cell makes them so.
    pub fn new(registers: R, ended: fn(usize) -> u32) -> (Self, Rc<Cell<bool>>) {
        let is_quiet = Rc::new(Cell::new(false));
        (Self { registers, is_quiet: is_quiet.clone(), ended, written: Cell::new(0) }, is_quiet)
    }
}

impl<R: Mmio> Mmio for Quiet<R> {
    fn len(&self) -> usize {
        self.registers.len()
    }
    fn read8(&self, offset: usize) -> u8 {
        self.registers.read8(offset)
    }
    fn read16(&self, offset: usize) -> u16 {
        self.registers.read16(offset)
    }
    fn read32(&self, offset: usize) -> u32 {
        if self.is_quiet.get() { (self.ended)(offset) } else { self.registers.read32(offset) }
    }
    fn read64(&self, offset: usize) -> u64 {
        self.registers.read64(offset)
    }
    fn write8(&self, offset: usize, value: u8) {
        self.registers.write8(offset, value);
    }
    fn write16(&self, offset: usize, value: u16) {
        self.registers.write16(offset, value);
    }
    fn write32(&self, offset: usize, value: u32) {
        if self.is_quiet.get() {
            self.written.set(value);
        } else {
            self.registers.write32(offset, value);
        }
    }
    fn write64(&self, offset: usize, value: u64) {
        self.registers.write64(offset, value);
    }
}

impl<R: Registers> Registers for Quiet<R> {
    fn set_dma(&mut self, on: bool) {
        self.registers.set_dma(on);
    }
}

/// The read of 4 KiB that is sent as `tag`.
pub fn read(tag: u32) -> Request {
    let buf = Buf { region: RegionId(0), offset: u64::from(tag) << 12 };
    Request { op: Op::Read, fua: false, lba: Lba(u64::from(tag) * 8), blocks: 8, buf }
}

#[inline(never)]
fn driver_submits<E: Engine<u32>>(disk: &mut E, depth: u32) {
    for tag in 0..depth {
        disk.start(Unit(0), tag, &read(tag));
    }
    disk.kick();
}

#[inline(never)]
fn driver_drains<E: Engine<u32>>(disk: &mut E) -> u32 {
    let mut well = 0;
    disk.interrupted();
    disk.drain(|_, done| well += u32::from(black_box(done).status.is_ok()));
    well
}

/// Sends reads, `depth` at a time, which `answer` ends, and prints what each took. Callgrind counts a driver's part with
/// `--toggle-collect='*driver_submits*' --toggle-collect='*driver_drains*'`.
///
/// # Panics
/// Where one does not end well.
pub fn measure<E: Engine<u32>>(disk: &mut E, depth: u32, mut answer: impl FnMut(u32)) {
    let mut total = 0;
    let start = std::time::Instant::now();
    for _ in 0..ROUNDS {
        driver_submits(disk, depth);
        answer(depth);
        total += driver_drains(disk);
    }
    let ns = start.elapsed().as_nanos() / u128::from(total.max(1));
    assert_eq!(total, ROUNDS * depth, "reads that ended well");
    println!("depth {depth}: {total} requests, {ns} ns each with a device that does nothing");
}
