// SPDX-License-Identifier: MIT
//! The process of a PD, as the parent sees it.
use crate::console::{Tail, plain};
use crate::faults::code;
use crate::launch::{Launch, SUBCOMMAND};
use crate::programs::Role;
use crate::sys::{self, Cpus};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A PD's process.
#[derive(Debug)]
pub struct Process {
    /// The PD's name.
    pub name: String,
    /// What its end means.
    pub role: Role,
    /// Readable when it has ended; taken when that was seen.
    pub ended: Option<OwnedFd>,
    /// Its console.
    pub tail: Tail,
    child: Child,
}

/// How a PD ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Its job succeeded, or did not.
    Verdict(bool),
    /// It did not end by its own will, for this cause.
    Fault(String),
}

impl Process {
    /// Starts this program again as the PD of `launch`. Call it from the main thread.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(launch: &Launch, role: Role, tail: Tail, cpus: &Cpus) -> io::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command.arg(SUBCOMMAND).args(launch.words()).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        sys::tie(&mut command, launch.inherited(), cpus);
        let child = command.spawn()?;
        let ended = Some(sys::process(child.id())?);
        Ok(Self { name: launch.name.clone(), role, ended, tail, child })
    }

    /// How it ended. Call it when [`ended`](Self::ended) is readable.
    ///
    /// # Errors
    /// What the system says.
    pub fn end(&mut self) -> io::Result<End> {
        self.ended = None;
        let status = self.child.wait()?;
        let mut said = Vec::new();
        if let Some(stderr) = &mut self.child.stderr {
            stderr.take(4096).read_to_end(&mut said)?;
        }
        Ok(judge(status, plain(said.trim_ascii_end()).as_str()))
    }
}

/// What a PD's exit means, with its last words.
fn judge(status: ExitStatus, said: &str) -> End {
    match status.code() {
        Some(code::PASSED) => End::Verdict(true),
        Some(code::FAILED) => End::Verdict(false),
        Some(code::INIT) => End::Fault(format!("could not start: {said}")),
        _ if !said.is_empty() => End::Fault(said.to_owned()),
        Some(code) => End::Fault(format!("ended with code {code}")),
        None => End::Fault(format!("was killed by signal {}", status.signal().unwrap_or(0))),
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended.is_some() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
