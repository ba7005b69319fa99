// SPDX-License-Identifier: MIT
//! Zones (TP 4053): what a report says of each, and what can be done with one.
use orion_metrics::{Verb, ZoneRow};
use zerocopy::byteorder::little_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The command set of zoned namespaces.
pub const SET: u8 = 2;
/// Zones of which a report of one page tells.
pub const ZONES: usize = 63;

/// Where a zoned namespace's own Identify has the sizes of its zones, 16 bytes for each LBA format (TP 4053, figure 8).
pub const SIZES: usize = 2816;

/// It tells of zones that changed by themselves, in OAES and in the configuration of events (TP 4053).
pub const NOTICES: u32 = 1 << 27;
/// What a report is restricted to, in dword 13: zones that can only be read; the next one is those that are gone.
pub const READ_ONLY: u32 = 6;
/// Zones of which a list of changed ones tells.
pub const CHANGED: u16 = 511;

/// A list of zones that changed by themselves since it was read last (TP 4053, log page BFh).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ChangedZones {
    /// How many; 0xffff: more than there is room for.
    pub count: U16,
    /// Reserved.
    pub pad: [u8; 6],
    /// Their first blocks.
    pub zones: [U64; CHANGED as usize],
}

impl ChangedZones {
    /// How many, or as many as it has room for.
    pub fn count(&self) -> u16 {
        self.count.get().min(CHANGED)
    }
}

/// A zone (TP 4053, figure 37).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Zone {
    /// Its type: 2 where it is written one block after the other.
    pub kind: u8,
    /// Its state, in the upper half.
    pub state: u8,
    /// Attributes.
    pub attributes: [u8; 6],
    /// Blocks that can be written.
    pub capacity: U64,
    /// Its first block.
    pub first: U64,
    /// The block that is written next.
    pub pointer: U64,
    /// Reserved.
    pub rest: [u8; 32],
}

/// A report of one page (TP 4053, figure 36).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Report {
    /// Zones that there are from the one on that was asked for, or of which it tells.
    pub count: U64,
    /// Reserved.
    pub pad: [u8; 56],
    /// The zones.
    pub zones: [Zone; ZONES],
}

impl Report {
    /// The zones of which it tells: no more than it has room for, whatever it claims, and none that is none.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        let count = usize::try_from(self.count.get()).unwrap_or(ZONES).min(ZONES);
        self.zones.iter().take(count).filter(|zone| zone.kind != 0)
    }
}

impl Zone {
    /// As it is shown.
    pub fn row(&self) -> ZoneRow {
        ZoneRow::new(self.first.get(), self.pointer.get(), self.capacity.get(), self.state >> 4)
    }
}

/// What dword 13 of a zone management send has for this (TP 4053, figure 31); nothing where it is no such thing.
pub const fn action(verb: Verb) -> Option<u32> {
    Some(match verb {
        Verb::CloseZone => 1,
        Verb::FinishZone => 2,
        Verb::OpenZone => 3,
        Verb::ResetZone => 4,
        Verb::ResetZones => 4 | 1 << 8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerocopy::FromZeros;

    #[test]
    fn fields_are_where_the_standard_has_them() {
        use core::mem::offset_of;
        assert_eq!([size_of::<Zone>(), size_of::<Report>(), offset_of!(Report, zones)], [64, 4096, 64]);
        assert_eq!([offset_of!(Zone, capacity), offset_of!(Zone, first), offset_of!(Zone, pointer)], [8, 16, 24]);
    }

    #[test]
    fn a_report_tells_of_no_more_zones_than_it_has() {
        let mut report = Report::new_zeroed();
        for count in [0, 1, 63, 64, u64::MAX] {
            report.count = count.into();
            assert_eq!(report.zones().count(), 0);
            report.zones[62].kind = 2;
            assert_eq!(report.zones().count(), usize::from(count >= 63));
            report.zones[62].kind = 0;
        }
    }
}
