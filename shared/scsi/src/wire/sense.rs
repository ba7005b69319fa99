// SPDX-License-Identifier: MIT
//! Sense data (SPC-4, section 4.5): why a command failed, in fixed or in descriptor format.

/// Most bytes of sense data (SPC-4, 4.5.1).
pub const SENSE_MAX: usize = 252;

/// Sense keys (SPC-4, table 48).
pub mod key {
    /// Nothing to say.
    pub const NO_SENSE: u8 = 0x0;
    /// It went well, after the device had mended something.
    pub const RECOVERED_ERROR: u8 = 0x1;
    /// The unit cannot be used now.
    pub const NOT_READY: u8 = 0x2;
    /// The medium is bad at these blocks.
    pub const MEDIUM_ERROR: u8 = 0x3;
    /// The device is broken.
    pub const HARDWARE_ERROR: u8 = 0x4;
    /// The command is not one, or not for this unit.
    pub const ILLEGAL_REQUEST: u8 = 0x5;
    /// Something happened meanwhile that the initiator must know.
    pub const UNIT_ATTENTION: u8 = 0x6;
    /// The blocks may not be read or written.
    pub const DATA_PROTECT: u8 = 0x7;
    /// Blank medium where there should be data.
    pub const BLANK_CHECK: u8 = 0x8;
    /// A copy was ended.
    pub const COPY_ABORTED: u8 = 0xa;
    /// The device gave the command up.
    pub const ABORTED_COMMAND: u8 = 0xb;
    /// The medium is full.
    pub const VOLUME_OVERFLOW: u8 = 0xd;
    /// What was to be compared differs.
    pub const MISCOMPARE: u8 = 0xe;
    /// Done.
    pub const COMPLETED: u8 = 0xf;
}

/// What the sense data of a command says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sense {
    /// The sense key, below 16.
    pub key: u8,
    /// Additional sense code.
    pub asc: u8,
    /// Its qualifier.
    pub ascq: u8,
    /// Of medium errors the first block that is concerned, if it is said.
    pub information: Option<u64>,
    /// Whether it is about an earlier command that was answered as done.
    pub deferred: bool,
}

impl Sense {
    /// That of a key with its additional code.
    pub const fn new(key: u8, asc: u8, ascq: u8) -> Self {
        Self { key, asc, ascq, information: None, deferred: false }
    }

