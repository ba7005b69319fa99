// SPDX-License-Identifier: MIT
//! The clock: wakes every PD that has a deadline, once for each period of its own scheduling budget.
//!
//! On seL4 no device and no interrupt is needed for that: the world yields until the kernel refills this PD's budget,
//! then calls [`Tick::wake`], for ever. Nobody can tamper with it, and no PD can keep it from running.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

use orion_metrics::Counter;
use orion_pd::config::Wake;
use orion_pd::{Channel, ChannelSet, InitError, Instant, ProtectionDomain, Reporter, World};

/// Channels are numbered from 0 to 61.
const CHANNELS: u16 = 62;
/// The period of the wake-ups in worlds where this PD is called by deadline.
const PERIOD_NS: u64 = 10_000_000;

/// Periods after which the clock shows its figures: nobody can ask it, since it never waits to be called.
const SHOWN_EVERY: u64 = 100;

/// The clock.
#[derive(Debug)]
pub struct Tick {
    wakes: &'static [Wake],
    reporter: Reporter,
    periods: u64,
}

impl Tick {
    /// Wakes every PD on the list.
    pub fn wake<W: World>(&mut self, world: &mut W) {
        for wake in self.wakes {
            // `init` checked that all fit.
            world.notify(Channel(u8::try_from(wake.channel.get()).unwrap_or(u8::MAX)));
        }
        if self.periods.is_multiple_of(SHOWN_EVERY) {
            let sent = self.periods * u64::try_from(self.wakes.len()).unwrap_or(0);
            self.reporter.figures.set(Counter::Wakes, sent);
            self.reporter.publish(world, []);
        }
        self.periods += 1;
    }
}

impl<W: World> ProtectionDomain<W> for Tick {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let wakes = world.config().wakes;
        if wakes.iter().any(|wake| wake.channel.get() >= CHANNELS) {
            return Err(InitError(
                "the clock's list names a channel above 61; make the configuration again with orion",
            ));
        }
        Ok(Self { wakes, reporter: Reporter::new(world)?, periods: 0 })
    }

    fn notified(&mut self, _: ChannelSet, world: &mut W) -> Option<Instant> {
        self.wake(world);
        Some(world.now().after(PERIOD_NS))
    }
}

#[cfg(test)]
mod tests;
