// SPDX-License-Identifier: MIT
//! A run: starts a system, tells what happens, has ended PDs started again as the supervisor says, and ends it all cleanly.
use crate::audit::Kept;
use crate::bell::Rope;
use crate::events::{Event, Output};
use crate::life::Life;
use crate::parent::{Ask, Children};
use crate::process::End;
use crate::programs::Role;
use crate::start::{Running, SUPERVISOR, Setup};
use crate::sys;
use orion_pd::Fault;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::{Duration, Instant};

/// How often the launcher looks for audit records, where it keeps them.
const AUDIT_LOOK: Duration = Duration::from_millis(50);
/// How often it reminds the gatekeeper to look whether the supervisor lives.
const REMIND: Duration = Duration::from_millis(500);
/// A channel that no PD has: the launcher's.
const LAUNCHER: u8 = 63;
/// The PD without which no client has anything.
const GATEKEEPER: &str = "gatekeeper";

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
/// fault that was not healed by a restart, and every job succeeded.
///
/// # Errors
/// A message for people, where it cannot be started.
pub fn run(setup: Setup, manner: Manner, summary: &str) -> Result<bool, String> {
    let failed = |error: io::Error| format!("orion cannot watch its processes: {error}");
    // Before the first process is started, so that no signal finds them without us.
    let signals = sys::end_signals().map_err(failed)?;
    let running = setup.start()?;
    let names: Vec<String> = running.pds.iter().map(|life| life.name.clone()).collect();
    manner.output.tell(Event::Started { pds: &names, summary });
    let to_supervisor = running.children.as_ref().map(|_| running.ground.rope(SUPERVISOR, LAUNCHER));
    let to_supervisor = to_supervisor.transpose().map_err(failed)?;
    let reminder = running.ground.reminder().map_err(failed)?;
    let mut watch = Watch { running, manner, ok: true, ended: None, to_supervisor, reminder };
    watch.until_end(signals.as_raw_fd()).map_err(failed)?;
    Ok(watch.finish())
}

struct Watch {
    running: Running,
    manner: Manner,
    ok: bool,
    /// Why the system ends.
    ended: Option<String>,
    /// Wakes the supervisor; `None` once it has ended.
    to_supervisor: Option<Rope>,
    /// Wakes the gatekeeper, where it watches the supervisor.
    reminder: Option<Rope>,
}

impl Watch {
    fn until_end(&mut self, signals: RawFd) -> io::Result<()> {
        let begin = Instant::now();
        let mut reminded = begin;
        while self.ended.is_none() {
            let left = self.manner.limit.map(|limit| limit.saturating_sub(begin.elapsed()));
            if left == Some(Duration::ZERO) {
                self.end("the time is over");
                break;
            }
            let audit = self.running.audit.as_ref().map(|_| AUDIT_LOOK);
            let remind = self.reminder.as_ref().map(|_| REMIND.saturating_sub(reminded.elapsed()));
            let left = left.into_iter().chain(audit).chain(remind).min();
            let fds = self.descriptors(signals);
            let ready = sys::wait_readable(&fds, left);
            let is_ready = |fd: RawFd| fds.iter().zip(&ready).any(|(&f, &ready)| f == fd && ready);
            if is_ready(signals) {
                self.end("it was told to");
            }
            if reminded.elapsed() >= REMIND {
                reminded = Instant::now();
                self.reminder.iter().for_each(Rope::pull);
            }
            self.running.audit.iter_mut().for_each(Kept::drain);
            self.consoles(is_ready(self.running.host.as_raw_fd()));
            self.disks(&is_ready);
            self.processes(&is_ready)?;
            self.asked();
        }
        Ok(())
    }

    fn descriptors(&self, signals: RawFd) -> Vec<RawFd> {
        let mut fds = vec![signals, self.running.host.as_raw_fd()];
        fds.extend(self.running.pds.iter().filter_map(|life| life.process.ended.as_ref()).map(AsRawFd::as_raw_fd));
        fds.extend(self.running.disks.iter().filter_map(|drive| drive.ended()));
        fds.extend(self.running.children.as_ref().filter(|_| self.to_supervisor.is_some()).map(Children::fd));
        fds
    }

    fn end(&mut self, reason: &str) {
        self.ended.get_or_insert_with(|| reason.to_owned());
    }

    fn consoles(&mut self, rung: bool) {
        if rung {
            sys::take(&self.running.host);
            let output = self.manner.output;
            self.running.pds.iter_mut().for_each(|life| drain(life, output));
        }
    }

