// SPDX-License-Identifier: MIT
//! Log pages (section 5.14.1).
use orion_driver::{Health, Text};
use zerocopy::byteorder::little_endian::{U16, U32, U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// SMART / health information (5.14.1.2).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Smart {
    /// What is wrong: bits.
    pub critical: u8,
    /// Kelvin.
    pub temperature: U16,
    /// Per cent of the spare blocks that are left.
    pub spare: u8,
    /// The value of `spare` at which it warns.
    pub spare_threshold: u8,
    /// Per cent of its life that is used.
    pub used: u8,
    /// Of no interest here.
    pub pad: [u8; 26],
    /// Thousands of 512 bytes that were read.
    pub read: U128,
    /// Thousands of 512 bytes that were written.
    pub written: U128,
    /// Commands: reads, writes; minutes that it was busy.
    pub commands: [U128; 3],
    /// Times that it got power.
    pub power_cycles: U128,
    /// Hours that it had power.
    pub power_on: U128,
    /// Times that it lost power untold.
    pub unsafe_shutdowns: U128,
    /// Times that data could not be given back.
    pub media_errors: U128,
    /// Entries of the error log, over its life.
    pub errors: U128,
}

fn whole(value: U128) -> Option<u64> {
    Some(u64::try_from(value.get()).unwrap_or(u64::MAX))
}

impl Smart {
    /// Writes it into what is known of the disk.
    pub fn put(&self, health: &mut Health) {
        health.failing = Some(self.critical & 0x1f != 0);
        // 0 is what is said by those that have no thermometer.
        let celsius = i32::from(self.temperature.get()) - 273;
        health.temperature = (self.temperature.get() != 0).then(|| i16::try_from(celsius).unwrap_or(i16::MAX));
        health.used_percent = Some(self.used);
        health.spare_percent = Some(self.spare.min(100));
        health.power_on_hours = whole(self.power_on);
        health.power_cycles = whole(self.power_cycles);
        health.unsafe_shutdowns = whole(self.unsafe_shutdowns);
        health.media_errors = whole(self.media_errors);
        health.errors_logged = whole(self.errors);
        health.read_kblocks = whole(self.read);
        health.written_kblocks = whole(self.written);
    }
}

/// One entry of the error log (5.14.1.1).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ErrorEntry {
    /// How many errors there were before it, plus one; 0: no entry.
    pub count: U64,
    /// Submission queue, and command.
    pub command: [U16; 2],
    /// Status field, with the phase tag.
    pub status: U16,
    /// Where in the command the error is.
    pub place: U16,
    /// First block.
    pub lba: U64,
    /// Namespace.
    pub namespace: U32,
    /// Vendor's page, transport, and others.
    pub rest: [u8; 36],
}

/// Firmware slots (5.14.1.3).
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Firmware {
    /// The slot that runs, and that which runs after the next reset.
    pub active: u8,
    /// Of no interest here.
    pub pad: [u8; 7],
    /// Revisions.
    pub slots: [[u8; 8]; 7],
}

impl Firmware {
    /// The revision that runs, if the page says which.
    pub fn running(&self) -> Option<Text> {
        let slot = usize::from(self.active & 7).checked_sub(1)?;
        self.slots.get(slot).map(|revision| Text::new(revision)).filter(|text| !text.as_str().is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::mem::offset_of;
    use zerocopy::FromZeros;

    #[test]
    fn fields_are_where_the_standard_has_them() {
        assert_eq!([offset_of!(Smart, read), offset_of!(Smart, power_cycles)], [32, 112]);
        assert_eq!([offset_of!(Smart, media_errors), offset_of!(Smart, errors)], [160, 176]);
        assert_eq!([size_of::<ErrorEntry>(), size_of::<Firmware>()], [64, 64]);
        assert_eq!([offset_of!(ErrorEntry, lba), offset_of!(ErrorEntry, namespace)], [16, 24]);
    }

    #[test]
    fn any_page_is_read() {
        let mut health = Health::default();
        for byte in [0, 0xff] {
            let mut smart = Smart::new_zeroed();
            smart.as_mut_bytes().fill(byte);
            smart.put(&mut health);
            assert_eq!(health.failing, Some(byte != 0));
            assert_eq!(health.temperature, (byte != 0).then_some(i16::MAX));
        }
        let page = Firmware {
            active: 2,
            pad: [0; 7],
            slots: [*b"        ", *b"1.0     ", [0; 8], [0; 8], [0; 8], [0; 8], [0; 8]],
        };
        assert_eq!(page.running(), Some(Text::new(b"1.0")));
        assert_eq!(Firmware { active: 1, ..page }.running(), None);
        assert_eq!(Firmware { active: 0, ..page }.running(), None);
    }
}
