// SPDX-License-Identifier: MIT
//! Reshapes an array that nobody uses meanwhile, window by window.
use super::backup::Backup;
use super::{Before, Groups, save, supers};
use crate::wire::SUPER_BYTES;
use crate::{Array, Error, Geometry, Kind, Level, Read, Role, SECTOR, Super, parity, read};
use orion_parity::Parity;

/// The devices of an array, written too.
pub trait Write: Read {
    /// Writes whole sectors from `sector` of the device with this number on; `false` where that cannot be.
    fn write(&mut self, device: usize, sector: u64, from: &[u8]) -> bool;
    /// Makes durable what was written to the device; `false` where that cannot be.
    fn flush(&mut self, device: usize) -> bool;
}

/// Bytes for what is computed while the old geometry is read, at least.
const SCRATCH: usize = 64 << 10;

/// A reshape that is under way.
#[derive(Debug)]
pub struct Mover {
    pub(super) array: Array,
    pub(super) before: Before,
    new: Groups,
    pub(super) step: u64,
    /// The position that all superblocks say.
    durable: u64,
    machine: Parity,
    /// What keeps what is moved in place.
    pub(super) backup: Option<Backup>,
}

pub(super) fn bytes(sectors: u64) -> usize {
    usize::try_from(sectors).unwrap_or(usize::MAX).saturating_mul(SECTOR)
}

fn sectors(bytes: usize) -> u64 {
    u64::try_from(bytes / SECTOR).unwrap_or(0)
}

/// Writes the superblocks of all devices, one event later.
///
/// # Errors
/// [`Kind::Unwritten`], with the device.
pub fn write_supers(all: &mut [Super], disks: &mut impl Write) -> Result<(), Error> {
    let events = all.iter().map(|device| device.events).max().unwrap_or(0).saturating_add(1);
    for (number, device) in all.iter_mut().enumerate().filter(|(_, device)| device.role != Role::Faulty) {
        let failed = Error { kind: Kind::Unwritten, at: u64::try_from(number).unwrap_or(u64::MAX) };
        device.events = events;
        device.updated = device.updated.saturating_add(1);
        let mut bytes = [0; SUPER_BYTES];
        let used = device.emit(&mut bytes).ok_or(failed)?.next_multiple_of(8 * SECTOR);
        let bytes = bytes.get(..used).ok_or(failed)?;
        if !disks.write(number, device.super_offset, bytes) || !disks.flush(number) {
            return Err(failed);
        }
    }
    Ok(())
}

impl Mover {
    /// Goes on with the reshape that an array is in. All superblocks are those that [`Array::assemble`] took.
    ///
    /// # Errors
    /// [`Kind`] of why it cannot.
    pub fn new(array: Array) -> Result<Self, Kind> {
        let before = array.before.clone().ok_or(Kind::Nothing)?;
        let new = Groups::of(&array.geometry).ok_or(Kind::Reshaping(before.position))?;
        let step = before.step(&array.geometry).ok_or(Kind::Size)?;
        let durable = before.position;
        Ok(Self { array, before, new, step, durable, machine: Parity::new(), backup: None })
    }

    /// Bytes of memory that [`step`](Self::step) needs at least; with more it takes fewer steps.
    pub fn least(&self) -> usize {
        self.per_step().saturating_add(SCRATCH)
    }

    /// Bytes of a step: its data, and what a member gets of it.
    fn per_step(&self) -> usize {
        let rows = (self.step / self.new.logical).saturating_mul(self.new.rows);
        bytes(self.step).saturating_add(bytes(rows))
    }

    /// Logical sectors that are done, and all.
    pub fn progress(&self) -> (u64, u64) {
        let all = self.end();
        (if self.before.backwards { all.saturating_sub(self.before.position) } else { self.before.position }, all)
    }

    /// Where a reshape forwards ends, and one backwards begins.
    fn end(&self) -> u64 {
        let after = self.array.geometry.sectors();
        if self.before.backwards { after.min(self.before.geometry.sectors()) } else { after }
    }

    /// The position behind `steps` steps, the first of which may begin within one.
    pub(super) fn behind(&self, steps: u64) -> u64 {
        let at = self.before.position;
        if self.before.backwards {
            let first = at.saturating_sub(1) / self.step;
            first.saturating_add(1).saturating_sub(steps).saturating_mul(self.step)
        } else {
            (at / self.step).saturating_add(steps).saturating_mul(self.step).min(self.end())
        }
    }

    /// Moves one window; `false` when all is moved, and the superblocks say so.
    ///
    /// # Errors
    /// What could not be read or written. Nothing is lost: another mover can go on from there.
    pub fn step(&mut self, all: &mut [Super], disks: &mut impl Write, room: &mut [u8]) -> Result<bool, Error> {
        let at = self.before.position;
        let here = |kind| Error { kind, at };
        if at == if self.before.backwards { 0 } else { self.end() } {
            self.settle(disks)?;
            supers::end(all);
            write_supers(all, disks)?;
            return Ok(false);
        }
        let fit = u64::try_from(room.len().saturating_sub(SCRATCH) / self.per_step().max(1)).unwrap_or(0);
        let durable = |to: &Self, position| Before { position, ..to.before.clone() };
        let most = |to: &Self, from: u64| {
            let from = durable(to, from);
            let clear = |steps: &u64| from.clear(&to.array.geometry, to.behind(*steps));
            (1..=fit).take_while(clear).last()
        };
        let steps = match most(self, self.durable) {
            Some(steps) => steps,
            None => {
                self.checkpoint(all, disks)?;
                match most(self, at) {
                    Some(steps) => steps,
                    None if fit > 0 && self.backup.is_some() => return self.step_in_place(all, disks, room, fit),
                    None => return Err(here(if fit == 0 { Kind::Size } else { Kind::Overlaps(at) })),
                }
            }
        };
        let next = self.behind(steps);
        let (first, end) = (at.min(next), at.max(next));
        let (data, rest) = room.split_at_mut_checked(bytes(end - first)).ok_or(here(Kind::Size))?;
        self.load(first, data, disks, rest)?;
        self.store(first, data, disks, rest)?;
        self.before.position = next;
        self.array.before = Some(self.before.clone());
        Ok(true)
    }

