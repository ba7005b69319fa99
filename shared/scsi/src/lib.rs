// SPDX-License-Identifier: MIT
//! SCSI disks for drivers that never see payload: command and answer formats, the rules for errors, and an initiator that
//! is a driver's whole engine but for its transport, which is a [`Port`].
//!
//! Sections are those of SPC-4 (SCSI Primary Commands), SBC-3 (SCSI Block Commands) and SAM-5 (Architecture Model).
#![no_std]
#![forbid(unsafe_code)]
#[cfg(any(test, feature = "model"))]
extern crate std;

pub mod cdb;
mod initiator;
#[cfg(any(test, feature = "model"))]
pub mod model;
mod place;
mod port;
pub mod rules;
mod unit;
pub mod wire;

pub use cdb::Cdb;
pub use initiator::{Choice, Initiator, MOST, OWN, REQUESTS, UNITS, Wanted};
pub use place::Place;
pub use port::{Answer, Change, Command, Data, Event, Misused, Own, Port, Task, Trouble};
pub use wire::sense::{SENSE_MAX, Sense};
