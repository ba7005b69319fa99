// SPDX-License-Identifier: MIT
//! From what a unit says to what it is used for.
use super::{Absent, Facts, LogicalUnit, Traits, Zeroes};
use orion_block::{DiscardReads, Limits};

/// Most blocks of a WRITE SAME where the unit does not say: what its ten-byte form can count.
const SAME_MAX: u64 = 0xffff;
/// Most blocks of a transfer where the unit does not say and has no 16-byte commands.
const SHORT_MAX: u32 = 0xffff;

impl Facts {
    /// Whether a unit of which this was known serves as the same now.
    fn is_same(&self, known: &Self) -> bool {
        let who = |facts: &Self| (facts.inquiry.vendor, facts.inquiry.product, facts.designator);
        who(self) == who(known) && self.capacity.block == known.capacity.block
    }

    /// Why the unit cannot be used.
    fn fault(&self) -> Option<Absent> {
        (self.capacity.blocks == 0).then_some(Absent("the disk says nothing usable of its capacity"))
    }

    fn limits(&self, read_only: bool, bytes_max: u32) -> Limits {
        let shift = self.capacity.block.shift();
        let said = self.limits.unwrap_or_default();
        let most = if self.long { bytes_max >> shift } else { (bytes_max >> shift).min(SHORT_MAX) };
        let max_blocks = if said.max_transfer == 0 { most } else { most.min(said.max_transfer) };
        let read_only = read_only || self.mode.write_protected;
        Limits {
            block: self.capacity.block,
            physical: self.capacity.physical,
            capacity: self.capacity.blocks,
            max_blocks,
            boundary: 0,
            optimal_blocks: said.optimal_transfer.min(max_blocks),
            atomic_blocks: 1,
            queue_depth: 0,
            discard_granularity: if self.unmap() > 0 { said.unmap_granularity.max(1) } else { 0 },
            // A unit may ignore an UNMAP of a block and give back the old data, whatever LBPRZ says.
            discard_reads: DiscardReads::Undefined,
            stable_writes: false,
            volatile_cache: self.volatile(),
            fua: true,
            write_zeroes: !read_only,
            read_only,
        }
    }

    /// Most blocks of an UNMAP; 0 where there is none.
    fn unmap(&self) -> u32 {
        let said = self.limits.unwrap_or_default();
        let offered = self.provisioning.is_some_and(|found| found.unmap) && said.max_unmap_descriptors > 0;
        if offered { said.max_unmap } else { 0 }
    }

    fn volatile(&self) -> bool {
        self.mode.write_cache.unwrap_or(self.synchronizes)
    }

    fn traits(&self, limits: &Limits) -> Traits {
        let same = match self.limits.map_or(0, |said| said.max_write_same) {
            0 => SAME_MAX,
            most => most,
        };
        Traits {
            capacity: limits.capacity,
            max_blocks: limits.max_blocks,
            shift: limits.block.shift(),
            long: self.long,
            read_only: limits.read_only,
            fua: self.mode.fua,
            volatile: limits.volatile_cache,
            unmap: self.unmap(),
            zeroes: if self.long { Zeroes::Same } else { Zeroes::Plain },
            same: u32::try_from(same).unwrap_or(u32::MAX),
        }
    }
}

impl LogicalUnit {
    /// All was asked: whether what it offers changed.
    pub(super) fn conclude(&mut self) -> bool {
        let was = self.limits();
        let other = self.known.is_some_and(|known| !self.facts.is_same(&known));
        let fault = if other { Some(Absent("another disk is in its place")) } else { self.facts.fault() };
        let limits = self.facts.limits(self.read_only, self.bytes_max);
        match fault {
            Some(Absent(why)) => self.leave(why),
            None if limits.max_blocks == 0 => self.leave("the disk takes no transfer of a single block"),
            None => {
                let zeroes = self.traits.zeroes;
                (self.limits, self.traits) = (limits, self.facts.traits(&limits));
                if self.known.is_some() && zeroes == Zeroes::Plain {
                    self.traits.zeroes = zeroes;
                }
                self.known = Some(self.facts);
                self.serves = true;
            }
        }
        self.limits() != was
    }
}
