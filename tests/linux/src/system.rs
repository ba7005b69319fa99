// SPDX-License-Identifier: MIT
//! A system of Orion's that runs on this machine, on disks that Linux is shown before or after.
use super::program;
use std::fs;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A system that runs.
#[derive(Debug)]
pub struct System {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    folder: PathBuf,
}

impl System {
    /// Starts `system.xml` of `folder` with these files behind its disks; it stays though its jobs have ended, since it serves
    /// the volume `data` besides.
    ///
    /// # Panics
    /// Where it does not start.
    pub fn start(folder: &Path, disks: &[(&str, &PathBuf)]) -> Self {
        let _ = fs::remove_file(folder.join("orion.sock"));
        let mut orion = Command::new(program());
        orion.args(["run", "system.xml", "--demo", "--export", "data=nbd:unix:nbd"]).current_dir(folder);
        for (name, file) in disks {
            orion.arg("--disk").arg(format!("{name}={}", file.display()));
        }
        let mut child = orion.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("orion runs");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { child, lines, folder: folder.to_owned() }
    }

    /// Waits for a line with `text` in it; the line.
    ///
    /// # Panics
    /// Where the system ends without.
    pub fn wait_for(&mut self, text: &str) -> String {
        let mut lines = self.lines.by_ref().map_while(Result::ok).inspect(|line| println!("   {line}"));
        lines.find(|line| line.contains(text)).expect("the system says it")
    }

    /// Runs `orion` with these arguments where the system runs: what it printed.
    ///
    /// # Panics
    /// Where it fails.
    pub fn orion(&self, arguments: &[&str]) -> String {
        let output = Command::new(program()).args(arguments).current_dir(&self.folder).output().expect("orion runs");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "orion {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        println!("   $ orion {}\n{said}", arguments.join(" "));
        said
    }

    /// Ends it in good order.
    ///
    /// # Panics
    /// Where it does not end.
    pub fn end(mut self) {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-INT", &pid]).status();
        assert!(told.is_ok_and(|status| status.success()), "it is told to end");
        self.lines.by_ref().map_while(Result::ok).for_each(drop);
        let _ = self.child.wait();
    }
}

impl Drop for System {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
