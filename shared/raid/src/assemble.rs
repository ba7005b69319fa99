// SPDX-License-Identifier: MIT
//! Which devices make an array, from any set of them. Nothing is guessed: what does not fit together is refused.
use crate::reshape::{Before, parts};
use crate::wire::feature;
use crate::{Error, Geometry, Kind, Level, MEMBERS_MAX, Role, Super, Uuid, Version};
use heapless::Vec;

/// Events that a member may be behind, as for Linux: between marking an array clean and the last member's knowing.
const BEHIND: u64 = 1;

/// What a device is to an assembled array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// A member, in use.
    Member(u16),
    /// A member that is rebuilt up to this sector.
    Rebuilding(u16, u64),
    /// Was a member; the array went on without it.
    Stale {
        /// The role that it had.
        role: u16,
        /// Its events.
        events: u64,
        /// The array's.
        newest: u64,
    },
    /// Replaces the member of this role, which is still there.
    Replacement(u16),
    /// A spare.
    Spare,
    /// Failed.
    Faulty,
    /// The write journal.
    Journal,
    /// Was the write journal; the array went on without it.
    StaleJournal {
        /// Its events.
        events: u64,
        /// The array's.
        newest: u64,
    },
    /// Of another array.
    Stranger,
}

/// The device that has a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Its number in the list.
    pub device: usize,
    /// Its first sector of data.
    pub offset: u64,
    /// Its first sector of data that a reshape has moved.
    pub moved: u64,
    /// The sectors of data that hold what they should; all, unless it is being rebuilt.
    pub valid: u64,
    /// It was to replace the member of this role, which is not here.
    pub replaces: bool,
}

/// An array that can be read.
#[derive(Clone, Debug)]
pub struct Array {
    /// The newest superblock.
    pub newest: Super,
    /// Where everything lies; of an array that is being reshaped, what is moved already.
    pub geometry: Geometry,
    /// Of an array that is being reshaped: what is not moved yet.
    pub before: Option<Before>,
    /// The devices, by role.
    pub slots: Vec<Option<Slot>, MEMBERS_MAX>,
    /// The device with the write journal, of an array that has one.
    pub journal: Option<usize>,
    /// Whether to recover also from parity that may be wrong, of an array that was not stopped cleanly.
    pub force: bool,
}

/// The arrays that the devices belong to, each once, in the order of the devices.
pub fn sets(devices: &[Super]) -> impl Iterator<Item = Uuid> + '_ {
    let first = |(index, device): &(usize, &Super)| devices.iter().position(|d| d.set == device.set) == Some(*index);
    devices.iter().enumerate().filter(first).map(|(_, device)| device.set)
}

/// What of two superblocks must be alike.
fn alike(a: &Super, b: &Super) -> bool {
    let old = |s: &Super| matches!(s.version, Version::V090 | Version::V090Big);
    let key = |s: &Super| (s.level, s.layout, s.chunk, s.raid_disks, s.size, s.reshape.map(|r| r.position), old(s));
    key(a) == key(b)
}

fn number(index: usize) -> u64 {
    u64::try_from(index).unwrap_or(u64::MAX)
}

