// SPDX-License-Identifier: MIT
//! Payload bytes, for the few layers that touch them.
use orion_block::Buf;

/// Bytes that are copied at a time where nothing better is known.
const STEP: usize = 512;

/// The data regions mapped into this PD. Others may change their bytes at any moment, so they are copied, not borrowed; but
/// for memory that only this PD has, and devices when they are asked to.
pub trait Payload {
    /// Copies bytes that begin at `from` into `to`; whether they lie in a mapped region.
    fn read(&self, from: Buf, to: &mut [u8]) -> bool;
    /// Copies `from` into the bytes that begin at `to`; whether they lie in a mapped, writable region.
    fn write(&mut self, to: Buf, from: &[u8]) -> bool;
    /// Copies `len` bytes from `from` on to `to`, each read once; whether both lie in mapped regions, and these in a writable
    /// one. If not, some may be copied. The two do not overlap.
    fn copy(&mut self, from: Buf, to: Buf, len: usize) -> bool {
        let mut bytes = [0; STEP];
        (0..len).step_by(STEP).all(|at| {
            let part = bytes.get_mut(..STEP.min(len - at)).unwrap_or_default();
            let on = |buf: Buf| Buf { offset: buf.offset.saturating_add(at as u64), ..buf };
            self.read(on(from), part) && self.write(on(to), part)
        })
    }
    /// Lends the `len` bytes from `at` on to `f`, to be computed with where they lie; whether they lie in memory that no peer
    /// maps. Devices write there only what they are asked for, as long as they keep to that.
    fn lend(&mut self, _at: Buf, _len: usize, _f: &mut dyn FnMut(&mut [u8])) -> bool {
        false
    }
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