    /// A device that has ended leaves its driver nothing to do: that ends too, and both begin again together.
    fn disks(&mut self, is_ready: &impl Fn(RawFd) -> bool) {
        let mut dead = self.running.disks.iter_mut().filter(|drive| drive.ended().is_some_and(is_ready));
        let Some(drive) = dead.next() else { return };
        let (name, driver, said) = (drive.name.clone(), drive.driver.clone(), drive.bury());
        let healed =
            self.to_supervisor.is_some() && self.running.ground.pd(&driver).is_some_and(|pd| pd.parent.is_some());
        self.ok &= healed;
        let cause = format!("the QEMU that is this disk's device has ended {said}");
        self.manner.output.tell(Event::Fault { name: &name, cause: cause.trim_end() });
        match self.running.pds.iter_mut().find(|life| life.name == driver && !life.process.is_over()) {
            Some(life) if healed => {
                life.process.kill();
                self.running.ground.hang_up(&life.name);
                let child = life.child;
                self.tell_supervisor(child, orion_pd::Cause::Killed);
            }
            // It ends, or ended, for a reason of its own.
            None if healed => {}
            _ => self.end(&format!("disk {name} is gone")),
        }
    }

    fn processes(&mut self, is_ready: &impl Fn(RawFd) -> bool) -> io::Result<()> {
        for index in 0..self.running.pds.len() {
            let Some(life) = self.running.pds.get_mut(index) else { break };
            if life.process.ended.as_ref().is_some_and(|fd| is_ready(fd.as_raw_fd())) {
                let end = life.process.end()?;
                self.running.ground.hang_up(&life.name);
                drain(life, self.manner.output);
                let (name, role, child) = (life.name.clone(), life.role, life.child);
                match child.filter(|_| self.to_supervisor.is_some()) {
                    Some(_) => self.fell(&name, child, end),
                    None => self.note(&name, role, end),
                }
            }
        }
        let jobs = || self.running.pds.iter().filter(|life| life.role == Role::Job);
        if jobs().count() > 0 && jobs().all(|life| life.process.is_over()) && !self.manner.stay {
            self.end("every job has ended");
        }
        Ok(())
    }

    /// The end of a PD that the supervisor watches over.
    fn fell(&mut self, name: &str, child: Option<u8>, end: End) {
        let (cause, said) = end.into_fault();
        self.manner.output.tell(Event::Fault { name, cause: &said });
        self.tell_supervisor(child, cause);
    }

    fn tell_supervisor(&mut self, child: Option<u8>, cause: orion_pd::Cause) {
        if let (Some(child), Some(children)) = (child, &mut self.running.children) {
            children.tell(Fault { child, cause });
        }
        self.to_supervisor.iter().for_each(Rope::pull);
    }

    /// Does what the supervisor asks.
    fn asked(&mut self) {
        // Not without end, whatever the supervisor does: others want to be looked at too.
        for _ in 0..64 {
            let Some(ask) = self.running.children.as_mut().and_then(Children::asked) else { return };
            let done = match ask {
                Ask::Stop(child) => self.stop(child),
                Ask::Restart(child) => self.restart(child),
            };
            self.running.children.iter_mut().for_each(|children| children.done(done));
        }
    }

    fn stop(&mut self, child: u8) -> bool {
        let Some(life) = self.running.pds.iter_mut().find(|life| life.child == Some(child)) else { return false };
        life.process.kill();
        self.running.ground.hang_up(&life.name);
        let name = life.name.clone();
        if self.running.ground.given_up(child) {
            life.retire();
            self.ok = false;
            if name == GATEKEEPER {
                self.end("the gatekeeper ends whenever it is started, and nothing works without it");
            }
        }
        true
    }

    fn restart(&mut self, child: u8) -> bool {
        let Running { pds, disks, ground, .. } = &mut self.running;
        let Some(life) = pds.iter_mut().find(|life| life.child == Some(child)) else { return false };
        life.process.kill();
        ground.hang_up(&life.name);
        let mut drive = disks.iter_mut().find(|drive| drive.driver == life.name);
        let ready = drive.as_mut().map_or(Ok(false), |drive| drive.ready(ground));
        let started = ready.and_then(|_| life.again(ground, drive.as_deref()).map_err(|error| error.to_string()));
        if let Err(cause) = &started {
            self.manner.output.tell(Event::Fault { name: &life.name, cause });
        }
        started.is_ok()
    }

    fn note(&mut self, name: &str, role: Role, end: End) {
        match end {
            End::Verdict(passed) => {
                self.ok &= passed;
                self.manner.output.tell(Event::Verdict { pd: name, passed });
            }
            End::Fault(_, cause) => self.fault(name, &cause),
        }
        if name == SUPERVISOR {
            self.to_supervisor = None;
            self.ok = false;
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
        let unfinished: Vec<&Life> =
            self.running.pds.iter().filter(|life| life.role == Role::Job && !life.process.is_over()).collect();
        let mut reason = self.ended.take().unwrap_or_default();
        for life in unfinished {
            self.ok = false;
            reason.push_str(&format!("; {} had not finished", life.name));
        }
        let audit = self.running.audit.take();
        drop(self.running);
        // What the gatekeeper recorded to its end.
        audit.into_iter().for_each(|mut audit| audit.drain());
        output.tell(Event::Exit { ok: self.ok, reason: &reason });
        self.ok
    }
}

fn drain(life: &mut Life, output: Output) {
    let Life { name, tail, process, .. } = life;
    let mut tell = |text: &str| output.tell(Event::Line { pd: name, text });
    tail.lines(&mut tell);
    if process.is_over() {
        tail.rest(&mut tell);
    }
}
