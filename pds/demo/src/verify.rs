// SPDX-License-Identifier: MIT
//! The demo's job: write, flush, read back and compare within the grant, window by window; then be refused outside it.
use crate::job::{Ask, Data, Job, MOST_SLOTS, Next, Say, Server, Slot, WINDOWS, address_in};
use crate::pattern;
use crate::probe::{Probe, probe};
use crate::text::{Answer, Count, Mebibytes, Name, Place};
use orion_block::{Op, Status};
use orion_pd::Verdict;

/// What the demo is told to do.
#[derive(Clone, Copy, Debug)]
pub struct Task {
    /// Whether it may write.
    pub writes: bool,
    /// Bytes of each window that it covers, from the start; the window's last block always comes on top.
    pub bytes: u64,
    /// Blocks of one request.
    pub chunk: u16,
    /// What the pattern of this run begins with.
    pub seed: u64,
    /// How often it writes and reads everything, each time with another pattern; at least once.
    pub rounds: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Write,
    Flush,
    Read,
    Probe,
}

/// What a slot's request is.
#[derive(Clone, Copy, Debug)]
enum Sent {
    Blocks { window: u8, block: u64, count: u16, write: bool },
    Flush,
    Probe(Probe),
}

/// The job.
#[derive(Debug)]
pub struct Verify {
    server: Server,
    task: Task,
    stage: Stage,
    window: u8,
    /// Next block of the stage, or next probe.
    cursor: u64,
    sent: [Option<Sent>; MOST_SLOTS],
    in_flight: usize,
    flushes: u64,
    read: u64,
    equal: u64,
    refused: u64,
    answers: u64,
    failed: bool,
}

impl Verify {
    /// The job `task` on what `server` grants.
    pub fn new(server: Server, task: Task) -> Self {
        let mut job = Self {
            server,
            task,
            stage: Stage::Write,
            window: 0,
            cursor: 0,
            sent: [None; MOST_SLOTS],
            in_flight: 0,
            flushes: 0,
            read: 0,
            equal: 0,
            refused: 0,
            answers: 0,
            failed: false,
        };
        job.enter(0);
        job
    }

    /// How many answers came so far.
    pub fn answers(&self) -> u64 {
        self.answers
    }

    /// Bytes from the start of window 0 that hold what this job wrote.
    pub fn written(&self) -> u64 {
        let [first, ..] = self.server.grants;
        let writes =
            self.task.writes && !self.server.limits.read_only && first.allows(Op::Read) && first.allows(Op::Write);
        let size = self.server.block();
        if writes { (self.task.bytes / size).min(first.blocks).saturating_mul(size) } else { 0 }
    }

    fn allows(&self, op: Op) -> bool {
        self.server.grants.get(usize::from(self.window)).is_some_and(|g| g.allows(op))
    }

    /// Whether the content of this window is the demo's own.
    fn writes(&self) -> bool {
        self.task.writes && !self.server.limits.read_only && self.allows(Op::Read) && self.allows(Op::Write)
    }

    fn enter(&mut self, window: u8) {
        let mut window = window;
        if usize::from(window) >= WINDOWS && self.task.rounds > 1 {
            self.task.rounds -= 1;
            self.task.seed = pattern::mix(self.task.seed);
            window = 0;
        }
        self.window = window;
        self.cursor = 0;
        self.stage = match usize::from(window) < WINDOWS {
            true if self.writes() => Stage::Write,
            true => Stage::Read,
            false => Stage::Probe,
        };
    }

    /// The stage after this one, of which nothing is in flight any more.
    fn advance(&mut self) {
        self.cursor = 0;
        match self.stage {
            Stage::Write => self.stage = Stage::Flush,
            Stage::Flush => self.stage = Stage::Read,
            Stage::Read => self.enter(self.window.saturating_add(1)),
            Stage::Probe => {}
        }
    }

    /// The next blocks of the stage: the first `task.bytes` bytes of the window, then its last block.
    fn piece(&mut self) -> Option<(u64, u16)> {
        let blocks = self.server.grants.get(usize::from(self.window))?.blocks;
        let span = (self.task.bytes / self.server.block()).min(blocks);
        let (block, count) = if self.cursor < span {
            let left = u16::try_from(span - self.cursor).unwrap_or(u16::MAX);
            (self.cursor, left.min(self.task.chunk))
        } else if self.cursor < blocks {
            (blocks - 1, 1)
        } else {
            return None;
        };
        self.cursor = block + u64::from(count);
        Some((block, count))
    }

    fn send(&mut self, slot: Slot, sent: Sent, ask: Ask) -> Next {
        if let Some(place) = self.sent.get_mut(slot.index) {
            *place = Some(sent);
            self.in_flight += 1;
        }
        Next::Send(ask)
    }

    fn move_blocks(&mut self, slot: Slot, data: &dyn Data, write: bool) -> Option<Next> {
        if !write && !self.allows(Op::Read) {
            return None;
        }
        let (block, count) = self.piece()?;
        let size = self.server.block();
        let name = address_in(self.window, block);
        if write {
            pattern::fill(data, slot.offset, self.task.seed, name, count, size);
        } else {
            pattern::poison(data, slot.offset, u64::from(count) * size);
        }
        let op = if write { Op::Write } else { Op::Read };
        let sent = Sent::Blocks { window: self.window, block, count, write };
        Some(self.send(slot, sent, Ask { op, block: name, count, address: slot.offset }))
    }

