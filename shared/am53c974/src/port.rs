// SPDX-License-Identifier: MIT
//! The adapter as a transport of SCSI commands: what it holds, what it reports.
use crate::chip::Chip;
use crate::connection::{Doing, Ending, Link, Who};
use crate::message::{Assembly, Outgoing};
use crate::queue::Queue;
use crate::slot::{SENSE, Slot, State, Target};
use crate::sync::Agreement;
use crate::{LUNS, SLOTS, TARGETS, start};
use core::fmt;
use orion_block::Instant;
use orion_driver::Registers;
use orion_region::Window;
use orion_scsi::{Answer, Command, Data, Event, Misused, Own, Place, Port, Task, Trouble};

/// Bytes of DMA memory for the sense data of a slot.
const SENSE_ROOM: usize = 128;
/// Where the bytes of a selection are: there is one at a time.
const BLOCK_AT: usize = SLOTS * SENSE_ROOM;
/// Where the initiator's own memory begins.
const OWN_AT: usize = BLOCK_AT + 64;
/// Bytes of DMA memory that are used.
pub const DMA_BYTES: usize = OWN_AT + orion_scsi::OWN;
/// Most bytes of a command's payload.
const BYTES_MAX: u32 = 16 << 20;
/// Interrupts that are looked at before the caller gets a turn: a target must not be able to keep us for ever.
const ROUNDS: u8 = 64;

/// What a target is told outside of its commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errand {
    /// What.
    pub task: Task,
    /// It is said to a target that is connected anyway.
    pub inline: bool,
}

impl Errand {
    /// The unit that it is about.
    pub fn place(&self) -> Place {
        match self.task {
            Task::Abort(_, place) | Task::ResetUnit(place) => place,
        }
    }
}

/// The adapter as a transport.
#[derive(Debug)]
pub struct AmdPort<R> {
    pub(crate) chip: Chip<R>,
    pub(crate) link: Link,
    pub(crate) doing: Doing,
    pub(crate) ending: Ending,
    pub(crate) outgoing: Outgoing,
    /// Bytes of the last message that did not go out.
    pub(crate) unsent: usize,
    pub(crate) assembly: Assembly,
    pub(crate) slots: [Slot; SLOTS],
    pub(crate) queue: Queue<u16, SLOTS>,
    pub(crate) targets: [Target; TARGETS],
    pub(crate) errand: Option<Errand>,
    pub(crate) events: Queue<Event, { 2 * SLOTS }>,
    /// What broke the rules, once what ended before was reported.
    pub(crate) failed: Option<Misused>,
    /// Reselections are answered.
    pub(crate) armed: bool,
    pub(crate) down: start::Down,
    pub(crate) selections: u64,
    memory: Window,
    bus_base: u64,
}

impl<R: Registers> AmdPort<R> {
    /// The transport over an adapter that was reset. `memory` has [`DMA_BYTES`] below 4 GiB.
    pub(crate) fn new(chip: Chip<R>, memory: Window, bus_base: u64) -> Self {
        Self {
            chip,
            link: Link::Down,
            doing: Doing::Nothing,
            ending: Ending::Unexpected,
            outgoing: Outgoing::default(),
            unsent: 0,
            assembly: Assembly::default(),
            slots: [Slot::default(); SLOTS],
            queue: Queue::new(0),
            targets: [Target::default(); TARGETS],
            errand: None,
            events: Queue::new(Event::Managed(false)),
            failed: None,
            armed: false,
            down: start::Down::default(),
            selections: 0,
            memory,
            bus_base,
        }
    }

    /// A slot of ours. Numbers of slots are below [`SLOTS`].
    pub(crate) fn slot(&mut self, slot: u16) -> Option<&mut Slot> {
        self.slots.get_mut(usize::from(slot))
    }

    /// A target. Numbers of targets are below [`TARGETS`].
    pub(crate) fn target(&mut self, target: u16) -> Option<&mut Target> {
        self.targets.get_mut(usize::from(target))
    }

    /// Room for the sense data of a slot.
    pub(crate) fn sense_room(&self, slot: u16) -> Data {
        let bus = self.bus_base.wrapping_add((usize::from(slot) * SENSE_ROOM) as u64);
        Data { bus, len: SENSE.into(), read: true }
    }

    /// Lays the bytes of a selection; their bus address, which is below 4 GiB as all of this memory.
    pub(crate) fn lay(&self, bytes: &[u8]) -> u32 {
        self.memory.copy_in(BLOCK_AT, bytes);
        u32::try_from(self.bus_base.wrapping_add(BLOCK_AT as u64)).unwrap_or(0)
    }

    /// A command has ended.
    pub(crate) fn answer(&mut self, slot: u16, trouble: Option<Trouble>, status: u8, missing: u32) {
        let Some(record) = self.slot(slot) else { return };
        record.state = State::Free;
        self.events.push(Event::Answered(Answer { slot, trouble, status, missing }));
        if self.errand.is_some_and(|errand| matches!(errand.task, Task::Abort(about, _) if about == slot)) {
            self.managed(true);
        }
    }

