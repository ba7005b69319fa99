// SPDX-License-Identifier: MIT
//! The default system, one that uses more of the boards, and one that cannot work, on seL4 in QEMU.
use orion_boot_tests::{Boot, boot, skip};
use std::fs::File;
use std::path::Path;

/// Boots the default system; its demo must have verified what it wrote, and been refused what it may not do.
fn verifies(options: &str) {
    if skip() {
        return;
    }
    let boot = boot("system.xml", options);
    assert!(boot.passed, "{options}: no good verdict");
    assert_verified(&boot, "demo");
    for beyond in ["one past the end of the grant", "without the right to discard", "a window that was never granted"] {
        let denied = boot.console.lines().any(|line| line.starts_with("demo: denied: ") && line.contains(beyond));
        assert!(denied, "{options}: {beyond}");
    }
}

fn assert_verified(boot: &Boot, client: &str) {
    let verdict = format!("{client}: verified: 16 MiB written, flushed, read back and equal");
    assert_eq!(boot.lines(&verdict), 1, "{client}");
}

#[test]
fn aarch64_release() {
    verifies("--board qemu_virt_aarch64 --config release");
}

#[test]
fn aarch64_debug() {
    verifies("--board qemu_virt_aarch64 --config debug");
}

#[test]
fn x86_64_release() {
    verifies("--board x86_64_generic --config release");
}

#[test]
fn x86_64_debug() {
    verifies("--board x86_64_generic --config debug");
}

#[test]
fn x86_64_release_behind_an_iommu() {
    verifies("--board x86_64_generic --config release --iommu");
}

#[test]
fn x86_64_debug_behind_an_iommu() {
    verifies("--board x86_64_generic --config debug --iommu");
}

/// Two disks, on aarch64 one of them over PCI; two clients, one of which uses both disks.
#[test]
fn two_disks_and_two_clients() {
    if skip() {
        return;
    }
    for board in ["qemu_virt_aarch64", "x86_64_generic", "x86_64_generic --iommu"] {
        let boot = boot("tests/boot/systems/two-disks.xml", &format!("--board {board}"));
        assert!(boot.passed, "{board}: no good verdict");
        ["left", "right"].into_iter().for_each(|client| assert_verified(&boot, client));
    }
}

#[test]
fn a_grant_beyond_its_disk_is_a_failure_with_a_reason() {
    if skip() {
        return;
    }
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR")).join("small.img");
    let file = File::create(&disk).and_then(|file| file.set_len(4 << 20));
    file.expect("a sparse file");
    let boot = boot("system.xml", &format!("--board x86_64_generic --demo --disk d0={}", disk.display()));
    assert!(!boot.passed);
    // Of the grant of each client.
    assert_eq!(boot.lines("reaches beyond its volume"), 2);
    assert!(boot.said.contains("the system failed: demo: failed: "));
}
