// SPDX-License-Identifier: MIT
//! An AHCI controller whose registers read as anything, with a drive that says anything of itself, alone and behind a port
//! multiplier: each request is answered once, the driver comes to rest, and what it offers makes sense.
//!
//! An input is the page that IDENTIFY answers, the log of queued errors, a page of SMART, a received FIS, and then what is read
//! from registers: a byte below 200 for what a good controller has there, any other for the four bytes that follow it.
#![allow(unsafe_code, reason = "windows on a test's own memory")]
use super::Input;
use orion_ahci::wire::ata::command;
use orion_ahci::wire::identify::Identify;
use orion_ahci::wire::registers::{cap, cmd, ghc, hba, port, signature};
use orion_ahci::{Ahci, Options, Place};
use orion_block::{Buf, Instant, Lba, Op, RegionId, Request};
use orion_driver::{Engine, Registers, Setup, Span, Unit};
use orion_region::{Mmio, Window, model::memory};
use std::cell::RefCell;
use std::ptr::NonNull;
use std::rc::Rc;
use zerocopy::FromBytes;

const DMA: u64 = 0x9000_0000;
const DATA: u64 = 0xa000_0000;
const DMA_LEN: usize = 512 << 10;
const DATA_LEN: u64 = 64 << 10;
/// Bytes of an input before what registers read as.
const PAGES: usize = 512 + 64 + 128 + 20;
/// Bytes that an input has at most.
pub const MOST: usize = PAGES + 2048;
/// Where a unit has the data of the driver's own commands, its received FISes and its command list.
const OWN: usize = 0x600;
const RECEIVED: usize = 0x1000;

/// The controller.
struct Lies<'a> {
    dma: Window,
    identify: &'a [u8],
    log: &'a [u8],
    smart: &'a [u8],
    fis: &'a [u8],
    reads: Input<'a>,
    written: [u32; 0x200 / 4],
    /// Commands were issued since it interrupted last.
    busy: bool,
}

impl Lies<'_> {
    /// What a good controller has in a register.
    fn good(&self, offset: usize) -> u32 {
        let written = self.written.get(offset / 4).copied().unwrap_or(0);
        match offset {
            hba::CAP => 31 << cap::NCS_SHIFT | cap::SNCQ | cap::S64A | cap::SPM | cap::FBSS | cap::SCLO | cap::SSNTF,
            hba::PI => 3,
            hba::GHC => written & !ghc::HR | ghc::AE,
            hba::IS => 3,
            _ if offset < hba::PORTS => 0,
            _ => match (offset - hba::PORTS) % hba::PORT_BYTES {
                port::IS => 1 | 1 << 3,
                port::CMD => {
                    let follows = |bit, shows| if written & bit != 0 { shows } else { 0 };
                    written & !(cmd::CLO | cmd::CR | cmd::FR)
                        | follows(cmd::ST, cmd::CR)
                        | follows(cmd::FRE, cmd::FR)
                        | cmd::FBSCP
                }
                port::TFD => 0x50,
                port::SIG if offset < hba::PORTS + hba::PORT_BYTES => signature::DISK,
                port::SIG => signature::MULTIPLIER,
                port::SSTS => 0x133,
                port::SCTL | port::CLB | port::FB => written,
                _ => 0,
            },
        }
    }

    fn read(&mut self, offset: usize) -> u32 {
        // What it did to be reset does not go wrong: that takes the driver a million reads to find out.
        if self.reads.is_empty() || offset == hba::GHC || self.reads.byte() < 200 {
            return self.good(offset);
        }
        self.reads.word()
    }

    /// Commands are issued: the pages that they ask for are there at once, at the driver's own data of every unit.
    fn issued(&mut self, slots: u32) {
        self.busy = true;
        for table in (0..2).flat_map(|unit| (0..32).map(move |slot| (unit, unit * 0x4000 + 0x2000 + slot * 256, slot)))
        {
            let (unit, at, slot) = table;
            let Some(fis) = self.dma.read::<u64>(at).filter(|_| slots >> slot & 1 != 0) else { continue };
            let page = match (fis >> 16) as u8 {
                command::IDENTIFY => self.identify,
                command::READ_LOG_EXT => self.log,
                command::SMART => self.smart,
                _ => continue,
            };
            self.dma.copy_in(unit * 0x4000 + OWN, page);
            self.dma.copy_in((unit + 1) * 0x4000 % 0x8000 + OWN, page);
        }
        self.dma.copy_in(RECEIVED + 0x40, self.fis);
        self.dma.copy_in(0x4000 + RECEIVED + 0x40, self.fis);
        // A multiplier with two ports whose links are up: that number is read from its own FIS.
        self.dma.copy_in(0x4000 + RECEIVED + 15 * 256 + 0x40 + 12, &[3]);
    }
}

