// SPDX-License-Identifier: MIT
//! PDs that end while a client works, on seL4 in QEMU: the client sees a delay and no error.
use orion_boot_tests::{Boot, boot, partition, skip};
use std::io::Write;
use std::path::Path;

const SYSTEM: &str = "tests/boot/systems/torture.xml";
/// Ends of PDs, in each run.
const ENDS: usize = 50;

/// Boots the system with these options on a disk with one partition of 12 MiB.
fn tortured(board: &str, options: &str) -> Boot {
    // The thread has the test's name.
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("torture-{name}.img"));
    partition(&disk, "size=12M\n");
    boot(SYSTEM, &format!("--board {board} --demo --disk d0={} {options}", disk.display()))
}

fn at(boot: &Boot, text: &str) -> usize {
    let found = boot.console.lines().position(|line| line.contains(text));
    assert!(found.is_some(), "nobody said {text:?}");
    found.unwrap_or_default()
}

/// The client works until long after the last of the ends.
fn survives(board: &str) {
    if skip() {
        return;
    }
    let boot = tortured(board, &format!("--torture {ENDS} --set demo_rounds=40 --set demo_pauses={ENDS}"));
    assert!(boot.passed, "{board}: no good verdict");
    assert!(at(&boot, "torture: the last end was injected") < at(&boot, "demo: verified: 480 MiB"), "{board}");
    for pd in ["blk_d0", "part_d0", "gatekeeper"] {
        assert!(boot.lines(&format!("supervisor: {pd} touched 0x8, which it may not; it is restarted")) > 3, "{pd}");
    }
    assert!(boot.lines("did not answer in time; it is restarted") > 1, "hangs");
    assert_eq!(boot.lines("supervisor: demo"), 0, "{board}");
    let pauses = boot.console.lines().find(|line| line.contains("demo: pauses: "));
    // Not by the macro: what it prints is shown only where a test fails.
    let _ = writeln!(std::io::stderr(), "{board}, {ENDS} ends: {}", pauses.unwrap_or("no pauses were told of"));
}

#[test]
fn aarch64() {
    survives("qemu_virt_aarch64");
}

#[test]
fn x86_64() {
    survives("x86_64_generic");
}

#[test]
fn x86_64_behind_an_iommu() {
    survives("x86_64_generic --iommu");
}

/// One that ends at the first instruction of each life is given up: its client gets an error, and the rest lives on.
#[test]
fn a_pd_that_ends_in_each_life_is_given_up() {
    if skip() {
        return;
    }
    let boot = tortured("x86_64_generic", "--torture part_d0");
    assert!(!boot.passed);
    let given_up =
        "supervisor: part_d0 touched 0x8, which it may not; it was restarted 8 times in 60 s and is given up";
    assert_eq!(boot.lines(given_up), 1);
    assert!(at(&boot, given_up) < at(&boot, "demo: failed: "));
    assert_eq!(boot.lines("supervisor: blk_d0") + boot.lines("supervisor: gatekeeper"), 0);
}

/// Nobody restarts the supervisor: the gatekeeper sees that it does not live, and lets nothing be written any more.
#[test]
fn without_a_supervisor_nothing_is_written() {
    if skip() {
        return;
    }
    for board in ["qemu_virt_aarch64", "x86_64_generic"] {
        let boot = tortured(board, "--torture supervisor --set demo_rounds=1000000");
        assert!(!boot.passed);
        assert!(at(&boot, "gatekeeper: the supervisor does not live") < at(&boot, "demo: failed: write "), "{board}");
    }
}
