// SPDX-License-Identifier: MIT
//! md's partial parity log: before a stripe is written, the parity of what is not written goes to the member that holds parity,
//! so that what parity should be follows from the members whatever of the write they got (Linux's `md/raid5-ppl.rst`).
use crate::Uuid;
use crate::wire::{PPL_ENTRIES, PplEntry, PplHeader};
use crc::{CRC_32_ISCSI, Crc, Table};
use heapless::Vec;
use zerocopy::{FromBytes, FromZeros, IntoBytes};

/// Bytes of the header.
pub const HEADER_BYTES: usize = size_of::<PplHeader>();
/// Most entries.
pub const ENTRIES_MAX: usize = PPL_ENTRIES;
/// Sectors from which on there is room for two logs of 128 KiB: as Linux does, one is written behind the other then, in turn.
pub const TURN_SECTORS: u16 = 2 * (256 + 8);

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

/// Writes a header of these entries, the first [`ENTRIES_MAX`].
pub fn emit(bytes: &mut [u8; HEADER_BYTES], signature: u32, generation: u64, entries: &[Entry]) {
    let mut header = PplHeader::new_zeroed();
    header.reserved = [0xff; 512];
    (header.signature, header.generation) = (signature.into(), generation.into());
    header.count = u32::try_from(entries.len().min(ENTRIES_MAX)).unwrap_or(0).into();
    for (to, entry) in header.entries.iter_mut().zip(entries) {
        let &Entry { block, parity_bytes, data_bytes, role, sum } = entry;
        (to.block, to.parity_bytes, to.data_bytes) = (block.into(), parity_bytes.into(), data_bytes.into());
        (to.role, to.sum) = (role.into(), sum.into());
    }
    header.sum = crc32c(0, header.as_bytes()).into();
    bytes.copy_from_slice(header.as_bytes());
}

/// Has a header be empty, whatever is there. Of one of this array no more than its second sector changes, which is written whole
/// or not at all: what is there then is the one or the other.
pub fn clear(bytes: &mut [u8; HEADER_BYTES], own: u32, generation: u64) {
    let known = parse(bytes, own).is_some();
    match PplHeader::mut_from_bytes(bytes) {
        Ok(header) if known => {
            (header.generation, header.count, header.sum) = (generation.into(), 0.into(), 0.into());
            header.sum = crc32c(0, header.as_bytes()).into();
        }
        _ => emit(bytes, own, generation, &[]),
    }
}

/// The entries of a header of this array, and its generation; `None` where there is none.
pub fn parse(bytes: &[u8; HEADER_BYTES], own: u32) -> Option<(u64, Vec<Entry, ENTRIES_MAX>)> {
    let header = PplHeader::ref_from_bytes(bytes).ok()?;
    let mut clear = *header;
    clear.sum = 0.into();
    if header.sum.get() != crc32c(0, clear.as_bytes()) || header.signature.get() != own {
        return None;
    }
    let entries = header.entries.get(..usize::try_from(header.count.get()).ok()?)?;
    let entry = |from: &PplEntry| Entry {
        block: from.block.get(),
        parity_bytes: from.parity_bytes.get(),
        data_bytes: from.data_bytes.get(),
        role: from.role.get(),
        sum: from.sum.get(),
    };
    Some((header.generation.get(), entries.iter().map(entry).collect()))
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
    fn a_header_that_is_emptied_changes_in_one_sector() {
        let entry = |n: u32| Entry { block: n.into(), parity_bytes: 4096, data_bytes: 8192, role: 1, sum: n };
        let entries: Vec<Entry, ENTRIES_MAX> = (0..ENTRIES_MAX as u32).map(entry).collect();
        let mut bytes = [0; HEADER_BYTES];
        emit(&mut bytes, 77, 9, &entries);
        let before = bytes;
        clear(&mut bytes, 77, 10);
        assert_eq!(parse(&bytes, 77), Some((10, Vec::new())));
        assert!(before[..512] == bytes[..512] && before[1024..] == bytes[1024..]);
        for junk in [0, 0x5a] {
            let mut bytes = [junk; HEADER_BYTES];
            clear(&mut bytes, 77, 3);
            assert_eq!(parse(&bytes, 77), Some((3, Vec::new())));
        }
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
