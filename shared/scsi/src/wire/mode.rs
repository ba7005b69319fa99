// SPDX-License-Identifier: MIT
//! Mode parameters for the six-byte commands (SPC-4 section 7.5, SBC-3 section 6.4): the header and the caching page.
use super::{list, number};

/// The caching page.
pub const CACHING: u8 = 0x08;
/// Every page.
pub const ALL: u8 = 0x3f;
/// Bytes that are asked for.
pub const LEN: u8 = 192;
/// Most bytes of a list that is sent.
pub const LIST: usize = 64;

/// What MODE SENSE says of a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// Nothing can be written (WP).
    pub write_protected: bool,
    /// Force unit access is offered (DPOFUA).
    pub fua: bool,
    /// Whether writes are cached (WCE); `None` without a caching page.
    pub write_cache: Option<bool>,
}

impl Mode {
    /// What `bytes` say; `None` where there is not even a header.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let [len, _, specific, descriptors, ..] = *bytes else { return None };
        let all = list(bytes, 1, len.into());
        let pages = all.get(3 + usize::from(descriptors)..).unwrap_or_default();
        let write_cache = find(pages, CACHING).and_then(|page| page.get(2)).map(|flags| flags & 4 != 0);
        Some(Self { write_protected: specific & 0x80 != 0, fua: specific & 0x10 != 0, write_cache })
    }
}

/// The page of this code, with its header of two bytes, among `pages`.
fn find(mut pages: &[u8], code: u8) -> Option<&[u8]> {
    while let [first, ..] = *pages {
        // Subpages have a length of two bytes.
        let (header, len) = match first & 0x40 {
            0 => (2usize, number(pages, 1, 1)),
            _ => (4, number(pages, 2, 2)),
        };
        let end = header.checked_add(usize::try_from(len).ok()?)?;
        if first & 0x7f == code {
            return Some(pages.get(..end).unwrap_or(pages));
        }
        pages = pages.get(end..)?;
    }
    None
}

/// The parameter list of a MODE SELECT (6) that changes WCE: the caching page as MODE SENSE gave it, ready to be sent back.
/// `None` where there is no such page. Returns the list and its length.
pub fn select_write_cache(sensed: &[u8], on: bool) -> Option<([u8; LIST], u8)> {
    let [len, _, _, descriptors, ..] = *sensed else { return None };
    let all = list(sensed, 1, len.into());
    let page = find(all.get(3 + usize::from(descriptors)..).unwrap_or_default(), CACHING)?;
    let mut out = [0; LIST];
    let place = out.get_mut(4..4 + page.len())?;
    place.copy_from_slice(page);
    let [first, _, flags, ..] = place else { return None };
    // PS is reserved in MODE SELECT, as is all of the header but the length of block descriptors.
    *first &= 0x3f;
    *flags = *flags & !4 | if on { 4 } else { 0 };
    Some((out, u8::try_from(4 + page.len()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;

    /// QEMU's: DPOFUA off, write cache on; the caching page has 20 bytes.
    const QEMU: &str = "17 00 00 00 08 12 04 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00";

    #[test]
    fn what_qemu_answers() {
        assert_eq!(Mode::parse(&hex(QEMU)), Some(Mode { write_protected: false, fua: false, write_cache: Some(true) }));
        let read_only = "17 00 90 00 88 12 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00";
        assert_eq!(
            Mode::parse(&hex(read_only)),
            Some(Mode { write_protected: true, fua: true, write_cache: Some(false) })
        );
    }

    #[test]
    fn descriptors_and_other_pages_are_stepped_over() {
        let bytes = hex("1b 00 00 08 00 00 80 00 00 00 02 00 01 02 00 00 59 01 00 02 aa bb 88 04 04 00 00 00");
        assert_eq!(Mode::parse(&bytes).unwrap().write_cache, Some(true));
        assert_eq!(Mode::parse(&hex("03 00 00 00")).unwrap().write_cache, None);
        // A page that claims more than there is, descriptors beyond the end, a header alone.
        assert_eq!(Mode::parse(&hex("ff 00 00 00 08 ff 04")).unwrap().write_cache, Some(true));
        assert_eq!(Mode::parse(&hex("ff 00 00 ff 08 12 04")).unwrap().write_cache, None);
        assert_eq!(Mode::parse(&hex("03 00 00")), None);
    }

    #[test]
    fn the_page_goes_back_with_the_one_bit_changed() {
        let (list, len) = select_write_cache(&hex(QEMU), false).unwrap();
        assert_eq!(list[..len.into()], hex("00 00 00 00 08 12 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"));
        assert!(select_write_cache(&hex("03 00 00 00"), true).is_none());
        let long: std::vec::Vec<u8> = [0xff, 0, 0, 0, 8, 0xfa].into_iter().chain([0; 250]).collect();
        assert!(select_write_cache(&long, true).is_none());
    }
}
