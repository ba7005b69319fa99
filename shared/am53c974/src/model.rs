// SPDX-License-Identifier: MIT
//! An adapter with targets on its bus, in software, for tests; behind the targets are the disks of `orion_scsi::model`. It is
//! written from the data sheet and from SCSI-2, holds the driver to their rules by panicking, and fails as hardware and targets
//! do where a test asks it to. Its targets disconnect, reselect and change phases where a seed says.
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
use orion_region::model::BusMemory;
use orion_scsi::Place;
use orion_scsi::model::Bus;
use std::boxed::Box;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::vec::Vec;

mod adapter;
mod commands;
mod data;
mod hardware;
mod nexus;
mod ports;
mod target;

pub use nexus::Nexus;
pub use ports::Ports;

/// An adapter that a test and its registers share.
pub type Shared = Rc<RefCell<Model>>;

/// What goes wrong. Each once, at the next occasion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// A target stops, in the middle of a command, and holds the bus.
    Hold,
    /// A target lets the bus go without a word.
    Vanish,
    /// A target that has disconnected never comes back with this command.
    Forget,
    /// A byte of payload has wrong parity; the target takes its pointers back and sends it again when it is told.
    Parity,
    /// The same, and the target goes on as if nothing was.
    ParityIgnored,
    /// A target wants more payload than its command is for.
    Overrun,
    /// A target wants payload the wrong way.
    WrongWay,
    /// A target shows a phase that there is not.
    BadPhase,
    /// A target says that a command is complete without a status.
    NoStatus,
    /// A target asks for its command again and again.
    CommandAgain,
    /// A target sends messages without end.
    Chatter,
    /// A target reselects for a tag, or a unit, that it has nothing of.
    Stranger,
    /// A reselection names no target.
    Nobody,
    /// Somebody resets the bus.
    BusReset,
    /// The adapter says that it was selected by another initiator.
    Selected,
    /// The adapter says that a command is illegal.
    Illegal,
    /// The adapter says that its FIFO was overwritten.
    Gross,
    /// The PCI bus refuses a transfer.
    DmaError,
    /// The DMA engine keeps what it received.
    DmaStuck,
    /// The adapter counts more bytes than were asked for.
    Miscount,
    /// All registers read as ones from now on.
    Gone,
    /// The adapter never says that it has reset the bus, from now on.
    NoReset,
    /// A command's SIMPLE QUEUE TAG is rejected.
    RejectTag,
    /// The target does not do what ABORT and BUS DEVICE RESET ask, and goes on.
    Deaf,
}

/// How a target takes our proposal of synchronous transfers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// It does not answer, as QEMU's.
    Ignores,
    /// It rejects the message.
    Rejects,
    /// It lets the bus go.
    Leaves,
    /// It answers with this period and offset, or what is slower of the two sides'.
    Answers(u8, u8),
    /// It answers with these as they are.
    Insists(u8, u8),
}

/// How targets behave.
#[derive(Clone, Copy, Debug)]
pub struct Manners {
    /// What everything that may be so or so depends on.
    pub seed: u64,
    /// Of so many occasions to disconnect one is taken; 0: none.
    pub disconnects: u64,
    /// Most bytes of payload before the next occasion.
    pub chunk: usize,
    /// How proposals are taken.
    pub synchronous: Synchronous,
    /// They propose synchronous transfers themselves, once.
    pub proposes: bool,
    /// What INQUIRY says of tags and synchronous transfers.
    pub flags: u8,
    /// Most commands that a unit holds at a time.
    pub depth: usize,
}

impl Manners {
    /// Targets as QEMU's: nothing is ever disconnected, no tags, no agreement.
    pub const PLAIN: Self = Self {
        seed: 1,
        disconnects: 0,
        chunk: usize::MAX,
        synchronous: Synchronous::Ignores,
        proposes: false,
        flags: 0x10,
        depth: 1,
    };

    /// Targets that use all that the bus has.
    pub fn lively(seed: u64) -> Self {
        Self {
            seed,
            disconnects: 3,
            chunk: 3000,
            synchronous: Synchronous::Answers(25, 15),
            flags: 0x12,
            depth: 64,
            ..Self::PLAIN
        }
    }
}

/// Who talks on the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Talk {
    /// Nobody.
    Free,
    /// The target of this nexus.
    With(usize),
    /// A target that was selected for a unit and has no command yet.
    Fresh,
}

/// A switch elsewhere that says whether the adapter reaches memory: that of its PCI function.
pub struct Switch(pub Box<dyn Fn() -> bool>);

