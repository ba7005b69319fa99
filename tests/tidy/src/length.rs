// SPDX-License-Identifier: MIT
//! One idea a file, short functions. What is long is listed; what is much too long fails.
use crate::none;
use crate::rust::functions;
use crate::tree::{File, rust_files};

/// Lines of a file before its tests: listed above the first, failed above the second.
const FILE: (usize, usize) = (400, 600);
/// Lines of a function: listed above.
const FUNCTION: usize = 70;

/// Lines before the tests of the file; 0 for a file of tests.
fn length(file: &File) -> usize {
    if file.path.ends_with("tests.rs") || file.path.contains("/tests/") {
        return 0;
    }
    let inline = |rest: &[&str]| {
        rest.iter().find(|l| !l.trim().starts_with("#[")).is_some_and(|l| l.contains("mod ") && l.contains('{'))
    };
    let lines: Vec<&str> = file.text.lines().collect();
    let tests = (0..lines.len()).find(|&i| lines[i].trim() == "#[cfg(test)]" && inline(&lines[i..]));
    tests.unwrap_or(lines.len())
}

fn long_functions(file: &File) -> Vec<String> {
    let long = functions(&file.text).into_iter().filter(|f| f.lines > FUNCTION);
    long.map(|f| format!("{}:{}: {} has {} lines", file.path, f.line, f.name, f.lines)).collect()
}

#[test]
fn files_are_not_much_too_long() {
    let files = rust_files();
    let count = |least: usize| {
        let long = files.iter().filter(move |f| length(f) > least);
        long.map(|f| format!("{}: {} lines before its tests", f.path, length(f))).collect::<Vec<_>>()
    };
    count(FILE.0).iter().for_each(|l| println!("long file: {l}"));
    files.iter().flat_map(long_functions).for_each(|l| println!("long function: {l}"));
    none(count(FILE.1));
}

#[test]
fn length_is_counted_up_to_the_tests() {
    let text = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "x;\n".repeat(10), "y;\n".repeat(500));
    assert_eq!(length(&File::new("a.rs", &text)), 10);
    assert_eq!(length(&File::new("a.rs", "#[cfg(test)]\nmod tests;\nx;\n")), 3);
    let long = format!("fn f() {{\n{}}}\n", "x;\n".repeat(FUNCTION));
    assert_eq!(long_functions(&File::new("a.rs", &long)), ["a.rs:1: f has 72 lines"]);
}