fn short(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

/// What a write journal is to it: of one that the array went on without, nothing is replayed.
fn journal(device: &Super, newest: &Super) -> Standing {
    let behind = device.events.saturating_add(BEHIND) < newest.events;
    if behind || newest.role_of(device.number) != Role::Journal {
        return Standing::StaleJournal { events: device.events, newest: newest.events };
    }
    Standing::Journal
}

/// The new place that a spare gets by a reshape, of which it has not heard: nothing was moved there yet.
fn joins(device: &Super, newest: &Super) -> Option<u16> {
    let begins = newest.reshape.is_some_and(|reshape| !reshape.backwards && reshape.position == 0);
    match newest.role_of(device.number) {
        Role::Active(role) if begins && u32::from(role) >= newest.old_disks() => {
            (device.role == Role::Spare && device.set == newest.set).then_some(role)
        }
        _ => None,
    }
}

/// What `device` is to the array whose newest superblock is given.
fn standing(device: &Super, newest: &Super) -> Standing {
    if device.set != newest.set {
        return Standing::Stranger;
    }
    let role = match device.role {
        Role::Active(role) => role,
        Role::Spare => return joins(device, newest).map_or(Standing::Spare, Standing::Member),
        Role::Faulty => return Standing::Faulty,
        Role::Journal => return journal(device, newest),
    };
    let behind = device.events.saturating_add(BEHIND) < newest.events;
    if behind || newest.role_of(device.number) != Role::Active(role) {
        return Standing::Stale { role, events: device.events, newest: newest.events };
    }
    if device.has(feature::REPLACEMENT) {
        return Standing::Replacement(role);
    }
    match device.recovery {
        Some(valid) => Standing::Rebuilding(role, valid),
        None => Standing::Member(role),
    }
}

impl Array {
    /// The array `set`, from those of the devices that belong to it.
    ///
    /// # Errors
    /// Why it cannot be read; the numbers of devices in it are indices of `devices`.
    pub fn assemble(devices: &[Super], set: Uuid) -> Result<Self, Error> {
        let ours = || devices.iter().enumerate().filter(move |(_, device)| device.set == set);
        let active = || ours().filter(|(_, device)| matches!(device.role, Role::Active(_)));
        let (index, newest) =
            active().rev().max_by_key(|(_, d)| d.events).ok_or(Error { kind: Kind::Nothing, at: 0 })?;
        let here = |kind| Error { kind, at: number(index) };
        let mut slots: Vec<Option<Slot>, MEMBERS_MAX> = Vec::new();
        let disks = usize::try_from(newest.most_disks()).unwrap_or(usize::MAX);
        slots.resize(disks, None).map_err(|_| here(Kind::Members(newest.raid_disks)))?;
        let joining = |device: &Super| joins(device, newest).is_some();
        for (other, device) in ours().filter(|(_, d)| matches!(d.role, Role::Active(_)) || joining(d)) {
            let at = number(other);
            let heard = if joining(device) { Ok(()) } else { agree(device, newest) };
            heard.map_err(|kind| Error { kind: kind(short(index)), at })?;
            let (role, valid) = match standing(device, newest) {
                Standing::Member(role) => (role, u64::MAX),
                Standing::Rebuilding(role, valid) => (role, valid),
                _ => continue,
            };
            let slot =
                slots.get_mut(usize::from(role)).ok_or(Error { kind: Kind::Role(role, newest.raid_disks), at })?;
            if let Some(taken) = slot {
                return Err(Error { kind: Kind::SameRole(role, short(other)), at: number(taken.device) });
            }
            let (offset, moved) = offsets(device, newest).ok_or(Error { kind: Kind::Size, at })?;
            *slot = Some(Slot { device: other, offset, moved, valid, replaces: false });
        }
        // What was to replace a member is all that there is of it, where that is gone.
        for (other, device) in active() {
            let Standing::Replacement(role) = standing(device, newest) else { continue };
            let at = number(other);
            let (offset, moved) = offsets(device, newest).ok_or(Error { kind: Kind::Size, at })?;
            if let Some(slot) = slots.get_mut(usize::from(role)).filter(|slot| slot.is_none()) {
                let valid = device.recovery.unwrap_or(u64::MAX);
                *slot = Some(Slot { device: other, offset, moved, valid, replaces: true });
            }
        }
        allowed(newest).map_err(here)?;
        let (geometry, before) = match parts(newest).map_err(here)? {
            Some((after, before)) => (after, Some(before)),
            None => (geometry(newest, &slots, devices).map_err(here)?, None),
        };
        let mut journals = ours().filter(|(_, device)| standing(device, newest) == Standing::Journal);
        let journal = journals.next().map(|(index, _)| index);
        if let Some((first, (second, _))) = journal.zip(journals.next()) {
            return Err(Error { kind: Kind::SameRole(crate::wire::JOURNAL, short(second)), at: number(first) });
        }
        let array = Self { newest: newest.clone(), geometry, before, slots, journal, force: false };
        array.enough().map_err(here)?;
        Ok(array)
    }

    /// Logical sectors.
    pub fn sectors(&self) -> u64 {
        let before = self.before.as_ref().map_or(u64::MAX, |before| before.geometry.sectors());
        self.geometry.sectors().min(before)
    }

    /// Where a logical sector is to be looked for, whether a reshape has moved it there, and the sectors for which that holds.
    pub(crate) fn side(&self, sector: u64) -> (&Geometry, bool, u64) {
        let Some(before) = &self.before else { return (&self.geometry, false, u64::MAX) };
        let left = before.position.checked_sub(sector).filter(|left| *left > 0);
        let (geometry, moved) = if before.moved(sector) { (&self.geometry, true) } else { (&before.geometry, false) };
        (geometry, moved, left.unwrap_or(u64::MAX))
    }

    /// The geometries, and the sectors of a member that each needs.
    fn sides(&self) -> impl Iterator<Item = (&Geometry, u64)> {
        let after = self.before.as_ref().map_or(u64::MAX, |before| before.needs(&self.geometry));
        let before = self.before.as_ref().map(|before| (&before.geometry, u64::MAX));
        core::iter::once((&self.geometry, after)).chain(before)
    }

    /// What a device is to the array.
    pub fn standing(&self, device: &Super) -> Standing {
        let found = standing(device, &self.newest);
        let Standing::Replacement(role) = found else { return found };
        let slot = self.slots.get(usize::from(role)).copied().flatten();
        match slot.filter(|slot| slot.replaces) {
            Some(slot) if slot.valid == u64::MAX => Standing::Member(role),
            Some(slot) => Standing::Rebuilding(role, slot.valid),
            None => found,
        }
    }

    /// Whether the member of this role is here, and has so many sectors as it should.
    fn whole(&self, role: usize, sectors: u64) -> bool {
        self.slots.get(role).is_some_and(|slot| slot.is_some_and(|slot| slot.valid >= self.newest.size.min(sectors)))
    }

    /// Members that are missing, or not rebuilt yet.
    pub fn missing(&self) -> impl Iterator<Item = usize> + '_ {
        let lacks = |role: usize| self.sides().any(|(g, need)| role < index(g.members()) && !self.whole(role, need));
        (0..self.slots.len()).filter(move |&role| lacks(role))
    }

    /// Whether members are missing.
    pub fn is_degraded(&self) -> bool {
        self.missing().next().is_some()
    }

    /// Whether what must be recovered may be wrong: parity is not known to fit the data.
    pub fn is_doubtful(&self) -> bool {
        self.newest.is_dirty() && self.missing().any(|role| self.holds_data(role))
    }

    /// Whether there are data on a member of a level with parity, beside parity.
    fn holds_data(&self, role: usize) -> bool {
        let of = |geometry: &Geometry| {
            let mut stripes = (0..geometry.members()).filter_map(|n| geometry.stripe(geometry.chunk() * u64::from(n)));
            stripes.any(|stripe| stripe.members().any(|member| index(member) == role))
        };
        self.sides().any(|(geometry, _)| matches!(geometry.level(), Level::Parity(_)) && of(geometry))
    }

    /// Whether its write journal, without which what was written last may be wrong, is not among the devices.
    pub fn lacks_journal(&self) -> bool {
        self.newest.has(feature::JOURNAL) && self.journal.is_none()
    }

    /// Whether a reshape may have been cut off while it wrote over what was not saved: what it moves lies in the same place.
    pub fn is_overlapping(&self) -> bool {
        self.before.as_ref().is_some_and(|before| before.overlaps(&self.geometry))
    }

    /// Whether every sector is on some member, or follows from others.
    fn enough(&self) -> Result<(), Kind> {
        self.sides().try_for_each(|(geometry, need)| self.enough_of(geometry, need))
    }

    fn enough_of(&self, geometry: &Geometry, sectors: u64) -> Result<(), Kind> {
        let members = geometry.members();
        let missing = || (0..members).filter(|role| !self.whole(index(*role), sectors));
        let Some(first) = missing().next() else { return Ok(()) };
        if let Level::Raid10(_) = geometry.level() {
            return geometry.bears(|role| self.whole(index(role), sectors)).then_some(()).ok_or(Kind::NoCopy(first));
        }
        let here = members.saturating_sub(short(missing().count()));
        let need = members.saturating_sub(geometry.level().spares(members));
        if here < need { Err(Kind::Missing { here, need, first }) } else { Ok(()) }
    }
}

