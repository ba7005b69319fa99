// SPDX-License-Identifier: MIT
//! Standard INQUIRY data (SPC-4, section 6.6.2).
use orion_driver::Text;

/// Bytes that are asked for: what SPC-2 and later define without vendors' own.
pub const LEN: u16 = 36;

/// What a logical unit says it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inquiry {
    /// Whether there is a unit at all: peripheral qualifier 0.
    pub connected: bool,
    /// Peripheral device type: 0 is a disk, 0Eh a disk with few commands, 1Fh unknown.
    pub kind: u8,
    /// Version of SPC; 2 is SCSI-2, 7 SPC-5.
    pub version: u8,
    /// Whether it knows tags (CMDQUE), so that it takes several commands.
    pub queues: bool,
    /// Whether it knows synchronous transfers (SYNC, of parallel buses; SPC-2, 7.3.2).
    pub synchronous: bool,
    /// Vendor's identification.
    pub vendor: Text,
    /// Product's identification.
    pub product: Text,
    /// Product's revision.
    pub revision: Text,
}

impl Inquiry {
    /// What `bytes` say; `None` where there are too few to say what the unit is.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [first, _, version, _, _, ..] = *bytes else { return None };
        let flags = bytes.get(7).copied().unwrap_or(0);
        let text = |from: usize, to: usize| Text::new(bytes.get(from..to.min(bytes.len())).unwrap_or_default());
        Some(Self {
            connected: first >> 5 == 0,
            kind: first & 0x1f,
            version,
            queues: flags & 2 != 0,
            synchronous: flags & 0x10 != 0,
            vendor: text(8, 16),
            product: text(16, 32),
            revision: text(32, 36),
        })
    }

    /// Whether it is a disk that block commands are for.
    pub fn is_disk(&self) -> bool {
        self.connected && self.kind == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;

    #[test]
    fn what_qemu_answers() {
        let bytes = hex(
            "00 00 05 12 1f 00 00 02 51 45 4d 55 20 20 20 20 51 45 4d 55 20 48 41 52 44 44 49 53 4b 20 20 20 32 2e 35 2b",
        );
        let found = Inquiry::parse(&bytes).unwrap();
        assert!(found.is_disk() && found.version == 5);
        assert!(found.queues && !found.synchronous);
        let text = [found.vendor, found.product, found.revision].map(|t| std::string::ToString::to_string(&t));
        assert_eq!(text, ["QEMU", "QEMU HARDDISK", "2.5+"]);
    }

    #[test]
    fn lies_and_cuts_are_read_as_what_they_are() {
        assert_eq!(Inquiry::parse(&[0; 4]), None);
        let short = Inquiry::parse(&[0, 0, 2, 2, 0, 0, 0, 0, b'A', b'B']).unwrap();
        assert!(short.is_disk() && short.vendor.as_str() == "AB" && short.product.as_str().is_empty());
        // No unit there (7Fh), a unit that is not connected (20h), a CD-ROM (5).
        for first in [0x7f, 0x20, 0x05, 0x1f] {
            assert!(!Inquiry::parse(&[first; 36]).unwrap().is_disk(), "{first:#x}");
        }
    }
}