impl core::fmt::Debug for Switch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(if (self.0)() { "on" } else { "off" })
    }
}

/// An adapter, and its bus.
#[derive(Debug)]
pub struct Model {
    /// The disks.
    pub bus: Bus,
    /// How targets behave.
    pub manners: Manners,
    /// What goes wrong next.
    pub mischief: Option<Mischief>,
    /// Where its registers do not say whether it reaches memory: what does.
    pub switch: Option<Switch>,
    /// What the targets were told beside commands: the last byte of each.
    pub told: Vec<u8>,
    /// Resets of the bus.
    pub resets: u64,
    /// Disconnections with a command to come back to.
    pub disconnections: u64,
    /// Commands that came with a tag.
    pub tagged: u64,
    /// Bytes that were moved under an agreement.
    pub synchronous: u64,
    memory: BusMemory,
    adapter: adapter::Adapter,
    talk: Talk,
    /// Commands that targets have.
    nexuses: Vec<Nexus>,
    fresh: nexus::Fresh,
    /// What the connected target is about to say.
    speech: VecDeque<u8>,
    /// Bytes of its message that are still to come.
    rest: usize,
    /// It lets the bus go when its message is accepted.
    leaves: bool,
    /// Sense data that wait to be asked for.
    senses: BTreeMap<Place, Vec<u8>>,
    /// What targets have agreed to: period and offset.
    agreements: [(u8, u8); 7],
    proposed: [bool; 7],
    numbers: u64,
    gone: bool,
    mute: bool,
    held: bool,
}

impl Model {
    /// An adapter that sees `memory`: bus addresses and bytes.
    pub fn new(bus: Bus, manners: Manners, memory: Vec<(u64, Window)>) -> Shared {
        let mut memory = BusMemory::new(memory);
        memory.last = u32::MAX.into();
        Rc::new(RefCell::new(Self {
            bus,
            manners,
            mischief: None,
            switch: None,
            told: Vec::new(),
            resets: 0,
            disconnections: 0,
            tagged: 0,
            synchronous: 0,
            memory,
            adapter: adapter::Adapter::default(),
            talk: Talk::Free,
            nexuses: Vec::new(),
            fresh: nexus::Fresh::default(),
            speech: VecDeque::new(),
            rest: 0,
            leaves: false,
            senses: BTreeMap::new(),
            agreements: [(0, 0); 7],
            proposed: [false; 7],
            numbers: manners.seed,
            gone: false,
            mute: false,
            held: false,
        }))
    }

    /// Whether the pin is up.
    pub fn is_raised(&self) -> bool {
        self.adapter.interrupts()
    }

    /// Whether it may reach memory.
    pub fn master(&self) -> bool {
        self.switch.as_ref().map_or(self.adapter.master, |switch| (switch.0)())
    }

    /// Commands that targets have.
    pub fn taken(&self) -> usize {
        self.nexuses.len()
    }

    /// What the adapter's registers say of the target that is served now: clocks and offset.
    pub fn timing(&self) -> (u8, u8) {
        (self.adapter.period, self.adapter.offset)
    }

    /// Time passes: targets that have disconnected may be ready to go on, and one of them takes the bus, if it may. Whether
    /// one did.
    pub fn serve(&mut self) -> bool {
        self.ripen();
        self.claim()
    }

    /// Some targets are ready to go on.
    fn ripen(&mut self) {
        for nth in 0..self.nexuses.len() {
            if !self.nexuses[nth].ready && self.chance(2) {
                self.nexuses[nth].ready = !self.nexuses[nth].forgotten;
            }
        }
    }

    /// A target that is ready takes the bus, if it may; whether one did.
    fn claim(&mut self) -> bool {
        let may = self.talk == Talk::Free && self.adapter.reselectable && !self.adapter.interrupts();
        may && self.reselect(false)
    }

    /// Takes the power of a disk away.
    pub fn lose_power(&mut self, place: Place) {
        assert!(self.nexuses.is_empty(), "nothing is in flight");
        self.bus.disks.get_mut(&place).unwrap().lose_power();
        self.agreements[usize::from(place.target)] = (0, 0);
    }

    /// One of `n`, by the seed (splitmix64).
    fn chance(&mut self, n: u64) -> bool {
        n != 0 && self.below(n) == 0
    }

    fn below(&mut self, n: u64) -> u64 {
        self.numbers = self.numbers.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.numbers;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ z >> 31) % n
    }

    /// Whether this goes wrong now.
    fn wrong(&mut self, what: Mischief) -> bool {
        let now = self.mischief == Some(what);
        if now {
            self.mischief = None;
        }
        now
    }
}
