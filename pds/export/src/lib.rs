// SPDX-License-Identifier: MIT
//! The export: serves a volume to NBD clients as an ordinary client of the gatekeeper.
#![no_std]
#![forbid(unsafe_code)]

mod sockets;

pub use sockets::{CONNECTIONS, Conn, Interest, PIECES, Sockets, Source, Stopped, Target};
