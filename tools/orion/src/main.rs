// SPDX-License-Identifier: MIT
//! (being written)
fn main() {}
