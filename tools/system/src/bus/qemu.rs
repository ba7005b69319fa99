// SPDX-License-Identifier: MIT
//! QEMU's model of a device, as options on its command line: the same for the boards and for the host world.
use super::{Bus, FIRST_UNIT};

/// A disk behind a device.
#[derive(Clone, Copy, Debug)]
pub struct Attached<'a> {
    /// QEMU's name of its medium: of a drive, or of a node.
    pub drive: &'a str,
    /// Which disk it is, as its driver is told.
    pub unit: u32,
    /// Its name, of which the serial number is made.
    pub name: &'a str,
}

impl Attached<'_> {
    /// What disks of every bus are told: to report errors, and that there is a volatile cache.
    fn options(&self) -> String {
        let serial = serial(self.name);
        format!("drive={},serial={serial},write-cache=on,rerror=report,werror=report", self.drive)
    }

    /// Its number where numbers begin at `first`.
    fn number(&self, first: u32) -> u32 {
        if self.unit == FIRST_UNIT { first } else { self.unit }
    }
}

/// A device that is one of several ways to one disk.
#[derive(Clone, Copy, Debug)]
pub struct Way<'a> {
    /// What they are ways to, of which the names of subsystem and namespace are made.
    pub volume: &'a str,
    /// Whether the machine has no other that has brought the disk.
    pub first: bool,
}

impl Way<'_> {
    /// What QEMU calls the subsystem.
    fn subsystem(&self) -> String {
        format!("subsystem-{}", self.volume)
    }

    /// The namespace's own names: the same wherever it is attached, others for other volumes.
    fn names(&self) -> String {
        let sum = |from: u64| {
            self.volume.bytes().fold(from, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
        };
        let (a, b) = (sum(0xcbf2_9ce4_8422_2325), sum(0x8422_2325_cbf2_9ce4));
        // RFC 4122, 4.4: version 4, and the variant.
        let uuid = (u128::from(a) << 64 | u128::from(b)) & !(0xf << 76 | 3 << 62) | 4 << 76 | 2 << 62;
        let hex = format!("{uuid:032x}");
        let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|range| hex.get(range).unwrap_or_default());
        format!(",nguid={uuid:032x},uuid={}", parts.join("-"))
    }
}

/// The serial number of a disk: what of its name the buses take.
pub fn serial(name: &str) -> String {
    name.chars().filter(char::is_ascii_alphanumeric).take(20).collect()
}

/// Of options: the namespaces of an NVMe controller are zoned. Its driver finds out by itself.
pub const ZONED: u32 = 1 << 10;

/// The shape of a virtio device's rings.
pub fn ring(options: u32) -> String {
    let [_, switches, ..] = options.to_le_bytes();
    let shapes = [(1, ",packed=on"), (2, ",in_order=on")];
    shapes.into_iter().filter(|(bit, _)| switches & bit != 0).map(|(_, option)| option).collect()
}

/// What there is to a device beside its disks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Around<'a> {
    /// How its queues can be, as its driver is told.
    pub options: u32,
    /// An IOMMU translates what it does.
    pub iommu: bool,
    /// It is one of several ways to one disk, which the first brings.
    pub way: Option<Way<'a>>,
}

/// The values of `-device` for the device `name` of a system, at `place` (as in `bus=pcie.0,addr=0x4`), with `disks` behind it.
/// `around` says what else there is to it.
pub fn devices(bus: Bus, (name, place): (&str, &str), disks: &[Attached<'_>], around: Around<'_>) -> Vec<String> {
    let Around { options, iommu, way } = around;
    let queues = options;
    let (id, ring, queues) = (format!("device-{name}"), ring(queues), (queues & 0xff).max(1));
    // Virtio devices pass an IOMMU by unless they are told not to.
    let translated = if iommu { ",iommu_platform=on" } else { "" };
    let host = match bus {
        Bus::VirtioBlk => {
            let options = format!("{place},num-queues={queues}{ring},ioeventfd=off{translated}");
            let device = |disk: &Attached<'_>| format!("virtio-blk-pci-non-transitional,{options},{}", disk.options());
            return disks.iter().map(device).collect();
        }
        Bus::Nvme => {
            let subsystem = way.map_or(String::new(), |way| format!(",subsys={}", way.subsystem()));
            // All controllers of a subsystem have one.
            let serial = serial(way.map_or(name, |way| way.volume));
            format!("nvme,id={id},{place},serial={serial}{subsystem}")
        }
        Bus::Ahci => format!("ich9-ahci,id={id},{place}"),
        Bus::VirtioScsi => {
            format!("virtio-scsi-pci-non-transitional,id={id},{place},num_queues={queues},ioeventfd=off{translated}")
        }
        Bus::Am53c974 => format!("am53c974,id={id},{place}"),
    };
    let disk = |disk: &Attached<'_>| match bus {
        // A namespace has no serial number of its own, and reports errors always.
        Bus::Nvme => {
            let zones = if options & ZONED == 0 { "" } else { ",zoned=on,zoned.zone_size=1M,zoned.max_open=2" };
            let names = way.map_or(String::new(), |way| way.names());
            format!("nvme-ns,bus={id},drive={},nsid={},write-cache=on{zones}{names}", disk.drive, disk.number(1))
        }
        // It has no port multipliers: a disk behind one would be at the port itself.
        Bus::Ahci => format!("ide-hd,bus={id}.{},{}", disk.number(0) & 0xffff, disk.options()),
        _ => {
            let unit = disk.number(0);
            format!("scsi-hd,bus={id}.0,channel=0,scsi-id={},lun={},{}", unit >> 16, unit & 0xffff, disk.options())
        }
    };
    // What is attached to a subsystem all its controllers have.
    let subsystem = way.filter(|way| way.first);
    let subsystem = subsystem.map(|way| format!("nvme-subsys,id={},nqn={}", way.subsystem(), way.volume));
    let disks = disks.iter().filter(|_| way.is_none_or(|way| way.first)).map(disk);
    subsystem.into_iter().chain([host]).chain(disks).collect()
}
