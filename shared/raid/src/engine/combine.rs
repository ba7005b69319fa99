// SPDX-License-Identifier: MIT
//! What an array offers, from what its members do.
use super::Raid;
use super::members::each;
use crate::{Geometry, Level};
use orion_block::{BlockSize, DiscardReads, Limits};

/// The largest number that divides both; of 0 and another, the other.
const fn divisor(a: u64, b: u64) -> u64 {
    let (mut a, mut b) = (a, b);
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// The smaller of two limits, where 0 is none.
const fn lesser(a: u64, b: u64) -> u64 {
    if a == 0 || (b != 0 && b < a) { b } else { a }
}

impl Raid {
    /// Whether discards are refused: copies must stay alike, and what a discarded block reads as may differ.
    pub(super) fn offers_no_discard(&self) -> bool {
        self.redundant()
    }

    /// Sectors of which no request may cross a multiple; 0: none.
    fn boundary(&self, geometry: &Geometry, below: &[Limits]) -> u64 {
        let chunk = match geometry.level() {
            Level::Raid0(_) | Level::Raid10(_) => geometry.chunk(),
            // What is asked is one member's, in one band.
            Level::Parity(_) => self.lines.height,
            _ => 0,
        };
        let members = each(self.members.used()).filter_map(|role| self.members.get(role));
        members.fold(chunk, |all, member| {
            let own =
                below.get(usize::from(member.port)).map_or(0, |limits| u64::from(limits.boundary) << member.scale);
            if own == 0 { all } else { divisor(divisor(all, own), member.offset) }
        })
    }

    /// The limits of the array.
    pub(super) fn combined(&self, below: &[Limits]) -> Limits {
        let Some(geometry) = &self.geometry else {
            return Limits { atomic_blocks: 1, ..Limits::default() };
        };
        let scale = self.scale;
        let blocks = |sectors: u64| u32::try_from(sectors >> scale).unwrap_or(u32::MAX);
        let block = BlockSize::from_shift(9 + scale).unwrap_or_default();
        let own = |role: u32| below.get(usize::from(self.members.get(role)?.port));
        let members = || each(self.members.used()).filter_map(own);
        let most =
            members().fold(0, |most, l| lesser(most, u64::from(l.max_blocks) << l.block.shift().saturating_sub(9)));
        let spread = !self.redundant();
        let discards = spread && members().all(|l| l.discard_granularity > 0);
        let granularity =
            members().map(|l| u64::from(l.discard_granularity) << l.block.shift().saturating_sub(9)).max();
        let zeroes = members().all(|l| l.discard_reads == DiscardReads::Zeroes);
        let parity = matches!(geometry.level(), Level::Parity(_));
        let striped = matches!(geometry.level(), Level::Raid0(_) | Level::Raid10(_) | Level::Parity(_));
        Limits {
            block,
            physical: members().map(|l| l.physical).max().unwrap_or(block).max(block),
            capacity: geometry.sectors().min(self.moving.kept.unwrap_or(u64::MAX)) >> scale,
            max_blocks: blocks(most),
            boundary: blocks(self.boundary(geometry, below)),
            optimal_blocks: if striped { blocks(geometry.chunk()) } else { 0 },
            atomic_blocks: 1,
            queue_depth: 0,
            discard_granularity: if discards { blocks(granularity.unwrap_or(0)).max(1) } else { 0 },
            discard_reads: if zeroes { DiscardReads::Zeroes } else { DiscardReads::Undefined },
            // Parity is computed from a copy.
            stable_writes: !(spread || parity) || members().any(|l| l.stable_writes),
            volatile_cache: members().any(|l| l.volatile_cache),
            fua: members().all(|l| l.fua),
            write_zeroes: parity || members().all(|l| l.write_zeroes),
            read_only: self.read_only || members().any(|l| l.read_only),
        }
    }
}
