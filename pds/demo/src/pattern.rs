// SPDX-License-Identifier: MIT
//! What the demo writes: words that differ for each block and each run, so that a block that was lost, swapped or left
//! over from another run is seen.
use crate::job::Data;

/// Bytes that are made and compared at a time; every block is a multiple.
const STEP: usize = 512;
/// What a slot holds before a read: never what a block holds.
const POISON: u8 = 0xA5;

/// Spreads the bits of `x` (the finaliser of splitmix64).
pub const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// What [`mix`] makes `x` of.
const fn unmix(x: u64) -> u64 {
    let x = (x ^ (x >> 31) ^ (x >> 62)).wrapping_mul(0x3196_42b2_d24d_8ec3);
    let x = (x ^ (x >> 27) ^ (x >> 54)).wrapping_mul(0x96de_1b17_3f11_9089);
    x ^ (x >> 30) ^ (x >> 60)
}

/// The run in which the bytes at `offset` would be the content of `block`; `None` outside the region.
pub fn seed(data: &dyn Data, offset: u64, block: u64) -> Option<u64> {
    let mut first = [0; 8];
    data.get(offset, &mut first).then(|| unmix(u64::from_le_bytes(first)) ^ mix(block))
}

/// Bytes `at..at + 512` of block `block` in run `seed`.
fn bytes(seed: u64, block: u64, at: u64) -> [u8; STEP] {
    let first = mix(seed ^ mix(block)).wrapping_add(at);
    let mut out = [0; STEP];
    for (word, i) in out.chunks_exact_mut(8).zip(0_u64..) {
        word.copy_from_slice(&first.wrapping_add(i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_le_bytes());
    }
    out
}

/// Fills the `count` blocks of `size` bytes at `offset` with the content of `block` and those after it.
pub fn fill(data: &dyn Data, offset: u64, seed: u64, block: u64, count: u16, size: u64) -> bool {
    steps(count, size).all(|(nth, at)| {
        let content = bytes(seed, block.wrapping_add(nth), at);
        data.put(offset.wrapping_add(nth * size + at), &content)
    })
}

/// The first of the blocks that does not hold its content, counted from `block`, and the first byte of it.
pub fn mismatch(data: &dyn Data, offset: u64, seed: u64, block: u64, count: u16, size: u64) -> Option<(u64, u64)> {
    steps(count, size).find_map(|(nth, at)| {
        let expected = bytes(seed, block.wrapping_add(nth), at);
        let mut found = [0; STEP];
        let there = data.get(offset.wrapping_add(nth * size + at), &mut found);
        let differs = expected.iter().zip(&found).zip(at..).find(|((e, f), _)| e != f);
        match differs {
            Some((_, byte)) => Some((block.wrapping_add(nth), byte)),
            None => (!there).then_some((block.wrapping_add(nth), at)),
        }
    })
}

/// Fills `len` bytes, a multiple of 512, with what no block holds.
pub fn poison(data: &dyn Data, offset: u64, len: u64) {
    for at in (0..len).step_by(STEP) {
        data.put(offset.wrapping_add(at), &[POISON; STEP]);
    }
}

/// Whether the `len` bytes are as [`poison`] left them.
pub fn untouched(data: &dyn Data, offset: u64, len: u64) -> bool {
    (0..len).step_by(STEP).all(|at| {
        let mut found = [0; STEP];
        data.get(offset.wrapping_add(at), &mut found) && found == [POISON; STEP]
    })
}

/// Each step of `count` blocks of `size` bytes: which block, and the byte in it.
fn steps(count: u16, size: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..u64::from(count)).flat_map(move |nth| (0..size).step_by(STEP).map(move |at| (nth, at)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unmixed_numbers_are_those_that_were_mixed() {
        for x in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef].into_iter().chain((0..64).map(|n| 1 << n)) {
            assert_eq!(unmix(mix(x)), x);
        }
    }
}
