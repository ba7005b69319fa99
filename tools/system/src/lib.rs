// SPDX-License-Identifier: MIT
//! `system.xml`: parsed, checked, and turned into a plan for a board.
//!
//! `xml` text -> [`parse`] -> [`model::System`] -> [`derive()`] -> [`plan::Plan`] -> emitted: a Microkit system
//! description and one configuration blob per PD (for seL4), or processes (by `orion-host`).
#![forbid(unsafe_code)]

mod base;
pub mod bus;
mod calls;
mod check;
mod derive;
pub mod element;
pub mod emit;
mod explain;
mod graph;
mod microkit;
pub mod model;
pub mod plan;
mod policy;
pub mod problem;
pub mod reach;
mod read;
mod schema;
pub mod sddf;
mod stack;
mod warn;
mod xml;

pub use derive::{AUDIT_RECORDS, AUDIT_TAKEN, DiskOptions, Export, Options, Torture, derive};
pub use explain::explain;
pub use graph::graph;
pub use policy::rights_text;
pub use problem::{Problem, report, report_over, report_warnings};
pub use read::size_text;
pub use stack::Source;
pub use warn::warnings;
pub use xml::NAMESPACE;

use model::System;
use problem::Problems;

/// The system that `text` describes, checked for everything that does not depend on a board.
///
/// # Errors
/// All that is wrong with it, by place.
pub fn parse(text: &str) -> Result<System, Vec<Problem>> {
    parse_over(None, text)
}

/// As [`parse`], of a system that is built upon `base`, a Microkit system description that another tool wrote.
///
/// # Errors
/// As [`parse`], and where the two do not go together.
pub fn parse_over(base: Option<&str>, text: &str) -> Result<System, Vec<Problem>> {
    let mut problems = Problems::default();
    let mut system = System::default();
    let base = base.and_then(|base| xml::parse(base, true, &mut problems));
    if let Some(mut root) = xml::parse(text, false, &mut problems) {
        system.at = root.at;
        if let Some(base) = base {
            system.over_base = true;
            base::merge(base, &mut root, &mut problems);
        }
        schema::check(&root, &mut problems);
        microkit::read(&root, &mut system, &mut problems);
        policy::read(&root, &mut system, &mut problems);
        calls::check(&system, &mut problems);
        check::check(&system, &mut problems);
        check::nothing(&system, &mut problems);
    }
    problems.unless_any(system)
}

/// The plan of the system that `text` describes, for `board`.
///
/// # Errors
/// As [`parse`] and [`derive()`].
pub fn plan(text: &str, board: plan::Board, options: &Options) -> Result<plan::Plan, Vec<Problem>> {
    derive(&parse(text)?, board, options)
}
