// SPDX-License-Identifier: MIT
//! A window on a region that is mapped into this address space and shared with peers or devices.
//!
//! Its bytes may change at any moment, so no reference to them is ever made: they are copied in and out.
#![allow(unsafe_code, reason = "shared memory is reached through raw pointers")]
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// `len` mapped bytes at `base`, shared with somebody. Not to be cloned: whoever holds it is the one user of these
/// bytes on this side.
#[derive(Debug)]
pub struct Window {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: all access is through atomics or volatile copies; the owner may move between threads.
unsafe impl Send for Window {}

impl Window {
    /// The window of `len` bytes at `base`.
    ///
    /// # Safety
    /// `base..base + len` must stay mapped for as long as the window (or a part split from it) lives, with at least
    /// the access that its user needs; `base` must be aligned to 8 bytes; and no reference to these bytes may exist
    /// in this address space.
    pub const unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
        Self { base, len }
    }

    /// Bytes of the window.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Where it begins in this address space, for handing to a device library.
    pub const fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Its first `at` bytes, a multiple of 8, and the others: for two users. `None` where it has fewer.
    pub fn split(self, at: usize) -> Option<(Self, Self)> {
        let rest = self.len.checked_sub(at).filter(|_| at.is_multiple_of(8))?;
        // SAFETY: `at` lies within the window, or one past its end.
        let base = unsafe { self.base.add(at) };
        Some((Self { len: at, ..self }, Self { base, len: rest }))
    }

    #[inline]
    fn holds<T>(&self, offset: usize) -> bool {
        let end = offset.checked_add(size_of::<T>());
        end.is_some_and(|end| end <= self.len) && offset.is_multiple_of(align_of::<T>())
    }

    #[inline]
    fn at<T>(&self, offset: usize) -> Option<NonNull<T>> {
        if !self.holds::<T>(offset) {
            return None;
        }
        // SAFETY: bounds were checked; `new`'s caller vouched for the mapping.
        Some(unsafe { self.base.add(offset) }.cast())
    }

    /// The `N` aligned 64-bit words at `offset`, each an atomic; `None` outside the window.
    #[inline]
    pub fn longs<const N: usize>(&self, offset: usize) -> Option<&[AtomicU64; N]> {
        // SAFETY: bounds and alignment were checked; atomics may be shared with anybody.
        self.at::<[AtomicU64; N]>(offset).map(|p| unsafe { p.as_ref() })
    }

    /// Loads the aligned word at `offset`; 0 outside the window.
    #[inline]
    pub fn load(&self, offset: usize, order: Ordering) -> u32 {
        if !self.holds::<AtomicU32>(offset) {
            return 0;
        }
        // SAFETY: as in `longs`, but without the detour over an `Option`, which costs a test for null on the data path.
        unsafe { self.base.add(offset).cast::<AtomicU32>().as_ref() }.load(order)
    }

    /// Stores the aligned word at `offset`; nothing outside the window.
    #[inline]
    pub fn store(&self, offset: usize, value: u32, order: Ordering) {
        if self.holds::<AtomicU32>(offset) {
            // SAFETY: as in `load`.
            unsafe { self.base.add(offset).cast::<AtomicU32>().as_ref() }.store(value, order);
        }
    }

    /// Reads a value of plain bits at an aligned offset. `T` must be valid for every bit pattern, which `Bits` says.
    #[inline]
    pub fn read<T: Bits>(&self, offset: usize) -> Option<T> {
        // SAFETY: bounds and alignment were checked; any bits are a valid `T`.
        self.at::<T>(offset).map(|p| unsafe { p.read_volatile() })
    }

    /// Writes a value of plain bits at an aligned offset; whether it lay within the window.
    #[inline]
    pub fn write<T: Bits>(&self, offset: usize, value: T) -> bool {
        // SAFETY: bounds and alignment were checked.
        self.at::<T>(offset).map(|p| unsafe { p.write_volatile(value) }).is_some()
    }

    /// Copies from the window into `to`; whether the bytes lay within it (if not, nothing is copied).
    pub fn copy_out(&self, offset: usize, to: &mut [u8]) -> bool {
        if !self.contains(offset, to.len()) {
            return false;
        }
        // SAFETY: the range lies in the window; `to` is private memory, so the two can't overlap.
        unsafe { copy(self.base.as_ptr().add(offset), to.as_mut_ptr(), to.len()) };
        true
    }

    /// Copies `from` into the window; whether the bytes lay within it (if not, nothing is copied).
    pub fn copy_in(&self, offset: usize, from: &[u8]) -> bool {
        if !self.contains(offset, from.len()) {
            return false;
        }
        // SAFETY: the range lies in the window; `from` is private memory, so the two can't overlap.
        unsafe { copy(from.as_ptr(), self.base.as_ptr().add(offset), from.len()) };
        true
    }

    /// Copies bytes of this window into another one, each read once; whether they lay within both (if not, nothing is copied).
    pub fn copy_to(&self, offset: usize, other: &Self, to: usize, len: usize) -> bool {
        if !self.contains(offset, len) || !other.contains(to, len) {
            return false;
        }
        // SAFETY: the ranges lie in their windows, and no reference to them exists. Where they overlap, nothing but bytes of them
        // comes of it.
        unsafe { copy(self.base.as_ptr().add(offset), other.base.as_ptr().add(to), len) };
        true
    }

