// SPDX-License-Identifier: MIT
//! What the gatekeeper has to be told of: kept until it asks, so that nothing is done for a request that passes.
use crate::{CLIENTS_MAX, Refusal};
use heapless::Deque;
use orion_block::Instant;

/// Refusals that are kept.
const KEPT: usize = 64;
/// Of one client: what it asks for in one round must not displace those of others.
const KEPT_EACH: u8 = 16;

/// Something to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request was refused.
    Refused(Refusal),
    /// So many more requests of this client were refused than could be kept.
    Missed(u8, u32),
    /// It is the time that [`Gatekeeper::remind`](crate::Gatekeeper::remind) was given.
    Reminder,
}

/// What has happened and was not yet told.
#[derive(Debug)]
pub(crate) struct Events {
    /// There is something.
    any: bool,
    refusals: Deque<Refusal, KEPT>,
    kept: [u8; CLIENTS_MAX],
    missed: [u32; CLIENTS_MAX],
    reminder: Option<Instant>,
    reminded: bool,
}

impl Events {
    pub const fn new() -> Self {
        let (kept, missed) = ([0; CLIENTS_MAX], [0; CLIENTS_MAX]);
        Self { any: false, refusals: Deque::new(), kept, missed, reminder: None, reminded: false }
    }

    #[cold]
    pub fn refused(&mut self, refusal: Refusal) {
        self.any = true;
        let client = usize::from(refusal.client);
        let Some(kept) = self.kept.get_mut(client) else { return };
        if *kept < KEPT_EACH && self.refusals.push_back(refusal).is_ok() {
            *kept += 1;
        } else if let Some(missed) = self.missed.get_mut(client) {
            *missed = missed.saturating_add(1);
        }
    }

    pub fn remind(&mut self, at: Instant) {
        self.reminder = Some(self.reminder.map_or(at, |earlier| earlier.min(at)));
    }

    /// Looks at the clock; when to look again.
    pub fn tick(&mut self, now: Instant) -> Option<Instant> {
        if self.reminder.is_some_and(|at| at <= now) {
            self.reminder = None;
            (self.any, self.reminded) = (true, true);
        }
        self.reminder
    }

    /// Whether there is something to take.
    #[inline]
    pub fn any(&self) -> bool {
        self.any
    }

    #[cold]
    pub fn take(&mut self) -> Option<Event> {
        if let Some(refusal) = self.refusals.pop_front() {
            if let Some(kept) = self.kept.get_mut(usize::from(refusal.client)) {
                *kept = kept.saturating_sub(1);
            }
            return Some(Event::Refused(refusal));
        }
        let missed = (0..).zip(&mut self.missed).find(|(_, missed)| **missed > 0);
        if let Some((client, missed)) = missed {
            return Some(Event::Missed(client, core::mem::take(missed)));
        }
        self.any = core::mem::take(&mut self.reminded);
        self.any.then_some(Event::Reminder)
    }
}