    /// Has what was moved be durable, and the superblocks say it.
    ///
    /// # Errors
    /// [`Kind::Unwritten`], with the device.
    pub fn checkpoint(&mut self, all: &mut [Super], disks: &mut impl Write) -> Result<(), Error> {
        self.settle(disks)?;
        let position = self.before.position;
        save(all, position, self.new.begin(position));
        write_supers(all, disks)?;
        self.durable = position;
        Ok(())
    }

    fn settle(&self, disks: &mut impl Write) -> Result<(), Error> {
        let failed = |device: usize| Error { kind: Kind::Unwritten, at: u64::try_from(device).unwrap_or(u64::MAX) };
        let mut used = self.array.slots.iter().flatten();
        used.try_for_each(|slot| if disks.flush(slot.device) { Ok(()) } else { Err(failed(slot.device)) })
    }

    /// Reads logical sectors as they are in the old geometry; zeroes behind its end.
    pub(super) fn load(
        &self,
        first: u64,
        data: &mut [u8],
        disks: &mut impl Write,
        scratch: &mut [u8],
    ) -> Result<(), Error> {
        let has = bytes(self.before.geometry.sectors().saturating_sub(first)).min(data.len());
        let (old, new) = data.split_at_mut_checked(has).ok_or(Error { kind: Kind::Size, at: first })?;
        new.fill(0);
        read::read(&self.array, disks, first, old, scratch)
    }

    /// Writes logical sectors as they are in the new geometry.
    pub(super) fn store(&self, first: u64, data: &[u8], disks: &mut impl Write, room: &mut [u8]) -> Result<(), Error> {
        match self.array.geometry.level() {
            Level::Parity(_) => self.store_stripes(first, data, disks, room),
            _ => self.store_copies(first, data, disks),
        }
    }

    /// Writes every copy of each chunk.
    fn store_copies(&self, first: u64, data: &[u8], disks: &mut impl Write) -> Result<(), Error> {
        let geometry = &self.array.geometry;
        let (mut at, mut rest) = (first, data);
        while !rest.is_empty() {
            let none = Error { kind: Kind::Size, at };
            let run = geometry.place(at, 0).ok_or(none)?.run;
            let (piece, behind) = rest.split_at_checked(bytes(run).min(rest.len())).ok_or(none)?;
            let mut places = (0..).map_while(|copy| geometry.place(at, copy));
            places.try_for_each(|place| self.put(place.member, place.sector, piece, disks))?;
            at = at.saturating_add(sectors(piece.len()));
            rest = behind;
        }
        Ok(())
    }

    /// Writes whole stripes, each member's part at once.
    fn store_stripes(&self, first: u64, data: &[u8], disks: &mut impl Write, room: &mut [u8]) -> Result<(), Error> {
        let none = Error { kind: Kind::Size, at: first };
        let rows = sectors(data.len()) / self.new.logical * self.new.rows;
        let (part, _) = room.split_at_mut_checked(bytes(rows)).ok_or(none)?;
        let begin = self.new.begin(first);
        let geometry = &self.array.geometry;
        for role in 0..geometry.members() {
            let chunks = part.chunks_mut(bytes(self.new.rows)).zip(data.chunks(bytes(self.new.logical)));
            for (row, (to, stripe)) in (0u64..).zip(chunks) {
                self.member_of(geometry, begin + row * self.new.rows, role, stripe, to).ok_or(none)?;
            }
            self.put(role, begin, part, disks)?;
        }
        Ok(())
    }

    /// What a member holds in the stripe at a sector of the members, whose data are `from`.
    fn member_of(&self, geometry: &Geometry, sector: u64, role: u32, from: &[u8], to: &mut [u8]) -> Option<()> {
        let stripe = geometry.stripe(sector)?;
        let chunks = || stripe.members().zip(from.chunks(bytes(geometry.chunk())));
        if !stripe.is_parity(role) {
            let (_, own) = chunks().find(|(member, _)| *member == role)?;
            to.copy_from_slice(own);
            return Some(());
        }
        to.fill(0);
        for (member, own) in chunks() {
            if role == stripe.p {
                self.machine.add(to, own);
            } else {
                self.machine.add_product(to, own, parity::power(stripe.power(member)));
            }
        }
        Some(())
    }

    /// Writes what a member holds in the new geometry; one that is missing is left out.
    fn put(&self, role: u32, sector: u64, from: &[u8], disks: &mut impl Write) -> Result<(), Error> {
        let slot = usize::try_from(role).ok().and_then(|role| self.array.slots.get(role)).copied().flatten();
        let Some(slot) = slot else { return Ok(()) };
        let failed = Error { kind: Kind::Unwritten, at: u64::try_from(slot.device).unwrap_or(u64::MAX) };
        let at = slot.moved.checked_add(sector).ok_or(failed)?;
        if disks.write(slot.device, at, from) { Ok(()) } else { Err(failed) }
    }
}
