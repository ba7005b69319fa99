// SPDX-License-Identifier: MIT
//! What can be wrong: what was found, where, and what to do about it.
use crate::Uuid;
use core::fmt;

/// What is wrong. Devices are numbers of the list that was given to [`Array::assemble`](crate::Array::assemble).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Fewer bytes than a superblock.
    Short,
    /// A major version that is neither 0 nor 1.
    Major(u32),
    /// A minor version of 0 that is neither 90 nor 91.
    Minor(u32),
    /// The checksum is another.
    Sum {
        /// What the superblock says.
        says: u32,
        /// What its bytes give.
        is: u32,
    },
    /// Feature bits that are not known.
    Features(u32),
    /// The superblock says that it stands at this sector.
    Elsewhere(u64),
    /// So many roles.
    Roles(u32),
    /// The device's number has no role.
    Number(u32),
    /// So many members.
    Members(u32),
    /// The role of an array of so many members.
    Role(u16, u32),
    /// The data do not fit the device.
    Data {
        /// First sector.
        first: u64,
        /// Sectors.
        sectors: u64,
        /// Sectors of the device.
        device: u64,
    },
    /// The data overlap the superblock.
    DataMeets,
    /// More sectors are used than the data have.
    Used {
        /// Sectors that are used.
        used: u64,
        /// Sectors that there are.
        has: u64,
    },
    /// The bitmap is none, or not on the device.
    Bitmap,
    /// No room for a bitmap, or an array that has none.
    NoBitmap,
    /// The bitmap is that of another array.
    OtherBitmap(Uuid),
    /// The list of bad blocks is none, or not on the device.
    Log,
    /// A level that is not read.
    Level(i32),
    /// A layout that the level does not have.
    Layout(u32),
    /// A chunk of so many sectors.
    Chunk(u32),
    /// Too few members for the level.
    TooFew(u32),
    /// The members are too small, or their sizes overflow.
    Size,
    /// RAID 0 of members of different sizes, which does not say how it was laid out.
    Raid0Layout,
    /// No device of the list belongs to the array.
    Nothing,
    /// More devices than can be held.
    TooMany,
    /// This device and another, equally new, say different things about the array.
    Disagree(u32),
    /// This device and another both claim a role.
    SameRole(u16, u32),
    /// This device and another, equally new, do not agree which of them failed.
    Split(u32),
    /// Members are missing: so many are here, so many are needed, and the first that is missing.
    Missing {
        /// Members that are here.
        here: u32,
        /// Members that are needed.
        need: u32,
        /// The first role that has none.
        first: u32,
    },
    /// No copy of some chunks is here; the first member that is missing.
    NoCopy(u32),
    /// It is being reshaped, at this sector of the array.
    Reshaping(u64),
    /// It is being reshaped in place, at this sector of the array.
    Overlaps(u64),
    /// It cannot be reshaped without so many sectors, before its data or behind them.
    NoRoom(u64),
    /// What was to be the backup of a reshape in place is none of this array.
    Backup,
    /// So many more members are needed.
    FewSpares(u32),
    /// It would have so many sectors only.
    Shrinks(u64),
    /// It cannot become what is wanted; why.
    Cannot(&'static str),
    /// A device cannot be written.
    Unwritten,
    /// It has a write journal, which has to be replayed, and the members cannot be written; or several kinds of logs.
    HasJournal,
    /// Its write journal is missing, or older than the array.
    NoJournal,
    /// Its write journal holds data without parity, and a member is missing.
    JournalCached,
    /// A write journal with too few sectors.
    JournalSmall {
        /// Sectors that it has.
        has: u64,
        /// Sectors that it needs.
        need: u64,
    },
    /// A level that has no write journal, or one beside a partial parity log.
    JournalLevel,
    /// It is used by several machines.
    Clustered,
    /// It lacks members, and was not stopped cleanly.
    Dirty,
    /// It has this level, and is said to have another.
    OtherLevel(i32),
    /// Devices of several arrays, and nothing that says which is meant.
    Several,
    /// The members' blocks are larger than what the array counts in.
    Blocks,
    /// No room for a partial parity log, or no level that has one.
    NoPpl,
    /// More copies than can be written at once.
    Copies,
    /// A sector of the array cannot be read, and parity that it follows from may be wrong.
    Unsure,
    /// A sector of the array cannot be read: too many members lack it.
    Lost,
}

/// What is wrong, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    /// What is wrong.
    pub kind: Kind,
    /// Of a superblock: its sector. Of an assembly: the device. Of reading: the array's sector.
    pub at: u64,
}

/// An error with the devices' names.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    error: Error,
    names: &'a [&'a str],
}