/// Its registers.
#[derive(Clone)]
struct Bar<'a>(Rc<RefCell<Lies<'a>>>);

impl Mmio for Bar<'_> {
    fn len(&self) -> usize {
        hba::PORTS + 2 * hba::PORT_BYTES
    }
    fn read8(&self, _: usize) -> u8 {
        panic!("AHCI's registers are read by words")
    }
    fn read16(&self, _: usize) -> u16 {
        panic!("AHCI's registers are read by words")
    }
    fn read32(&self, offset: usize) -> u32 {
        self.0.borrow_mut().read(offset)
    }
    fn read64(&self, _: usize) -> u64 {
        panic!("AHCI's registers are read by words")
    }
    fn write8(&self, _: usize, _: u8) {}
    fn write16(&self, _: usize, _: u16) {}
    fn write32(&self, offset: usize, value: u32) {
        let lies = &mut *self.0.borrow_mut();
        if let Some(to) = lies.written.get_mut(offset / 4) {
            *to = value;
        }
        if offset >= hba::PORTS && (offset - hba::PORTS) % hba::PORT_BYTES == port::CI {
            lies.issued(value);
        }
    }
    fn write64(&self, _: usize, _: u64) {}
}

impl Registers for Bar<'_> {}

thread_local! {
    /// DMA memory, which is never freed, so that each run has the same.
    static MEMORY: NonNull<u8> = memory::<1>(DMA_LEN).map(|window| window.base())[0];
}

/// A controller that lies.
pub fn ahci(bytes: &[u8]) {
    let (pages, reads) = bytes.split_at(PAGES.min(bytes.len()));
    let mut all = [0; PAGES];
    all[..pages.len()].copy_from_slice(pages);
    let (identify, rest) = all.split_at(512);
    let (log, rest) = rest.split_at(64);
    let (smart, fis) = rest.split_at(128);
    if let Ok(Ok(drive)) = Identify::read_from_bytes(identify).map(|identify| identify.parse()) {
        assert!(drive.capacity > 0 && drive.capacity <= 1 << 48 && drive.queue <= 32 && drive.outlives(&drive));
    }
    // SAFETY: the bytes are never freed, aligned to a page, and reached only through windows.
    let [dma, seen] = MEMORY.with(|base| [(); 2].map(|()| unsafe { Window::new(*base, DMA_LEN) }));
    let lies = Lies { dma: seen, identify, log, smart, fis, reads: Input(reads), written: [0; 128], busy: false };
    let bar = Bar(Rc::new(RefCell::new(lies)));
    let regions = [Span { bus: DATA, size: DATA_LEN }];
    let timeout_ns = 1_000_000_000;
    let setup = Setup { dma, dma_bus: DMA, regions: &regions, iommu: false, read_only: false, timeout_ns };
    let places = [Place::of(0, false), Place::of(1 | 1 << 16, false)];
    let Ok(mut driver) = Ahci::<Bar<'_>>::new(bar.clone(), setup, &places, Options::default()) else { return };
    let mut now = 1;
    assert_eq!(settle(&mut driver, &bar, &mut now), 0);
    let mut asked = 0;
    for unit in [Unit(0), Unit(1)] {
        if let Some(limits) = driver.limits(unit) {
            assert!(limits.capacity > 0 && limits.max_blocks > 0 && limits.atomic_blocks == 1);
            assert!((1..=31).contains(&limits.queue_depth));
        }
        for op in [Op::Read, Op::Write, Op::Flush, Op::Discard, Op::Read] {
            if driver.has_room(unit) {
                let blocks = u32::from(op != Op::Flush);
                let buf = Buf { region: RegionId(0), offset: u64::from(asked) * 4096 };
                driver.start(unit, asked, &Request { op, fua: true, lba: Lba(0), blocks, buf });
                asked += 1;
            }
        }
    }
    driver.refresh();
    assert_eq!(settle(&mut driver, &bar, &mut now), asked, "each request is answered once");
}

/// Until nothing is due: time goes from one deadline to the next.
fn settle(driver: &mut Ahci<Bar<'_>>, bar: &Bar<'_>, now: &mut u64) -> u32 {
    let mut answers = 0;
    for _ in 0..100_000 {
        driver.set_time(Instant(*now));
        answers += u32::try_from(core::iter::from_fn(|| driver.finished()).count()).unwrap_or(u32::MAX);
        driver.kick();
        if driver.expire() {
            continue;
        }
        if std::mem::take(&mut bar.0.borrow_mut().busy) {
            driver.interrupted();
            continue;
        }
        match driver.deadline() {
            Some(at) => *now = at.0.max(*now + 1),
            None => return answers,
        }
    }
    panic!("it does not come to rest");
}
