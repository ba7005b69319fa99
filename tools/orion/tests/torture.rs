// SPDX-License-Identifier: MIT
//! `orion torture` at a small size: driver, layer, gatekeeper and device are killed, and the client sees nothing but pauses.
#![allow(clippy::unwrap_used, reason = "tests")]
use std::process::Command;

#[test]
fn a_client_sees_nothing_but_pauses() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_orion")).args(["torture", "--kills", "60", "--seed", "11"]).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert!(out.contains(" 0 errors, 0 mismatches") && out.contains("leaked: nothing"), "{out}");
    for kind in ["driver", "layer", "gatekeeper", "device"] {
        assert!(out.contains(&format!("\n  {kind} ")), "{kind} was never killed: {out}");
    }
}
