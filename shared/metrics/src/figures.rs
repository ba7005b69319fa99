// SPDX-License-Identifier: MIT
//! What one PD counts.
use crate::histogram::Histogram;
use zerocopy::byteorder::little_endian::U64;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Counters that a page has room for.
pub(crate) const COUNTERS: usize = 64;
/// Kinds of requests whose times are told apart.
const KINDS: usize = 3;

/// What is counted. Those of other PDs stay 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counter {
    /// Requests that were passed on, or done.
    Requests,
    /// Requests that the policy refused.
    Refused,
    /// Requests that made no sense.
    Malformed,
    /// Peers whose connection was closed because they broke its protocol.
    Misbehaved,
    /// Requests that ended with an error of a device.
    Errors,
    /// Requests in flight when this was written. Not a sum.
    InFlight,
    /// Notifications to a device: writes of its doorbells.
    Kicks,
    /// Resets of a device because it broke its protocol.
    Resets,
    /// Resets of a device because a request took too long.
    Timeouts,
    /// Commands of clients and operators.
    Commands,
    /// Those of them that were refused.
    CommandsRefused,
    /// Bytes printed, or served to the outside.
    Bytes,
    /// Bytes that had no room.
    Dropped,
    /// Connections to the outside when this was written. Not a sum.
    Connections,
    /// Of how many requests one was timed. Not a sum.
    Sampled,
    /// Blocks of 512 bytes that were read, written, discarded or zeroed.
    Sectors,
    /// Notifications of other PDs by the clock.
    Wakes,
    /// PDs that came to an end, or hung.
    Faults,
    /// PDs that were started again.
    Restarts,
    /// Interrupts of a device that its driver was woken by.
    Interrupts,
}

impl Counter {
    /// Every counter, in the order of the page.
    pub const ALL: [Self; 20] = [
        Self::Requests,
        Self::Refused,
        Self::Malformed,
        Self::Misbehaved,
        Self::Errors,
        Self::InFlight,
        Self::Kicks,
        Self::Resets,
        Self::Timeouts,
        Self::Commands,
        Self::CommandsRefused,
        Self::Bytes,
        Self::Dropped,
        Self::Connections,
        Self::Sampled,
        Self::Sectors,
        Self::Wakes,
        Self::Faults,
        Self::Restarts,
        Self::Interrupts,
    ];

    /// Its name, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::Misbehaved => "misbehaved",
            Self::Errors => "errors",
            Self::InFlight => "in_flight",
            Self::Kicks => "kicks",
            Self::Resets => "resets",
            Self::Timeouts => "timeouts",
            Self::Commands => "commands",
            Self::CommandsRefused => "commands_refused",
            Self::Bytes => "bytes",
            Self::Dropped => "dropped",
            Self::Connections => "connections",
            Self::Sampled => "sampled",
            Self::Sectors => "sectors",
            Self::Wakes => "wakes",
            Self::Faults => "faults",
            Self::Restarts => "restarts",
            Self::Interrupts => "interrupts",
        }
    }

    /// Whether it says how something is now, rather than how often something happened.
    pub const fn gauge(self) -> bool {
        matches!(self, Self::InFlight | Self::Connections | Self::Sampled)
    }
}

/// Kinds of requests whose times are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Reads.
    Read,
    /// Writes, discards, writes of zeroes.
    Write,
    /// Flushes.
    Flush,
}

impl Kind {
    /// Every kind, in the order of the page.
    pub const ALL: [Self; KINDS] = [Self::Read, Self::Write, Self::Flush];

    /// Its name, for programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Flush => "flush",
        }
    }
}

/// What a PD has counted: private to it until it is written to its page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Figures {
    at: U64,
    counters: [U64; COUNTERS],
    times: [Histogram; KINDS],
}

impl Figures {
    /// Nothing.
    pub const EMPTY: Self = Self { at: U64::ZERO, counters: [U64::ZERO; COUNTERS], times: [Histogram::EMPTY; KINDS] };

    /// When it was written to the page, in nanoseconds of the system's clock.
    pub fn at(&self) -> u64 {
        self.at.get()
    }

    /// Says when it is written.
    pub fn set_at(&mut self, ns: u64) {
        self.at = ns.into();
    }

    /// A counter.
    pub fn get(&self, counter: Counter) -> u64 {
        self.counters.get(counter as usize).map_or(0, |n| n.get())
    }

    /// Sets a counter.
    pub fn set(&mut self, counter: Counter, value: u64) {
        if let Some(place) = self.counters.get_mut(counter as usize) {
            *place = value.into();
        }
    }

    /// Adds to a counter.
    pub fn add(&mut self, counter: Counter, more: u64) {
        self.set(counter, self.get(counter).wrapping_add(more));
    }

    /// The times of a kind of requests.
    pub fn times(&self, kind: Kind) -> &Histogram {
        let [read, write, flush] = &self.times;
        match kind {
            Kind::Read => read,
            Kind::Write => write,
            Kind::Flush => flush,
        }
    }

    /// Counts how long a request took.
    pub fn record(&mut self, kind: Kind, ns: u64) {
        let [read, write, flush] = &mut self.times;
        match kind {
            Kind::Read => read.record(ns),
            Kind::Write => write.record(ns),
            Kind::Flush => flush.record(ns),
        }
    }

    /// What was counted after `earlier`; of what is not a sum, how it is now.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut since = *self;
        for counter in Counter::ALL.into_iter().filter(|counter| !counter.gauge()) {
            since.set(counter, self.get(counter).saturating_sub(earlier.get(counter)));
        }
        for (times, before) in since.times.iter_mut().zip(&earlier.times) {
            *times = times.since(before);
        }
        since
    }

    /// The times of all kinds together.
    pub fn all_times(&self) -> Histogram {
        self.times.iter().fold(Histogram::EMPTY, |all, times| all.with(times))
    }
}

impl Default for Figures {
    fn default() -> Self {
        Self::EMPTY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_stand_in_the_order_of_the_list() {
        for (index, counter) in Counter::ALL.into_iter().enumerate() {
            assert_eq!(counter as usize, index);
            assert!(Counter::ALL.iter().filter(|other| other.name() == counter.name()).count() == 1);
        }
    }

    #[test]
    fn what_is_no_sum_stays_as_it_is() {
        let (mut before, mut after) = (Figures::EMPTY, Figures::EMPTY);
        before.set(Counter::Requests, 10);
        before.set(Counter::InFlight, 7);
        after.set(Counter::Requests, 25);
        after.set(Counter::InFlight, 3);
        after.record(Kind::Flush, 5000);
        let since = after.since(&before);
        assert_eq!((since.get(Counter::Requests), since.get(Counter::InFlight)), (15, 3));
        assert_eq!((since.times(Kind::Flush).count(), since.times(Kind::Read).count()), (1, 0));
        // A PD that was started again counts from 0.
        assert_eq!(before.since(&after).get(Counter::Requests), 0);
    }
}
