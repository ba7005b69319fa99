// SPDX-License-Identifier: MIT
//! The driver of the Am53C974 against QEMU's adapter and disks: what they say of themselves, every operation, errors, and an
//! adapter that is reset or taken over with requests in flight.
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test's small numbers and certain values"
)]
use orion_am53c974::{Am53c974, Fault};
use orion_block::{BlockSize, Buf, Completion, Error, Instant, Lba, Op, RegionId, Request};
use orion_driver::{Describe, Engine, Setup, Span, Unit};
use orion_host::pin::Pin;
use orion_host::qemu::{Aio, Dimm, Image, Machine, Medium, Qemu};
use orion_host::qtest::{Device, Qtest, Registers};
use orion_host::regions::Mapped;
use orion_host::sys::{self, Cpus};
use orion_pci::{BarRegisters, Function};
use orion_pd::ChannelSet;
use orion_scsi::{Choice, Place, Wanted};
use orion_system::bus::Bus;
use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

const ECAM: u64 = 0xb000_0000;
const PORTS: u64 = 0xc000;
const DMA_BUS: u64 = 0x0100_0000;
const DATA_BUS: u64 = 0x0200_0000;
const DMA_LEN: u64 = 256 << 10;
const DATA_LEN: u64 = 1 << 20;
/// Requests in flight, of 32 KiB each: together they take a while.
const DEPTH: u32 = 32;
const BLOCKS: u32 = 64;
const BYTES: u64 = 512 * BLOCKS as u64;
const SECOND: u64 = 1_000_000_000;
/// QEMU answers REQUEST SENSE of units other than 0 as if there were none, so all of its disks are units 0.
const SECOND_UNIT: u32 = 6 << 16;

type Disk = Am53c974<BarRegisters<Registers>>;

struct Rig {
    registers: Rc<RefCell<Device>>,
    pin: Pin,
    event: File,
    dma: File,
    data: File,
    images: Vec<File>,
    now: u64,
    lives: u64,
    _qemu: Qemu,
}

