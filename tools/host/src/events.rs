// SPDX-License-Identifier: MIT
//! What a run tells: lines for people, or a line of JSON per event.
use serde_json::{Value, json};

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Everything runs.
    Started {
        /// The protection domains.
        pds: &'a [String],
        /// What was started, for people.
        summary: &'a str,
    },
    /// A PD printed a line.
    Line {
        /// The PD.
        pd: &'a str,
        /// The line.
        text: &'a str,
    },
    /// A PD's job ended.
    Verdict {
        /// The PD.
        pd: &'a str,
        /// Whether the job succeeded.
        passed: bool,
    },
    /// A PD or a device's QEMU ended that should not have.
    Fault {
        /// The PD, or the disk.
        name: &'a str,
        /// Why.
        cause: &'a str,
    },
    /// The end.
    Exit {
        /// Whether everything went well.
        ok: bool,
        /// Why the system ended.
        reason: &'a str,
    },
}

impl Event<'_> {
    fn json(&self) -> Value {
        match *self {
            Self::Started { pds, .. } => json!({ "event": "started", "pds": pds }),
            Self::Line { pd, text } => json!({ "event": "line", "pd": pd, "text": text }),
            Self::Verdict { pd, passed } => json!({ "event": "verdict", "pd": pd, "passed": passed }),
            Self::Fault { name, cause } => json!({ "event": "fault", "name": name, "cause": cause }),
            Self::Exit { ok, reason } => json!({ "event": "exit", "ok": ok, "reason": reason }),
        }
    }
}

/// Where events go.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Whether as JSON.
    pub json: bool,
}

impl Output {
    /// Tells of `event`.
    pub fn tell(self, event: Event<'_>) {
        use std::io::Write;
        // Somebody who closed our output is not a reason to stop.
        let mut out = std::io::stdout().lock();
        let _ = match event {
            _ if self.json => writeln!(out, "{}", event.json()),
            Event::Started { summary, .. } => writeln!(out, "{summary}"),
            Event::Line { pd, text } => writeln!(out, "{pd}: {text}"),
            Event::Fault { name, cause } => writeln!(out, "fault: {name}: {cause}"),
            Event::Verdict { passed: true, .. } => Ok(()),
            Event::Verdict { pd, passed: false } => writeln!(out, "failed: {pd}"),
            Event::Exit { ok: true, .. } => Ok(()),
            Event::Exit { ok: false, reason } => writeln!(out, "ended: {reason}"),
        };
        let _ = out.flush();
    }
}
