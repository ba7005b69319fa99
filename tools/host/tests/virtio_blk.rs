// SPDX-License-Identifier: MIT
//! The virtio-blk driver against QEMU's device, where it is reset or taken over with requests in flight.
#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, reason = "a test's small numbers and certain values")]
use orion_block::{Buf, Completion, Error, Instant, Lba, Op, RegionId, Request};
use orion_driver::{Describe, Engine, Setup, Span, Unit};
use orion_host::ivshmem::Kick;
use orion_host::qemu::{Aio, BRIDGE_TABLE, Dimm, Image, MESSAGE, Machine, Medium, Qemu};
use orion_host::qtest::{Device, Qtest, Registers};
use orion_host::regions::Mapped;
use orion_host::sys::{self, Cpus};
use orion_system::bus::Bus;
use orion_virtio::queue::{Queue, Ring};
use orion_virtio::{Many, Msi, PciTransport, VirtioBlk, Wishes};
use std::cell::RefCell;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

const ECAM: u64 = 0xb000_0000;
const BARS: u64 = 0xe000_0000;
const DMA_BUS: u64 = 0x1_4000_0000;
const DATA_BUS: u64 = 0x1_5000_0000;
const DMA_LEN: u64 = 64 << 10;
const DATA_LEN: u64 = 1 << 20;
/// Requests in flight, of 32 KiB each: together they take a while.
const DEPTH: u32 = 32;
const BLOCKS: u32 = 64;
const BYTES: u64 = 512 * BLOCKS as u64;
const SECOND: u64 = 1_000_000_000;

type Disk<Q> = VirtioBlk<PciTransport<Registers>, u32, Q>;

struct Rig {
    registers: Rc<RefCell<Device>>,
    event: File,
    dma: File,
    data: File,
    image: File,
    _qemu: Qemu,
}

impl Rig {
    fn new(name: &str, options: u32) -> Self {
        Self::monitored(name, options, None)
    }

