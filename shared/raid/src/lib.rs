// SPDX-License-Identifier: MIT
//! Linux md's arrays: superblocks, which of some devices belong together, where each sector lies, and parity.
//!
//! [`probe`] says where superblocks may lie and [`Super`] reads them; [`Array::assemble`] puts members together, or says why
//! not; [`Geometry`] places each logical sector; [`parity`] computes what is lost; [`read()`] reads an array, degraded ones too.
//! Everything counts sectors of 512 bytes, as the format does. Nothing on a device is trusted, and nothing is written.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "numbers in tests are small"))]
#[cfg(test)]
extern crate std;

pub mod assemble;
pub mod bad_blocks;
mod bitmap;
pub mod create;
pub mod engine;
mod fault;
pub mod geometry;
pub mod journal;
pub mod old;
pub mod parity;
pub mod ppl;
pub mod probe;
mod read;
pub mod reshape;
mod select;
mod superblock;
pub mod wire;
mod words;

#[cfg(test)]
mod tests;

pub use assemble::{Array, Slot, Standing};
pub use bad_blocks::BadBlocks;
pub use bitmap::Bitmap;
pub use engine::Raid;
pub use fault::{Error, Kind};
pub use geometry::{Geometry, Level};
pub use read::{Read, read};
pub use select::Select;
pub use superblock::{Log, Ppl, Reshape, Role, Super, Uuid, Version};

/// Bytes of a sector.
pub const SECTOR: usize = 512;
/// Most members of an array: what a superblock of 1024 bytes has roles for.
pub const MEMBERS_MAX: usize = 384;
