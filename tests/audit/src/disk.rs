// SPDX-License-Identifier: MIT
//! A disk with a volatile cache: when power goes, each sector that was written since the last flush is old or new.
use orion_audit::extent::BLOCK;

const SECTOR: usize = 512;

/// A disk of blocks of 4096 bytes, in sectors of 512.
#[derive(Clone, Debug)]
pub struct Disk {
    durable: Vec<u8>,
    /// Sectors that were written since the last flush, in order.
    cached: Vec<(usize, Vec<u8>)>,
}

impl Disk {
    /// A disk of zeroes.
    pub fn new(blocks: u64) -> Self {
        Self { durable: vec![0; blocks as usize * BLOCK], cached: Vec::new() }
    }

    /// A block as it reads now.
    pub fn read(&self, block: u64) -> [u8; BLOCK] {
        let own = block as usize * BLOCK..(block as usize + 1) * BLOCK;
        let mut content: [u8; BLOCK] = self.durable[own.clone()].try_into().unwrap();
        for (at, bytes) in self.cached.iter().filter(|(at, _)| own.contains(at)) {
            content[at - own.start..][..SECTOR].copy_from_slice(bytes);
        }
        content
    }

    /// All that reads now.
    pub fn content(&self) -> Vec<u8> {
        let mut content = self.durable.clone();
        self.cached.iter().for_each(|(at, bytes)| content[*at..at + SECTOR].copy_from_slice(bytes));
        content
    }

    /// Writes a block.
    pub fn write(&mut self, block: u64, bytes: &[u8; BLOCK]) {
        let at = block as usize * BLOCK;
        self.cached.extend(bytes.chunks(SECTOR).enumerate().map(|(n, sector)| (at + n * SECTOR, sector.to_vec())));
    }

    /// Makes all writes durable.
    pub fn flush(&mut self) {
        self.durable = self.content();
        self.cached.clear();
    }

    /// Power goes: `kept` says of each sector in the cache whether it reached the medium.
    pub fn lose_power(&mut self, mut kept: impl FnMut() -> bool) {
        self.cached.retain(|_| kept());
        self.flush();
    }
}
