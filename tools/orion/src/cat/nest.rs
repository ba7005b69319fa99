// SPDX-License-Identifier: MIT
//! Arrays over arrays, as RAID 50 and 60 are: superblocks are looked for in what was put together, too.
use super::devices::{Device, Devices, Source};
use super::replay::{Replayed, View};
use super::{Volume, show};
use orion_raid::wire::SUPER_BYTES;
use orion_raid::{Array, Error, Kind, Super, Uuid, assemble, probe};
use std::rc::Rc;

/// Arrays that lie one over the other at most.
const DEPTH: usize = 4;
/// Bytes in which what is missing is computed.
const SCRATCH: usize = 256 << 10;

/// An array that can be read.
pub struct Inside {
    pub set: Uuid,
    pub array: Array,
    /// What its logs say that is not in its members yet.
    pub replayed: Replayed,
}

impl Inside {
    /// Fills `to`, whole sectors, from the array's `sector` on; whether they can be read.
    pub fn read(&self, devices: &mut Devices, sector: u64, to: &mut [u8]) -> bool {
        let mut scratch = vec![0; SCRATCH];
        self.fill(devices, sector, to, &mut scratch).is_ok()
    }

    /// The same, in `scratch`.
    ///
    /// # Errors
    /// The first sector that cannot be read.
    pub fn fill(&self, devices: &mut Devices, at: u64, to: &mut [u8], scratch: &mut [u8]) -> Result<(), Error> {
        orion_raid::read(&self.array, &mut View { devices, replayed: &self.replayed }, at, to, scratch)?;
        self.replayed.lay_over(devices, at, to)
    }
}

impl Device {
    /// The array that it is, if it is one.
    pub fn inside(&self) -> Option<&Rc<Inside>> {
        match &self.source {
            Source::Array(inside) => Some(inside),
            Source::Image(..) => None,
        }
    }
}

/// All arrays on these devices, and in these. With `force`, also those of which something may be wrong.
pub fn volumes(devices: &mut Devices, force: bool) -> Vec<Volume> {
    let mut volumes: Vec<Volume> = Vec::new();
    let mut known = 0;
    for _ in 0..DEPTH {
        let sets: Vec<Uuid> = assemble::sets(devices.supers.get(known..).unwrap_or_default()).collect();
        known = devices.all.len();
        for set in sets {
            let volume = Volume { set, array: assembled(devices, set, force).map(Rc::new) };
            volumes.retain(|other| other.set != set);
            volumes.push(volume);
        }
        let found: Vec<Rc<Inside>> = volumes.iter().filter_map(|volume| volume.array.as_ref().ok().cloned()).collect();
        for inside in found {
            look_inside(devices, &volumes, &inside);
        }
        if devices.all.len() == known {
            break;
        }
    }
    volumes
}

/// The array `set`, if it can be read.
fn assembled(devices: &mut Devices, set: Uuid, force: bool) -> Result<Inside, Error> {
    let mut array = Array::assemble(&devices.supers, set)?;
    array.force = force;
    let at = array.slots.iter().flatten().next().map_or(0, |slot| slot.device as u64);
    let replayed = Replayed::of(&mut array, devices).map_err(|kind| Error { kind, at })?;
    let overlaps = array.before.as_ref().filter(|_| array.is_overlapping() && !force);
    match overlaps.map(|before| Kind::Overlaps(before.position)) {
        _ if array.is_doubtful() && !force => Err(Error { kind: Kind::Dirty, at }),
        Some(kind) => Err(Error { kind, at }),
        None => Ok(Inside { set, array, replayed }),
    }
}

/// Whether an array, or one that it lies on, is `set`.
fn lies_on(devices: &Devices, volume: Uuid, set: Uuid, depth: usize) -> bool {
    let own = devices.supers.iter().zip(&devices.all).filter(|(found, _)| found.set == volume);
    volume == set
        || depth > 0
            && own.filter_map(|(_, device)| device.inside()).any(|inside| lies_on(devices, inside.set, set, depth - 1))
}

/// Takes the superblocks in an array. What is written to an array says nothing of that array itself, nor of what it lies on, nor of one
/// that is complete without it.
fn look_inside(devices: &mut Devices, volumes: &[Volume], inside: &Rc<Inside>) {
    let looked = |device: &Device| device.inside().is_some_and(|own| own.set == inside.set);
    if devices.all.iter().any(looked) {
        return;
    }
    let sectors = inside.array.sectors();
    for at in probe::places(sectors) {
        let mut bytes = vec![0; SUPER_BYTES];
        if !inside.read(devices, at, &mut bytes) {
            continue;
        }
        // One that is damaged may be anything: data.
        let Some(Ok(found)) = Super::parse(&bytes, at, sectors) else { continue };
        let whole = |volume: &Volume| {
            volume.set == found.set && volume.array.as_ref().is_ok_and(|other| other.array.missing().next().is_none())
        };
        if lies_on(devices, inside.set, found.set, DEPTH) || volumes.iter().any(whole) {
            continue;
        }
        let name = format!("array {}", show::called(devices, inside.set));
        devices.push(&name, Source::Array(Rc::clone(inside)), found);
    }
}
