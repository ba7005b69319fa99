// SPDX-License-Identifier: MIT
//! An AHCI controller with SATA drives in software, for tests: it serves the driver from shared memory through its registers,
//! holds the driver to the rules, and fails like hardware where a test asks it to.
//!
//! It looks at commands only after a write to PxCI, and interrupts as strictly as the standard allows: a port's event shows in IS
//! only when the port had none pending, and a message is sent only when IS was zero. A driver that acknowledges in the wrong order,
//! mixes queued commands with others, or breaks another rule, hangs or makes the model panic.
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
use std::rc::Rc;
use std::vec::Vec;

mod commands;
mod drive;
mod errors;
mod multiplier;
mod port;
mod registers;

pub use drive::{Drive, words};
pub use multiplier::Multiplier;
pub use port::{Port, Taken};
pub use registers::Abar;

pub use orion_driver::model::{Hardware, Medium};
pub use orion_region::model::{BusMemory, memory};

/// A controller that a test and the registers share.
pub type Shared = Rc<RefCell<Model>>;

/// What controller or drive do that they should not. Each is done once, at the next command that ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mischief {
    /// The command fails with these bits in the error register.
    Fail(u8),
    /// As above, and the drive stays busy until it is reset.
    FailBusy(u8),
    /// The command never ends.
    Lose,
    /// The command fails, and the log of queued errors names this slot.
    BlameOther(u8),
    /// The command fails, and the log of queued errors is damaged: it names another, and its checksum is wrong.
    BadLog,
    /// The command fails, and so does reading the log.
    NoLog,
    /// The link fails in the middle of it.
    LinkFails,
    /// The bus does.
    BusFails,
    /// The drive sends more than the command described.
    Overflows,
    /// It ends well, but less was moved.
    Short,
    /// The command fails, and the port does not stop when it is told to.
    Sticks,
    /// An interrupt that means nothing, before the command ends.
    Spurious,
}

/// What the controller is.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Its ports, one bit each.
    pub ports: u32,
    /// Commands of a port.
    pub slots: u8,
    /// Native command queuing.
    pub ncq: bool,
    /// 64-bit addresses.
    pub wide: bool,
    /// Staggered spin-up.
    pub staggered: bool,
    /// Links can save power.
    pub low_power: bool,
    /// Port multipliers.
    pub multipliers: bool,
    /// FIS-based switching.
    pub by_fis: bool,
    /// What devices notify of is kept.
    pub notifies: bool,
    /// A port can forget that its device is busy.
    pub overrides: bool,
    /// Reads of a register until the firmware lets go; `u32::MAX`: never. `None`: there is no handoff.
    pub handoff: Option<u32>,
    /// It never comes out of its reset.
    pub stuck: bool,
    /// Reads of a register that a port takes for each change.
    pub slow: u32,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            ports: 1,
            slots: 32,
            ncq: true,
            wide: true,
            staggered: false,
            low_power: false,
            multipliers: false,
            by_fis: false,
            notifies: false,
            overrides: false,
            handoff: None,
            stuck: false,
            slow: 0,
        }
    }
}

/// Whether the bus lets a controller reach memory, where somebody else knows that.
pub struct Bus(pub Box<dyn Fn() -> bool>);

impl core::fmt::Debug for Bus {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Bus")
    }
}

/// The controller.
#[derive(Debug)]
pub struct Model {
    /// Who knows whether it may reach memory, if not its own registers.
    pub bus: Option<Bus>,
    /// What it is.
    pub shape: Shape,
    /// Its ports; those that it does not have are never reached.
    pub ports: Vec<Port>,
    /// What it does that it should not.
    pub mischief: Option<Mischief>,
    /// Commands taken and not ended yet, of all ports.
    pub taken: Vec<Taken>,
    /// Interrupts sent.
    pub interrupts: u64,
    /// Writes to PxCI.
    pub kicks: u64,
    /// Resets of the controller.
    pub resets: u64,
    /// COMRESETs of ports.
    pub comresets: u64,
    /// Times that a link has gone to a state of low power.
    pub naps: u64,
    /// All registers read as ones.
    pub gone: bool,
    /// Commands carried out, by code.
    pub done: std::collections::BTreeMap<u8, u64>,
    memory: BusMemory,
    raised: bool,
    master: bool,
    ghc: u32,
    is: u32,
    bohc: u32,
    handoff: u32,
}

