// SPDX-License-Identifier: MIT
//! md's partial parity log: before a stripe is written, the parity of what is not written goes to the member that holds parity,
//! so that what parity should be follows from the members whatever of the write they got (Linux's `md/raid5-ppl.rst`).
use crate::Uuid;
use crc::{CRC_32_ISCSI, Crc, Table};
use heapless::Vec;

/// Bytes of the header.
pub const HEADER_BYTES: usize = 4096;
/// Bytes of the header that are not used, all ones.
const RESERVED: usize = 512;
/// Bytes before the entries, and of each.
const FIRST: usize = RESERVED + 24;
const ENTRY: usize = 24;
/// Most entries.
pub const ENTRIES_MAX: usize = (HEADER_BYTES - FIRST) / ENTRY;
/// Where the header's checksum stands.
const SUM_AT: usize = RESERVED + 20;

/// One write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// The array's first block that is written.
    pub block: u64,
    /// Bytes of partial parity; 0 where all data of the stripe are written.
    pub parity_bytes: u32,
    /// Bytes of data that are written, on consecutive members.
    pub data_bytes: u32,
    /// The member that holds parity.
    pub role: u32,
    /// Checksum of the partial parity.
    pub sum: u32,
}

/// Table-driven by 16 bytes: sums are computed on the way of each write.
static CRC: Crc<u32, Table<16>> = Crc::<u32, Table<16>>::new(&CRC_32_ISCSI);

/// CRC32C of `bytes` behind those that gave `sum`; 0 at first.
pub fn crc32c(sum: u32, bytes: &[u8]) -> u32 {
    // The algorithm is reflected: what a sum went on from is given to it in the other order of bits.
    let mut digest = CRC.digest_with_initial((!sum).reverse_bits());
    digest.update(bytes);
    digest.finalize()
}

/// Which array a log belongs to.
pub fn signature(set: Uuid) -> u32 {
    crc32c(0, &set.0)
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(to) = bytes.get_mut(at..at + N) {
        to.copy_from_slice(&value);
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_le_bytes(*word))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|long| u64::from_le_bytes(*long))
}

/// Writes a header of these entries, the first [`ENTRIES_MAX`].
pub fn emit(bytes: &mut [u8; HEADER_BYTES], signature: u32, generation: u64, entries: &[Entry]) {
    bytes.fill(0);
    bytes.iter_mut().take(RESERVED).for_each(|byte| *byte = 0xff);
    put(bytes, RESERVED, signature.to_le_bytes());
    put(bytes, RESERVED + 8, generation.to_le_bytes());
    let count = u32::try_from(entries.len().min(ENTRIES_MAX)).unwrap_or(0);
    put(bytes, RESERVED + 16, count.to_le_bytes());
    for (entry, at) in entries.iter().take(ENTRIES_MAX).zip((FIRST..).step_by(ENTRY)) {
        put(bytes, at, entry.block.to_le_bytes());
        put(bytes, at + 8, entry.parity_bytes.to_le_bytes());
        put(bytes, at + 12, entry.data_bytes.to_le_bytes());
        put(bytes, at + 16, entry.role.to_le_bytes());
        put(bytes, at + 20, entry.sum.to_le_bytes());
    }
    let sum = crc32c(0, bytes);
    put(bytes, SUM_AT, sum.to_le_bytes());
}

/// The entries of a header of this array, and its generation; `None` where there is none.
pub fn parse(bytes: &[u8; HEADER_BYTES], own: u32) -> Option<(u64, Vec<Entry, ENTRIES_MAX>)> {
    let mut clear = *bytes;
    put(&mut clear, SUM_AT, [0; 4]);
    if word(bytes, SUM_AT)? != crc32c(0, &clear) || word(bytes, RESERVED)? != own {
        return None;
    }
    let count = usize::try_from(word(bytes, RESERVED + 16)?).ok().filter(|count| *count <= ENTRIES_MAX)?;
    let entry = |at: usize| {
        Some(Entry {
            block: long(bytes, at)?,
            parity_bytes: word(bytes, at + 8)?,
            data_bytes: word(bytes, at + 12)?,
            role: word(bytes, at + 16)?,
            sum: word(bytes, at + 20)?,
        })
    };
    let entries: Option<Vec<Entry, ENTRIES_MAX>> = (FIRST..).step_by(ENTRY).take(count).map(entry).collect();
    Some((long(bytes, RESERVED + 8)?, entries?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_iscsi() {
        assert_eq!(crc32c(0, b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(crc32c(0, b"1234"), b"56789"), 0xe306_9283);
    }

    #[test]
    fn a_header_comes_back_as_it_went() {
        let entry = |n: u32| Entry { block: n.into(), parity_bytes: 4096, data_bytes: 8192, role: 1, sum: n };
        for count in [0, 1, 7, ENTRIES_MAX] {
            let entries: Vec<Entry, ENTRIES_MAX> = (0..count as u32).map(entry).collect();
            let mut bytes = [0; HEADER_BYTES];
            emit(&mut bytes, 77, 9, &entries);
            assert_eq!(parse(&bytes, 77), Some((9, entries)));
            assert_eq!(parse(&bytes, 78), None);
            bytes[600] ^= 1;
            assert_eq!(parse(&bytes, 77), None);
        }
    }
}
