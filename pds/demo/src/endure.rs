// SPDX-License-Identifier: MIT
//! The demo under load while others are restarted: verified I/O at random places without end, errors and pauses told as they
//! come. Each unit of blocks has a generation: what is read must be what was written last.
use crate::job::{Ask, Data, Job, MOST_SLOTS, Next, Say, Server, Slot};
use crate::pattern::{self, mix};
use crate::text::{Answer, Name};
use orion_block::{Op, POLICY_BLOCK, Status};
use orion_pd::Verdict;

/// Most units.
const UNITS_MAX: usize = 1024;
/// Nanoseconds between two reports.
const REPORT_NS: u64 = 250_000_000;
/// Errors that are printed.
const PRINTED_MAX: u64 = 16;
/// Of so many requests one is a flush, and one asks for what was never granted.
const SELDOM: u64 = 64;

/// What is to be endured.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// Nanoseconds after which it ends; 0: never.
    pub time: u64,
    /// Nanoseconds without an answer from which on a pause is told.
    pub pause: u64,
    /// What the pattern and the places begin with.
    pub seed: u64,
}

#[derive(Clone, Copy, Debug)]
enum Sent {
    Unit { unit: usize, op: Op },
    Flush,
    Probe,
}

/// The job.
#[derive(Debug)]
pub struct Endure {
    trial: Trial,
    /// Bytes of a block, blocks of a unit, blocks of the window.
    size: u64,
    blocks: u16,
    window: u64,
    units: usize,
    written: [u32; UNITS_MAX],
    busy: [u64; UNITS_MAX / 64],
    sent: [Option<Sent>; MOST_SLOTS],
    in_flight: usize,
    random: u64,
    now: u64,
    began: Option<u64>,
    answered_at: u64,
    reported_at: u64,
    requests: u64,
    errors: u64,
    mismatches: u64,
    denied: u64,
    longest: u64,
}

impl Endure {
    /// The job `trial` on window 0 of `server`.
    pub fn new(server: &Server, trial: Trial) -> Self {
        let size = server.block();
        let blocks = (POLICY_BLOCK.bytes() as u64 / size).max(1);
        let window = server.grants.first().map_or(0, |g| g.blocks);
        Self {
            trial,
            size,
            blocks: u16::try_from(blocks).unwrap_or(1),
            window,
            units: usize::try_from(window / blocks).unwrap_or(0).min(UNITS_MAX),
            written: [0; UNITS_MAX],
            busy: [0; UNITS_MAX / 64],
            sent: [None; MOST_SLOTS],
            in_flight: 0,
            random: trial.seed,
            now: 0,
            began: None,
            answered_at: 0,
            reported_at: 0,
            requests: 0,
            errors: 0,
            mismatches: 0,
            denied: 0,
            longest: 0,
        }
    }

    /// Blocks of one request.
    pub fn blocks(&self) -> u64 {
        self.blocks.into()
    }

    /// Tells it the time, before it is asked or answered.
    pub fn set_time(&mut self, now: u64) {
        self.now = now;
        if self.began.is_none() {
            (self.began, self.answered_at, self.reported_at) = (Some(now), now, now);
        }
    }

    fn over(&self) -> bool {
        let began = self.began.unwrap_or(self.now);
        self.units == 0 || self.trial.time != 0 && self.now.saturating_sub(began) >= self.trial.time
    }

