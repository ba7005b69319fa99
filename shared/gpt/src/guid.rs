// SPDX-License-Identifier: MIT
//! Globally unique identifiers, in the mixed byte order of EFI (UEFI 2.10, appendix A).
use core::fmt;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// An identifier as it lies on the disk: the first three groups of its text are little-endian.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Guid(pub [u8; 16]);

/// Where each byte of the text stands on the disk.
const ORDER: [usize; 16] = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
/// Bytes of the text before which a dash stands.
const DASHES: [usize; 4] = [4, 6, 8, 10];

impl Guid {
    /// The identifier of an entry that is not used.
    pub const ZERO: Self = Self([0; 16]);

    /// The identifier that `text` writes as `01234567-89ab-cdef-0123-456789abcdef`, in either case.
    pub fn parse(text: &str) -> Option<Self> {
        let mut guid = Self::ZERO;
        let mut left = text.as_bytes();
        for (number, at) in ORDER.into_iter().enumerate() {
            if DASHES.contains(&number) {
                left = left.strip_prefix(b"-")?;
            }
            let (pair, rest) = left.split_first_chunk::<2>()?;
            *guid.0.get_mut(at)? = digit(pair[0])? << 4 | digit(pair[1])?;
            left = rest;
        }
        left.is_empty().then_some(guid)
    }
}

fn digit(byte: u8) -> Option<u8> {
    u8::try_from(char::from(byte).to_digit(16)?).ok()
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, at) in ORDER.into_iter().enumerate() {
            if DASHES.contains(&number) {
                f.write_str("-")?;
            }
            write!(f, "{:02x}", self.0.get(at).copied().unwrap_or(0))?;
        }
        Ok(())
    }
}
