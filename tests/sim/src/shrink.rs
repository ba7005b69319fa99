// SPDX-License-Identifier: MIT
//! From a failing world to the simplest one that fails too.
use crate::arrays::{ArrayCase, run_arrays};
use crate::case::Case;
use crate::run::{Ran, run};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a case; what panics is wrong too.
///
/// # Errors
/// What is wrong.
pub fn attempt(case: &Case) -> Result<Ran, String> {
    caught(|| run(case))
}

/// Runs a world with arrays; what panics is wrong too.
///
/// # Errors
/// What is wrong.
pub fn attempt_arrays(case: &ArrayCase) -> Result<Ran, String> {
    caught(|| run_arrays(case))
}

fn caught(run: impl FnOnce() -> Result<Ran, String>) -> Result<Ran, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Err(format!("panicked: {}", text.unwrap_or_default()))
    })
}

/// The shortest of a failing world with arrays that fails too: what happens before a loss of power does not depend on what
/// comes after it.
pub fn shorten(case: &ArrayCase, why: String) -> (ArrayCase, String) {
    let shorter = (0..case.losses).map(|losses| ArrayCase { losses, ..*case });
    shorter
        .map(|case| (case, attempt_arrays(&case)))
        .find_map(|(case, ran)| Some((case, ran.err()?)))
        .unwrap_or((*case, why))
}

/// The simplest case that fails, found by trying simpler ones for as long as any fails, and how it does.
pub fn shrink(case: &Case, why: String) -> (Case, String) {
    let (mut case, mut why, mut tries) = (case.clone(), why, 3000u32);
    'simplify: loop {
        // What is left out shifts all that is random after it: other seeds may show the same.
        let seeds = |simpler: Case| (0..24).map(move |other| Case { seed: simpler.seed + other, ..simpler.clone() });
        for simpler in case.simpler().into_iter().flat_map(seeds) {
            tries = tries.saturating_sub(1);
            if tries == 0 {
                return (case, why);
            }
            if let Err(what) = attempt(&simpler) {
                (case, why) = (simpler, what);
                continue 'simplify;
            }
        }
        return (case, why);
    }
}