    fn roll(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.random)
    }

    /// Marks a unit as in use or not; whether it was in use.
    fn mark(&mut self, unit: usize, busy: bool) -> bool {
        let (Some(word), bit) = (self.busy.get_mut(unit / 64), 1 << (unit % 64)) else { return true };
        let was = *word & bit != 0;
        *word = if busy { *word | bit } else { *word & !bit };
        was
    }

    /// A unit that no request in flight names; any of them would do.
    fn free_unit(&mut self) -> Option<usize> {
        for _ in 0..8 {
            let unit = usize::try_from(self.roll()).unwrap_or(0) % self.units.max(1);
            if !self.mark(unit, true) {
                return Some(unit);
            }
        }
        None
    }

    fn first(&self, unit: usize) -> u64 {
        (unit as u64).wrapping_mul(self.blocks.into())
    }

    fn generation(&self, unit: usize) -> u32 {
        self.written.get(unit).copied().unwrap_or(0)
    }

    fn content(&self, unit: usize) -> u64 {
        mix(self.trial.seed ^ u64::from(self.generation(unit)) << 16)
    }

    fn unit(&mut self, slot: Slot, data: &dyn Data) -> Option<(Sent, Ask)> {
        let unit = self.free_unit()?;
        let block = self.first(unit);
        let write = self.generation(unit) == 0 || self.roll().is_multiple_of(2);
        let bytes = u64::from(self.blocks) * self.size;
        if write {
            if let Some(generation) = self.written.get_mut(unit) {
                *generation = generation.wrapping_add(1).max(1);
            }
            pattern::fill(data, slot.offset, self.content(unit), block, self.blocks, self.size);
        } else {
            pattern::poison(data, slot.offset, bytes);
        }
        let op = if write { Op::Write } else { Op::Read };
        Some((Sent::Unit { unit, op }, Ask { op, block, count: self.blocks, address: slot.offset }))
    }

    fn choose(&mut self, slot: Slot, data: &dyn Data) -> Option<(Sent, Ask)> {
        match self.roll() % SELDOM {
            0 => Some((Sent::Flush, Ask { op: Op::Flush, block: 0, count: 0, address: 0 })),
            1 => {
                // One past the end of the grant: nobody may ever be given that.
                let ask = Ask { op: Op::Read, block: self.window, count: 1, address: slot.offset };
                Some((Sent::Probe, ask))
            }
            _ => self.unit(slot, data),
        }
    }

    fn error(&mut self, say: Say<'_>, what: core::fmt::Arguments<'_>) {
        self.errors += 1;
        if self.errors <= PRINTED_MAX {
            say(format_args!("error: {what}"));
        }
    }

    fn report(&mut self, say: Say<'_>) {
        let Self { requests, errors, mismatches, denied, .. } = self;
        say(format_args!(
            "endures: {requests} requests, {errors} errors, {mismatches} mismatches, {denied} denied as they must be"
        ));
        self.reported_at = self.now;
    }

    fn pace(&mut self, say: Say<'_>) {
        let pause = self.now.saturating_sub(self.answered_at);
        self.longest = self.longest.max(pause);
        if pause >= self.trial.pause {
            say(format_args!("pause: {} us until {}", pause / 1000, self.now));
        }
        self.answered_at = self.now;
        if self.now.saturating_sub(self.reported_at) >= REPORT_NS {
            self.report(say);
        }
    }
}

impl Job for Endure {
    fn next(&mut self, slot: Slot, data: &dyn Data) -> Next {
        if self.over() {
            return if self.in_flight == 0 { Next::Done } else { Next::Wait };
        }
        let (Some((sent, ask)), Some(_)) = (self.choose(slot, data), self.sent.get(slot.index)) else {
            return Next::Wait;
        };
        if let Some(place) = self.sent.get_mut(slot.index) {
            *place = Some(sent);
        }
        self.in_flight += 1;
        Next::Send(ask)
    }

    fn answered(&mut self, slot: Slot, status: Status, blocks: u16, data: &dyn Data, say: Say<'_>) {
        self.pace(say);
        let Some(sent) = self.sent.get_mut(slot.index).and_then(Option::take) else {
            return self.error(say, format_args!("an answer came to request {}, which was not sent", slot.index));
        };
        self.in_flight -= 1;
        self.requests += 1;
        match sent {
            Sent::Probe if status.is_err() => self.denied += 1,
            Sent::Probe => self.error(say, format_args!("a read beyond the grant was done")),
            Sent::Flush if status.is_ok() => {}
            Sent::Flush => self.error(say, format_args!("flush: {}", Answer(status))),
            Sent::Unit { unit, op } => {
                self.mark(unit, false);
                if status.is_err() || blocks != self.blocks {
                    self.error(say, format_args!("{} of unit {unit}: {}", Name(op), Answer(status)));
                } else if op == Op::Read {
                    let (content, first) = (self.content(unit), self.first(unit));
                    let bad = pattern::mismatch(data, slot.offset, content, first, self.blocks, self.size);
                    if bad.is_some() {
                        self.mismatches += 1;
                        say(format_args!("mismatch: unit {unit} does not hold what was written last"));
                    }
                }
            }
        }
    }

    fn end(&mut self, elapsed: u64, say: Say<'_>) -> Verdict {
        self.report(say);
        let (ms, longest) = (elapsed / 1_000_000, self.longest / 1000);
        say(format_args!("endured: {ms} ms, longest pause {longest} us"));
        let well = self.errors == 0 && self.mismatches == 0 && self.requests > 0;
        if well { Verdict::Passed } else { Verdict::Failed }
    }
}
