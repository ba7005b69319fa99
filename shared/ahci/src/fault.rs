// SPDX-License-Identifier: MIT
//! Why a controller cannot be used.
use core::fmt;

/// Why a controller cannot be used: what was found, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The register file is shorter than the ports that the controller says it has.
    Registers,
    /// All registers read as ones: no controller is there.
    Nothing,
    /// It cannot be switched to AHCI.
    NotAhci,
    /// Its firmware does not let go of it.
    Firmware,
    /// It does not come out of its reset.
    Reset,
    /// It says that it has no port.
    NoPorts,
    /// It takes one command at a time; the driver needs a second for its own.
    OneSlot,
    /// A disk names a port that the controller does not have, or one that another disk names.
    Port,
    /// A disk is said to be behind a port multiplier, of which the controller knows nothing.
    Multiplier,
    /// The controller takes too few commands at once for the disks behind a port multiplier.
    Slots,
    /// More disks than the driver has room for, or none.
    TooMany,
    /// The DMA region is too small, not aligned, or beyond what the controller reaches.
    Dma,
}

impl Fault {
    /// One sentence for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Registers => "the mapped registers are shorter than the controller's ports: map the whole of BAR 5",
            Self::Nothing => {
                "no AHCI controller at the configured place: compare the disk's slot with the machine's devices"
            }
            Self::NotAhci => {
                "the controller cannot be switched to AHCI: set its firmware to AHCI instead of IDE or RAID"
            }
            Self::Firmware => "the firmware does not hand the AHCI controller over: turn its legacy support off",
            Self::Reset => "the AHCI controller does not come out of its reset",
            Self::NoPorts => "the AHCI controller says that it has no port: its firmware must set Ports Implemented",
            Self::OneSlot => "the AHCI controller has one command slot only, which this driver does not support",
            Self::Port => "a disk's unit is no port of this controller, or another disk's: compare them with its ports",
            Self::Multiplier => {
                "the AHCI controller knows no port multipliers: a disk's unit can only be a port, as in 4, not 4.1"
            }
            Self::Slots => "the AHCI controller has too few command slots for so many disks behind one port multiplier",
            Self::TooMany => "an AHCI driver serves one to eight disks: give some another controller",
            Self::Dma => {
                "the driver's DMA region is too small, not aligned to 4096 bytes, or beyond the controller's reach"
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
