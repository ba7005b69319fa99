// SPDX-License-Identifier: MIT
//! Counts the instructions that a machine executes: kernel, PDs and boot alike.
use super::programs::run;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// QEMU's plugin that counts.
const PLUGIN: &str = include_str!("count.c");

/// A counter of a machine that is going to run.
#[derive(Debug)]
pub struct Counter {
    plugin: PathBuf,
    /// Eight bytes that the plugin shares with us.
    total: PathBuf,
}

impl Counter {
    /// Makes the plugin in `directory`.
    ///
    /// # Errors
    /// Where it cannot be compiled.
    pub fn new(directory: &Path) -> Result<Self, String> {
        let [source, plugin, total] = ["count.c", "count.so", "count"].map(|name| directory.join(name));
        let write = |path: &Path, bytes: &[u8]| fs::write(path, bytes).map_err(|e| format!("{}: {e}", path.display()));
        write(&source, PLUGIN.as_bytes())?;
        write(&total, &[0; 8])?;
        let mut cc = Command::new("cc");
        cc.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&plugin).arg(&source);
        run(&mut cc, "cc could not compile QEMU's plugin; its messages above say why (Debian: gcc, libc6-dev)")?;
        Ok(Self { plugin, total })
    }

    /// Makes `qemu` count.
    pub fn attach(&self, qemu: &mut Command) {
        let [plugin, total] = [&self.plugin, &self.total].map(|path| path.display().to_string().replace(',', ",,"));
        qemu.arg("-plugin").arg(format!("file={plugin},into={total}"));
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
