// SPDX-License-Identifier: MIT
//! The questions that a unit is asked, in their order, and what follows from each answer.
use super::{Absent, LogicalUnit};
use crate::Cdb;
use crate::rules::{self, Learn, Rule, Then};
use crate::wire::vpd::{self, BlockLimits, Designator, Provisioning, page};
use crate::wire::{capacity, inquiry, log, mode};
use orion_block::{Error, Instant};

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Who are you? Answered in any state (SPC-4, 6.6.1).
    Inquiry,
    /// Are you ready? Also takes the unit attentions that a power on leaves.
    Ready,
    /// Start!
    Start,
    /// Page `n` of [`PAGES`].
    Page(u8),
    /// How large are you?
    Capacity,
    /// The same, of units with few commands.
    ShortCapacity,
    /// What of caches and protection?
    Caching,
    /// Turn your write cache on, or off!
    Turn,
    /// Can you SYNCHRONIZE CACHE, since you do not say whether you have one?
    Synchronize,
    /// Which log pages are there?
    Logs,
    /// Page `n` of [`log::PAGES`].
    Log(u8),
    /// Nothing: it serves.
    Up,
    /// Nothing: it is not there, or not usable.
    Gone(Absent),
}

/// The pages of vital product data, in the order in which they are asked for.
const PAGES: [u8; 5] = [page::SUPPORTED, page::SERIAL, page::IDENTIFICATION, page::LIMITS, page::PROVISIONING];
/// Bytes that are asked of each.
const PAGE_LEN: u16 = 252;

/// How often a unit is asked to turn its write cache that does not.
const TURNS_MAX: u8 = 4;

/// A question as a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The command.
    pub cdb: Cdb,
    /// Bytes that it may answer with, or that go with it.
    pub len: u16,
    /// Whether [`LogicalUnit::list`] goes with it.
    pub list: bool,
}

impl Step {
    fn ask(self) -> Option<Ask> {
        let ask = |cdb, len| Some(Ask { cdb, len, list: false });
        match self {
            Self::Inquiry => ask(Cdb::inquiry(None, inquiry::LEN), inquiry::LEN),
            Self::Ready => ask(Cdb::test_unit_ready(), 0),
            Self::Start => ask(Cdb::start_stop(true), 0),
            Self::Page(nth) => ask(Cdb::inquiry(PAGES.get(usize::from(nth)).copied(), PAGE_LEN), PAGE_LEN),
            Self::Capacity => ask(Cdb::read_capacity_16(capacity::LEN[1].into()), capacity::LEN[1]),
            Self::ShortCapacity => ask(Cdb::read_capacity_10(), capacity::LEN[0]),
            Self::Caching => ask(Cdb::mode_sense(mode::CACHING, mode::LEN), mode::LEN.into()),
            Self::Synchronize => ask(Cdb::synchronize(), 0),
            Self::Logs => ask(Cdb::log_sense(log::page::SUPPORTED, log::LEN), log::LEN),
            Self::Log(nth) => ask(Cdb::log_sense(*log::PAGES.get(usize::from(nth))?, log::LEN), log::LEN),
            // Its length is the unit's to know.
            Self::Turn => Some(Ask { cdb: Cdb::mode_select(0, false), len: 0, list: true }),
            Self::Up | Self::Gone(_) => None,
        }
    }
}

impl LogicalUnit {
    /// The question to ask now, if there is one.
    pub fn ask(&self, now: Instant) -> Option<Ask> {
        let asked = if now < self.due { None } else { self.step.ask() }?;
        let (_, len) = self.list;
        let turn = Ask { cdb: Cdb::mode_select(len, false), len: len.into(), list: true };
        Some(if asked.list { turn } else { asked })
    }

    /// When there is a question to ask.
    pub fn asks_at(&self) -> Option<Instant> {
        self.step.ask().map(|_| self.due)
    }

    /// What it says that it is, where that was the question.
    pub fn introduction(&self, bytes: &[u8]) -> Option<inquiry::Inquiry> {
        (self.step == Step::Inquiry).then(|| inquiry::Inquiry::parse(bytes)).flatten()
    }

    /// It was answered with `bytes`; whether what the unit offers changed.
    pub fn answered(&mut self, bytes: &[u8]) -> bool {
        match self.step {
            Step::Inquiry => self.introduced(bytes),
            Step::Ready if self.facts.inquiry.version < 3 && self.facts.inquiry.version != 0 => {
                // SCSI-2 has the supported pages optional, and old disks that hang on EVPD are known.
                self.go(Step::Capacity);
            }
            Step::Ready => self.go(Step::Page(0)),
            Step::Start => self.go(Step::Ready),
            Step::Page(nth) => self.paged(nth, bytes),
            Step::Capacity => match capacity::Capacity::parse_16(bytes) {
                Some(found) => {
                    (self.facts.capacity, self.facts.long) = (found, true);
                    self.go(Step::Caching);
                }
                None => self.go(Step::ShortCapacity),
            },
            Step::ShortCapacity => {
                self.facts.capacity = capacity::Capacity::parse_10(bytes).unwrap_or_default();
                self.go(Step::Caching);
            }
            Step::Caching => {
                self.facts.mode = mode::Mode::parse(bytes).unwrap_or_default();
                if self.is_to_turn(bytes) { self.go(Step::Turn) } else { self.after_caching() }
            }
            // What it made of that, it is asked.
            Step::Turn => self.go(Step::Caching),
            Step::Synchronize => {
                self.facts.synchronizes = true;
                self.go(Step::Up);
            }
            Step::Logs => {
                let listed = (0u8..).zip(log::PAGES).filter(|(_, code)| log::lists(bytes, *code));
                self.facts.logs = listed.fold(0, |all, (nth, _)| all | 1 << nth);
                self.next_log(0);
            }
            Step::Log(nth) => {
                if let Some(code) = log::PAGES.get(usize::from(nth)) {
                    log::learn(bytes, *code, &mut self.fresh);
                }
                self.next_log(nth + 1);
            }
            Step::Up | Step::Gone(_) => {}
        }
        self.concluded()
    }

