// SPDX-License-Identifier: MIT
//! The NVMe driver against QEMU's controller: payload of all shapes, by message and by pin; reset, and taken over, with requests
//! in flight; a medium that fails.
#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]
use orion_block::{Buf, Completion, Error, Instant, Lba, Op, RegionId, Request};
use orion_driver::{Describe, Engine, Setup, Span, Unit};
use orion_host::pin::Pin;
use orion_host::qemu::{Aio, Dimm, Image, MESSAGE, Machine, Medium, Qemu};
use orion_host::qtest::{Device, Qtest, Registers};
use orion_host::regions::Mapped;
use orion_host::sys::{self, Cpus};
use orion_nvme::{Many, Nvme, One, Place, Queues, Wishes};
use orion_pci::{BarRegisters, Function, Message};
use orion_pd::ChannelSet;
use orion_system::bus::Bus;
use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

const ECAM: u64 = 0xb000_0000;
const BARS: u64 = 0xe000_0000;
const SLOT: u8 = 4;
const DMA_BUS: u64 = 0x1_4000_0000;
const DATA_BUS: u64 = 0x1_5000_0000;
const DMA_LEN: u64 = 1 << 20;
const DATA_LEN: u64 = 4 << 20;
const IMAGE_LEN: u64 = 16 << 20;
/// Requests in flight, of 32 KiB each: together they take a while.
const DEPTH: u32 = 32;
const BLOCKS: u32 = 64;
const BYTES: u64 = 512 * BLOCKS as u64;
const SECOND: u64 = 1_000_000_000;
const PIN: ChannelSet = ChannelSet(4);

type Disk<Q = One> = Nvme<BarRegisters<Registers>, u32, Q>;

struct Rig {
    device: Rc<RefCell<Device>>,
    event: File,
    pin: Option<Pin>,
    dma: File,
    data: File,
    images: Vec<File>,
    _qemu: Qemu,
}

impl Rig {
    /// A controller with namespaces 1 and 7, which interrupts by message or by its pin.
    fn new(name: &str, messages: bool, inject: Option<PathBuf>) -> Self {
        let event = sys::event().unwrap();
        let (dma, data) = (sys::memory("dma", DMA_LEN).unwrap(), sys::memory("data", DATA_LEN).unwrap());
        let mut images = Vec::new();
        let media = [1, 7].map(|unit| {
            let path = std::env::temp_dir().join(format!("orion-{name}-{unit}-{}.img", std::process::id()));
            let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
            images.push(File::options().read(true).write(true).open(&path).unwrap());
            std::fs::remove_file(&path).unwrap();
            file.set_len(IMAGE_LEN).unwrap();
            let inject = inject.clone().filter(|_| unit == 1);
            let image = Image { file, path: PathBuf::new(), read_only: false, aio: Aio::Threads, inject };
            Medium { name: format!("n{unit}"), unit, image }
        });
        let dimm = |memory: &File, size, bus| Dimm { memory: memory.try_clone().unwrap(), size, bus };
        let machine = Machine {
            name: name.into(),
            bus: Bus::Nvme,
            options: 0,
            slot: SLOT,
            ecam: ECAM,
            media: media.into(),
            dimms: vec![dimm(&dma, DMA_LEN, DMA_BUS), dimm(&data, DATA_LEN, DATA_BUS)],
            cpus: Cpus::ours().unwrap(),
        };
        let (qemu, line) = machine.start(&event).unwrap();
        let mut qtest = Qtest::new(line.qtest).unwrap();
        if !messages {
            qtest.watch_pins().unwrap();
        }
        let device = Rc::new(RefCell::new(Device::new(qtest, None).unwrap()));
        let pin = (!messages).then(|| Pin::new(Rc::clone(&device), PIN));
        Self { device, event, pin, dma, data, images, _qemu: qemu }
    }

    /// A driver on the controller as it is: the first, or one that takes over. Its disks are namespaces 7 and 1.
    fn driver(&self) -> Disk {
        self.driver_wishing(Wishes::default())
    }

