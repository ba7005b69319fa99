// SPDX-License-Identifier: MIT
//! Identify Controller (section 5.15.2.2, figure 247).
use super::namespace::BLOCKS_MAX;
use zerocopy::byteorder::little_endian::{U16, U32, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The first 540 bytes of what a controller says of itself.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Controller {
    /// PCI vendor, and of its subsystem.
    pub vendor: [U16; 2],
    /// Serial number.
    pub serial: [u8; 20],
    /// Model.
    pub model: [u8; 40],
    /// Firmware revision.
    pub firmware: [u8; 8],
    /// Recommended arbitration burst, and IEEE OUI.
    pub burst: [u8; 4],
    /// Multi-path and sharing capabilities.
    pub cmic: u8,
    /// Most data of a command: so many pages, as a binary logarithm; 0: no limit.
    pub mdts: u8,
    /// Controller identifier.
    pub id: U16,
    /// Version.
    pub version: U32,
    /// Microseconds to resume, and to enter, the state without power.
    pub latencies: [U32; 2],
    /// Optional asynchronous events.
    pub oaes: U32,
    /// Of no interest here.
    pub pad: [u8; 160],
    /// Optional administrative commands.
    pub oacs: U16,
    /// Abort commands in flight, less one.
    pub acl: u8,
    /// Asynchronous event requests in flight, less one.
    pub aerl: u8,
    /// Firmware updates, log page attributes.
    pub frmw: [u8; 2],
    /// Entries of the error log, less one.
    pub elpe: u8,
    /// Power states, less one.
    pub npss: u8,
    /// Of no interest here.
    pub avscc: u8,
    /// Power states are taken by itself, where bit 0 is set.
    pub apsta: u8,
    /// Of no interest here.
    pub pad_2: [u8; 14],
    /// Bytes of the whole device, and those of no namespace.
    pub total: U128,
    /// See `total`.
    pub free: U128,
    /// Of no interest here.
    pub pad_4: [u8; 16],
    /// How it can be sanitized.
    pub sanicap: U32,
    /// Of no interest here.
    pub pad_5: [u8; 10],
    /// Seconds that a change of an asymmetric access state takes at most.
    pub ana_seconds: u8,
    /// Asymmetric access: what it reports.
    pub anacap: u8,
    /// Most ANA groups: the largest identifier, and how many.
    pub ana_groups: [U32; 2],
    /// Of no interest here.
    pub pad_6: [u8; 160],
    /// Sizes of submission queue entries: least, most.
    pub sqes: u8,
    /// Sizes of completion queue entries: least, most.
    pub cqes: u8,
    /// Most commands in flight.
    pub max_commands: U16,
    /// Largest namespace identifier.
    pub namespaces: U32,
    /// Optional commands of the NVM command set.
    pub oncs: U16,
    /// Fused operations, format attributes.
    pub fuses: [u8; 3],
    /// Volatile write cache.
    pub vwc: u8,
    /// Blocks that are written atomically, less one: in normal operation.
    pub awun: U16,
    /// As above, when power fails.
    pub awupf: U16,
    /// Of no interest here.
    pub pad_3: [u8; 6],
    /// Scatter gather lists.
    pub sgls: U32,
}

/// Optional administrative commands (OACS).
pub mod oacs {
    /// Format NVM.
    pub const FORMAT: u16 = 1 << 1;
    /// Namespace management and attachment.
    pub const NAMESPACES: u16 = 1 << 3;
    /// Doorbell buffer config.
    pub const DOORBELLS: u16 = 1 << 8;
}

/// Attributes of Format NVM (FNA).
pub mod fna {
    /// A format is of every namespace.
    pub const ALL: u8 = 1;
    /// A secure erase is of every namespace.
    pub const ERASE_ALL: u8 = 1 << 1;
    /// A key can be destroyed.
    pub const KEY: u8 = 1 << 2;
}

/// Optional commands of the NVM command set (ONCS).
pub mod oncs {
    /// Compare.
    pub const COMPARE: u16 = 1;
    /// Dataset management.
    pub const DATASET: u16 = 1 << 2;
    /// Write zeroes.
    pub const WRITE_ZEROES: u16 = 1 << 3;
}

impl Controller {
    /// Whether it can be driven: entries of 64 and of 16 bytes, and at least one namespace.
    pub fn sound(&self) -> bool {
        let has = |sizes: u8, size: u8| sizes & 0xf <= size && sizes >> 4 >= size;
        has(self.sqes, 6) && has(self.cqes, 4) && self.namespaces.get() != 0
    }

    /// Most bytes of a command, where pages have 4096; as many as 65,536 blocks where it has no limit.
    pub fn most_bytes(&self) -> u64 {
        match self.mdts {
            0 => u64::from(BLOCKS_MAX) << 16,
            pages => 4096u64.checked_shl(pages.into()).filter(|bytes| *bytes >= 8192).unwrap_or(u64::MAX),
        }
    }

    /// Whether the data pointer may be one SGL data block descriptor; a driver of dword-aligned payload need not ask which kind.
    pub fn sgl(&self) -> bool {
        matches!(self.sgls.get() & 3, 1 | 2)
    }

    /// What formatting is like (FNA, byte 524).
    pub const fn format_attributes(&self) -> u8 {
        let [_, _, attributes] = self.fuses;
        attributes
    }

    /// Whether it has an optional administrative command.
    pub fn manages(&self, bit: u16) -> bool {
        self.oacs.get() & bit != 0
    }

    /// Whether it has an optional command of the NVM command set.
    pub fn offers(&self, bit: u16) -> bool {
        self.oncs.get() & bit != 0
    }

    /// Whether it is the same controller, with what a driver may have told others.
    pub fn outlives(&self, now: &Self) -> bool {
        let of = |c: &Self| (c.serial, c.model, c.sgl());
        of(self) == of(now)
            && now.most_bytes() >= self.most_bytes()
            && now.oncs.get() & self.oncs.get() == self.oncs.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;
    use zerocopy::FromZeros;

    #[test]
    fn fields_are_where_the_standard_has_them() {
        assert_eq!(size_of::<Controller>(), 540);
        assert_eq!([offset_of!(Controller, cmic), offset_of!(Controller, mdts)], [76, 77]);
        assert_eq!([offset_of!(Controller, version), offset_of!(Controller, oacs)], [80, 256]);
        assert_eq!([offset_of!(Controller, elpe), offset_of!(Controller, npss)], [262, 263]);
        assert_eq!([offset_of!(Controller, total), offset_of!(Controller, free)], [280, 296]);
        assert_eq!([offset_of!(Controller, sanicap), offset_of!(Controller, ana_seconds)], [328, 342]);
        assert_eq!([offset_of!(Controller, anacap), offset_of!(Controller, ana_groups)], [343, 344]);
        assert_eq!([offset_of!(Controller, sqes), offset_of!(Controller, namespaces)], [512, 516]);
        assert_eq!([offset_of!(Controller, oncs), offset_of!(Controller, vwc)], [520, 525]);
        assert_eq!([offset_of!(Controller, awupf), offset_of!(Controller, sgls)], [528, 536]);
    }

    #[test]
    fn any_transfer_limit_makes_sense() {
        let mut controller = Controller::new_zeroed();
        for (mdts, bytes) in [(1, 8192), (5, 128 << 10), (51, 1 << 63), (52, u64::MAX), (63, u64::MAX), (255, u64::MAX)]
        {
            controller.mdts = mdts;
            assert_eq!(controller.most_bytes(), bytes, "{mdts}");
        }
        controller.mdts = 0;
        assert_eq!(controller.most_bytes(), 1 << 32);
    }
}
