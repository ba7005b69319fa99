// SPDX-License-Identifier: MIT
//! The system under torture, and what its client says.
use super::victims::children;
use crate::sys::{self, Cpus};
use serde_json::Value;
use std::io::{self, BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// What the client said so far.
#[derive(Debug)]
pub struct Seen {
    /// Reports.
    pub reports: u64,
    /// Of the last of them: requests, errors, mismatches, requests that were denied as they must be.
    pub counts: [u64; 4],
    /// Pauses: when each began and ended, in nanoseconds.
    pub pauses: Vec<(u64, u64)>,
    /// Errors and mismatches, in the client's words.
    pub wrong: Vec<String>,
    /// What was said of faults, the last lines.
    pub told: Vec<String>,
    last: Instant,
}

impl Seen {
    /// How long the client has said nothing.
    pub fn silent(&self) -> Duration {
        self.last.elapsed()
    }

    fn line(&mut self, text: &str) {
        let numbers = |text: &str| -> Vec<u64> {
            text.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
        };
        if let Some(rest) = text.strip_prefix("endures: ") {
            if let Ok(counts) = numbers(rest).try_into() {
                self.counts = counts;
            }
            self.reports += 1;
            self.last = Instant::now();
        } else if let Some(rest) = text.strip_prefix("pause: ") {
            if let [us, end] = numbers(rest)[..] {
                self.pauses.push((end.saturating_sub(us * 1000), end));
            }
        } else if ["error: ", "mismatch: ", "failed: "].iter().any(|begin| text.starts_with(begin)) {
            self.wrong.push(text.to_owned());
        }
    }
}

/// A system that runs.
#[derive(Debug)]
pub struct Watched {
    child: Child,
    ended: OwnedFd,
    lines: BufReader<ChildStdout>,
    seen: Seen,
    over: bool,
}

impl Watched {
    /// Starts the system in `place`.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(program: &Path, place: &Path, cpus: &Cpus) -> io::Result<Self> {
        let mut command = Command::new(program);
        command.args(["run", "system.xml", "--json", "--disk", "d0=d0.img", "--demo", "--set", "endure=1"]);
        // Any number of restarts, each at once.
        for setting in ["restarts=0", "backoff_ms=0", "well_ms=0", "ping_ms=200"] {
            command.args(["--supervise", setting]);
        }
        command.current_dir(place).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        sys::tie(&mut command, Vec::new(), cpus);
        let mut child = command.spawn()?;
        let lines = child.stdout.take().ok_or_else(|| io::Error::other("its output is lost"))?;
        let ended = sys::process(child.id())?;
        let told = Vec::new();
        let seen =
            Seen { reports: 0, counts: [0; 4], pauses: Vec::new(), wrong: Vec::new(), told, last: Instant::now() };
        Ok(Self { child, ended, lines: BufReader::new(lines), seen, over: false })
    }

    /// The launcher's process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What was seen so far.
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }

    /// Listens for `time`.
    pub fn listen(&mut self, time: Duration) {
        let begin = Instant::now();
        loop {
            let left = time.saturating_sub(begin.elapsed());
            if self.over {
                return std::thread::sleep(left.min(Duration::from_millis(10)));
            }
            let there = !self.lines.buffer().is_empty() || sys::wait_one(self.lines.get_ref(), Some(left));
            if !there {
                return;
            }
            self.read();
        }
    }

    fn read(&mut self) {
        let mut line = String::new();
        if self.lines.read_line(&mut line).unwrap_or(0) == 0 {
            self.over = true;
            return;
        }
        let Ok(event) = serde_json::from_str::<Value>(&line) else { return };
        let text = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
        match (text("event").as_str(), text("pd").as_str()) {
            ("line", "demo") => self.seen.line(&text("text")),
            // What the client asks beyond its grant.
            ("line", "gatekeeper") if text("text").starts_with("refused demo: ") => {}
            ("line", pd) => self.tell(format!("{pd}: {}", text("text"))),
            ("fault", _) => self.tell(format!("fault: {}: {}", text("name"), text("cause"))),
            ("exit", _) => self.tell(format!("ended: {}", text("reason"))),
            _ => {}
        }
    }

    /// Keeps the last lines, for who has to find out what went wrong.
    fn tell(&mut self, line: String) {
        if self.seen.told.len() >= 40 {
            self.seen.told.remove(0);
        }
        self.seen.told.push(line);
    }

    /// Listens until `enough`.
    ///
    /// # Errors
    /// A message for people, where that does not come within `patience`.
    pub fn until(&mut self, patience: Duration, enough: impl Fn(&Seen) -> bool) -> Result<(), String> {
        let begin = Instant::now();
        while !enough(&self.seen) {
            if self.over || begin.elapsed() > patience {
                let told = self.seen.told.join("\n  ");
                return Err(format!("the client does not go on; what was said last:\n  {told}"));
            }
            self.listen(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Ends the system; its processes that live on.
    ///
    /// # Errors
    /// A message for people.
    pub fn end(&mut self, patience: Duration) -> Result<Vec<String>, String> {
        let children = children(self.id()).into_iter();
        let held: Vec<(OwnedFd, String)> =
            children.filter_map(|(id, name)| Some((sys::process(id).ok()?, name))).collect();
        sys::ask_to_end(&self.ended);
        let begin = Instant::now();
        while !sys::wait_one(&self.ended, Some(Duration::from_millis(10))) {
            self.listen(Duration::from_millis(10));
            if begin.elapsed() > patience {
                return Err("the system does not end".to_owned());
            }
        }
        while !self.over {
            self.listen(Duration::from_millis(10));
        }
        self.child.wait().map_err(|error| error.to_string())?;
        let lives = |process: &OwnedFd| !sys::wait_one(process, Some(Duration::from_secs(2)));
        Ok(held.into_iter().filter(|(process, _)| lives(process)).map(|(_, name)| name).collect())
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
