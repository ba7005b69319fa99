// SPDX-License-Identifier: MIT
//! What can be wrong with a table: what was found, where, and what to do about it.
use core::fmt;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Neither a GPT nor an MBR.
    NoTable,
    /// A GPT header, but no protective MBR before it.
    Unprotected,
    /// Blocks of a size that no table is read from.
    BlockSize,
    /// The disk is smaller than a table.
    TooSmall,
    /// The block could not be read.
    Unreadable,
    /// The disk did not answer in time, or is gone.
    Silent,
    /// No GPT header where one must be.
    NoHeader,
    /// A revision that is not 1.x.
    Revision(u32),
    /// A header of so many bytes.
    HeaderSize(u32),
    /// The header's CRC is another.
    HeaderCrc,
    /// The header says that it stands at this block.
    OwnLba(u64),
    /// The blocks that partitions may use don't lie on the disk, or there are none.
    Usable(u64, u64),
    /// Entries of so many bytes.
    EntrySize(u32),
    /// So many entries.
    EntryCount(u32),
    /// The array of entries does not lie where it may.
    ArrayPlace(u64),
    /// The array's CRC is another.
    ArrayCrc,
    /// The two copies of the table differ, each good in itself.
    Differs,
    /// A partition (its number) does not lie within what it may use: first and last block.
    Range(u32, u64, u64),
    /// Two partitions have blocks in common.
    Overlap(u32, u32),
    /// More partitions than can be held.
    TooMany,
    /// An MBR has two extended partitions.
    SecondExtended,
    /// An extended partition's chain lacks a boot record here.
    NoLink,
    /// An extended partition's chain leaves it, or goes in a circle.
    Chain,
}

/// What is wrong, and at which block of the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong.
    pub kind: Kind,
    /// The block that says so.
    pub at: u64,
}

/// Why there is no table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// This is wrong with it.
    Table(Fault),
    /// Both copies of a GPT are bad.
    Copies {
        /// What is wrong with the primary one.
        primary: Fault,
        /// What is wrong with the backup.
        backup: Fault,
    },
}

impl Error {
    /// Whether what was read is not to blame alone: a block of it could not be read, or the disk did not answer.
    pub fn is_unreadable(&self) -> bool {
        let unread = |fault: &Fault| matches!(fault.kind, Kind::Unreadable | Kind::Silent);
        match self {
            Self::Table(fault) => unread(fault),
            Self::Copies { primary, backup } => unread(primary) || unread(backup),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NoTable => f.write_str("there is neither a GPT nor an MBR"),
            Self::Unprotected => f.write_str("there is a GPT header behind it, but no protective MBR"),
            Self::BlockSize => f.write_str("tables are read from blocks of 512 to 4096 bytes"),
            Self::TooSmall => f.write_str("the disk is smaller than a table"),
            Self::Unreadable => f.write_str("the block cannot be read"),
            Self::Silent => f.write_str("the disk does not answer"),
            Self::NoHeader => f.write_str("there is no GPT header"),
            Self::Revision(r) => write!(f, "a GPT header of revision {}.{}, not 1.0", r >> 16, r & 0xffff),
            Self::HeaderSize(n) => write!(f, "a GPT header of {n} bytes"),
            Self::HeaderCrc => f.write_str("the GPT header's CRC does not match"),
            Self::OwnLba(n) => write!(f, "the GPT header belongs at block {n}"),
            Self::Usable(first, last) => write!(f, "the usable blocks {first} to {last} do not lie on the disk"),
            Self::EntrySize(n) => write!(f, "entries of {n} bytes; 128, 256, 512, ... 4096 can be"),
            Self::EntryCount(n) => write!(f, "{n} entries; they may not take more than 1 MiB"),
            Self::ArrayPlace(n) => write!(f, "the entries at block {n} do not lie between header and partitions"),
            Self::ArrayCrc => f.write_str("the CRC of the entries does not match"),
            Self::Differs => f.write_str("it is not a copy of the primary table"),
            Self::Range(n, first, last) => {
                write!(f, "partition {n} has the blocks {first} to {last}, which are not all its to have")
            }
            Self::Overlap(a, b) => write!(f, "the partitions {a} and {b} overlap"),
            Self::TooMany => write!(f, "there are more than {} partitions", crate::PARTITIONS_MAX),
            Self::SecondExtended => f.write_str("there are two extended partitions"),
            Self::NoLink => f.write_str("an extended boot record is not there"),
            Self::Chain => f.write_str("the logical partitions' chain leaves the extended partition, or has no end"),
        }
    }
}

impl Kind {
    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::NoTable => "make a table with sfdisk, sgdisk or parted, or use the disk as a whole",
            Self::Unprotected => "let sgdisk write the table again",
            Self::BlockSize => "use another disk",
            Self::TooSmall => "use a larger disk",
            Self::Unreadable => "check the disk",
            Self::Silent => "see what its driver said, and start the system again",
            Self::NoHeader
            | Self::Revision(_)
            | Self::HeaderSize(_)
            | Self::HeaderCrc
            | Self::OwnLba(_)
            | Self::ArrayCrc
            | Self::ArrayPlace(_)
            | Self::EntrySize(_)
            | Self::EntryCount(_)
            | Self::Differs => "let `gdisk` repair it from the other copy (menu r), after a copy of the disk",
            Self::Usable(..) => {
                "the disk is smaller than when it was partitioned: take a larger one, or repair with gdisk"
            }
            Self::Range(..) | Self::Overlap(..) => "look at it with `sfdisk --verify` and correct it",
            Self::TooMany => "have fewer",
            Self::SecondExtended | Self::NoLink | Self::Chain => "look at it with `sfdisk --verify`, or make a GPT",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {}: {}", self.at, self.kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(fault) => write!(f, "{fault}; {}", fault.kind.remedy()),
            Self::Copies { primary, backup } => {
                write!(f, "both copies of the GPT are bad: {primary}; {backup}; restore one from your backup of it")
            }
        }
    }
}

impl core::error::Error for Error {}
