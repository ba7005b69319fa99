// SPDX-License-Identifier: MIT
//! The driver of virtio block devices over the device model of `orion-virtio`, at the bottom of a stack.
use crate::pattern::Numbers;
use crate::stack::{Bottom, Ram};
use orion_block::{BlockSize, Completion, Instant, Limits};
use orion_driver::{Engine, Setup, Span, Unit};
use orion_layer::{Interrupted, Lowers, Submission};
use orion_region::Window;
use orion_virtio::blk::wire::{config, feature};
use orion_virtio::model::{MmioModel, Model, Shape, Shared, memory};
use orion_virtio::queue::{Queue, Ring};
use orion_virtio::{MmioTransport, VirtioBlk, Wishes};

const DMA_BUS: u64 = 0x9000_0000;
const DATA_BUS: u64 = 0x1_4000_0000;
/// Nanoseconds that a request may take: more than any here takes.
const TIMEOUT_NS: u64 = 60_000_000_000;

/// A device with a volatile cache, and its driver.
#[derive(Debug)]
pub struct Virtio<Q = Queue> {
    driver: VirtioBlk<MmioTransport<MmioModel>, u32, Q>,
    wishes: Wishes,
    device: Shared,
    numbers: Numbers,
    /// The driver's memory once more, for each of its further lives.
    dma: Vec<Window>,
    read_only: bool,
    data: u64,
    /// Who is above is to be told of a new life.
    restarted: bool,
}

impl<Q: Ring> Virtio<Q> {
    /// A device of `blocks` blocks that reaches payload in `data`, with the queues that its driver wishes for.
    ///
    /// # Panics
    /// Where the driver refuses the device.
    pub fn new(blocks: usize, block: BlockSize, read_only: bool, data: Window, wishes: Wishes) -> Self {
        let features = feature::BLK_SIZE | feature::FLUSH | feature::DISCARD | feature::WRITE_ZEROES;
        let shape = Shape::new(blocks << (block.shift() - 9), features)
            .field(config::BLK_SIZE, block.bytes().to_le_bytes())
            .field(config::MAX_DISCARD_SECTORS, 4096u32.to_le_bytes())
            .field(config::DISCARD_SECTOR_ALIGNMENT, 8u32.to_le_bytes())
            .field(config::MAX_WRITE_ZEROES_SECTORS, 4096u32.to_le_bytes())
            .offering(wishes);
        let [dma, dma_again, dma_device] = memory(64 << 10);
        let bytes = data.len() as u64;
        let device = Model::new(shape, vec![(DMA_BUS, dma_device), (DATA_BUS, data)]);
        let driver = driver(&device, dma, bytes, read_only, wishes);
        let (numbers, dma) = (Numbers::new(1), vec![dma_again]);
        Self { driver, wishes, device, numbers, dma, read_only, data: bytes, restarted: false }
    }
}

/// A life of the driver, on a device in any state.
fn driver<Q: Ring>(
    device: &Shared,
    dma: Window,
    data: u64,
    read_only: bool,
    wishes: Wishes,
) -> VirtioBlk<MmioTransport<MmioModel>, u32, Q> {
    let regions = [Span { bus: DATA_BUS, size: data }];
    let setup = Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only, timeout_ns: TIMEOUT_NS };
    let bus = MmioTransport::new(MmioModel(device.clone()), MmioModel::BASE).expect("registers of a device");
    VirtioBlk::with(bus, setup, wishes).expect("a good device")
}

impl<Q: Ring> Lowers for Virtio<Q> {
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

impl<Q: Ring> Bottom for Virtio<Q> {
    /// The device takes what it was notified of, and ends some of what it has, in any order.
    fn step(&mut self, _: &mut Ram, now: Instant) -> bool {
        self.driver.set_time(now);
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
        self.driver = driver(&self.device, dma, self.data, self.read_only, self.wishes);
        self.restarted = true;
        true
    }

    fn lose_power(&mut self) -> bool {
        let device = &mut *self.device.borrow_mut();
        assert!(device.taken.is_empty(), "nothing is in flight");
        device.content.clone_from(&device.durable);
        true
    }
}
