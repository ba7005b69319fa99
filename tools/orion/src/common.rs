// SPDX-License-Identifier: MIT
//! What several commands need: the file argument, boards, reading and writing files.
use orion_system::model::System;
use orion_system::plan::Board;
use orion_system::{Problem, parse_over, report_over};
use std::path::{Path, PathBuf};

/// The system description every command begins with.
#[derive(clap::Args)]
pub struct SystemArg {
    /// The system description
    #[arg(default_value = "system.xml", value_name = "SYSTEM.XML")]
    pub system: PathBuf,
    /// A Microkit system description that another tool wrote, as sdfgen does, to which Orion's part is added
    #[arg(long, value_name = "OTHER.SYSTEM")]
    pub base: Option<PathBuf>,
}

impl SystemArg {
    /// The text of the file.
    ///
    /// # Errors
    /// A message for people where it cannot be read.
    pub fn read(&self) -> Result<String, String> {
        let remedy = "name a system description, as in `orion check system.xml`";
        text_of(&self.system, remedy)
    }

    /// The system that the file describes, over the base if one is named.
    ///
    /// # Errors
    /// A message of all that is wrong.
    pub fn parsed(&self) -> Result<System, String> {
        let remedy = "name the description that Orion's part is to be added to";
        let base = self.base.as_deref().map(|base| text_of(base, remedy)).transpose()?;
        parse_over(base.as_deref(), &self.read()?).map_err(|problems| self.message(&problems))
    }

    /// The file as messages name it.
    pub fn name(&self) -> String {
        self.system.display().to_string()
    }

    /// A line for each of `problems`.
    pub fn lines(&self, problems: &[Problem]) -> String {
        let base = self.base.as_ref().map_or(String::new(), |base| base.display().to_string());
        report_over(&self.name(), &base, problems)
    }

    /// A message of all `problems`, ready to be printed.
    pub fn message(&self, problems: &[Problem]) -> String {
        let count = problems.len();
        let plural = if count == 1 { "" } else { "s" };
        format!("{}{count} problem{plural} found", self.lines(problems))
    }
}

/// The text of the file `path`.
fn text_of(path: &Path, remedy: &str) -> Result<String, String> {
    let shown = path.display();
    let bytes = std::fs::read(path).map_err(|error| format!("{shown}: cannot be read: {error}; {remedy}"))?;
    String::from_utf8(bytes).map_err(|_| format!("{shown}: is not UTF-8 text; save it as UTF-8"))
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
