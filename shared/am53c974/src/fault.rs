// SPDX-License-Identifier: MIT
//! Why an adapter cannot be used.
use core::fmt;

/// Why an adapter cannot be used: what was found, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The register file is too short.
    Registers,
    /// All registers read as ones.
    Nothing,
    /// The DMA region is too small, not aligned or beyond the adapter's addresses.
    Dma,
    /// A data region is beyond the adapter's addresses.
    High,
    /// A disk's place is not on this bus.
    Place,
}

impl Fault {
    /// One sentence for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Registers => "the ports are fewer than an Am53C974 has: give its driver the whole of BAR 0",
            Self::Nothing => {
                "no adapter answers at the configured ports: compare the disk's slot with the machine's devices"
            }
            Self::Dma => {
                "the driver's DMA memory is too small, not aligned, or above 4 GiB, where an Am53C974 cannot reach: \
                 build the image again"
            }
            Self::High => {
                "a client's data region lies above 4 GiB, where an Am53C974 cannot reach: put it lower, or let `orion` \
                 place it"
            }
            Self::Place => {
                "a disk's unit is not on a parallel SCSI bus: targets are 0 to 6, the adapter is 7, units are 0 to 7"
            }
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Fault {}
