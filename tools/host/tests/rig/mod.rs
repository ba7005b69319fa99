// SPDX-License-Identifier: MIT
//! QEMU's device of any bus, with a driver of ours on it and nothing else: what the drivers' tests on real models share.
#![allow(dead_code, reason = "each test uses what it needs")]
#![allow(
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test's small numbers and certain values"
)]
pub mod scsi;

use orion_block::{Buf, Completion, Error, Instant, Lba, Op, RegionId, Request};
use orion_driver::{Engine, Setup, Span, Unit};
use orion_host::ivshmem::Kick;
use orion_host::pin::Pin;
use orion_host::qemu::{Aio, BRIDGE_TABLE, Dimm, Image, MESSAGE, Machine, Medium, Qemu};
use orion_host::qtest::{Device, Qtest, Registers};
use orion_host::regions::Mapped;
use orion_host::sys::{self, Cpus};
use orion_pci::{Function, Message};
use orion_pd::ChannelSet;
use orion_system::bus::Bus;
use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, Instant as Clock};

/// Where the BARs are placed.
pub const BARS: u64 = 0xe000_0000;
/// Nanoseconds of a second.
pub const SECOND: u64 = 1_000_000_000;
/// Requests of [`submit`], of 32 KiB each: together they take a while.
pub const DEPTH: u32 = 32;
/// Blocks of each.
pub const BLOCKS: u32 = 64;
/// Bytes of each.
pub const BYTES: u64 = 512 * BLOCKS as u64;

const ECAM: u64 = 0xb000_0000;
const BARS_LEN: u64 = 0x10_0000;
const SLOT: u8 = 4;
/// Where a device's ports are placed that has some instead of registers in memory.
const PORTS: u64 = 0xc000;
const PIN: ChannelSet = ChannelSet(4);
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a device is.
#[derive(Debug)]
pub struct Shape<'a> {
    /// What the test is called.
    pub name: &'a str,
    /// The kind of device.
    pub bus: Bus,
    /// How its queues are to be.
    pub options: u32,
    /// Its disks: unit, and bytes.
    pub disks: &'a [(u32, u64)],
    /// Rules by which QEMU's block layer fails, for the first of them.
    pub rules: &'a str,
    /// Bytes of the driver's own memory.
    pub dma: u64,
    /// Bytes of payload memory.
    pub data: u64,
    /// It interrupts by its pin.
    pub pin: bool,
    /// The other end of QEMU's monitor.
    pub monitor: Option<&'a UnixStream>,
}

impl Default for Shape<'_> {
    fn default() -> Self {
        let disks = &[(0, 16 << 20)];
        let (dma, data) = (1 << 20, 1 << 20);
        Self { name: "", bus: Bus::VirtioBlk, options: 0, disks, rules: "", dma, data, pin: false, monitor: None }
    }
}

impl Shape<'_> {
    /// Whether all is done through ports, which are older than addresses of more than 32 bits.
    fn has_ports(&self) -> bool {
        self.bus == Bus::Am53c974
    }

    /// Where the device finds the driver's memory, and the payload.
    fn places(&self) -> [u64; 2] {
        if self.has_ports() { [0x0100_0000, 0x0200_0000] } else { [0x1_4000_0000, 0x1_5000_0000] }
    }
}

/// A device that runs.
pub struct Rig {
    device: Rc<RefCell<Device>>,
    event: File,
    pin: Option<Pin>,
    dma: (File, u64),
    /// Payload memory.
    pub data: File,
    data_len: u64,
    /// Where the device finds both.
    places: [u64; 2],
    has_ports: bool,
    /// The disks' files.
    pub images: Vec<File>,
    _qemu: Qemu,
}

fn temporary(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("orion-{name}-{}", std::process::id()))
}

/// An image that has no name, opened twice.
fn image(name: &str, len: u64, inject: Option<&Path>) -> (Image, File) {
    let path = temporary(name);
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    let again = File::options().read(true).write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.set_len(len).unwrap();
    let inject = inject.map(Path::to_owned);
    (Image { file, path: PathBuf::new(), read_only: false, aio: Aio::Threads, inject, shared: false }, again)
}

