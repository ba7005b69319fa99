// SPDX-License-Identifier: MIT
//! A request of an NBD client, and the requests on the ring that it takes.
use crate::arena::Run;
use crate::terms::{Durability, Terms};
use orion_block::{Error, Op};
use orion_nbd::{Command, Errno, Head, Request};

/// A request of a client that is not answered yet.
#[derive(Debug)]
pub(crate) struct Job {
    pub cookie: u64,
    pub command: Command,
    /// Its parts ask the device for force unit access.
    pub fua: bool,
    /// A flush is sent once all parts succeeded.
    pub flush: bool,
    /// A read that is too long to be held whole.
    pub streams: bool,
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub len: u32,
    /// Bytes for which parts were made.
    pub covered: u32,
    /// Parts that the volume has not answered.
    pub open: u8,
    /// The failure in the lowest place.
    pub failed: Option<(Errno, u64)>,
    /// Reads with a simple reply: the first and last part whose data is not queued yet.
    pub chain: Option<(u8, u8)>,
    /// Reads with a simple reply: the reply's head is queued, so the reply can't fail any more.
    pub committed: bool,
}

impl Job {
    pub(crate) fn new(request: &Request, terms: &Terms) -> Self {
        let writes = matches!(request.command, Command::Write | Command::WriteZeroes);
        let flush = match request.command {
            Command::Flush => true,
            Command::Trim => request.fua && terms.flush,
            _ => request.fua && writes && terms.durability == Durability::Flushed,
        };
        Self {
            cookie: request.cookie,
            command: request.command,
            fua: request.fua && writes && terms.durability == Durability::Asked,
            flush,
            streams: request.len > terms.whole,
            offset: request.offset,
            len: request.len,
            covered: 0,
            open: 0,
            failed: None,
            chain: None,
            committed: false,
        }
    }

    /// Whether every part was made and answered.
    pub(crate) const fn complete(&self) -> bool {
        self.covered == self.len && self.open == 0
    }

    /// Notes a failure at byte `offset`; no further part is made.
    pub(crate) fn fail(&mut self, errno: Errno, offset: u64) {
        if self.failed.is_none_or(|(_, at)| offset < at) {
            self.failed = Some((errno, offset));
        }
        self.covered = self.len;
    }

    pub(crate) const fn op(&self) -> Op {
        match self.command {
            Command::Read { .. } | Command::BlockStatus => Op::Read,
            Command::Write => Op::Write,
            Command::Flush => Op::Flush,
            Command::Trim => Op::Discard,
            Command::WriteZeroes => Op::WriteZeroes,
        }
    }

    pub(crate) const fn is_read(&self) -> bool {
        matches!(self.command, Command::Read { .. })
    }

    /// The answer once no data is left to be sent.
    pub(crate) fn answer(&self, structured: bool) -> Head {
        match self.failed {
            Some((errno, at)) if self.is_read() && structured => Head::error_at(self.cookie, errno, at, true),
            Some((errno, _)) => Head::simple(self.cookie, Err(errno)),
            None => Head::simple(self.cookie, Ok(())),
        }
    }

    /// What to tell the client about a device's error.
    pub(crate) fn errno(&self, error: Error) -> Errno {
        match (error, self.command) {
            (Error::OutOfRange, Command::Write | Command::WriteZeroes) => Errno::NoSpace,
            _ => error.into(),
        }
    }
}

/// How far a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Its payload is being received, or it waits for room on the ring.
    Held,
    /// The volume has it.
    InFlight,
    /// The volume answered; its data waits to be sent.
    Read,
}

/// One request on the ring.
#[derive(Debug)]
pub(crate) struct Part {
    pub job: u8,
    pub op: Op,
    pub fua: bool,
    /// First byte on the export.
    pub offset: u64,
    /// Bytes.
    pub len: u32,
    /// Its buffer.
    pub run: Option<Run>,
    /// Bytes of payload received.
    pub have: u32,
    pub stage: Stage,
    /// The next part in the job's chain.
    pub next: Option<u8>,
    /// What is sent before its data.
    pub head: Option<Head>,
    /// How often the volume said to try again.
    pub tries: u8,
}

impl Part {
    /// A part without blocks.
    pub(crate) const fn new(job: u8, op: Op) -> Self {
        Self {
            job,
            op,
            fua: false,
            offset: 0,
            len: 0,
            run: None,
            have: 0,
            stage: Stage::Held,
            next: None,
            head: None,
            tries: 0,
        }
    }
}
