// SPDX-License-Identifier: MIT
//! A disk with some table of partitions.
//!
//! An input is: block shift, whether checksums are mended, capacity (8 bytes), then blocks: number (8 bytes), length
//! (2 bytes), and so many bytes, after which the block has zeroes. Checksums that are mended let changes of a GPT through to
//! the checks behind them.
use super::Input;
use crc::{CRC_32_ISO_HDLC, Crc};
use orion_block::BlockSize;
use orion_gpt::{FEED_MAX, Probe};
use std::collections::BTreeMap;

const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);
/// Blocks that are read at most: a chain or an array ends before.
const READS_MAX: u32 = 100_000;

struct Disk {
    block: usize,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Disk {
    fn read(&self, first: u64, blocks: u64) -> Vec<u8> {
        let block = |at| self.blocks.get(&at).cloned().unwrap_or_else(|| vec![0; self.block]);
        (first..first + blocks).flat_map(block).collect()
    }

    /// Makes the checksums of a header, and of the array that it names, right.
    fn mend(&mut self, at: u64) {
        let Some(mut header) = self.blocks.get(&at).filter(|h| h.starts_with(b"EFI PART")).cloned() else { return };
        let word = |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().unwrap());
        let first = u64::from_le_bytes(header[72..80].try_into().unwrap());
        let bytes = u64::from(word(80)) * u64::from(word(84));
        let size = word(12) as usize;
        if bytes > 1 << 20 || size > self.block || size < 92 || first.checked_add(bytes).is_none() {
            return;
        }
        let mut array = self.read(first, bytes.div_ceil(self.block as u64));
        array.truncate(bytes as usize);
        header[88..92].copy_from_slice(&CRC.checksum(&array).to_le_bytes());
        header[16..20].fill(0);
        let sum = CRC.checksum(&header[..size]).to_le_bytes();
        header[16..20].copy_from_slice(&sum);
        self.blocks.insert(at, header);
    }
}

/// Reads a table.
pub fn table(bytes: &[u8]) {
    let mut input = Input(bytes);
    let shift = 9 + input.byte() % 5;
    let (mend, capacity) = (input.byte() % 2 == 1, input.long());
    let Some(block) = BlockSize::from_shift(shift) else { return };
    let mut disk = Disk { block: 1 << shift, blocks: BTreeMap::new() };
    while !input.is_empty() {
        let (at, len) = (input.long(), usize::from(input.half()).min(disk.block));
        let mut bytes = vec![0; disk.block];
        let have = len.min(input.0.len());
        bytes[..have].copy_from_slice(&input.0[..have]);
        input.0 = &input.0[have..];
        disk.blocks.insert(at, bytes);
    }
    if mend {
        disk.mend(1);
        disk.mend(capacity.wrapping_sub(1));
    }
    let mut probe = Probe::new(block, capacity);
    let mut reads = 0;
    while let Some(extent) = probe.want() {
        reads += 1;
        assert!(reads < READS_MAX, "it never has enough");
        assert!(extent.first.checked_add(extent.blocks).is_some_and(|end| end <= capacity), "{extent:?} of {capacity}");
        assert!(extent.blocks > 0 && extent.blocks << shift <= FEED_MAX as u64, "{extent:?}");
        probe.feed(&disk.read(extent.first, extent.blocks));
    }
    let outcome = probe.outcome().expect("it wants nothing more");
    let Ok(table) = outcome else { return };
    for (index, partition) in table.partitions.iter().enumerate() {
        let end = partition.first.checked_add(partition.blocks).expect("a partition that overflows");
        assert!(partition.blocks > 0 && end <= capacity, "{partition:?} of {capacity}");
        for other in &table.partitions[..index] {
            let apart = end <= other.first || other.first + other.blocks <= partition.first;
            assert!(apart && other.number != partition.number, "{partition:?} {other:?}");
        }
    }
}
