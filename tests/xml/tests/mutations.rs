// SPDX-License-Identifier: MIT
//! Whatever is done to a file, the answer is a plan or messages, never a panic.
#![allow(clippy::indexing_slicing, clippy::string_slice, reason = "tests")]
mod common;

use common::cases;
use orion_system::plan::Board;
use orion_system::{Options, derive, emit, parse};
use proptest::prelude::*;
use std::sync::LazyLock;

static TEXTS: LazyLock<Vec<String>> =
    LazyLock::new(|| cases("good").into_iter().chain(cases("bad")).map(|case| case.text).collect());

/// Values that numbers, names and extents are most likely to be misjudged at.
const VALUES: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "+1",
    "62",
    "255",
    "65535",
    "65536",
    "4294967296",
    "18446744073709551615",
    "0xffffffffffffffff",
    "0x",
    "0x+1",
    "_",
    "1__0",
    "1K",
    "16777216T",
    "0..0",
    "0..18446744073709551615",
    "..",
    "..1",
    "1..",
    "all",
    "demo",
    "d0",
    "vault",
    "gatekeeper",
    "rw",
    "xwr",
    "yes",
    "true",
    "\u{e9}\u{1f600}",
    "a b",
    "0x7fffffe000",
    "0x3000000",
    "ms",
    "s",
    "99999999999s",
    "00:1f.7",
    "::",
    "..",
    "&#0;",
    "&amp;",
];
/// Pieces of text that change the structure.
const PIECES: &[&str] = &[
    "<",
    ">",
    "/>",
    "\"",
    "</system>",
    "<system>",
    "<!--",
    "-->",
    "<?",
    "?>",
    "<![CDATA[",
    "]]>",
    "<!DOCTYPE a>",
    "&",
    "<orion:on disk=\"d0\"/>",
    "<channel>",
    "<protection_domain name=\"demo\" id=\"0\">",
    "</protection_domain>",
    "orion:",
    " xmlns=\"urn:orion-storage:1\"",
    "<orion:volume name=\"vault\">",
    "\u{0}",
    "\n",
    "text",
];

#[derive(Clone, Debug)]
enum Change {
    /// Put a value into the n-th pair of quotation marks.
    Value(usize, usize),
    /// Insert a piece at a place.
    Insert(usize, usize),
    /// Remove some bytes.
    Remove(usize, usize),
    /// Say a part twice.
    Repeat(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (any::<usize>(), 0..VALUES.len()).prop_map(|(at, value)| Change::Value(at, value)),
        2 => (any::<usize>(), 0..PIECES.len()).prop_map(|(at, piece)| Change::Insert(at, piece)),
        1 => (any::<usize>(), 1..40_usize).prop_map(|(at, len)| Change::Remove(at, len)),
        2 => (any::<usize>(), 1..200_usize).prop_map(|(at, len)| Change::Repeat(at, len)),
    ]
}

/// The nearest place at or after `at` where a character begins.
fn place(text: &str, at: usize) -> usize {
    (at.min(text.len())..).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len())
}

fn apply(text: &mut String, change: &Change) {
    let somewhere = |at: usize, text: &str| place(text, at % (text.len() + 1));
    match *change {
        Change::Value(at, value) => {
            let mut parts: Vec<&str> = text.split('"').collect();
            let values = parts.len() / 2;
            if values > 0
                && let Some(part) = parts.get_mut(2 * (at % values) + 1)
            {
                *part = VALUES[value];
            }
            *text = parts.join("\"");
        }
        Change::Insert(at, piece) => text.insert_str(somewhere(at, text), PIECES[piece]),
        Change::Remove(at, len) => {
            let start = somewhere(at, text);
            text.replace_range(start..place(text, start + len), "");
        }
        Change::Repeat(at, len) => {
            let start = somewhere(at, text);
            let part = text[start..place(text, start + len)].to_owned();
            text.insert_str(start, &part);
        }
    }
}

/// Everything that `orion` does with a text.
fn use_up(text: &str) {
    let system = match parse(text) {
        Ok(system) => system,
        Err(problems) => return assert!(!problems.is_empty()),
    };
    for board in Board::ALL {
        for iommu in [false, true] {
            match derive(&system, board, &Options { iommu, ..Options::default() }) {
                Ok(plan) => {
                    let files = emit::files(&plan);
                    assert!(
                        files
                            .iter()
                            .filter(|(name, _)| name.ends_with(".bin"))
                            .all(|(_, bytes)| bytes.len() % 4096 == 0)
                    );
                    assert!(!emit::sdf(&plan).is_empty() && !orion_system::explain(&system, &plan).is_empty());
                }
                Err(problems) => assert!(!problems.is_empty()),
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_changed_file_never_panics(which in any::<prop::sample::Index>(), changes in prop::collection::vec(change(), 1..6)) {
        let mut text = which.get(&TEXTS).clone();
        changes.iter().for_each(|change| apply(&mut text, change));
        use_up(&text);
    }

    #[test]
    fn noise_never_panics(text in "(<orion:|<|>|/|\"|=| |[a-z]{1,4}|[0-9]|\\PC){0,60}") {
        use_up(&text);
    }
}
