// SPDX-License-Identifier: MIT
//! Content that names its block and its version, and numbers from a seed.

/// A stream of numbers that only depends on its seed: splitmix64, of which every bit of output depends on every bit of the
/// state. The numbers of a seed never change: found seeds are kept as tests.
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// The stream of `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `n`, which is not 0.
    pub fn within(&mut self, n: u64) -> u64 {
        self.number() % n
    }

    /// An index below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        self.within(n as u64) as usize
    }
}

/// The content of version `version` of block `lba`; version 0 is zeroes.
pub fn content(version: u32, lba: u64, bytes: usize) -> Vec<u8> {
    if version == 0 {
        return vec![0; bytes];
    }
    let mut numbers = Numbers::new(lba.wrapping_mul(0x1_0000_0001) ^ u64::from(version) << 40);
    (0..bytes / 8).flat_map(|_| numbers.number().to_le_bytes()).collect()
}
