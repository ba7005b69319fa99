// SPDX-License-Identifier: MIT
//! A storage layer as a state machine without I/O (`Layer`), and what runs it (`Node`).
#![no_std]
#![forbid(unsafe_code)]

mod io;

pub use io::{Lowers, PeerMisbehaved, Submission, Uppers};
