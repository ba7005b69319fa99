// SPDX-License-Identifier: MIT
//! What is wrong with a `system.xml`: where, what, and what to do about it.
use crate::element::Position;
use std::fmt::{self, Write as _};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub at: Position,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column, .. } = self.at;
        write!(f, "{line}:{column}: {}; {}", self.what, self.remedy)
    }
}

/// Everything found so far.
#[derive(Clone, Debug, Default)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Adds one.
    pub fn add(&mut self, at: Position, what: impl Into<String>, remedy: impl Into<String>) {
        let (what, remedy) = (what.into(), remedy.into());
        self.0.push(Problem { at, what, remedy });
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// `value` where nothing is wrong; otherwise what is wrong, by place, each thing once.
    ///
    /// # Errors
    /// All that was added.
    pub fn unless_any<T>(mut self, value: T) -> Result<T, Vec<Problem>> {
        if self.0.is_empty() {
            return Ok(value);
        }
        self.0.sort();
        self.0.dedup();
        Err(self.0)
    }
}

/// One line for each problem: `file:line:column: what is wrong; what to do`.
pub fn report(file: &str, problems: &[Problem]) -> String {
    report_over(file, "base", problems)
}

/// As [`report`], of a system that is built upon the description `base`.
pub fn report_over(file: &str, base: &str, problems: &[Problem]) -> String {
    let mut text = String::new();
    for problem in problems {
        let file = if problem.at.base { base } else { file };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{file}:{problem}");
    }
    text
}

/// One line for each warning: `file:line:column: warning: what is odd; what to do`.
pub fn report_warnings(file: &str, warnings: &[Problem]) -> String {
    let mut text = String::new();
    for Problem { at, what, remedy } in warnings {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{file}:{}:{}: warning: {what}; {remedy}", at.line, at.column);
    }
    text
}

/// A remedy for a name that is not among `known`: the nearest one, or all, or `otherwise` where there are none.
pub fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>, otherwise: &str) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let far = |k: &str| if name.len() > 2 && k.starts_with(name) { 1 } else { distance(name, k) };
    let near = known.iter().map(|k| (far(k), *k)).min();
    match near {
        None => otherwise.to_owned(),
        Some((distance, nearest)) if distance <= 1 + name.chars().count() / 4 => format!("did you mean {nearest:?}?"),
        Some(_) => format!("write one of: {}", known.join(", ")),
    }
}

/// Insertions, deletions and replacements of characters that lead from `a` to `b`; upper and lower case are the same.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.to_lowercase().chars().take(64).enumerate() {
        let mut next = vec![i + 1];
        for ((to, diagonal), above) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or(0);
            next.push((diagonal + usize::from(*to != from)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}
