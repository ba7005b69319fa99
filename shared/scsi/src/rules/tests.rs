// SPDX-License-Identifier: MIT
//! The table against all that can happen.
use super::*;
use std::collections::BTreeSet;

/// All sense data without qualifiers that nobody names: 16 keys, 256 codes, 256 qualifiers.
fn everything() -> impl Iterator<Item = Sense> {
    (0..16u8).flat_map(|key| (0..=255u8).flat_map(move |asc| (0..=255u8).map(move |ascq| Sense::new(key, asc, ascq))))
}

#[test]
fn every_row_holds_for_something_and_everything_has_a_row() {
    let mut used = BTreeSet::new();
    let mut note = |rule: &'static Rule| {
        let row = TABLE.iter().position(|other| core::ptr::eq(other, rule));
        used.insert(row.expect("a row of the table"));
    };
    everything().for_each(|sense| note(find(None, status::CHECK_CONDITION, Some(sense))));
    (1..=255).for_each(|status| note(find(None, status, None)));
    note(find(None, status::CHECK_CONDITION, Some(Sense { deferred: true, ..Sense::new(3, 0x0c, 0) })));
    let troubles = [
        Trouble::Absent,
        Trouble::Busy,
        Trouble::Reset,
        Trouble::Aborted,
        Trouble::Overrun,
        Trouble::Transport,
        Trouble::Other,
    ];
    troubles.into_iter().for_each(|trouble| note(find(Some(trouble), 0, None)));
    // Sixteen keys exist and nine are unknown or reserved, so that the row for those is used too.
    assert_eq!(used.len(), TABLE.len(), "rows that nothing reaches: {:?}", {
        (0..TABLE.len()).filter(|row| !used.contains(row)).map(|row| TABLE[row]).collect::<std::vec::Vec<_>>()
    });
}

#[test]
fn what_linux_and_the_standards_say_of_the_codes_that_matter() {
    let sense = |key, asc, ascq| find(None, status::CHECK_CONDITION, Some(Sense::new(key, asc, ascq)));
    for (key, asc, ascq, then, error) in [
        (6, 0x29, 0x00, Then::Again, Error::Io),
        (6, 0x2a, 0x09, Then::Again, Error::Io),
        (2, 0x04, 0x01, Then::Later, Error::Again),
        (2, 0x04, 0x02, Then::Start, Error::Again),
        (2, 0x3a, 0x00, Then::Fail, Error::Offline),
        (3, 0x11, 0x00, Then::Fail, Error::Medium),
        (3, 0x0c, 0x02, Then::Fail, Error::Medium),
        (4, 0x44, 0x01, Then::Fail, Error::Io),
        (5, 0x20, 0x00, Then::Fail, Error::Unsupported),
        (5, 0x21, 0x00, Then::Fail, Error::OutOfRange),
        (7, 0x27, 0x00, Then::Fail, Error::ReadOnly),
        (7, 0x27, 0x07, Then::Fail, Error::NoSpace),
        (0xb, 0x10, 0x01, Then::Fail, Error::Medium),
        (0xb, 0x47, 0x03, Then::Again, Error::Io),
        (1, 0x17, 0x01, Then::Accept, Error::Io),
    ] {
        let found = sense(key, asc, ascq);
        assert_eq!((found.then, found.error), (then, error), "{key:#x} {asc:#x}/{ascq:#x}: {}", found.text);
    }
    assert_eq!(find(None, status::RESERVATION_CONFLICT, None).error, Error::Denied);
    assert_eq!(find(None, status::CHECK_CONDITION, None).on, On::Senseless);
    assert_eq!(find(None, 0x55, None).on, On::Senseless);
}

#[test]
fn what_did_not_go_well_is_never_taken_for_done() {
    let fatal = [2, 3, 4, 5, 6, 7, 8, 9, 0xa, 0xb, 0xc, 0xd, 0xe];
    for sense in everything().filter(|sense| fatal.contains(&sense.key)) {
        assert_ne!(find(None, status::CHECK_CONDITION, Some(sense)).then, Then::Accept, "{sense:?}");
    }
}

#[test]
fn waits_grow_and_end() {
    let waits: std::vec::Vec<u64> = (1..=255).map(backoff).collect();
    assert!(waits.is_sorted() && waits[0] == BACKOFF_NS && waits[254] == BACKOFF_MAX_NS);
}
