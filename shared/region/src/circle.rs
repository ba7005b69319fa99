// SPDX-License-Identifier: MIT
//! Equal atomic entries in a window that a free-running counter goes round: each value of the counter has its entry, so that
//! an access needs no comparison.
#![allow(unsafe_code, reason = "shared memory is reached through raw pointers")]
use crate::Window;
use crate::table::{Atoms, Table};
use core::ptr::NonNull;

/// At least one entry of a window.
#[derive(Debug)]
pub struct Circle<T> {
    base: NonNull<T>,
    /// Entries less one, where they are a power of two and more than one; else 0.
    mask: u32,
    /// Entries; never 0.
    len: u32,
}

// SAFETY: entries are atomics; the owner may move between threads.
unsafe impl<T: Atoms> Send for Circle<T> {}

impl<T: Atoms> Circle<T> {
    /// The `len` entries from byte `offset` of a window on; `None` where they do not lie in it, are not aligned, or there is
    /// none. It lives as [`Table`] does.
    pub fn new(window: &Window, offset: usize, len: u32) -> Option<Self> {
        let table = Table::<T>::new(window, offset, len.try_into().ok()?)?;
        let base = NonNull::from(table.get(0)?);
        Some(Self { base, mask: if len.is_power_of_two() { len - 1 } else { 0 }, len })
    }

    /// The entry of a counter value: that of the value modulo the number of entries.
    #[inline(always)]
    pub fn at(&self, count: u32) -> &T {
        let index = if self.mask == 0 { self.divided(count) } else { count & self.mask };
        // SAFETY: the mask is less than the number of entries, and so is what is left of a division by it; all of them lie in
        // the window, as `new` found; atomics may be shared with anybody.
        unsafe { self.base.add(index as usize).as_ref() }
    }

    #[cold]
    #[inline(never)]
    fn divided(&self, count: u32) -> u32 {
        count % self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::AtomicU32;
    use core::sync::atomic::Ordering::Relaxed;

    #[test]
    fn every_value_has_the_entry_that_division_gives() {
        let mut words = [0u32; 16];
        let base = NonNull::from(&mut words).cast();
        // SAFETY: the array outlives the window, and is used through it only.
        let window = unsafe { Window::new(base, 64) };
        for len in 1..=14 {
            let circle = Circle::<AtomicU32>::new(&window, 8, len).unwrap();
            for count in (0..40).chain(u32::MAX - 40..=u32::MAX) {
                circle.at(count).store(count, Relaxed);
                assert_eq!(window.load(8 + 4 * (count % len) as usize, Relaxed), count, "{len}");
            }
        }
        for (offset, len) in [(8, 0), (8, 15), (6, 1), (64, 1)] {
            assert!(Circle::<AtomicU32>::new(&window, offset, len).is_none(), "{len} at {offset}");
        }
    }
}