impl Rig {
    /// Starts QEMU with such a device.
    pub fn new(shape: &Shape<'_>) -> Self {
        let (event, has_ports, places) = (sys::event().unwrap(), shape.has_ports(), shape.places());
        let [dma_bus, data_bus] = places;
        let (dma, data) = (sys::memory("dma", shape.dma).unwrap(), sys::memory("data", shape.data).unwrap());
        let rules = (!shape.rules.is_empty()).then(|| temporary(&format!("{}.rules", shape.name)));
        rules.iter().for_each(|path| std::fs::write(path, shape.rules).unwrap());
        let (mut media, mut images) = (Vec::new(), Vec::new());
        for (number, (unit, len)) in shape.disks.iter().enumerate() {
            let inject = rules.as_deref().filter(|_| number == 0);
            let (image, again) = image(&format!("{}-{number}.img", shape.name), *len, inject);
            media.push(Medium { name: format!("{}{number}", shape.name), unit: *unit, image });
            images.push(again);
        }
        let dimm = |memory: &File, size, bus| Dimm { memory: memory.try_clone().unwrap(), size, bus };
        let machine = Machine {
            name: shape.name.into(),
            bus: shape.bus,
            options: shape.options,
            way: None,
            slot: SLOT,
            ecam: ECAM,
            media,
            dimms: vec![dimm(&dma, shape.dma, dma_bus), dimm(&data, shape.data, data_bus)],
            cpus: Cpus::ours().unwrap(),
        };
        let (qemu, line) = machine.start_monitored(&event, shape.monitor).unwrap();
        rules.iter().for_each(|path| std::fs::remove_file(path).unwrap());
        let mut qtest = Qtest::new(line.qtest).unwrap();
        if shape.pin {
            qtest.watch_pins().unwrap();
        }
        // Notifications that need no answer are memory of the other device's.
        let kick = matches!(shape.bus, Bus::VirtioBlk | Bus::VirtioScsi).then(|| Kick::new(line.kick, BRIDGE_TABLE));
        let device = Rc::new(RefCell::new(Device::new(qtest, kick).unwrap()));
        let pin = shape.pin.then(|| Pin::new(Rc::clone(&device), PIN));
        let (dma, data_len) = ((dma, shape.dma), shape.data);
        Self { device, event, pin, dma, data, data_len, places, has_ports, images, _qemu: qemu }
    }

    /// Its configuration space, and the window for its BARs or ports.
    pub fn registers(&self) -> [Registers; 2] {
        let registers = |base, len| Registers::new(Rc::clone(&self.device), base, len);
        let window = if self.has_ports { registers(PORTS, 0x100) } else { registers(BARS, BARS_LEN as usize) };
        [registers(ECAM + (u64::from(SLOT) << 15), 4096), window]
    }

    /// Its function, with the interrupt that it was made with.
    pub fn function(&self) -> Function<Registers> {
        let message = self.pin.is_none().then_some(Message { address: MESSAGE.0, data: MESSAGE.1 });
        let [config, window] = self.registers();
        let made = if self.has_ports {
            Function::with_ports(config, window, PORTS, message)
        } else {
            Function::new(config, window, BARS, message)
        };
        made.unwrap()
    }

    /// What each of a driver's lives begins with.
    pub fn setup(&self, timeout_ns: u64) -> Setup<'static> {
        let (dma, len) = &self.dma;
        Setup {
            dma: Mapped::new(dma, None, *len, true).unwrap().window(),
            dma_bus: self.places[0],
            regions: Box::leak(Box::new([Span { bus: self.places[1], size: self.data_len }])),
            iommu: false,
            read_only: false,
            timeout_ns,
        }
    }

    /// Waits for an interrupt for so long; whether there was one.
    pub fn wait(&self, patience: Duration) -> bool {
        let Some(pin) = &self.pin else {
            let told = sys::wait_one(&self.event, Some(patience));
            if told {
                sys::take(&self.event);
            }
            return told;
        };
        pin.unmask();
        let start = Clock::now();
        while pin.take() != PIN {
            if start.elapsed() > patience {
                return false;
            }
            pin.sleep(&self.event, Some(patience.min(Duration::from_secs(1))));
        }
        true
    }

    /// Waits for the device's interrupts, and takes all that it completed, until `count` requests have ended.
    pub fn ended(&self, disk: &mut impl Engine<u32>, count: u32) -> Vec<(u32, Completion)> {
        let mut all = Vec::new();
        loop {
            all.extend(core::iter::from_fn(|| disk.finished()));
            disk.kick();
            if all.len() == count as usize {
                return all;
            }
            assert!(self.wait(PATIENCE), "no interrupt after {}", all.len());
            disk.interrupted();
        }
    }

    /// Asks one thing, and waits for its end.
    pub fn one(&self, disk: &mut impl Engine<u32>, unit: u8, req: Request) -> Completion {
        disk.start(Unit(unit), 7, &req);
        disk.kick();
        let &[(7, done)] = &self.ended(disk, 1)[..] else { unreachable!("the end of something else") };
        done
    }

    /// Fills the payload with `byte`.
    pub fn fill(&self, byte: u8) {
        self.data.write_all_at(&vec![byte; self.data_len as usize], 0).unwrap();
    }

    /// Bytes of the payload.
    pub fn payload(&self, at: u64, len: u64) -> Vec<u8> {
        bytes(&self.data, at, len)
    }

    /// Bytes of a disk.
    pub fn content(&self, nth: usize, at: u64, len: u64) -> Vec<u8> {
        bytes(&self.images[nth], at, len)
    }
}

