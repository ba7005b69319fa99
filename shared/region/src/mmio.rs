// SPDX-License-Identifier: MIT
//! A device's register file, as drivers see it in every world.
//!
//! On seL4 the registers are mapped ([`Volatile`]); on the host each access is a message to the device model.
//! That is why a driver never holds a pointer to a register.
#![allow(unsafe_code, reason = "registers are reached through raw pointers")]
use core::ptr::NonNull;

/// Access to one register file. Offsets are bytes from its start; values are in the device's byte order
/// (little endian for all we drive). An access outside the file reads as all ones and writes nothing.
pub trait Mmio {
    /// Bytes of the register file.
    fn len(&self) -> usize;
    /// Whether the register file has no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Reads 8 bits.
    fn read8(&self, offset: usize) -> u8;
    /// Reads 16 bits at an offset divisible by 2.
    fn read16(&self, offset: usize) -> u16;
    /// Reads 32 bits at an offset divisible by 4.
    fn read32(&self, offset: usize) -> u32;
    /// Reads 64 bits at an offset divisible by 8.
    fn read64(&self, offset: usize) -> u64;
    /// Writes 8 bits and waits until the device has seen it.
    fn write8(&self, offset: usize, value: u8);
    /// Writes 16 bits and waits until the device has seen it.
    fn write16(&self, offset: usize, value: u16);
    /// Writes 32 bits and waits until the device has seen it.
    fn write32(&self, offset: usize, value: u32);
    /// Writes 64 bits and waits until the device has seen it.
    fn write64(&self, offset: usize, value: u64);
    /// Writes 16 bits to a doorbell: the one access that may be posted, because no later access depends on it.
    fn doorbell16(&self, offset: usize, value: u16) {
        self.write16(offset, value);
    }
    /// Writes 32 bits to a doorbell; see [`doorbell16`](Self::doorbell16).
    fn doorbell32(&self, offset: usize, value: u32) {
        self.write32(offset, value);
    }
    /// As [`doorbell32`](Self::doorbell32), of a doorbell whose device finds the value in memory: it may see another one here, that
    /// is no less valid, and may see it late.
    fn nudge32(&self, offset: usize, value: u32) {
        self.doorbell32(offset, value);
    }
}

/// Registers that are mapped into this address space.
#[derive(Debug)]
pub struct Volatile {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: register accesses are volatile and each is one instruction; the owner may move between threads.
unsafe impl Send for Volatile {}

impl Volatile {
    /// The register file of `len` bytes at `base`.
    ///
    /// # Safety
    /// `base..base + len` must be mapped as device memory (or be plain memory in a test) for as long as the value
    /// lives, `base` aligned to 8 bytes, and nothing else in this address space may use it meanwhile.
    pub const unsafe fn new(base: NonNull<u8>, len: usize) -> Self {
        Self { base, len }
    }

    fn at<T>(&self, offset: usize) -> Option<NonNull<T>> {
        let end = offset.checked_add(size_of::<T>())?;
        if end > self.len || !offset.is_multiple_of(align_of::<T>()) {
            return None;
        }
        // SAFETY: `offset` plus the access lies within the register file that `new`'s caller vouched for.
        Some(unsafe { self.base.add(offset) }.cast())
    }

    fn read<T>(&self, offset: usize, absent: T) -> T {
        // SAFETY: `at` checked bounds and alignment, and `new`'s caller vouched for the mapping.
        self.at(offset).map_or(absent, |p| unsafe { p.read_volatile() })
    }

    fn write<T>(&self, offset: usize, value: T) {
        if let Some(p) = self.at(offset) {
            // SAFETY: `at` checked bounds and alignment, and `new`'s caller vouched for the mapping.
            unsafe { p.write_volatile(value) }
        }
    }
}

impl Mmio for Volatile {
    fn len(&self) -> usize {
        self.len
    }
    fn read8(&self, offset: usize) -> u8 {
        self.read(offset, u8::MAX)
    }
    fn read16(&self, offset: usize) -> u16 {
        self.read(offset, u16::MAX)
    }
    fn read32(&self, offset: usize) -> u32 {
        self.read(offset, u32::MAX)
    }
    fn read64(&self, offset: usize) -> u64 {
        self.read(offset, u64::MAX)
    }
    fn write8(&self, offset: usize, value: u8) {
        self.write(offset, value);
    }
    fn write16(&self, offset: usize, value: u16) {
        self.write(offset, value);
    }
    fn write32(&self, offset: usize, value: u32) {
        self.write(offset, value);
    }
    fn write64(&self, offset: usize, value: u64) {
        self.write(offset, value);
    }
}
