// SPDX-License-Identifier: MIT
//! An NVMe controller in software, for tests: it serves the driver from shared memory, holds it to the rules, and misbehaves
//! where a test asks it to.
//!
//! Requests are taken only after a doorbell, or what shadows it, was rung. Administrative commands are served at once. The pin is
//! QEMU's, whose count of completion queues that are not empty outlives a reset. A driver that breaks the rules makes it panic.
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
use std::boxed::Box;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::vec;
use std::vec::Vec;

mod access;
mod admin;
mod manage;
mod power;
mod protection;
mod queues;
mod registers;
mod requests;
mod shape;
mod zones;

pub use manage::Manage;
pub use power::Power;
pub use protection::guard;
pub use registers::ModelRegisters;
pub use shape::{Shape, Space};
pub use zones::Zones;

pub use orion_driver::model::{Hardware, Medium};
pub use orion_region::model::{BusMemory, memory};

/// A controller that a test and the registers share.
pub type Shared = Rc<RefCell<Model>>;

/// What a controller does that it must not do, or had better not. Each is done once, at the next occasion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// It answers a command of this identifier.
    Id(u16),
    /// It answers a request twice.
    Twice,
    /// It answers with the wrong phase tag.
    Phase,
    /// It answers with this status.
    Status(u16),
    /// It answers, and its interrupt is lost.
    Mute,
    /// It loses a request; it finds it when it is asked to abort it.
    Lose,
    /// It loses a request for good.
    Swallow,
    /// It says that it failed, and does nothing more until it is reset.
    Fail,
    /// It is unplugged.
    Unplug,
    /// It does not answer an administrative command.
    LoseAdmin,
    /// It answers an administrative command that it was never given.
    AdminId,
    /// It answers an administrative command with this status.
    AdminStatus(u16),
}

/// A bus, which says whether it lets the controller reach memory.
pub struct Bus(pub Box<dyn Fn() -> bool>);

impl core::fmt::Debug for Bus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Bus({})", (self.0)())
    }
}

/// A command that was taken and not answered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The pair of queues that it came by.
    pub queue: u16,
    /// Its dwords.
    pub dwords: [u32; 16],
}

impl Taken {
    /// Its identifier.
    pub fn id(&self) -> u16 {
        (self.dwords[0] >> 16) as u16
    }
    /// Its opcode.
    pub fn opcode(&self) -> u8 {
        self.dwords[0] as u8
    }
    fn namespace(&self) -> u32 {
        self.dwords[1]
    }
    fn long(&self, first: usize) -> u64 {
        u64::from(self.dwords[first]) | u64::from(self.dwords[first + 1]) << 32
    }
}

/// The controller.
#[derive(Debug)]
pub struct Model {
    /// What it is.
    pub shape: Shape,
    /// Its namespaces.
    pub spaces: BTreeMap<u32, Space>,
    /// What holds the blocks of its first namespace, if not the namespace itself.
    pub medium: Option<Box<dyn Medium>>,
    /// What it does that it must not do.
    pub mischief: Option<Mischief>,
    /// Requests taken and not answered yet.
    pub taken: Vec<Taken>,
    /// Requests that it has lost, and would find.
    pub lost: Vec<Taken>,
    /// Interrupts sent.
    pub interrupts: u64,
    /// Writes of the submission queue's doorbell for requests, and of the completion queue's.
    pub doorbells: [u64; 2],
    /// Times that it was enabled.
    pub enables: u64,
    /// Administrative commands carried out, by opcode; and requests.
    pub done: BTreeMap<(bool, u8), u64>,
    /// It looks at what shadows doorbells by itself.
    pub polls: bool,
    /// Whether the bus lets it reach memory, where nothing in `bus` says so.
    pub master: bool,
    /// Whether the bus lets it reach memory.
    pub bus: Option<Bus>,
    /// What it does beside requests.
    pub manage: Manage,
    /// What it is worth as a way to each group of namespaces, as the log page has it.
    pub access: BTreeMap<u32, u8>,
    /// What it was asked to verify: first blocks, and how many.
    pub verified: Vec<(u64, u32)>,
    /// Blocks that it cannot verify.
    pub unreadable: std::collections::BTreeSet<u64>,
    /// So many of the next writes store something else than they were given.
    pub rots: u32,
    /// Where the next appends are said to be, in place of where they are.
    pub misplaced: Option<u64>,
    /// How it rests.
    pub power: Power,
    /// What the answer that comes next has beside its status.
    result: u64,
    /// Namespaces that were made.
    manage_serial: u32,
    memory: BusMemory,
    gone: bool,
    config: u32,
    status: u32,
    /// Reads of the status until it does what it was told.
    reads: core::cell::Cell<u32>,
    sizes: u32,
    bases: [u64; 2],
    admin: queues::Pair,
    requests: BTreeMap<u16, queues::Pair>,
    /// Completion queues that were made before their submission queues.
    halves: BTreeMap<u16, queues::Pair>,
    /// Features that were set.
    pub features: BTreeMap<u32, u32>,
    /// Answers since the last interrupt, where they are gathered, and how long the first of them waits.
    gathered: u32,
    waits_us: u32,
    shadows: Option<[u64; 2]>,
    events: Vec<u16>,
    raised: bool,
    /// Completion queues that are not empty, as QEMU counts them.
    pending: i32,
    kicked: bool,
}

