// SPDX-License-Identifier: MIT
//! Equal atomic entries in a window, found to lie in it once and for all: an access is one comparison.
#![allow(unsafe_code, reason = "shared memory is reached through raw pointers")]
use crate::Window;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU16, AtomicU32, AtomicU64};

/// What an entry may be made of: nothing but atomics, which anybody may share.
///
/// # Safety
/// The type must be an atomic integer or an array of them.
pub unsafe trait Atoms {}
// SAFETY: atomic integers.
unsafe impl Atoms for AtomicU16 {}
// SAFETY: as above.
unsafe impl Atoms for AtomicU32 {}
// SAFETY: as above.
unsafe impl Atoms for AtomicU64 {}
// SAFETY: an array of atomics.
unsafe impl<T: Atoms, const N: usize> Atoms for [T; N] {}

/// `len` entries of a window.
#[derive(Debug)]
pub struct Table<T> {
    base: NonNull<T>,
    len: usize,
}

// SAFETY: entries are atomics; the owner may move between threads.
unsafe impl<T: Atoms> Send for Table<T> {}

impl<T: Atoms> Table<T> {
    /// The `len` entries from byte `offset` of a window on; `None` where they do not lie in it or are not aligned. The table
    /// lives as the parts of a window do: its memory must stay mapped as [`Window::new`]'s caller promised.
    pub fn new(window: &Window, offset: usize, len: usize) -> Option<Self> {
        let bytes = len.checked_mul(size_of::<T>())?;
        let base = window.base().addr().get().checked_add(offset)?;
        if offset.checked_add(bytes)? > window.len() || !base.is_multiple_of(align_of::<T>()) {
            return None;
        }
        // SAFETY: `offset` lies within the window.
        Some(Self { base: unsafe { window.base().add(offset) }.cast(), len })
    }

    /// No entry.
    pub const fn empty() -> Self {
        Self { base: NonNull::dangling(), len: 0 }
    }

    /// Entries.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entry `index`; `None` beyond the table.
    #[inline(always)]
    pub fn get(&self, index: usize) -> Option<&T> {
        if index >= self.len {
            return None;
        }
        // SAFETY: the entry lies in the window, as `new` found; atomics may be shared with anybody.
        Some(unsafe { self.base.add(index).as_ref() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::Ordering::Relaxed;

    #[test]
    fn a_table_lies_in_its_window_or_is_none() {
        let mut words = [0u64; 8];
        let base = NonNull::from(&mut words).cast();
        // SAFETY: the array outlives the window, and is used through it only.
        let window = unsafe { Window::new(base, 64) };
        for (offset, len, fits) in [(0, 4, true), (48, 1, true), (56, 1, false), (4, 1, false), (0, 5, false)] {
            assert_eq!(Table::<[AtomicU64; 2]>::new(&window, offset, len).is_some(), fits, "{len} at {offset}");
        }
        assert!(Table::<AtomicU64>::new(&window, 8, usize::MAX / 4).is_none());
        let table = Table::<AtomicU32>::new(&window, 8, 3).unwrap();
        assert!(table.get(3).is_none() && table.get(usize::MAX).is_none());
        table.get(2).unwrap().store(7, Relaxed);
        assert_eq!(window.load(16, Relaxed), 7);
    }
}
