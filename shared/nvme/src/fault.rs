// SPDX-License-Identifier: MIT
//! Why a controller cannot be used.
use core::fmt;

/// Why a controller cannot be used: what was found, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The function is no NVMe controller.
    NotNvme,
    /// The register file is too short for the queues' doorbells.
    Registers,
    /// The registers read as all ones.
    Gone,
    /// The controller has no NVM command set, or does not work with pages of 4096 bytes.
    Capabilities,
    /// The DMA region is too small, or not aligned.
    Dma,
    /// More disks are configured than the engine has units.
    Units,
    /// The controller does not stop within the time that it asks for.
    Disable,
    /// The controller does not become ready within the time that it asks for.
    Enable,
    /// The controller says that it failed, again after it was reset.
    Fatal,
    /// An administrative command took too long.
    Admin,
    /// The controller does not identify itself, or what it says makes no sense.
    Identify,
    /// The controller gives no queue for reads and writes.
    Queues,
    /// Writes are to be compared, and the controller cannot.
    Compare,
    /// None of the configured namespaces can be used.
    Namespaces,
    /// The controller broke the protocol, or was too slow, again after each reset.
    Misbehaves,
    /// The controller came back from a reset as another.
    Changed,
}

impl Fault {
    /// One sentence for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotNvme => {
                "no NVMe controller at the configured place: compare the disk's slot with the machine's devices"
            }
            Self::Registers => {
                "the mapped registers are shorter than the controller's doorbells: map the whole of BAR 0"
            }
            Self::Gone => "the controller is gone: its registers read as all ones",
            Self::Capabilities => "the controller has no NVM command set with pages of 4096 bytes: it cannot be driven",
            Self::Dma => "the driver's DMA region is too small or not aligned to 4096 bytes",
            Self::Units => "more disks are configured behind one controller than its driver knows: give some another",
            Self::Disable => "the controller does not stop within the time that it asks for",
            Self::Enable => "the controller does not become ready within the time that it asks for",
            Self::Fatal => "the controller says that it failed, and does so again after a reset: replace it",
            Self::Admin => "the controller does not answer administrative commands",
            Self::Identify => "the controller does not say what it is, or what it says makes no sense",
            Self::Queues => "the controller gives no queue for reads and writes",
            Self::Compare => {
                "verify-writes=\"yes\" needs the Compare command, which this controller does not have, or not for a namespace \
                 with protection information: take it out of the disk's element, or use another disk"
            }
            Self::Namespaces => {
                "none of the configured namespaces can be used: compare the disks' units with what is attached, \
                 and their formats with what docs/nvme.md lists"
            }
            Self::Misbehaves => {
                "the controller failed again after every reset: it is left alone until the driver starts anew"
            }
            Self::Changed => "the controller came back from a reset as another",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Fault {}
