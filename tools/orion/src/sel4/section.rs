// SPDX-License-Identifier: MIT
//! Fills sections of a program, on a copy of it: how plain sDDF components learn where their rings are.
//!
//! sDDF's own builds do this with `objcopy --update-section`. Sizes never change here: a section of another size is one
//! of another version of sDDF.
use orion_system::plan::Section;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// ELF-64, little endian (System V ABI, "ELF Header").
const IDENT: [u8; 6] = [0x7f, b'E', b'L', b'F', 2, 1];
/// A section without bytes in the file (`SHT_NOBITS`).
const NOBITS: u64 = 8;

/// Copies the program `from` to `to`, with `sections` filled.
///
/// # Errors
/// Where it is no such program, or lacks a section, or has one of another size: what to do.
pub fn fill(from: &Path, to: &Path, sections: &[Section]) -> Result<(), String> {
    let shown = from.display();
    let mut program = fs::read(from).map_err(|error| format!("{shown}: cannot be read: {error}"))?;
    for section in sections {
        put(&mut program, section).map_err(|what| format!("{shown}: {what}"))?;
    }
    let parent = to.parent().map_or(Ok(()), fs::create_dir_all);
    parent
        .and_then(|()| fs::write(to, &program))
        .map_err(|error| format!("{}: cannot be written: {error}", to.display()))
}

fn put(program: &mut [u8], section: &Section) -> Result<(), String> {
    let name = section.name;
    let none = format!("has no section {name}; is it the sDDF component that system.xml says?");
    let place = find(program, name).ok_or("is not a 64-bit little-endian ELF program")?.ok_or(none)?;
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