    /// The errand has ended.
    pub(crate) fn managed(&mut self, well: bool) {
        if self.errand.take().is_some() {
            self.events.push(Event::Managed(well));
        }
    }

    fn abort(&mut self, slot: u16, task: Task) -> bool {
        match self.slot(slot).map_or(State::Free, |record| record.state) {
            State::Free => self.events.push(Event::Managed(true)),
            State::Queued => {
                let at = self.queue.all().iter().position(|queued| *queued == slot);
                at.and_then(|at| self.queue.remove(at));
                self.errand = Some(Errand { task, inline: false });
                self.answer(slot, Some(Trouble::Aborted), 0, 0);
            }
            State::Connected if self.link == Link::Connected(Who::Slot(slot)) => self.interject(task),
            // While it is being selected nothing can be said.
            State::Connected => return false,
            State::Disconnected => self.errand = Some(Errand { task, inline: false }),
        }
        true
    }

    /// Drops all that it holds.
    pub(crate) fn clear(&mut self) {
        self.slots = [Slot::default(); SLOTS];
        self.queue.clear();
        self.events.clear();
        (self.errand, self.failed) = (None, None);
        self.forget_connection();
    }
}

impl<R: Registers> Port for AmdPort<R> {
    const NAME: &'static str = "Am53C974";

    fn slots(&self) -> u16 {
        u16::try_from(SLOTS).unwrap_or(u16::MAX)
    }

    fn targets(&self) -> u16 {
        u16::try_from(TARGETS).unwrap_or(u16::MAX)
    }

    fn reaches(&self, bus: u64, len: u64) -> bool {
        bus.checked_add(len).is_some_and(|end| end <= 1 << 32)
    }

    fn bytes_max(&self) -> u32 {
        BYTES_MAX
    }

    fn own(&self) -> Own<'_> {
        Own { memory: &self.memory, offset: OWN_AT, bus: self.bus_base.wrapping_add(OWN_AT as u64) }
    }

    fn send(&mut self, slot: u16, command: &Command) {
        let Command { place, cdb, data } = *command;
        let Some(record) = self.slot(slot) else { return };
        *record = Slot::new(place, cdb, data);
        // A place that the bus does not have.
        if usize::from(place.target) >= TARGETS || place.lun >= LUNS {
            return self.answer(slot, Some(Trouble::Absent), 0, 0);
        }
        self.queue.push(slot);
    }

    fn manage(&mut self, task: Task) -> bool {
        if self.errand.is_some() {
            return false;
        }
        match task {
            Task::Abort(slot, _) => self.abort(slot, task),
            Task::ResetUnit(place) => {
                let connected = match self.link {
                    Link::Connected(Who::Slot(slot)) => self.slot(slot).map(|record| record.place.target),
                    _ => None,
                };
                if connected == Some(place.target) {
                    self.interject(task);
                } else {
                    self.errand = Some(Errand { task, inline: false });
                }
                true
            }
        }
    }

    fn publish(&mut self) -> u64 {
        let before = self.selections;
        self.go();
        self.selections - before
    }

    fn next(&mut self) -> Result<Option<Event>, Misused> {
        for _ in 0..ROUNDS {
            if let Some(event) = self.events.pop() {
                return Ok(Some(event));
            }
            if let Some(misused) = self.failed.take() {
                return Err(misused);
            }
            if !self.service()? {
                break;
            }
        }
        Ok(self.events.pop())
    }

    /// The causes are read, and so taken away, when they are looked at.
    fn interrupted(&mut self) {}

    fn sense(&self, slot: u16, into: &mut [u8]) -> usize {
        let len = self.slots.get(usize::from(slot)).map_or(0, |record| usize::from(record.sense_len)).min(into.len());
        let room = into.get_mut(..len).unwrap_or_default();
        if self.memory.copy_out(usize::from(slot) * SENSE_ROOM, room) { len } else { 0 }
    }

    fn reset(&mut self) -> Result<(), &'static str> {
        start::again(self)
    }

    fn abandon(&mut self) {
        start::abandon(self);
    }

    fn deadline(&self) -> Option<Instant> {
        self.down.deadline(self.link)
    }

    fn watch(&mut self, now: Instant) -> Result<(), Misused> {
        start::watch(self, now)
    }

    fn introduced(&mut self, place: Place, inquiry: &orion_scsi::wire::inquiry::Inquiry) {
        let Some(target) = self.target(place.target) else { return };
        let bit = 1 << (place.lun & 7);
        target.tagged = target.tagged & !bit | if inquiry.queues { bit } else { 0 };
        if inquiry.synchronous && !target.able {
            target.able = true;
            target.negotiate = !target.refuses && target.agreement == Agreement::ASYNCHRONOUS;
        }
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let offers = |what: &dyn Fn(&Target) -> bool| self.targets.iter().any(what);
        let word = |yes, word| if yes { word } else { "" };
        write!(f, "{}", word(offers(&|target| target.tagged != 0), ", tags"))?;
        write!(f, "{}", word(offers(&|target| target.agreement.offset != 0), ", synchronous transfers"))
    }
}
