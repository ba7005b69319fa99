// SPDX-License-Identifier: MIT
//! SMART's pages (ATA8-ACS, section 7.53; the thresholds are those of ATA-3): a table of 30 attributes each.
use orion_driver::{ATTRIBUTES_MAX, Attribute, Health};
use zerocopy::byteorder::little_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// One attribute in SMART READ DATA's page.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Value {
    /// Its number; 0 where there is none.
    pub id: u8,
    /// Flags.
    pub flags: U16,
    /// Its value.
    pub value: u8,
    /// The worst so far.
    pub worst: u8,
    /// The vendor's own.
    pub raw: [u8; 6],
    /// Reserved.
    pub reserved: u8,
}

/// One attribute in the page of thresholds.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Threshold {
    /// Its number.
    pub id: u8,
    /// The value at which the disk is about to fail.
    pub threshold: u8,
    /// Reserved.
    pub reserved: [u8; 10],
}

/// A page of 30 records.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Page<R> {
    /// Its version.
    pub version: U16,
    /// The records.
    pub records: [R; ATTRIBUTES_MAX],
    /// The rest.
    pub rest: [u8; 149],
    /// All 512 bytes add up to 0.
    pub checksum: u8,
}

impl<R> Page<R>
where
    Self: IntoBytes + Immutable,
{
    fn whole(&self) -> bool {
        self.as_bytes().iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte)) == 0
    }
}

/// The log of self-tests: 21 records of 24 bytes, a ring.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct SelfTests {
    /// Its version.
    pub version: U16,
    /// Each begins with the test's kind and, in the next byte's high half, its result.
    pub records: [[u8; 24]; 21],
    /// The vendor's own.
    pub vendor: [u8; 2],
    /// The last record written, from 1; 0 where there is none.
    pub last: u8,
    /// Reserved.
    pub reserved: [u8; 2],
    /// All 512 bytes add up to 0.
    pub checksum: u8,
}

impl SelfTests {
    /// Whether the last self-test that ended found the drive bad; `None` where there was none, or the page is damaged.
    pub fn last_failed(&self) -> Option<bool> {
        let sum = self.as_bytes().iter().fold(0u8, |sum, byte| sum.wrapping_add(*byte));
        let place = usize::from(self.last).checked_sub(1).filter(|_| sum == 0)?;
        let [_, status, ..] = self.records.get(place)?;
        match status >> 4 {
            // Completed without error; aborted, interrupted, unable to run; in progress.
            0 => Some(false),
            1 | 2 | 15 => None,
            _ => Some(true),
        }
    }
}

const _: () = assert!(size_of::<Page<Value>>() == 512 && size_of::<Page<Threshold>>() == 512);
const _: () = assert!(size_of::<SelfTests>() == 512);

/// Puts the attributes of SMART READ DATA's page into `health`; whether the page is whole.
pub fn attributes(page: &Page<Value>, health: &mut Health) -> bool {
    if !page.whole() {
        return false;
    }
    for (place, from) in page.records.iter().enumerate() {
        let [a, b, c, d, e, f] = from.raw;
        let raw = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]);
        let attribute = Attribute { id: from.id, value: from.value, worst: from.worst, threshold: 0, raw };
        known(&attribute, health);
        if let Some(to) = health.attributes.get_mut(place) {
            *to = attribute;
        }
    }
    true
}

/// Puts the thresholds into the attributes of the same numbers.
pub fn thresholds(page: &Page<Threshold>, health: &mut Health) -> bool {
    if !page.whole() {
        return false;
    }
    for attribute in health.attributes.iter_mut().filter(|attribute| attribute.id != 0) {
        let found = page.records.iter().find(|record| record.id == attribute.id);
        attribute.threshold = found.map_or(0, |record| record.threshold);
    }
    true
}

/// What most vendors mean by an attribute.
fn known(attribute: &Attribute, health: &mut Health) {
    let low = attribute.raw & 0xffff_ffff;
    match attribute.id {
        // The low byte is degrees; vendors keep extremes in the others.
        194 => health.temperature = i16::try_from(low & 0xff).ok(),
        190 if health.temperature.is_none() => health.temperature = i16::try_from(low & 0xff).ok(),
        9 => health.power_on_hours = Some(low),
        12 => health.power_cycles = Some(low),
        187 => health.media_errors = Some(low),
        192 => health.unsafe_shutdowns = Some(low),
        _ => {}
    }
}
