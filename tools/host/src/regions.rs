// SPDX-License-Identifier: MIT
//! Regions: anonymous memory of a fixed size, mapped where the plan says with exactly the rights that it says.
#![allow(unsafe_code, reason = "mapping memory")]
use crate::sys;
use orion_region::Window;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;

/// A region, as the parent holds it.
#[derive(Debug)]
pub struct Region {
    /// Bytes.
    pub size: u64,
    write: File,
    read: File,
}

impl Region {
    /// A new region full of zeroes, whose size nobody can change.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(name: &str, size: u64) -> io::Result<Self> {
        let write = sys::memory(&format!("orion-{name}"), size)?;
        sys::fix_size(&write)?;
        let read = sys::read_only(&write)?;
        Ok(Self { size, write, read })
    }

    /// The descriptor to give to somebody who may or may not write.
    pub const fn file(&self, write: bool) -> &File {
        if write { &self.write } else { &self.read }
    }
}

/// Mapped bytes that stay mapped until the process ends.
#[derive(Clone, Copy, Debug)]
pub struct Mapped {
    base: NonNull<u8>,
    len: usize,
}

impl Mapped {
    /// Maps the first `size` bytes of `file`: at `vaddr`, or anywhere.
    ///
    /// # Errors
    /// What the system says: for example that something is mapped at `vaddr` already.
    pub fn new(file: &File, vaddr: Option<u64>, size: u64, write: bool) -> io::Result<Self> {
        let len = usize::try_from(size).map_err(io::Error::other)?;
        let at = usize::try_from(vaddr.unwrap_or(0)).map_err(io::Error::other)?;
        let rights = if write { libc::PROT_READ | libc::PROT_WRITE } else { libc::PROT_READ };
        let fixed = if vaddr.is_some() { libc::MAP_FIXED_NOREPLACE } else { 0 };
        let hint = std::ptr::without_provenance_mut::<libc::c_void>(at);
        // SAFETY: a new mapping, never in place of another.
        let base = unsafe { libc::mmap(hint, len, rights, libc::MAP_SHARED | fixed, file.as_raw_fd(), 0) };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let base = NonNull::new(base.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        if vaddr.is_some() && base.addr().get() != at {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        Ok(Self { base, len })
    }

    /// Where it is.
    pub fn vaddr(&self) -> u64 {
        self.base.addr().get() as u64
    }

    /// Bytes.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no bytes.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its bytes as a window. The caller makes one at most of each mapping: it is the user of these bytes.
    pub const fn window(&self) -> Window {
        // SAFETY: mapped for good, page-aligned, and no reference is made to these bytes but by `constant`, whose
        // caller says that nobody writes them.
        unsafe { Window::new(self.base, self.len) }
    }

    /// Its bytes, which nobody can change: memory made by [`sys::constant`].
    pub const fn constant(&self) -> &'static [u8] {
        // SAFETY: mapped for good, and sealed against writing.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr(), self.len) }
    }

    /// An atomic value at its start.
    pub const fn atomic<T: Atomic>(&self) -> Option<&'static T> {
        if self.len < size_of::<T>() {
            return None;
        }
        // SAFETY: mapped for good, page-aligned, long enough, and any bits are a valid atomic integer.
        Some(unsafe { self.base.cast::<T>().as_ref() })
    }
}

/// Atomic integers.
pub trait Atomic: sealed::Sealed {}
impl Atomic for std::sync::atomic::AtomicU64 {}
impl Atomic for std::sync::atomic::AtomicU32 {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for std::sync::atomic::AtomicU64 {}
    impl Sealed for std::sync::atomic::AtomicU32 {}
}
