// SPDX-License-Identifier: MIT
//! Bytes of a window, found to be there once and for all: where the offset of a word is known when the program is
//! built, an access to it is not checked when it runs.
#![allow(unsafe_code, reason = "shared memory is reached through raw pointers")]
use crate::Window;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, Ordering};

/// `N` bytes of a window.
#[derive(Debug)]
pub struct Fixed<const N: usize>(NonNull<u8>);

// SAFETY: all access is through atomics; the owner may move between threads.
unsafe impl<const N: usize> Send for Fixed<N> {}

impl<const N: usize> Fixed<N> {
    /// The first `N` bytes of `window`; `None` where it has fewer. They live as the parts of a window do: the memory must
    /// stay mapped as [`Window::new`]'s caller promised.
    pub fn new(window: &Window) -> Option<Self> {
        Self::within(window, 0)
    }

    /// The `N` bytes of `window` that begin at `offset`, a multiple of 4; `None` where they do not lie in it. As
    /// [`new`](Self::new) otherwise.
    pub fn within(window: &Window, offset: usize) -> Option<Self> {
        let inside = offset.checked_add(N).is_some_and(|end| end <= window.len()) && offset.is_multiple_of(4);
        // SAFETY: `offset` lies within the window.
        inside.then(|| Self(unsafe { window.base().add(offset) }))
    }

    #[inline(always)]
    fn at(&self, offset: usize) -> Option<&AtomicU32> {
        if offset > N.saturating_sub(4) || N < 4 || !offset.is_multiple_of(4) {
            return None;
        }
        // SAFETY: the word lies in the window, aligned as its base and the offset in it are; atomics may be shared with anybody.
        Some(unsafe { self.0.add(offset).cast().as_ref() })
    }

    /// Loads the aligned word at `offset`; 0 outside.
    #[inline(always)]
    pub fn load(&self, offset: usize, order: Ordering) -> u32 {
        self.at(offset).map_or(0, |word| word.load(order))
    }

    /// Stores the aligned word at `offset`; nothing outside.
    #[inline(always)]
    pub fn store(&self, offset: usize, value: u32, order: Ordering) {
        if let Some(word) = self.at(offset) {
            word.store(value, order);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::sync::atomic::Ordering::Relaxed;

    #[test]
    fn only_whole_words_of_the_first_bytes_are_reached() {
        let mut words = [1u32, 2, 3, 4];
        let base = NonNull::from(&mut words).cast();
        // SAFETY: the array outlives the window, and is used through it only.
        let window = unsafe { Window::new(base, 16) };
        assert!(Fixed::<17>::new(&window).is_none() && Fixed::<16>::new(&window).is_some());
        let fixed = Fixed::<8>::new(&window).unwrap();
        [0, 2, 4, 6, 8, usize::MAX].into_iter().for_each(|at| fixed.store(at, 9, Relaxed));
        assert_eq!([0, 4, 8, 12].map(|at| window.load(at, Relaxed)), [9, 9, 3, 4]);
        assert_eq!([0, 1, 4, 8, usize::MAX - 3].map(|at| fixed.load(at, Relaxed)), [9, 0, 9, 0, 0]);
        let inner = Fixed::<8>::within(&window, 4).unwrap();
        assert_eq!([0, 4, 8].map(|at| inner.load(at, Relaxed)), [9, 3, 0]);
        assert!([2, 12, 16, usize::MAX - 3].into_iter().all(|at| Fixed::<8>::within(&window, at).is_none()));
        let odd = Fixed::<7>::new(&window).unwrap();
        assert_eq!([0, 4].map(|at| odd.load(at, Relaxed)), [9, 0]);
    }
}
