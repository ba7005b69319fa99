// SPDX-License-Identifier: MIT
//! A data region on the heap.
#![allow(unsafe_code, reason = "windows are made from raw memory")]
use orion_region::Window;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

/// Memory that windows are made of.
#[derive(Debug)]
pub struct Region(Box<[AtomicU64]>);

impl Region {
    /// `bytes` zero bytes.
    pub fn new(bytes: usize) -> Self {
        Self((0..bytes.div_ceil(8)).map(|_| AtomicU64::new(0)).collect())
    }

    /// A window on all of it. The region must outlive it; in every test it does.
    pub fn window(&self) -> Window {
        let base = NonNull::from(&*self.0).cast::<u8>();
        // SAFETY: the region outlives its windows, is aligned to 8, and is only used through windows.
        unsafe { Window::new(base, self.0.len() * 8) }
    }
}
