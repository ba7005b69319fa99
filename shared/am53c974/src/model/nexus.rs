// SPDX-License-Identifier: MIT
//! A command at a target.
use orion_scsi::Place;
use orion_scsi::model::Reply;
use std::vec::Vec;

/// What a target has heard since it was selected, before it has a whole command.
#[derive(Clone, Debug, Default)]
pub struct Fresh {
    /// Which target.
    pub target: u16,
    /// The unit, once IDENTIFY came.
    pub lun: Option<u16>,
    pub may_disconnect: bool,
    pub tag: Option<u8>,
}

/// A command at a target.
#[derive(Clone, Debug)]
pub struct Nexus {
    /// The unit.
    pub place: Place,
    /// Its tag.
    pub tag: Option<u8>,
    /// The command.
    pub cdb: Vec<u8>,
    pub(super) may_disconnect: bool,
    /// Bytes that the initiator has to send.
    pub(super) wants: usize,
    /// Those that came.
    pub(super) out: Vec<u8>,
    /// The answer, once it is there.
    pub(super) reply: Option<Reply>,
    /// Bytes of the answer that were sent.
    pub(super) sent: usize,
    /// Of either, where the saved pointer is.
    pub(super) saved: usize,
    pub(super) disconnected: bool,
    /// It goes on when it can.
    pub(super) ready: bool,
    pub(super) forgotten: bool,
    /// The status was sent.
    pub(super) concluded: bool,
    /// It disconnected since it last moved bytes.
    pub(super) rested: bool,
}

impl Nexus {
    /// Payload that is still to be moved, and whether to the initiator.
    pub(super) fn payload(&self) -> Option<(usize, bool)> {
        if self.out.len() < self.wants {
            return Some((self.wants - self.out.len(), false));
        }
        let left = self.reply.as_ref().map_or(0, |reply| reply.data.len() - self.sent);
        (left > 0).then_some((left, true))
    }

    /// Bytes that were moved.
    pub(super) fn at(&self) -> usize {
        if self.wants > 0 { self.out.len() } else { self.sent }
    }

    /// The pointers are the saved ones again.
    pub(super) fn restore(&mut self) {
        self.out.truncate(self.saved);
        self.sent = if self.wants > 0 { 0 } else { self.saved };
    }
}

/// Bytes that a command takes from the initiator; `block` is the unit's.
pub fn wanted(cdb: &[u8], block: usize) -> usize {
    let be = |range: core::ops::Range<usize>| cdb[range].iter().fold(0, |n, byte| n << 8 | usize::from(*byte));
    match cdb[0] {
        0x2a => be(7..9) * block,
        0xaa => be(6..10) * block,
        0x8a => be(10..14) * block,
        0x93 => block,
        0x89 => 2 * usize::from(cdb[13]) * block,
        0x42 | 0x55 => be(7..9),
        0x15 => usize::from(cdb[4]),
        0x5f => be(5..9),
        _ => 0,
    }
}

/// Bytes of a command (SPC-4, 4.2.5.1), by its group.
pub fn length(opcode: u8) -> usize {
    match opcode >> 5 {
        0 => 6,
        1 | 2 => 10,
        4 => 16,
        5 => 12,
        group => panic!("a command of group {group}"),
    }
}
