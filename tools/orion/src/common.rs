// SPDX-License-Identifier: MIT
//! What several commands need: the file argument, and reading it.
use std::path::{Path, PathBuf};

/// The system description every command begins with.
#[derive(clap::Args)]
pub struct SystemArg {
    /// The system description
    #[arg(default_value = "system.xml", value_name = "SYSTEM.XML")]
    pub system: PathBuf,
}

impl SystemArg {
    /// The text of the file.
    ///
    /// # Errors
    /// A message for people where it cannot be read.
    pub fn read(&self) -> Result<String, String> {
        read(&self.system)
    }
}

fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| {
        format!("{shown}: cannot be read: {error}; name a system description, as in `orion check system.xml`")
    })?;
    String::from_utf8(bytes).map_err(|_| format!("{shown}: is not UTF-8 text; save it as UTF-8"))
}
