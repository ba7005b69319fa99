// SPDX-License-Identifier: MIT
//! The house rules, as tests on the tree: what may depend on what, where `unsafe` may stand, how long things may be, and
//! whether what the documents say is there. `make check` runs them and lists what is long.
#![forbid(unsafe_code)]
#![cfg(test)]

mod documents;
mod features;
mod layering;
mod length;
mod rust;
mod tree;
mod unsafe_code;
mod words;

/// Fails with one line for each problem.
#[track_caller]
fn none(problems: Vec<String>) {
    assert!(problems.is_empty(), "\n  {}\n", problems.join("\n  "));
}
