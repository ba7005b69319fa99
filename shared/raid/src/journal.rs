// SPDX-License-Identifier: MIT
//! md's write journal: a ring of blocks of 4 KiB on a device of its own. A meta block says what the blocks behind it are: data,
//! parity of the same place, or that stripes are written (Linux's `uapi/linux/raid/md_p.h` and `md/raid5-cache.rst`).
use crate::Uuid;
use crate::ppl::crc32c;

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
const HEAD: usize = 32;
const PAYLOAD: usize = 16;
const FLUSH: usize = 8;
/// Where the checksum stands.
const SUM_AT: usize = 4;

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
        let mut clear = *bytes;
        put(&mut clear, SUM_AT, [0; 4]);
        let found = long(bytes, 16)?;
        let head = word(bytes, 0)? == MAGIC && bytes.get(8) == Some(&VERSION) && long(bytes, 24)? == at;
        let next = seq.is_none_or(|seq| seq == found);
        let end = usize::try_from(word(bytes, 12)?).ok().filter(|end| (HEAD..=BLOCK_BYTES).contains(end))?;
        if !head || !next || word(bytes, SUM_AT)? != self.sum(&clear) {
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
        let kind = word(self.bytes, at)?;
        let size = word(self.bytes, at + 4)?;
        if kind == 2 {
            let end = (at + FLUSH).checked_add(usize::try_from(size).ok()?).filter(|end| *end <= self.end)?;
            (at + FLUSH..end).step_by(8).filter_map(|at| long(self.bytes, at)).for_each(|at| each(Item::Written(at)));
            return Some(end);
        }
        let count = if kind == 0 { 1 } else { self.parities };
        let place = long(self.bytes, at + 8).filter(|place| place.is_multiple_of(BLOCK))?;
        if kind > 1 || size != count * 8 {
            return None;
        }
        let sum = |nth: usize| word(self.bytes, at + PAYLOAD + nth * 4);
        each(if kind == 0 { Item::Data(place, sum(0)?) } else { Item::P(place, sum(0)?) });
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
        let mut bytes = [0; BLOCK_BYTES];
        put(&mut bytes, 0, MAGIC.to_le_bytes());
        put(&mut bytes, 8, [VERSION]);
        put(&mut bytes, 16, seq.to_le_bytes());
        put(&mut bytes, 24, at.to_le_bytes());
        Self { bytes, end: HEAD, parities: log.parities }
    }

    /// Says what the next block is; whether there was room. [`Item::Q`] goes with the [`Item::P`] before it.
    pub fn add(&mut self, item: Item) -> bool {
        let (kind, size, place) = match item {
            Item::Data(place, _) => (0u32, 8u32, place),
            Item::P(place, _) => (1, 8 * self.parities, place),
            Item::Q(_, sum) => return self.push(&sum.to_le_bytes()),
            Item::Written(place) => {
                let mut payload = [0; FLUSH + 8];
                put(&mut payload, 0, 2u32.to_le_bytes());
                put(&mut payload, 4, 8u32.to_le_bytes());
                put(&mut payload, FLUSH, place.to_le_bytes());
                return self.push(&payload);
            }
        };
        let mut payload = [0; PAYLOAD + 4];
        put(&mut payload, 0, kind.to_le_bytes());
        put(&mut payload, 4, size.to_le_bytes());
        put(&mut payload, 8, place.to_le_bytes());
        put(&mut payload, PAYLOAD, item.sum().unwrap_or(0).to_le_bytes());
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
        put(&mut self.bytes, 12, u32::try_from(self.end).unwrap_or(0).to_le_bytes());
        let sum = log.sum(&self.bytes);
        put(&mut self.bytes, SUM_AT, sum.to_le_bytes());
        self.bytes
    }
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(to) = bytes.get_mut(at..at + N) {
        to.copy_from_slice(&value);
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|long| u64::from_le_bytes(*long))
}
