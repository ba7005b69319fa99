// SPDX-License-Identifier: MIT
//! Fills sections of a program, on a copy of it: how plain sDDF components learn where their rings are, and how our own
//! programs keep an image of their initialised data for a restart.
//!
//! sDDF's own builds do this with `objcopy --update-section`. Sizes never change here: a section of another size is one
//! of another version of sDDF.
use orion_system::plan::Section;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// ELF-64, little endian (System V ABI, "ELF Header").
const IDENT: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
/// Initialised data of a program of ours, and the section that is to hold its image (`pds/sel4/program.ld`).
const DATA: &str = ".data";
const IMAGE: &str = ".orion.data";
/// A section without bytes in the file (`SHT_NOBITS`).
const NOBITS: u64 = 8;

const NO_ELF: &str = "is not a 64-bit little-endian ELF program";

/// Copies the program `from` to `to`, with `sections` filled.
///
/// # Errors
/// Where it is no such program, or lacks a section, or has one of another size: what to do.
pub fn fill(from: &Path, to: &Path, sections: &[Section]) -> Result<(), String> {
    change(from, to, |program| sections.iter().try_for_each(|section| put(program, section)))
}

/// Copies the program `from`, one of ours, to `to`, with an image of its initialised data: a PD that begins again takes
/// its data from there.
///
/// # Errors
/// Where it is no such program, or has more data than the image's section has room for.
pub fn keep_data(from: &Path, to: &Path) -> Result<(), String> {
    change(from, to, image)
}

fn change(from: &Path, to: &Path, how: impl FnOnce(&mut [u8]) -> Result<(), String>) -> Result<(), String> {
    let shown = from.display();
    let mut program = fs::read(from).map_err(|error| format!("{shown}: cannot be read: {error}"))?;
    how(&mut program).map_err(|what| format!("{shown}: {what}"))?;
    let parent = to.parent().map_or(Ok(()), fs::create_dir_all);
    parent
        .and_then(|()| fs::write(to, &program))
        .map_err(|error| format!("{}: cannot be written: {error}", to.display()))
}

fn image(program: &mut [u8]) -> Result<(), String> {
    let [data, room] = [DATA, IMAGE].map(|name| {
        let none = format!("has no section {name}; it was not linked by pds/sel4/program.ld");
        find(program, name).ok_or(NO_ELF)?.ok_or(none)
    });
    let (data, room) = (data?, room?);
    let (has, most) = (data.len(), room.len());
    let image = (has <= most).then(|| program.get(data).map(<[u8]>::to_vec)).flatten();
    let (image, to) = image.zip(program.get_mut(room)).ok_or_else(|| {
        format!("has {has} bytes of initialised data, where an image of {most} has room; see pds/sel4/src/restart.rs")
    })?;
    to.iter_mut().zip(image).for_each(|(to, byte)| *to = byte);
    Ok(())
}

fn put(program: &mut [u8], section: &Section) -> Result<(), String> {
    let name = section.name;
    let none = format!("has no section {name}; is it the sDDF component that system.xml says?");
    let place = find(program, name).ok_or(NO_ELF)?.ok_or(none)?;
    let (has, wants) = (place.len(), section.bytes.len());
    if has != wants {
        return Err(format!(
            "its section {name} has {has} bytes, where sDDF 0.7's has {wants}; build it with sDDF 0.7"
        ));
    }
    let bytes = program.get_mut(place).ok_or_else(|| format!("its section {name} lies outside the file"))?;
    bytes.copy_from_slice(&section.bytes);
    Ok(())
}

/// The bytes of the section `name` in the file; `Some(None)`: there is no such section with bytes; `None`: no ELF.
fn find(program: &[u8], name: &str) -> Option<Option<Range<usize>>> {
    if !program.starts_with(&IDENT) {
        return None;
    }
    let headers = number(program, 0x28, 8)?;
    let (size, count, names) = (number(program, 0x3a, 2)?, number(program, 0x3c, 2)?, number(program, 0x3e, 2)?);
    let header = |index: usize| headers.checked_add(index.checked_mul(size)?);
    let names = number(program, header(names)?.checked_add(0x18)?, 8)?;
    for index in 0..count {
        let at = header(index)?;
        let field = |offset: usize, bytes: usize| number(program, at.checked_add(offset)?, bytes);
        let named = names.checked_add(field(0, 4)?).and_then(|at| program.get(at..))?;
        let same = named.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.first() == Some(&0));
        if same && field(4, 4)? as u64 != NOBITS {
            let start = field(0x18, 8)?;
            return Some(Some(start..start.checked_add(field(0x20, 8)?)?));
        }
    }
    Some(None)
}

