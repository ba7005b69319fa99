// SPDX-License-Identifier: MIT
//! The driver of NVMe controllers over the controller model of `orion-nvme`, at the bottom of a stack.
use crate::pattern::Numbers;
use crate::stack::{Bottom, Ram};
use orion_block::{BlockSize, Completion, Instant, Limits};
use orion_driver::{Engine, Setup, Span, Unit};
use orion_layer::{Interrupted, Lowers, Submission};
use orion_nvme::model::{Model, ModelRegisters, Shape, Shared, Space};
use orion_nvme::{DMA_BYTES, Nvme as Driver, Place};
use orion_region::Window;
use orion_virtio::model::memory;

const DMA_BUS: u64 = 0x9000_0000;
const DATA_BUS: u64 = 0x1_4000_0000;
/// Nanoseconds that a request may take: more than any here takes.
const TIMEOUT_NS: u64 = 60_000_000_000;

/// A controller with a volatile cache and one namespace, and its driver.
#[derive(Debug)]
pub struct Nvme {
    driver: Driver<ModelRegisters>,
    device: Shared,
    numbers: Numbers,
    /// The driver's memory once more, for each of its further lives.
    dma: Vec<Window>,
    read_only: bool,
    data: u64,
    /// Who is above is to be told of a new life.
    restarted: bool,
}

impl Nvme {
    /// A controller whose namespace has `blocks` blocks, that reaches payload in `data`; `plain`: it offers nothing optional but
    /// dataset management and write zeroes, and interrupts by a pin.
    ///
    /// # Panics
    /// Where the driver refuses the controller.
    pub fn new(blocks: usize, block: BlockSize, read_only: bool, plain: bool, data: Window) -> Self {
        let shape = Shape::new().with(|shape| {
            if plain {
                (shape.controller.oacs, shape.controller.sgls) = (0.into(), 0.into());
                shape.messages = false;
            }
        });
        let [dma, dma_again, dma_device] = memory(DMA_BYTES);
        let bytes = data.len() as u64;
        let space = Space::new(blocks, block.shift());
        let device = Model::new(shape, vec![(1, space)], vec![(DMA_BUS, dma_device), (DATA_BUS, data)]);
        let driver = driver(&device, dma, bytes, read_only);
        let (numbers, dma) = (Numbers::new(1), vec![dma_again]);
        Self { driver, device, numbers, dma, read_only, data: bytes, restarted: false }
    }
}

/// A life of the driver, on a controller in any state.
fn driver(device: &Shared, dma: Window, data: u64, read_only: bool) -> Driver<ModelRegisters> {
    let regions = [Span { bus: DATA_BUS, size: data }];
    let setup = Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only, timeout_ns: TIMEOUT_NS };
    Driver::new(ModelRegisters(device.clone()), setup, &[Place::FIRST]).expect("a good controller")
}

impl Lowers for Nvme {
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

impl Bottom for Nvme {
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
        let space = device.spaces.get_mut(&1).expect("the namespace");
        space.content.clone_from(&space.durable);
        true
    }
}
