// SPDX-License-Identifier: MIT
//! Where `unsafe` may stand, and where `std` may be used.
use crate::none;
use crate::rust::{code, line, words};
use crate::tree::{File, rust_files};

/// The only places for `unsafe`, each with its reason.
const UNSAFE: &[(&str, &str)] = &[
    ("shared/region/", "mapped memory and registers are reached through raw pointers"),
    ("shared/ring/tests/", "windows on a test's own memory; loom's cells"),
    ("shared/metrics/tests/", "windows on a test's own memory"),
    ("pds/supervisor/tests/", "windows on a test's own memory"),
    ("tools/host/", "the host world maps memory and makes system calls"),
    ("tools/bench/src/allocations.rs", "an allocator that counts is unsafe to implement"),
    (
        "shared/parity/src/machine.rs",
        "functions compiled to instructions that the processor was found to have are called",
    ),
    ("shared/parity/src/gfni.rs", "bytes are moved to registers and back"),
    ("tools/bench/src/parity.rs", "a C library is loaded and called"),
    ("tools/bench/src/ring.rs", "windows on a measurement's own memory"),
    ("tools/insns/", "QEMU calls a plugin through C functions"),
    ("pds/sel4/", "the seL4 world maps memory and makes system calls"),
    ("tests/", "windows on a test's own memory; system calls"),
];

/// Libraries of shared/ and pds/ that need an operating system, each with its reason.
const STD: &[(&str, &str)] = &[("pds/hostile/", "it attacks the host world with system calls")];

fn allowed(list: &[(&str, &str)], path: &str) -> bool {
    list.iter().any(|(place, _)| path.starts_with(place))
}

/// Whether the file is the root of a crate.
fn root(path: &str) -> bool {
    path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs")
}

fn unsafe_problems(files: &[File]) -> Vec<String> {
    let mut problems = Vec::new();
    for file in files.iter().filter(|f| !allowed(UNSAFE, &f.path)) {
        let code = code(&file.text);
        let places = words(&code, "unsafe").map(|at| line(&code, at));
        problems.extend(
            places.map(|n| format!("{}:{n}: `unsafe` has no place here; see tests/tidy/src/unsafe_code.rs", file.path)),
        );
        // A folder with one file that may is watched by the lint of the workspace, which denies it.
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let partly = UNSAFE.iter().any(|(place, _)| place.starts_with(folder));
        if root(&file.path) && !partly && !file.text.contains("#![forbid(unsafe_code)]") {
            problems.push(format!("{}: lacks `#![forbid(unsafe_code)]`", file.path));
        }
    }
    problems
}

#[test]
fn unsafe_stays_within_its_fence() {
    none(unsafe_problems(&rust_files()));
}

#[test]
fn the_fence_has_no_gaps() {
    let files = [
        File::new("pds/demo/src/a.rs", "// unsafe\nlet a = \"unsafe\"; unsafe_code;\nunsafe { b() }"),
        File::new("pds/demo/src/lib.rs", "#![no_std]\n"),
        File::new("shared/region/src/a.rs", "unsafe { b() }"),
    ];
    let problems = unsafe_problems(&files);
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].starts_with("pds/demo/src/a.rs:3: ") && problems[1].starts_with("pds/demo/src/lib.rs: "));
}

#[test]
fn libraries_of_pds_need_no_operating_system() {
    let roots = rust_files().into_iter().filter(|f| f.path.ends_with("/src/lib.rs"));
    let ours = roots
        .filter(|f| f.path.starts_with("shared/") || f.path.starts_with("pds/") && !f.path.starts_with("pds/sel4/"));
    let with = ours.filter(|f| !allowed(STD, &f.path) && !f.text.contains("#![no_std]"));
    none(with.map(|f| format!("{}: lacks `#![no_std]`", f.path)).collect());
}
