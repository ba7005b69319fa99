// SPDX-License-Identifier: MIT
//! What a connected target wants: it alone says which phase is next, and we follow.
use crate::chip::Cause;
use crate::connection::{Doing, Ending, Link, Who};
use crate::message::{self, Incoming, Outgoing};
use crate::port::AmdPort;
use crate::registers::{command, phase, status};
use crate::slot::State;
use crate::sync::Agreement;
use orion_driver::Registers;
use orion_scsi::rules::status::{CHECK_CONDITION, GOOD};
use orion_scsi::{Misused, Trouble};

/// Bytes of payload that are moved at once: the adapter counts to 2^24.
const CHUNK: u32 = 8 << 20;
/// How often a target may ask for the bytes of a command.
const ASKED_MAX: u8 = 3;
/// How far a selection came that has sent its command, or a part of it ("Internal state register").
const COMMAND_SENT: u8 = 3;
/// Bytes of our proposal.
const PROPOSAL: usize = 5;

impl<R: Registers> AmdPort<R> {
    /// The target that is connected goes on.
    pub(crate) fn progress(&mut self, interrupt: &Cause) -> Result<(), Misused> {
        self.end_transfer(interrupt, self.link)?;
        let who = match self.link {
            Link::Selecting(who) | Link::Connected(who) => who,
            Link::Free | Link::Down => return Err(Misused("the adapter interrupted, and nobody is connected")),
        };
        if let Link::Selecting(Who::Slot(slot)) = self.link
            && interrupt.step < COMMAND_SENT
            && let Some(record) = self.slot(slot)
        {
            // It went another way before it got its command.
            record.commanded = 0;
        }
        self.link = Link::Connected(who);
        if interrupt.status & status::PARITY != 0 {
            self.spoilt(who, interrupt.phase());
        }
        match core::mem::replace(&mut self.doing, Doing::Nothing) {
            Doing::MessageIn => self.heard(interrupt, who),
            Doing::Complete => self.completes(interrupt, who),
            _ => self.follow(interrupt.phase(), who),
        }
    }

    /// A byte came with wrong parity. The adapter has raised ATN.
    fn spoilt(&mut self, who: Who, phase: u8) {
        let message = if phase == phase::MESSAGE_IN { message::PARITY } else { message::ERROR };
        self.outgoing = Outgoing::default();
        self.outgoing.add(&[message]);
        if let (Who::Slot(slot), true) = (who, phase != phase::MESSAGE_IN)
            && let Some(record) = self.slot(slot)
        {
            record.spoilt = true;
        }
    }

    /// What was moved of the payload, if any was on its way.
    pub(crate) fn end_transfer(&mut self, interrupt: &Cause, link: Link) -> Result<(), Misused> {
        let Doing::Data(len, to_memory) = self.doing else { return Ok(()) };
        self.doing = Doing::Nothing;
        let moved = self.chip.transferred(len, to_memory, interrupt)?;
        if let Link::Connected(Who::Slot(slot)) = link
            && let Some(record) = self.slot(slot)
        {
            record.moved = record.moved.saturating_add(moved).min(record.data.len);
        }
        Ok(())
    }

    /// Does what the phase asks.
    fn follow(&mut self, phase: u8, who: Who) -> Result<(), Misused> {
        let message = matches!(phase, phase::MESSAGE_IN | phase::MESSAGE_OUT);
        let Who::Slot(slot) = who else {
            return match phase {
                phase::MESSAGE_OUT => self.speak(),
                phase::MESSAGE_IN => self.listen(),
                _ => Err(Misused("a target went on with a command that nobody asked it for")),
            };
        };
        if !message {
            self.unanswered(slot);
        }
        match phase {
            phase::DATA_OUT | phase::DATA_IN => self.data(slot, phase == phase::DATA_IN),
            phase::COMMAND => self.command(slot),
            phase::STATUS => {
                self.chip.load(&[]);
                self.doing = Doing::Complete;
                self.chip.command(command::COMPLETE);
                Ok(())
            }
            phase::MESSAGE_OUT => self.speak(),
            phase::MESSAGE_IN => self.listen(),
            _ => Err(Misused("a target shows a phase that there is not")),
        }
    }

