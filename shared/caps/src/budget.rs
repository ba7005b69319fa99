// SPDX-License-Identifier: MIT
//! How much a capability may use: requests in flight, requests and bytes per second.
//!
//! A rate is kept by the generic cell rate algorithm (ITU-T I.371): `due` is when all that was admitted would be paid for
//! at the rate, and a request is admitted while that is no further ahead than the burst. A request is charged when it is
//! admitted, whatever its size, so a large one is never too large; those after it wait until it is paid for.
use orion_block::Instant;

/// What may be saved up while idle, where a grant does not say: milliseconds of its rates.
pub const DEFAULT_BURST_MS: u32 = 16;
const SECOND: u64 = 1_000_000_000;

/// Limits of a capability and of everything derived from it, together. 0 stands for no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// Most requests in flight.
    pub in_flight: u32,
    /// Most requests per second.
    pub iops: u32,
    /// Most bytes per second.
    pub bytes: u64,
    /// What may be saved up while idle, in milliseconds of the rates; 0: [`DEFAULT_BURST_MS`].
    pub burst_ms: u32,
}

impl Budget {
    /// No limit.
    pub const NONE: Self = Self { in_flight: 0, iops: 0, bytes: 0, burst_ms: 0 };

    /// Whether it limits anything.
    pub const fn limits(&self) -> bool {
        self.in_flight != 0 || self.iops != 0 || self.bytes != 0
    }

    /// The tighter of both, limit by limit.
    #[must_use]
    pub fn tightened(self, other: Self) -> Self {
        // A burst says something only where there is a rate that it belongs to.
        let burst = |b: &Self| match (b.rated(), b.burst_ms) {
            (false, _) => u32::MAX,
            (true, 0) => DEFAULT_BURST_MS,
            (true, ms) => ms,
        };
        Self {
            in_flight: tighter(self.in_flight.into(), other.in_flight.into()).try_into().unwrap_or(u32::MAX),
            iops: tighter(self.iops.into(), other.iops.into()).try_into().unwrap_or(u32::MAX),
            bytes: tighter(self.bytes, other.bytes),
            burst_ms: match burst(&self).min(burst(&other)) {
                u32::MAX => 0,
                ms => ms,
            },
        }
    }

    const fn rated(&self) -> bool {
        self.iops != 0 || self.bytes != 0
    }
}

fn tighter(a: u64, b: u64) -> u64 {
    match (a, b) {
        (0, limit) | (limit, 0) => limit,
        _ => a.min(b),
    }
}

/// One rate.
#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    /// Per second; 0 for no limit.
    rate: u64,
    /// Nanoseconds that `due` may be ahead.
    ahead: u64,
    /// When all that was admitted is paid for.
    due: u64,
}

impl Rate {
    /// `unit` is the least that can be charged: the burst is a multiple of it, so that no window of time sees one more.
    fn new(rate: u64, burst_ms: u32, unit: u64) -> Self {
        let burst = u64::from(burst_ms) * 1_000_000;
        let each = unit.saturating_mul(SECOND).div_ceil(rate.max(1)).max(1);
        Self { rate, ahead: burst / each * each, due: 0 }
    }

    fn charge(&mut self, now: u64, amount: u64) {
        if self.rate != 0 {
            let cost = amount.saturating_mul(SECOND).div_ceil(self.rate);
            self.due = self.due.max(now).saturating_add(cost);
        }
    }

    /// When the next request may be admitted.
    fn opens(&self) -> u64 {
        self.due.saturating_sub(self.ahead)
    }

    /// The clock went back by `ns`: what is owed stays as it was.
    fn back(&mut self, ns: u64) {
        self.due = self.due.saturating_sub(ns);
    }
}

/// How often something may be done: for commands, which cost more than requests.
#[derive(Clone, Copy, Debug)]
pub struct Pace(Meter);

impl Pace {
    /// `per_second` times a second, of which those of `burst_ms` may be saved up.
    pub fn new(per_second: u32, burst_ms: u32) -> Self {
        Self(Meter::new(&Budget { iops: per_second, burst_ms, ..Budget::NONE }))
    }

    /// Does it once, or says when it may be done.
    ///
    /// # Errors
    /// The instant from which it may be done.
    pub fn take(&mut self, now: Instant) -> Result<(), Instant> {
        match self.0.gate(now) {
            Gate::At(at) => Err(at),
            _ => {
                self.0.charge(now, 0);
                self.0.ended();
                Ok(())
            }
        }
    }
}

