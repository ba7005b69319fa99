// SPDX-License-Identifier: MIT
//! A command on its way over the bus, and what is known of a target.
use crate::sync::Agreement;
use orion_scsi::{Cdb, Data, Place};

/// Bytes of sense data that are asked for.
pub const SENSE: u8 = 96;

/// Where a command is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// There is none.
    #[default]
    Free,
    /// Here, until the bus and its unit are free for it.
    Queued,
    /// The bus is its own, or is being asked for on its behalf.
    Connected,
    /// At its target, which will reselect us.
    Disconnected,
}

/// A command.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot {
    pub state: State,
    pub place: Place,
    pub cdb: Cdb,
    pub data: Data,
    /// Its target knows it by its tag, which is the slot's number.
    pub tagged: bool,
    /// How often its bytes were sent on this way to its target.
    pub commanded: u8,
    /// Bytes that were moved: the active data pointer (SCSI-2, 5.4).
    pub moved: u32,
    /// The saved data pointer.
    pub saved: u32,
    pub status: Option<u8>,
    /// Bytes of its payload went wrong, and the target has not taken its pointers back.
    pub spoilt: bool,
    /// It failed, and what is on its way now is REQUEST SENSE.
    pub sensing: bool,
    /// While it is sensing: bytes of its own payload that were not moved.
    pub missing: u32,
    /// Sense data of the last command here.
    pub sense_len: u8,
}

impl Slot {
    /// A command that was not sent yet.
    pub fn new(place: Place, cdb: Cdb, data: Data) -> Self {
        Self { state: State::Queued, place, cdb, data, ..Self::default() }
    }

    /// From now on it is the REQUEST SENSE of a command that failed; `data` is room for the answer.
    pub fn sense(&mut self, data: Data) {
        let missing = self.data.len.saturating_sub(self.moved);
        let fresh = Self::new(self.place, Cdb::request_sense(SENSE), data);
        *self = Self { sensing: true, missing, ..fresh };
    }

    /// Whether its target has it.
    pub fn is_out(&self) -> bool {
        matches!(self.state, State::Connected | State::Disconnected)
    }
}

/// A target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Target {
    /// How data are moved.
    pub agreement: Agreement,
    /// It says that it knows synchronous transfers.
    pub able: bool,
    /// It does not answer to proposals, or rejected one.
    pub refuses: bool,
    /// We make a proposal when it is selected next.
    pub negotiate: bool,
    /// Our proposal is out, and not answered.
    pub proposed: bool,
    /// Its units that know tags, one bit each.
    pub tagged: u8,
}

impl Target {
    /// It was reset: nothing that was agreed holds.
    pub fn was_reset(&mut self) {
        self.agreement = Agreement::ASYNCHRONOUS;
        self.negotiate = self.able && !self.refuses;
        self.proposed = false;
    }

    /// It does not want our proposal.
    pub fn refused(&mut self) {
        (self.proposed, self.refuses, self.negotiate) = (false, true, false);
        self.agreement = Agreement::ASYNCHRONOUS;
    }

    /// Whether a unit of it knows tags.
    pub fn takes_tags(&self, lun: u16) -> bool {
        self.tagged >> (lun & 7) & 1 != 0
    }

    /// Whether a proposal goes with the next selection: with a REQUEST SENSE always, since what failed may have failed
    /// because the target lost its power, and with it what was agreed.
    pub fn proposes(&self, sensing: bool) -> bool {
        self.negotiate || sensing && self.able && !self.refuses && self.agreement != Agreement::ASYNCHRONOUS
    }
}