impl Model {
    /// A controller that sees `memory`: bus addresses and bytes.
    pub fn new(shape: Shape, spaces: Vec<(u32, Space)>, memory: Vec<(u64, Window)>) -> Shared {
        Rc::new(RefCell::new(Self {
            shape,
            spaces: spaces.into_iter().collect(),
            medium: None,
            mischief: None,
            taken: Vec::new(),
            lost: Vec::new(),
            interrupts: 0,
            doorbells: [0; 2],
            enables: 0,
            done: BTreeMap::new(),
            polls: false,
            master: false,
            bus: None,
            manage: Manage::default(),
            access: BTreeMap::new(),
            verified: Vec::new(),
            unreadable: std::collections::BTreeSet::new(),
            rots: 0,
            misplaced: None,
            result: 0,
            power: Power::default(),
            manage_serial: 0,
            memory: BusMemory::new(memory),
            gone: false,
            config: 0,
            status: 0,
            reads: core::cell::Cell::new(0),
            sizes: 0,
            bases: [0; 2],
            admin: queues::Pair::default(),
            requests: BTreeMap::new(),
            halves: BTreeMap::new(),
            features: BTreeMap::new(),
            gathered: 0,
            waits_us: 0,
            shadows: None,
            events: Vec::new(),
            raised: false,
            pending: 0,
            kicked: false,
        }))
    }

    /// A good controller with one namespace of `blocks` blocks of `1 << shift` bytes.
    pub fn simple(blocks: usize, shift: u8, memory: Vec<(u64, Window)>) -> Shared {
        Self::new(Shape::new(), vec![(1, Space::new(blocks, shift))], memory)
    }

    /// Whether the driver was interrupted since this was last asked; for a pin, whether it is up.
    pub fn take_interrupt(&mut self) -> bool {
        let raised = core::mem::take(&mut self.raised);
        if self.shape.messages { raised } else { self.pending != 0 }
    }

    /// The pairs of queues for requests that there are, and of what priority each is.
    pub fn pairs(&self) -> Vec<(u16, u32)> {
        self.requests.iter().map(|(id, pair)| (*id, pair.priority)).collect()
    }

    /// Lets time go by, after which an interrupt may be due that was held back (5.21.1.8).
    pub fn elapse(&mut self, us: u32) {
        self.waits_us += us;
        let most = self.features.get(&8).map_or(0, |gather| (gather >> 8 & 0xff) * 100);
        if self.gathered > 0 && self.waits_us >= most {
            self.interrupt();
        }
    }

    /// Whether there are requests that it has not taken and was told of.
    pub fn is_notified(&self) -> bool {
        self.kicked || self.polls && !self.requests.is_empty()
    }

    /// Whether it is enabled, and the bus lets it reach memory.
    pub fn is_on(&self) -> bool {
        self.reaches_memory() && self.config & 1 != 0
    }

    /// Whether the bus lets it reach memory.
    pub fn reaches_memory(&self) -> bool {
        self.bus.as_ref().map_or(self.master, |bus| (bus.0)())
    }

    /// Tells of an event (5.2): what its answer's first two dwords are.
    pub fn tell(&mut self, event: u64) {
        if let Some(id) = self.events.pop() {
            self.answer_admin(id, 0, event);
        }
    }

    /// The memory that it reaches.
    fn bus(&self) -> &BusMemory {
        assert!(self.reaches_memory(), "DMA while the bus master bit is clear");
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
        Self::take_interrupt(self)
    }
    fn reaches_memory(&self) -> bool {
        Self::reaches_memory(self)
    }
    fn resets(&self) -> u64 {
        self.enables
    }
    fn vanish(&mut self) {
        self.gone = true;
        self.taken.clear();
    }
    fn lose_cache(&mut self) {
        self.spaces.values_mut().for_each(|space| space.content.clone_from(&space.durable));
    }
}
