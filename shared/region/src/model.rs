// SPDX-License-Identifier: MIT
//! Memory for tests that play a device: seen by each side through a window of its own, and by bus addresses.
#![allow(
    unsafe_code,
    clippy::expect_used,
    clippy::panic,
    reason = "windows on memory that is never freed; a test's other side says what is wrong by panicking"
)]
use crate::Window;
use core::ptr::NonNull;
use std::vec::Vec;

/// `len` zero bytes at a page boundary, as `N` windows: one for each side, as if each had mapped them. Never freed.
///
/// # Panics
/// Where there is no memory.
pub fn memory<const N: usize>(len: usize) -> [Window; N] {
    let layout = std::alloc::Layout::from_size_align(len.max(1), 4096).expect("a length of memory");
    // SAFETY: the size is not zero.
    let base = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) }).expect("memory for a test");
    // SAFETY: the bytes are never freed, aligned, and reached only through windows.
    core::array::from_fn(|_| unsafe { Window::new(base, len) })
}

/// All memory that a device reaches.
#[derive(Debug)]
pub struct BusMemory {
    /// Each piece with its bus address.
    pub pieces: Vec<(u64, Window)>,
    /// The last bus address that the device can name.
    pub last: u64,
}

impl BusMemory {
    /// For a device that can name any address.
    pub fn new(pieces: Vec<(u64, Window)>) -> Self {
        Self { pieces, last: u64::MAX }
    }

    /// The mapped bytes that the device names `bus..bus + len`, as a window and an offset in it.
    ///
    /// # Panics
    /// Where these are nobody's: the driver gave its device a wrong address.
    pub fn at(&self, bus: u64, len: usize) -> (&Window, usize) {
        assert!(bus + (len as u64).saturating_sub(1) <= self.last, "an address that the device can't name");
        let ends = |base: u64, window: &Window| base + window.len() as u64;
        let piece = self.pieces.iter().find(|(base, window)| bus >= *base && bus + len as u64 <= ends(*base, window));
        let Some((base, window)) = piece else {
            panic!("the driver gave the device {len} bytes at {bus:#x}, which is nobody's memory")
        };
        (window, usize::try_from(bus - base).expect("an offset in a window"))
    }

    /// Reads bytes.
    ///
    /// # Panics
    /// As [`at`](Self::at).
    pub fn load<const N: usize>(&self, bus: u64) -> [u8; N] {
        let (mut bytes, (window, offset)) = ([0; N], self.at(bus, N));
        assert!(window.copy_out(offset, &mut bytes), "bytes within a window");
        bytes
    }

    /// Writes bytes.
    ///
    /// # Panics
    /// As [`at`](Self::at).
    pub fn store(&self, bus: u64, bytes: &[u8]) {
        let (window, offset) = self.at(bus, bytes.len());
        assert!(window.copy_in(offset, bytes), "bytes within a window");
    }
}
