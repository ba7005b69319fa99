// SPDX-License-Identifier: MIT
//! docs/features.md: every feature of the mission has a row, and what is said to work names a test that is there.
use crate::none;
use crate::rust::functions;
use crate::tree::{File, files};

/// The mission's features, in the order of the document.
const MISSION: &str = include_str!("mission.txt");
const DOCUMENT: &str = "docs/features.md";

/// A row: feature, state, and the test or what is missing.
#[derive(Debug)]
struct Row<'a> {
    line: usize,
    feature: &'a str,
    state: &'a str,
    rest: &'a str,
}

fn rows(text: &str) -> Vec<Row<'_>> {
    let cells = text.lines().enumerate().filter_map(|(number, line)| {
        let mut cells = line.strip_prefix('|')?.splitn(3, '|').map(str::trim);
        let (feature, state, rest) = (cells.next()?, cells.next()?, cells.next()?);
        Some(Row { line: number + 1, feature, state, rest: rest.trim_end_matches('|').trim() })
    });
    cells.filter(|r| r.feature != "Feature" && !r.feature.starts_with("---")).collect()
}

/// The tests that a cell names: `package::name` or `path.rs::name` between backticks.
fn tests(cell: &str) -> impl Iterator<Item = (&str, &str)> {
    cell.split('`').skip(1).step_by(2).filter_map(|name| name.rsplit_once("::"))
}

/// Whether the test `name` is in the package, folder or file `place`.
fn exists(tree: &[File], place: &str, name: &str) -> bool {
    let package = format!("name = \"{place}\"");
    let folder = tree.iter().find(|f| f.path.ends_with("Cargo.toml") && f.text.contains(&package));
    let prefix = folder.map_or(place, |f| f.path.trim_end_matches("Cargo.toml"));
    let files = tree.iter().filter(|f| f.path.starts_with(prefix) && f.extension() == "rs");
    files.flat_map(|f| functions(&f.text)).any(|f| f.test && f.name == name)
}

fn row_problem(tree: &[File], row: &Row<'_>) -> Option<String> {
    let named: Vec<_> = tests(row.rest).collect();
    let missing = named.iter().find(|(place, name)| !exists(tree, place, name));
    match row.state {
        _ if missing.is_some() => {
            missing.map(|(place, name)| format!("names {place}::{name}, which is no test of the tree"))
        }
        "works" if named.is_empty() => Some("works, but names no test (`package::test`)".into()),
        "works" => None,
        "partly" | "not yet" | "not applicable" if !row.rest.is_empty() => None,
        "partly" | "not yet" | "not applicable" => Some("does not say what is missing".into()),
        _ => Some(format!("`{}` is none of works, partly, not yet, not applicable", row.state)),
    }
}

fn problems(tree: &[File], document: &str, mission: &str) -> Vec<String> {
    let rows = rows(document);
    let bad =
        rows.iter().filter_map(|r| Some(format!("{DOCUMENT}:{}: {}: {}", r.line, r.feature, row_problem(tree, r)?)));
    let listed = mission.lines().filter(|l| !l.is_empty() && !l.starts_with('#'));
    let absent = listed.filter(|feature| rows.iter().filter(|r| r.feature == *feature).count() != 1);
    bad.chain(absent.map(|f| format!("{DOCUMENT}: has not exactly one row for `{f}`"))).collect()
}

#[test]
fn every_feature_has_its_row_and_every_claim_its_test() {
    let tree = files();
    let document = tree.iter().find(|f| f.path == DOCUMENT).map_or("", |f| &f.text);
    none(problems(&tree, document, MISSION));
}

#[test]
fn false_claims_are_seen() {
    let tree = [
        File::new("shared/a/Cargo.toml", "[package]\nname = \"orion-a\"\n"),
        File::new("shared/a/src/tests.rs", "#[test]\nfn it_holds() {}\nfn helper() {}\n"),
    ];
    let document = "\
| Feature | State | Test, or what is missing |
|---|---|---|
| one | works | `orion-a::it_holds` |
| two | works | `shared/a/src/tests.rs::it_holds`, `orion-a::helper` |
| three | works | yes |
| four | partly | |
| five | soon | x |
| six | not yet | all |
";
    let found = problems(&tree, document, "one\ntwo\nthree\nfour\nfive\nsix\nseven\n");
    assert_eq!(found.len(), 5, "{found:#?}");
    let lines = ["md:4: two", "md:5: three", "md:6: four", "md:7: five", "`seven`"];
    assert!(found.iter().zip(lines).all(|(problem, part)| problem.contains(part)), "{found:#?}");
}
