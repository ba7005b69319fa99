// SPDX-License-Identifier: MIT
//! The bugs, by what they are in.
use crate::Bug;
use std::sync::LazyLock;

mod core;
mod drivers;
mod raid;

/// Every bug, by its number.
pub static BUGS: LazyLock<Vec<Bug>> = LazyLock::new(|| [core::BUGS, drivers::BUGS, raid::BUGS].concat());

const fn bug(file: &'static str, right: &'static str, wrong: &'static str, what: &'static str) -> Bug {
    Bug { file, right, wrong, what }
}
