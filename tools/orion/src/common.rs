// SPDX-License-Identifier: MIT
//! What several commands need: the file argument, boards, reading and writing files.
use orion_system::plan::Board;
use orion_system::{Problem, report};
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
        let shown = self.name();
        let bytes = std::fs::read(&self.system).map_err(|error| {
            format!("{shown}: cannot be read: {error}; name a system description, as in `orion check system.xml`")
        })?;
        String::from_utf8(bytes).map_err(|_| format!("{shown}: is not UTF-8 text; save it as UTF-8"))
    }

    /// The file as messages name it.
    pub fn name(&self) -> String {
        self.system.display().to_string()
    }

    /// A message of all `problems`, ready to be printed.
    pub fn message(&self, problems: &[Problem]) -> String {
        let count = problems.len();
        let plural = if count == 1 { "" } else { "s" };
        format!("{}{count} problem{plural} found", report(&self.name(), problems))
    }
}

/// Parses a board's name, for clap.
///
/// # Errors
/// The names that there are.
pub fn board(name: &str) -> Result<Board, String> {
    Board::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = Board::ALL.into_iter().map(Board::name).collect();
        format!("write one of: {}", known.join(", "))
    })
}

/// Writes `bytes` to `path`, and makes the folders above it.
///
/// # Errors
/// A message for people.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let say = |error| format!("{}: cannot be written: {error}; choose another place with -o", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(say)?;
    }
    std::fs::write(path, bytes).map_err(say)
}
