// SPDX-License-Identifier: MIT
//! The kinds of devices: what each is called, and what it needs.
use std::fmt;

pub mod qemu;

/// A kind of device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bus {
    /// A virtio block device.
    #[default]
    VirtioBlk,
    /// An NVMe controller; its disks are namespaces.
    Nvme,
    /// An AHCI host bus adapter; its disks are those at its ports.
    Ahci,
    /// A virtio SCSI host; its disks are logical units.
    VirtioScsi,
    /// A parallel SCSI host adapter; its disks are logical units. Its registers are I/O ports.
    Am53c974,
}

/// The first that there is, where a disk does not say which it is.
pub const FIRST_UNIT: u32 = u32::MAX;

impl Bus {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::VirtioBlk, Self::Nvme, Self::Ahci, Self::VirtioScsi, Self::Am53c974];

    /// Its name, which is also its driver's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::VirtioBlk => "virtio-blk",
            Self::Nvme => "nvme",
            Self::Ahci => "ahci",
            Self::VirtioScsi => "virtio-scsi",
            Self::Am53c974 => "am53c974",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|bus| bus.name() == name)
    }

    /// Bytes of the driver's own DMA memory.
    pub const fn dma_bytes(self) -> u64 {
        match self {
            Self::VirtioBlk => 0x1_0000,
            Self::Nvme => 0x10_0000,
            Self::Ahci => 0x8_0000,
            Self::VirtioScsi | Self::Am53c974 => 0x4_0000,
        }
    }

    /// Whether its registers are I/O ports, and its interrupt a pin.
    pub const fn is_ports(self) -> bool {
        matches!(self, Self::Am53c974)
    }

    /// Whether it reaches memory below 4 GiB only.
    pub const fn is_32_bit(self) -> bool {
        matches!(self, Self::Am53c974)
    }

    /// Whether several disks can stand behind one device.
    pub const fn is_shared(self) -> bool {
        !matches!(self, Self::VirtioBlk)
    }

    /// Most queues of requests that its driver can be told to use.
    pub const fn most_queues(self) -> u64 {
        match self {
            Self::VirtioBlk | Self::Nvme | Self::VirtioScsi => 8,
            Self::Ahci | Self::Am53c974 => 1,
        }
    }

    /// The vendor that QEMU's model of it names.
    pub const fn vendor(self) -> u16 {
        match self {
            Self::VirtioBlk | Self::VirtioScsi => 0x1af4,
            Self::Nvme => 0x1b36,
            Self::Ahci => 0x8086,
            Self::Am53c974 => 0x1022,
        }
    }

    /// What a disk behind the device is called by, for people.
    pub const fn unit_text(self) -> &'static str {
        match self {
            Self::VirtioBlk => "nothing: the device is one disk",
            Self::Nvme => "the number of a namespace, 1 to 1024",
            Self::Ahci => "a port, 0 to 31, or port.device behind a port multiplier, as in 4.0: devices 0 to 14",
            Self::VirtioScsi => "a target or target.lun, as in 0 or 3.1: targets 0 to 255, units 0 to 16383",
            Self::Am53c974 => "a target or target.lun, as in 0 or 3.1: targets 0 to 6, units 0 to 7",
        }
    }

    /// The unit that `text` names, as the driver is told it.
    pub fn unit(self, text: &str) -> Option<u32> {
        let number = |text: &str| crate::read::digits(text).and_then(|n| u32::try_from(n).ok());
        let (targets, units) = match self {
            Self::VirtioBlk => return None,
            Self::Nvme => return number(text).filter(|n| (1..=1024).contains(n)),
            Self::Ahci => return Self::port(text),
            Self::VirtioScsi => (255, 16383),
            Self::Am53c974 => (6, 7),
        };
        let (target, lun) = text.split_once('.').unwrap_or((text, "0"));
        let (target, lun) = (number(target).filter(|n| *n <= targets)?, number(lun).filter(|n| *n <= units)?);
        Some(target << 16 | lun)
    }

    /// A port, and in the high half one more than the device behind a port multiplier at it.
    fn port(text: &str) -> Option<u32> {
        let number =
            |text: &str, most| crate::read::digits(text).filter(|n| *n <= most).and_then(|n| u32::try_from(n).ok());
        match text.split_once('.') {
            None => number(text, 31),
            Some((port, device)) => Some(number(port, 31)? | (number(device, 14)? + 1) << 16),
        }
    }

    /// A unit as `system.xml` has it; nothing for the first.
    pub fn unit_name(self, unit: u32) -> String {
        match self {
            _ if unit == FIRST_UNIT => String::new(),
            Self::Ahci if unit >> 16 != 0 => format!("{}.{}", unit & 0xffff, (unit >> 16) - 1),
            Self::VirtioScsi | Self::Am53c974 => format!("{}.{}", unit >> 16, unit & 0xffff),
            _ => unit.to_string(),
        }
    }
}

impl fmt::Display for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_what_its_bus_calls_it() {
        let units = |bus: Bus, texts: [&str; 5]| texts.map(|text| bus.unit(text));
        assert_eq!(units(Bus::Nvme, ["1", "1024", "0", "1025", "1.0"]), [Some(1), Some(1024), None, None, None]);
        assert_eq!(units(Bus::Ahci, ["0", "31", "32", "-1", ""]), [Some(0), Some(31), None, None, None]);
        let behind = units(Bus::Ahci, ["4.0", "31.14", "0.15", "32.0", "4.0.0"]);
        assert_eq!(behind, [Some(4 | 1 << 16), Some(31 | 15 << 16), None, None, None]);
        assert_eq!(Bus::Ahci.unit_name(31 | 15 << 16), "31.14");
        let scsi = units(Bus::VirtioScsi, ["3", "255.16383", "256", "0.16384", "1.2.3"]);
        assert_eq!(scsi, [Some(3 << 16), Some(255 << 16 | 16383), None, None, None]);
        assert_eq!(units(Bus::Am53c974, ["6.7", "7", "0.8", ".1", "1."]), [Some(6 << 16 | 7), None, None, None, None]);
        assert_eq!(units(Bus::VirtioBlk, ["0", "1", "", "0.0", "2"]), [None; 5]);
        for bus in Bus::ALL {
            assert_eq!(Bus::named(bus.name()), Some(bus));
            let text = bus.unit("2").map(|unit| bus.unit_name(unit));
            assert_eq!(text.and_then(|text| bus.unit(&text)), bus.unit("2"));
        }
    }
}
