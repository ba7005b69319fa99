// SPDX-License-Identifier: MIT
//! NVM Express 1.4 for drivers that never see payload: queues in a DMA region, and the controller's engine.
//!
//! Sections are those of *NVM Express Base Specification, Revision 1.4*. What is driven and what is not: `docs/nvme.md`.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(any(test, feature = "model"))]
extern crate std;

mod fault;
#[cfg(any(test, feature = "model"))]
pub mod model;
mod nvme;
mod queue;
mod queues;
pub mod wire;

pub use fault::Fault;
pub use nvme::{DMA_BYTES, Nvme, Place, UNITS};
pub use queues::{Many, One, PAIRS, Queues, Wishes};
