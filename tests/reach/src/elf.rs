// SPDX-License-Identifier: MIT
//! The least program that the Microkit tool takes: a page of zeroes, and the symbols that it fills in.
use orion_system::plan::Board;

const BASE: u64 = 0x20_0000;
const PAGE: u64 = 0x1000;
/// Symbols of `libmicrokit`, each with its bytes.
const SYMBOLS: &[(&str, u64)] = &[
    ("microkit_name", 64),
    ("microkit_passive", 8),
    ("microkit_irqs", 8),
    ("microkit_notifications", 8),
    ("microkit_pps", 8),
    ("microkit_ioports", 8),
];

/// A program for `board` that has `symbols` of 8 bytes too.
pub fn program(board: Board, symbols: &[String]) -> Vec<u8> {
    let (mut names, mut table, mut at) = (vec![0], vec![0; 24], 0);
    let own = symbols.iter().map(|name| (name.as_str(), 8));
    for (name, size) in SYMBOLS.iter().copied().chain(own) {
        let index = u32::try_from(names.len()).unwrap();
        names.extend(name.bytes().chain([0]));
        table.extend(index.to_le_bytes());
        // A global object of section 1.
        table.extend([0x11, 0, 1, 0]);
        table.extend([BASE + at, size].map(u64::to_le_bytes).concat());
        at += size;
    }
    assert!(at <= PAGE, "too many symbols");
    let sections = 64 + 56;
    let (page, table_at) = (PAGE, 2 * PAGE);
    let names_at = table_at + table.len() as u64;
    let machine: u16 = if board == Board::X86_64Generic { 62 } else { 183 };
    let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    elf.extend([2, machine].map(u16::to_le_bytes).concat());
    elf.extend(1_u32.to_le_bytes());
    elf.extend([BASE, 64, sections].map(u64::to_le_bytes).concat());
    elf.extend(0_u32.to_le_bytes());
    elf.extend([64_u16, 56, 1, 64, 4, 3].map(u16::to_le_bytes).concat());
    // One segment that can be read, written and executed.
    elf.extend([1_u32, 7].map(u32::to_le_bytes).concat());
    elf.extend([page, BASE, BASE, PAGE, PAGE, PAGE].map(u64::to_le_bytes).concat());
    elf.extend([0; 64]);
    elf.extend(section((1, 7), BASE, (page, PAGE), (0, 0)));
    elf.extend(section((2, 0), 0, (table_at, table.len() as u64), (3, 24)));
    elf.extend(section((3, 0), 0, (names_at, names.len() as u64), (0, 0)));
    elf.resize(usize::try_from(table_at).unwrap(), 0);
    elf.extend(table);
    elf.extend(names);
    elf
}

/// A section header: kind and flags, address, place and length in the file, linked section and size of an entry.
fn section((kind, flags): (u32, u64), address: u64, (at, len): (u64, u64), (link, entry): (u32, u64)) -> Vec<u8> {
    let mut header = [0, kind].map(u32::to_le_bytes).concat();
    header.extend([flags, address, at, len].map(u64::to_le_bytes).concat());
    header.extend([link, 0].map(u32::to_le_bytes).concat());
    header.extend([8, entry].map(u64::to_le_bytes).concat());
    header
}
