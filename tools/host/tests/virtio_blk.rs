// SPDX-License-Identifier: MIT
//! The virtio-blk driver against QEMU's device, where it is reset or taken over with requests in flight.
#![allow(clippy::cast_possible_truncation, clippy::unwrap_used, reason = "a test's small numbers and certain values")]
use orion_block::{Buf, Completion, Error, Instant, Lba, Op, RegionId, Request};
use orion_driver::{Engine, Setup, Span, Unit};
use orion_host::ivshmem::Kick;
use orion_host::qemu::{Aio, BRIDGE_TABLE, Dimm, Image, MESSAGE, Machine, Medium, Qemu};
use orion_host::qtest::{Device, Qtest, Registers};
use orion_host::regions::Mapped;
use orion_host::sys::{self, Cpus};
use orion_system::bus::Bus;
use orion_virtio::{Msi, PciTransport, VirtioBlk};
use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
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

type Disk = VirtioBlk<PciTransport<Registers>>;

struct Rig {
    registers: Rc<RefCell<Device>>,
    event: File,
    dma: File,
    data: File,
    image: File,
    _qemu: Qemu,
}

impl Rig {
    fn new(name: &str) -> Self {
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
            options: 0,
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
        let (qemu, line) = machine.start(&event).unwrap();
        let device = Device::new(Qtest::new(line.qtest).unwrap(), Some(Kick::new(line.kick, BRIDGE_TABLE))).unwrap();
        Self { registers: Rc::new(RefCell::new(device)), event, dma, data, image, _qemu: qemu }
    }

    /// A driver on the device as it is: the first, or one that takes over.
    fn driver(&self) -> Disk {
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
        VirtioBlk::new(bus, setup).unwrap()
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
}

fn submit(disk: &mut Disk, op: Op) {
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

#[test]
fn a_reset_in_flight_answers_everything_once_and_the_device_serves_again() {
    let rig = Rig::new("reset");
    let mut disk = rig.driver();
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
    let rig = Rig::new("takeover");
    for round in 0..20 {
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
