// SPDX-License-Identifier: MIT
//! An operator at the console of the default system, on seL4 in QEMU.
use orion_boot_tests::{Typist, skip};

/// Types commands once the demo and the reader have ended, and looks at what is answered.
fn operates(board: &str) {
    if skip() {
        return;
    }
    let mut typist = Typist::boot("system.xml", &format!("--board {board}"));
    typist.wait_for("reader: verified: ");
    typist.types("status");
    for part in ["blk_d0", "gatekeeper", "serial"] {
        let line = typist.wait_for(&format!("manager: {part}"));
        assert!(line.contains(" ok "), "{line}");
    }
    assert!(typist.wait_for("manager: vault").contains("16384 ok"));
    assert!(typist.wait_for("manager: demo:0").contains("0..4096"));
    typist.wait_for("manager: manager:0");
    typist.types("health");
    // The first question has the driver ask its device.
    typist.wait_for("manager: ");
    typist.types("health");
    assert!(typist.wait_for("manager: d0 (blk_d0): ").contains("serial number "));
    typist.wait_for("manager:   media errors ");
    typist.types("ctl freeze demo");
    typist.wait_for("manager: done: 1 capabilities; 4096 blocks; allows now: none");
    typist.types("ctl list");
    assert!(typist.wait_for("manager: demo:0").contains("frozen"));
    // Corrected while it is typed, as people do.
    typist.types("ctl thaw demx\x7fo");
    typist.wait_for("manager: done: 1 capabilities; 4096 blocks; allows now: read write flush derive");
    for (wrong, why) in [
        ("ctl freeze nobody", "refused: there is no such client or window"),
        ("ctl freeze demo:9", "refused: no such capability"),
        ("stauts", "\"stauts\": there is no such command; write help"),
        ("ctl advance cellar", "there is no volume"),
    ] {
        typist.types(wrong);
        typist.wait_for(why);
    }
    // Key by key, each its own interrupt: none may be lost.
    for line in 0..60 {
        typist.keys(&format!("ctl freeze stranger{line}\r"));
        typist.wait_for("refused: there is no such client or window");
    }
    typist.types("help");
    typist.wait_for("manager: ctl advance VOLUME");
}

#[test]
fn aarch64() {
    operates("qemu_virt_aarch64");
}

#[test]
fn x86_64() {
    operates("x86_64_generic");
}
