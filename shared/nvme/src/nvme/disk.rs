// SPDX-License-Identifier: MIT
//! A namespace as a disk.
use super::MOST;
use super::memory::PRP_BYTES;
use crate::wire::controller::oncs;
use crate::wire::namespace::Protection;
use crate::wire::{Controller, Namespace};
use orion_block::Limits;

/// A namespace as a disk. What requests need comes first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk {
    /// Whether requests to it are taken.
    pub present: bool,
    /// What it promises.
    pub limits: Limits,
    /// Its identifier, as the first word of a command has it.
    pub head: u64,
    /// How protection information is asked for: bits of dword 12.
    pub protection: Protection,
    /// The namespace that is configured; `u32::MAX`: the first there is.
    pub wanted: u32,
    /// Whether policy lets nobody write.
    pub read_only: bool,
    /// Its identifier; 0 while it is not known.
    pub id: u32,
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
        let before = (self.present, self.limits);
        let fresh = promised(now, around, self.read_only);
        let alike = match (fresh, &self.found) {
            // Who was told of a disk must find the same again: it may have grown.
            (Some((limits, _)), Some(found)) => {
                found.same(now)
                    && limits.capacity >= before.1.capacity
                    && Limits { capacity: limits.capacity, ..before.1 } == limits
            }
            (fresh, _) => fresh.is_some(),
        };
        self.present = alike;
        if let Some((limits, protection)) = fresh.filter(|_| alike) {
            (self.limits, self.protection, self.found) = (limits, protection, Some(*now));
            self.head = u64::from(self.id) << 32;
        }
    }
}

/// What a namespace promises; nothing where it cannot be driven.
fn promised(now: &Namespace, around: Around<'_>, read_only: bool) -> Option<(Limits, Protection)> {
    let Around { controller, volatile_cache } = around;
    // By SGL a command can have as much as the controller takes; by PRP what one list names.
    let ours = if controller.sgl() { u64::MAX } else { PRP_BYTES };
    let (limits, protection) = now.limits(controller.most_bytes().min(ours))?;
    let discard = controller.offers(oncs::DATASET);
    let limits = Limits {
        volatile_cache,
        queue_depth: u16::try_from(MOST).unwrap_or(u16::MAX),
        write_zeroes: controller.offers(oncs::WRITE_ZEROES),
        discard_granularity: if discard { limits.discard_granularity } else { 0 },
        read_only: limits.read_only || read_only,
        ..limits
    };
    Some((limits, protection))
}
