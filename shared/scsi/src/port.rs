// SPDX-License-Identifier: MIT
//! What an [`Initiator`](crate::Initiator) needs of its transport: commands go to logical units, answers come back.
use crate::wire::inquiry::Inquiry;
use crate::{Cdb, Place};
use core::fmt;
use orion_region::Window;

/// Payload of a command, by bus addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Data {
    /// Bus address.
    pub bus: u64,
    /// Bytes; 0 where the command moves none.
    pub len: u32,
    /// Whether the device writes them.
    pub read: bool,
}

impl Data {
    /// None.
    pub const NONE: Self = Self { bus: 0, len: 0, read: false };
}

/// A command for a logical unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// The unit.
    pub place: Place,
    /// The command.
    pub cdb: Cdb,
    /// Its payload.
    pub data: Data,
}

/// Why a command got no status: what the transport saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No such target, or no such unit: nobody answered the selection.
    Absent,
    /// The transport, or the target, has no room now.
    Busy,
    /// A reset ended it.
    Reset,
    /// It was aborted, as the initiator asked.
    Aborted,
    /// The target wanted to move more than there was room for.
    Overrun,
    /// The way to the target is broken, or it broke the bus protocol.
    Transport,
    /// It failed, and nothing more is known.
    Other,
}

/// The end of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The slot that it was sent in.
    pub slot: u16,
    /// Why there is no status; nothing where there is one.
    pub trouble: Option<Trouble>,
    /// The status (SAM-5, section 5.3.1).
    pub status: u8,
    /// Bytes of the payload that were not moved.
    pub missing: u32,
}

/// What happened to a unit without being asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It came, or something behind its target did.
    Came,
    /// It is gone.
    Left,
    /// Something about it is different.
    Altered,
}

/// What a transport reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A command has ended.
    Answered(Answer),
    /// A task management function has ended, well or not. Commands that it ended are answered by themselves.
    Managed(bool),
    /// Something happened to a unit, or to any where none is named.
    Changed(Option<Place>, Change),
}

/// A task management function (SAM-5, section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// ABORT TASK: the command of this slot.
    Abort(u16, Place),
    /// LOGICAL UNIT RESET.
    ResetUnit(Place),
}

/// The device broke the rules of its transport. Only a reset helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misused(pub &'static str);

/// Memory that the initiator uses for its own payloads.
#[derive(Debug)]
pub struct Own<'a> {
    /// The driver's DMA region.
    pub memory: &'a Window,
    /// Where [`OWN`](crate::OWN) bytes of it begin that are the initiator's: a multiple of 64.
    pub offset: usize,
    /// Their bus address.
    pub bus: u64,
}

/// A transport. What is sent is shown to the device at the next [`publish`](Self::publish).
pub trait Port {
    /// What it is called in a line for people.
    const NAME: &'static str;

    /// Commands at most, at least one more than [`UNITS`](crate::UNITS). Slots are numbers below this, and no slot is used
    /// for a further command before the first has ended.
    fn slots(&self) -> u16;

    /// Targets, which are numbered from 0.
    fn targets(&self) -> u16;

    /// Whether the device may use the bytes at this address.
    fn reaches(&self, bus: u64, len: u64) -> bool {
        bus.checked_add(len).is_some()
    }

    /// Most bytes of a command's payload.
    fn bytes_max(&self) -> u32;

    /// Memory for the initiator.
    fn own(&self) -> Own<'_>;

    /// Sends a command in a slot that is free.
    fn send(&mut self, slot: u16, command: &Command);

    /// Asks for a task management function; whether one can be asked for now. One at a time.
    fn manage(&mut self, task: Task) -> bool;

    /// Shows the device what was sent; how often it was notified.
    fn publish(&mut self) -> u64;

    /// The next thing that happened. Where there is none, the device interrupts at the next.
    ///
    /// # Errors
    /// [`Misused`] where the device broke the rules.
    fn next(&mut self) -> Result<Option<Event>, Misused>;

    /// There was an interrupt.
    fn interrupted(&mut self);

    /// Copies the sense data of the last command in `slot`; how many bytes there were.
    fn sense(&self, slot: u16, into: &mut [u8]) -> usize;

    /// Ends everything that the device holds, and makes it ready again; nothing is answered. Afterwards it uses no payload
    /// of before.
    ///
    /// # Errors
    /// What is wrong with a device that cannot be used any more; it is left without access to memory.
    fn reset(&mut self) -> Result<(), &'static str>;

    /// Leaves the device alone for good, without access to memory.
    fn abandon(&mut self);

    /// Whether it reports things that nobody waits for.
    fn has_events(&self) -> bool {
        false
    }

    /// When [`watch`](Self::watch) must be called, if nothing happens before.
    fn deadline(&self) -> Option<orion_block::Instant> {
        None
    }

    /// Says what time it is, to a transport that waits for something itself.
    ///
    /// # Errors
    /// [`Misused`] where what was waited for did not come.
    fn watch(&mut self, _now: orion_block::Instant) -> Result<(), Misused> {
        Ok(())
    }

    /// A unit said what it is: what of that concerns its transport is for it to use.
    fn introduced(&mut self, _place: Place, _inquiry: &Inquiry) {}

    /// A few words about how it drives the device, each after a comma.
    ///
    /// # Errors
    /// Those of the formatter.
    fn describe(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}
