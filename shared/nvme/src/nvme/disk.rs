// SPDX-License-Identifier: MIT
//! A namespace as a disk.
use super::MOST;
use super::memory::PRP_BYTES;
use crate::wire::controller::oncs;
use crate::wire::namespace::{Promise, Protection};
use crate::wire::{Controller, Names, Namespace};
use orion_block::{Access, Limits};

/// A namespace as a disk. What requests need comes first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk {
    /// Whether requests to it are taken.
    pub present: bool,
    /// Writes are not sent as they come: it is read-only, or of zones, or they are compared.
    pub careful: bool,
    /// What it promises.
    pub limits: Limits,
    /// Most blocks of one command.
    pub command_blocks: u32,
    /// The bits of an address that are alike for all blocks of a command that is surely within boundaries: all, where those are no
    /// power of two.
    pub beyond: u64,
    /// Its identifier, as the first word of a command has it.
    pub head: u64,
    /// How protection information is asked for: bits of dword 12.
    pub protection: Protection,
    /// The bits of a block's address that are its reference tag: none where there is no protection information.
    pub reference: u64,
    /// The namespace that is configured; `u32::MAX`: the first there is.
    pub wanted: u32,
    /// Whether policy lets nobody write.
    pub read_only: bool,
    /// Each write is compared with its payload before it is answered.
    pub compares: bool,
    /// Something is done with it that takes no requests beside.
    pub held_back: bool,
    /// Its identifier; 0 while it is not known.
    pub id: u32,
    /// Blocks between boundaries that no command crosses; 0: there are none.
    pub boundary: u16,
    /// Blocks from one zone to the next; 0: not known, and all are in one.
    pub zone_blocks: u64,
    /// Most pages of one append to a zone, as a binary logarithm; 0: as much as a command has.
    pub append_pages: u8,
    /// What it is called.
    pub names: Names,
    /// What the way to it is worth.
    pub access: Access,
    /// What it said of itself when it was first found.
    pub found: Option<Namespace>,
}

/// What a namespace promises depends on.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// Its controller.
    pub controller: &'a Controller,
    /// Whether the cache is volatile.
    pub volatile_cache: bool,
}

impl Disk {
    /// It is what `now` says, which may be nothing.
    pub fn become_what(&mut self, now: &Namespace, around: Around<'_>) {
        let fresh = promised(now, around, self.read_only).filter(|fresh| !self.compares || comparable(fresh, around));
        let alike = match (&fresh, &self.found) {
            // Who was told of a disk must find the same again: it may have grown.
            (Some(Promise { limits, .. }), Some(found)) => {
                found.same(now)
                    && limits.capacity >= self.limits.capacity
                    && Limits { capacity: limits.capacity, ..self.limits } == *limits
            }
            (fresh, _) => fresh.is_some(),
        };
        self.present = alike && !self.held_back;
        if let Some(Promise { limits, protection, command_blocks, boundary }) = fresh.filter(|_| alike) {
            (self.limits, self.protection, self.found) = (limits, protection, Some(*now));
            (self.command_blocks, self.boundary) = (command_blocks, boundary);
            self.beyond = match u64::from(boundary) {
                0 => 0,
                blocks if blocks.is_power_of_two() => !(blocks - 1),
                _ => u64::MAX,
            };
            let Names { uuid, set, .. } = self.names;
            self.names = Names { uuid, set, ..Names::of(now) };
            // 8.3.1.4: of types 1 and 2 it is the lower half.
            self.reference = if protection == 0 { 0 } else { u32::MAX.into() };
            self.head = u64::from(self.id) << 32;
            self.careful = self.limits.read_only || self.compares || self.is_zoned();
        }
    }

    /// Whether writes were to be compared with such a namespace, and cannot be.
    pub fn lacks_compare(&self, now: &Namespace, around: Around<'_>) -> bool {
        self.compares && promised(now, around, false).is_some_and(|promise| !comparable(&promise, around))
    }

    /// It is called so. One that was called otherwise is another, and not used.
    pub fn called(&mut self, names: Names) {
        let other = self.names.uuid != [0; 16] && self.names.uuid != names.uuid;
        self.present &= !other;
        if !other {
            self.names = names;
        }
        self.careful = self.limits.read_only || self.compares || self.is_zoned();
    }

    /// Whether it is of zones.
    pub fn is_zoned(&self) -> bool {
        self.names.set == crate::wire::zone::SET
    }

    /// The number of a block's zone.
    pub fn zone_of(&self, lba: u64) -> u64 {
        lba.checked_div(self.zone_blocks).unwrap_or(0)
    }

    /// Whether one command can have these blocks.
    #[inline(always)]
    pub fn at_once(&self, lba: u64, blocks: u32) -> bool {
        let more = blocks.wrapping_sub(1);
        let last = lba.wrapping_add(more.into());
        more < self.command_blocks && (lba ^ last) & self.beyond == 0
    }

    /// How many of `left` blocks from `lba` on one command can have.
    pub fn part(&self, lba: u64, left: u32) -> u32 {
        let blocks = u64::from(self.boundary);
        let room = lba.checked_rem(blocks).and_then(|past| u32::try_from(blocks - past).ok()).unwrap_or(left);
        left.min(self.command_blocks).min(room)
    }
}

/// Whether its writes can be compared: of blocks with protection information the payload would have to have it too (6.6).
fn comparable(promise: &Promise, around: Around<'_>) -> bool {
    around.controller.offers(oncs::COMPARE) && promise.protection == 0
}

/// What a namespace promises; nothing where it cannot be driven.
fn promised(now: &Namespace, around: Around<'_>, read_only: bool) -> Option<Promise> {
    let Around { controller, volatile_cache } = around;
    // By SGL a command can have as much as the controller takes; by PRP what one list names.
    let ours = if controller.sgl() { u64::MAX } else { PRP_BYTES };
    let promise = now.promise(controller.most_bytes().min(ours))?;
    let limits = promise.limits;
    let discard = controller.offers(oncs::DATASET);
    let limits = Limits {
        volatile_cache,
        queue_depth: u16::try_from(MOST).unwrap_or(u16::MAX),
        write_zeroes: controller.offers(oncs::WRITE_ZEROES),
        discard_granularity: if discard { limits.discard_granularity } else { 0 },
        read_only: limits.read_only || read_only,
        ..limits
    };
    Some(Promise { limits, ..promise })
}