/// What stands between a request and its admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Nothing.
    Open,
    /// Another request has to end.
    Completion,
    /// Time.
    At(Instant),
}

impl Gate {
    /// The gate behind which both stand.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Open, gate) | (gate, Self::Open) => gate,
            (Self::Completion, _) | (_, Self::Completion) => Self::Completion,
            (Self::At(a), Self::At(b)) => Self::At(a.max(b)),
        }
    }
}

/// A budget at work.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter {
    in_flight: u32,
    most: u32,
    requests: Rate,
    bytes: Rate,
    seen: u64,
}

impl Meter {
    pub fn new(budget: &Budget) -> Self {
        let burst = if budget.burst_ms == 0 { DEFAULT_BURST_MS } else { budget.burst_ms };
        Self {
            in_flight: 0,
            most: budget.in_flight,
            requests: Rate::new(u64::from(budget.iops), burst, 1),
            bytes: Rate::new(budget.bytes, burst, 512),
            seen: 0,
        }
    }

    /// A clock that went back must not lend a budget, nor take it away for as long as it went back.
    fn look(&mut self, now: Instant) {
        if let Some(back) = self.seen.checked_sub(now.0).filter(|ns| *ns > 0) {
            self.requests.back(back);
            self.bytes.back(back);
        }
        self.seen = now.0;
    }

    pub fn gate(&mut self, now: Instant) -> Gate {
        self.look(now);
        if self.most != 0 && self.in_flight >= self.most {
            return Gate::Completion;
        }
        let opens = self.requests.opens().max(self.bytes.opens());
        if opens <= now.0 { Gate::Open } else { Gate::At(Instant(opens)) }
    }

    pub fn charge(&mut self, now: Instant, bytes: u64) {
        self.look(now);
        self.in_flight += 1;
        self.requests.charge(now.0, 1);
        self.bytes.charge(now.0, bytes);
    }

    pub fn set_in_flight(&mut self, count: u32) {
        self.in_flight = count;
    }

    pub fn ended(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tightening_takes_the_smaller_limit_and_never_none_for_one() {
        let a = Budget { in_flight: 4, iops: 0, bytes: 100, burst_ms: 0 };
        let b = Budget { in_flight: 0, iops: 7, bytes: 200, burst_ms: 5 };
        let both = Budget { in_flight: 4, iops: 7, bytes: 100, burst_ms: 5 };
        assert_eq!((a.tightened(b), b.tightened(a)), (both, both));
        // The burst of no rate bounds none.
        let (fast, few) =
            (Budget { iops: 100, burst_ms: 100, ..Budget::NONE }, Budget { in_flight: 3, ..Budget::NONE });
        let both = Budget { in_flight: 3, ..fast };
        assert_eq!((fast.tightened(few), few.tightened(fast)), (both, both));
    }

    proptest! {
        /// Whatever the clock does, what is admitted between any two looks is no more than time gives, plus one burst
        /// (of the bytes: and the one request that overdraws).
        #[test]
        fn a_clock_that_jumps_gives_no_more_than_one_burst(
            iops in 1u32..5000,
            burst_ms in 1u32..200,
            steps in prop::collection::vec(prop_oneof![
                8 => (0i64..3_000_000).boxed(),
                1 => (-5_000_000_000i64..0).boxed(),
                1 => (0i64..i64::MAX / 64).boxed(),
            ], 1..60),
        ) {
            let mut meter = Meter::new(&Budget { iops, burst_ms, ..Budget::NONE });
            let burst = u64::from(burst_ms) * u64::from(iops) / 1000 + 1;
            let mut now = 1i64 << 40;
            // What a bucket of that size would hold, counted in requests times 10^9, exactly.
            let (mut held, full) = (u128::from(burst) * 1_000_000_000, u128::from(burst) * 1_000_000_000);
            for step in steps {
                now = now.saturating_add(step).max(0);
                held = full.min(held + step.max(0) as u128 * u128::from(iops));
                let mut admitted = 0u128;
                while meter.gate(Instant(now as u64)) == Gate::Open {
                    meter.charge(Instant(now as u64), 1);
                    meter.ended();
                    admitted += 1;
                }
                prop_assert!(admitted * 1_000_000_000 <= held, "{} of {} at {}", admitted, held, now);
                held -= admitted * 1_000_000_000;
                // And it is not stingy: a look later, one more is due within two periods.
                let Gate::At(opens) = meter.gate(Instant(now as u64)) else { panic!("open again") };
                prop_assert!(opens.0 - now as u64 <= 2 * 1_000_000_000 / u64::from(iops) + 2);
            }
        }
    }
}
