// SPDX-License-Identifier: MIT
//! Counts the instructions that a machine executes: kernel, PDs and boot alike.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// QEMU's plugin that counts (`tools/insns`), as cargo names it beside our own program.
const PLUGIN: &str = "liborion_insns.so";

/// A counter of a machine that is going to run.
#[derive(Debug)]
pub struct Counter {
    plugin: PathBuf,
    /// Eight bytes that the plugin shares with us.
    total: PathBuf,
}

impl Counter {
    /// A counter whose total is kept in `directory`.
    ///
    /// # Errors
    /// Where the plugin was not built, or the total cannot be written.
    pub fn new(directory: &Path) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| format!("cannot tell where this program is: {error}"))?;
        let (plugin, total) = (program.with_file_name(PLUGIN), directory.join("count"));
        if !plugin.exists() {
            let shown = plugin.display();
            return Err(format!("{shown} is not there; build it with cargo build --release --package orion-insns"));
        }
        fs::write(&total, [0; 8]).map_err(|error| format!("{}: {error}", total.display()))?;
        Ok(Self { plugin, total })
    }

    /// Makes `qemu` count.
    pub fn attach(&self, qemu: &mut Command) {
        let [plugin, total] = [&self.plugin, &self.total].map(|path| path.display().to_string().replace(',', ",,"));
        qemu.arg("-plugin").arg(format!("file={plugin},count={total}"));
    }

    /// The instructions so far.
    ///
    /// # Errors
    /// Where the file is gone.
    pub fn total(&self) -> Result<u64, String> {
        let shown = self.total.display();
        let bytes = fs::read(&self.total).map_err(|error| format!("{shown}: {error}"))?;
        let bytes = bytes.try_into().map_err(|_| format!("{shown}: has not eight bytes; count again"))?;
        Ok(u64::from_ne_bytes(bytes))
    }
}
