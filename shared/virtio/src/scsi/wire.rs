// SPDX-License-Identifier: MIT
//! Numbers of the virtio SCSI host (virtio 1.2, section 5.6).
use orion_scsi::{Cdb, Change, Place, Trouble};

/// Feature bits (5.6.3).
pub mod feature {
    /// Units that come and go are reported.
    pub const HOTPLUG: u64 = 1 << 1;
    /// Changes of a unit's parameters are reported.
    pub const CHANGE: u64 = 1 << 2;
}

/// Offsets in the device's configuration (5.6.4).
pub mod config {
    /// Queues for requests: u32.
    pub const NUM_QUEUES: usize = 0;
    /// Most segments of a request: u32.
    pub const SEG_MAX: usize = 4;
    /// Most sectors of a request, as a hint: u32.
    pub const MAX_SECTORS: usize = 8;
    /// Bytes of an event: u32.
    pub const EVENT_INFO_SIZE: usize = 16;
    /// Bytes of sense data in an answer: u32.
    pub const SENSE_SIZE: usize = 20;
    /// Bytes of a CDB in a request: u32.
    pub const CDB_SIZE: usize = 24;
    /// The highest target: u16.
    pub const MAX_TARGET: usize = 30;
}

/// Queues (5.6.2).
pub mod queue {
    /// Task management.
    pub const CONTROL: u16 = 0;
    /// Events.
    pub const EVENT: u16 = 1;
    /// The first for requests.
    pub const REQUEST: u16 = 2;
}

/// Bytes of CDB and sense data after a reset of the device (5.6.4).
pub const CDB_SIZE: u32 = 32;
/// Sense data in an answer.
pub const SENSE_SIZE: u32 = 96;
/// Bytes of a request before its payload (5.6.6.1).
pub const REQUEST_LEN: u32 = 19 + CDB_SIZE;
/// Bytes of an answer before its payload.
pub const ANSWER_LEN: u32 = 12 + SENSE_SIZE;
/// Where the sense data begin in it.
pub const SENSE: usize = 12;
/// A response that is none, until the device writes it.
pub const NO_RESPONSE: u8 = 0xff;
/// Bytes of a task management request (5.6.6.2), and of its answer.
pub const TASK_LEN: u32 = 24;
/// Bytes of an event (5.6.6.3).
pub const EVENT_LEN: u32 = 16;

/// Task management functions.
pub mod task {
    /// ABORT TASK.
    pub const ABORT: u32 = 0;
    /// LOGICAL UNIT RESET.
    pub const RESET_UNIT: u32 = 5;
}

/// Responses to task management functions that say that it was done.
pub const DONE: [u8; 2] = [0, 10];

/// A unit as the device addresses it (5.6.6.1), as a little-endian word.
pub fn lun(place: Place) -> u64 {
    let [a, b] = place.level();
    u64::from_le_bytes([1, u8::try_from(place.target).unwrap_or(u8::MAX), a, b, 0, 0, 0, 0])
}

/// The unit of an event's address.
pub fn place(lun: u64) -> Option<Place> {
    let [one, target, a, b, rest @ ..] = lun.to_le_bytes();
    let lun = Place::lun_of([a, b, 0, 0, 0, 0, 0, 0]).filter(|_| one == 1 && rest == [0; 4])?;
    Some(Place { target: target.into(), lun })
}

/// The three words of a request that carry its attributes, which are all 0 (SIMPLE), and its CDB, which begins in their
/// fourth byte.
pub fn command(cdb: &Cdb) -> [u64; 3] {
    let [low, high] = cdb.words();
    [low << 24, low >> 40 | high << 24, high >> 40]
}

/// What a response means where it is not that there is a status.
pub fn trouble(response: u8) -> Option<Trouble> {
    Some(match response {
        0 => return None,
        1 => Trouble::Overrun,
        2 => Trouble::Aborted,
        3 => Trouble::Absent,
        4 => Trouble::Reset,
        5 => Trouble::Busy,
        6 | 8 => Trouble::Transport,
        _ => Trouble::Other,
    })
}

/// What an event means (5.6.6.3.2): its number, the unit's address, the reason.
pub fn event(number: u32, lun: u64, reason: u32) -> Option<(Option<Place>, Change)> {
    // Some were missed for want of room: anything may have happened.
    if number & 0x8000_0000 != 0 {
        return Some((None, Change::Came));
    }
    match (number, reason) {
        (1, 2) => Some((place(lun), Change::Left)),
        (1, 1) => Some((place(lun), Change::Came)),
        (1, _) | (3, _) => Some((place(lun), Change::Altered)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_laid_out_as_the_standard_says() {
        let cdb = Cdb::transfer(false, orion_scsi::cdb::Width::Sixteen, 0x0102_0304_0506_0708, 0x0a0b_0c0d, false);
        let words: std::vec::Vec<u8> = command(&cdb).into_iter().flat_map(u64::to_le_bytes).collect();
        assert_eq!(words[..3], [0; 3]);
        assert_eq!(words[3..19], cdb.padded()[..]);
        assert_eq!(words[19..], [0; 5]);
    }

    #[test]
    fn addresses_survive_the_way_there_and_back() {
        for (target, unit) in [(0, 0), (255, 255), (3, 256), (7, 16383)] {
            let there = Place { target, lun: unit };
            assert_eq!(place(lun(there)), Some(there));
        }
        assert_eq!(lun(Place { target: 5, lun: 300 }).to_le_bytes(), [1, 5, 0x41, 0x2c, 0, 0, 0, 0]);
        assert_eq!(place(0), None);
        assert_eq!(place(u64::MAX), None);
    }

    #[test]
    fn events_are_told_apart() {
        let address = lun(Place { target: 1, lun: 2 });
        let at = Some(Place { target: 1, lun: 2 });
        assert_eq!(event(1, address, 2), Some((at, Change::Left)));
        assert_eq!(event(1, address, 1), Some((at, Change::Came)));
        assert_eq!(event(3, address, 0x092a), Some((at, Change::Altered)));
        assert_eq!(event(0x8000_0000, 0, 0), Some((None, Change::Came)));
        assert_eq!(event(0, 0, 0), None);
    }
}
