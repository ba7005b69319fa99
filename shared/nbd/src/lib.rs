// SPDX-License-Identifier: MIT
//! The server's side of the NBD protocol as a state machine over bytes: no sockets, no clock, no allocation.
//!
//! The specification is `doc/proto.md` of the NBD project; sections are cited by their headings. `docs/nbd.md` says what
//! of it is implemented.
//!
//! [`Session`] turns the bytes of one connection into [`Request`]s and builds the heads of replies. Payload never
//! passes through it: the caller moves it straight between the stream and its own memory.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

mod command;
mod export;
mod haggle;
mod reply;
mod session;
#[cfg(test)]
mod tests;
pub mod wire;

pub use command::{Command, Refusal, Request};
pub use export::{Export, Offer};
pub use reply::Head;
pub use session::{Event, Session, Want};
pub use wire::Errno;