    fn monitored(name: &str, options: u32, monitor: Option<&UnixStream>) -> Self {
        let event = sys::event().unwrap();
        let (dma, data) = (sys::memory("dma", DMA_LEN).unwrap(), sys::memory("data", DATA_LEN).unwrap());
        let path = std::env::temp_dir().join(format!("orion-{name}-{}.img", std::process::id()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        let image = File::open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.set_len(16 << 20).unwrap();
        let dimm = |memory: &File, size, bus| Dimm { memory: memory.try_clone().unwrap(), size, bus };
        let machine = Machine {
            name: name.into(),
            slot: 3,
            ecam: ECAM,
            bus: Bus::VirtioBlk,
            options,
            media: vec![Medium {
                name: name.into(),
                unit: 0,
                image: Image {
                    file,
                    path: std::path::PathBuf::new(),
                    read_only: false,
                    aio: Aio::Threads,
                    inject: None,
                },
            }],
            dimms: vec![dimm(&dma, DMA_LEN, DMA_BUS), dimm(&data, DATA_LEN, DATA_BUS)],
            cpus: Cpus::ours().unwrap(),
        };
        let (qemu, line) = machine.start_monitored(&event, monitor).unwrap();
        let device = Device::new(Qtest::new(line.qtest).unwrap(), Some(Kick::new(line.kick, BRIDGE_TABLE))).unwrap();
        Self { registers: Rc::new(RefCell::new(device)), event, dma, data, image, _qemu: qemu }
    }

    /// A driver on the device as it is: the first, or one that takes over.
    fn driver<Q: Ring>(&self, wishes: Wishes) -> Disk<Q> {
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
        VirtioBlk::with(bus, setup, wishes).unwrap()
    }

    /// Fills the payload of every request with `byte`.
    fn fill(&self, byte: u8) {
        self.data.write_all_at(&vec![byte; DATA_LEN as usize], 0).unwrap();
    }

    /// Waits for the device's interrupt, and takes all that it completed, until `count` requests have ended.
    fn ended<Q: Ring>(&self, disk: &mut Disk<Q>, count: u32) -> Vec<(u32, Completion)> {
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
}

fn submit<Q: Ring>(disk: &mut Disk<Q>, op: Op) {
    for tag in 0..DEPTH {
        let buf = Buf { region: RegionId(0), offset: u64::from(tag) * BYTES };
        let lba = Lba(u64::from(tag * BLOCKS));
        disk.start(Unit(0), tag, &Request { op, fua: false, lba, blocks: BLOCKS, buf });
    }
    disk.kick();
}

fn each_once(done: &[(u32, Completion)]) {
    let mut tags: Vec<u32> = done.iter().map(|(tag, _)| *tag).collect();
    tags.sort_unstable();
    assert_eq!(tags, (0..DEPTH).collect::<Vec<_>>());
}

/// The switches of a disk's options that wish for this.
fn options(wishes: Wishes) -> u32 {
    u32::from(wishes.queues) | u32::from(wishes.packed) << 8 | u32::from(wishes.in_order) << 9
}

#[test]
fn a_reset_in_flight_answers_everything_once_and_the_device_serves_again() {
    let rig = Rig::new("reset", 0);
    reset_in_flight(&rig, rig.driver::<Queue>(Wishes::default()));
    let wishes = Wishes { queues: 4, packed: true, ..Wishes::default() };
    let rig = Rig::new("reset-packed", options(wishes));
    reset_in_flight(&rig, rig.driver::<Many>(wishes));
}

fn reset_in_flight<Q: Ring>(rig: &Rig, mut disk: Disk<Q>) {
    let mut timed_out = 0;
    for round in 0..20 {
        disk.set_time(Instant(10 * SECOND * round));
        rig.fill(round as u8 + 1);
        submit(&mut disk, Op::Write);
        disk.set_time(Instant(10 * SECOND * round + 5 * SECOND));
        let mut done = Vec::new();
        while disk.expire() {
            done.extend(core::iter::from_fn(|| disk.finished()));
        }
        each_once(&done);
        let late = done.iter().filter(|(_, d)| *d == Completion::error(Error::TimedOut)).count();
        assert!(done.iter().all(|(_, d)| *d == Completion::ok(BLOCKS) || *d == Completion::error(Error::TimedOut)));
        timed_out += late;
        // The device let go of the buffers: what is in them now stays, and what it reads next is what was written last.
        rig.fill(0xee);
        submit(&mut disk, Op::Write);
        let done = rig.ended(&mut disk, DEPTH);
        each_once(&done);
        assert!(done.iter().all(|(_, d)| *d == Completion::ok(BLOCKS)), "round {round}: {done:?}");
        let mut content = vec![0; DATA_LEN as usize];
        rig.image.read_exact_at(&mut content, 0).unwrap();
        assert!(content.iter().all(|byte| *byte == 0xee), "round {round}");
    }
    assert!(timed_out > 0, "no request was in flight at any reset");
}

#[test]
fn a_driver_that_starts_anew_takes_over_a_device_that_is_at_work() {
    let packed = Wishes { queues: 4, packed: true, ..Wishes::default() };
    let rig = Rig::new("takeover", options(packed));
    for round in 0..20 {
        // The life before had other queues.
        let mut disk = rig.driver::<Many>(if round % 2 == 0 { packed } else { Wishes::default() });
        rig.fill(round);
        submit(&mut disk, Op::Write);
        drop(disk);
        let mut disk = rig.driver::<Queue>(Wishes::default());
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

/// Every shape of queue that QEMU's device offers.
fn shapes() -> impl Iterator<Item = Wishes> {
    [(1, true, false), (1, false, true), (1, true, true), (4, false, false), (4, true, false), (4, true, true)]
        .into_iter()
        .map(|(queues, packed, in_order)| Wishes { queues, packed, in_order, queue_reset: false })
}

#[test]
fn every_shape_of_queue_moves_clears_and_names() {
    for wishes in shapes() {
        let rig = Rig::new("shape", options(wishes));
        let mut disk = rig.driver::<Many>(wishes);
        let line = Describe::new(&disk, Unit(0)).to_string();
        assert_eq!([" queues", "packed ring", "in order"].map(|word| line.contains(word)), has(wishes), "{line}");
        for round in 1..40u8 {
            // Twenty times round a packed ring.
            rig.fill(round);
            submit(&mut disk, Op::Write);
            each_once(&rig.ended(&mut disk, DEPTH));
            rig.fill(0xee);
            submit(&mut disk, Op::Read);
            each_once(&rig.ended(&mut disk, DEPTH));
            let mut content = vec![0; DATA_LEN as usize];
            rig.data.read_exact_at(&mut content, 0).unwrap();
            assert!(content.iter().all(|byte| *byte == round), "round {round}, {line}");
        }
        let limits = disk.limits(Unit(0)).unwrap();
        assert!(limits.write_zeroes && limits.discard_granularity > 0, "{limits:?}");
        for op in [Op::Flush, Op::WriteZeroes, Op::Discard] {
            submit(&mut disk, op);
            let done = rig.ended(&mut disk, DEPTH);
            assert!(done.iter().all(|(_, d)| d.status.is_ok()), "{op:?}: {done:?}");
            let mut content = vec![0; DATA_LEN as usize];
            rig.image.read_exact_at(&mut content, 0).unwrap();
            let expected = if op == Op::Flush { 39 } else { 0 };
            assert!(content.iter().all(|byte| *byte == expected), "{op:?}, {line}");
        }
        disk.refresh();
        while disk.health(Unit(0)).is_none() {
            assert!(sys::wait_one(&rig.event, Some(Duration::from_secs(10))), "no answer");
            sys::take(&rig.event);
            assert!(disk.finished().is_none());
        }
        assert_eq!(disk.health(Unit(0)).unwrap().serial.as_str(), "shape");
        assert_eq!((disk.counters().misused, disk.take_fault()), (0, None));
    }
}

fn has(wishes: Wishes) -> [bool; 3] {
    [wishes.queues > 1, wishes.packed, wishes.in_order]
}

/// QEMU's monitor.
struct Monitor {
    replies: BufReader<UnixStream>,
}

impl Monitor {
    /// Waits for the answer to a command.
    fn command(&mut self, command: &str) {
        writeln!(self.replies.get_mut(), "{command}").unwrap();
        let mut line = String::new();
        while !line.contains("\"return\"") {
            line.clear();
            assert!(self.replies.read_line(&mut line).unwrap() > 0, "QEMU has ended");
            assert!(!line.contains("\"error\""), "{line}");
        }
    }
}

#[test]
fn a_resize_is_followed_by_its_interrupt() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let rig = Rig::monitored("resize", 0, Some(&theirs));
    let mut monitor = Monitor { replies: BufReader::new(ours) };
    monitor.command(r#"{"execute": "qmp_capabilities"}"#);
    let mut disk = rig.driver::<Queue>(Wishes::default());
    for (round, mebibytes) in [64u64, 8, 16].into_iter().enumerate() {
        submit(&mut disk, Op::Read);
        each_once(&rig.ended(&mut disk, DEPTH));
        assert!(disk.finished().is_none() && !disk.take_change());
        let size = mebibytes << 20;
        monitor.command(&format!(
            r#"{{"execute": "block_resize", "arguments": {{"node-name": "image0", "size": {size}}}}}"#
        ));
        while !disk.take_change() {
            assert!(sys::wait_one(&rig.event, Some(Duration::from_secs(10))), "no interrupt, round {round}");
            sys::take(&rig.event);
            disk.interrupted();
            assert!(disk.finished().is_none());
        }
        assert_eq!(disk.limits(Unit(0)).unwrap().capacity, size / 512);
        let buf = Buf { region: RegionId(0), offset: 0 };
        for (lba, expected) in [(size / 512 - 1, Completion::ok(1)), (size / 512, Completion::error(Error::OutOfRange))]
        {
            disk.start(Unit(0), 5, &Request { op: Op::Read, fua: false, lba: Lba(lba), blocks: 1, buf });
            disk.kick();
            assert_eq!(rig.ended(&mut disk, 1), [(5, expected)], "round {round}");
        }
    }
}
