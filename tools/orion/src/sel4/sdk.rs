// SPDX-License-Identifier: MIT
//! What is not ours and must be on the machine: the Microkit SDK, and perhaps a checkout of rust-sel4.
use orion_system::plan::Board;
use std::env;
use std::path::{Path, PathBuf};

/// The version that everything here was tried with.
const VERSION: &str = "2.3.0";

/// A Microkit SDK that has the board in the configuration.
#[derive(Debug)]
pub struct Sdk {
    /// Its directory.
    pub root: PathBuf,
    /// Of the board and configuration: kernel, initialiser, headers.
    pub board: PathBuf,
}

impl Sdk {
    /// The SDK that `named`, MICROKIT_SDK or the home directory names, in this order.
    ///
    /// # Errors
    /// What was looked for where, and how to get it.
    pub fn find(named: Option<&Path>, board: Board, config: &str) -> Result<Self, String> {
        let home = in_home("microkit-sdk");
        let named = named.map(Path::to_owned).or_else(|| variable("MICROKIT_SDK"));
        let root = named.or_else(|| home.filter(|h| h.exists())).ok_or_else(|| {
            format!(
                "no Microkit SDK: neither --sdk nor MICROKIT_SDK names one, and there is no ~/microkit-sdk; \
                 unpack the {VERSION} SDK from https://github.com/seL4/microkit/releases and name its directory"
            )
        })?;
        let root = root.canonicalize().map_err(|error| {
            let shown = root.display();
            format!("{shown}: no Microkit SDK there: {error}; name the directory that holds bin/microkit")
        })?;
        let sdk = Self { board: root.join("board").join(board.name()).join(config), root };
        sdk.complete(board, config).map(|()| sdk)
    }

    fn complete(&self, board: Board, config: &str) -> Result<(), String> {
        let root = self.root.display();
        if !self.tool().is_file() {
            return Err(format!(
                "{root}: is not a Microkit SDK: it has no bin/microkit; name the directory that has it"
            ));
        }
        if !self.headers().is_dir() {
            let boards = names(&self.root.join("board"));
            let board = board.name();
            return Err(format!(
                "{root}: this Microkit SDK has no board {board} in configuration {config} (it has: {boards}); \
                 take an SDK with it, or another --board or --config"
            ));
        }
        let version = std::fs::read_to_string(self.root.join("VERSION")).unwrap_or_default();
        if version.trim() != VERSION {
            eprintln!("note: {root} is Microkit {:?}; this was tried with {VERSION}", version.trim());
        }
        Ok(())
    }

    /// The Microkit tool.
    pub fn tool(&self) -> PathBuf {
        self.root.join("bin/microkit")
    }

    /// The kernel's headers, for rust-sel4.
    pub fn headers(&self) -> PathBuf {
        self.board.join("include")
    }
}

/// The checkout of rust-sel4 that `named`, RUST_SEL4 or the home directory names, in this order. `None`: cargo fetches
/// its git tag.
///
/// # Errors
/// Where what is named is not such a checkout.
pub fn rust_sel4(named: Option<&Path>) -> Result<Option<PathBuf>, String> {
    let home = in_home("rust-sel4").filter(|h| h.exists());
    let Some(root) = named.map(Path::to_owned).or_else(|| variable("RUST_SEL4")).or(home) else { return Ok(None) };
    let there = root.join("crates/sel4-microkit/Cargo.toml").is_file();
    let root = root.canonicalize().ok().filter(|_| there).ok_or_else(|| {
        let shown = root.display();
        format!("{shown}: is not a checkout of rust-sel4: it has no crates/sel4-microkit; clone tag v5.0.0 of https://github.com/seL4/rust-sel4 there")
    })?;
    Ok(Some(root))
}

/// What is in a directory, for people.
fn names(directory: &Path) -> String {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// `name` in the home directory.
pub fn in_home(name: &str) -> Option<PathBuf> {
    variable("HOME").map(|home| home.join(name))
}
