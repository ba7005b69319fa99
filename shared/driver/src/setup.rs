// SPDX-License-Identifier: MIT
//! What an engine works with.
use orion_region::Window;

/// Most data regions that requests can name.
pub const REGIONS_MAX: usize = 64;

/// Where a data region lies for the device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// Bus address; meaningless where `size` is 0.
    pub bus: u64,
    /// Bytes; 0 where the device may not reach the region.
    pub size: u64,
}

impl Span {
    /// The region, or none where it would reach beyond the last bus address.
    #[must_use]
    pub fn sound(self) -> Self {
        if self.bus.checked_add(self.size).is_some() { self } else { Self::default() }
    }

    /// The bus address of `len` bytes at `offset`, if the region has them. It must be [`sound`](Self::sound).
    #[inline]
    pub fn address(&self, offset: u64, len: u64) -> Option<u64> {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.size);
        inside.then(|| self.bus.wrapping_add(offset))
    }
}

/// Where in the options of a disk's configuration the switches are whose two bits [`switch`] reads: of its write cache.
pub const WRITE_CACHE: u32 = 24;
/// Of reading ahead.
pub const LOOK_AHEAD: u32 = 26;

/// Whether `options` have the switch at `bit` on or off; `None`: it is left as it is.
pub const fn switch(options: u32, bit: u32) -> Option<bool> {
    match options >> bit & 3 {
        1 => Some(false),
        2 => Some(true),
        _ => None,
    }
}

/// What an engine works with.
#[derive(Debug)]
pub struct Setup<'a> {
    /// The driver's own DMA region.
    pub dma: Window,
    /// Its bus address.
    pub dma_bus: u64,
    /// The data regions, by [`orion_block::RegionId`]; those beyond [`REGIONS_MAX`] can't be named.
    pub regions: &'a [Span],
    /// Whether the device sits behind an IOMMU, so that it must not bypass it.
    pub iommu: bool,
    /// Whether nothing may be written though the device would.
    pub read_only: bool,
    /// Nanoseconds that a request may take.
    pub timeout_ns: u64,
}
