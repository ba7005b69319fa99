// SPDX-License-Identifier: MIT
//! Numbers and structures of NVM Express 1.4.
pub mod access;
pub mod command;
pub mod controller;
pub mod log;
pub mod manage;
pub mod names;
pub mod namespace;
pub mod power;
pub mod register;
pub mod status;
pub mod zone;

pub use command::Command;
pub use controller::Controller;
pub use log::{ErrorEntry, Firmware, Smart};
pub use names::Names;
pub use namespace::Namespace;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A structure that a controller writes: any bytes are one.
pub trait Structure: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned {}
impl<T: FromBytes + IntoBytes + Immutable + KnownLayout + Unaligned> Structure for T {}
