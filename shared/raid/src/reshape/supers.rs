// SPDX-License-Identifier: MIT
//! What superblocks say of a reshape: that it begins, how far it has come, that it has ended.
use super::Plan;
use crate::wire::{SPARE, feature};
use crate::{Kind, Ppl, Reshape, Role, Super};

/// Bits that only an array has that is being reshaped.
const MOVING: u32 = feature::RESHAPE | feature::BACKWARDS | feature::NEW_OFFSET;

/// What a device that is one event behind has not heard of: the same array with another geometry, or the start or end of a
/// reshape.
pub fn catch_up(device: &mut Super, newest: &Super) {
    hear(device, newest);
    device.roles.clone_from(&newest.roles);
    device.role = newest.role_of(device.number);
    device.resync = newest.resync;
    device.events = newest.events;
}

/// The same, of where everything lies only.
pub fn hear(device: &mut Super, newest: &Super) {
    let shift = match (newest.reshape, device.reshape) {
        (None, Some(ended)) => i64::from(ended.offset),
        _ => 0,
    };
    device.data_offset = device.data_offset.saturating_add_signed(shift);
    device.data_size = device.data_size.saturating_add_signed(-shift);
    let bits = MOVING | feature::RAID0_LAYOUT | feature::PPL | feature::PPLS;
    device.features = device.features & !bits | newest.features & bits;
    device.ppl = match (newest.ppl, device.ppl) {
        (None, _) => None,
        // Before the data it is as far behind each superblock.
        (Some(ppl), None) => {
            let at = ppl.at.wrapping_sub(newest.super_offset).wrapping_add(device.super_offset);
            Some(Ppl { at, ..ppl })
        }
        (Some(ppl), Some(own)) => Some(Ppl { sectors: own.sectors.min(ppl.sectors), ..own }),
    };
    if newest.level == 0 {
        device.data_size = device.data_size.min(newest.data_size);
    }
    (device.level, device.layout, device.chunk) = (newest.level, newest.layout, newest.chunk);
    (device.raid_disks, device.size, device.reshape) = (newest.raid_disks, newest.size, newest.reshape);
}

/// Gives a device another role in the table.
fn assign(all: &mut [Super], number: u32, role: u16) {
    let index = usize::try_from(number).unwrap_or(usize::MAX);
    for device in all.iter_mut() {
        while device.roles.len() <= index && device.roles.push(SPARE).is_ok() {}
        if let Some(entry) = device.roles.get_mut(index) {
            *entry = role;
        }
        if device.number == number {
            device.role = if role == SPARE { Role::Spare } else { Role::Active(role) };
        }
    }
}

/// Gives spares the places that nobody has of `disks`: those below `old` are to be filled, the others are new.
///
/// # Errors
/// [`Kind::FewSpares`] where not every new place gets one.
pub fn fill(all: &mut [Super], old: u32, disks: u32) -> Result<(), Kind> {
    let mut lacking = 0;
    for role in 0..disks {
        let place = u16::try_from(role).map_err(|_| Kind::Members(disks))?;
        if all.iter().any(|device| device.role == Role::Active(place)) {
            continue;
        }
        let size = all.first().map_or(0, |device| device.size);
        let spare = all.iter_mut().find(|device| device.role == Role::Spare && device.data_size >= size);
        let Some(device) = spare else {
            lacking += u32::from(role >= old);
            continue;
        };
        // A new place holds nothing yet that anybody would look for.
        device.recovery = (role < old).then_some(0);
        let number = device.number;
        assign(all, number, place);
    }
    if lacking > 0 { Err(Kind::FewSpares(lacking)) } else { Ok(()) }
}

/// Says that a reshape begins. Nothing is written.
///
/// # Errors
/// [`Kind::FewSpares`].
pub fn begin(all: &mut [Super], plan: &Plan) -> Result<(), Kind> {
    let Some(old) = all.first().map(|device| device.raid_disks) else { return Err(Kind::Nothing) };
    let disks = old.saturating_add_signed(plan.delta_disks);
    fill(all, old, old.max(disks))?;
    for device in all.iter_mut() {
        device.raid_disks = disks;
        device.reshape = Some(Reshape {
            position: plan.position,
            backwards: plan.backwards,
            level: device.level,
            delta_disks: plan.delta_disks,
            layout: plan.layout,
            chunk: plan.chunk,
            offset: plan.offset,
        });
        // Fewer members are said by their number.
        let backwards = if plan.backwards && plan.delta_disks == 0 { feature::BACKWARDS } else { 0 };
        let moves = if plan.offset == 0 { 0 } else { feature::NEW_OFFSET };
        let recovers = if device.recovery.is_some() { feature::RECOVERY } else { 0 };
        device.features = device.features & !MOVING | feature::RESHAPE | backwards | moves | recovers;
    }
    Ok(())
}

/// Says how far a reshape has come; where it goes forwards new members hold what they should so far, `rows` sectors.
pub fn save(all: &mut [Super], position: u64, rows: u64) {
    for device in all.iter_mut() {
        let Some(reshape) = &mut device.reshape else { continue };
        reshape.position = position;
        if !reshape.backwards
            && let Some(recovery) = &mut device.recovery
        {
            *recovery = rows;
        }
    }
}

/// Says that a reshape has ended. Members that are no more are spares.
pub fn end(all: &mut [Super]) {
    let disks = all.first().map_or(0, |device| device.raid_disks);
    for device in all.iter_mut() {
        let Some(reshape) = device.reshape.take() else { continue };
        let shift = i64::from(reshape.offset);
        device.data_offset = device.data_offset.saturating_add_signed(shift);
        device.data_size = device.data_size.saturating_add_signed(-shift);
        (device.level, device.layout, device.chunk) = (reshape.level, reshape.layout, reshape.chunk);
        device.recovery = None;
        device.features &= !(MOVING | feature::RECOVERY);
    }
    retire(all, disks);
}

/// Members of no place of `disks` are spares.
pub(super) fn retire(all: &mut [Super], disks: u32) {
    for index in 0..all.len() {
        let Some(device) = all.get(index) else { continue };
        let (number, role) = (device.number, device.role);
        if matches!(role, Role::Active(role) if u32::from(role) >= disks) {
            assign(all, number, SPARE);
        }
    }
}
