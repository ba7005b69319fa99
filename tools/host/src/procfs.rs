// SPDX-License-Identifier: MIT
//! Who runs on this machine, as `/proc` says (proc(5)).
use std::fs;

/// The processes that `parent` has started, with their command lines: empty for one that has ended and was not waited for.
pub fn children(parent: u32) -> Vec<(u32, String)> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    ids.filter(|&id| parent_of(id) == Some(parent)).map(|id| (id, command_line(id))).collect()
}

/// Who started a process; `None` where there is none of this number.
pub fn parent_of(process: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // After the name, which is in parentheses and may hold anything: state, parent.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The command line of a process, with spaces between its arguments and after the last.
pub fn command_line(process: u32) -> String {
    let bytes = fs::read(format!("/proc/{process}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&bytes).replace('\0', " ")
}
