// SPDX-License-Identifier: MIT
//! The header of an internal bitmap.
use crate::wire::BitmapHead;
use crate::{Kind, Uuid};
use zerocopy::FromBytes;

/// The header of an internal bitmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bitmap {
    /// The array that it belongs to.
    pub set: Uuid,
    /// Events when it was written.
    pub events: u64,
    /// Bytes that a bit stands for.
    pub chunk: u32,
    /// Sectors that it describes.
    pub sectors: u64,
}

impl Bitmap {
    /// The header in the first bytes of a bitmap.
    ///
    /// # Errors
    /// [`Kind::Bitmap`] where there is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, Kind> {
        let (head, _) = BitmapHead::ref_from_prefix(bytes).map_err(|_| Kind::Bitmap)?;
        if head.magic != *b"bitm" || !(3..=5).contains(&head.version.get()) || head.chunk.get() < 512 {
            return Err(Kind::Bitmap);
        }
        Ok(Self {
            set: Uuid(head.set),
            events: head.events.get(),
            chunk: head.chunk.get(),
            sectors: head.sync_size.get(),
        })
    }
}

const _: () = assert!(size_of::<BitmapHead>() == 256);