    fn driver_wishing<Q: Queues>(&self, wishes: Wishes) -> Disk<Q> {
        let registers = |base, len| Registers::new(Rc::clone(&self.device), base, len);
        let config = registers(ECAM + (u64::from(SLOT) << 15), 4096);
        let message = self.pin.is_none().then_some(Message { address: MESSAGE.0, data: MESSAGE.1 });
        let function = Function::new(config, registers(BARS, 0x1_0000), BARS, message).unwrap();
        let setup = Setup {
            dma: Mapped::new(&self.dma, None, DMA_LEN, true).unwrap().window(),
            dma_bus: DMA_BUS,
            regions: &[Span { bus: DATA_BUS, size: DATA_LEN }],
            iommu: false,
            read_only: false,
            timeout_ns: SECOND,
        };
        let places = [7, 1].map(|namespace| Place { namespace, ..Place::FIRST });
        Nvme::with(function.registers(0).unwrap(), setup, &places, wishes).unwrap()
    }

    /// Fills the payload of every request with `byte`.
    fn fill(&self, byte: u8) {
        self.data.write_all_at(&vec![byte; (DEPTH as u64 * BYTES) as usize], 0).unwrap();
    }

    /// Waits for the controller's interrupt, and takes all that it completed, until `count` requests have ended.
    fn ended(&self, disk: &mut Disk<impl Queues>, count: u32) -> Vec<(u32, Completion)> {
        let mut all = Vec::new();
        disk.kick();
        loop {
            all.extend(core::iter::from_fn(|| disk.finished()));
            disk.kick();
            if all.len() == count as usize {
                return all;
            }
            let told = self.wait();
            assert!(told, "no interrupt after {}", all.len());
            disk.interrupted();
        }
    }

    /// Waits for an interrupt.
    fn wait(&self) -> bool {
        let Some(pin) = &self.pin else {
            let told = sys::wait_one(&self.event, Some(Duration::from_secs(10)));
            sys::take(&self.event);
            return told;
        };
        pin.unmask();
        let start = std::time::Instant::now();
        while pin.take() != PIN {
            if start.elapsed() > Duration::from_secs(10) {
                return false;
            }
            pin.sleep(&self.event, Some(Duration::from_secs(1)));
        }
        true
    }

    fn one(&self, disk: &mut Disk<impl Queues>, unit: u8, req: Request) -> Completion {
        disk.start(Unit(unit), 1, &req);
        self.ended(disk, 1)[0].1
    }
}

fn request(op: Op, lba: u64, blocks: u32, offset: u64) -> Request {
    Request { op, fua: false, lba: Lba(lba), blocks, buf: Buf { region: RegionId(0), offset } }
}

