// SPDX-License-Identifier: MIT
//! Reads an assembled array, sector by sector from where they lie, or from copies and parity where members are missing or
//! cannot be read.
use crate::{Array, Error, Geometry, Kind, SECTOR, Slot, parity};

/// The devices of an array.
pub trait Read {
    /// Fills `to`, whole sectors, from `sector` of the device with this number; `false` where they cannot be read.
    fn read(&mut self, device: usize, sector: u64, to: &mut [u8]) -> bool;
}

/// Sectors of so many bytes.
fn sectors(bytes: usize) -> u64 {
    u64::try_from(bytes / SECTOR).unwrap_or(0)
}

/// Fills `to`, whole sectors, from the array's `sector` on. `scratch` is room for two sectors or more; the more it has, the
/// fewer reads are needed.
///
/// # Errors
/// [`Kind::Lost`] or [`Kind::Unsure`] with the first sector of what cannot be read, or not surely.
pub fn read(array: &Array, from: &mut impl Read, sector: u64, to: &mut [u8], scratch: &mut [u8]) -> Result<(), Error> {
    let most = scratch.len() / 2 / SECTOR * SECTOR;
    let (mut at, mut rest) = (sector, to);
    while !rest.is_empty() {
        let lost = Error { kind: Kind::Lost, at };
        let (geometry, moved, left) = array.side(at);
        let side = Side { array, geometry, moved };
        let run = geometry.place(at, 0).ok_or(lost)?.run.min(left);
        let run = usize::try_from(run).unwrap_or(usize::MAX).saturating_mul(SECTOR);
        let len = rest.len().min(most).min(run);
        let (piece, behind) = core::mem::take(&mut rest).split_at_mut_checked(len).filter(|_| len > 0).ok_or(lost)?;
        if !copy(&side, from, at, piece) {
            recover(&side, from, at, piece, scratch).ok_or(lost)?;
            if array.newest.is_dirty() && !array.force {
                return Err(Error { kind: Kind::Unsure, at });
            }
        }
        at = at.saturating_add(sectors(len));
        rest = behind;
    }
    Ok(())
}

/// Where some sectors are looked for.
struct Side<'a> {
    array: &'a Array,
    geometry: &'a Geometry,
    /// A reshape has moved the data.
    moved: bool,
}

/// The member of a role, where it holds `len` bytes from this sector of its data on.
fn member(array: &Array, role: u32, sector: u64, len: usize) -> Option<Slot> {
    let slot = array.slots.get(usize::try_from(role).ok()?).copied().flatten()?;
    let end = sector.checked_add(sectors(len))?;
    (end <= slot.valid).then_some(slot)
}

fn read_member(side: &Side<'_>, from: &mut impl Read, role: u32, sector: u64, to: &mut [u8]) -> bool {
    let Some(slot) = member(side.array, role, sector, to.len()) else { return false };
    let offset = if side.moved { slot.moved } else { slot.offset };
    offset.checked_add(sector).is_some_and(|at| from.read(slot.device, at, to))
}

/// Reads one of the copies.
fn copy(side: &Side<'_>, from: &mut impl Read, sector: u64, to: &mut [u8]) -> bool {
    let mut places = (0..).map_while(|copy| side.geometry.place(sector, copy));
    places.any(|place| read_member(side, from, place.member, place.sector, to))
}

/// What the members of a stripe gave.
struct Sums {
    /// The power of a second member with data that gave nothing.
    other: Option<u32>,
    p: bool,
    q: bool,
}

/// Computes `to` from the other members of its stripe.
fn recover(side: &Side<'_>, from: &mut impl Read, sector: u64, to: &mut [u8], scratch: &mut [u8]) -> Option<()> {
    let geometry = side.geometry;
    let place = geometry.place(sector, 0)?;
    let stripe = geometry.stripe(place.sector)?;
    let (piece, scratch) = scratch.split_at_mut_checked(to.len())?;
    let q = scratch.get_mut(..to.len())?;
    to.fill(0);
    q.fill(0);
    let machine = orion_parity::Parity::new();
    let mut sums = Sums { other: None, p: false, q: false };
    for role in stripe.members().filter(|&role| role != place.member) {
        let power = stripe.power(role);
        if read_member(side, from, role, place.sector, piece) {
            machine.add(to, piece);
            machine.add_product(q, piece, parity::power(power));
        } else if sums.other.replace(power).is_some() {
            return None;
        }
    }
    if read_member(side, from, stripe.p, place.sector, piece) {
        machine.add(to, piece);
        sums.p = true;
    }
    // Q is only needed where P is not enough.
    if (!sums.p || sums.other.is_some())
        && let Some(role) = stripe.q
        && read_member(side, from, role, place.sector, piece)
    {
        machine.add(q, piece);
        sums.q = true;
    }
    let own = stripe.power(place.member);
    match sums {
        Sums { other: None, p: true, .. } => {}
        Sums { other: None, q: true, .. } => {
            parity::from_q(machine, q, own);
            to.copy_from_slice(q);
        }
        Sums { other: Some(other), p: true, q: true } => parity::from_p_and_q(machine, to, q, own, other),
        _ => return None,
    }
    Some(())
}
