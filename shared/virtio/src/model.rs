// SPDX-License-Identifier: MIT
//! A virtio block device in software, for tests: it serves the driver from shared memory, through virtio-mmio registers
//! or a PCI function, holds the driver to the rules, and misbehaves where a test asks it to.
//!
//! It looks at its queue only after a notification and takes interrupts as seriously: a test that polls neither side
//! hangs where one of them sleeps with work left, and says so. A driver that breaks the protocol makes it panic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "this is a test's other side, which says what is wrong by panicking"
)]
use core::cell::RefCell;
use orion_region::Window;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

mod device;
mod mmio;
mod packed;
mod pci;
mod registers;
mod ring;
mod scsi;

pub use mmio::MmioModel;
pub use pci::{PciBars, PciConfig, PciModel, pci};
pub use registers::Registers;
pub use scsi::{ScsiMischief, ScsiMmio, ScsiModel, ScsiShape, SharedScsi, Tasks};

pub use orion_driver::model::{Hardware, Medium};
pub use orion_region::model::{BusMemory, memory};

/// A device that a test and the registers share.
pub type Shared = Rc<RefCell<Model>>;

/// What a device does that it must not do. Each is done once, at the next occasion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// It uses a descriptor of this index.
    UseId(u32),
    /// It uses a request twice.
    UseTwice,
    /// It advances the used index by this much, without entries.
    Advance(u16),
    /// It says that it wrote fewer bytes than the request has.
    ShortLength,
    /// It leaves the status byte as it was.
    NoStatus,
    /// It answers with this status.
    Status(u8),
    /// It loses a request.
    Lose,
    /// It has finished and does not interrupt.
    Silent,
    /// It resets a queue without letting go of what it holds, and says so by leaving it enabled.
    KeepQueue,
}

/// What the device is.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Device type; 2 is a block device.
    pub device_type: u32,
    /// Features that it offers.
    pub features: u64,
    /// Queues that it has.
    pub queues: u16,
    /// Most entries of each.
    pub queue_max: u16,
    /// Its configuration space.
    pub config: Vec<u8>,
    /// Sectors that it has.
    pub sectors: usize,
    /// It clears FEATURES_OK.
    pub refuses: bool,
    /// It never resets.
    pub stuck: bool,
    /// Its configuration generation changes at each read.
    pub unsteady: bool,
}

impl Shape {
    /// A good device with `sectors` sectors and `features` beside VERSION_1.
    pub fn new(sectors: usize, features: u64) -> Self {
        let mut config = vec![0; 96];
        config[..8].copy_from_slice(&(sectors as u64).to_le_bytes());
        Self {
            device_type: 2,
            features: features | 1 << 32,
            queues: 1,
            queue_max: 256,
            config,
            sectors,
            refuses: false,
            stuck: false,
            unsteady: false,
        }
    }

    /// Offers what a driver may wish for: several queues, packed rings, use in order, resets of queues.
    #[must_use]
    pub fn offering(mut self, wishes: crate::Wishes) -> Self {
        let offered = [(wishes.queues > 1, 12), (wishes.packed, 34), (wishes.in_order, 35), (wishes.queue_reset, 40)];
        self.features |= offered.into_iter().filter(|(on, _)| *on).map(|(_, bit)| 1 << bit).sum::<u64>();
        self.queues = wishes.queues.max(1);
        let queues = self.queues;
        self.field(crate::blk::wire::config::NUM_QUEUES, queues.to_le_bytes())
    }

    /// Sets a field of the configuration space.
    #[must_use]
    pub fn field<const N: usize>(mut self, offset: usize, value: [u8; N]) -> Self {
        self.config[offset..offset + N].copy_from_slice(&value);
        self
    }
}

/// One queue.
#[derive(Clone, Debug)]
struct QueueState {
    size: u16,
    ready: bool,
    areas: [u64; 3],
    vector: u16,
    position: ring::Position,
    kicked: bool,
    /// With IN_ORDER: what was taken and not used yet, and the bytes written of what is done.
    order: std::collections::VecDeque<ring::Held>,
}

impl QueueState {
    fn new() -> Self {
        Self {
            size: 0,
            ready: false,
            areas: [0; 3],
            vector: 0xffff,
            position: ring::Position::default(),
            kicked: false,
            order: std::collections::VecDeque::new(),
        }
    }
}

