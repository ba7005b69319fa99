// SPDX-License-Identifier: MIT
//! How a request can fail. One type crosses every ring and every layer.
use core::fmt;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Error {
    /// The request is malformed: a code nobody knows, no blocks, an unaligned or foreign payload.
    Invalid,
    /// Policy does not allow it.
    Denied,
    /// The blocks do not exist on the device.
    OutOfRange,
    /// The device, or the volume, is read-only.
    ReadOnly,
    /// The device does not offer the operation.
    Unsupported,
    /// The medium could not be read or written at these blocks.
    Medium,
    /// The device failed in a way it did not explain.
    Io,
    /// The device did not answer within the driver's deadline.
    TimedOut,
    /// Nothing was done; the same request may succeed later.
    Again,
    /// The device is gone.
    Offline,
    /// No space is left to hold the data.
    NoSpace,
}

impl Error {
    /// Every error, for tables and tests.
    pub const ALL: [Self; 11] = [
        Self::Invalid,
        Self::Denied,
        Self::OutOfRange,
        Self::ReadOnly,
        Self::Unsupported,
        Self::Medium,
        Self::Io,
        Self::TimedOut,
        Self::Again,
        Self::Offline,
        Self::NoSpace,
    ];

    /// A few words for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Invalid => "invalid request",
            Self::Denied => "denied by policy",
            Self::OutOfRange => "block out of range",
            Self::ReadOnly => "read-only",
            Self::Unsupported => "operation not supported",
            Self::Medium => "medium error",
            Self::Io => "I/O error",
            Self::TimedOut => "device timed out",
            Self::Again => "try again",
            Self::Offline => "device offline",
            Self::NoSpace => "no space left",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Error {}

/// How a request ended.
pub type Status = Result<(), Error>;
