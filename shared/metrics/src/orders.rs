// SPDX-License-Identifier: MIT
//! The page on which the manager tells each PD to do something beside its work; every PD reads it, and acknowledges on its own
//! [page of figures](crate::Page).
//!
//! Each PD has a slot of 64 bytes, little-endian: u32 sequence, u16 version, u16 kind, and, of kind 2, the 24 bytes of a
//! [`Work`]; zeroes. One that has another sequence than the PD acknowledged last is new. The manager writes the next when the one
//! before is acknowledged, or was given up.
use crate::disk_work::Work;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use orion_region::Window;

/// Bytes of a slot.
const SLOT: usize = 64;
/// Bytes of the page: a slot for every PD that there can be.
pub const ORDERS_BYTES: u64 = 4096;
const VERSION: u32 = 1;
const WHAT: usize = 4;
const WORK: usize = 8;
const RESET: u16 = 1;
const DISK: u16 = 2;

/// What a PD can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// To count from 0 again, with no times.
    Reset,
    /// To do something with a disk.
    Disk(Work),
}

impl Order {
    /// Its number on the page; further ones get further numbers.
    pub const fn number(self) -> u16 {
        match self {
            Self::Reset => RESET,
            Self::Disk(_) => DISK,
        }
    }

    /// What belongs to it.
    pub fn work(self) -> Option<Work> {
        match self {
            Self::Reset => None,
            Self::Disk(work) => Some(work),
        }
    }

    /// Of a number and the bytes that belong to it; `None` where this version has none such.
    pub fn of(number: u16, work: &[u8; Work::BYTES]) -> Option<Self> {
        match number {
            RESET => (*work == [0; Work::BYTES]).then_some(Self::Reset),
            DISK => Work::parse(work).map(Self::Disk),
            _ => None,
        }
    }
}

/// Writes the next order into the slot `index`; its sequence.
pub fn give(page: &Window, index: usize, order: Order) -> u32 {
    let at = index * SLOT;
    // 0 stands for none.
    let sequence = page.load(at, Relaxed).wrapping_add(1).max(1);
    page.store(at + WHAT, VERSION | u32::from(order.number()) << 16, Relaxed);
    let bytes = order.work().map_or([0; Work::BYTES], |work| work.bytes());
    for (place, word) in (at + WORK..).step_by(4).zip(bytes.as_chunks::<4>().0) {
        page.store(place, u32::from_ne_bytes(*word), Relaxed);
    }
    page.store(at, sequence, Release);
    sequence
}

/// What the slot `index` says: the sequence, and the order, if this version knows it.
pub fn given(page: &Window, index: usize) -> (u32, Option<Order>) {
    let at = index * SLOT;
    let sequence = page.load(at, Acquire);
    let what = page.load(at + WHAT, Relaxed);
    let mut work = [0; Work::BYTES];
    for (place, word) in (at + WORK..).step_by(4).zip(work.as_chunks_mut::<4>().0) {
        *word = page.load(place, Relaxed).to_ne_bytes();
    }
    let number = u16::try_from(what >> 16).ok().filter(|_| what & 0xffff == VERSION);
    (sequence, number.and_then(|number| Order::of(number, &work)))
}
