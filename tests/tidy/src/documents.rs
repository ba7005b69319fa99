// SPDX-License-Identifier: MIT
//! Links between the documents, and the length of the first one.
use crate::none;
use crate::tree::{File, files, top};

/// The targets of a document's links and pictures, with their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (open, close) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"')] {
            let after = line.match_indices(open).map(|(at, _)| &line[at + open.len()..]);
            links.extend(after.filter_map(|l| Some((number + 1, l.split_once(close)?.0))));
        }
    }
    links
}

/// Whether a link leads to another place than this repository's files.
fn elsewhere(link: &str) -> bool {
    link.contains("://") || link.starts_with('#') || link.starts_with("mailto:")
}

fn broken(file: &File) -> Vec<String> {
    let folder = top().join(&file.path).parent().map(|p| p.to_owned()).unwrap_or_default();
    let inside = links(&file.text).into_iter().filter(|(_, link)| !elsewhere(link));
    let missing = inside.filter(|(_, link)| !folder.join(link.split('#').next().unwrap_or_default()).exists());
    missing.map(|(line, link)| format!("{}:{line}: leads to {link}, which is not there", file.path)).collect()
}

#[test]
fn links_lead_somewhere() {
    none(files().iter().filter(|f| f.extension() == "md").flat_map(broken).collect());
    let sample =
        File::new("docs/x.md", "[a](../README.md#b) [c](nowhere.md)\n<img src=\"gone.svg\"> [d](https://example.org)");
    assert_eq!(broken(&sample).len(), 2);
}

#[test]
fn the_readme_is_short() {
    let lines = files().iter().find(|f| f.path == "README.md").map(|f| f.text.lines().count());
    assert!(matches!(lines, Some(1..=150)), "README.md has {lines:?} lines; at most 150 are read");
}
