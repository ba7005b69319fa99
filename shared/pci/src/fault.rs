// SPDX-License-Identifier: MIT
//! Why a function cannot be used.
use core::fmt;

/// Why a function cannot be used: what was found, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The configuration page is shorter than a function's configuration.
    Page,
    /// No function answers at the configured place.
    Absent,
    /// A bridge, or of a kind that PCI 3.0 does not know.
    Kind,
    /// The size of a BAR makes no sense.
    Size,
    /// A capability does not lie where it says.
    Capability,
    /// The BARs do not fit into the window, or cannot name its addresses.
    Window,
    /// The function has no BAR of that number, or it decodes the other address space.
    NoBar,
    /// A message interrupt was asked for, and the function has neither MSI-X nor MSI, or an MSI that cannot send it.
    NoMessage,
}

impl Fault {
    /// One sentence for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Page => "the mapped configuration is shorter than a PCI function's: map the function's whole page",
            Self::Absent => {
                "no PCI function at the configured place: compare the disk's slot with the machine's devices"
            }
            Self::Kind => {
                "a PCI bridge, and no device, at the configured place: compare the disk's slot with the machine's"
            }
            Self::Size => "the PCI function's BAR has a size that makes no sense",
            Self::Capability => "a PCI capability lies outside the function's BARs",
            Self::Window => "the device's BARs do not fit into the window that the configuration gives: make it larger",
            Self::NoBar => {
                "the PCI function has no registers where a device of this kind has them: compare the disk's slot"
            }
            Self::NoMessage => "the device has neither MSI-X nor MSI for us: configure it with the INTx pin instead",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Fault {}
