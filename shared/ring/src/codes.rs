// SPDX-License-Identifier: MIT
//! Operation and status codes on the ring: sDDF's, and ours from 0x100 on, which sDDF's peers answer as invalid.
use orion_block::{Error, Op, Status};

/// Operation codes.
pub mod op {
    /// sDDF `BLK_REQ_READ`.
    pub const READ: u32 = 0;
    /// sDDF `BLK_REQ_WRITE`.
    pub const WRITE: u32 = 1;
    /// sDDF `BLK_REQ_FLUSH`.
    pub const FLUSH: u32 = 2;
    /// sDDF `BLK_REQ_BARRIER`. Not implemented: it reaches a server as [`crate::Incoming::Unknown`], so that nobody
    /// is told of an order that was not kept.
    pub const BARRIER: u32 = 3;
    /// Discard.
    pub const DISCARD: u32 = 0x100;
    /// Write zeroes.
    pub const WRITE_ZEROES: u32 = 0x101;
    /// Write, durable when it is answered.
    pub const WRITE_FUA: u32 = 0x102;
    /// Write zeroes, durable when it is answered.
    pub const WRITE_ZEROES_FUA: u32 = 0x103;
}

/// Status codes.
pub mod status {
    /// sDDF `BLK_RESP_OK`.
    pub const OK: u32 = 0;
    /// sDDF `BLK_RESP_ERR_UNSPEC`.
    pub const UNSPECIFIED: u32 = 1;
    /// sDDF `BLK_RESP_ERR_INVALID_PARAM`.
    pub const INVALID: u32 = 2;
    /// sDDF `BLK_RESP_ERR_IO`.
    pub const IO: u32 = 3;
    /// sDDF `BLK_RESP_ERR_NO_DEVICE`.
    pub const NO_DEVICE: u32 = 4;
    /// `Error::Denied`.
    pub const DENIED: u32 = 0x100;
    /// `Error::OutOfRange`.
    pub const OUT_OF_RANGE: u32 = 0x101;
    /// `Error::ReadOnly`.
    pub const READ_ONLY: u32 = 0x102;
    /// `Error::Unsupported`.
    pub const UNSUPPORTED: u32 = 0x103;
    /// `Error::Medium`.
    pub const MEDIUM: u32 = 0x104;
    /// `Error::TimedOut`.
    pub const TIMED_OUT: u32 = 0x105;
    /// `Error::Again`.
    pub const AGAIN: u32 = 0x106;
    /// `Error::NoSpace`.
    pub const NO_SPACE: u32 = 0x107;
}

/// The code of an operation. `fua` matters to writes and write zeroes only.
#[inline]
pub const fn from_op(op: Op, fua: bool) -> u32 {
    match (op, fua) {
        (Op::Read, _) => op::READ,
        (Op::Write, false) => op::WRITE,
        (Op::Write, true) => op::WRITE_FUA,
        (Op::Flush, _) => op::FLUSH,
        (Op::Discard, _) => op::DISCARD,
        (Op::WriteZeroes, false) => op::WRITE_ZEROES,
        (Op::WriteZeroes, true) => op::WRITE_ZEROES_FUA,
    }
}

/// The operation and whether it is to be durable at once; `None` for a code that is not ours to understand.
#[inline(always)]
pub const fn to_op(code: u32) -> Option<(Op, bool)> {
    // What most requests are, in one comparison.
    if code <= op::WRITE {
        return Some((if code == op::READ { Op::Read } else { Op::Write }, false));
    }
    to_other(code)
}

#[cold]
const fn to_other(code: u32) -> Option<(Op, bool)> {
    match code {
        op::FLUSH => Some((Op::Flush, false)),
        op::DISCARD => Some((Op::Discard, false)),
        op::WRITE_ZEROES => Some((Op::WriteZeroes, false)),
        op::WRITE_FUA => Some((Op::Write, true)),
        op::WRITE_ZEROES_FUA => Some((Op::WriteZeroes, true)),
        _ => None,
    }
}

/// The code of a failure for a client that has our extension.
pub const fn from_error(error: Error) -> u32 {
    match error {
        Error::Invalid => status::INVALID,
        Error::Io => status::IO,
        Error::Offline => status::NO_DEVICE,
        Error::Denied => status::DENIED,
        Error::OutOfRange => status::OUT_OF_RANGE,
        Error::ReadOnly => status::READ_ONLY,
        Error::Unsupported => status::UNSUPPORTED,
        Error::Medium => status::MEDIUM,
        Error::TimedOut => status::TIMED_OUT,
        Error::Again => status::AGAIN,
        Error::NoSpace => status::NO_SPACE,
    }
}

/// The nearest of sDDF's five codes, for a plain sDDF client, which knows no others.
pub const fn from_error_plain(error: Error) -> u32 {
    match error {
        Error::Invalid | Error::Denied | Error::OutOfRange | Error::ReadOnly | Error::Unsupported => status::INVALID,
        Error::Medium | Error::Io | Error::TimedOut => status::IO,
        Error::Offline => status::NO_DEVICE,
        Error::Again | Error::NoSpace => status::UNSPECIFIED,
    }
}

/// What a status code means. A code that nobody knows is `Error::Io`: it surely isn't success.
#[inline]
pub const fn to_status(code: u32) -> Status {
    match code {
        status::OK => Ok(()),
        other => Err(to_error(other)),
    }
}

#[cold]
const fn to_error(code: u32) -> Error {
    match code {
        status::INVALID => Error::Invalid,
        status::NO_DEVICE => Error::Offline,
        status::DENIED => Error::Denied,
        status::OUT_OF_RANGE => Error::OutOfRange,
        status::READ_ONLY => Error::ReadOnly,
        status::UNSUPPORTED => Error::Unsupported,
        status::MEDIUM => Error::Medium,
        status::TIMED_OUT => Error::TimedOut,
        status::AGAIN => Error::Again,
        status::NO_SPACE => Error::NoSpace,
        _ => Error::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_survive_the_ring() {
        for op in Op::ALL {
            for fua in [false, true] {
                let kept = fua && matches!(op, Op::Write | Op::WriteZeroes);
                assert_eq!(to_op(from_op(op, fua)), Some((op, kept)));
            }
        }
    }

    #[test]
    fn statuses_survive_the_ring() {
        assert_eq!(to_status(status::OK), Ok(()));
        for error in Error::ALL {
            assert_eq!(to_status(from_error(error)), Err(error));
            assert!((1..5).contains(&from_error_plain(error)), "{error}: a plain client knows 0 to 4");
        }
    }

    #[test]
    fn only_known_codes_mean_something() {
        let codes = (0..0x1000).chain([u32::MAX, 1 << 31, 0xffff, 0x1_0000]);
        for code in codes {
            let known = Op::ALL.iter().any(|op| [false, true].iter().any(|fua| from_op(*op, *fua) == code));
            assert_eq!(to_op(code).is_some(), known, "operation {code:#x}");
            assert_eq!(to_status(code).is_ok(), code == 0, "status {code:#x}");
            let known = Error::ALL.iter().any(|error| from_error(*error) == code);
            assert!(known || code == 0 || to_status(code) == Err(Error::Io), "status {code:#x}");
        }
        assert_eq!(to_op(op::BARRIER), None);
    }
}