/// A role as an index.
fn index(member: u32) -> usize {
    usize::try_from(member).unwrap_or(usize::MAX)
}

/// Whether a device that is as new as the newest says nothing else.
fn agree(device: &Super, newest: &Super) -> Result<(), fn(u32) -> Kind> {
    if device.events.saturating_add(BEHIND) < newest.events {
        return Ok(());
    }
    // One that is behind may not have heard that a reshape began, or ended, or that the level is another now.
    let old = |s: &Super| matches!(s.version, Version::V090 | Version::V090Big);
    let heard = device.events >= newest.events || old(device) || old(newest);
    if heard && !alike(device, newest) {
        return Err(Kind::Disagree);
    }
    // Each of them was used without the other: as new as they are, either could be the one that counts.
    let gone = |by: &Super, of: &Super| by.role_of(of.number) != of.role;
    let split = gone(device, newest) && (device.events == newest.events || gone(newest, device));
    if split { Err(Kind::Split) } else { Ok(()) }
}

/// What is not read yet, or cannot be.
fn allowed(newest: &Super) -> Result<(), Kind> {
    if newest.has(feature::CLUSTERED) {
        return Err(Kind::Clustered);
    }
    let parity = matches!(newest.level, 4..=6);
    let log = newest.has(feature::PPL | feature::PPLS) || newest.reshape.is_some();
    if newest.has(feature::JOURNAL) && (!parity || log) { Err(Kind::JournalLevel) } else { Ok(()) }
}

