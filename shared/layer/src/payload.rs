// SPDX-License-Identifier: MIT
//! Payload bytes, for the few layers that touch them.
use orion_block::Buf;

/// The data regions mapped into this PD. Others may change their bytes at any moment, so they are copied, not borrowed.
pub trait Payload {
    /// Copies bytes that begin at `from` into `to`; whether they lie in a mapped region.
    fn read(&self, from: Buf, to: &mut [u8]) -> bool;
    /// Copies `from` into the bytes that begin at `to`; whether they lie in a mapped, writable region.
    fn write(&mut self, to: Buf, from: &[u8]) -> bool;
}

/// No data region is mapped: the payload of a PD that only passes requests on.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoPayload;

impl Payload for NoPayload {
    fn read(&self, _: Buf, _: &mut [u8]) -> bool {
        false
    }
    fn write(&mut self, _: Buf, _: &[u8]) -> bool {
        false
    }
}