fn bytes(file: &File, at: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    file.read_exact_at(&mut bytes, at).unwrap();
    bytes
}

/// A request of so many blocks, at so many bytes of the payload.
pub fn request(op: Op, lba: u64, blocks: u32, offset: u64) -> Request {
    Request { op, fua: false, lba: Lba(lba), blocks, buf: Buf { region: RegionId(0), offset } }
}

/// Asks for [`DEPTH`] requests.
pub fn submit(disk: &mut impl Engine<u32>, op: Op) {
    for tag in 0..DEPTH {
        disk.start(Unit(0), tag, &request(op, u64::from(tag * BLOCKS), BLOCKS, u64::from(tag) * BYTES));
    }
    disk.kick();
}

/// Each of those was answered once.
pub fn each_once(done: &[(u32, Completion)]) {
    let mut tags: Vec<u32> = done.iter().map(|(tag, _)| *tag).collect();
    tags.sort_unstable();
    assert_eq!(tags, (0..DEPTH).collect::<Vec<_>>());
}

fn all_well(done: &[(u32, Completion)]) {
    each_once(done);
    assert!(done.iter().all(|(_, d)| *d == Completion::ok(BLOCKS)), "{done:?}");
}

/// A device that is reset with requests in flight: each is answered once, and the device lets go of the buffers, writes what it
/// reads next, and serves again. `image` is that of the driver's first disk.
pub fn reset_in_flight(rig: &Rig, disk: &mut impl Engine<u32>, image: usize, begin: u64) {
    let mut timed_out = 0;
    for round in 0..200 {
        // On a busy machine QEMU may be done before each.
        if round >= 20 && timed_out > 0 {
            return;
        }
        let begin = begin + 20 * SECOND * round;
        disk.set_time(Instant(begin));
        disk.expire();
        rig.fill(round as u8 + 1);
        submit(disk, Op::Write);
        let (mut done, mut late) = (Vec::new(), 10 * SECOND);
        while done.len() < DEPTH as usize {
            disk.set_time(Instant(begin + late));
            while disk.expire() {
                done.extend(core::iter::from_fn(|| disk.finished()));
                disk.kick();
            }
            done.extend(core::iter::from_fn(|| disk.finished()));
            disk.kick();
            // For QEMU time passes no slower than for the driver.
            if done.len() < DEPTH as usize && rig.wait(Duration::from_millis(1)) {
                disk.interrupted();
            }
            late += SECOND / 1000;
            assert!(late < 15 * SECOND, "round {round}: {done:?}");
        }
        each_once(&done);
        let given_up = |done: &Completion| *done == Completion::error(Error::TimedOut);
        assert!(done.iter().all(|(_, d)| *d == Completion::ok(BLOCKS) || given_up(d)), "round {round}: {done:?}");
        timed_out += done.iter().filter(|(_, d)| given_up(d)).count();
        rig.fill(0xee);
        submit(disk, Op::Write);
        all_well(&rig.ended(disk, DEPTH));
        // What the driver asks for itself after a reset is to be answered before much time passes at once.
        for _ in 0..100 {
            if disk.deadline().is_none() {
                break;
            }
            if rig.wait(Duration::from_millis(1)) {
                disk.interrupted();
            }
            assert_eq!(disk.finished(), None);
            disk.kick();
        }
        assert!(rig.content(image, 0, u64::from(DEPTH) * BYTES).iter().all(|byte| *byte == 0xee), "round {round}");
    }
    assert!(timed_out > 0, "no request was in flight at any reset");
}

/// One life of a driver ends with requests in flight, and the next takes the device over.
pub fn taken_over<E: Engine<u32>, F: Engine<u32>>(rig: &Rig, before: impl Fn(u8) -> E, after: impl Fn() -> F) {
    for round in 0..20 {
        let mut disk = before(round);
        rig.fill(round);
        submit(&mut disk, Op::Write);
        if round % 3 == 0 {
            rig.ended(&mut disk, DEPTH);
        }
        drop(disk);
        let mut disk = after();
        submit(&mut disk, Op::Write);
        all_well(&rig.ended(&mut disk, DEPTH));
        rig.fill(0xee);
        submit(&mut disk, Op::Read);
        all_well(&rig.ended(&mut disk, DEPTH));
        assert!(rig.payload(0, u64::from(DEPTH) * BYTES).iter().all(|byte| *byte == round), "round {round}");
    }
}