    /// A target that goes on without an answer to our proposal knows of no synchronous transfers.
    fn unanswered(&mut self, slot: u16) {
        let target = self.slot(slot).map_or(0, |record| record.place.target);
        if let Some(target) = self.target(target).filter(|target| target.proposed) {
            target.refused();
            self.chip.agree(Agreement::ASYNCHRONOUS);
        }
    }

    fn data(&mut self, slot: u16, to_memory: bool) -> Result<(), Misused> {
        let Some(record) = self.slot(slot) else { return Ok(()) };
        let (data, left) = (record.data, record.data.len.saturating_sub(record.moved));
        let at = data.bus.checked_add(record.moved.into()).and_then(|at| u32::try_from(at).ok());
        let Some(at) = at.filter(|_| left > 0 && data.read == to_memory) else {
            // It cannot be made to stop, but the command can be answered: nothing of it moves any more.
            self.answer(slot, Some(Trouble::Overrun), 0, 0);
            self.failed = Some(Misused("a target wants to move more than its command is for"));
            return Ok(());
        };
        let len = left.min(CHUNK);
        self.doing = Doing::Data(len, to_memory);
        self.chip.transfer(at, len, to_memory);
        Ok(())
    }

    fn command(&mut self, slot: u16) -> Result<(), Misused> {
        let Some(record) = self.slot(slot) else { return Ok(()) };
        record.commanded += 1;
        if record.commanded > ASKED_MAX {
            return Err(Misused("a target asks for its command again and again"));
        }
        let cdb = record.cdb;
        self.chip.load(cdb.as_bytes());
        self.chip.command(command::TRANSFER);
        Ok(())
    }

    /// Sends what we have to say.
    fn speak(&mut self) -> Result<(), Misused> {
        if self.outgoing.is_empty() {
            self.outgoing.add(&[message::NOP]);
        }
        let outgoing = core::mem::take(&mut self.outgoing);
        if let [.., message::ABORT | message::ABORT_TAG | message::RESET] = *outgoing.bytes() {
            self.ending = Ending::GivenUp;
        }
        self.doing = Doing::MessageOut;
        self.chip.load(outgoing.bytes());
        self.chip.command(command::TRANSFER);
        Ok(())
    }

    /// Takes a byte of a message, after what of ours was not taken.
    fn listen(&mut self) -> Result<(), Misused> {
        if !self.assembly.is_partial() {
            self.unsent = self.chip.unload().1;
        }
        self.chip.load(&[]);
        self.doing = Doing::MessageIn;
        self.chip.command(command::TRANSFER);
        Ok(())
    }

    /// A byte of a message came, and waits to be accepted.
    fn heard(&mut self, interrupt: &Cause, who: Who) -> Result<(), Misused> {
        let (bytes, count) = self.chip.unload();
        match bytes.get(..count).unwrap_or_default() {
            // The target changed its mind.
            [] => return self.follow(interrupt.phase(), who),
            [_] if interrupt.status & status::PARITY != 0 => self.assembly = message::Assembly::default(),
            [byte] => self.said(*byte, who)?,
            _ => return Err(Misused("more than a byte where a byte of a message was asked for")),
        }
        self.chip.command(command::ACCEPT);
        Ok(())
    }

    /// Status and message came.
    fn completes(&mut self, interrupt: &Cause, who: Who) -> Result<(), Misused> {
        let (bytes, count) = self.chip.unload();
        let Who::Slot(slot) = who else { return Err(Misused("a status of no command")) };
        let Some(record) = self.slot(slot) else { return Ok(()) };
        match bytes.get(..count).unwrap_or_default() {
            [code, message] => {
                record.status = Some(*code);
                self.said(*message, who)?;
                self.chip.command(command::ACCEPT);
                Ok(())
            }
            [code] => {
                record.status = Some(*code);
                self.follow(interrupt.phase(), who)
            }
            _ => Err(Misused("a status that is no byte")),
        }
    }

