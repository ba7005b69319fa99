// SPDX-License-Identifier: MIT
//! Requests that no grant allows. Each must be refused, and a refused read must leave the payload as it was.
use crate::job::{Ask, Server, Slot, WINDOWS, address_in};
use orion_block::{Error, Op, Status};

/// A request that must be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// The operation.
    pub op: Op,
    /// Window and block, as on the ring.
    pub block: u64,
    /// Blocks.
    pub count: u16,
    /// Where the payload lies; `None`: in the slot.
    pub address: Option<u64>,
    /// Why it must be refused.
    pub why: &'static str,
}

/// Blocks of one window as its addresses allow them.
const MOST_BLOCKS: u64 = 1 << 40;
/// Probes of each window.
const PER_WINDOW: usize = 8;

impl Probe {
    const fn read(block: u64, count: u16, why: &'static str) -> Self {
        let address = None;
        let op = Op::Read;
        Self { op, block, count, address, why }
    }

    /// The request, with its payload in `slot`.
    pub fn ask(&self, slot: Slot) -> Ask {
        let address = self.address.unwrap_or(slot.offset);
        Ask { op: self.op, block: self.block, count: self.count, address }
    }

    /// Whether `status` is a refusal: an answer about the request, not about the device.
    pub const fn refused(status: Status) -> bool {
        matches!(status, Err(Error::Denied | Error::OutOfRange | Error::Invalid | Error::ReadOnly))
    }
}

/// The probes against `server`, by number; `writes`: also those that would change blocks if they were let through.
/// `None` beyond the last; `Some(None)` where this number does not apply.
pub fn probe(server: &Server, writes: bool, number: usize) -> Option<Option<Probe>> {
    let (window, kind) = (number / PER_WINDOW, number % PER_WINDOW);
    let Some(grant) = server.grants.get(window) else {
        return foreign(server, number - WINDOWS * PER_WINDOW);
    };
    let Ok(window) = u8::try_from(window) else { return None };
    let block = |n| address_in(window, n);
    if grant.blocks == 0 {
        let first_absent = server.grants.iter().position(|g| g.blocks == 0) == Some(window.into());
        let absent = Probe::read(block(0), 1, "in a window that was never granted");
        return Some((first_absent && kind == 0).then_some(absent));
    }
    let last = grant.blocks - 1;
    let crossing = Probe::read(block(last), 2, "across the end of the grant");
    let without = |op: Op, why| {
        let tried = !grant.allows(op) && (writes || !op.modifies());
        let count = if op == Op::Flush { 0 } else { 1 };
        tried.then_some(Probe { op, ..Probe::read(block(0), count, why) })
    };
    Some(match kind {
        0 => (grant.blocks < MOST_BLOCKS).then(|| Probe::read(block(grant.blocks), 1, "one past the end of the grant")),
        1 => grant.allows(Op::Read).then_some(crossing),
        2 => Some(Probe::read(block(MOST_BLOCKS - 1), 2, "wrapping into the next window")),
        3 => without(Op::Read, "without the right to read"),
        4 => without(Op::Write, "without the right to write"),
        5 => without(Op::Flush, "without the right to flush"),
        6 => without(Op::Discard, "without the right to discard"),
        _ => without(Op::WriteZeroes, "without the right to write zeroes"),
    })
}

/// The probes that belong to no window.
fn foreign(server: &Server, number: usize) -> Option<Option<Probe>> {
    let elsewhere = |address, why| Probe { address: Some(address), ..Probe::read(0, 1, why) };
    Some(Some(match number {
        0 => Probe::read(u64::MAX, 2, "wrapping around the largest number"),
        1 => elsewhere(server.data, "into memory after the data region"),
        2 => elsewhere(server.block().wrapping_neg(), "into memory before the data region"),
        _ => return None,
    }))
}
