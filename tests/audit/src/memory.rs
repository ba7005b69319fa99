// SPDX-License-Identifier: MIT
//! The memory of a ring: both regions, seen through as many windows as a test wants.
#![allow(unsafe_code, reason = "windows on a test's own memory")]
use orion_audit::{RECORDS_BYTES, TAKEN_BYTES};
use orion_region::Window;
use std::cell::UnsafeCell;
use std::ptr::NonNull;

/// The memory of a ring, as it is after boot. Lives as long as the test.
#[derive(Clone, Copy, Debug)]
pub struct Ring {
    records: &'static [UnsafeCell<u64>],
    taken: &'static [UnsafeCell<u64>],
}

fn memory(bytes: u64) -> &'static [UnsafeCell<u64>] {
    Vec::leak((0..bytes / 8).map(|_| UnsafeCell::new(0)).collect())
}

fn window(words: &'static [UnsafeCell<u64>]) -> Window {
    let base = NonNull::new(UnsafeCell::raw_get(words.as_ptr()).cast::<u8>()).unwrap();
    // SAFETY: the memory is never freed, aligned as a u64, and no reference to its content is ever made.
    unsafe { Window::new(base, words.len() * 8) }
}

impl Ring {
    /// Zeroed memory.
    pub fn new() -> Self {
        Self { records: memory(RECORDS_BYTES), taken: memory(TAKEN_BYTES) }
    }

    /// A window on what the producer writes.
    pub fn records(&self) -> Window {
        window(self.records)
    }

    /// A window on what the consumer writes.
    pub fn taken(&self) -> Window {
        window(self.taken)
    }
}

impl Default for Ring {
    fn default() -> Self {
        Self::new()
    }
}
