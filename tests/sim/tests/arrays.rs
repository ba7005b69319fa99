// SPDX-License-Identifier: MIT
//! Arrays whose members die, wear out and rot while power is lost.
#![allow(clippy::panic, reason = "tests")]
use orion_sim::{ArrayCase, KINDS, run_arrays};

#[test]
fn nothing_is_lost_within_what_a_level_bears() {
    for seed in 0..KINDS as u64 {
        if let Err(why) = run_arrays(&ArrayCase::of(seed)) {
            panic!("make sim SIM=\"--array {}\": {why}", ArrayCase::of(seed));
        }
    }
}