impl Model {
    /// A controller that sees `memory`: bus addresses and bytes.
    pub fn new(shape: Shape, drives: Vec<(usize, Drive)>, memory: Vec<(u64, Window)>) -> Shared {
        let mut ports: Vec<Port> = (0..32).map(|_| Port::default()).collect();
        for (port, drive) in drives {
            ports[port].drive = Some(Box::new(drive));
        }
        Rc::new(RefCell::new(Self {
            bus: None,
            shape,
            ports,
            mischief: None,
            taken: Vec::new(),
            interrupts: 0,
            kicks: 0,
            resets: 0,
            comresets: 0,
            naps: 0,
            gone: false,
            done: std::collections::BTreeMap::new(),
            memory: BusMemory { pieces: memory, last: if shape.wide { u64::MAX } else { u32::MAX.into() } },
            raised: false,
            master: false,
            ghc: 0,
            is: 0,
            bohc: u32::from(shape.handoff.is_some()),
            handoff: shape.handoff.unwrap_or(0),
        }))
    }

    /// Whether the driver was interrupted since this was last asked.
    pub fn take_interrupt(&mut self) -> bool {
        core::mem::take(&mut self.raised)
    }

    /// Whether there are commands that it has not looked at.
    pub fn is_notified(&self) -> bool {
        self.ports.iter().any(|port| port.fresh != 0)
    }

    /// Other bytes lie at a bus address from now on.
    pub fn replace_memory(&mut self, bus: u64, window: Window) {
        self.memory.pieces.retain(|(at, _)| *at != bus);
        self.memory.pieces.push((bus, window));
    }

    /// Whether the bus lets it reach memory.
    pub fn reaches_memory(&self) -> bool {
        self.bus.as_ref().map_or(self.master, |bus| bus.0())
    }

    /// The drive at a port.
    pub fn drive(&mut self, port: usize) -> &mut Drive {
        self.ports[port].drive.as_mut().expect("a drive at this port")
    }

    /// The drive that a command is for, if it is there.
    pub(super) fn drive_for(&mut self, taken: &Taken) -> Option<&mut Drive> {
        let port = &mut self.ports[taken.port];
        match &mut port.multiplier {
            Some(multiplier) => multiplier.drive(taken.device),
            None => port.drive.as_deref_mut(),
        }
    }

    /// Carries everything out at once.
    pub fn serve(&mut self) {
        self.take();
        while !self.taken.is_empty() {
            self.finish(0);
            self.take();
        }
    }

    /// An event at a port: shows in its IS register, and from there on.
    fn event(&mut self, port: usize, bits: u32) {
        let regs = &mut self.ports[port];
        let before = regs.is & regs.ie != 0;
        regs.is |= bits;
        if !before && regs.is & regs.ie != 0 {
            let quiet = self.is == 0;
            self.is |= 1 << port;
            if quiet {
                self.interrupt();
            }
        }
    }

    fn interrupt(&mut self) {
        if self.ghc & 2 != 0 {
            self.raised = true;
            self.interrupts += 1;
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
        self.resets + self.comresets
    }
    fn vanish(&mut self) {
        self.gone = true;
        self.taken.clear();
    }
    fn lose_cache(&mut self) {
        for drive in self.ports.iter_mut().filter_map(|port| port.drive.as_mut()) {
            drive.content.clone_from(&drive.durable);
        }
    }
}
