// SPDX-License-Identifier: MIT
//! REPORT LUNS data (SPC-4, section 6.33).
use super::{list, number};
use crate::Place;

/// Bytes that are asked for.
pub const LEN: u16 = 1024;

/// The logical units that `bytes` list, in their order; those of several levels, and well known ones, are left out.
pub fn units(bytes: &[u8]) -> impl Iterator<Item = u16> {
    let (entries, _) = list(bytes, 8, number(bytes, 0, 4)).as_chunks::<8>();
    entries.iter().filter_map(|entry| Place::lun_of(*entry))
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn units_are_listed_however_the_list_lies() {
        let three =
            hex("00 00 00 18 00 00 00 00 00 00 00 00 00 00 00 00 00 05 00 00 00 00 00 00 41 00 00 00 00 00 00 00");
        assert_eq!(units(&three).collect::<Vec<_>>(), [0, 5, 256]);
        let known = hex("00 00 00 10 00 00 00 00 c1 01 00 00 00 00 00 00 00 01 00 00 00 00 00 00");
        assert_eq!(units(&known).collect::<Vec<_>>(), [1]);
        let lie = hex("ff ff ff ff 00 00 00 00 00 02 00 00 00 00 00 00 00 03");
        assert_eq!(units(&lie).collect::<Vec<_>>(), [2]);
        assert_eq!(units(&hex("00 00 00")).count(), 0);
    }
}
