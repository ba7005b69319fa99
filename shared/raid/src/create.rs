// SPDX-License-Identifier: MIT
//! Superblocks of new arrays, as mdadm makes them.
mod bitmap;
mod journal;

use crate::superblock::Ppl;
use crate::wire::{FAULTY, SPARE, SUPER_BYTES, feature};
use crate::{Geometry, Kind, Level, MEMBERS_MAX, Role, Super, Uuid, Version};
use heapless::Vec;
pub use journal::{Journal, least};

/// Roles that mdadm makes room for.
const ROLES: usize = 128;
/// Sectors of a partial parity log, its header included: where there is room for 128 KiB behind it Linux writes several logs in
/// turn.
const PPL_SECTORS: u64 = 256;
/// Sectors that 1.0 keeps for itself at a device's end.
const TAIL: u64 = 24;

/// What a new array is to be. Sizes are in sectors.
#[derive(Clone, Copy, Debug)]
pub struct New<'a> {
    /// Where superblocks go: 1.0, 1.1 or 1.2.
    pub version: Version,
    /// The array's identifier.
    pub set: Uuid,
    /// Its name, often `host:name`; 32 bytes at most.
    pub name: &'a str,
    /// Seconds since 1970.
    pub created: u64,
    /// Level; -1 is linear.
    pub level: i32,
    /// Layout of the level.
    pub layout: u32,
    /// Sectors of a chunk.
    pub chunk: u32,
    /// First sector of data, for 1.1 and 1.2.
    pub data_offset: u64,
    /// RAID 5 gets a partial parity log, between the superblock and the data: 1.1 and 1.2.
    pub ppl: bool,
    /// All copies, and parity, are known to agree already: nothing is put in sync first.
    pub clean: bool,
}

/// What is made of a device.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// Its sectors.
    pub sectors: u64,
    /// A new identifier.
    pub uuid: Uuid,
    /// What it is to be; `None`: a member is missing here, and the device is not there.
    pub spare: bool,
    /// It is missing.
    pub missing: bool,
}

impl New<'_> {
    /// Sectors of data that a device of so many has.
    fn data_sectors(&self, sectors: u64) -> Result<u64, Kind> {
        let end = if self.version == Version::V10 { sectors.saturating_sub(TAIL) & !7 } else { sectors };
        end.checked_sub(self.first()).filter(|&size| size > 0).ok_or(Kind::Size)
    }

    fn first(&self) -> u64 {
        if self.version == Version::V10 { 0 } else { self.data_offset }
    }

    /// The superblock of each device that is not missing, in their order: members first, then spares.
    ///
    /// # Errors
    /// Why there can be no such array.
    pub fn supers<'a>(&'a self, devices: &'a [Device]) -> Result<impl Iterator<Item = Super> + 'a, Kind> {
        let members = devices.iter().filter(|device| !device.spare).count();
        if self.ppl && (self.level != 5 || self.version == Version::V10 || self.data_offset < 8 + 8 + 8 + 32) {
            return Err(Kind::NoPpl);
        }
        if members > ROLES || devices.len() > ROLES || self.name.len() > 32 {
            return Err(Kind::TooMany);
        }
        let raid_disks = u32::try_from(members).map_err(|_| Kind::TooMany)?;
        let mut sizes: Vec<u64, MEMBERS_MAX> = Vec::new();
        for device in devices.iter().filter(|device| !device.missing) {
            sizes.push(self.data_sectors(device.sectors)?).map_err(|_| Kind::TooMany)?;
        }
        let chunk = u64::from(self.chunk);
        let least = sizes.iter().copied().min().unwrap_or(0);
        let used = if self.level > 0 { least - least.checked_rem(chunk).unwrap_or(least % 8) } else { 0 };
        let level = Level::parse(self.level, self.layout, self.level == 0)?;
        let geometry = Geometry::new(level, raid_disks, self.chunk, used, &sizes)?;
        let here = |role: u32| devices.get(usize::try_from(role).unwrap_or(usize::MAX)).is_some_and(|d| !d.missing);
        if !geometry.bears(here) {
            let first = (0..raid_disks).find(|role| !here(*role)).unwrap_or(0);
            let count = u32::try_from((0..raid_disks).filter(|role| here(*role)).count()).unwrap_or(0);
            return Err(Kind::Missing { here: count, need: raid_disks - level.spares(raid_disks), first });
        }
        let roles = roles(devices);
        let numbered = (0u32..).zip(devices).filter(|(_, device)| !device.missing);
        Ok(numbered.map(move |(number, device)| self.one(number, device, raid_disks, used, &roles)))
    }

    /// Where the partial parity log goes: as much as mdadm makes, or as there is room.
    fn ppl(&self, super_offset: u64) -> Option<Ppl> {
        let at = super_offset + 8;
        let room = self.data_offset.checked_sub(at).filter(|_| self.ppl && self.level == 5)?;
        Some(Ppl { at, sectors: u16::try_from(room.min(PPL_SECTORS)).ok()? })
    }

    fn one(&self, number: u32, device: &Device, raid_disks: u32, used: u64, roles: &[u16]) -> Super {
        let super_offset = match self.version {
            Version::V11 => 0,
            Version::V12 => 8,
            _ => device.sectors.saturating_sub(16) & !7,
        };
        let mut name = [0; 32];
        name.iter_mut().zip(self.name.bytes()).for_each(|(to, from)| *to = from);
        let redundant = self.level > 0;
        let role = if device.spare { Role::Spare } else { Role::Active(u16::try_from(number).unwrap_or(SPARE)) };
        Super {
            version: self.version,
            set: self.set,
            name,
            level: self.level,
            layout: self.layout,
            features: match self.level {
                0 => feature::RAID0_LAYOUT,
                5 if self.ppl => feature::PPL,
                _ => 0,
            },
            chunk: self.chunk,
            raid_disks,
            size: used,
            data_offset: self.first(),
            data_size: self.data_sectors(device.sectors).unwrap_or(0),
            super_offset,
            number,
            device: device.uuid,
            role,
            roles: Vec::from_slice(roles).unwrap_or_default(),
            events: 0,
            created: self.created,
            updated: self.created,
            resync: (redundant && !self.clean && !roles.contains(&FAULTY)).then_some(0),
            recovery: None,
            reshape: None,
            bitmap: None,
            ppl: self.ppl(super_offset),
            log: None,
            flags: 0,
        }
    }
}

/// The roles of all devices, by number.
fn roles(devices: &[Device]) -> Vec<u16, ROLES> {
    let mut roles: Vec<u16, ROLES> = Vec::new();
    for (number, device) in (0u16..).zip(devices) {
        let role = match device {
            Device { missing: true, .. } => FAULTY,
            Device { spare: true, .. } => SPARE,
            _ => number,
        };
        let _ = roles.push(role);
    }
    while roles.push(SPARE).is_ok() {}
    roles
}

const _: () = assert!(256 + 2 * ROLES <= SUPER_BYTES);
