// SPDX-License-Identifier: MIT
//! The process of a PD, as the parent sees it.
use crate::console::plain;
use crate::faults::code;
use crate::launch::{Launch, SUBCOMMAND};
use crate::sys::{self, Cpus};
use orion_pd::Cause;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

/// A PD's process.
#[derive(Debug)]
pub struct Process {
    /// Readable when it has ended; taken when that was seen.
    pub ended: Option<OwnedFd>,
    child: Child,
}

/// How a PD ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Its job succeeded, or did not.
    Verdict(bool),
    /// It did not end by its own will: why, in few words and in many.
    Fault(Cause, String),
}

impl End {
    /// Why it ended, of who was never to end.
    pub fn into_fault(self) -> (Cause, String) {
        match self {
            Self::Verdict(passed) => (Cause::Other(u64::from(!passed)), "ended though it is never to end".to_owned()),
            Self::Fault(cause, said) => (cause, said),
        }
    }
}

impl Process {
    /// Starts this program again as the PD of `launch`. Call it from the main thread.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(launch: &Launch, cpus: &Cpus) -> io::Result<Self> {
        let mut command = Command::new("/proc/self/exe");
        command.arg(SUBCOMMAND).args(launch.words()).env_clear();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        sys::tie(&mut command, launch.inherited(), cpus);
        let child = command.spawn()?;
        let ended = Some(sys::process(child.id())?);
        Ok(Self { ended, child })
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
    // Its report of a bad access names the address.
    let address = || said.split_once("0x").map_or("", |(_, rest)| rest);
    let digits = || address().split(|c: char| !c.is_ascii_hexdigit()).next().unwrap_or("");
    let cause = match status.code() {
        Some(code::PASSED) => return End::Verdict(true),
        Some(code::FAILED) => return End::Verdict(false),
        Some(code::INIT) => return End::Fault(Cause::Start, format!("could not start: {said}")),
        Some(code::PANIC) => Cause::Panic,
        Some(code::DENIED) => Cause::Denied(0),
        Some(code::MEMORY) => Cause::Memory(u64::from_str_radix(digits(), 16).unwrap_or(0)),
        Some(code) => Cause::Other(u64::try_from(code).unwrap_or(0)),
        None => Cause::Killed,
    };
    let said = match status.code() {
        _ if !said.is_empty() => said.to_owned(),
        Some(code) => format!("ended with code {code}"),
        None => format!("was killed by signal {}", status.signal().unwrap_or(0)),
    };
    End::Fault(cause, said)
}

impl Process {
    /// Whether it has ended, as far as was seen.
    pub const fn is_over(&self) -> bool {
        self.ended.is_none()
    }

    /// Ends it, where it has not ended.
    pub fn kill(&mut self) {
        if self.ended.take().is_some() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
