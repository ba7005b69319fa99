// SPDX-License-Identifier: MIT
//! Why a device cannot be used.
use core::fmt;

/// Why a device cannot be used: what was found, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The registers do not begin with virtio's magic value, or the PCI function is no virtio device.
    NotVirtio,
    /// The transport's version is not 2, or the device does not offer VERSION_1.
    Legacy,
    /// A virtio device of another type.
    WrongType,
    /// The register file is too short for the transport.
    Registers,
    /// PCI: a capability that virtio 1.x requires is missing, or does not lie within its BAR.
    Capabilities,
    /// PCI: the BARs do not fit into the window.
    Window,
    /// PCI: a message interrupt was asked for, and the function or the device has none.
    NoMsix,
    /// The device does not go to the reset state.
    Reset,
    /// The device refused the features that the driver chose.
    Features,
    /// The system has an IOMMU and the device would bypass it.
    Bypass,
    /// The device's configuration makes no sense.
    Config,
    /// The device's configuration keeps changing while it is read.
    Unsteady,
    /// The device has no request queue, or one too small for a request.
    Queue,
    /// The DMA region is too small, or not aligned.
    Dma,
    /// The device broke the protocol, or was too slow, again after each reset.
    Misbehaves,
    /// The device came back from a reset with other properties.
    Changed,
}

impl Fault {
    /// One sentence for people.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotVirtio => {
                "no virtio device at the configured place: compare the disk's slot with the machine's devices"
            }
            Self::Legacy => {
                "a legacy virtio device: start QEMU with virtio-mmio.force-legacy=false, or disable-legacy=on for PCI"
            }
            Self::WrongType => "a virtio device of another type: compare the disk's slot with the machine's devices",
            Self::Registers => "the mapped registers are shorter than the transport: map the device's whole page",
            Self::Capabilities => "the PCI function's virtio capabilities are missing or lie outside its BARs",
            Self::Window => "the device's BARs do not fit into the window that the configuration gives: make it larger",
            Self::NoMsix => "the device has no MSI-X vector for us: configure it with the INTx pin instead",
            Self::Reset => "the device does not reset",
            Self::Features => "the device refused the features that the driver chose",
            Self::Bypass => "the device would bypass the IOMMU: start QEMU with iommu_platform=on for it",
            Self::Config => "the device's configuration space makes no sense",
            Self::Unsteady => "the device's configuration space keeps changing",
            Self::Queue => "the device has no request queue, or one too small for one request",
            Self::Dma => "the driver's DMA region is too small or not aligned to 4096 bytes",
            Self::Misbehaves => {
                "the device failed again after every reset: it is left alone until the driver starts anew"
            }
            Self::Changed => "the device came back from a reset as another: smaller, or with other blocks",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl core::error::Error for Fault {}
