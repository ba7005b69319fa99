// SPDX-License-Identifier: MIT
//! The files of the repository.
use std::fs;
use std::path::Path;

/// Folders of things that were built or fetched.
const SKIPPED: &[&str] = &[".git", "target", "build"];

/// A file: its path from the repository's top, with `/`, and its text.
#[derive(Clone, Debug)]
pub struct File {
    pub path: String,
    pub text: String,
}

impl File {
    pub fn new(path: &str, text: &str) -> Self {
        Self { path: path.into(), text: text.into() }
    }

    pub fn extension(&self) -> &str {
        self.path.rsplit('/').next().and_then(|name| name.rsplit_once('.')).map_or("", |(_, e)| e)
    }
}

pub fn top() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// Every text file, sorted by path.
pub fn files() -> Vec<File> {
    let mut files = Vec::new();
    walk(top(), "", &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.iter().any(|f| f.path == "Cargo.toml"), "the repository's top was not found");
    files
}

fn walk(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{prefix}{name}");
        match entry.file_type() {
            Ok(kind) if kind.is_dir() && !SKIPPED.contains(&name.as_str()) => {
                walk(&entry.path(), &format!("{path}/"), files);
            }
            Ok(kind) if kind.is_file() => {
                // What is not text is of no concern here.
                files.extend(fs::read_to_string(entry.path()).ok().map(|text| File { path, text }));
            }
            _ => {}
        }
    }
}

/// The Rust files among them.
pub fn rust_files() -> Vec<File> {
    files().into_iter().filter(|f| f.extension() == "rs").collect()
}

/// What may stand at the top, beside files whose name begins with a dot.
const AT_TOP: &[&str] = &[
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "Makefile",
    "README.md",
    "build",
    "docs",
    "pds",
    "shared",
    "system.xml",
    "target",
    "tests",
    "tools",
];

#[test]
fn nothing_else_stands_at_the_top() {
    let names = fs::read_dir(top()).unwrap().flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    let strange = names.filter(|name| !name.starts_with('.') && !AT_TOP.contains(&name.as_str()));
    crate::none(strange.map(|name| format!("{name}: has no place at the top; see tests/tidy/src/tree.rs")).collect());
}