    /// Lends bytes of a window that no peer maps; `None` where they do not lie within it. A device that writes here though it was
    /// not asked to changes these bytes, and what is computed from them: nothing may depend on them but data.
    pub fn lend(&mut self, offset: usize, len: usize) -> Option<&mut [u8]> {
        // SAFETY: the range lies in the window, which `new`'s caller vouched to be mapped; any bits are bytes; nobody on this side
        // uses the window while it is borrowed, and no other side maps it.
        self.contains(offset, len)
            .then(|| unsafe { core::slice::from_raw_parts_mut(self.base.as_ptr().add(offset), len) })
    }

    fn contains(&self, offset: usize, len: usize) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.len)
    }
}

/// Types that are valid for every bit pattern.
///
/// # Safety
/// Every bit pattern of the type's size must be a valid value, and it must have no padding.
pub unsafe trait Bits: Copy {}
// SAFETY: integers and arrays of them have neither padding nor invalid values.
unsafe impl Bits for u8 {}
// SAFETY: as above.
unsafe impl Bits for u16 {}
// SAFETY: as above.
unsafe impl Bits for u32 {}
// SAFETY: as above.
unsafe impl Bits for u64 {}
// SAFETY: as above.
unsafe impl<const N: usize> Bits for [u8; N] {}
// SAFETY: as above.
unsafe impl<const N: usize> Bits for [u32; N] {}
// SAFETY: as above.
unsafe impl<const N: usize> Bits for [u64; N] {}

/// Copies bytes of which one side may be changed by a peer meanwhile: by volatile words where both sides are aligned
/// alike, so that no load is repeated or invented.
///
/// # Safety
/// Both ranges must be mapped.
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    let mut done = 0;
    if from.addr() % 8 == to.addr() % 8 {
        let head = from.align_offset(8).min(len);
        // SAFETY: `head` bytes, then whole words up to `len`, lie within the ranges the caller vouched for.
        unsafe {
            copy_bytes(from, to, head);
            done = head + copy_words(from.add(head).cast(), to.add(head).cast(), (len - head) / 8);
        }
    }
    // SAFETY: the rest lies within the ranges the caller vouched for.
    unsafe { copy_bytes(from.add(done), to.add(done), len - done) };
}

/// Copies so many aligned words; the bytes of these.
///
/// # Safety
/// As [`copy`].
unsafe fn copy_words(from: *const u64, to: *mut u64, words: usize) -> usize {
    // The processor's own way is the fastest, but takes a while to begin. What it reads and writes, each once, the compiler cannot
    // know, as with volatile words.
    #[cfg(target_arch = "x86_64")]
    if words >= 32 {
        // SAFETY: the words lie within the ranges the caller vouched for; the direction flag is clear, as everywhere.
        unsafe {
            core::arch::asm!(
                "rep movsq",
                inout("rcx") words => _,
                inout("rsi") from => _,
                inout("rdi") to => _,
                options(nostack, preserves_flags),
            );
        }
        return words * 8;
    }
    for i in 0..words {
        // SAFETY: `i` is below `words`.
        unsafe { to.add(i).write_volatile(from.add(i).read_volatile()) };
    }
    words * 8
}

/// # Safety
/// As [`copy`].
unsafe fn copy_bytes(from: *const u8, to: *mut u8, len: usize) {
    for i in 0..len {
        // SAFETY: `i` is below `len`.
        unsafe { to.add(i).write_volatile(from.add(i).read_volatile()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    #[test]
    fn any_bytes_are_copied_in_out_and_across_and_none_beside_them() {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(2048).collect();
        let [mut one, mut other] = [[0u64; 256]; 2];
        let window = |words: &mut [u64; 256]| {
            // SAFETY: the arrays outlive the windows, and are used through them only.
            unsafe { Window::new(NonNull::from(words).cast(), 2048) }
        };
        let (one, mut other) = (window(&mut one), window(&mut other));
        assert!(one.copy_in(0, &bytes));
        for (from, to) in (0..9).flat_map(|from| (0..9).map(move |to| (from, to))) {
            for len in [0, 1, 7, 8, 9, 255, 256, 264, 270, 1000, 2000] {
                assert!(other.copy_in(0, &[0; 2048]));
                assert!(one.copy_to(from, &other, to, len));
                let mut found = [0; 2048];
                assert!(other.copy_out(0, &mut found));
                assert_eq!(found[to..to + len], bytes[from..from + len], "{from} {to} {len}");
                let beside = found[..to].iter().chain(&found[to + len..]);
                assert!(beside.copied().all(|byte| byte == 0), "{from} {to} {len}");
                assert_eq!(other.lend(to, len).unwrap(), &bytes[from..from + len]);
            }
        }
        for (from, to, len) in [(2048, 0, 1), (0, 2048, 1), (0, 0, 2049), (usize::MAX, 0, 2), (0, usize::MAX, 2)] {
            assert!(!one.copy_to(from, &other, to, len));
        }
    }
}
