// SPDX-License-Identifier: MIT
//! The demo client: does verified I/O within its grant and shows that it is refused beyond it. Where its grant has the right
//! `derive`, it then lends blocks to the client `reader`, the second program here, and takes them back.
//!
//! Settings: `writes` (0: only read), `demo_bytes` (of each window), `demo_chunk` (blocks of a request), `seed`,
//! `demo_rounds` (so often from the start), `demo_pauses` (so many of the longest waits are told of).
//! With `bench_op` (1 read, 2 write) it measures instead: `bench_count`, `bench_blocks`, `bench_depth`,
//! `bench_stride` (0: random), `bench_span`.
//! With `endure` (1) it is under load while others are restarted: `endure_ms` (0: without end), `endure_pause_us`.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

pub mod bench;
pub mod endure;
pub mod job;
pub mod lend;
pub mod pattern;
pub mod pauses;
pub mod probe;
pub mod setup;
pub mod slots;
pub mod text;
pub mod verify;

mod client;
mod reader;
#[cfg(test)]
mod tests;

pub use client::Demo;
pub use reader::Reader;
