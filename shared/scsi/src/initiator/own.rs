// SPDX-License-Identifier: MIT
//! The initiator's own payloads, in the driver's DMA memory: answers to questions, lists for UNMAP, zeroes.
use super::{MOST, UNITS};
use crate::port::{Data, Own};

/// Bytes of an answer: the longest that is asked for.
const ANSWER: usize = 1024;
/// Bytes of a list.
const LIST: usize = 32;
/// Bytes of zeroes: a block of the largest size.
const ZEROES: usize = 64 << 10;
const LISTS: usize = UNITS * ANSWER;
const ZERO: usize = LISTS + MOST * LIST;

/// Bytes of DMA memory that an initiator uses.
pub const OWN: usize = ZERO + ZEROES;

/// Where they are.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    offset: usize,
    bus: u64,
}

impl Memory {
    /// Those of a port, with zeroes written.
    pub fn new(own: &Own<'_>) -> Self {
        for at in (0..ZEROES).step_by(8) {
            own.memory.write(own.offset.saturating_add(ZERO + at), 0u64);
        }
        Self { offset: own.offset, bus: own.bus }
    }

    fn data(&self, at: usize, len: u32, read: bool) -> Data {
        Data { bus: self.bus.wrapping_add(at as u64), len, read }
    }

    /// Room for the answer to a question to `unit`.
    pub fn answer(&self, unit: u8, len: u16) -> Data {
        self.data(usize::from(unit) * ANSWER, u32::from(len).min(1024), true)
    }

    /// Lays the list that goes with a command to `unit` which is no request.
    pub fn told(&self, own: &Own<'_>, unit: u8, bytes: &[u8]) -> Data {
        let at = usize::from(unit) * ANSWER;
        own.memory.copy_in(self.offset.saturating_add(at), bytes);
        self.data(at, u32::try_from(bytes.len()).unwrap_or(0), false)
    }

    /// What was answered, of which `len` bytes are there.
    pub fn answered(&self, own: &Own<'_>, unit: u8, len: usize) -> [u8; ANSWER] {
        let mut bytes = [0; ANSWER];
        let at = self.offset.saturating_add(usize::from(unit) * ANSWER);
        if let Some(room) = bytes.get_mut(..len) {
            own.memory.copy_out(at, room);
        }
        bytes
    }

    /// Lays a list for the command in `slot`.
    pub fn list(&self, own: &Own<'_>, slot: u16, bytes: &[u8]) -> Data {
        let at = LISTS + usize::from(slot) * LIST;
        own.memory.copy_in(self.offset.saturating_add(at), bytes);
        self.data(at, u32::try_from(bytes.len()).unwrap_or(0), false)
    }

    /// So many zeroes at most.
    pub fn zeroes(&self, len: u64) -> Data {
        self.data(ZERO, u32::try_from(len.min(ZEROES as u64)).unwrap_or(0), false)
    }
}