/// A disk's file, and the same opened once more.
fn image(name: &str, len: u64, inject: Option<PathBuf>) -> (Image, File) {
    let path = std::env::temp_dir().join(format!("orion-{name}-{}.img", std::process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    let again = File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.set_len(len).unwrap();
    (Image { file, path: PathBuf::new(), read_only: false, aio: Aio::Threads, inject }, again)
}

impl Rig {
    fn new(name: &str, inject: Option<PathBuf>) -> Self {
        let event = sys::event().unwrap();
        let (dma, data) = (sys::memory("dma", DMA_LEN).unwrap(), sys::memory("data", DATA_LEN).unwrap());
        let (first, first_again) = image(&format!("{name}-a"), 16 << 20, inject);
        let (second, second_again) = image(&format!("{name}-b"), 2 << 20, None);
        let dimm = |memory: &File, size, bus| Dimm { memory: memory.try_clone().unwrap(), size, bus };
        let medium = |name: &str, unit, image| Medium { name: name.into(), unit, image };
        let machine = Machine {
            name: name.into(),
            slot: 3,
            ecam: ECAM,
            bus: Bus::Am53c974,
            options: 0,
            media: vec![medium("first", 1 << 16, first), medium("second", SECOND_UNIT, second)],
            dimms: vec![dimm(&dma, DMA_LEN, DMA_BUS), dimm(&data, DATA_LEN, DATA_BUS)],
            cpus: Cpus::ours().unwrap(),
        };
        let (qemu, line) = machine.start(&event).unwrap();
        let device = Rc::new(RefCell::new(Device::new(Qtest::new(line.qtest).unwrap(), None).unwrap()));
        let images = vec![first_again, second_again];
        let pin = Pin::new(Rc::clone(&device), ChannelSet(1));
        Self { registers: device, pin, event, dma, data, images, now: 0, lives: 0, _qemu: qemu }
    }

    fn open(&mut self, regions: &[Span]) -> Result<Disk, Fault> {
        let registers = |base, len| Registers::new(Rc::clone(&self.registers), base, len);
        let (config, ports) = (registers(ECAM + (3 << 15), 4096), registers(PORTS, 0x100));
        let function = Function::with_ports(config, ports, PORTS, None).unwrap();
        let dma = Mapped::new(&self.dma, None, DMA_LEN, true).unwrap().window();
        let setup = Setup { dma, dma_bus: DMA_BUS, regions, iommu: false, read_only: false, timeout_ns: 4 * SECOND };
        let second = Choice::At(Place::of_number(SECOND_UNIT).unwrap());
        let wanted = [Choice::First, second].map(|choice| Wanted { choice, read_only: false });
        orion_am53c974::open(function.registers(0).unwrap(), &wanted, setup)
    }

    /// A driver on the device as it is, the first or one that takes over, once it knows its disks.
    fn driver(&mut self) -> Disk {
        let mut disk = self.open(&[Span { bus: DATA_BUS, size: DATA_LEN }]).unwrap();
        self.lives += 1;
        disk.set_time(Instant(self.now));
        while disk.limits(Unit(0)).is_none() || disk.limits(Unit(1)).is_none() {
            assert_eq!(disk.finished(), None);
            disk.expire();
            disk.kick();
            // Nothing to wait for but time: that of the reset, mostly.
            if !self.wait(1) {
                self.now += 10_000_000;
            }
            assert!(self.now < 2 * SECOND * self.lives, "the disks do not come: {:?}", disk.take_fault());
            disk.set_time(Instant(self.now));
        }
        disk
    }

    /// Waits so many milliseconds at most for the pin; whether it is up.
    fn wait(&self, limit_ms: u64) -> bool {
        self.pin.unmask();
        if self.pin.take() == ChannelSet(0) {
            self.pin.sleep(&self.event, Some(Duration::from_millis(limit_ms)));
            return self.pin.take() != ChannelSet(0);
        }
        true
    }

    /// Fills the payload of every request with `byte`.
    fn fill(&self, byte: u8) {
        self.data.write_all_at(&vec![byte; DATA_LEN as usize], 0).unwrap();
    }

    /// Waits for the device's interrupt, and takes all that it completed, until `count` requests have ended.
    fn ended(&self, disk: &mut Disk, count: u32) -> Vec<(u32, Completion)> {
        let mut all = Vec::new();
        loop {
            all.extend(core::iter::from_fn(|| disk.finished()));
            disk.kick();
            if all.len() == count as usize {
                return all;
            }
            assert!(self.wait(10_000), "no interrupt after {}", all.len());
        }
    }

    /// The same while time passes, of which the bus needs some after a reset.
    fn ended_in_time(&mut self, disk: &mut Disk, count: u32) -> Vec<(u32, Completion)> {
        let (mut all, until) = (Vec::new(), self.now + 3 * SECOND);
        loop {
            disk.set_time(Instant(self.now));
            all.extend(core::iter::from_fn(|| disk.finished()));
            disk.kick();
            if disk.expire() {
                continue;
            }
            if all.len() >= count as usize {
                return all;
            }
            if !self.wait(1) {
                self.now += 10_000_000;
            }
            assert!(self.now < until, "no end after {}", all.len());
        }
    }

    fn one(&self, disk: &mut Disk, unit: u8, req: Request) -> Completion {
        disk.start(Unit(unit), 7, &req);
        disk.kick();
        self.ended(disk, 1)[0].1
    }

    fn content(&self, nth: usize, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.images[nth].read_exact_at(&mut bytes, at).unwrap();
        bytes
    }
}

fn request(op: Op, lba: u64, blocks: u32, offset: u64) -> Request {
    Request { op, fua: false, lba: Lba(lba), blocks, buf: Buf { region: RegionId(0), offset } }
}

fn submit(disk: &mut Disk, op: Op) {
    for tag in 0..DEPTH {
        disk.start(Unit(0), tag, &request(op, u64::from(tag * BLOCKS), BLOCKS, u64::from(tag) * BYTES));
    }
    disk.kick();
}

fn each_once(done: &[(u32, Completion)]) {
    let mut tags: Vec<u32> = done.iter().map(|(tag, _)| *tag).collect();
    tags.sort_unstable();
    assert_eq!(tags, (0..DEPTH).collect::<Vec<_>>());
}

#[test]
fn the_disks_say_what_they_are_and_do_every_operation() {
    let mut rig = Rig::new("amd-all", None);
    let mut disk = rig.driver();
    let limits = [0, 1].map(|unit| disk.limits(Unit(unit)).unwrap());
    assert_eq!(limits.map(|limits| limits.capacity), [32768, 4096]);
    assert!(limits[0].block == BlockSize::B512 && limits[0].volatile_cache && limits[0].discard_granularity > 0);
    let line = Describe::<_, u32>::new(&disk, Unit(0)).to_string();
    assert!(line.starts_with("Am53C974, target 1, logical unit 0: QEMU QEMU HARDDISK"), "{line}");
    assert_eq!(disk.health(Unit(1)).unwrap().serial.as_str(), "second");
    rig.fill(0x5a);
    for (unit, lba) in [(0u8, 32760u64), (1, 4088)] {
        assert_eq!(rig.one(&mut disk, unit, Request { fua: true, ..request(Op::Write, lba, 8, 0) }), Completion::ok(8));
        assert_eq!(rig.content(unit.into(), lba * 512, 4096), [0x5a; 4096]);
    }
    rig.fill(0);
    assert_eq!(rig.one(&mut disk, 1, request(Op::Read, 4088, 8, 8192)), Completion::ok(8));
    let mut bytes = [0; 4096];
    rig.data.read_exact_at(&mut bytes, 8192).unwrap();
    assert_eq!(bytes, [0x5a; 4096]);
    assert_eq!(rig.one(&mut disk, 0, request(Op::WriteZeroes, 32764, 4, 0)), Completion::ok(4));
    assert_eq!(rig.content(0, 32764 * 512, 2048), [0; 2048]);
    assert_eq!(rig.content(0, 32760 * 512, 2048), [0x5a; 2048]);
    assert_eq!(rig.one(&mut disk, 0, request(Op::Flush, 0, 0, 0)), Completion::ok(0));
    assert_eq!(rig.one(&mut disk, 0, request(Op::Discard, 0, 16384, 0)), Completion::ok(16384));
    assert_eq!(rig.one(&mut disk, 1, request(Op::Read, 4096, 1, 0)), Completion::error(Error::OutOfRange));
    assert_eq!(rig.one(&mut disk, 0, request(Op::Read, 0, 2048, 0)), Completion::ok(2048));
    disk.refresh();
    disk.expire();
    assert_eq!(rig.one(&mut disk, 0, request(Op::Read, 0, 1, 0)), Completion::ok(1));
    assert_eq!(disk.counters().misused + disk.counters().timeouts, 0);
}

/// A transfer of more bytes than 16 bits count, each of them its own.
#[test]
fn a_megabyte_goes_there_and_back_in_one_request() {
    let mut rig = Rig::new("amd-large", None);
    let mut disk = rig.driver();
    let bytes: Vec<u8> = (0..DATA_LEN as u32).map(|i| (i / 512 * 31 + i) as u8).collect();
    rig.data.write_all_at(&bytes, 0).unwrap();
    assert_eq!(rig.one(&mut disk, 0, request(Op::Write, 1000, 2048, 0)), Completion::ok(2048));
    assert_eq!(rig.content(0, 512_000, DATA_LEN as usize), bytes);
    rig.fill(0);
    assert_eq!(rig.one(&mut disk, 0, request(Op::Read, 1000, 2048, 0)), Completion::ok(2048));
    let mut content = vec![0; DATA_LEN as usize];
    rig.data.read_exact_at(&mut content, 0).unwrap();
    assert!(content == bytes);
}

#[test]
fn memory_above_4_gib_is_refused() {
    let mut rig = Rig::new("amd-high", None);
    let refused = rig.open(&[Span { bus: 0xffff_f000, size: 4097 }]).map(|_| ()).unwrap_err();
    assert_eq!(refused, Fault::High);
}

#[test]
fn a_block_that_cannot_be_read_is_a_medium_error_and_its_neighbours_are_read() {
    let rules = std::env::temp_dir().join(format!("orion-amd-rules-{}", std::process::id()));
    std::fs::write(&rules, "[inject-error]\nevent = \"read_aio\"\nerrno = \"5\"\nsector = \"2048\"\n").unwrap();
    let mut rig = Rig::new("amd-bad", Some(rules.clone()));
    std::fs::remove_file(rules).unwrap();
    let mut disk = rig.driver();
    for _ in 0..3 {
        let done = rig.one(&mut disk, 0, request(Op::Read, 2048, 8, 0));
        assert!(matches!(done.status, Err(Error::Medium | Error::Io)), "{done:?}");
        assert_eq!(rig.one(&mut disk, 0, request(Op::Read, 4096, 8, 0)), Completion::ok(8));
        assert_eq!(rig.one(&mut disk, 1, request(Op::Read, 2048, 8, 0)), Completion::ok(8));
    }
    assert_eq!(disk.counters().misused + disk.counters().timeouts, 0);
}

#[test]
fn requests_that_take_too_long_are_answered_once_and_the_bus_serves_again() {
    let mut rig = Rig::new("amd-late", None);
    let mut disk = rig.driver();
    for round in 0..6 {
        rig.fill(round + 1);
        submit(&mut disk, Op::Write);
        rig.now += 5 * SECOND;
        let done = rig.ended_in_time(&mut disk, DEPTH);
        each_once(&done);
        let late = done.iter().filter(|(_, d)| *d == Completion::error(Error::TimedOut)).count();
        let fine = |d: &Completion| *d == Completion::ok(BLOCKS) || *d == Completion::error(Error::TimedOut);
        assert!(late > 0 && done.iter().all(|(_, d)| fine(d)), "round {round}: {done:?}");
        // The adapter let go of the buffers: what is in them now stays, and what is there in the end was written last.
        rig.fill(0xee);
        submit(&mut disk, Op::Write);
        let done = rig.ended_in_time(&mut disk, DEPTH);
        each_once(&done);
        assert!(done.iter().all(|(_, d)| *d == Completion::ok(BLOCKS)), "round {round}: {done:?}");
        assert!(rig.content(0, 0, DATA_LEN as usize).iter().all(|byte| *byte == 0xee), "round {round}");
    }
    assert_eq!(disk.counters().timeouts, 6);
}

#[test]
fn a_driver_that_starts_anew_takes_over_a_device_that_is_at_work() {
    let mut rig = Rig::new("amd-takeover", None);
    for round in 0..10 {
        let mut disk = rig.driver();
        rig.fill(round);
        submit(&mut disk, Op::Write);
        drop(disk);
        let mut disk = rig.driver();
        submit(&mut disk, Op::Write);
        let done = rig.ended(&mut disk, DEPTH);
        each_once(&done);
        rig.fill(0xee);
        submit(&mut disk, Op::Read);
        let done = rig.ended(&mut disk, DEPTH);
        assert!(done.iter().all(|(_, d)| *d == Completion::ok(BLOCKS)), "round {round}: {done:?}");
        let mut content = vec![0; DATA_LEN as usize];
        rig.data.read_exact_at(&mut content, 0).unwrap();
        assert!(content.iter().all(|byte| *byte == round), "round {round}");
    }
}
