// SPDX-License-Identifier: MIT
//! The driver of AHCI controllers over the model of `orion-ahci`, at the bottom of a stack.
use crate::pattern::Numbers;
use crate::stack::{Bottom, Ram};
use orion_ahci::model::{Abar, Drive, Model, Shape, Shared};
use orion_ahci::{Ahci as Driver, Options, Place};
use orion_block::{BlockSize, Completion, Instant, Limits};
use orion_driver::{Engine, Setup, Span, Unit};
use orion_layer::{Interrupted, Lowers, Submission};
use orion_region::Window;
use orion_virtio::model::memory;

const DMA_BUS: u64 = 0x9000_0000;
const DMA_BYTES: usize = 512 << 10;
const DATA_BUS: u64 = 0x1_4000_0000;
/// Nanoseconds that a request may take: more than any here takes.
const TIMEOUT_NS: u64 = 60_000_000_000;

/// A controller with one drive that has a volatile cache, and its driver.
#[derive(Debug)]
pub struct Ahci {
    driver: Driver<Abar>,
    device: Shared,
    numbers: Numbers,
    /// The driver's memory once more, for each of its further lives.
    dma: Vec<Window>,
    read_only: bool,
    data: u64,
    /// Who is above is to be told of a new life.
    restarted: bool,
}

impl Ahci {
    /// A controller whose drive has `blocks` blocks, that reaches payload in `data`; `plain`: it knows neither queues nor FUA.
    ///
    /// # Panics
    /// Where the driver refuses the controller.
    pub fn new(blocks: usize, block: BlockSize, read_only: bool, plain: bool, data: Window) -> Self {
        let drive = Drive::new(blocks, block.bytes() as usize);
        let drive = if plain { drive.without_ncq().with(84, 0x40, 0) } else { drive };
        let [dma, dma_again, dma_device] = memory(DMA_BYTES);
        let bytes = data.len() as u64;
        let device = Model::new(Shape::default(), vec![(0, drive)], vec![(DMA_BUS, dma_device), (DATA_BUS, data)]);
        let driver = driver(&device, dma, bytes, read_only);
        let (numbers, dma) = (Numbers::new(1), vec![dma_again]);
        Self { driver, device, numbers, dma, read_only, data: bytes, restarted: false }
    }
}

/// A life of the driver, on a controller in any state.
fn driver(device: &Shared, dma: Window, data: u64, read_only: bool) -> Driver<Abar> {
    let regions = [Span { bus: DATA_BUS, size: data }];
    let setup = Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only, timeout_ns: TIMEOUT_NS };
    let mut driver: Driver<Abar> =
        Driver::new(Abar(device.clone()), setup, &[Place::FIRST], Options::default()).expect("a good controller");
    // Nobody is told of a drive before it has said who it is.
    while driver.limits(Unit(0)).is_none() {
        device.borrow_mut().serve();
        driver.interrupted();
        assert!(driver.finished().is_none(), "nothing was asked");
        driver.kick();
    }
    driver
}

impl Lowers for Ahci {
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

impl Bottom for Ahci {
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
        let drive = device.drive(0);
        drive.content.clone_from(&drive.durable);
        true
    }
}
