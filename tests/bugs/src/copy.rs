// SPDX-License-Identifier: MIT
//! The copy of the tree in which the bugs are.
use crate::{BUGS, root};
use std::fs;
use std::io;
use std::path::Path;

/// Appended to `orion-block`, which all that has bugs depends on.
const SEEDED: &str = "
extern crate self as orion_block;
extern crate std;
/// Whether the bug of this number is on: the environment variable ORION_BUG says which.
pub fn seeded(number: usize) -> bool {
    static ON: std::sync::OnceLock<usize> = std::sync::OnceLock::new();
    *ON.get_or_init(|| std::env::var(\"ORION_BUG\").ok().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX)) == number
}
";

/// Copies the tree to `to`, with the bugs. A file that is as it was is left alone, so that little is built again.
///
/// # Errors
/// A file can't be read or written, or a bug has lost its place.
pub fn tree(to: &Path) -> Result<(), String> {
    for entry in ["Cargo.toml", "Cargo.lock", "system.xml", "docs", "shared", "pds", "tools", "tests"] {
        copy(&root().join(entry), &to.join(entry), entry).map_err(|error| format!("{entry}: {error}"))?;
    }
    let mut files: Vec<&str> = BUGS.iter().map(|bug| bug.file).collect();
    files.sort_unstable();
    files.dedup();
    for file in files {
        let mut text = fs::read_to_string(root().join(file)).map_err(|error| format!("{file}: {error}"))?;
        for (number, bug) in BUGS.iter().enumerate().filter(|(_, bug)| bug.file == file) {
            text = bug.plant(&text, number)?;
        }
        write(&to.join(file), text.as_bytes()).map_err(|error| format!("{file}: {error}"))?;
    }
    let block = "shared/block/src/lib.rs";
    let text = fs::read_to_string(root().join(block)).map_err(|error| format!("{block}: {error}"))?;
    write(&to.join(block), (text + SEEDED).as_bytes()).map_err(|error| format!("{block}: {error}"))
}

fn copy(from: &Path, to: &Path, name: &str) -> io::Result<()> {
    if !from.is_dir() {
        // Files with bugs are written later, once.
        return if BUGS.iter().any(|bug| bug.file == name) || name == "shared/block/src/lib.rs" {
            Ok(())
        } else {
            write(to, &fs::read(from)?)
        };
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let own = entry.file_name().into_string().unwrap_or_default();
        if own != "target" && own != "build" {
            copy(&entry.path(), &to.join(&own), &format!("{name}/{own}"))?;
        }
    }
    Ok(())
}

fn write(to: &Path, bytes: &[u8]) -> io::Result<()> {
    if fs::read(to).is_ok_and(|old| old == bytes) { Ok(()) } else { fs::write(to, bytes) }
}
