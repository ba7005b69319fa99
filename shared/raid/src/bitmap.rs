// SPDX-License-Identifier: MIT
//! The header of an internal bitmap. The bits follow it, the lowest of each byte first: one says that the array's copies, or its
//! parity, may disagree somewhere in the sectors that it stands for.
use crate::wire::BitmapHead;
use crate::{Kind, Uuid};
use zerocopy::{FromBytes, IntoBytes};

/// Bytes of the header.
pub const HEAD_BYTES: usize = size_of::<BitmapHead>();
/// Bit of the state that says that the bits are out of date, and the seconds after which mdadm has bits cleared.
const STALE: u32 = 2;
const SLEEP: u32 = 5;

/// The header of an internal bitmap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bitmap {
    /// The array that it belongs to.
    pub set: Uuid,
    /// Events when it was written.
    pub events: u64,
    /// Events when all that bits stood for was last known to agree on all members.
    pub cleared: u64,
    /// Bytes that a bit stands for.
    pub chunk: u32,
    /// Sectors that it describes.
    pub sectors: u64,
    /// The bits are out of date.
    pub stale: bool,
    /// Seconds after which bits are cleared.
    pub sleep: u32,
    /// Most members written behind.
    pub behind: u32,
}

impl Bitmap {
    /// The header in the first bytes of a bitmap.
    ///
    /// # Errors
    /// [`Kind::Bitmap`] where there is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Kind> {
        let (head, _) = BitmapHead::ref_from_prefix(bytes).map_err(|_| Kind::Bitmap)?;
        let chunk = head.chunk.get();
        if head.magic != *b"bitm" || !(3..=5).contains(&head.version.get()) || chunk < 512 || !chunk.is_power_of_two() {
            return Err(Kind::Bitmap);
        }
        Ok(Self {
            set: Uuid(head.set),
            events: head.events.get(),
            cleared: head.events_cleared.get(),
            chunk,
            sectors: head.sync_size.get(),
            stale: head.state.get() & STALE != 0,
            sleep: head.sleep.get(),
            behind: head.write_behind.get(),
        })
    }

    /// Of a new array, in which a bit stands for so many bytes.
    pub fn new(set: Uuid, chunk: u32, sectors: u64) -> Self {
        Self { set, chunk, sectors, sleep: SLEEP, ..Self::default() }
    }

    /// Its bytes.
    pub fn emit(&self) -> [u8; HEAD_BYTES] {
        let head = BitmapHead {
            magic: *b"bitm",
            version: 4.into(),
            set: self.set.0,
            events: self.events.into(),
            events_cleared: self.cleared.into(),
            sync_size: self.sectors.into(),
            state: if self.stale { STALE } else { 0 }.into(),
            chunk: self.chunk.into(),
            sleep: self.sleep.into(),
            write_behind: self.behind.into(),
            reserved: 0.into(),
            nodes: 0.into(),
            cluster: [0; 64],
            pad: [0; 120],
        };
        let mut bytes = [0; HEAD_BYTES];
        bytes.copy_from_slice(head.as_bytes());
        bytes
    }

    /// Bits that there are.
    pub fn bits(&self) -> u64 {
        self.sectors.div_ceil(u64::from(self.chunk / 512).max(1))
    }

    /// Bytes of it all, in whole sectors.
    pub fn bytes(&self) -> u64 {
        (HEAD_BYTES as u64).saturating_add(self.bits().div_ceil(8)).next_multiple_of(512)
    }
}

const _: () = assert!(HEAD_BYTES == 256);
