// SPDX-License-Identifier: MIT
//! What is moved in place is kept elsewhere first, as mdadm keeps it in its backup files: logical sectors one after the other,
//! and at the start a header that says which they are.
//!
//! The next sectors are written beside those that the header tells of, which stay good until it tells of the next: after a loss of
//! power what the header tells of is written anew, where the superblocks' position says that it may be half written.
use super::Write;
use crate::{Error, Kind, SECTOR, Super, Uuid};
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One part is kept, or two.
const ONE: [u8; 16] = *b"md_backup_data-1";
const TWO: [u8; 16] = *b"md_backup_data-2";
/// Sectors from a header to the data behind it.
const BEHIND: u64 = 8;

/// `mdp_backup_super` of mdadm's Grow.c.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Head {
    magic: [u8; 16],
    set: [u8; 16],
    time: U64,
    first: Part,
    sum: U32,
    pad: U32,
    second: Part,
    sum_2: U32,
    rest: [u8; 412],
}

/// Sectors that are kept: where, which of the array, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Part {
    at: U64,
    logical: U64,
    sectors: U64,
}

const _: () = assert!(size_of::<Head>() == SECTOR);

/// Logical sectors that a backup holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Its first sector there.
    pub at: u64,
    /// The first of the array.
    pub first: u64,
    /// How many.
    pub sectors: u64,
}

impl Kept {
    fn of(part: Part) -> Self {
        Self { at: part.at.get(), first: part.logical.get(), sectors: part.sectors.get() }
    }

    /// The logical sector behind the last; `None` where there is none.
    pub fn end(&self) -> Option<u64> {
        self.first.checked_add(self.sectors)
    }

    /// Where `sectors` others go that leave these as they are.
    fn beside(&self, sectors: u64) -> u64 {
        let before = self.sectors == 0 || self.at.saturating_sub(BEHIND) >= sectors.saturating_add(BEHIND);
        if before { BEHIND } else { self.at.saturating_add(self.sectors).next_multiple_of(BEHIND) + BEHIND }
    }
}

/// mdadm's sum of so many bytes, which takes the first each time.
fn sum(first: u8, len: usize) -> u32 {
    (0..len).fold(0u32, |sum, _| (sum << 3).wrapping_add(first.into()))
}

/// Bytes that the sums are of.
const SUMMED: usize = 64;
const SUMMED_2: usize = 96;

/// A header that tells of `kept`.
fn head(own: &Super, kept: Kept) -> [u8; SECTOR] {
    let first = Part { at: kept.at.into(), logical: kept.first.into(), sectors: kept.sectors.into() };
    let none = Part { at: U64::ZERO, logical: U64::ZERO, sectors: U64::ZERO };
    let (sum, pad, sum_2) = (sum(ONE[0], SUMMED).into(), U32::ZERO, U32::ZERO);
    let (magic, set, time) = (ONE, own.set.0, own.updated.into());
    zerocopy::transmute!(Head { magic, set, time, first, sum, pad, second: none, sum_2, rest: [0; 412] })
}

/// What a header tells of.
fn parse(bytes: &[u8; SECTOR], set: Uuid) -> Option<[Kept; 2]> {
    let head: Head = zerocopy::transmute!(*bytes);
    let both = head.magic == TWO;
    let good = (both || head.magic == ONE) && head.set == set.0 && head.sum.get() == sum(ONE[0], SUMMED);
    let second = both && head.sum_2.get() == sum(ONE[0], SUMMED_2);
    if !good || second != both {
        return None;
    }
    Some([Kept::of(head.first), if both { Kept::of(head.second) } else { Kept::default() }])
}

/// A backup, by the number of its device.
#[derive(Clone, Copy, Debug)]
pub struct Backup {
    device: usize,
    last: Kept,
}

impl Backup {
    /// A new one of the array with this superblock, that holds nothing yet.
    ///
    /// # Errors
    /// [`Kind::Unwritten`].
    pub fn begin(device: usize, own: &Super, disks: &mut impl Write) -> Result<(), Error> {
        let written = disks.write(device, 0, &head(own, Kept::default())) && disks.flush(device);
        if written { Ok(()) } else { Err(unwritten(device)) }
    }

    /// The one that was begun, and what of it may have to be written anew at this position of a reshape.
    ///
    /// # Errors
    /// [`Kind::Backup`] of what is none, or another array's.
    pub fn open(
        device: usize,
        set: Uuid,
        (position, backwards): (u64, bool),
        disks: &mut impl Write,
    ) -> Result<(Self, Option<Kept>), Error> {
        let none = Error { kind: Kind::Backup, at: position };
        let mut bytes = [0; SECTOR];
        let parts = disks.read(device, 0, &mut bytes).then(|| parse(&bytes, set)).flatten().ok_or(none)?;
        let last = parts.into_iter().max_by_key(|kept| kept.at).unwrap_or_default();
        let covers = |kept: &Kept| {
            let end = kept.end()?;
            let held = kept.sectors > 0
                && if backwards {
                    kept.first < position && position <= end
                } else {
                    kept.first <= position && position < end
                };
            held.then_some(*kept)
        };
        Ok((Self { device, last }, parts.iter().find_map(covers)))
    }

    /// Reads what is kept, from so many sectors of it on.
    pub fn read(&self, kept: Kept, skip: u64, to: &mut [u8], disks: &mut impl Write) -> bool {
        kept.at.checked_add(skip).is_some_and(|at| disks.read(self.device, at, to))
    }

    /// Keeps the logical sectors from `first` on, durably.
    ///
    /// # Errors
    /// [`Kind::Unwritten`].
    pub fn keep(&mut self, first: u64, data: &[u8], own: &Super, disks: &mut impl Write) -> Result<(), Error> {
        let sectors = u64::try_from(data.len() / SECTOR).unwrap_or(u64::MAX);
        let kept = Kept { at: self.last.beside(sectors), first, sectors };
        let head = head(own, kept);
        let number = self.device;
        let mut written = disks.write(number, kept.at, data);
        // mdadm looks for the header before the data too.
        if kept.at > BEHIND {
            written &= disks.write(number, kept.at - BEHIND, &head);
        }
        written &= disks.flush(number) && disks.write(number, 0, &head) && disks.flush(number);
        self.last = kept;
        if written { Ok(()) } else { Err(unwritten(number)) }
    }
}

fn unwritten(device: usize) -> Error {
    Error { kind: Kind::Unwritten, at: u64::try_from(device).unwrap_or(u64::MAX) }
}
