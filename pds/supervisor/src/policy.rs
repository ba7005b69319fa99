// SPDX-License-Identifier: MIT
//! When a PD counts as hung, when it is restarted, and when it is given up: a state machine without a clock or a world.
use core::fmt;
use heapless::Deque;
use orion_pd::supervision::State;
use orion_pd::{Config, Instant};

/// Most restarts that are remembered, and so the highest limit.
pub const REMEMBERED: usize = 32;
const MS: u64 = 1_000_000;
/// Least nanoseconds between two tries to start what could not be started.
const FAILED_WAIT: u64 = 10 * MS;

/// All times and limits. Each has a setting of the configuration, in milliseconds where it is a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// Nanoseconds between two questions to a PD (`ping_ms`).
    pub ping: u64,
    /// Questions in a row without an answer after which a PD counts as hung (`pings`). Questions are
    /// counted, not time, so that a supervisor that was kept from running blames nobody for it.
    pub pings: u32,
    /// Nanoseconds before the second restart in a row; each further one takes twice as long (`backoff_ms`). The first is
    /// at once.
    pub backoff: u64,
    /// The longest of these waits (`backoff_max_ms`).
    pub backoff_max: u64,
    /// A PD that has lived so many nanoseconds is well again: the next restart is at once (`well_ms`).
    pub well: u64,
    /// Restarts within a period after which the next fault is the last (`restarts`); at most [`REMEMBERED`]. 0: no limit.
    pub restarts: u32,
    /// Nanoseconds of that period (`period_ms`).
    pub period: u64,
}

impl Default for Terms {
    fn default() -> Self {
        Self {
            ping: 500 * MS,
            pings: 10,
            backoff: 10 * MS,
            backoff_max: 1000 * MS,
            well: 1000 * MS,
            restarts: 8,
            period: 60_000 * MS,
        }
    }
}

impl Terms {
    /// As a configuration says; where it says nothing, the defaults.
    pub fn of(config: &Config<'_>) -> Self {
        let default = Self::default();
        let time = |key, default| config.setting(key).map_or(default, |ms| ms.saturating_mul(MS));
        let count = |key, default| config.setting(key).map_or(default, |n| u32::try_from(n).unwrap_or(u32::MAX));
        Self {
            ping: time("ping_ms", default.ping).max(MS),
            pings: count("pings", default.pings).max(1),
            backoff: time("backoff_ms", default.backoff),
            backoff_max: time("backoff_max_ms", default.backoff_max),
            well: time("well_ms", default.well),
            restarts: count("restarts", default.restarts).min(u32::try_from(REMEMBERED).unwrap_or(0)),
            period: time("period_ms", default.period),
        }
    }
}

/// What is to be done about a PD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask it whether it lives.
    Ping,
    /// It does not answer: stop it. What to do then is what [`Watched::faulted`] says.
    Hung,
    /// Restart it.
    Restart,
}

/// What becomes of a PD that has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is restarted at once.
    Now,
    /// It is restarted after so many nanoseconds.
    Later(u64),
    /// It was restarted too often, and stays as it is.
    GivenUp,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now => f.write_str("restarted"),
            Self::Later(ns) => write!(f, "restarted in {} ms", ns / MS),
            Self::GivenUp => f.write_str("given up"),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It runs, and is asked next at this time; it owes so many answers, since it had this pulse.
    Runs {
        ask: Instant,
        owes: u32,
        pulse: u32,
    },
    /// It is restarted at this time.
    Waits(Instant),
    GivenUp,
}

/// What is known of a PD.
#[derive(Debug)]
pub struct Watched {
    stage: Stage,
    /// Since when it lives its present life.
    since: Instant,
    /// How often it was restarted in a row, without being well between.
    row: u32,
    restarts: u32,
    /// When it was restarted last, oldest first.
    recent: Deque<Instant, REMEMBERED>,
}

