// SPDX-License-Identifier: MIT
//! md's write journal: a ring of blocks of 4 KiB on a device of its own. A meta block says what the blocks behind it are: data,
//! parity of the same place, or that stripes are written (Linux's `uapi/linux/raid/md_p.h` and `md/raid5-cache.rst`).
use crate::Uuid;
use crate::ppl::crc32c;
use crate::wire::{JournalHead, JournalPayload, PayloadKind};
use zerocopy::byteorder::little_endian::{U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Bytes of a block.
pub const BLOCK_BYTES: usize = 4096;
/// Sectors of a block.
pub const BLOCK: u64 = 8;
/// What is added to the number of the last meta block of an earlier life, so that nothing behind it is ever taken for its
/// successor.
pub const LEAP: u64 = 10_000;
const MAGIC: u32 = 0x6433_c509;
const VERSION: u8 = 1;
/// Bytes before the payloads, before the checksums of a payload, and before the sectors of one that says what is written.
const HEAD: usize = size_of::<JournalHead>();
const PAYLOAD: usize = size_of::<JournalPayload>();
const FLUSH: usize = size_of::<PayloadKind>();
/// Kinds of payloads.
const DATA: u16 = 0;
const PARITY: u16 = 1;
const WRITTEN: u16 = 2;

/// What stands at a place of a block.
fn view<T: FromBytes + KnownLayout + Immutable + Unaligned>(bytes: &[u8], at: usize) -> Option<&T> {
    T::ref_from_prefix(bytes.get(at..)?).ok().map(|(found, _)| found)
}

/// What a meta block says, a block of the log each, but for the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// 4 KiB of the array from this sector of it on, with their checksum.
    Data(u64, u32),
    /// P of the stripe at this sector of the members' data.
    P(u64, u32),
    /// Q of the same.
    Q(u64, u32),
    /// The stripe at this sector of the members' data is written: what was logged of it is no longer needed.
    Written(u64),
}

impl Item {
    /// The checksum of its block in the log; `None` where it has none.
    pub fn sum(&self) -> Option<u32> {
        match *self {
            Self::Data(_, sum) | Self::P(_, sum) | Self::Q(_, sum) => Some(sum),
            Self::Written(_) => None,
        }
    }
}

/// The log of one array.
#[derive(Clone, Copy, Debug, Default)]
pub struct Log {
    /// What every checksum begins with.
    seed: u32,
    /// Sectors of the ring.
    pub sectors: u64,
    /// Blocks of parity of a stripe: 1 or 2.
    parities: u32,
}

impl Log {
    /// The log of the array `set` on a device with so many sectors of data; RAID 6 has two `parities`.
    pub fn new(set: Uuid, sectors: u64, parities: u32) -> Self {
        Self { seed: crc32c(0, &set.0), sectors: sectors & !(BLOCK - 1), parities }
    }

    /// The checksum of a block.
    pub fn sum(&self, block: &[u8]) -> u32 {
        !crc32c(self.seed, block)
    }

    /// The place that lies so many sectors, at most a round, behind another.
    pub fn behind(&self, at: u64, sectors: u64) -> u64 {
        let sum = at.saturating_add(sectors);
        if sum >= self.sectors { sum - self.sectors } else { sum }
    }

    /// Sectors from one place to another.
    pub fn between(&self, from: u64, to: u64) -> u64 {
        if to >= from { to - from } else { (self.sectors - from).saturating_add(to) }
    }

    /// Where a log begins whose superblock says `tail`.
    pub fn first(&self, tail: u64) -> u64 {
        if tail < self.sectors && tail.is_multiple_of(BLOCK) { tail } else { 0 }
    }

    /// The meta block that was read at `at`, with this number if one is expected; `None` where the log ends.
    pub fn parse<'a>(&self, bytes: &'a [u8; BLOCK_BYTES], at: u64, seq: Option<u64>) -> Option<Meta<'a>> {
        let head: &JournalHead = view(bytes, 0)?;
        let (found, sum) = (head.seq.get(), head.sum.get());
        let own = head.magic.get() == MAGIC && head.version == VERSION && head.position.get() == at;
        let next = seq.is_none_or(|seq| seq == found);
        let end = usize::try_from(head.size.get()).ok().filter(|end| (HEAD..=BLOCK_BYTES).contains(end))?;
        let mut clear = *bytes;
        JournalHead::mut_from_prefix(&mut clear).ok()?.0.sum = 0.into();
        if !own || !next || sum != self.sum(&clear) {
            return None;
        }
        let meta = Meta { bytes, seq: found, end, parities: self.parities };
        // It never says more than the ring holds.
        let good = meta.walk(|_| {}) && meta.blocks() < self.sectors / BLOCK;
        good.then_some(meta)
    }
}

