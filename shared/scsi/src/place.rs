// SPDX-License-Identifier: MIT
//! Where a logical unit is.
use core::fmt;

/// A logical unit of a target. Both numbers are below what every transport of ours can address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The target.
    pub target: u16,
    /// The logical unit: below 16,384.
    pub lun: u16,
}

impl Place {
    /// Most logical units of a target: what flat space addressing (SAM-5, 4.7.7.3) has.
    pub const LUNS: u16 = 1 << 14;

    /// That of the number in a disk's configuration: target << 16 | logical unit.
    pub fn of_number(number: u32) -> Option<Self> {
        let target = u16::try_from(number >> 16).ok()?;
        let lun = u16::try_from(number & 0xffff).ok().filter(|lun| *lun < Self::LUNS)?;
        Some(Self { target, lun })
    }

    /// The first level of the logical unit's number as two bytes: peripheral device addressing below 256, flat space
    /// addressing otherwise (SAM-5, 4.7.7).
    pub const fn level(self) -> [u8; 2] {
        let flat = if self.lun < 256 { 0 } else { 0x4000 };
        (self.lun | flat).to_be_bytes()
    }

    /// The logical unit of eight bytes as REPORT LUNS and events have them; `None` where they name none of a single level.
    pub fn lun_of(bytes: [u8; 8]) -> Option<u16> {
        let [a, b, rest @ ..] = bytes;
        let number = u16::from_be_bytes([a, b]);
        match (number >> 14, rest) {
            (0, [0, 0, 0, 0, 0, 0]) if number < 256 => Some(number),
            (1, [0, 0, 0, 0, 0, 0]) => Some(number & 0x3fff),
            _ => None,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "target {}, logical unit {}", self.target, self.lun)
    }
}

#[cfg(test)]
mod tests {
    use super::Place;

    #[test]
    fn every_logical_unit_survives_the_way_there_and_back() {
        for lun in 0..Place::LUNS {
            let place = Place::of_number(7 << 16 | u32::from(lun)).unwrap();
            let [a, b] = place.level();
            assert_eq!(Place::lun_of([a, b, 0, 0, 0, 0, 0, 0]), Some(lun));
            assert_eq!((a >> 6, place.target), (u8::from(lun > 255), 7));
        }
        assert_eq!(Place::of_number(u32::from(Place::LUNS)), None);
    }

    #[test]
    fn what_names_no_unit_of_one_level_is_refused() {
        for bytes in [[1, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 1, 0, 0, 0, 0], [0xc1, 1, 0, 0, 0, 0, 0, 0], [0x80; 8]] {
            assert_eq!(Place::lun_of(bytes), None, "{bytes:?}");
        }
    }
}
