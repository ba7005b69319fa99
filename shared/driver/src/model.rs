// SPDX-License-Identifier: MIT
//! Models of devices, for tests: what all of them have in common.
use core::fmt::Debug;

pub mod cost;

/// What holds a device's blocks in place of its model's own bytes. Sectors are of 512 bytes; each answers whether it went well.
pub trait Medium: Debug {
    /// Reads sectors.
    fn read(&mut self, sector: u64, into: &mut [u8]) -> bool;
    /// Writes sectors.
    fn write(&mut self, sector: u64, from: &[u8]) -> bool;
    /// Discards sectors, or writes zeroes.
    fn clear(&mut self, sector: u64, sectors: u32, zeroes: bool) -> bool;
    /// Makes durable what was written.
    fn flush(&mut self) -> bool;
}

/// The model of a device, as who lets time go by there sees it.
pub trait Hardware: Debug {
    /// Whether it was notified of requests that it has not taken.
    fn is_notified(&self) -> bool;
    /// Takes those.
    fn take(&mut self);
    /// Requests that it has taken and not ended.
    fn held(&self) -> usize;
    /// Carries out the `nth` of these, and says so.
    fn finish(&mut self, nth: usize);
    /// Forgets the `nth` of these, as if it had lost power.
    fn forget(&mut self, nth: usize);
    /// Whether its driver was interrupted since this was last asked; for a pin, whether it is up.
    fn take_interrupt(&mut self) -> bool;
    /// Whether the bus lets it reach memory.
    fn reaches_memory(&self) -> bool;
    /// How often its driver has reset it.
    fn resets(&self) -> u64;
    /// Leaves its bus, or stops for good.
    fn vanish(&mut self);
    /// What it holds in a volatile cache is gone.
    fn lose_cache(&mut self);
}
