// SPDX-License-Identifier: MIT
//! Where superblocks lie.
use crate::wire::SUPER_BYTES;

/// Sectors that are read at each place.
pub const SECTORS: u64 = SUPER_BYTES as u64 / 512;
/// Sectors that 0.90 keeps at a device's end.
const RESERVED: u64 = 128;

/// The sectors of a device of so many at which a superblock may begin, as `mdadm` places them: 1.1 at the start, 1.2 at
/// 4 KiB, 1.0 at the last whole 4 KiB that has 8 KiB behind it, 0.90 at the last whole 64 KiB that has 64 KiB behind it.
pub fn places(sectors: u64) -> impl Iterator<Item = u64> {
    let end = sectors.checked_sub(16).map(|at| at & !7);
    let old = (sectors & !(RESERVED - 1)).checked_sub(RESERVED);
    let places = [Some(0), Some(8), end, old.filter(|&at| Some(at) != end)];
    // One at the end may be where one at the start would be, on a device that is smaller than any.
    let past = move |&at: &u64| at.checked_add(SECTORS).is_some_and(|end| end <= sectors);
    let late = move |(index, at): (usize, u64)| (index < 2 || at > 8).then_some(at);
    places.into_iter().enumerate().filter_map(|(i, at)| Some((i, at?))).filter_map(late).filter(past)
}
