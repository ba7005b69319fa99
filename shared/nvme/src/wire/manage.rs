// SPDX-License-Identifier: MIT
//! What namespaces are made of (5.20), how far a sanitize is (5.14.1.16.2), and why management fails.
use super::status;
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout, Unaligned};

/// What a namespace that is to be made is like (figure 249): the first 104 of 4096 bytes.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct NewSpace {
    /// Blocks.
    pub size: U64,
    /// Blocks that may be allocated.
    pub capacity: U64,
    /// Reserved.
    pub pad: [u8; 10],
    /// The LBA format.
    pub format: u8,
    /// Reserved.
    pub pad_2: [u8; 2],
    /// Protection.
    pub dps: u8,
    /// Sharing: 1 where several controllers may be attached.
    pub nmic: u8,
    /// Reserved.
    pub pad_3: [u8; 61],
    /// ANA group; 0: the controller chooses.
    pub ana_group: U32,
    /// Reserved, and the NVM set.
    pub pad_4: [u8; 8],
}

impl NewSpace {
    /// One of `blocks` blocks, all of which may be allocated.
    pub fn new(blocks: u64, format: u8) -> Self {
        Self { size: blocks.into(), capacity: blocks.into(), format: format & 0xf, ..Self::new_zeroed() }
    }
}

/// How far the last sanitize is (figure 229).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SanitizeLog {
    /// How much of it is done, of 65,536.
    pub progress: U16,
    /// How it ended, in the lowest three bits, and what else.
    pub status: U16,
    /// Dword 10 of the command.
    pub asked: U32,
    /// Seconds that it takes, of each kind.
    pub seconds: [U32; 6],
}

/// How a sanitize is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sanitize {
    /// There was none.
    Never,
    /// It was done.
    Done,
    /// It goes on: so much of 1000 is done.
    Runs(u16),
    /// It failed.
    Failed,
}

impl SanitizeLog {
    /// How it is. A state that the standard does not have is a failure.
    pub fn state(&self) -> Sanitize {
        match self.status.get() & 7 {
            0 => Sanitize::Never,
            1 | 4 => Sanitize::Done,
            2 => Sanitize::Runs(u16::try_from((u32::from(self.progress.get()) * 1000) >> 16).unwrap_or(0)),
            _ => Sanitize::Failed,
        }
    }
}

/// What can be sanitized how (SANICAP, figure 247), by the bit of each action.
pub const fn sanitizes(capabilities: u32, how: u32) -> bool {
    let bit = match how {
        orion_metrics::sanitize::KEY => 0,
        orion_metrics::sanitize::BLOCKS => 1,
        orion_metrics::sanitize::OVERWRITE => 2,
        _ => return false,
    };
    capabilities >> bit & 1 != 0
}

/// Why an administrative command failed, for people (figures 126 to 129); at most 40 characters.
pub const fn why(code: u16) -> &'static str {
    match code & 0x7ff {
        status::INVALID_OPCODE => "the device does not know the command",
        status::INVALID_FIELD => "the device refuses a field of it",
        0x004 | status::UNRECOVERED_READ | status::WRITE_FAULT => "a failure of the medium",
        0x006 => "an internal error of the device",
        status::ABORTED => "it was aborted",
        status::INVALID_NAMESPACE => "there is no such namespace, or format",
        0x00c => "something else has to be done first",
        status::SANITIZE_FAILED => "the last sanitize failed: do it again",
        status::SANITIZING => "it is being sanitized",
        status::WRITE_PROTECTED => "the namespace is write protected",
        status::CAPACITY_EXCEEDED => "no blocks are left",
        status::NOT_READY => "the namespace is not ready",
        status::FORMATTING => "it is being formatted",
        0x10a => "the device has no such format",
        0x10d | 0x10e => "the feature cannot be changed so",
        0x115 => "the device has not so much room left",
        0x116 => "the device has no number for it left",
        0x118 => "the namespace is attached already",
        0x119 => "the namespace is another controller's",
        0x11a => "the namespace is not attached",
        0x11b => "it must have room for all its blocks",
        0x11c => "the device refuses its own number",
        0x124 | 0x125 => "its ANA group cannot be used",
        0x1b8 => "beyond the end of a zone",
        0x1b9 => "the zone is full",
        0x1ba => "the zone is read-only",
        0x1bb => "the zone is offline",
        0x1bc => "not at the zone's write pointer",
        0x1bd => "too many zones are active",
        0x1be => "too many zones are open",
        0x1bf => "the zone's state does not allow that",
        _ => "the device says no more",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;

    #[test]
    fn fields_are_where_the_standard_has_them() {
        assert_eq!([offset_of!(NewSpace, format), offset_of!(NewSpace, dps)], [26, 29]);
        assert_eq!([offset_of!(NewSpace, nmic), offset_of!(NewSpace, ana_group)], [30, 92]);
        assert_eq!([size_of::<NewSpace>(), size_of::<SanitizeLog>()], [104, 32]);
    }

    #[test]
    fn any_log_is_some_state_and_any_status_has_words() {
        for status in 0..=u16::MAX {
            let log = SanitizeLog { progress: status.into(), status: status.into(), ..SanitizeLog::new_zeroed() };
            if let Sanitize::Runs(permille) = log.state() {
                assert!(permille < 1000 && status & 7 == 2);
            }
            assert!(why(status).len() <= 40);
        }
    }
}
