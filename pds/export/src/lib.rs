// SPDX-License-Identifier: MIT
//! The export: serves a volume to NBD clients as an ordinary client of the gatekeeper.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

mod arena;
mod connection;
mod engine;
mod inbox;
mod job;
mod pd;
mod progress;
mod receive;
mod send;
mod slots;
mod streams;
mod terms;
mod volume;

pub use engine::Engine;
pub use orion_pd::sockets::{CONNECTIONS, Conn, Interest, PIECES, Sockets, Source, Stopped, Target};
pub use pd::Export;
pub use streams::{Listen, Streams};
pub use terms::{LEAST_DATA, Unfit};
pub use volume::Volume;
