// SPDX-License-Identifier: MIT
//! Each bug has its place in the tree, and its row in the documents.
#![allow(clippy::unwrap_used, reason = "tests")]
use orion_bugs::{BUGS, root};
use std::collections::BTreeMap;
use std::fs;

#[test]
fn each_bug_has_its_place() {
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    let mut lost = Vec::new();
    for (number, bug) in BUGS.iter().enumerate() {
        let text = texts.entry(bug.file).or_insert_with(|| fs::read_to_string(root().join(bug.file)).unwrap());
        match bug.plant(text, number) {
            Ok(planted) => *text = planted,
            Err(why) => lost.push(why),
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}

#[test]
fn each_bug_has_its_row() {
    let text = fs::read_to_string(root().join("docs/testing.md")).unwrap();
    for bug in BUGS.iter() {
        let row = format!("| {} | `{}` |", bug.what, bug.file);
        assert!(text.contains(&row), "docs/testing.md lacks `{row}`: run `make bugs BUGS=--write`");
    }
}
