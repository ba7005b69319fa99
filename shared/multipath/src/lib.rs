// SPDX-License-Identifier: MIT
//! Several ways to the same disk, as a layer: requests go over the best that works, and over another where it fails.
//!
//! The devices below are the ways: a disk behind two controllers of one subsystem, with a driver each. What each is worth, its
//! [`Access`](orion_block::Access), somebody says who asks the devices (*NVM Express 1.4*, 8.20, asymmetric namespace access);
//! without that all are worth the same. That they are the same disk is for whoever puts them together: the layer sees that they
//! are as large.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

mod layer;
mod paths;
#[cfg(test)]
mod tests;

pub use layer::{Multipath, PARKED_MAX};
pub use paths::{Choice, PATHS_MAX, Paths};
