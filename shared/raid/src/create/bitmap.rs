// SPDX-License-Identifier: MIT
//! New arrays with a write-intent bitmap.
use super::New;
use crate::engine::BITMAP_BITS;
use crate::wire::feature;
use crate::{Bitmap, Geometry, Kind, Level, Super, Version};

/// Sectors from the superblock to the bitmap, as mdadm places it.
const BEHIND: u64 = 8;
/// Bytes that a bit stands for at least where nothing else is said, as for mdadm.
const CHUNK: u32 = 64 << 20;

impl New<'_> {
    /// Gives the superblocks of a new array a write-intent bitmap, in which a bit stands for `chunk` bytes, a power of two, or for as
    /// many as mdadm has it. What is returned goes behind each superblock, where it says, with all bits set behind it.
    ///
    /// # Errors
    /// [`Kind::NoBitmap`] where there is no room for so many bits, or where such an array has none.
    pub fn bitmap(&self, supers: &mut [Super], chunk: Option<u32>) -> Result<Bitmap, Kind> {
        let like = supers.first().ok_or(Kind::Nothing)?;
        let logged = like.features & (feature::PPL | feature::JOURNAL) != 0;
        if self.level <= 0 || logged || self.version == Version::V10 {
            return Err(Kind::NoBitmap);
        }
        let level = Level::parse(self.level, self.layout, false)?;
        let geometry = Geometry::new(level, like.raid_disks, self.chunk, like.size, &[])?;
        let sectors = if let Level::Raid10(_) = level { geometry.sectors() } else { geometry.used(0) };
        let room = self.data_offset.saturating_sub(like.super_offset + BEHIND) * 512;
        let fits = |chunk: u32| {
            let made = Bitmap::new(self.set, chunk, sectors);
            (made.bytes() <= room && made.bits() <= BITMAP_BITS).then_some(made)
        };
        let made = match chunk {
            Some(chunk) => fits(chunk).filter(|_| chunk.is_power_of_two() && chunk >= 4096),
            None => (0..6).find_map(|shift| fits(CHUNK << shift)),
        };
        let made = made.ok_or(Kind::NoBitmap)?;
        for own in supers {
            own.features |= feature::BITMAP;
            own.bitmap = Some(own.super_offset + BEHIND);
        }
        Ok(made)
    }
}