    fn said(&mut self, byte: u8, who: Who) -> Result<(), Misused> {
        let Some(message) = self.assembly.push(byte) else { return Ok(()) };
        let slot = match (who, message) {
            (Who::Slot(slot), _) => slot,
            (Who::Reselected(place), Incoming::Tag(tag)) => {
                let slot = u16::from(tag);
                let ours = |record: &&mut crate::slot::Slot| {
                    record.place == place && record.tagged && record.state == State::Disconnected
                };
                if self.slot(slot).filter(ours).is_none() {
                    return Err(Misused("a target reselected the adapter for a command that it does not have"));
                }
                self.take_up(slot);
                return Ok(());
            }
            (_, Incoming::Byte(message::NOP)) => return Ok(()),
            (Who::Reselected(_), _) => {
                return Err(Misused("a target reselected the adapter for a command that it does not have"));
            }
            // It will not do what it was told.
            (Who::Errand, _) => return Err(Misused("a target does not give up what it was told to")),
        };
        self.said_of(slot, message)
    }

    fn said_of(&mut self, slot: u16, message: Incoming) -> Result<(), Misused> {
        let Some(record) = self.slot(slot) else { return Ok(()) };
        match message {
            Incoming::Byte(message::COMPLETE) if record.status.is_none() => {
                return Err(Misused("a target completed a command without a status"));
            }
            Incoming::Byte(message::COMPLETE) => self.ending = Ending::Complete,
            Incoming::Byte(message::SAVE) => record.saved = record.moved,
            Incoming::Byte(message::RESTORE) => (record.moved, record.spoilt) = (record.saved, false),
            Incoming::Byte(message::DISCONNECT) => self.ending = Ending::Disconnect,
            Incoming::Byte(message::NOP) => {}
            Incoming::Byte(message::REJECT) => self.rejected(slot),
            Incoming::Synchronous(proposed) => self.agree(slot, proposed),
            Incoming::Byte(_) | Incoming::Tag(_) | Incoming::Unknown => self.reply(&[message::REJECT]),
        }
        Ok(())
    }

    /// Says something as soon as the target lets us: ATN is raised before its message is accepted.
    fn reply(&mut self, message: &[u8]) {
        self.outgoing = Outgoing::default();
        self.outgoing.add(message);
        self.chip.command(command::SET_ATN);
    }

    /// The target did not know our last message.
    fn rejected(&mut self, slot: u16) {
        let unsent = core::mem::take(&mut self.unsent);
        let Some(record) = self.slots.get_mut(usize::from(slot)) else { return };
        let Some(target) = self.targets.get_mut(usize::from(record.place.target)) else { return };
        if target.proposed && unsent < PROPOSAL {
            target.refused();
            self.chip.agree(Agreement::ASYNCHRONOUS);
        } else if record.tagged && record.commanded == 0 {
            // It was the tag; the command goes on without.
            (record.tagged, target.tagged) = (false, 0);
            if target.proposed {
                self.outgoing.add(&Agreement::BEST.message());
            }
        }
    }

    /// The target answers our proposal, or makes one.
    fn agree(&mut self, slot: u16, proposed: Agreement) {
        let place = self.slot(slot).map(|record| record.place).unwrap_or_default();
        let Some(target) = self.target(place.target) else { return };
        let (agreed, ours) = (proposed.nearest(), core::mem::take(&mut target.proposed));
        target.agreement = agreed;
        let answer = proposed.offset == 0 && agreed.offset == 0 || agreed == proposed;
        self.chip.agree(agreed);
        match (ours, answer) {
            (true, true) => {}
            // Faster than we proposed: nothing is agreed (SCSI-2, 6.6.21).
            (true, false) => {
                if let Some(target) = self.target(place.target) {
                    target.refused();
                }
                self.chip.agree(Agreement::ASYNCHRONOUS);
                self.reply(&[message::REJECT]);
            }
            (false, _) => self.reply(&agreed.message()),
        }
    }

    /// The target has completed a command, and has let the bus go.
    pub(crate) fn completed(&mut self, slot: u16) {
        let room = self.sense_room(slot);
        let Some(record) = self.slot(slot) else { return };
        let code = record.status.unwrap_or(CHECK_CONDITION);
        if record.sensing {
            record.sense_len = if code == GOOD { u8::try_from(record.moved).unwrap_or(0) } else { 0 };
            let missing = record.missing;
            return self.answer(slot, None, CHECK_CONDITION, missing);
        }
        if code == CHECK_CONDITION {
            record.sense(room);
            return self.queue.push_first(slot);
        }
        let missing = record.data.len.saturating_sub(record.moved);
        let trouble = (record.spoilt && code == GOOD).then_some(Trouble::Transport);
        self.answer(slot, trouble, code, missing);
    }
}
