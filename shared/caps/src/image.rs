// SPDX-License-Identifier: MIT
//! The derivation tree as bytes that survive a restart of the gatekeeper.
//!
//! A region holds two images, each in a half of its own. A change goes into the half with the older one: first a word
//! that says that the half is being written, then the bytes, then the word that says that they are all there. A half that
//! was being written when the gatekeeper died is passed over, since nobody was told of that change. A half that says it is
//! complete and is not, or whose number is not next to the other's, means that the state is lost: nothing is allowed then,
//! rather than what was allowed earlier. Zeroed memory is the state after boot, when `system.xml` holds.
use crate::tree::{Entry, Life, NOTHING, Tree};
use crate::{Budget, CAPABILITIES_MAX, Capability, Extent, Rights};
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Most bytes of an image.
pub const IMAGE_MAX: usize = size_of::<Header>() + CAPABILITIES_MAX * size_of::<Record>();
const MAGIC: [u8; 8] = *b"ORIONCAP";
const VERSION: u32 = 1;

/// First bytes of an image.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    version: U32,
    /// CRC-32C of everything after this field, with `records`.
    checksum: U32,
    sequence: U64,
    /// Of the grants of system.xml from which this came.
    origin: U64,
    records: U32,
    pad: U32,
    epochs: [U32; 64],
}

#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Record {
    live: u8,
    client: u8,
    window: u8,
    port: u8,
    parent: u8,
    depth: u8,
    maker: u8,
    frozen: u8,
    rights: U16,
    weight: U16,
    in_flight: U32,
    iops: U32,
    burst_ms: U32,
    bytes: U64,
    first: U64,
    blocks: U64,
    expires: U32,
    line: U32,
}

/// The image is not one, or not of this system: nothing may be allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// CRC-32C (Castagnoli), as in RFC 3720.
pub fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut n: u32 = 0;
        while n < 256 {
            let (mut crc, mut bit) = (n, 0);
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
                bit += 1;
            }
            #[expect(clippy::indexing_slicing, reason = "n is below 256, and this runs when it is compiled")]
            {
                table[n as usize] = crc;
            }
            n += 1;
        }
        table
    };
    let step = |crc: u32, byte: &u8| {
        let [low, ..] = crc.to_le_bytes();
        crc >> 8 ^ TABLE.get(usize::from(low ^ byte)).copied().unwrap_or(0)
    };
    !bytes.iter().fold(u32::MAX, step)
}

const CHECKED_FROM: usize = 16;

impl Tree {
    /// Writes the tree's image number `sequence`; its bytes, or `None` where `into` has no room.
    pub fn write(&self, sequence: u64, origin: u64, into: &mut [u8]) -> Option<usize> {
        let mut header = Header {
            magic: MAGIC,
            version: VERSION.into(),
            checksum: 0.into(),
            sequence: sequence.into(),
            origin: origin.into(),
            records: u32::try_from(self.entries.len()).ok()?.into(),
            pad: 0.into(),
            epochs: self.epochs.map(U32::new),
        };
        let len = size_of::<Header>() + self.entries.len() * size_of::<Record>();
        let image = into.get_mut(..len)?;
        let (head, records) = image.split_at_mut_checked(size_of::<Header>())?;
        for (bytes, entry) in records.chunks_exact_mut(size_of::<Record>()).zip(&self.entries) {
            bytes.copy_from_slice(record(entry).as_bytes());
        }
        head.copy_from_slice(header.as_bytes());
        header.checksum = crc32c(image.get(CHECKED_FROM..)?).into();
        image.get_mut(..size_of::<Header>())?.copy_from_slice(header.as_bytes());
        Some(len)
    }

    /// The tree of an image, and the image's number.
    pub fn read(bytes: &[u8], origin: u64) -> Result<(Self, u64), Unreadable> {
        let (header, rest) = Header::ref_from_prefix(bytes).map_err(|_| Unreadable)?;
        let count = usize::try_from(header.records.get()).ok().filter(|n| *n <= CAPABILITIES_MAX).ok_or(Unreadable)?;
        let records = rest.get(..count * size_of::<Record>()).ok_or(Unreadable)?;
        let whole = bytes.get(CHECKED_FROM..size_of::<Header>() + records.len()).ok_or(Unreadable)?;
        let ours = header.magic == MAGIC && header.version.get() == VERSION && header.origin.get() == origin;
        if !ours || crc32c(whole) != header.checksum.get() {
            return Err(Unreadable);
        }
        let mut tree = Self::new();
        tree.epochs = header.epochs.map(U32::get);
        for bytes in records.chunks_exact(size_of::<Record>()) {
            let record = Record::read_from_bytes(bytes).map_err(|_| Unreadable)?;
            tree.restore(&record)?;
        }
        tree.sound().then_some((tree, header.sequence.get())).ok_or(Unreadable)
    }