    fn flush(&mut self, slot: Slot) -> Option<Next> {
        if self.cursor > 0 || !self.allows(Op::Flush) {
            return None;
        }
        self.cursor = 1;
        let ask = Ask { op: Op::Flush, block: address_in(self.window, 0), count: 0, address: 0 };
        Some(self.send(slot, Sent::Flush, ask))
    }

    /// One probe at a time, so that a refusal that stops the connection shows which request it was.
    fn probe(&mut self, slot: Slot, data: &dyn Data) -> Option<Next> {
        loop {
            let number = usize::try_from(self.cursor).ok()?;
            let found = probe(&self.server, self.task.writes, number)?;
            self.cursor += 1;
            if let Some(probe) = found {
                pattern::poison(data, slot.offset, self.server.block());
                return Some(self.send(slot, Sent::Probe(probe), probe.ask(slot)));
            }
        }
    }

    fn fail(&mut self, say: Say<'_>, what: core::fmt::Arguments<'_>) {
        if !self.failed {
            say(format_args!("failed: {what}"));
        }
        self.failed = true;
    }

    fn check_blocks(&mut self, slot: Slot, sent: (u8, u64, u16), data: &dyn Data, say: Say<'_>) {
        let (window, block, count) = sent;
        self.read += u64::from(count);
        let size = self.server.block();
        if !self.task_wrote(window) {
            return;
        }
        let name = address_in(window, block);
        match pattern::mismatch(data, slot.offset, self.task.seed, name, count, size) {
            None => self.equal += u64::from(count),
            Some((bad, byte)) => {
                let bad = Place(bad);
                self.fail(say, format_args!("{bad} differs from what was written, from its byte {byte} on"));
            }
        }
    }

    /// Whether the blocks of `window` were written by this job. Reads are checked while their window is current.
    fn task_wrote(&self, window: u8) -> bool {
        window == self.window && self.writes()
    }

    fn check_probe(&mut self, slot: Slot, probe: Probe, status: Status, data: &dyn Data, say: Say<'_>) {
        let (op, block, count, why) = (Name(probe.op), Place(probe.block), Count(probe.count), probe.why);
        if !Probe::refused(status) {
            let answer = Answer(status);
            self.fail(say, format_args!("{op} of {count} from {block}, {why}, was answered: {answer}"));
        } else if !pattern::untouched(data, slot.offset, self.server.block()) {
            self.fail(say, format_args!("{op} of {count} from {block}, {why}, was refused but changed memory"));
        } else {
            self.refused += 1;
            say(format_args!("denied: {op} of {count} from {block}, {why}: {}", Answer(status)));
        }
    }
}

impl Job for Verify {
    fn next(&mut self, slot: Slot, data: &dyn Data) -> Next {
        loop {
            let alone = self.in_flight == 0;
            let sent = match self.stage {
                _ if self.failed => None,
                Stage::Write => self.move_blocks(slot, data, true),
                Stage::Flush => self.flush(slot),
                Stage::Read => self.move_blocks(slot, data, false),
                Stage::Probe if alone => self.probe(slot, data),
                Stage::Probe => None,
            };
            match sent {
                Some(next) => return next,
                None if !alone => return Next::Wait,
                None if self.failed || self.stage == Stage::Probe => return Next::Done,
                None => self.advance(),
            }
        }
    }

    fn answered(&mut self, slot: Slot, status: Status, blocks: u16, data: &dyn Data, say: Say<'_>) {
        let Some(sent) = self.sent.get_mut(slot.index).and_then(Option::take) else {
            return self.fail(say, format_args!("an answer came to request {}, which was not sent", slot.index));
        };
        self.in_flight -= 1;
        self.answers += 1;
        match sent {
            Sent::Probe(probe) => self.check_probe(slot, probe, status, data, say),
            Sent::Flush if status.is_ok() => self.flushes += 1,
            Sent::Flush => self.fail(say, format_args!("flush: {}", Answer(status))),
            Sent::Blocks { window, block, count, write } => {
                if status.is_err() || blocks != count {
                    let op = if write { "write" } else { "read" };
                    let answer = Answer(status);
                    let (place, count) = (Place(address_in(window, block)), Count(count));
                    self.fail(say, format_args!("{op} of {count} from {place}: {answer} after {blocks} blocks"));
                } else if !write {
                    self.check_blocks(slot, (window, block, count), data, say);
                }
            }
        }
    }

    fn end(&mut self, elapsed: u64, say: Say<'_>) -> Verdict {
        if self.read == 0 {
            self.fail(
                say,
                format_args!("no window may be read; give this client an orion:grant with the right to read"),
            );
        }
        if self.failed {
            return Verdict::Failed;
        }
        let (size, refused, ms) = (self.server.block(), self.refused, elapsed / 1_000_000);
        let rest = format_args!("{refused} requests beyond the grant denied; {ms} ms");
        let (blocks, only_read) = (self.equal, self.read - self.equal);
        if blocks > 0 {
            let (done, flushed) = (Mebibytes(blocks * size), if self.flushes > 0 { "flushed, " } else { "" });
            say(format_args!(
                "verified: {done} written, {flushed}read back and equal ({blocks} blocks of {size} bytes); {rest}"
            ));
        } else {
            let done = Mebibytes(only_read * size);
            say(format_args!("verified: {done} read, nothing written ({only_read} blocks of {size} bytes); {rest}"));
        }
        Verdict::Passed
    }
}