/// A device by its name, or by its number where it has none.
struct Device<'a>(u64, &'a [&'a str]);

impl fmt::Display for Device<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match usize::try_from(self.0).ok().and_then(|index| self.1.get(index)) {
            Some(name) => f.write_str(name),
            None => write!(f, "device {}", self.0),
        }
    }
}

impl Error {
    /// The message with the devices' names, in the order in which they were given.
    pub fn named<'a>(self, names: &'a [&'a str]) -> Named<'a> {
        Named { error: self, names }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Short => f.write_str("the superblock ends early"),
            Self::Major(n) => write!(f, "a superblock of version {n}, not 0.90 or 1"),
            Self::Minor(n) => write!(f, "a superblock of version 0.{n}, not 0.90"),
            Self::Sum { says, is } => write!(f, "the checksum is {says:08x}, and should be {is:08x}"),
            Self::Features(bits) => write!(f, "it uses features that are not known, 0x{bits:x}"),
            Self::Elsewhere(at) => write!(f, "the superblock belongs at sector {at}"),
            Self::Roles(n) => write!(f, "it has room for {n} roles, more than {}", crate::MEMBERS_MAX),
            Self::Number(n) => write!(f, "the device is number {n}, which has no role"),
            Self::Members(n) => write!(f, "an array of {n} members, not 1 to {}", crate::MEMBERS_MAX),
            Self::Role(role, of) => write!(f, "it is member {role} of an array of {of}"),
            Self::Data { first, sectors, device } => {
                write!(f, "{sectors} sectors of data from sector {first} on do not fit a device of {device} sectors")
            }
            Self::DataMeets => f.write_str("the data overlap the superblock"),
            Self::Used { used, has } => write!(f, "{used} sectors are used of {has}"),
            Self::Bitmap => f.write_str("the bitmap is not where the superblock says"),
            Self::NoBitmap => {
                f.write_str("a bitmap is for levels above 0 without a log, and needs room between superblock and data")
            }
            Self::OtherBitmap(set) => write!(f, "its bitmap is that of array {set}"),
            Self::Log => f.write_str("the list of bad blocks is not where the superblock says, or makes no sense"),
            Self::Level(n) => write!(f, "level {n}"),
            Self::Layout(n) => write!(f, "layout 0x{n:x}, which the level does not have"),
            Self::Chunk(n) => write!(f, "chunks of {n} sectors"),
            Self::TooFew(n) => write!(f, "{n} members, too few for the level"),
            Self::Size => f.write_str("the sizes of the members make no array"),
            Self::Raid0Layout => {
                f.write_str("members of different sizes, and nothing that says how they were laid out")
            }
            Self::Nothing => f.write_str("no device belongs to the array"),
            Self::TooMany => f.write_str("more devices than can be held"),
            Self::Reshaping(at) => write!(f, "it is being reshaped, and has come to sector {at}"),
            Self::Overlaps(at) => {
                write!(f, "it is being reshaped in place, and what comes after sector {at} may be half written over")
            }
            Self::NoRoom(need) => {
                write!(f, "its data cannot move by {need} sectors, neither into room before them nor behind them")
            }
            Self::Backup => f.write_str("the backup is none of this array, or not of this reshape"),
            Self::FewSpares(count) => write!(f, "{count} more members are needed"),
            Self::Shrinks(sectors) => {
                write!(f, "it would have no more than {sectors} sectors, and lose what lies behind")
            }
            Self::Cannot(why) => f.write_str(why),
            Self::Unwritten => f.write_str("it cannot be written"),
            Self::HasJournal => f.write_str("it has a write journal, whose last writes are not in the members yet"),
            Self::NoJournal => f.write_str("its write journal is missing, or not the one that was used last"),
            Self::JournalCached => {
                f.write_str("its write journal holds data whose parity was not written, and a member is missing")
            }
            Self::JournalSmall { has, need } => write!(f, "a write journal of {has} sectors, and it needs {need}"),
            Self::JournalLevel => f.write_str("a write journal is for RAID 4, 5 and 6, without another log"),
            Self::Clustered => f.write_str("it is used by several machines at once"),
            Self::Dirty => f.write_str("it lacks members and was not stopped cleanly, so that parity may be wrong"),
            Self::Unsure => {
                f.write_str("the array was not stopped cleanly, so that parity, from which it follows, may be wrong")
            }
            Self::Lost => f.write_str("too many members lack it"),
            Self::OtherLevel(n) => write!(f, "its level is {n}, and another is asked for"),
            Self::Several => f.write_str("the devices belong to several arrays"),
            Self::Blocks => f.write_str("the members' blocks are larger than what its data are aligned to"),
            Self::NoPpl => f.write_str("a partial parity log is for RAID 5, and needs 32 KiB before the data"),
            Self::Copies => f.write_str("it has more than 8 copies"),
            Self::NoCopy(first) => write!(f, "no copy of some of its chunks is here; member {first} is missing"),
            Self::Missing { here, need, first } => {
                write!(f, "{here} of its members are here and {need} are needed; member {first} is missing")
            }
            Self::Disagree(_) | Self::SameRole(..) | Self::Split(_) => f.write_str("two devices disagree"),
        }
    }
}

