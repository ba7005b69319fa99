// SPDX-License-Identifier: MIT
//! Runs whole systems on this machine and looks at what they do. No test sleeps: each waits for an event, with a
//! deadline that only a hang reaches.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test's means fail by panicking")]
use orion_host::{procfs, sys};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Nothing takes so long but a hang.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A directory of a test's own, removed at its end.
#[derive(Debug)]
pub struct Place(PathBuf);

impl Place {
    /// A new, empty directory.
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("orion-host-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("a directory for the test");
        Self(path)
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file in it; its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).expect("a file for the test");
        path
    }

    /// A sparse file of `size` bytes in it; its path.
    pub fn sparse(&self, name: &str, size: u64) -> PathBuf {
        let path = self.path(name);
        File::create(&path).and_then(|file| file.set_len(size)).expect("a file for the test");
        path
    }

    /// A run of the system in `xml` with `options`, in this directory.
    pub fn run(&self, program: &str, xml: &str, options: &[&str]) -> Run {
        self.write("system.xml", xml);
        let mut command = Command::new(program);
        command.args(["run", "system.xml", "--json"]).args(options).current_dir(&self.0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Run::new(command.spawn().expect("the program under test"))
    }

    /// What a run says that cannot start.
    pub fn refused(&self, program: &str, xml: &str, options: &[&str]) -> String {
        let mut run = self.run(program, xml, options);
        let status = run.end();
        assert!(!status.success(), "it must fail");
        assert!(run.events.is_empty(), "it must not start");
        run.error()
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A system that runs.
#[derive(Debug)]
pub struct Run {
    /// The parent of all its processes.
    pub child: Child,
    /// Events so far.
    pub events: Vec<Value>,
    lines: BufReader<ChildStdout>,
    ended: OwnedFd,
}

impl Run {
    fn new(mut child: Child) -> Self {
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        let ended = sys::process(child.id()).expect("a descriptor of the process");
        Self { child, events: Vec::new(), lines, ended }
    }

    /// The next event; `None` at the end. Panics where none comes.
    pub fn next_event(&mut self) -> Option<Value> {
        let mut line = String::new();
        let waiting = self.lines.buffer().is_empty();
        assert!(!waiting || sys::wait_one(self.lines.get_ref(), Some(PATIENCE)), "hangs after {:#?}", self.events);
        self.lines.read_line(&mut line).expect("a line");
        let event: Value = serde_json::from_str(&line).ok()?;
        self.events.push(event.clone());
        Some(event)
    }

    /// Waits for the event `kind` in which `key` contains `text`.
    pub fn wait_for(&mut self, kind: &str, key: &str, text: &str) -> Value {
        loop {
            let Some(event) = self.next_event() else {
                panic!("no {kind} with {text}: {} {:#?}", self.error(), self.events);
            };
            if event["event"] == kind && event[key].as_str().is_some_and(|found| found.contains(text)) {
                return event;
            }
        }
    }

    /// Waits until everything runs.
    pub fn wait_for_start(&mut self) {
        let first = self.next_event();
        assert!(first.as_ref().is_some_and(|event| event["event"] == "started"), "{first:?} {}", self.error());
    }

    /// Reads all further events and waits for the end.
    pub fn end(&mut self) -> ExitStatus {
        while self.next_event().is_some() {}
        assert!(sys::wait_one(&self.ended, Some(PATIENCE)), "does not end after {:#?}", self.events);
        self.child.wait().expect("its exit status")
    }

    /// What it has said on its standard error, after its end.
    pub fn error(&mut self) -> String {
        let mut text = String::new();
        if let Some(stderr) = &mut self.child.stderr {
            let _ = stderr.read_to_string(&mut text);
        }
        text
    }

    /// Everything that `name` printed.
    pub fn said(&self, name: &str) -> Vec<&str> {
        let lines = self.events.iter().filter(|event| event["event"] == "line" && event["pd"] == name);
        lines.filter_map(|event| event["text"].as_str()).collect()
    }

    /// Why `name` ended, where it should not have.
    pub fn fault(&self, name: &str) -> Option<&str> {
        let event = self.events.iter().find(|event| event["event"] == "fault" && event["name"] == name)?;
        event["cause"].as_str()
    }

    /// The processes that it has started and that live, with their command lines.
    pub fn children(&self) -> Vec<(u32, String)> {
        procfs::children(self.child.id())
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: i32) {
        send(self.child.id(), signal);
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process.
#[allow(unsafe_code, reason = "a system call")]
pub fn send(process: u32, signal: i32) {
    // SAFETY: plain integers.
    unsafe { libc::kill(process.cast_signed(), signal) };
}

/// Waits until every one of these processes has ended, whoever their parent is.
pub fn wait_all_ended(processes: &[(OwnedFd, String)]) {
    let begin = Instant::now();
    for (process, name) in processes {
        let left = PATIENCE.saturating_sub(begin.elapsed());
        assert!(sys::wait_one(process, Some(left)), "still lives: {name}");
    }
}

/// Whether QEMU could open the image for writing now: its locks are free.
pub fn lock_is_free(image: &Path) -> bool {
    let output = Command::new("qemu-io").args(["-f", "raw", "-c", "read 0 512"]).arg(image).output();
    output.expect("qemu-io (Debian: qemu-utils)").status.success()
}

/// The system of most tests: one client and one disk.
pub const SYSTEM: &str = include_str!("one-client.xml");
/// The default system of the project, as the repository has it.
pub const DEFAULT: &str = include_str!("../../../system.xml");