/// A meta block.
#[derive(Clone, Copy, Debug)]
pub struct Meta<'a> {
    bytes: &'a [u8; BLOCK_BYTES],
    /// Its number.
    pub seq: u64,
    end: usize,
    parities: u32,
}

impl Meta<'_> {
    /// Blocks behind it that belong to it.
    pub fn blocks(&self) -> u64 {
        let mut blocks = 0;
        self.walk(|item| blocks += u64::from(item.sum().is_some()));
        blocks
    }

    /// Shows everything that it says, in order; whether that can be understood to its end.
    pub fn walk(&self, mut each: impl FnMut(Item)) -> bool {
        let mut at = HEAD;
        while at < self.end {
            let Some(next) = self.payload(at, &mut each).filter(|next| *next <= self.end) else { return false };
            at = next;
        }
        true
    }

    /// Shows one payload; where the next is.
    fn payload(&self, at: usize, each: &mut impl FnMut(Item)) -> Option<usize> {
        let &PayloadKind { kind, flags, size } = view(self.bytes, at)?;
        let (kind, size) = (kind.get(), size.get());
        if flags.get() != 0 {
            return None;
        }
        if kind == WRITTEN {
            let end = (at + FLUSH).checked_add(usize::try_from(size).ok()?).filter(|end| *end <= self.end)?;
            let places = (at + FLUSH..end).step_by(8).filter_map(|at| view::<U64>(self.bytes, at));
            places.for_each(|place| each(Item::Written(place.get())));
            return Some(end);
        }
        let count = if kind == DATA { 1 } else { self.parities };
        let place = view::<JournalPayload>(self.bytes, at)?.place.get();
        if kind > PARITY || size != count * 8 || !place.is_multiple_of(BLOCK) {
            return None;
        }
        let sum = |nth: usize| view::<U32>(self.bytes, at + PAYLOAD + nth * 4).map(|sum| sum.get());
        each(if kind == DATA { Item::Data(place, sum(0)?) } else { Item::P(place, sum(0)?) });
        if count == 2 {
            each(Item::Q(place, sum(1)?));
        }
        Some(at + PAYLOAD + 4 * usize::try_from(count).ok()?)
    }
}

/// A meta block that is being made.
#[derive(Debug)]
pub struct Maker {
    bytes: [u8; BLOCK_BYTES],
    end: usize,
    parities: u32,
}

impl Maker {
    /// An empty one with this number, to be written at `at`.
    pub fn new(log: &Log, at: u64, seq: u64) -> Self {
        let head = JournalHead {
            magic: MAGIC.into(),
            sum: 0.into(),
            version: VERSION,
            pad: [0; 3],
            size: 0.into(),
            seq: seq.into(),
            position: at.into(),
        };
        let mut bytes = [0; BLOCK_BYTES];
        let _ = head.write_to_prefix(&mut bytes);
        Self { bytes, end: HEAD, parities: log.parities }
    }

    /// Says what the next block is; whether there was room. [`Item::Q`] goes with the [`Item::P`] before it.
    pub fn add(&mut self, item: Item) -> bool {
        let kind = |kind: u16, size: u32| PayloadKind { kind: kind.into(), flags: 0.into(), size: size.into() };
        let (kind, place, sum) = match item {
            Item::Data(place, sum) => (kind(DATA, 8), place, sum),
            Item::P(place, sum) => (kind(PARITY, 8 * self.parities), place, sum),
            Item::Q(_, sum) => return self.push(&sum.to_le_bytes()),
            Item::Written(place) => {
                return self.push(JournalPayload { kind: kind(WRITTEN, 8), place: place.into() }.as_bytes());
            }
        };
        let mut payload = [0; PAYLOAD + 4];
        let _ = JournalPayload { kind, place: place.into() }.write_to_prefix(&mut payload);
        let _ = sum.to_le_bytes().write_to_suffix(&mut payload);
        self.push(&payload)
    }

    fn push(&mut self, payload: &[u8]) -> bool {
        let Some(to) = self.bytes.get_mut(self.end..self.end + payload.len()) else { return false };
        to.copy_from_slice(payload);
        self.end += payload.len();
        true
    }

    /// Its bytes.
    pub fn finish(mut self, log: &Log) -> [u8; BLOCK_BYTES] {
        if let Ok((head, _)) = JournalHead::mut_from_prefix(&mut self.bytes) {
            head.size = u32::try_from(self.end).unwrap_or(0).into();
        }
        let sum = log.sum(&self.bytes);
        if let Ok((head, _)) = JournalHead::mut_from_prefix(&mut self.bytes) {
            head.sum = sum.into();
        }
        self.bytes
    }
}