impl Kind {
    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Short | Self::Data { .. } => "the image is cut off, or the disk was larger: copy it again, whole",
            Self::Major(_) | Self::Minor(_) | Self::Features(_) => "read it with a Linux that made it",
            Self::Sum { .. }
            | Self::Number(_)
            | Self::Role(..)
            | Self::Roles(_)
            | Self::Members(_)
            | Self::DataMeets => "the superblock is damaged: leave this device out, if the others are enough",
            Self::NoBitmap => "leave it out, make its chunk or the data offset larger, or choose metadata 1.2",
            Self::OtherBitmap(_) => "the bitmap was written over: leave this device out, if the others are enough",
            Self::Used { .. } | Self::Bitmap | Self::Log | Self::Size | Self::Chunk(_) | Self::TooFew(_) => {
                "the superblock is damaged: leave this device out, if the others are enough"
            }
            Self::Elsewhere(_) => "the image begins at another place than the member did: give the member alone",
            Self::Level(_) => "linear, 0, 1, 4, 5, 6 and 10 are read; read it with Linux",
            Self::Layout(_) | Self::Clustered => "read it with Linux",
            Self::Raid0Layout => "set it with `mdadm --assemble --update=layout-original` or -alternate on copies",
            Self::Nothing => "give the images of its members",
            Self::TooMany => "give fewer at a time",
            Self::Disagree(_) => "give only those that were last used together",
            Self::SameRole(..) => "one is a copy of the other: leave one of them out",
            Self::Split(_) => "they were used without each other: give only the one whose content you want",
            Self::Missing { .. } | Self::NoCopy(_) => "give the images of the missing members too",
            Self::Reshaping(_) => "let Linux finish the reshape on copies of the members first",
            Self::Overlaps(_) => {
                "let Linux finish it on copies, with mdadm's backup file; --force reads it, as it is if it was stopped cleanly"
            }
            Self::NoRoom(_) => "use a smaller chunk, or have --backup-file keep what is moved",
            Self::Backup => "give the file that was given when the reshape began",
            Self::FewSpares(_) => "add them with --add",
            Self::Shrinks(_) => "make what is on it smaller first, then say with --array-size how much has to stay",
            Self::Cannot(_) => "docs/raid.md says what can become what",
            Self::Unwritten => "nothing is lost: once it can be written, the same command goes on",
            Self::HasJournal => "let Linux assemble it with its journal once, on copies, and stop it",
            Self::NoJournal => {
                "give the journal's image too; --force reads the array without it, and what was written last may be wrong"
            }
            Self::JournalCached => "give the missing member too, or let Linux assemble it once; `orion cat` reads it",
            Self::JournalSmall { .. } => "give it a larger device",
            Self::JournalLevel => "leave the journal out",
            Self::Dirty | Self::Unsure => {
                "--force reads it all the same; the last blocks that were written may be wrong"
            }
            Self::Lost => "give the images of the missing members too",
            Self::OtherLevel(_) => "ask for the level that it has, or for none",
            Self::Several => "say which is meant by its UUID",
            Self::Blocks => "put its members on devices with smaller blocks",
            Self::NoPpl => "leave it out, or make the data offset larger",
            Self::Copies => "use it with Linux",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "superblock at sector {}: {}; {}", self.at, self.kind, self.kind.remedy())
    }
}

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Error { kind, at } = self.error;
        let device = |number: u64| Device(number, self.names);
        match kind {
            Kind::Disagree(other) => {
                write!(f, "{} and {} are equally new and describe different arrays", device(at), device(other.into()))
            }
            Kind::SameRole(crate::wire::JOURNAL, other) => {
                write!(f, "{} and {} both claim to be the write journal", device(at), device(other.into()))
            }
            Kind::SameRole(role, other) => {
                write!(f, "{} and {} both claim to be member {role}", device(at), device(other.into()))
            }
            Kind::Split(other) => {
                write!(f, "{} and {} do not agree which of them failed", device(at), device(other.into()))
            }
            Kind::Lost | Kind::Unsure => write!(f, "sector {at} of the array cannot be read: {kind}"),
            Kind::Missing { .. }
            | Kind::NoCopy(_)
            | Kind::Nothing
            | Kind::NoRoom(_)
            | Kind::FewSpares(_)
            | Kind::Backup
            | Kind::Shrinks(_)
            | Kind::Cannot(_) => write!(f, "{kind}"),
            _ => write!(f, "{}: {kind}", device(at)),
        }?;
        write!(f, "; {}", kind.remedy())
    }
}

impl core::error::Error for Error {}