/// The device.
#[derive(Debug)]
pub struct Model {
    /// What it is.
    pub shape: Shape,
    /// Its content, as reads see it.
    pub content: Vec<u8>,
    /// Its content after a loss of power.
    pub durable: Vec<u8>,
    /// What holds its blocks, if not `content`.
    pub medium: Option<std::boxed::Box<dyn Medium>>,
    /// What it does that it must not do.
    pub mischief: Option<Mischief>,
    /// Requests taken from the queue and not answered yet: head, and what is to be done.
    pub taken: Vec<ring::Taken>,
    /// Interrupts sent.
    pub interrupts: u64,
    /// Notifications received.
    pub notifications: u64,
    /// Resets performed.
    pub resets: u64,
    /// Requests carried out, by virtio's request type.
    pub done: std::collections::BTreeMap<u32, u64>,
    memory: BusMemory,
    driver_features: u64,
    selects: [u32; 2],
    selected: u16,
    status: u8,
    queues: Vec<QueueState>,
    isr: u8,
    config_vector: u16,
    /// What it says of its wear: the spare blocks, and two kinds of cells.
    pub wear: [u16; 3],
    /// Queues that were reset alone.
    pub queue_resets: u64,
    raised: bool,
    generation: core::cell::Cell<u32>,
    /// Whether the bus lets the device reach memory.
    master: bool,
    /// Messages sent: address and data.
    pub messages: Vec<(u64, u32)>,
    message: Option<(u64, u32)>,
}

impl Model {
    /// A device that sees `memory`: bus addresses and bytes.
    pub fn new(shape: Shape, memory: Vec<(u64, Window)>) -> Shared {
        let content: Vec<u8> = (0..shape.sectors * 512).map(|i| (i / 512 * 7 + i) as u8).collect();
        let (stuck, queues) = (shape.stuck, shape.queues);
        Rc::new(RefCell::new(Self {
            durable: content.clone(),
            content,
            shape,
            medium: None,
            mischief: None,
            taken: Vec::new(),
            interrupts: 0,
            notifications: 0,
            resets: 0,
            done: std::collections::BTreeMap::new(),
            memory: BusMemory::new(memory),
            driver_features: 0,
            selects: [0; 2],
            status: if stuck { 4 } else { 0 },
            queues: (0..queues).map(|_| QueueState::new()).collect(),
            selected: 0,
            isr: 0,
            config_vector: 0xffff,
            wear: [0; 3],
            queue_resets: 0,
            raised: false,
            generation: core::cell::Cell::new(0),
            master: true,
            messages: Vec::new(),
            message: None,
        }))
    }

    /// Whether the driver was interrupted since this was last asked.
    pub fn take_interrupt(&mut self) -> bool {
        core::mem::take(&mut self.raised)
    }

    /// Whether it was notified of requests that it has not taken.
    pub fn is_notified(&self) -> bool {
        self.queues.iter().any(|queue| queue.kicked)
    }

    /// Whether the queue `nth` is notified.
    pub fn is_queue_notified(&self, nth: u16) -> bool {
        self.queues[usize::from(nth)].kicked
    }

    /// Gives the device another size, and says so.
    pub fn resize(&mut self, sectors: usize) {
        self.content.resize(sectors * 512, 0);
        self.durable.resize(sectors * 512, 0);
        self.shape.config[..8].copy_from_slice(&(sectors as u64).to_le_bytes());
        self.reconfigured();
    }

    /// Says that the configuration changed.
    pub fn reconfigured(&mut self) {
        self.generation.set((self.generation.get() + 1) & 0xff);
        match self.message {
            Some(message) if self.config_vector == 0 => self.messages.push(message),
            Some(_) => return,
            None => self.isr |= 2,
        }
        self.raised = true;
    }

    /// Says that it needs a reset.
    pub fn needs_reset(&mut self) {
        self.status |= 64;
        self.reconfigured();
    }

    /// The driver's status, as the device sees it.
    pub fn status(&self) -> u8 {
        self.status
    }

    /// Features that the driver chose.
    pub fn negotiated(&self) -> u64 {
        self.driver_features
    }

    /// Whether the device can reach memory.
    pub fn reaches_memory(&self) -> bool {
        self.master
    }

    /// The registers of the queue that is selected.
    fn queue(&mut self) -> &mut QueueState {
        let nth = usize::from(self.selected);
        self.queues.get_mut(nth).expect("a queue that does not exist")
    }

    fn negotiated_has(&self, bit: u32) -> bool {
        self.driver_features >> bit & 1 != 0
    }

    /// The memory that it reaches.
    fn bus(&self) -> &BusMemory {
        assert!(self.master, "DMA while the bus master bit is clear");
        &self.memory
    }
}

impl Hardware for Model {
    fn is_notified(&self) -> bool {
        Self::is_notified(self)
    }
    fn take(&mut self) {
        Self::take(self);
    }
    fn held(&self) -> usize {
        self.taken.len()
    }
    fn finish(&mut self, nth: usize) {
        Self::finish(self, nth);
    }
    fn forget(&mut self, nth: usize) {
        self.taken.remove(nth);
    }
    fn take_interrupt(&mut self) -> bool {
        self.messages.clear();
        Self::take_interrupt(self)
    }
    fn reaches_memory(&self) -> bool {
        Self::reaches_memory(self)
    }
    fn resets(&self) -> u64 {
        self.resets
    }
    fn vanish(&mut self) {
        self.shape.stuck = true;
    }
    fn lose_cache(&mut self) {
        self.content.clone_from(&self.durable);
    }
}
