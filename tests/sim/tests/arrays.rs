// SPDX-License-Identifier: MIT
//! Arrays whose members die, wear out and rot while power is lost.
#![allow(clippy::panic, reason = "tests")]
use orion_sim::{ArrayCase, KINDS, run_arrays, run_beyond};

#[test]
fn nothing_is_lost_within_what_a_level_bears() {
    for seed in 0..KINDS as u64 {
        if let Err(why) = run_arrays(&ArrayCase::of(seed)) {
            panic!("make sim SIM=\"--array {}\": {why}", ArrayCase::of(seed));
        }
    }
}

/// One member too many is lost in the middle of work: nothing is written without it, and when all are there again nothing that was
/// promised is lost.
#[test]
fn beyond_what_a_level_bears_nothing_is_written() {
    for seed in 0..3 * KINDS as u64 {
        if let Err(why) = run_beyond(&ArrayCase::of(seed)) {
            panic!("{why}");
        }
    }
}
