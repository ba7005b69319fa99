// SPDX-License-Identifier: MIT
//! What a disk says of itself: who it is and how it is.
use core::fmt;

mod rows;

pub use rows::HEALTH_ROWS;

/// Most vendor attributes: ATA's table has 30.
pub const ATTRIBUTES_MAX: usize = 30;

/// Text from a device: ASCII without what a terminal would act upon, at most 40 characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Text {
    len: u8,
    bytes: [[u8; 8]; 5],
}

impl Text {
    /// What of `raw` can be shown: bytes that are no printable ASCII become `?`, blanks and zeroes at the ends are left out.
    pub fn new(raw: &[u8]) -> Self {
        let (mut text, mut len) = (Self::default(), 0u8);
        let raw = raw.split(|byte| *byte == 0).next().unwrap_or_default().trim_ascii();
        for (to, from) in text.bytes.as_flattened_mut().iter_mut().zip(raw) {
            *to = if matches!(from, b' '..=b'~') { *from } else { b'?' };
            len += 1;
        }
        Self { len, ..text }
    }

    /// What is formatted, as far as it fits.
    pub fn format(args: fmt::Arguments<'_>) -> Self {
        let mut line = Line { bytes: [0; 40], len: 0 };
        // What does not fit is cut off.
        let _ = fmt::Write::write_fmt(&mut line, args);
        Self::new(line.bytes.get(..line.len).unwrap_or_default())
    }

    /// Its bytes, then zeroes.
    pub const fn padded(&self) -> [[u8; 8]; 5] {
        self.bytes
    }

    /// It as a string.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.as_flattened().get(..usize::from(self.len)).unwrap_or_default();
        core::str::from_utf8(bytes).unwrap_or_default()
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Text that is being written.
struct Line {
    bytes: [u8; 40],
    len: usize,
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (to, from) in self.bytes.iter_mut().skip(self.len).zip(text.bytes()) {
            *to = from;
            self.len += 1;
        }
        Ok(())
    }
}

/// One vendor attribute (SMART, ATA8-ACS): normalised values fall towards the threshold as the disk gets worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attribute {
    /// Its number; 0 where there is none.
    pub id: u8,
    /// Its value now, and the worst so far.
    pub value: u8,
    /// The worst value so far.
    pub worst: u8,
    /// The value at which the disk is about to fail; 0 where there is none.
    pub threshold: u8,
    /// The vendor's own 48 bits.
    pub raw: u64,
}

/// What a disk says of itself. What it does not say is `None`, or empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Its model.
    pub model: Text,
    /// Its serial number.
    pub serial: Text,
    /// Its firmware's revision.
    pub firmware: Text,
    /// What it is called, wherever it is attached.
    pub identity: Text,
    /// How large it is now: its driver says so, whatever those above were told.
    pub size: Text,
    /// In which power state it is.
    pub power: Text,
    /// What came of comparing writes with what the medium has; empty where none differed.
    pub verify: Text,
    /// Which zones changed by themselves.
    pub zones: Text,
    /// Whether it says that it is about to fail, or has failed in part.
    pub failing: Option<bool>,
    /// Degrees Celsius.
    pub temperature: Option<i16>,
    /// Per cent of its life that is used; may pass 100.
    pub used_percent: Option<u8>,
    /// Per cent of its spare blocks that are left.
    pub spare_percent: Option<u8>,
    /// Hours that it had power.
    pub power_on_hours: Option<u64>,
    /// Times that it got power.
    pub power_cycles: Option<u64>,
    /// Times that it lost power without having been told.
    pub unsafe_shutdowns: Option<u64>,
    /// Times that it could not give back what was written, by its own count.
    pub media_errors: Option<u64>,
    /// Entries of its error log, over its life.
    pub errors_logged: Option<u64>,
    /// Thousands of 512-byte blocks that hosts read from it.
    pub read_kblocks: Option<u64>,
    /// Thousands of 512-byte blocks that hosts wrote to it.
    pub written_kblocks: Option<u64>,
    /// Vendor attributes.
    pub attributes: [Attribute; ATTRIBUTES_MAX],
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn text_of_a_device_is_what_can_be_shown() {
        assert_eq!(Text::new(b"  QEMU NVMe Ctrl   \0\0junk").as_str(), "QEMU NVMe Ctrl");
        assert_eq!(Text::new(b"a\x1b[2Jb\xff").to_string(), "a?[2Jb?");
        assert_eq!(Text::new(&[b'x'; 64]).as_str().len(), 40);
        assert_eq!(Text::new(b"").as_str(), "");
        assert_eq!(
            Text::format(format_args!("{} blocks of {} bytes", 1 << 20, 512)).as_str(),
            "1048576 blocks of 512 bytes"
        );
        assert_eq!(Text::format(format_args!("{:0>64}", 1)).as_str(), "0".repeat(40));
    }
}
