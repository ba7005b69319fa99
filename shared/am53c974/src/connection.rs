// SPDX-License-Identifier: MIT
//! Who has the bus: selection, reselection, disconnection.
use crate::chip::Cause;
use crate::message::{self, Outgoing};
use crate::port::{AmdPort, Errand};
use crate::registers::{cause, command, status};
use crate::slot::{Slot, State};
use crate::sync::Agreement;
use orion_driver::Registers;
use orion_scsi::{Cdb, Misused, Place, Task, Trouble};

/// Whose business it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A command's.
    Slot(u16),
    /// The errand's.
    Errand,
    /// Of a target that reselected us for this unit and has not said yet for which command.
    Reselected(Place),
}

/// The bus, as we see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// It was reset, and its targets are given time.
    Down,
    /// Nobody talks to us.
    Free,
    /// We have asked for it.
    Selecting(Who),
    /// A target talks to us.
    Connected(Who),
}

/// What the adapter is doing for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Nothing that leaves bytes for us.
    Nothing,
    /// It moves so many bytes of payload, to memory or from it.
    Data(u32, bool),
    /// It receives status and message.
    Complete,
    /// It receives a byte of a message.
    MessageIn,
    /// It sends our message.
    MessageOut,
}

/// Why the target will let the bus go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It said no reason.
    Unexpected,
    /// The command is complete.
    Complete,
    /// It will reselect us.
    Disconnect,
    /// We told it to give up.
    GivenUp,
}

impl<R: Registers> AmdPort<R> {
    /// Looks at the adapter; whether something had happened.
    pub(crate) fn service(&mut self) -> Result<bool, Misused> {
        let Some(cause) = self.chip.interrupt()? else { return Ok(false) };
        self.take(&cause)?;
        self.go();
        Ok(true)
    }

    fn take(&mut self, interrupt: &Cause) -> Result<(), Misused> {
        if interrupt.cause & cause::BUS_RESET != 0 {
            self.bus_was_reset();
            return Ok(());
        }
        if self.link == Link::Down {
            return Ok(());
        }
        if interrupt.cause & cause::ILLEGAL != 0 {
            return Err(Misused("the adapter refused a command of its driver"));
        }
        if interrupt.status & status::GROSS != 0 {
            return Err(Misused("the adapter reports an illegal operation on its bus"));
        }
        if interrupt.cause & cause::SELECTED != 0 {
            return Err(Misused("another initiator selected the adapter"));
        }
        if interrupt.cause & cause::DISCONNECTED != 0 {
            self.disconnected(interrupt)?;
            if interrupt.cause & cause::RESELECTED == 0 {
                return Ok(());
            }
        }
        if interrupt.cause & cause::RESELECTED != 0 { self.reselected() } else { self.progress(interrupt) }
    }

    /// Asks for the bus, where it is free and there is a reason to.
    pub(crate) fn go(&mut self) {
        if self.link != Link::Free {
            return;
        }
        if let Some(errand) = self.errand.filter(|errand| !errand.inline) {
            return self.select_for(&errand);
        }
        if let Some(slot) = self.first_ready() {
            return self.select(slot);
        }
        let waits = self.slots.iter().any(|slot| slot.state == State::Disconnected);
        if waits && !self.armed {
            self.armed = true;
            self.chip.command(command::ENABLE_RESELECTION);
        }
    }

    /// Takes the first command in the queue whose unit is free for it.
    fn first_ready(&mut self) -> Option<u16> {
        let at = self.queue.all().iter().position(|slot| self.is_ready(*slot))?;
        self.queue.remove(at)
    }

    /// Without tags a unit has one command of ours; one that failed gets none before it was asked why.
    fn is_ready(&self, slot: u16) -> bool {
        let Some(record) = self.slots.get(usize::from(slot)) else { return false };
        let target = self.targets.get(usize::from(record.place.target)).copied().unwrap_or_default();
        let tagged = target.takes_tags(record.place.lun);
        let bars =
            |other: &Slot| other.sensing && other.state != State::Free || other.is_out() && !(tagged && other.tagged);
        record.sensing || !self.slots.iter().any(|other| other.place == record.place && bars(other))
    }

