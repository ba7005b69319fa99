// SPDX-License-Identifier: MIT
//! Tables that real tools made, tables that were built here, and the layer over both.
#![allow(clippy::type_complexity, reason = "tables of cases")]
mod build;
mod corrupt;
mod golden;
mod layer;
mod properties;

use crate::{Error, Probe, Table};
use orion_block::BlockSize;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

/// A disk of which only the 512-byte sectors are held that are not zero.
#[derive(Clone, Default)]
struct Disk {
    size: u64,
    block: u32,
    sectors: BTreeMap<u64, Vec<u8>>,
}

impl Disk {
    fn new(size: u64, block: u32) -> Self {
        Self { size, block, sectors: BTreeMap::new() }
    }

    fn read(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        for (number, to) in bytes.chunks_mut(512).enumerate() {
            if let Some(from) = self.sectors.get(&(at + number as u64 * 512)) {
                let len = to.len().min(from.len());
                to[..len].copy_from_slice(&from[..len]);
            }
        }
        bytes
    }

    fn write(&mut self, at: u64, bytes: &[u8]) {
        for (number, from) in bytes.chunks(512).enumerate() {
            self.sectors.insert(at + number as u64 * 512, from.to_vec());
        }
    }

    fn change(&mut self, at: u64, f: impl FnOnce(&mut u8)) {
        let sector = at - at % 512;
        let mut bytes = self.read(sector, 512);
        f(&mut bytes[(at % 512) as usize]);
        self.write(sector, &bytes);
    }

    /// What the probe makes of it. Every wanted block is on the disk, and it ends.
    fn probe(&self) -> Result<Table, Error> {
        self.probe_but(|_| false)
    }

    /// The same where the blocks that `bad` names cannot be read.
    fn probe_but(&self, bad: impl Fn(u64) -> bool) -> Result<Table, Error> {
        let capacity = self.size / u64::from(self.block);
        let mut probe = Probe::new(BlockSize::from_bytes(self.block).unwrap(), capacity);
        for _ in 0..2000 {
            let Some(extent) = probe.want() else {
                return probe.outcome().expect("nothing is wanted, so all is known").cloned();
            };
            assert!(probe.outcome().is_none());
            assert!(extent.blocks > 0 && extent.first.checked_add(extent.blocks).unwrap() <= capacity, "{extent:?}");
            let len = extent.blocks as usize * self.block as usize;
            assert!(len <= crate::FEED_MAX);
            if bad(extent.first) {
                probe.unreadable();
            } else {
                probe.feed(&self.read(extent.first * u64::from(self.block), len));
            }
        }
        panic!("the probe has no end");
    }
}

/// What holds of every table, whatever the disk holds.
fn check(disk: &Disk, table: &Table) {
    let capacity = disk.size / u64::from(disk.block);
    for (index, a) in table.partitions.iter().enumerate() {
        assert!(a.number > 0 && a.blocks > 0 && a.first > 0);
        assert!(a.first.checked_add(a.blocks).unwrap() <= capacity);
        for b in &table.partitions[..index] {
            assert!(a.end() <= b.first || b.end() <= a.first, "{a:?} meets {b:?}");
            assert_ne!(a.number, b.number);
        }
    }
}
