// SPDX-License-Identifier: MIT
//! Messages of the bus (SCSI-2, section 6.6): those to a target, byte by byte, and those of a target.
use crate::sync::Agreement;

/// COMMAND COMPLETE.
pub const COMPLETE: u8 = 0x00;
/// SAVE DATA POINTER.
pub const SAVE: u8 = 0x02;
/// RESTORE POINTERS.
pub const RESTORE: u8 = 0x03;
/// DISCONNECT.
pub const DISCONNECT: u8 = 0x04;
/// INITIATOR DETECTED ERROR.
pub const ERROR: u8 = 0x05;
/// ABORT: all that we asked of the unit.
pub const ABORT: u8 = 0x06;
/// MESSAGE REJECT.
pub const REJECT: u8 = 0x07;
/// NO OPERATION.
pub const NOP: u8 = 0x08;
/// MESSAGE PARITY ERROR.
pub const PARITY: u8 = 0x09;
/// BUS DEVICE RESET.
pub const RESET: u8 = 0x0c;
/// ABORT TAG.
pub const ABORT_TAG: u8 = 0x0d;
/// SIMPLE QUEUE TAG; a second byte is the tag.
pub const TAG: u8 = 0x20;
/// IDENTIFY; the unit in the low bits.
pub const IDENTIFY: u8 = 0x80;
/// In IDENTIFY: the target may disconnect.
pub const MAY_DISCONNECT: u8 = 0x40;

/// IDENTIFY for a unit below 8.
pub fn identify(lun: u16, may_disconnect: bool) -> u8 {
    let may = if may_disconnect { MAY_DISCONNECT } else { 0 };
    IDENTIFY | may | u8::try_from(lun & 7).unwrap_or(0)
}

/// Bytes that wait to be sent in MESSAGE OUT.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outgoing {
    bytes: [u8; 8],
    len: usize,
}

impl Outgoing {
    /// Adds bytes; what does not fit is left out, which nothing that we send does.
    pub fn add(&mut self, bytes: &[u8]) {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        self.len += room.iter_mut().zip(bytes).map(|(to, from)| *to = *from).count();
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// What a target said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A message of one byte.
    Byte(u8),
    /// Which command it goes on with.
    Tag(u8),
    /// What it proposes, or answers, of synchronous transfers.
    Synchronous(Agreement),
    /// What we don't know.
    Unknown,
}

/// A message while it comes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Assembly {
    bytes: [u8; 8],
    len: usize,
}

impl Assembly {
    /// Takes the next byte; the message, where it is complete.
    pub fn push(&mut self, byte: u8) -> Option<Incoming> {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
        }
        self.len = self.len.saturating_add(1);
        let message = self.complete()?;
        self.len = 0;
        Some(message)
    }

    fn complete(&self) -> Option<Incoming> {
        let [first, second, third, factor, offset, ..] = self.bytes;
        // 6.6.1: extended messages say their length, 0 of which is 256; 20h to 2Fh have a second byte.
        let len = match first {
            1 if self.len < 2 => return None,
            1 if second == 0 => 258,
            1 => usize::from(second) + 2,
            0x20..=0x2f => 2,
            _ => 1,
        };
        if self.len < len {
            return None;
        }
        Some(match (first, second, third) {
            (1, 3, 1) => Incoming::Synchronous(Agreement { factor, offset }),
            (0x20..=0x22, tag, _) => Incoming::Tag(tag),
            (1 | 0x20..=0x2f, ..) => Incoming::Unknown,
            _ => Incoming::Byte(first),
        })
    }

    /// Whether some bytes of a message came and others are to come.
    pub fn is_partial(&self) -> bool {
        self.len > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn all(bytes: &[u8]) -> Vec<Incoming> {
        let mut assembly = Assembly::default();
        let messages = bytes.iter().filter_map(|byte| assembly.push(*byte)).collect();
        assert!(!assembly.is_partial());
        messages
    }

    #[test]
    fn messages_end_where_the_standard_says() {
        let agreement = Agreement { factor: 50, offset: 8 };
        let said = [SAVE, 1, 3, 1, 50, 8, DISCONNECT, 0x20, 9, 0x23, 1, 1, 2, 3, 1, REJECT];
        let expected = vec![
            Incoming::Byte(SAVE),
            Incoming::Synchronous(agreement),
            Incoming::Byte(DISCONNECT),
            Incoming::Tag(9),
            Incoming::Unknown,
            Incoming::Unknown,
            Incoming::Byte(REJECT),
        ];
        assert_eq!(all(&said), expected);
        // An extended message of 256 bytes.
        let long: Vec<u8> = [1, 0].into_iter().chain([0x55; 256]).chain([SAVE]).collect();
        assert_eq!(all(&long), [Incoming::Unknown, Incoming::Byte(SAVE)]);
    }

    #[test]
    fn what_we_say_is_kept_within_its_room() {
        let mut out = Outgoing::default();
        assert!(out.is_empty());
        out.add(&[TAG, 3]);
        out.add(&Agreement::BEST.message());
        assert_eq!(out.bytes(), [0x20, 3, 1, 3, 1, 25, 15]);
        out.add(&[1, 2, 3]);
        assert_eq!(out.bytes().len(), 8);
        assert_eq!((identify(3, true), identify(7, false)), (0xc3, 0x87));
    }
}
