// SPDX-License-Identifier: MIT
//! The driver of virtio SCSI hosts over the device model of `orion-virtio`, at the bottom of a stack.
use crate::pattern::Numbers;
use crate::stack::{Bottom, Ram};
use orion_block::{Completion, Instant, Limits};
use orion_driver::{Engine, Setup, Span, Unit};
use orion_layer::{Interrupted, Lowers, Submission};
use orion_region::Window;
use orion_scsi::model::{Bus, Disk};
use orion_scsi::{Choice, Wanted};
use orion_virtio::model::{ScsiMmio, ScsiModel, ScsiShape, SharedScsi, memory};
use orion_virtio::{MmioTransport, VirtioScsi};

const DMA_BUS: u64 = 0x9000_0000;
const DATA_BUS: u64 = 0x1_4000_0000;
/// Nanoseconds that a request may take: more than any here takes.
const TIMEOUT_NS: u64 = 60_000_000_000;
/// Indirect descriptors, event index, events of units.
const FEATURES: u64 = 3 << 28 | 6;

/// A disk behind a host, and the host's driver.
#[derive(Debug)]
pub struct Scsi {
    driver: VirtioScsi<MmioTransport<ScsiMmio>>,
    device: SharedScsi,
    numbers: Numbers,
    /// The driver's memory once more, for each of its further lives.
    dma: Vec<Window>,
    read_only: bool,
    data: u64,
    /// Who is above is to be told of a new life.
    restarted: bool,
}

impl Scsi {
    /// A disk that reaches payload in `data`.
    ///
    /// # Panics
    /// Where the driver refuses it.
    pub fn new(disk: Disk, read_only: bool, data: Window) -> Self {
        let [dma, dma_again, dma_device] = memory(256 << 10);
        let bytes = data.len() as u64;
        let memory = vec![(DMA_BUS, dma_device), (DATA_BUS, data)];
        let device = ScsiModel::new(ScsiShape::new(FEATURES), Bus::of(disk), memory);
        let driver = driver(&device, dma, bytes, read_only);
        Self {
            driver,
            device,
            numbers: Numbers::new(1),
            dma: vec![dma_again],
            read_only,
            data: bytes,
            restarted: false,
        }
    }
}

/// A life of the driver, on a device in any state, until it knows its disk.
fn driver(device: &SharedScsi, dma: Window, data: u64, read_only: bool) -> VirtioScsi<MmioTransport<ScsiMmio>> {
    let regions = [Span { bus: DATA_BUS, size: data }];
    let setup = Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only, timeout_ns: TIMEOUT_NS };
    let bus = MmioTransport::new(ScsiMmio(device.clone()), 0).expect("registers of a device");
    let wanted = [Wanted { choice: Choice::First, read_only }];
    let mut driver = orion_virtio::scsi::open(bus, &wanted, setup).expect("a good device");
    for _ in 0..1000 {
        assert_eq!(Engine::<u32>::finished(&mut driver), None);
        driver.kick();
        driver.expire();
        driver.kick();
        device.borrow_mut().serve();
    }
    driver
}

impl Lowers for Scsi {
    fn count(&self) -> u8 {
        1
    }
    fn capacity(&self, _: u8) -> u16 {
        self.driver.depth()
    }
    fn limits(&self, _: u8) -> Option<Limits> {
        self.driver.limits(Unit(0))
    }
    fn submit(&mut self, _: u8, submission: Submission) {
        self.driver.start(Unit(0), submission.tag, &submission.req);
    }
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        if std::mem::take(&mut self.restarted) {
            return Err(Interrupted::Restarted(0));
        }
        Ok(self.driver.finished().map(|(tag, done)| (0, tag, done)))
    }
}

impl Bottom for Scsi {
    /// The device takes what it was notified of, and ends some of what it has, in any order.
    fn step(&mut self, _: &mut Ram, now: Instant) -> bool {
        self.driver.set_time(now);
        self.driver.expire();
        self.driver.kick();
        let mut device = self.device.borrow_mut();
        device.take();
        let held = device.taken.len() as u64;
        for _ in 0..held.min(1 + self.numbers.within(4)) {
            let nth = self.numbers.within(device.taken.len() as u64);
            device.finish(nth as usize);
        }
        if device.take_interrupt() {
            drop(device);
            self.driver.interrupted();
        }
        held > 0
    }

    fn restart(&mut self) -> bool {
        let Some(dma) = self.dma.pop() else { return false };
        self.driver = driver(&self.device, dma, self.data, self.read_only);
        self.restarted = true;
        true
    }

    fn lose_power(&mut self) -> bool {
        let device = &mut *self.device.borrow_mut();
        assert!(device.taken.is_empty(), "nothing is in flight");
        let disk = device.bus.first();
        disk.content.clone_from(&disk.durable);
        true
    }
}
