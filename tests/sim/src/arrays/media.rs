// SPDX-License-Identifier: MIT
//! What lies on the disks while there is no power: which members an array has, and whether everything follows from any of them
//! that are enough.
use super::World;
use super::kinds::{Group, Log, SECTOR};
use orion_raid::wire::SUPER_BYTES;
use orion_raid::{Array, Read, Standing, Super};

/// Where a superblock lies, in bytes.
const AT: usize = 4096;

/// The disks of a group, as they lie there.
struct Disks<'a>(&'a World, Vec<usize>);

impl Read for Disks<'_> {
    fn read(&mut self, device: usize, sector: u64, to: &mut [u8]) -> bool {
        let Some(disk) = self.1.get(device) else { return false };
        let disk = self.0.disks[*disk].borrow();
        let at = sector as usize * SECTOR;
        disk.durable().get(at..at + to.len()).is_some_and(|bytes| {
            to.copy_from_slice(bytes);
            true
        })
    }
}

impl World {
    /// The superblocks of a group's disks that are there.
    pub(super) fn supers(&self, group: &Group) -> Vec<(usize, Super)> {
        let there = group.all().filter(|disk| !self.away.contains(disk));
        there
            .filter_map(|disk| {
                let own = self.disks[disk].borrow();
                let bytes = own.durable().get(AT..AT + SUPER_BYTES)?;
                Some((disk, Super::parse(bytes, 8, (own.durable().len() / SECTOR) as u64)?.ok()?))
            })
            .collect()
    }

    /// A group's array, of the disks that are there; and the disks, as it counts them.
    pub(super) fn array(&self, group: &Group) -> Option<(Array, Vec<usize>)> {
        let (disks, supers): (Vec<usize>, Vec<Super>) = self.supers(group).into_iter().unzip();
        let array = Array::assemble(&supers, supers.first()?.set).ok()?;
        Some((array, disks))
    }

    /// The disks that are members of a group's array, whole or being rebuilt, by role.
    pub(super) fn members(&self, group: &Group) -> Vec<Option<usize>> {
        let Some((array, disks)) = self.array(group) else { return Vec::new() };
        array.slots.iter().map(|slot| slot.map(|slot| disks[slot.device])).collect()
    }

    /// Where the data of a group's members lie: the first sector and how many there are.
    pub(super) fn span(&self, group: &Group) -> Option<(usize, usize)> {
        let (array, _) = self.array(group)?;
        let used = if array.newest.level == 1 { array.newest.size } else { array.geometry.used(0) };
        Some((array.slots.first().copied().flatten()?.offset as usize, used as usize))
    }

    /// Whether a group lacks nothing, and was stopped cleanly.
    pub(super) fn is_whole(&self, group: &Group) -> bool {
        let Some((array, _)) = self.array(group) else { return false };
        let whole = array.slots.iter().all(|slot| slot.is_some_and(|slot| slot.valid == u64::MAX));
        whole && array.newest.resync.is_none() && array.newest.reshape.is_none()
    }

    /// Whether the superblocks say that a group was stopped cleanly.
    pub(super) fn is_clean(&self, group: &Group) -> bool {
        self.array(group).is_some_and(|(array, _)| array.newest.resync.is_none())
    }

    /// Whether a disk is a member of its group's array, as the superblocks have it.
    pub(super) fn is_member(&self, group: &Group, disk: usize) -> bool {
        let Some((array, disks)) = self.array(group) else { return false };
        let at = disks.iter().position(|own| *own == disk);
        let own = self.supers(group).into_iter().find(|(own, _)| *own == disk);
        at.zip(own)
            .is_some_and(|(_, (_, own))| matches!(array.standing(&own), Standing::Member(_) | Standing::Rebuilding(..)))
    }

    /// All that a group's array holds, read without these disks.
    fn content(&self, group: &Group, without: &[usize]) -> Option<Vec<u8>> {
        let (mut array, disks) = self.array(group)?;
        for slot in &mut array.slots {
            *slot = slot.filter(|slot| !without.contains(&disks[slot.device]));
        }
        let mut bytes = vec![0; array.geometry.sectors() as usize * SECTOR];
        let mut scratch = vec![0; 64 << 10];
        orion_raid::read(&array, &mut Disks(self, disks), 0, &mut bytes, &mut scratch).ok()?;
        Some(bytes)
    }

    /// Of each array that is in sync: what it holds follows from any of its members that are enough.
    ///
    /// # Errors
    /// From which it does not.
    pub(super) fn media_hold_together(&self) -> Result<(), String> {
        // What a write journal holds need not be on the members.
        let clean = |group: &&Group| group.log != Log::Journal && self.is_clean(group);
        for group in self.kind.groups.iter().filter(clean) {
            let all = self.content(group, &[]).ok_or("what an array holds cannot be read")?;
            let members: Vec<usize> = self.members(group).into_iter().flatten().collect();
            let pairs = members.iter().flat_map(|a| members.iter().map(move |b| [*a, *b]));
            for without in pairs {
                let Some(some) = self.content(group, &without) else { continue };
                if some != all {
                    let at = some.iter().zip(&all).position(|(a, b)| a != b).unwrap_or(0) / SECTOR;
                    return Err(format!("{} holds something else at {at} without {without:?}", group.volume));
                }
            }
        }
        Ok(())
    }
}