    /// What `bytes` say; `None` where that is no sense data.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let code = bytes.first()? & 0x7f;
        let sense = match code {
            0x70 | 0x71 => Self::fixed(bytes)?,
            0x72 | 0x73 => Self::descriptors(bytes)?,
            _ => return None,
        };
        Some(Self { deferred: code & 1 != 0, ..sense })
    }

    /// Fixed format (4.5.3). Byte 7 says how many follow it; devices that send fewer bytes say no code.
    fn fixed(bytes: &[u8]) -> Option<Self> {
        let key = bytes.get(2)? & 0xf;
        let said = bytes.get(7).map_or(0, |more| 8 + usize::from(*more));
        let byte = |at: usize| bytes.get(at).filter(|_| at < said).copied().unwrap_or(0);
        let valid = bytes.first().is_some_and(|first| first & 0x80 != 0) && bytes.len() >= 7;
        let information = valid.then(|| super::number(bytes, 3, 4));
        Some(Self { key, asc: byte(12), ascq: byte(13), information, deferred: false })
    }

    /// Descriptor format (4.5.2).
    fn descriptors(bytes: &[u8]) -> Option<Self> {
        let [_, key, asc, ascq, ..] = *bytes else { return None };
        let mut sense = Self::new(key & 0xf, asc, ascq);
        let mut rest = super::list(bytes, 8, super::number(bytes, 7, 1));
        while let [kind, len, body @ ..] = rest {
            let len = usize::from(*len);
            let Some(body_now) = body.get(..len) else { break };
            if let (0, [flags, _, value @ ..]) = (*kind, body_now)
                && flags & 0x80 != 0
                && value.len() == 8
            {
                sense.information = Some(super::number(value, 0, 8));
            }
            rest = body.get(len..).unwrap_or_default();
        }
        Some(sense)
    }

    /// As fixed format: 18 bytes. An information that does not fit is left out.
    pub fn emit_fixed(&self) -> [u8; 18] {
        let mut bytes = [0; 18];
        let information = self.information.and_then(|value| u32::try_from(value).ok());
        let valid = if information.is_some() { 0x80 } else { 0 };
        let [a, b, c, d] = information.unwrap_or(0).to_be_bytes();
        let head =
            [valid | 0x70 | u8::from(self.deferred), 0, self.key, a, b, c, d, 10, 0, 0, 0, 0, self.asc, self.ascq];
        bytes.iter_mut().zip(head).for_each(|(to, from)| *to = from);
        bytes
    }

    /// As descriptor format: 20 bytes with an information, else 8.
    pub fn emit_descriptors(&self) -> ([u8; 20], usize) {
        let mut bytes = [0; 20];
        let code = 0x72 | u8::from(self.deferred);
        let more = if self.information.is_some() { 12 } else { 0 };
        let head = [code, self.key, self.asc, self.ascq, 0, 0, 0, more];
        bytes.iter_mut().zip(head).for_each(|(to, from)| *to = from);
        if let Some(information) = self.information {
            let descriptor = [0, 10, 0x80, 0].into_iter().chain(information.to_be_bytes());
            bytes.iter_mut().skip(8).zip(descriptor).for_each(|(to, from)| *to = from);
        }
        (bytes, 8 + usize::from(more))
    }
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_qemu_answers() {
        // scsi-hd of QEMU 10: after power on; a READ past the end; an injected EIO.
        let attention = Sense::parse(&hex("70 00 06 00 00 00 00 0a 00 00 00 00 29 00 00 00 00 00")).unwrap();
        assert_eq!(attention, Sense::new(key::UNIT_ATTENTION, 0x29, 0));
        let beyond = Sense::parse(&hex("70 00 05 00 00 00 00 0a 00 00 00 00 21 00 00 00 00 00")).unwrap();
        assert_eq!(beyond, Sense::new(key::ILLEGAL_REQUEST, 0x21, 0));
    }

    #[test]
    fn the_example_of_the_standard() {
        // Descriptor format with an information descriptor, behind one of a kind that we skip.
        let bytes = hex("72 03 11 00 00 00 00 14 80 06 00 01 02 03 04 05 00 0a 80 00 00 00 00 01 23 45 67 89");
        let sense = Sense::parse(&bytes).unwrap();
        assert_eq!(sense, Sense { information: Some(0x1_2345_6789), ..Sense::new(3, 0x11, 0) });
        // A fixed one that is cut before its code, as small disks send it.
        assert_eq!(Sense::parse(&hex("70 00 02 00")).unwrap(), Sense::new(2, 0, 0));
        assert_eq!(
            Sense::parse(&hex("f0 00 03 00 00 10 00 0a 00 00 00 00 11 01 00 00 00 00")).unwrap().information,
            Some(4096)
        );
        for bad in ["", "00 00 02", "7f 00 02", "70 00", "72 05 20"] {
            assert_eq!(Sense::parse(&hex(bad)), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed(key in 0u8..16, asc: u8, ascq: u8, info: Option<u64>, deferred: bool) {
            let sense = Sense { key, asc, ascq, information: info, deferred };
            let (bytes, len) = sense.emit_descriptors();
            prop_assert_eq!(Sense::parse(&bytes[..len]), Some(sense));
            let short = Sense { information: info.filter(|v| *v <= u64::from(u32::MAX)), ..sense };
            prop_assert_eq!(Sense::parse(&sense.emit_fixed()), Some(short));
        }

        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..64), first in 0x70u8..0x74) {
            let mut bytes = bytes;
            if let Some(byte) = bytes.first_mut() {
                *byte = first;
            }
            let sense = Sense::parse(&bytes);
            prop_assert!(sense.is_none_or(|sense| sense.key < 16));
        }
    }
}
