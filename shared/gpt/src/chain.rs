// SPDX-License-Identifier: MIT
//! An MBR's partitions: primary ones, and logical ones in a chain of extended boot records.
use crate::table::Table;
use crate::wire::{EXTENDED, Mbr, MbrEntry};
use crate::{Fault, Kind, Partition, Type};
use heapless::Vec;

/// Most boot records of a chain.
const LINKS_MAX: usize = 128;
/// Number of the first logical partition.
const FIRST_LOGICAL: u32 = 5;
/// The attribute of an active partition, which a GPT calls "legacy BIOS bootable".
const ACTIVE: u64 = 1 << 2;

/// The extended partition and how far its chain was followed.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    first: u64,
    end: u64,
    number: u32,
    /// The boot records so far.
    links: Vec<u64, LINKS_MAX>,
}

fn used(entry: &&MbrEntry) -> bool {
    entry.kind != 0 && entry.blocks.get() != 0
}

fn extended(entry: &MbrEntry) -> bool {
    EXTENDED.contains(&entry.kind)
}

/// The partition `number`, counted from the block `base`, if it lies in `first..end`.
fn partition(number: u32, entry: &MbrEntry, base: u64, (first, end): (u64, u64)) -> Result<Partition, Kind> {
    let at = base.saturating_add(u64::from(entry.first.get()));
    let blocks = u64::from(entry.blocks.get());
    let past = at.saturating_add(blocks);
    if at < first || past > end {
        return Err(Kind::Range(number, at, past - 1));
    }
    let attributes = if entry.boot == 0x80 { ACTIVE } else { 0 };
    Ok(Partition { number, first: at, blocks, kind: Type::Mbr(entry.kind), unique: None, name: [0; 36], attributes })
}

/// Reads the primary partitions into `table`; the block of the first extended boot record, if there is one.
pub fn primary(mbr: &Mbr, capacity: u64, table: &mut Table) -> Result<Option<(u64, Chain)>, Kind> {
    let mut chain: Option<Chain> = None;
    let numbered = || (1..).zip(&mbr.entries).filter(|(_, e)| used(e));
    for (number, entry) in numbered() {
        let found = partition(number, entry, 0, (1, capacity))?;
        if !extended(entry) {
            table.add(found)?;
        } else if chain.is_some() {
            return Err(Kind::SecondExtended);
        } else {
            chain = Some(Chain { first: found.first, end: found.end(), number, links: Vec::new() });
        }
    }
    let Some(chain) = chain else { return Ok(None) };
    match table.partitions.iter().find(|p| p.first < chain.end && chain.first < p.end()) {
        Some(other) => Err(Kind::Overlap(other.number, chain.number)),
        None => Ok(Some((chain.first, chain))),
    }
}

impl Chain {
    /// Reads the extended boot record in the block `at` into `table`; the block of the next.
    pub fn link(&mut self, at: u64, block: &[u8], table: &mut Table) -> Result<Option<u64>, Fault> {
        self.read(at, block, table).map_err(|kind| Fault { kind, at })
    }

    fn read(&mut self, at: u64, block: &[u8], table: &mut Table) -> Result<Option<u64>, Kind> {
        let record = Mbr::parse(block).ok_or(Kind::NoLink)?;
        // A record that was read before, or that lies in a partition whose owner could change it.
        if self.links.contains(&at) || table.partitions.iter().any(|p| (p.first..p.end()).contains(&at)) {
            return Err(Kind::Chain);
        }
        self.links.push(at).map_err(|_| Kind::Chain)?;
        for entry in record.entries.iter().filter(used).filter(|e| !extended(e)) {
            let logical = table.partitions.iter().filter(|p| p.number >= FIRST_LOGICAL).count();
            let number = FIRST_LOGICAL.saturating_add(u32::try_from(logical).unwrap_or(u32::MAX));
            let found = partition(number, entry, at, (at.saturating_add(1), self.end))?;
            if self.links.iter().any(|link| (found.first..found.end()).contains(link)) {
                return Err(Kind::Chain);
            }
            table.add(found)?;
        }
        let Some(next) = record.entries.iter().filter(used).find(|e| extended(e)) else {
            return Ok(None);
        };
        let next = self.first.saturating_add(u64::from(next.first.get()));
        if next < self.end { Ok(Some(next)) } else { Err(Kind::Chain) }
    }
}
