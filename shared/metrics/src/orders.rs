// SPDX-License-Identifier: MIT
//! The page on which the manager tells each PD to do something beside its work; every PD reads it, and acknowledges on its own
//! [page of figures](crate::Page).
//!
//! Each PD has a slot of 64 bytes, little-endian: u32 sequence, u16 version, u16 kind, zeroes. One that has another sequence than
//! the PD acknowledged last is new. The manager writes the next when the one before is acknowledged, or was given up.
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use orion_region::Window;

/// Bytes of a slot.
const SLOT: usize = 64;
/// Bytes of the page: a slot for every PD that there can be.
pub const ORDERS_BYTES: u64 = 4096;
const VERSION: u32 = 1;
const WHAT: usize = 4;

/// What a PD can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// To count from 0 again, with no times.
    Reset,
}

impl Order {
    /// Every order. The place is its number on the page, from 1: further ones go to the end.
    pub const ALL: [Self; 1] = [Self::Reset];

    /// Its number.
    pub fn number(self) -> u16 {
        let at = Self::ALL.iter().position(|order| *order == self).and_then(|at| u16::try_from(at).ok());
        at.map_or(0, |at| at + 1)
    }

    /// Of a number; `None` where this version has none.
    pub fn of(number: u16) -> Option<Self> {
        Self::ALL.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// Writes the next order into the slot `index`; its sequence.
pub fn give(page: &Window, index: usize, order: Order) -> u32 {
    let at = index * SLOT;
    // 0 stands for none.
    let sequence = page.load(at, Relaxed).wrapping_add(1).max(1);
    page.store(at + WHAT, VERSION | u32::from(order.number()) << 16, Relaxed);
    page.store(at, sequence, Release);
    sequence
}

/// What the slot `index` says: the sequence, and the order, if this version knows it.
pub fn given(page: &Window, index: usize) -> (u32, Option<Order>) {
    let at = index * SLOT;
    let sequence = page.load(at, Acquire);
    let what = page.load(at + WHAT, Relaxed);
    let order = u16::try_from(what >> 16).ok().filter(|_| what & 0xffff == VERSION).and_then(Order::of);
    (sequence, order)
}
