// SPDX-License-Identifier: MIT
//! What came of the suite.

/// What came of each check, in order.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Each check's name, and what was wrong.
    pub checks: Vec<(&'static str, Result<(), String>)>,
    /// Checks that this device has no means for.
    pub skipped: Vec<&'static str>,
}

impl Report {
    /// Takes note of a check; `Ok(false)` says that it could not be made here.
    pub fn note(&mut self, name: &'static str, result: Result<bool, String>) {
        match result {
            Ok(true) => self.checks.push((name, Ok(()))),
            Ok(false) => self.skipped.push(name),
            Err(what) => self.checks.push((name, Err(what))),
        }
    }

    /// What was wrong.
    pub fn failures(&self) -> Vec<String> {
        let failed = self.checks.iter().filter_map(|(name, r)| Some(format!("{name}: {}", r.as_ref().err()?)));
        failed.collect()
    }

    /// Whether a check of this name was made, and passed.
    pub fn passed(&self, name: &str) -> bool {
        self.checks.iter().any(|(n, result)| *n == name && result.is_ok())
    }
}
