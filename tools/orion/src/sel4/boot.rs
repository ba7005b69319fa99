// SPDX-License-Identifier: MIT
//! Boots an image: shows its console, and ends QEMU when every demo has said its verdict.
use orion_host::sys::{Cpus, tie};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// How long a system may go on talking after it failed.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How a boot ended.
#[derive(Debug, PartialEq, Eq)]
pub enum End {
    /// Every PD that has a verdict to give has said that its job succeeded.
    Passed,
    /// One said that it failed, or can't start, or the kernel stopped it: that line.
    Failed(String),
    /// No verdict in the time allowed.
    TimedOut,
    /// QEMU ended before.
    Quit,
}

/// What is waited for: PDs by name, whether each has said that its job succeeded.
#[derive(Clone, Debug, Default)]
pub struct Verdicts {
    said: BTreeMap<String, bool>,
    /// A text that some line must have in it.
    until: Option<String>,
}

impl Verdicts {
    /// Those of the PDs `names`.
    pub fn of(names: impl IntoIterator<Item = String>) -> Self {
        Self { said: names.into_iter().map(|name| (name, false)).collect(), until: None }
    }

    /// These, and that a line has `text` in it.
    pub fn until(self, text: Option<String>) -> Self {
        Self { until: text, ..self }
    }

    /// Whether nobody has a verdict to give.
    pub fn is_empty(&self) -> bool {
        self.said.is_empty() && self.until.is_none()
    }

    /// What a line of the console, without its end, tells.
    fn hear(&mut self, line: &str) -> Option<End> {
        let failed = || Some(End::Failed(line.to_owned()));
        if line.starts_with("MON|ERROR") {
            return failed();
        }
        if self.until.as_ref().is_some_and(|text| line.contains(text)) {
            self.until = None;
            return self.all();
        }
        // The kernel's own output may stand before a line of ours: it does not end its lines.
        let (before, said) = line.split_once(": ")?;
        if said.starts_with("stopped: ") {
            return failed();
        }
        let passed = self.said.iter_mut().find(|(name, _)| before.ends_with(name.as_str()))?.1;
        if said.starts_with("failed: ") {
            return failed();
        }
        *passed |= said.starts_with("verified: ") || said.starts_with("bench: ");
        self.all()
    }

    fn all(&self) -> Option<End> {
        (self.until.is_none() && self.said.values().all(|passed| *passed)).then_some(End::Passed)
    }
}

/// Runs `qemu`, copying its console to ours, until all `verdicts` are given, or it ends, or `limit` is over.
///
/// # Errors
/// Where QEMU cannot be started, and what to install.
pub fn boot(mut qemu: Command, verdicts: Verdicts, limit: Option<Duration>) -> Result<End, String> {
    let program = qemu.get_program().to_string_lossy().into_owned();
    let all = Cpus::ours().map_err(|error| format!("the processors of this machine: {error}"))?;
    // QEMU dies with us, however we die.
    tie(&mut qemu, Vec::new(), &all);
    qemu.stdout(Stdio::piped());
    let mut child = qemu.spawn().map_err(|error| {
        let package = if program.ends_with("aarch64") { "qemu-system-arm" } else { "qemu-system-x86" };
        format!("{program}: cannot be run: {error}; on Debian: apt-get install {package}")
    })?;
    let end = watch(&mut child, verdicts, limit);
    // It may have ended by itself.
    let _ended = child.kill();
    let _status = child.wait();
    Ok(end)
}

fn watch(child: &mut Child, mut verdicts: Verdicts, limit: Option<Duration>) -> End {
    let Some(console) = child.stdout.take() else { return End::Quit };
    let lines = lines(console);
    let deadline = limit.map(|limit| Instant::now() + limit);
    loop {
        let line = match deadline {
            None => lines.recv().map_err(|_| End::Quit),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                lines.recv_timeout(left).map_err(|error| match error {
                    RecvTimeoutError::Timeout => End::TimedOut,
                    RecvTimeoutError::Disconnected => End::Quit,
                })
            }
        };
        match line.map(|line| verdicts.hear(&line)) {
            Ok(None) => {}
            Ok(Some(end)) => {
                if end != End::Passed {
                    show_rest(&lines);
                }
                return end;
            }
            Err(end) => return end,
        }
    }
}

/// Lets the system say the rest: what the kernel tells of a fault comes after its first line.
fn show_rest(lines: &Receiver<String>) {
    let deadline = Instant::now() + LAST_WORDS;
    while lines.recv_timeout(deadline.saturating_duration_since(Instant::now())).is_ok() {}
}

/// The lines of the console, each shown when it is complete.
fn lines(console: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut console = BufReader::new(console);
        let mut bytes = Vec::new();
        while console.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            bytes.clear();
            // Nobody may be listening to us; the verdict counts all the same.
            let _unheard = writeln!(std::io::stdout(), "{line}");
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(names: &[&str], lines: &[&str]) -> Option<End> {
        let mut verdicts = Verdicts::of(names.iter().map(|&name| name.to_owned()));
        lines.iter().find_map(|line| verdicts.hear(line))
    }

    #[test]
    fn a_verdict_ends_the_boot() {
        assert_eq!(heard(&["demo"], &["demo: window 0", "demo: verified: all"]), Some(End::Passed));
        assert_eq!(heard(&["demo"], &["blk_d0: verified: all"]), None);
        let failed = "demo: failed: block 3 differs";
        assert_eq!(heard(&["demo"], &[failed]), Some(End::Failed(failed.to_owned())));
    }

    #[test]
    fn every_verdict_is_waited_for() {
        assert_eq!(heard(&["a", "b"], &["a: verified: all", "a: verified: all"]), None);
        assert_eq!(heard(&["a", "b"], &["b: verified: all", "a: verified: all"]), Some(End::Passed));
    }

    #[test]
    fn a_pd_that_cannot_start_ends_the_boot() {
        let stopped = "blk_d0: stopped: no device";
        assert_eq!(heard(&["demo"], &[stopped]), Some(End::Failed(stopped.to_owned())));
        let fault = "MON|ERROR: received message 0x6 badge: 0x2 tcb cap: 0xb";
        assert_eq!(heard(&["demo"], &[fault]), Some(End::Failed(fault.to_owned())));
    }
}
