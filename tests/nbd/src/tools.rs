// SPDX-License-Identifier: MIT
//! Client programs.
use std::env;
use std::process::{Command, Output};

/// Whether a program that a test needs is missing. Says so; where `CI` is set, fails instead.
pub fn missing(programs: &[&str]) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = |name: &&&str| env::split_paths(&path).any(|folder| folder.join(name).is_file());
    let lacking: Vec<_> = programs.iter().filter(|name| !found(name)).collect();
    if lacking.is_empty() {
        return false;
    }
    let text = format!("SKIPPED: {lacking:?} not found; install libnbd-bin, fio and qemu-utils");
    assert!(env::var_os("CI").is_none(), "{text}");
    eprintln!("{text}");
    true
}

/// Runs a program to its end.
pub fn run(program: &str, args: &[&str]) -> Output {
    Command::new(program).args(args).output().unwrap_or_else(|e| panic!("{program}: {e}"))
}
