// SPDX-License-Identifier: MIT
//! What was built is parsed; what was mutated never leads astray.
use super::build::{Gpt, sum, unique};
use super::golden::image;
use super::{Disk, check};
use crate::Scheme;
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;

/// Disjoint extents from gaps and lengths, as far as they fit.
fn gpt() -> impl Strategy<Value = Gpt> {
    let parts = prop::collection::vec((0_u64..300, 1_u64..400, "[a-zA-Zäß漢😀 ]{0,15}"), 0..20);
    let shape = (prop::sample::select(&[(128, 128), (128, 200), (256, 40), (1024, 33), (4096, 24)][..]), any::<bool>());
    (parts, shape, any::<prop::sample::Index>(), 20_000_u64..u64::MAX >> 12).prop_map(
        |(parts, ((entry_size, count), large), skip, capacity)| {
            let block = if large { 4096 } else { 512 };
            let empty = Gpt { size: capacity * block, block: block as u32, entry_size, count, entries: Vec::new() };
            let mut at = empty.usable().0;
            let numbers = 1 + skip.index(4) as u32..=count;
            let mut entries: Vec<(u32, u64, u64, String)> = Vec::new();
            for (number, (gap, len, name)) in numbers.zip(parts) {
                entries.push((number, at + gap, at + gap + len - 1, name));
                at += gap + len;
            }
            // The last reaches to the end.
            if let Some(last) = entries.last_mut() {
                last.2 = empty.usable().1;
            }
            Gpt { entries, ..empty }
        },
    )
}

const BASES: [&str; 5] = ["gpt-sfdisk", "gpt-4096", "mbr-sfdisk", "mbr-parted", "gpt-hybrid"];

/// Makes the CRCs of whichever headers are there right again, so that mutations reach what lies behind them.
fn repair(disk: &mut Disk) {
    let block = u64::from(disk.block);
    for at in [block, disk.size - block] {
        let mut header = disk.read(at, disk.block as usize);
        let number = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap());
        let (array, shape) = (number(72), number(80));
        let len = (shape & 0xffff_ffff).saturating_mul(shape >> 32);
        if array < disk.size / block && len < 1 << 21 {
            let crc = sum(&disk.read(array * block, len as usize));
            header[88..92].copy_from_slice(&crc.to_le_bytes());
        }
        header[16..20].fill(0);
        let crc = sum(&header[..92]);
        header[16..20].copy_from_slice(&crc.to_le_bytes());
        disk.write(at, &header);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_was_built_is_parsed(gpt in gpt()) {
        let disk = gpt.disk();
        let table = disk.probe().unwrap();
        check(&disk, &table);
        let found: Vec<_> = table
            .partitions
            .iter()
            .map(|p| (p.number, p.first, p.end() - 1, p.name().collect::<String>()))
            .collect();
        prop_assert_eq!(found, gpt.entries);
        prop_assert!(table.partitions.iter().all(|p| p.unique == Some(unique(p.number))));
        let scheme = Scheme::Gpt { disk: unique(0), primary: None, backup: None, grown: false, hybrid: false };
        prop_assert_eq!(table.scheme, scheme);
    }

    /// Bytes that matter are changed to values that matter, with and without right CRCs.
    #[test]
    fn what_was_mutated_never_leads_astray(
        base in 0..BASES.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_u64..512, 0_u8..6, any::<u8>()), 1..12),
        repaired in any::<bool>(),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let mut disk = image(BASES[base]);
        let sectors: Vec<u64> = disk.sectors.keys().copied().collect();
        for (sector, at, how, value) in changes {
            let value = match how { 0 => 0, 1 => 0xff, 2 => 1, _ => value };
            // Half of them among the fields of headers, and the entries of boot records.
            let at = match how { 3 => at % 92, 4 => 446 + at % 66, 5 => at % 128, _ => at };
            disk.change(sectors[sector.index(sectors.len())] + at, |byte| *byte = value);
        }
        if let Some(cut) = cut {
            disk.size -= cut.index(100_000) as u64 * 512;
        }
        if repaired && BASES[base].starts_with("gpt") {
            repair(&mut disk);
        }
        if let Ok(table) = disk.probe() {
            check(&disk, &table);
        }
    }

    #[test]
    fn bytes_of_any_kind_are_no_danger(sectors in prop::collection::vec((0_u64..64, any::<u64>()), 0..32)) {
        let mut disk = image("mbr-sfdisk");
        disk.sectors.clear();
        for (at, seed) in sectors {
            let bytes: Vec<u8> = (0..64_u64).flat_map(|n| (seed ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
            disk.write(at * 512, &bytes);
            disk.change(at * 512 + 510, |byte| *byte = 0x55);
            disk.change(at * 512 + 511, |byte| *byte = 0xaa);
        }
        if let Ok(table) = disk.probe() {
            check(&disk, &table);
        }
    }
}