impl Watched {
    /// A PD that was started at `now`.
    pub fn new(now: Instant, terms: &Terms) -> Self {
        let stage = Stage::Runs { ask: now.after(terms.ping), owes: 0, pulse: 0 };
        Self { stage, since: now, row: 0, restarts: 0, recent: Deque::new() }
    }

    /// What it does.
    pub fn state(&self) -> State {
        match self.stage {
            Stage::Runs { .. } => State::Runs,
            Stage::Waits(_) => State::Waits,
            Stage::GivenUp => State::GivenUp,
        }
    }

    /// How often it was restarted.
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// When [`look`](Self::look) has something to do; `None`: never again.
    pub fn due(&self) -> Option<Instant> {
        match self.stage {
            Stage::Runs { ask, .. } => Some(ask),
            Stage::Waits(at) => Some(at),
            Stage::GivenUp => None,
        }
    }

    /// What is to be done now, with its pulse as it is. At most one thing at a time: look until there is nothing.
    pub fn look(&mut self, now: Instant, pulse: u32, terms: &Terms) -> Option<Action> {
        match self.stage {
            Stage::Waits(at) if at <= now => Some(Action::Restart),
            Stage::Runs { ask, owes, pulse: before } if ask <= now => {
                let owes = if pulse == before { owes } else { 0 };
                if owes >= terms.pings {
                    return Some(Action::Hung);
                }
                self.stage = Stage::Runs { ask: now.after(terms.ping), owes: owes + 1, pulse };
                Some(Action::Ping)
            }
            _ => None,
        }
    }

    /// It has come to its end, or was stopped since it hung. `None` where that is old news.
    pub fn faulted(&mut self, now: Instant, terms: &Terms) -> Option<Verdict> {
        let Stage::Runs { .. } = self.stage else { return None };
        if now.0.saturating_sub(self.since.0) >= terms.well {
            self.row = 0;
        }
        if self.too_often(now, terms) {
            self.stage = Stage::GivenUp;
            return Some(Verdict::GivenUp);
        }
        let wait = self.wait(terms);
        self.row = self.row.saturating_add(1);
        self.stage = Stage::Waits(now.after(wait));
        Some(if wait == 0 { Verdict::Now } else { Verdict::Later(wait) })
    }

    /// It was restarted, with this pulse. It is asked at once, so that a life that hangs from its beginning is found too.
    pub fn restarted(&mut self, now: Instant, pulse: u32) {
        self.restarts = self.restarts.saturating_add(1);
        if self.recent.is_full() {
            self.recent.pop_front();
        }
        // There is room.
        let _ = self.recent.push_back(now);
        self.since = now;
        self.stage = Stage::Runs { ask: now, owes: 0, pulse };
    }

    /// It was to be restarted, and that failed: as if it had come to its end at once, but never tried again at once.
    pub fn failed(&mut self, now: Instant, terms: &Terms) -> Option<Verdict> {
        self.restarted(now, 0);
        let verdict = self.faulted(now, terms)?;
        let soonest = now.after(FAILED_WAIT);
        match self.stage {
            Stage::Waits(at) if at < soonest => {
                self.stage = Stage::Waits(soonest);
                Some(Verdict::Later(FAILED_WAIT))
            }
            _ => Some(verdict),
        }
    }

    fn too_often(&mut self, now: Instant, terms: &Terms) -> bool {
        while self.recent.front().is_some_and(|at| now.0.saturating_sub(at.0) > terms.period) {
            self.recent.pop_front();
        }
        terms.restarts != 0 && self.recent.len() >= usize::try_from(terms.restarts).unwrap_or(usize::MAX)
    }

    fn wait(&self, terms: &Terms) -> u64 {
        let Some(doublings) = self.row.checked_sub(1) else { return 0 };
        let factor = 1u64.checked_shl(doublings).unwrap_or(u64::MAX);
        terms.backoff.saturating_mul(factor).min(terms.backoff_max)
    }
}
