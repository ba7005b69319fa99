// SPDX-License-Identifier: MIT
//! Makes of an array what is wanted, step by step, while nobody else uses it.
use super::backup::Backup;
use super::mover::write_supers;
use super::takeover::foresee;
use super::{Change, Mover, Next, Room, Write, begin, catch_up, next, take_over};
use crate::wire::{BitmapHead, SUPER_BYTES, feature};
use crate::{Array, Error, Kind, Role, SECTOR, Super, Uuid};
use zerocopy::FromBytes;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The array has another level, and so many members.
    Level(i32, u32),
    /// A reshape has done so many logical sectors, of so many.
    Moved(u64, u64),
}

/// Makes of the array `set` what is wanted; a reshape that is under way is finished first. `all` are the superblocks of its
/// members and spares, in the order in which `disks` counts them, none of them stale; the array was put in sync before, and
/// nobody else uses it meanwhile.
///
/// `room` is memory: a few times what a chunk of all members takes. `say` is told how far it is, and whether to go on: where it
/// says no, all is left as it is then.
///
/// # Errors
/// Why it cannot be done. Nothing is lost: the same again goes on where it stopped.
pub fn work(
    all: &mut [Super],
    set: Uuid,
    change: &Change,
    disks: &mut impl Write,
    room: &mut [u8],
    say: &mut dyn FnMut(Stage) -> bool,
) -> Result<(), Error> {
    level(all, disks)?;
    let mut foreseen = false;
    loop {
        let array = Array::assemble(all, set)?;
        let at = |kind| Error { kind, at: 0 };
        if array.before.is_some() {
            let in_place = array.newest.reshape.is_some_and(|reshape| reshape.offset == 0);
            let mut mover = Mover::new(array).map_err(at)?;
            if let Some(device) = change.backup.filter(|_| in_place) {
                mover.with_backup(device, all, disks, room)?;
            }
            while mover.step(all, disks, room)? {
                let (done, of) = mover.progress();
                if !say(Stage::Moved(done, of)) {
                    return mover.checkpoint(all, disks);
                }
            }
            continue;
        }
        if array.newest.is_dirty() {
            return Err(at(Kind::Dirty));
        }
        let room = shared(all, disks);
        if !foreseen {
            let spares = all.iter().filter(|device| device.role == Role::Spare).count();
            foresee(&array.newest, change, room, u32::try_from(spares).unwrap_or(0), false).map_err(at)?;
            foreseen = true;
        }
        match next(&array.newest, change, room).map_err(at)? {
            Next::Done => return Ok(()),
            Next::TakeOver(to) => {
                take_over(all, &to).map_err(at)?;
                write_supers(all, disks)?;
                if !say(Stage::Level(to.level, to.disks)) {
                    return Ok(());
                }
            }
            Next::Reshape(plan) => {
                if let Some((device, own)) = change.backup.filter(|_| plan.offset == 0).zip(all.first()) {
                    Backup::begin(device, own, disks)?;
                }
                begin(all, &plan).map_err(at)?;
                write_supers(all, disks)?;
            }
        }
    }
}

/// Brings those up to date that are one event behind: after the next, they would be two, and stale.
fn level(all: &mut [Super], disks: &mut impl Write) -> Result<(), Error> {
    let members = all.iter().filter(|device| matches!(device.role, Role::Active(_)));
    let newest = members.max_by_key(|device| device.events).cloned();
    let Some(newest) = newest else { return Ok(()) };
    for (number, device) in all.iter_mut().enumerate().filter(|(_, device)| device.events != newest.events) {
        catch_up(device, &newest);
        let failed = Error { kind: Kind::Unwritten, at: u64::try_from(number).unwrap_or(u64::MAX) };
        let mut bytes = [0; SUPER_BYTES];
        let used = device.emit(&mut bytes).ok_or(failed)?.next_multiple_of(8 * SECTOR);
        let written = disks.write(number, device.super_offset, bytes.get(..used).ok_or(failed)?);
        if !written || !disks.flush(number) {
            return Err(failed);
        }
    }
    Ok(())
}

/// The room that all have.
fn shared(all: &[Super], disks: &mut impl Write) -> Room {
    let every = Room { front: u64::MAX, back: u64::MAX };
    let own = |(number, device)| Room::of(device, bitmap(number, device, disks));
    all.iter().enumerate().map(own).fold(every, Room::and)
}

/// Sectors that a device's bitmap takes; all, if that cannot be read.
fn bitmap(number: usize, device: &Super, disks: &mut impl Write) -> u64 {
    let Some(at) = device.bitmap.filter(|_| device.has(feature::BITMAP)) else { return 0 };
    let mut bytes = [0; SECTOR];
    let read = disks.read(number, at, &mut bytes);
    let head = BitmapHead::ref_from_prefix(&bytes).ok().filter(|_| read).map(|(head, _)| head);
    let bits = head.and_then(|head| head.sync_size.get().checked_mul(512)?.checked_div(head.chunk.get().into()));
    bits.map_or(u64::MAX, |bits| (bits / 8).saturating_add(size_of::<BitmapHead>() as u64 + 8).div_ceil(512))
}