    /// Selects a command's target: with the whole of it where the adapter can send that by itself.
    fn select(&mut self, slot: u16) {
        let Some(record) = self.slots.get_mut(usize::from(slot)) else { return };
        let Some(target) = self.targets.get_mut(usize::from(record.place.target)) else { return };
        record.tagged = !record.sensing && target.takes_tags(record.place.lun);
        (record.state, record.commanded, record.status) = (State::Connected, 0, None);
        // The adapter sends commands of 6, 10 and 12 bytes by itself; before a longer one, or another message, it stops.
        let proposes = target.proposes(record.sensing);
        let alone = !proposes && record.cdb.as_bytes().len() <= 12;
        // REQUEST SENSE stays connected: with commands that have tags beside it nobody could tell whom a reselection is for.
        let identify = message::identify(record.place.lun, !record.sensing);
        let mut outgoing = Outgoing::default();
        if record.tagged {
            outgoing.add(&tag(slot));
        }
        if proposes {
            (target.proposed, target.negotiate) = (true, false);
            outgoing.add(&Agreement::BEST.message());
        }
        // Where it stops the target expects a message.
        if !alone && outgoing.is_empty() {
            outgoing.add(&[message::NOP]);
        }
        record.commanded = u8::from(alone);
        let (place, cdb, agreement, tagged) = (record.place, record.cdb, target.agreement, record.tagged);
        self.begin(Who::Slot(slot), agreement, outgoing);
        match (alone, tagged) {
            (true, false) => self.send(place, &[identify], &cdb, command::SELECT_ATN),
            (true, true) => {
                let [first, second] = tag(slot);
                self.send(place, &[identify, first, second], &cdb, command::SELECT_ATN3);
            }
            (false, _) => self.send(place, &[identify], &Cdb::default(), command::SELECT_ATN_STOP),
        }
    }

    /// Selects a target to tell it something else than a command.
    fn select_for(&mut self, errand: &Errand) {
        let place = errand.place();
        let agreement = self.target(place.target).map_or(Agreement::ASYNCHRONOUS, |target| target.agreement);
        let identify = message::identify(place.lun, false);
        let outgoing = self.told(errand.task);
        self.begin(Who::Errand, agreement, outgoing);
        self.send(place, &[identify], &Cdb::default(), command::SELECT_ATN_STOP);
    }

    /// What a target is told of a task.
    fn told(&mut self, task: Task) -> Outgoing {
        let mut outgoing = Outgoing::default();
        match task {
            Task::Abort(slot, _) if self.slot(slot).is_some_and(|record| record.tagged) => {
                // A target that is connected knows which command it is about.
                if self.link != Link::Connected(Who::Slot(slot)) {
                    outgoing.add(&tag(slot));
                }
                outgoing.add(&[message::ABORT_TAG]);
            }
            Task::Abort(..) => outgoing.add(&[message::ABORT]),
            Task::ResetUnit(_) => outgoing.add(&[message::RESET]),
        }
        outgoing
    }

    /// Tells the target that is connected.
    pub(crate) fn interject(&mut self, task: Task) {
        self.outgoing = self.told(task);
        self.errand = Some(Errand { task, inline: true });
        self.chip.command(command::SET_ATN);
    }

    fn begin(&mut self, who: Who, agreement: Agreement, outgoing: Outgoing) {
        self.forget_connection();
        self.link = Link::Selecting(who);
        self.outgoing = outgoing;
        self.selections = self.selections.wrapping_add(1);
        self.chip.agree(agreement);
    }

    fn send(&mut self, place: Place, messages: &[u8], cdb: &Cdb, command: u8) {
        let mut bytes = [0; 32];
        let all = messages.iter().chain(cdb.as_bytes());
        let count = bytes.iter_mut().zip(all).map(|(to, from)| *to = *from).count();
        if command != command::SELECT_ATN_STOP {
            self.outgoing = Outgoing::default();
        }
        let bus = self.lay(bytes.get(..count).unwrap_or_default());
        let target = u8::try_from(place.target).unwrap_or(0);
        self.chip.select(target, bus, u32::try_from(count).unwrap_or(0), command);
    }

    /// Nothing of an earlier connection counts.
    pub(crate) fn forget_connection(&mut self) {
        (self.doing, self.ending, self.unsent, self.armed) = (Doing::Nothing, Ending::Unexpected, 0, false);
        (self.outgoing, self.assembly) = (Outgoing::default(), message::Assembly::default());
    }

