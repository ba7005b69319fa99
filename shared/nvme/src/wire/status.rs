// SPDX-License-Identifier: MIT
//! Status fields of completions (section 4.6.1), as 15 bits without the phase tag.
use orion_block::Error;

/// It succeeded.
pub const SUCCESS: u16 = 0;
/// Status code and status code type.
const CODE: u16 = 0x7ff;
/// The same command will fail again.
const DO_NOT_RETRY: u16 = 1 << 14;

/// Generic: the opcode is not known.
pub const INVALID_OPCODE: u16 = 0x001;
/// Generic: a field makes no sense.
pub const INVALID_FIELD: u16 = 0x002;
/// Generic: the command was aborted because it was asked for.
pub const ABORTED: u16 = 0x007;
/// Generic: there is no such namespace.
pub const INVALID_NAMESPACE: u16 = 0x00b;
/// Generic: it was to be sanitized, and that failed.
pub const SANITIZE_FAILED: u16 = 0x01c;
/// Generic: it is being sanitized.
pub const SANITIZING: u16 = 0x01d;
/// Generic: the namespace is write protected.
pub const WRITE_PROTECTED: u16 = 0x020;
/// Generic: the command was interrupted, and may be sent again.
pub const INTERRUPTED: u16 = 0x021;
/// Generic: the way to the controller failed for a moment.
pub const TRANSIENT: u16 = 0x022;
/// Generic: blocks beyond the end.
pub const OUT_OF_RANGE: u16 = 0x080;
/// Generic: no more blocks can be allocated.
pub const CAPACITY_EXCEEDED: u16 = 0x081;
/// Generic: the namespace is not ready.
pub const NOT_READY: u16 = 0x082;
/// Generic: somebody else reserved it.
pub const RESERVATION_CONFLICT: u16 = 0x083;
/// Generic: it is being formatted.
pub const FORMATTING: u16 = 0x084;
/// Command specific: a write to a read-only range.
pub const READ_ONLY_RANGE: u16 = 0x182;
/// Zoned: a request reaches beyond the end of its zone.
pub const ZONE_BOUNDARY: u16 = 0x1b8;
/// Zoned: no more can be written to the zone.
pub const ZONE_FULL: u16 = 0x1b9;
/// Zoned: the zone can only be read.
pub const ZONE_READ_ONLY: u16 = 0x1ba;
/// Zoned: the zone is gone.
pub const ZONE_OFFLINE: u16 = 0x1bb;
/// Zoned: a write anywhere but at the write pointer.
pub const ZONE_INVALID_WRITE: u16 = 0x1bc;
/// Zoned: so many zones are active that no other can be.
pub const ZONES_ACTIVE: u16 = 0x1bd;
/// Zoned: so many zones are open that no other can be.
pub const ZONES_OPEN: u16 = 0x1be;
/// Media: writes failed.
pub const WRITE_FAULT: u16 = 0x280;
/// Media: what was written cannot be read.
pub const UNRECOVERED_READ: u16 = 0x281;
/// Media: the guard of a block is not that of its bytes.
pub const GUARD_CHECK: u16 = 0x282;
/// Media: the reference tag of a block is not the one that was expected.
pub const REFERENCE_CHECK: u16 = 0x284;
/// Media: compare found a difference.
pub const COMPARE_FAILURE: u16 = 0x285;
/// Media: access denied.
pub const ACCESS_DENIED: u16 = 0x286;
/// Media: the block was never written, or deallocated.
pub const DEALLOCATED: u16 = 0x287;

/// Path related, in the status code's type: any of those says that the way is to blame.
pub const PATH: u16 = 0x300;
/// Path related: the namespace will never again be reached over this controller (ANA).
pub const WAY_LOST: u16 = 0x301;
/// Path related: it cannot be reached over this controller now.
pub const WAY_CLOSED: u16 = 0x302;
/// Path related: the access state changes.
pub const WAY_CHANGING: u16 = 0x303;

/// What a status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// It was done.
    Done,
    /// It was not done, and may be if it is sent again.
    Retry(Error),
    /// It failed.
    Failed(Error),
}

/// What a status means (4.6.1.1 and 4.6.1.2). Nothing is called [`Error::Medium`] but what the controller says of its medium: a
/// layer that repairs would rewrite good data.
pub const fn meaning(status: u16) -> Meaning {
    let error = match status & CODE {
        SUCCESS => return Meaning::Done,
        INTERRUPTED | TRANSIENT => Error::Io,
        NOT_READY | FORMATTING | SANITIZING => Error::Again,
        INVALID_OPCODE => return Meaning::Failed(Error::Unsupported),
        ABORTED => return Meaning::Failed(Error::TimedOut),
        // Whoever knows another way takes that; one that changes is worth waiting for, not asking again at once.
        WAY_LOST | WAY_CLOSED => return Meaning::Failed(Error::Offline),
        WAY_CHANGING => return Meaning::Failed(Error::Again),
        INVALID_NAMESPACE | SANITIZE_FAILED => return Meaning::Failed(Error::Offline),
        WRITE_PROTECTED | READ_ONLY_RANGE => return Meaning::Failed(Error::ReadOnly),
        ZONE_BOUNDARY | ZONE_INVALID_WRITE => return Meaning::Failed(Error::Invalid),
        ZONE_FULL | ZONES_ACTIVE | ZONES_OPEN => return Meaning::Failed(Error::NoSpace),
        ZONE_READ_ONLY => return Meaning::Failed(Error::ReadOnly),
        ZONE_OFFLINE => return Meaning::Failed(Error::Offline),
        OUT_OF_RANGE => return Meaning::Failed(Error::OutOfRange),
        CAPACITY_EXCEEDED => return Meaning::Failed(Error::NoSpace),
        RESERVATION_CONFLICT | ACCESS_DENIED => return Meaning::Failed(Error::Denied),
        WRITE_FAULT | UNRECOVERED_READ | 0x282..=0x284 | DEALLOCATED => return Meaning::Failed(Error::Medium),
        _ => return Meaning::Failed(Error::Io),
    };
    if status & DO_NOT_RETRY == 0 { Meaning::Retry(error) } else { Meaning::Failed(error) }
}