    /// Appends an entry at the place that it had.
    fn restore(&mut self, r: &Record) -> Result<(), Unreadable> {
        let granted = Capability {
            client: r.client,
            window: r.window,
            port: r.port,
            extent: Extent { first: r.first.get(), blocks: r.blocks.get() },
            rights: Rights::from_bits(r.rights.get()),
            budget: Budget {
                in_flight: r.in_flight.get(),
                iops: r.iops.get(),
                bytes: r.bytes.get(),
                burst_ms: r.burst_ms.get(),
            },
            weight: r.weight.get(),
            expires: r.expires.get(),
            line: r.line.get(),
        };
        let life = if r.live == 1 { Life::Live } else { Life::Free };
        let entry = Entry { frozen: r.frozen, life, ..Entry::new(granted, r.parent, r.depth, r.maker) };
        self.restore_entry(entry).ok_or(Unreadable)
    }

    /// Whether each live capability hangs on a live one that it could have come from. The checksum says that we wrote
    /// it; this, that nothing that we could have written wrongly makes rights grow.
    fn sound(&mut self) -> bool {
        let sound = |e: &Entry| match (self.entry(e.parent), e.parent) {
            (None, NOTHING) => e.depth == 0,
            (Some(above), _) => {
                above.life == Life::Live
                    && above.depth.checked_add(1) == Some(e.depth)
                    && above.granted.port == e.granted.port
                    && above.granted.rights.contains(e.granted.rights)
            }
            (None, _) => false,
        };
        if !self.entries.iter().filter(|e| e.life == Life::Live).all(sound) {
            return false;
        }
        for index in self.indices() {
            let live = |e: &&Entry| e.life == Life::Live;
            let below = self.entries.iter().filter(|e| live(e) && e.parent == index).count();
            if let Some(entry) = self.entry_mut(index) {
                entry.below = u32::try_from(below).unwrap_or(0);
            }
        }
        true
    }
}

fn record(e: &Entry) -> Record {
    let g = &e.granted;
    Record {
        live: u8::from(e.life == Life::Live),
        client: g.client,
        window: g.window,
        port: g.port,
        parent: e.parent,
        depth: e.depth,
        maker: e.maker,
        frozen: e.frozen,
        rights: g.rights.bits().into(),
        weight: g.weight.into(),
        in_flight: g.budget.in_flight.into(),
        iops: g.budget.iops.into(),
        burst_ms: g.budget.burst_ms.into(),
        bytes: g.budget.bytes.into(),
        first: g.extent.first.into(),
        blocks: g.extent.blocks.into(),
        expires: g.expires.into(),
        line: g.line.into(),
    }
}

/// A half's word: being written.
pub const WRITING: u32 = 1;
/// A half's word: complete.
pub const COMPLETE: u32 = 2;

/// What the two halves of the state region come to.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, and nothing may allocate")]
pub(crate) enum Found {
    /// Nothing was written since boot.
    Fresh,
    /// This, with its number and the half that it lies in.
    Tree(Tree, u64, usize),
}

/// Judges the halves, each its word and its bytes.
pub(crate) fn newest(halves: [(u32, &[u8]); 2], origin: u64) -> Result<Found, Unreadable> {
    let read = |(word, bytes): (u32, &[u8])| match word {
        0 | WRITING => Ok(None),
        COMPLETE => Tree::read(bytes, origin).map(Some),
        _ => Err(Unreadable),
    };
    let words = halves.map(|(word, _)| word);
    let [first, second] = halves;
    let first = read(first)?;
    match (first, read(second)?, words) {
        (Some((_, a)), Some((tree, b)), _) if a.checked_add(1) == Some(b) => Ok(Found::Tree(tree, b, 1)),
        (Some((tree, a)), Some((_, b)), _) if b.checked_add(1) == Some(a) => Ok(Found::Tree(tree, a, 0)),
        // The other half was being written, or never was.
        (Some((tree, a)), None, [_, WRITING]) => Ok(Found::Tree(tree, a, 0)),
        (None, Some((tree, b)), [WRITING, _]) => Ok(Found::Tree(tree, b, 1)),
        (Some((tree, 1)), None, _) => Ok(Found::Tree(tree, 1, 0)),
        // The first change since boot, of which nobody was told.
        (None, None, [0 | WRITING, 0]) => Ok(Found::Fresh),
        _ => Err(Unreadable),
    }
}
