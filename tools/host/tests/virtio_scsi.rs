// SPDX-License-Identifier: MIT
//! The virtio-scsi driver against QEMU's host and disks: what they say of themselves, every operation, errors, and a host that
//! is reset or taken over with requests in flight.
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test's small numbers and certain values"
)]
use orion_block::{BlockSize, Buf, Completion, Error, Instant, Lba, Op, RegionId, Request};
use orion_driver::{Describe, Engine, Setup, Span, Unit};
use orion_host::ivshmem::Kick;
use orion_host::qemu::{Aio, BRIDGE_TABLE, Dimm, Image, MESSAGE, Machine, Medium, Qemu};
use orion_host::qtest::{Device, Qtest, Registers};
use orion_host::regions::Mapped;
use orion_host::sys::{self, Cpus};
use orion_scsi::{Choice, Place, Wanted};
use orion_system::bus::Bus;
use orion_virtio::{Msi, PciTransport, VirtioScsi};
use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

const ECAM: u64 = 0xb000_0000;
const BARS: u64 = 0xe000_0000;
const DMA_BUS: u64 = 0x1_4000_0000;
const DATA_BUS: u64 = 0x1_5000_0000;
const DMA_LEN: u64 = 256 << 10;
const DATA_LEN: u64 = 1 << 20;
/// Requests in flight, of 32 KiB each: together they take a while.
const DEPTH: u32 = 32;
const BLOCKS: u32 = 64;
const BYTES: u64 = 512 * BLOCKS as u64;
const SECOND: u64 = 1_000_000_000;
const SECOND_UNIT: u32 = 3 << 16 | 5;

type Disk = VirtioScsi<PciTransport<Registers>>;

struct Rig {
    registers: Rc<RefCell<Device>>,
    event: File,
    dma: File,
    data: File,
    images: Vec<File>,
    now: u64,
    _qemu: Qemu,
}

/// A disk's file, and the same opened once more.
/// Queues for requests: with one the whole systems of `tests/host` are run.
const QUEUES: u16 = 4;

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
            bus: Bus::VirtioScsi,
            options: QUEUES.into(),
            media: vec![medium("first", 1 << 16, first), medium("second", SECOND_UNIT, second)],
            dimms: vec![dimm(&dma, DMA_LEN, DMA_BUS), dimm(&data, DATA_LEN, DATA_BUS)],
            cpus: Cpus::ours().unwrap(),
        };
        let (qemu, line) = machine.start(&event).unwrap();
        let device = Device::new(Qtest::new(line.qtest).unwrap(), Some(Kick::new(line.kick, BRIDGE_TABLE))).unwrap();
        let images = vec![first_again, second_again];
        Self { registers: Rc::new(RefCell::new(device)), event, dma, data, images, now: 0, _qemu: qemu }
    }

    /// A driver on the device as it is, the first or one that takes over, once it knows its disks.
    fn driver(&mut self) -> Disk {
        let registers = |base, len| Registers::new(Rc::clone(&self.registers), base, len);
        let (config, bars) = (registers(ECAM + (3 << 15), 4096), registers(BARS, 0x10_0000));
        let msi = Msi { address: MESSAGE.0, data: MESSAGE.1 };
        let bus = PciTransport::new(config, bars, BARS, Some(msi)).unwrap();
        let setup = Setup {
            dma: Mapped::new(&self.dma, None, DMA_LEN, true).unwrap().window(),
            dma_bus: DMA_BUS,
            regions: &[Span { bus: DATA_BUS, size: DATA_LEN }],
            iommu: false,
            read_only: false,
            timeout_ns: SECOND,
        };
        let second = Choice::At(Place::of_number(SECOND_UNIT).unwrap());
        let wanted = [Choice::First, second].map(|choice| Wanted { choice, read_only: false });
        let mut disk: Disk = orion_virtio::scsi::open_with(bus, &wanted, setup, QUEUES).unwrap();
        disk.set_time(Instant(self.now));
        while disk.limits(Unit(0)).is_none() || disk.limits(Unit(1)).is_none() {
            assert_eq!(disk.finished(), None);
            if disk.expire() {
                disk.kick();
            }
            if sys::wait_one(&self.event, Some(Duration::from_millis(10))) {
                sys::take(&self.event);
            }
            self.now += 1_000_000;
            assert!(self.now < 1000 * SECOND, "the disks do not come: {:?}", disk.take_fault());
            disk.set_time(Instant(self.now));
        }
        disk
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
            assert!(sys::wait_one(&self.event, Some(Duration::from_secs(10))), "no interrupt after {}", all.len());
            sys::take(&self.event);
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
    let mut rig = Rig::new("scsi-all", None);
    let mut disk = rig.driver();
    let limits = [0, 1].map(|unit| disk.limits(Unit(unit)).unwrap());
    assert_eq!(limits.map(|limits| limits.capacity), [32768, 4096]);
    assert!(limits[0].block == BlockSize::B512 && limits[0].volatile_cache && limits[0].discard_granularity > 0);
    let line = Describe::<_, u32>::new(&disk, Unit(0)).to_string();
    assert!(line.starts_with("virtio-scsi, target 1, logical unit 0: QEMU QEMU HARDDISK"), "{line}");
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
}

#[test]
fn a_block_that_cannot_be_read_is_a_medium_error_and_its_neighbours_are_read() {
    let rules = std::env::temp_dir().join(format!("orion-scsi-rules-{}", std::process::id()));
    std::fs::write(&rules, "[inject-error]\nevent = \"read_aio\"\nerrno = \"5\"\nsector = \"2048\"\n").unwrap();
    let mut rig = Rig::new("scsi-bad", Some(rules.clone()));
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
fn a_reset_in_flight_answers_everything_once_and_the_device_serves_again() {
    let mut rig = Rig::new("scsi-reset", None);
    let mut disk = rig.driver();
    let (mut timed_out, began) = (0, rig.now);
    for round in 0..20 {
        disk.set_time(Instant(began + 10 * SECOND * round));
        rig.fill(round as u8 + 1);
        submit(&mut disk, Op::Write);
        disk.set_time(Instant(began + 10 * SECOND * round + 5 * SECOND));
        let mut done: Vec<_> = core::iter::from_fn(|| disk.finished()).collect();
        while disk.expire() {
            disk.kick();
            done.extend(core::iter::from_fn(|| disk.finished()));
        }
        each_once(&done);
        let late = done.iter().filter(|(_, d)| *d == Completion::error(Error::TimedOut)).count();
        let fine = |d: &Completion| *d == Completion::ok(BLOCKS) || *d == Completion::error(Error::TimedOut);
        assert!(done.iter().all(|(_, d)| fine(d)), "round {round}: {done:?}");
        timed_out += late;
        // The device let go of the buffers: what is in them now stays, and what it reads next is what was written last.
        rig.fill(0xee);
        submit(&mut disk, Op::Write);
        let done = rig.ended(&mut disk, DEPTH);
        each_once(&done);
        assert!(done.iter().all(|(_, d)| *d == Completion::ok(BLOCKS)), "round {round}: {done:?}");
        assert!(rig.content(0, 0, DATA_LEN as usize).iter().all(|byte| *byte == 0xee), "round {round}");
    }
    assert!(timed_out > 0, "no request was in flight at any reset");
}

#[test]
fn a_driver_that_starts_anew_takes_over_a_device_that_is_at_work() {
    let mut rig = Rig::new("scsi-takeover", None);
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
