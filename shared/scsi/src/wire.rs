// SPDX-License-Identifier: MIT
//! What targets answer, and the parameter lists that they are sent. A target may answer with anything, and with less than
//! it was asked for: what is missing reads as 0, which the standards define as "not said".
pub mod capacity;
pub mod inquiry;
pub mod log;
pub mod luns;
pub mod mode;
pub mod out;
pub mod reserve;
pub mod sense;
pub mod vpd;

use zerocopy::{FromBytes, IntoBytes};

/// The first bytes of `bytes` as a `T`; those that are missing are 0.
pub(crate) fn padded<T: FromBytes + IntoBytes>(bytes: &[u8]) -> T {
    let mut value = T::new_zeroed();
    value.as_mut_bytes().iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
    value
}

/// The number of the `width` bytes at `at`, the most significant first; 0 where they are not all there.
pub(crate) fn number(bytes: &[u8], at: usize, width: usize) -> u64 {
    let end = at.checked_add(width);
    let found = end.and_then(|end| bytes.get(at..end)).filter(|found| found.len() <= 8);
    found.unwrap_or_default().iter().fold(0, |value, byte| value << 8 | u64::from(*byte))
}

/// What of `bytes` a list has that begins with `header` bytes and says that `len` follow.
pub(crate) fn list(bytes: &[u8], header: usize, len: u64) -> &[u8] {
    let rest = bytes.get(header..).unwrap_or_default();
    let len = usize::try_from(len).unwrap_or(usize::MAX).min(rest.len());
    rest.get(..len).unwrap_or_default()
}

#[cfg(test)]
pub(crate) fn hex(text: &str) -> std::vec::Vec<u8> {
    text.split_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}