/// The first sector of a device's data that are not moved, and of those that are.
fn offsets(device: &Super, newest: &Super) -> Option<(u64, u64)> {
    let by = |reshape: crate::Reshape| device.data_offset.checked_add_signed(reshape.offset.into());
    match (newest.reshape, device.reshape) {
        (None, None) => Some((device.data_offset, device.data_offset)),
        (Some(own), None) | (Some(_), Some(own)) => Some((device.data_offset, by(own)?)),
        // It has not heard that the reshape has ended.
        (None, Some(own)) => Some((by(own)?, by(own)?)),
    }
}

fn geometry(newest: &Super, slots: &[Option<Slot>], devices: &[Super]) -> Result<Geometry, Kind> {
    let level = Level::parse(newest.level, newest.layout, newest.has(feature::RAID0_LAYOUT))?;
    let size = |slot: &Option<Slot>| slot.and_then(|slot| devices.get(slot.device)).map(|device| device.data_size);
    if matches!(level, Level::Linear | Level::Raid0(_))
        && let Some(first) = slots.iter().position(Option::is_none)
    {
        let need = newest.raid_disks;
        let here = short(slots.iter().flatten().count());
        return Err(Kind::Missing { here, need, first: short(first) });
    }
    let sizes: Vec<u64, MEMBERS_MAX> = slots.iter().map(|slot| size(slot).unwrap_or(0)).collect();
    Geometry::new(level, newest.raid_disks, newest.chunk, newest.size, &sizes)
}
