// SPDX-License-Identifier: MIT
//! What no file may contain, and what each source file begins with.
use crate::none;
use crate::tree::{File, files};

const LICENSE: &str = "SPDX-License-Identifier: MIT";

/// Words that have no place, and why. In two parts each, so that this file does not hold them.
const WORDS: &[(&str, &str, &str)] = &[
    ("TO", "DO", "say in an issue what is missing"),
    ("FIX", "ME", "say in an issue what is broken"),
    ("/ro", "ot/", "a path of one machine"),
    ("/wo", "rk/", "a path of one machine"),
    ("crates", ".io", "registries are cargo's concern"),
    ("pypi", ".org", "registries are cargo's concern"),
    ("npmjs", ".org", "registries are cargo's concern"),
    ("proxy.golang", ".org", "registries are cargo's concern"),
];

/// Written by cargo, registry and all.
fn by_cargo(file: &File) -> bool {
    file.path.ends_with("Cargo.lock")
}

fn word_problems(file: &File) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, line) in file.text.lines().enumerate() {
        let found = WORDS.iter().filter(|(a, b, _)| line.contains(&[*a, *b].concat()));
        problems.extend(found.map(|(a, b, why)| format!("{}:{}: `{a}{b}`: {why}", file.path, number + 1)));
    }
    problems
}

/// Whether the file is source that carries the licence line.
fn source(file: &File) -> bool {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    matches!(file.extension(), "rs" | "toml" | "sh" | "yml" | "yaml" | "py")
        || name == "Makefile"
        || file.text.starts_with("#!/")
}

fn licensed(file: &File) -> bool {
    file.text.lines().take(2).any(|l| l.contains(LICENSE))
}

#[test]
fn no_file_holds_a_word_that_has_no_place() {
    none(files().iter().filter(|f| !by_cargo(f)).flat_map(word_problems).collect());
    let sample = File::new("a.md", &["x\n// TO", "DO: y\n"].concat());
    assert_eq!(word_problems(&sample).len(), 1);
}

#[test]
fn each_source_file_names_its_licence_first() {
    let without = files().into_iter().filter(|f| source(f) && !licensed(f));
    none(without.map(|f| format!("{}: its first lines lack `{LICENSE}`", f.path)).collect());
    assert!(source(&File::new("x/run", "#!/bin/sh\n")) && !licensed(&File::new("a.rs", "//! x\n")));
}
