// SPDX-License-Identifier: MIT
//! The test of the tests: bugs that people make, and which tests catch each.
//!
//! The bugs are no part of the tree. `make bugs` copies the tree to `build/bugs`, and there each bug becomes a choice,
//! `if seeded(7) { wrong } else { right }`, that an environment variable makes: so one build has them all.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

pub mod copy;
pub mod hunt;
mod list;

pub use list::BUGS;
use std::path::PathBuf;

/// A bug.
#[derive(Clone, Copy, Debug)]
pub struct Bug {
    /// The file it is in.
    pub file: &'static str,
    /// What is right there: an expression that the file has exactly once.
    pub right: &'static str,
    /// What stands there instead.
    pub wrong: &'static str,
    /// What that does, for people.
    pub what: &'static str,
}

impl Bug {
    /// The file's text with the choice between right and wrong, as number `number`.
    ///
    /// # Errors
    /// The right text is not there exactly once.
    pub fn plant(&self, text: &str, number: usize) -> Result<String, String> {
        let Self { file, right, wrong, what } = self;
        match text.matches(right).count() {
            1 => {
                Ok(text
                    .replace(right, &format!("(if ::orion_block::seeded({number}) {{ {wrong} }} else {{ {right} }})")))
            }
            count => Err(format!(
                "{file} has {count} times `{right}`, where the bug \"{what}\" is planted: give it the new text in \
                 tests/bugs/src/list, or leave it out if such a bug can't be made any more"
            )),
        }
    }
}

/// The root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}