fn submit(disk: &mut Disk<impl Queues>, op: Op) {
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

/// What is in the file of a unit.
fn content(rig: &Rig, unit: usize, at: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    // Unit 0 is namespace 7, which comes second.
    rig.images[1 - unit].read_exact_at(&mut bytes, at).unwrap();
    bytes
}

fn payload(rig: &Rig, at: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    rig.data.read_exact_at(&mut bytes, at).unwrap();
    bytes
}

#[test]
fn payload_of_all_shapes_is_moved_to_each_namespace() {
    for messages in [true, false] {
        let rig = Rig::new("nvme-shapes", messages, None);
        let mut disk = rig.driver();
        let limits = disk.limits(Unit(0)).unwrap();
        assert_eq!((limits.capacity, limits.block.bytes()), (IMAGE_LEN / 512, 512));
        assert!(limits.volatile_cache && limits.write_zeroes && limits.discard_granularity > 0);
        let pattern: Vec<u8> = (0..DATA_LEN).map(|i| (i / 512 + i * 7) as u8).collect();
        let mut lba = 0;
        for unit in [0, 1] {
            for blocks in [1, 7, 8, 9, 16, 17, 100, 1000, 1024, 5000] {
                for offset in [0, 4, 512, 4092, 4096] {
                    let bytes = u64::from(blocks) * 512;
                    rig.data.write_all_at(&pattern, 0).unwrap();
                    let write = request(Op::Write, lba, blocks, offset);
                    assert_eq!(rig.one(&mut disk, unit, write), Completion::ok(blocks));
                    assert_eq!(rig.one(&mut disk, unit, request(Op::Flush, 0, 0, 0)), Completion::ok(0));
                    let expected = &pattern[offset as usize..(offset + bytes) as usize];
                    assert!(content(&rig, unit.into(), lba * 512, bytes) == expected, "{blocks} at {offset}");
                    rig.data.write_all_at(&vec![0xee; DATA_LEN as usize], 0).unwrap();
                    let read = request(Op::Read, lba, blocks, offset);
                    assert_eq!(rig.one(&mut disk, unit, read), Completion::ok(blocks));
                    assert!(payload(&rig, offset, bytes) == expected, "{blocks} at {offset}");
                    assert!(payload(&rig, 0, offset).iter().all(|byte| *byte == 0xee));
                    assert!(payload(&rig, offset + bytes, 4096).iter().all(|byte| *byte == 0xee));
                    lba += 37;
                }
            }
            for op in [Op::WriteZeroes, Op::Discard] {
                assert_eq!(
                    rig.one(&mut disk, unit, Request { fua: true, ..request(op, 8, 64, 0) }),
                    Completion::ok(64)
                );
                let read = request(Op::Read, 8, 64, 0);
                assert_eq!(rig.one(&mut disk, unit, read), Completion::ok(64));
                assert!(op == Op::Discard || payload(&rig, 0, 64 * 512).iter().all(|byte| *byte == 0));
            }
            lba = 5;
        }
        assert_eq!(disk.counters().misused + disk.counters().timeouts, 0);
    }
}

#[test]
fn it_says_who_it_is_and_how() {
    let rig = Rig::new("nvme-health", true, None);
    let mut disk = rig.driver();
    disk.set_time(Instant(SECOND));
    disk.expire();
    disk.refresh();
    for _ in 0..10 {
        if disk.health(Unit(0)).is_some_and(|health| health.temperature.is_some()) {
            break;
        }
        assert!(rig.wait());
        disk.interrupted();
    }
    let health = disk.health(Unit(0)).unwrap();
    assert_eq!((health.model.as_str(), health.failing), ("QEMU NVMe Ctrl", Some(false)));
    assert_eq!((health.temperature, health.used_percent), (Some(50), Some(0)));
    assert!(!health.serial.as_str().is_empty() && !health.firmware.as_str().is_empty());
}

#[test]
fn a_medium_that_fails_is_said_to() {
    let rules = std::env::temp_dir().join(format!("orion-nvme-rules-{}", std::process::id()));
    std::fs::write(&rules, "[inject-error]\nevent = \"none\"\niotype = \"read\"\nerrno = \"5\"\nsector = \"64\"\n")
        .unwrap();
    let rig = Rig::new("nvme-medium", true, Some(rules.clone()));
    let mut disk = rig.driver();
    assert_eq!(rig.one(&mut disk, 1, request(Op::Read, 60, 8, 0)), Completion::error(Error::Medium));
    assert_eq!(rig.one(&mut disk, 1, request(Op::Read, 0, 8, 0)), Completion::ok(8));
    assert_eq!(rig.one(&mut disk, 0, request(Op::Read, 60, 8, 0)), Completion::ok(8));
    std::fs::remove_file(rules).unwrap();
}

#[test]
fn a_reset_in_flight_answers_everything_once_and_the_controller_serves_again() {
    for messages in [true, false] {
        let rig = Rig::new("nvme-reset", messages, None);
        let mut disk = rig.driver();
        let mut timed_out = 0;
        for round in 0..200 {
            // On a busy machine QEMU may be done before each.
            if round >= 20 && timed_out > 0 {
                break;
            }
            disk.set_time(Instant(20 * SECOND * round));
            disk.expire();
            rig.fill(round as u8 + 1);
            submit(&mut disk, Op::Write);
            disk.set_time(Instant(20 * SECOND * round + 10 * SECOND));
            let mut done = Vec::new();
            let mut ns = 0;
            while done.len() < DEPTH as usize {
                while disk.expire() {
                    done.extend(core::iter::from_fn(|| disk.finished()));
                    disk.kick();
                }
                ns += 1_000_000;
                assert!(ns < 5 * SECOND);
                disk.set_time(Instant(20 * SECOND * round + 10 * SECOND + ns));
            }
            each_once(&done);
            let late = done.iter().filter(|(_, d)| *d == Completion::error(Error::TimedOut)).count();
            assert!(done.iter().all(|(_, d)| *d == Completion::ok(BLOCKS) || *d == Completion::error(Error::TimedOut)));
            timed_out += late;
            // The controller let go of the buffers: what is in them now stays, and what it reads next is what was written last.
            rig.fill(0xee);
            submit(&mut disk, Op::Write);
            let done = rig.ended(&mut disk, DEPTH);
            each_once(&done);
            assert!(done.iter().all(|(_, d)| *d == Completion::ok(BLOCKS)), "round {round}: {done:?}");
            let bytes = content(&rig, 0, 0, u64::from(DEPTH) * BYTES);
            assert!(bytes.iter().all(|byte| *byte == 0xee), "round {round}");
        }
        assert!(timed_out > 0, "no request was in flight at any reset");
    }
}

#[test]
fn a_driver_that_starts_anew_takes_over_a_controller_that_is_at_work() {
    for messages in [true, false] {
        let rig = Rig::new("nvme-takeover", messages, None);
        for round in 0..20 {
            let mut disk = rig.driver();
            rig.fill(round);
            submit(&mut disk, Op::Write);
            if round % 3 == 0 {
                rig.ended(&mut disk, DEPTH);
            }
            drop(disk);
            let mut disk = rig.driver();
            submit(&mut disk, Op::Write);
            let done = rig.ended(&mut disk, DEPTH);
            each_once(&done);
            rig.fill(0xee);
            submit(&mut disk, Op::Read);
            let done = rig.ended(&mut disk, DEPTH);
            assert!(done.iter().all(|(_, d)| *d == Completion::ok(BLOCKS)), "round {round}: {done:?}");
            let bytes = payload(&rig, 0, u64::from(DEPTH) * BYTES);
            assert!(bytes.iter().all(|byte| *byte == round), "round {round}");
        }
    }
}

/// QEMU has 64 pairs. Each batch goes to the next of those asked for; a driver that starts anew finds them at work.
#[test]
fn several_queues_move_the_same_and_are_taken_over() {
    for messages in [true, false] {
        for queues in [2, 8] {
            let rig = Rig::new("nvme-queues", messages, None);
            let wishes = Wishes { queues, ..Wishes::default() };
            let mut disk = rig.driver_wishing::<Many>(wishes);
            let line = Describe::new(&disk, Unit(0)).to_string();
            assert!(line.contains(&format!(", {queues} queues")), "{line}");
            for round in 1..=40u8 {
                rig.fill(round);
                submit(&mut disk, Op::Write);
                each_once(&rig.ended(&mut disk, DEPTH));
                rig.fill(0);
                // Four batches in four queues.
                for quarter in 0..4 {
                    for tag in (0..DEPTH).filter(|tag| tag % 4 == quarter) {
                        let (lba, at) = (u64::from(tag * BLOCKS), u64::from(tag) * BYTES);
                        disk.start(Unit(0), tag, &request(Op::Read, lba, BLOCKS, at));
                    }
                    disk.kick();
                }
                each_once(&rig.ended(&mut disk, DEPTH));
                assert!(payload(&rig, 0, u64::from(DEPTH) * BYTES).iter().all(|byte| *byte == round));
                if round % 8 == 0 {
                    submit(&mut disk, Op::Read);
                    disk = rig.driver_wishing(wishes);
                }
            }
        }
    }
}
