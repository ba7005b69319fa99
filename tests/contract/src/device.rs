// SPDX-License-Identifier: MIT
//! What the suite needs of a device.
use orion_block::{Completion, Error, Limits, Op, Request};

/// What differs from device to device beside its limits.
#[derive(Clone, Copy, Debug)]
pub struct Expect {
    /// How a request is refused whose blocks it does not have.
    pub beyond: Error,
    /// How a request is refused that would change what may only be read.
    pub read_only: Error,
}

impl Default for Expect {
    /// A device's own answers; a gatekeeper's are [`Error::Denied`].
    fn default() -> Self {
        Self { beyond: Error::OutOfRange, read_only: Error::ReadOnly }
    }
}

/// A block device under test, and memory for payload that it reaches.
pub trait Device {
    /// What it offers; `None` while it is not ready.
    fn limits(&mut self) -> Option<Limits>;

    /// How it refuses.
    fn expect(&self) -> Expect {
        Expect::default()
    }

    /// Bytes of memory for payload, which is the region that requests name with offsets below this.
    fn memory(&self) -> u64;

    /// Writes into that memory.
    fn put(&mut self, at: u64, bytes: &[u8]);

    /// Reads from it.
    fn get(&mut self, at: u64, bytes: &mut [u8]);

    /// Sends a request; whether its queue had room.
    fn submit(&mut self, tag: u32, req: &Request) -> bool;

    /// The next answer.
    fn next(&mut self) -> Option<(u32, Completion)>;

    /// Lets everything below go on; whether anything moved. Nothing to do where others do that.
    fn step(&mut self) -> bool {
        false
    }

    /// Makes the next such request that touches this block fail, if this device can be broken.
    fn fail(&mut self, _op: Op, _lba: u64, _error: Error) -> bool {
        false
    }

    /// Takes the power away and gives it back, if that can be done here. Nothing is in flight.
    fn lose_power(&mut self) -> bool {
        false
    }

    /// Ends the device's program and starts it again, if that can be done here: what is in flight is asked again by whoever
    /// answers for the device, and clients see a delay.
    fn restart(&mut self) -> bool {
        false
    }
}