/// The little-endian number of `bytes` bytes at `at`.
fn number(program: &[u8], at: usize, bytes: usize) -> Option<usize> {
    let digits = program.get(at..at.checked_add(bytes)?)?;
    let value = digits.iter().rev().fold(0_u64, |value, digit| value << 8 | u64::from(*digit));
    usize::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::iter::repeat_n;

    /// A program with the sections `.bss` (no bytes) and `.blk_client_config` of 80 bytes at 0x100.
    fn program() -> Vec<u8> {
        elf(b"\0.blk_client_config\0.blk_client\0", &[(20, 8, 0x100, 80), (1, 1, 0x100, 80)])
    }

    /// A program with sections of these names, each where its name begins among them, its kind, place and bytes. Up to
    /// 0x180 bytes of them, each 0xee.
    fn elf(names: &[u8], sections: &[(u32, u32, u64, u64)]) -> Vec<u8> {
        let mut elf: Vec<u8> = IDENT.into_iter().chain(repeat_n(0, 58)).collect();
        let count = u16::try_from(sections.len()).unwrap_or(u16::MAX);
        elf[0x28..0x30].copy_from_slice(&0x200_u64.to_le_bytes());
        for (at, value) in [(0x3a, 64_u16), (0x3c, count + 1), (0x3e, count)] {
            elf[at..at + 2].copy_from_slice(&value.to_le_bytes());
        }
        elf.resize(0x100, 0);
        elf.resize(0x180, 0xee);
        elf.extend(names);
        elf.resize(0x200, 0);
        let all = sections.iter().copied().chain([(0, 3, 0x180, names.len() as u64)]);
        for (name, kind, at, size) in all {
            elf.extend([name, kind].map(u32::to_le_bytes).concat());
            elf.extend([0, 0, at, size, 0, 0, 0].map(u64::to_le_bytes).concat());
        }
        elf
    }

    fn section(name: &'static str, bytes: usize) -> Section {
        Section { name, file: String::new(), bytes: vec![7; bytes] }
    }

    #[test]
    fn a_section_is_filled_and_nothing_else_changes() {
        let (before, mut after) = (program(), program());
        put(&mut after, &section(".blk_client_config", 80)).unwrap();
        assert!(after[0x100..0x150].iter().all(|byte| *byte == 7));
        after[0x100..0x150].copy_from_slice(&before[0x100..0x150]);
        assert_eq!(after, before);
    }

    #[test]
    fn the_image_is_of_all_initialised_data_and_nothing_else_changes() {
        let with_room = |room| elf(b"\0.data\0.orion.data\0", &[(1, 1, 0x100, 32), (7, 1, 0x140, room)]);
        let (before, mut after) = (with_room(40), with_room(40));
        after[0x100..0x120].iter_mut().zip(1..).for_each(|(byte, n)| *byte = n);
        image(&mut after).unwrap();
        assert!(after[0x140..0x160].iter().copied().eq(1..=32));
        after[0x140..0x160].fill(0xee);
        after[0x100..0x120].fill(0xee);
        assert_eq!(after, before);
        assert!(image(&mut with_room(31)).unwrap_err().contains("32 bytes of initialised data, where an image of 31"));
        assert!(image(&mut program()).unwrap_err().contains("no section .data"));
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let said = |program: &[u8], section: Section| put(&mut program.to_vec(), &section).unwrap_err();
        let elf = program();
        assert!(said(&elf, section(".blk_client_config", 72)).contains("80 bytes, where sDDF 0.7's has 72"));
        assert!(said(&elf, section(".blk_driver_config", 64)).contains("no section .blk_driver_config"));
        assert!(said(&elf, section(".blk_client", 80)).contains("no section .blk_client"), "one without bytes");
        assert!(said(b"\x7fELF\x01\x01", section(".blk_client_config", 80)).contains("not a 64-bit"));
    }

    #[test]
    fn no_change_of_a_program_causes_a_panic() {
        let elf = program();
        for at in (0..0x40).chain(0x200..elf.len()) {
            for value in [0, 1, 0x7f, 0x80, 0xff] {
                let mut changed = elf.clone();
                changed[at] = value;
                let _ = put(&mut changed, &section(".blk_client_config", 80));
            }
            let _ = put(&mut elf[..at].to_vec(), &section(".blk_client_config", 80));
        }
    }
}
