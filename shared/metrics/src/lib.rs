// SPDX-License-Identifier: MIT
//! What a protection domain counts, and the page on which it shows that to the manager.
//!
//! A PD counts in private memory ([`Figures`]) and copies it to its page ([`Page`]) when the manager asks: nothing is
//! shared on the data path. The page has a fixed layout and a version, one writer and no lock: a reader takes a copy and
//! knows whether it is whole ([`read`]). A reader trusts nothing that it reads: the writer may be compromised.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::cast_possible_truncation, reason = "numbers in tests are small"))]
#[cfg(test)]
extern crate std;

mod array;
mod disk;
mod disk_work;
mod figures;
mod histogram;
mod orders;
mod page;
mod rows;

pub use array::{ArrayDevice, ArrayState};
pub use disk::{DiskAttributes, DiskState, DiskText, PER_ROW};
pub use disk_work::{
    DiskSpace, DiskWork, DiskZones, Grow, Progress, Reply, Verb, Work, ZONES_PER_ROW, ZoneRow, erase, sanitize,
};
pub use figures::{Counter, Figures, Kind};
pub use histogram::{BUCKETS, Histogram, UNIT_NS};
pub use orders::{ORDERS_BYTES, Order, give, given};
pub use page::{FIGURES_BYTES, Page, ROWS_MAX, Unreadable, VERSION, acknowledged, copies, read, read_row};
pub use rows::{Client, Holding, ROW, Row, Volume};
