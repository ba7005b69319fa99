// SPDX-License-Identifier: MIT
//! A run: starts a system, tells what happens, and ends it cleanly.
use crate::audit::Kept;
use crate::events::{Event, Output};
use crate::process::{End, Process};
use crate::programs::Role;
use crate::start::{Running, Setup};
use crate::sys;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

/// How often the launcher looks for audit records, where it keeps them.
const AUDIT_LOOK: Duration = Duration::from_millis(50);

/// How a run goes.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// Ends the system after this time.
    pub limit: Option<Duration>,
    /// Keeps it running though every job has ended.
    pub stay: bool,
    /// Where events go.
    pub output: Output,
}

/// Runs a system to its end. Call it from the main thread, while there is no other. Whether everything went well: no
/// fault, and every job succeeded.
///
/// # Errors
/// A message for people, where it cannot be started.
pub fn run(setup: Setup, manner: Manner, summary: &str) -> Result<bool, String> {
    let failed = |error: io::Error| format!("orion cannot watch its processes: {error}");
    // Before the first process is started, so that no signal finds them without us.
    let signals = sys::end_signals().map_err(failed)?;
    let running = setup.start()?;
    let names: Vec<String> = running.pds.iter().map(|pd| pd.name.clone()).collect();
    manner.output.tell(Event::Started { pds: &names, summary });
    let mut watch = Watch { running, manner, ok: true, ended: None };
    watch.until_end(signals.as_raw_fd()).map_err(failed)?;
    Ok(watch.finish())
}

struct Watch {
    running: Running,
    manner: Manner,
    ok: bool,
    /// Why the system ends.
    ended: Option<String>,
}

impl Watch {
    fn until_end(&mut self, signals: RawFd) -> io::Result<()> {
        let begin = Instant::now();
        while self.ended.is_none() {
            let left = self.manner.limit.map(|limit| limit.saturating_sub(begin.elapsed()));
            if left == Some(Duration::ZERO) {
                self.end("the time is over");
                break;
            }
            let audit = self.running.audit.as_ref().map(|_| AUDIT_LOOK);
            let left = left.into_iter().chain(audit).min();
            let fds = self.descriptors(signals);
            let ready = sys::wait_readable(&fds, left);
            let is_ready = |fd: RawFd| fds.iter().zip(&ready).any(|(&f, &ready)| f == fd && ready);
            if is_ready(signals) {
                self.end("it was told to");
            }
            self.running.audit.iter_mut().for_each(Kept::drain);
            self.consoles(is_ready(self.running.host.as_raw_fd()));
            self.disks(&is_ready);
            self.processes(&is_ready)?;
        }
        Ok(())
    }

    fn descriptors(&self, signals: RawFd) -> Vec<RawFd> {
        let mut fds = vec![signals, self.running.host.as_raw_fd()];
        fds.extend(self.running.pds.iter().filter_map(|pd| pd.ended.as_ref()).map(AsRawFd::as_raw_fd));
        fds.extend(self.running.disks.iter().map(|(_, qemu)| qemu.ended.as_raw_fd()));
        fds
    }

    fn end(&mut self, reason: &str) {
        self.ended.get_or_insert_with(|| reason.to_owned());
    }

    fn consoles(&mut self, rung: bool) {
        if rung {
            sys::take(&self.running.host);
            let output = self.manner.output;
            self.running.pds.iter_mut().for_each(|pd| drain(pd, output));
        }
    }

    fn disks(&mut self, is_ready: &impl Fn(RawFd) -> bool) {
        let mut dead = self.running.disks.iter_mut().filter(|(_, qemu)| is_ready(qemu.ended.as_raw_fd()));
        if let Some((name, qemu)) = dead.next() {
            let (name, said) = (name.clone(), qemu.last_words());
            self.fault(&name, format!("the QEMU that is this disk's device has ended {said}").trim_end());
            self.end(&format!("disk {name} is gone"));
        }
    }

    fn processes(&mut self, is_ready: &impl Fn(RawFd) -> bool) -> io::Result<()> {
        let mut ends = Vec::new();
        for pd in &mut self.running.pds {
            if pd.ended.as_ref().is_some_and(|fd| is_ready(fd.as_raw_fd())) {
                let end = pd.end()?;
                drain(pd, self.manner.output);
                ends.push((pd.name.clone(), pd.role, end));
            }
        }
        for (name, role, end) in ends {
            self.note(&name, role, end);
        }
        let jobs = || self.running.pds.iter().filter(|pd| pd.role == Role::Job);
        if jobs().count() > 0 && jobs().all(|pd| pd.ended.is_none()) && !self.manner.stay {
            self.end("every job has ended");
        }
        Ok(())
    }

    fn note(&mut self, name: &str, role: Role, end: End) {
        match end {
            End::Verdict(passed) => {
                self.ok &= passed;
                self.manner.output.tell(Event::Verdict { pd: name, passed });
            }
            End::Fault(cause) => self.fault(name, &cause),
        }
        if role == Role::Service {
            self.ok = false;
            self.end(&format!("{name} has ended, and others need it"));
        }
    }

    fn fault(&mut self, name: &str, cause: &str) {
        self.ok = false;
        self.manner.output.tell(Event::Fault { name, cause });
    }

    /// Ends every process and says how it went.
    fn finish(mut self) -> bool {
        let output = self.manner.output;
        let unfinished: Vec<&Process> =
            self.running.pds.iter().filter(|pd| pd.role == Role::Job && pd.ended.is_some()).collect();
        let mut reason = self.ended.take().unwrap_or_default();
        for pd in unfinished {
            self.ok = false;
            reason.push_str(&format!("; {} had not finished", pd.name));
        }
        let audit = self.running.audit.take();
        drop(self.running);
        // What the gatekeeper recorded to its end.
        audit.into_iter().for_each(|mut audit| audit.drain());
        output.tell(Event::Exit { ok: self.ok, reason: &reason });
        self.ok
    }
}

fn drain(pd: &mut Process, output: Output) {
    let Process { name, tail, ended, .. } = pd;
    let mut tell = |text: &str| output.tell(Event::Line { pd: name, text });
    tail.lines(&mut tell);
    if ended.is_none() {
        tail.rest(&mut tell);
    }
}
