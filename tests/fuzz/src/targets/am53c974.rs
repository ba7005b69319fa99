// SPDX-License-Identifier: MIT
//! An Am53C974 whose registers read as anything, on a bus whose targets say anything: nothing panics, each request is answered
//! once, and in time.
//!
//! An input is 64 bytes with which all that is received is filled, and then what is read from registers: a byte below 224 picks one of
//! the values that mean something there, any other stands for the byte that follows it (or the four, of the DMA engine's state).
#![allow(unsafe_code, reason = "windows on a test's own memory")]
use super::Input;
use orion_am53c974::{Am53c974, Fault};
use orion_block::{Buf, Instant, Lba, Op, RegionId, Request};
use orion_driver::{Engine, Registers, Setup, Span, Unit};
use orion_region::{Mmio, Window, model::memory};
use orion_scsi::{Choice, Place, Wanted};
use std::cell::RefCell;
use std::ptr::NonNull;

const DMA: u64 = 0x9000_0000;
const DATA: u64 = 0xa000_0000;
const DMA_LEN: usize = 256 << 10;
const DATA_LEN: u64 = 64 << 10;
/// Bytes of an input that are received.
const RECEIVED: usize = 64;
/// Bytes that an input has at most.
pub const MOST: usize = RECEIVED + 2048;
/// Registers by the data sheet; read only: FIFO, status, interrupt, internal state, bytes in the FIFO, and the DMA engine's status.
const FIFO: usize = 0x08;
const STATUS: usize = 0x10;
const INTERRUPT: usize = 0x14;
const STEP: usize = 0x18;
const FIFO_COUNT: usize = 0x1c;
const DMA_STATUS: usize = 0x54;

/// The adapter.
struct Lies<'a>(RefCell<Input<'a>>);

impl Lies<'_> {
    /// What an adapter in good order may have in a register.
    fn sensible(offset: usize) -> &'static [u8] {
        match offset {
            // Every phase, and errors.
            STATUS => &[0x80, 0x81, 0x82, 0x83, 0x86, 0x87, 0x90, 0x91, 0x93, 0xa1, 0xc0],
            // A service, an end, both, a disconnection, a reselection, an illegal command, a reset.
            INTERRUPT => &[0x10, 0x18, 8, 0x20, 4, 0x24, 0x40, 0x80],
            STEP => &[4, 0, 1, 2, 3],
            FIFO_COUNT => &[1, 0, 2, 3, 16, 31],
            // Messages, status, and who reselects.
            FIFO => &[0, 0x88, 0x80, 2, 4, 7, 0x20, 0x21, 1, 3, 0x81],
            _ => &[0, 1, 255],
        }
    }
}

impl Mmio for Lies<'_> {
    fn len(&self) -> usize {
        0x80
    }
    fn read8(&self, offset: usize) -> u8 {
        let mut input = self.0.borrow_mut();
        let picks = Self::sensible(offset);
        match usize::from(input.byte()) {
            pick if pick < 224 => picks[pick % picks.len()],
            _ => input.byte(),
        }
    }
    fn read16(&self, _: usize) -> u16 {
        panic!("its registers have 8 or 32 bits")
    }
    fn read32(&self, offset: usize) -> u32 {
        let mut input = self.0.borrow_mut();
        match (offset, usize::from(input.byte())) {
            // It has nothing to say once all is said.
            (DMA_STATUS, _) if input.is_empty() => 0,
            // An interrupt of SCSI's, with the DMA engine done or not; an error.
            (DMA_STATUS, pick) if pick < 224 => [0x18, 0x10, 0, 0x12][pick % 4],
            _ => input.word(),
        }
    }
    fn read64(&self, _: usize) -> u64 {
        panic!("its registers have 8 or 32 bits")
    }
    fn write8(&self, _: usize, _: u8) {}
    fn write16(&self, _: usize, _: u16) {}
    fn write32(&self, _: usize, _: u32) {}
    fn write64(&self, _: usize, _: u64) {}
}

impl Registers for Lies<'_> {}

thread_local! {
    /// DMA memory, which is never freed, so that each run has the same.
    static MEMORY: NonNull<u8> = memory::<1>(DMA_LEN).map(|window| window.base())[0];
}

/// An adapter that lies.
pub fn am53c974(bytes: &[u8]) {
    let mut input = Input(bytes);
    let received: [u8; RECEIVED] = input.take();
    // SAFETY: the bytes are never freed, aligned to a page, and reached only through windows.
    let [dma, theirs] = MEMORY.with(|base| [(); 2].map(|()| unsafe { Window::new(*base, DMA_LEN) }));
    (0..DMA_LEN / RECEIVED).for_each(|at| assert!(theirs.copy_in(at * RECEIVED, &received)));
    let regions = [Span { bus: DATA, size: DATA_LEN }];
    let timeout_ns = 1_000_000_000;
    let setup = Setup { dma, dma_bus: DMA, regions: &regions, iommu: false, read_only: false, timeout_ns };
    let place = Choice::At(Place { target: 3, lun: 0 });
    let wanted = [Choice::First, place].map(Wanted::of);
    let lies = Lies(RefCell::new(input));
    let mut driver: Am53c974<Lies<'_>> = match orion_am53c974::open(lies, &wanted, setup) {
        Ok(driver) => driver,
        Err(fault) => return assert_eq!(fault, Fault::Nothing),
    };
    drive(&mut driver);
}

/// Requests to both disks, a minute long; each is answered.
fn drive(driver: &mut Am53c974<Lies<'_>>) {
    const OPS: [Op; 5] = [Op::Read, Op::Write, Op::Flush, Op::WriteZeroes, Op::Discard];
    let mut answered = Vec::new();
    for round in 0..6000_u32 {
        driver.set_time(Instant(1 + u64::from(round) * 10_000_000));
        let (tag, unit) = (round / 8, Unit(u8::from(round % 16 == 8)));
        if round % 8 == 0 && round < 400 {
            if driver.has_room(unit) {
                let op = OPS[tag as usize % OPS.len()];
                let blocks = u32::from(op != Op::Flush);
                let buf = Buf { region: RegionId(0), offset: 0 };
                driver.start(unit, tag, &Request { op, fua: true, lba: Lba(0), blocks, buf });
            } else {
                answered.push(tag);
            }
        }
        // What lies has no end: a driver's PD takes so much in a call as the port says.
        (0..4).for_each(|_| answered.extend(driver.finished().map(|(tag, _)| tag)));
        driver.kick();
        driver.expire();
    }
    answered.sort_unstable();
    assert_eq!(answered, (0..50).collect::<Vec<_>>(), "each request is answered once");
    for unit in [Unit(0), Unit(1)] {
        if let Some(limits) = driver.limits(unit) {
            assert!(limits.capacity > 0 && limits.max_blocks > 0 && limits.atomic_blocks == 1);
        }
    }
}
