// SPDX-License-Identifier: MIT
//! A driver over the model of its device, at the bottom of a stack.
use crate::pattern::Numbers;
use crate::stack::{Bottom, Ram};
use orion_block::{Completion, Instant, Limits};
use orion_driver::model::Hardware;
use orion_driver::{Engine, Setup, Span, Unit};
use orion_layer::{Interrupted, Lowers, Submission};
use orion_region::Window;
use orion_region::model::memory;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

const DMA_BUS: u64 = 0x9000_0000;
/// Below 4 GiB, where every device reaches.
const DATA_BUS: u64 = 0x4000_0000;
/// Bytes of a driver's own memory: the most that any wants.
const DMA_BYTES: usize = 1 << 20;
/// Nanoseconds that a request may take: more than any here takes.
const TIMEOUT_NS: u64 = 60_000_000_000;
/// Times that a device may do something before its driver knows its disk.
const PATIENCE: u64 = 1000;

/// Memory by bus address, as a model takes it.
pub type Pieces = Vec<(u64, Window)>;

/// A driver `E`, and the model `H` of its device.
pub struct Driven<E, H> {
    driver: E,
    device: Rc<RefCell<H>>,
    /// Begins a life of the driver.
    open: Box<dyn Fn(Setup<'_>) -> E>,
    numbers: Numbers,
    /// The driver's memory once more, for each of its further lives.
    dma: Vec<Window>,
    read_only: bool,
    data: u64,
    /// Who is above is to be told of a new life.
    restarted: bool,
}

impl<E, H> fmt::Debug for Driven<E, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driven").finish_non_exhaustive()
    }
}

impl<E: Engine<u32>, H: Hardware> Driven<E, H> {
    /// The driver that `open` makes on the device that `device` makes, which reaches payload in `data`.
    ///
    /// # Panics
    /// Where the driver never knows its disk.
    pub fn new<O: Fn(Setup<'_>) -> E + 'static>(
        read_only: bool,
        data: Window,
        device: impl FnOnce(Pieces) -> Rc<RefCell<H>>,
        open: impl FnOnce(Rc<RefCell<H>>) -> O,
    ) -> Self {
        let [dma, dma_again, dma_device] = memory(DMA_BYTES);
        let bytes = data.len() as u64;
        let device = device(vec![(DMA_BUS, dma_device), (DATA_BUS, data)]);
        let open = Box::new(open(device.clone()));
        let driver = life(&*open, &device, dma, bytes, read_only);
        let (numbers, dma) = (Numbers::new(1), vec![dma_again]);
        Self { driver, device, open, numbers, dma, read_only, data: bytes, restarted: false }
    }
}

/// A life of the driver, on a device in any state, until it knows its disk.
fn life<E: Engine<u32>, H: Hardware>(
    open: &dyn Fn(Setup<'_>) -> E,
    device: &RefCell<H>,
    dma: Window,
    data: u64,
    read_only: bool,
) -> E {
    let regions = [Span { bus: DATA_BUS, size: data }];
    let setup = Setup { dma, dma_bus: DMA_BUS, regions: &regions, iommu: false, read_only, timeout_ns: TIMEOUT_NS };
    let mut driver = open(setup);
    // Some wait for time to pass, as for that of a bus after its reset.
    for millisecond in 0..PATIENCE {
        driver.set_time(Instant(millisecond * 1_000_000));
        if driver.limits(Unit(0)).is_some() {
            return driver;
        }
        assert!(driver.finished().is_none(), "nothing was asked");
        driver.kick();
        driver.expire();
        driver.kick();
        let mut device = device.borrow_mut();
        device.take();
        while device.held() > 0 {
            device.finish(0);
        }
        device.take_interrupt();
        drop(device);
        driver.interrupted();
    }
    panic!("a good device is never ready");
}

impl<E: Engine<u32>, H: Hardware> Lowers for Driven<E, H> {
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

impl<E: Engine<u32>, H: Hardware> Bottom for Driven<E, H> {
    /// The device takes what it was notified of, and ends some of what it has, in any order.
    fn step(&mut self, _: &mut Ram, now: Instant) -> bool {
        self.driver.set_time(now);
        self.driver.expire();
        self.driver.kick();
        let mut device = self.device.borrow_mut();
        device.take();
        let held = device.held() as u64;
        for _ in 0..held.min(1 + self.numbers.within(4)) {
            let nth = self.numbers.within(device.held() as u64);
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
        self.driver = life(&*self.open, &self.device, dma, self.data, self.read_only);
        self.restarted = true;
        true
    }

    fn lose_power(&mut self) -> bool {
        let device = &mut *self.device.borrow_mut();
        assert_eq!(device.held(), 0, "nothing is in flight");
        device.lose_cache();
        true
    }
}
