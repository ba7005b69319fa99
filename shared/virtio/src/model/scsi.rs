// SPDX-License-Identifier: MIT
//! A virtio SCSI host in software, for tests: behind it are the disks of `orion_scsi::model`. It serves the driver from
//! shared memory, holds it to the rules, and misbehaves where a test asks it to.
use super::{BusMemory, Hardware};
use core::cell::RefCell;
use orion_region::Window;
use orion_scsi::Place;
use orion_scsi::model::Bus;
use std::collections::VecDeque;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

mod device;
mod registers;
mod ring;

pub use registers::ScsiMmio;
pub use ring::Taken;

/// A host that a test and its registers share.
pub type SharedScsi = Rc<RefCell<ScsiModel>>;

/// What the device does that it must not do. Each is done once, at the next occasion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScsiMischief {
    /// It uses a descriptor of this index.
    UseId(u32),
    /// It uses a request twice.
    UseTwice,
    /// It advances the used index by this much, without entries.
    Advance(u16),
    /// It leaves the response as it was.
    NoResponse,
    /// It answers with this response, and does nothing.
    Response(u8),
    /// It says that it wrote fewer bytes than it did.
    ShortLength,
    /// It loses a request.
    Lose,
}

/// How it treats task management functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tasks {
    /// It does what they ask.
    Work,
    /// It says that it has none.
    Refuse,
    /// It does not answer.
    Ignore,
}

/// What the device is.
#[derive(Clone, Debug)]
pub struct ScsiShape {
    /// Device type; 8 is a SCSI host.
    pub device_type: u32,
    /// Features that it offers.
    pub features: u64,
    /// Most entries of its queues.
    pub queue_max: u16,
    /// Its configuration space.
    pub config: Vec<u8>,
    /// It clears FEATURES_OK.
    pub refuses: bool,
    /// It never resets.
    pub stuck: bool,
}

impl ScsiShape {
    /// A good device with `features` beside VERSION_1, as QEMU's is.
    pub fn new(features: u64) -> Self {
        let mut config = vec![0; 36];
        for (at, value) in [(0, 1u32), (4, 254), (8, 0xffff), (12, 128), (16, 16), (20, 96), (24, 32), (32, 16383)] {
            config[at..at + 4].copy_from_slice(&value.to_le_bytes());
        }
        config[30..32].copy_from_slice(&255u16.to_le_bytes());
        let features = features | 1 << 32;
        Self { device_type: 8, features, queue_max: 256, config, refuses: false, stuck: false }
    }

    /// With so many queues for requests.
    #[must_use]
    pub fn queues(self, count: u8) -> Self {
        self.field(0, [count])
    }

    /// Sets a field of the configuration space.
    #[must_use]
    pub fn field<const N: usize>(mut self, offset: usize, value: [u8; N]) -> Self {
        self.config[offset..offset + N].copy_from_slice(&value);
        self
    }
}

/// The device.
#[derive(Debug)]
pub struct ScsiModel {
    /// What it is.
    pub shape: ScsiShape,
    /// What is behind it.
    pub bus: Bus,
    /// What it does that it must not do.
    pub mischief: Option<ScsiMischief>,
    /// How it treats task management functions.
    pub tasks: Tasks,
    /// Requests taken from the queue and not answered yet.
    pub taken: Vec<Taken>,
    /// Notifications received, by queue.
    pub notifications: Vec<u64>,
    /// Resets performed.
    pub resets: u64,
    /// Task management functions asked for: the function's number and the tag.
    pub managed: Vec<(u32, u64)>,
    /// Events for which there is no buffer are lost, and the next says so; otherwise they wait.
    pub forgets_events: bool,
    /// Some were lost.
    missed: bool,
    /// Events that wait for a buffer.
    events: VecDeque<[u8; 16]>,
    memory: BusMemory,
    driver_features: u64,
    selects: [u32; 2],
    queue: usize,
    queues: Vec<ring::Queue>,
    status: u8,
    isr: u8,
    kicked: Vec<bool>,
    raised: bool,
}

impl ScsiModel {
    /// A device that sees `memory`: bus addresses and bytes.
    pub fn new(shape: ScsiShape, bus: Bus, memory: Vec<(u64, Window)>) -> SharedScsi {
        let status = if shape.stuck { 4 } else { 0 };
        let queues = 2 + usize::from(shape.config[0]);
        Rc::new(RefCell::new(Self {
            shape,
            bus,
            mischief: None,
            tasks: Tasks::Work,
            taken: Vec::new(),
            notifications: vec![0; queues],
            resets: 0,
            managed: Vec::new(),
            forgets_events: false,
            missed: false,
            events: VecDeque::new(),
            memory: BusMemory::new(memory),
            driver_features: 0,
            selects: [0; 2],
            queue: 0,
            queues: vec![ring::Queue::default(); queues],
            status,
            isr: 0,
            kicked: vec![false; queues],
            raised: false,
        }))
    }

    /// Whether the driver was interrupted since this was last asked.
    pub fn take_interrupt(&mut self) -> bool {
        core::mem::take(&mut self.raised)
    }

    /// Whether it was notified of requests that it has not taken.
    pub fn is_notified(&self) -> bool {
        self.kicked.iter().any(|kicked| *kicked)
    }

    /// The driver's status, as the device sees it.
    pub fn status(&self) -> u8 {
        self.status
    }

    /// Reports an event about a unit: its number and reason as the standard has them.
    pub fn report(&mut self, number: u32, place: Place, reason: u32) {
        let lun = crate::scsi::wire::lun(place).to_le_bytes();
        let mut bytes = [0; 16];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        bytes[4..12].copy_from_slice(&lun);
        bytes[12..].copy_from_slice(&reason.to_le_bytes());
        self.events.push_back(bytes);
        self.take_events();
    }

    fn has(&self, bit: u32) -> bool {
        self.driver_features >> bit & 1 != 0
    }

    /// The memory that it reaches.
    fn bus(&self) -> &BusMemory {
        &self.memory
    }
}

impl Hardware for ScsiModel {
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
        Self::take_interrupt(self)
    }
    fn reaches_memory(&self) -> bool {
        // By virtio-mmio no driver can keep it away: what has left does nothing more.
        !self.shape.stuck
    }
    fn resets(&self) -> u64 {
        self.resets
    }
    fn vanish(&mut self) {
        self.shape.stuck = true;
    }
    fn lose_cache(&mut self) {
        for disk in self.bus.disks.values_mut() {
            disk.content.clone_from(&disk.durable);
        }
    }
}
