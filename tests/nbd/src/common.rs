// SPDX-License-Identifier: MIT
//! Names and small helpers of the tests over streams in memory.
use crate::{Client, Device, Fault, Reply, Rig};
use orion_block::{BlockSize, Error, Op};

/// Commands.
pub const READ: u16 = 0;
/// Write.
pub const WRITE: u16 = 1;
/// Disconnect.
pub const DISC: u16 = 2;
/// Flush.
pub const FLUSH: u16 = 3;
/// Trim.
pub const TRIM: u16 = 4;
/// Write zeroes.
pub const ZEROES: u16 = 6;
/// Flag: durable when answered.
pub const FUA: u16 = 1;
/// Flag: in one chunk.
pub const DF: u16 = 4;
/// Input/output error.
pub const EIO: u32 = 5;
/// 1 KiB.
pub const K: u32 = 1024;
/// 1 MiB.
pub const M: u32 = 1024 * K;

/// Bytes that differ from block to block.
pub fn pattern(seed: u64, len: u32) -> Vec<u8> {
    let word = |i: u64| (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).to_le_bytes();
    let mut bytes = Vec::with_capacity(len as usize + 8);
    (0..u64::from(len).div_ceil(8)).for_each(|i| bytes.extend_from_slice(&word(i)));
    bytes.truncate(len as usize);
    bytes
}

/// A rig whose device holds a pattern.
pub fn rig(bytes: u32, set: impl FnOnce(&mut Device)) -> Rig {
    Rig::new(BlockSize::B512, bytes as usize, |device| {
        device.bytes = pattern(0, bytes);
        set(device);
    })
}

/// One block that can't be read or written.
pub fn fault(op: Op, block: u64) -> Fault {
    Fault { op, blocks: block..block + 1, error: Error::Medium }
}

/// One request, served to its end.
pub fn ask(rig: &mut Rig, client: &mut Client, kind: u16, flags: u16, range: (u64, u32)) -> Option<Reply> {
    client.send(kind, flags, 77, range, &[]);
    client.exchange(rig);
    client.replies.remove(&77)
}