    /// A target wants to go on. What we were about to say to another waits.
    fn reselected(&mut self) -> Result<(), Misused> {
        match self.link {
            Link::Selecting(Who::Slot(slot)) => self.requeue(slot),
            Link::Selecting(_) | Link::Free => {}
            _ => return Err(Misused("a target reselected the adapter while another was connected")),
        }
        self.chip.selected();
        let (bytes, count) = self.chip.unload();
        let said = bytes.get(..count).unwrap_or_default();
        let [ids, identify, ..] = *said else { return Err(Misused("a reselection without its bytes")) };
        // The lines of the bus as they were: the target's, and ours.
        let id = ids & 0x7f;
        if !id.is_power_of_two() || identify & message::IDENTIFY == 0 {
            return Err(Misused("a reselection that names no target"));
        }
        let place = Place { target: u16::try_from(id.trailing_zeros()).unwrap_or(0), lun: (identify & 7).into() };
        self.forget_connection();
        let agreement = self.target(place.target).map_or(Agreement::ASYNCHRONOUS, |target| target.agreement);
        self.chip.agree(agreement);
        let untagged = |slot: &Slot| slot.state == State::Disconnected && slot.place == place && !slot.tagged;
        match self.slots.iter().position(untagged).and_then(|slot| u16::try_from(slot).ok()) {
            Some(slot) => self.take_up(slot),
            None => self.link = Link::Connected(Who::Reselected(place)),
        }
        self.chip.command(command::ACCEPT);
        Ok(())
    }

    /// A command's selection lost the bus: it is the next again.
    fn requeue(&mut self, slot: u16) {
        let Some(record) = self.slots.get_mut(usize::from(slot)) else { return };
        record.state = State::Queued;
        if let Some(target) = self.targets.get_mut(usize::from(record.place.target)) {
            target.negotiate |= core::mem::take(&mut target.proposed);
        }
        self.queue.push_first(slot);
    }

    /// The target goes on with a command. Its pointers are the saved ones (SCSI-2, 6.6.7).
    pub(crate) fn take_up(&mut self, slot: u16) {
        if let Some(record) = self.slot(slot) {
            (record.state, record.moved) = (State::Connected, record.saved);
        }
        self.link = Link::Connected(Who::Slot(slot));
    }

    /// The bus is free: what that means for whom it belonged to.
    fn disconnected(&mut self, interrupt: &Cause) -> Result<(), Misused> {
        let link = core::mem::replace(&mut self.link, Link::Free);
        self.end_transfer(interrupt, link)?;
        let (who, absent) = match link {
            Link::Selecting(who) => (who, interrupt.step == 0),
            Link::Connected(who) => (who, false),
            // Nobody was connected: it may be late.
            Link::Free | Link::Down => return Ok(()),
        };
        let ending = self.ending;
        self.forget_connection();
        if ending == Ending::Unexpected {
            // Nobody took what was on its way.
            self.chip.selected();
            self.chip.command(command::CLEAR_FIFO);
        }
        match (who, ending) {
            (_, Ending::GivenUp) => self.given_up(),
            (Who::Slot(slot), Ending::Complete) => self.completed(slot),
            (Who::Slot(slot), Ending::Disconnect) => {
                if let Some(record) = self.slot(slot) {
                    record.state = State::Disconnected;
                }
            }
            (Who::Slot(slot), Ending::Unexpected) => self.lost(slot, absent),
            (Who::Errand, _) => self.managed(false),
            (Who::Reselected(_), _) => return Err(Misused("a target reselected the adapter and said nothing")),
        }
        Ok(())
    }

    /// Nobody answered, or the target let the bus go without a reason.
    fn lost(&mut self, slot: u16, absent: bool) {
        let Some(record) = self.slots.get(usize::from(slot)).copied() else { return };
        if let Some(target) = self.target(record.place.target) {
            if absent {
                target.negotiate |= core::mem::take(&mut target.proposed);
            } else if target.proposed {
                target.refused();
            }
        }
        if record.sensing {
            // Why it failed stays unknown.
            return self.answer(slot, None, orion_scsi::rules::status::CHECK_CONDITION, record.missing);
        }
        self.answer(slot, Some(if absent { Trouble::Absent } else { Trouble::Transport }), 0, 0);
    }

    /// The target did as it was told.
    fn given_up(&mut self) {
        match self.errand.map(|errand| errand.task) {
            Some(Task::Abort(slot, _)) => self.answer(slot, Some(Trouble::Aborted), 0, 0),
            Some(Task::ResetUnit(place)) => {
                self.end_all(Some(place.target), Trouble::Reset);
                if let Some(target) = self.target(place.target) {
                    target.was_reset();
                }
            }
            None => {}
        }
        self.managed(true);
    }

    /// Answers all that a target has, or any.
    pub(crate) fn end_all(&mut self, target: Option<u16>, trouble: Trouble) {
        for slot in 0..u16::try_from(self.slots.len()).unwrap_or(0) {
            let Some(record) = self.slots.get(usize::from(slot)).copied() else { return };
            let concerned = target.is_none_or(|target| record.place.target == target);
            if concerned && record.is_out() {
                self.answer(slot, Some(trouble), 0, 0);
            }
        }
    }
}

/// The message that gives a command its tag.
fn tag(slot: u16) -> [u8; 2] {
    [message::TAG, u8::try_from(slot).unwrap_or(u8::MAX)]
}