    /// It was not answered, because of `rule`; whether what the unit offers changed.
    pub fn refused(&mut self, rule: &Rule, now: Instant) -> bool {
        self.tries = self.tries.saturating_add(1);
        match rule.then {
            Then::Accept => return self.answered(&[]),
            Then::Again if self.tries <= rules::AGAIN_MAX => self.due = now,
            // Once, or a unit that cannot start is asked to for ever.
            Then::Start if self.step == Step::Ready && !self.facts.started => {
                self.facts.started = true;
                self.go(Step::Start);
            }
            Then::Later | Then::Start | Then::Again if self.may_wait(now) => {
                self.due = now.after(rules::backoff(self.tries));
            }
            _ => return self.failed(rule),
        }
        false
    }

    /// Whether it has time to be asked again. Health is not worth waiting for.
    fn may_wait(&self, now: Instant) -> bool {
        now < self.patience && !matches!(self.step, Step::Logs | Step::Log(_))
    }

    fn failed(&mut self, rule: &Rule) -> bool {
        let was = self.limits();
        let optional = !matches!(rule.learn, Learn::Gone);
        match self.step {
            Step::Page(0) if optional => self.go(Step::Capacity),
            Step::Page(nth) if optional => self.paged(nth, &[]),
            Step::Capacity if rule.error == Error::Unsupported => self.go(Step::ShortCapacity),
            Step::Caching | Step::Turn if optional => self.after_caching(),
            Step::Synchronize if optional => self.go(Step::Up),
            Step::Start if optional => self.go(Step::Ready),
            Step::Logs => self.go(Step::Up),
            Step::Log(nth) => self.next_log(nth + 1),
            _ => self.leave(rule.text),
        }
        self.concluded() || self.limits() != was
    }

    fn introduced(&mut self, bytes: &[u8]) {
        match inquiry::Inquiry::parse(bytes) {
            Some(found) if found.is_disk() => {
                self.facts.inquiry = found;
                self.fresh.firmware = found.revision;
                self.go(Step::Ready);
            }
            Some(found) if !found.connected => self.leave("no disk is at its place"),
            Some(_) => self.leave("it is no disk"),
            None => self.leave("it does not say what it is"),
        }
    }

    /// Takes what page `nth` says, and goes on to the next that the unit lists.
    fn paged(&mut self, nth: u8, bytes: &[u8]) {
        match PAGES.get(usize::from(nth)) {
            Some(&page::SUPPORTED) => {
                let listed = (0u8..).zip(PAGES).filter(|(_, code)| vpd::lists(bytes, *code));
                self.facts.pages = listed.fold(0, |all, (nth, _)| all | 1 << nth);
            }
            Some(&page::SERIAL) => self.fresh.serial = vpd::serial(bytes).unwrap_or_default(),
            Some(&page::IDENTIFICATION) => self.facts.designator = Designator::best(bytes),
            Some(&page::LIMITS) => self.facts.limits = BlockLimits::parse(bytes),
            Some(&page::PROVISIONING) => self.facts.provisioning = Provisioning::parse(bytes),
            _ => {}
        }
        let next = (nth + 1..).take(PAGES.len()).find(|n| self.facts.pages >> (*n).min(7) & 1 != 0);
        self.go(next.filter(|n| usize::from(*n) < PAGES.len()).map_or(Step::Capacity, Step::Page));
    }

    /// Whether its write cache is to be other than it says in these `bytes`, and can be asked to be; the list is then made for that. One
    /// that takes the list and does not do it is left alone after some times.
    fn is_to_turn(&mut self, bytes: &[u8]) -> bool {
        let Some(on) = self.write_cache.filter(|on| self.facts.mode.write_cache == Some(!on)) else {
            self.turned = 0;
            return false;
        };
        let made = mode::select_write_cache(bytes, on).filter(|_| self.turned < TURNS_MAX);
        self.list = made.unwrap_or(self.list);
        self.turned = self.turned.saturating_add(1);
        made.is_some()
    }

    fn after_caching(&mut self) {
        match self.facts.mode.write_cache {
            None => self.go(Step::Synchronize),
            Some(_) => self.go(Step::Up),
        }
    }

    fn next_log(&mut self, from: u8) {
        let next = (from..7).find(|nth| self.facts.logs >> nth & 1 != 0);
        if next.is_none() {
            // The pages say nothing of a warning that came by itself.
            let failing = self.fresh.failing.or(self.health.failing);
            self.health = orion_driver::Health { failing, ..self.fresh };
        }
        self.go(next.map_or(Step::Up, Step::Log));
    }

    /// Where all questions were asked, what follows; whether what the unit offers changed.
    fn concluded(&mut self) -> bool {
        if self.step != Step::Up {
            return false;
        }
        if core::mem::take(&mut self.stale) {
            self.facts = super::Facts { inquiry: self.facts.inquiry, ..super::Facts::default() };
            self.go(Step::Ready);
            return false;
        }
        let changed = self.conclude();
        let (model, firmware) = (self.facts.inquiry.product, self.facts.inquiry.revision);
        self.health = orion_driver::Health { model, firmware, serial: self.fresh.serial, ..self.health };
        changed
    }
}
