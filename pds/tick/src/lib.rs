// SPDX-License-Identifier: MIT
//! The clock: wakes every PD that has a deadline, once for each period of its own scheduling budget.
//!
//! On seL4 no device and no interrupt is needed for that: the world yields until the kernel refills this PD's budget,
//! then calls [`Tick::wake`], for ever. Nobody can tamper with it, and no PD can keep it from running.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

use orion_pd::config::Wake;
use orion_pd::{Channel, ChannelSet, InitError, Instant, ProtectionDomain, World};

/// Channels are numbered from 0 to 61.
const CHANNELS: u16 = 62;
/// The period of the wake-ups in worlds where this PD is called by deadline.
const PERIOD_NS: u64 = 10_000_000;

/// The clock.
#[derive(Clone, Copy, Debug)]
pub struct Tick {
    wakes: &'static [Wake],
}

impl Tick {
    /// Wakes every PD on the list.
    pub fn wake<W: World>(&self, world: &mut W) {
        for wake in self.wakes {
            // `init` checked that all fit.
            world.notify(Channel(u8::try_from(wake.channel.get()).unwrap_or(u8::MAX)));
        }
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
        Ok(Self { wakes })
    }

    fn notified(&mut self, _: ChannelSet, world: &mut W) -> Option<Instant> {
        self.wake(world);
        Some(world.now().after(PERIOD_NS))
    }
}

#[cfg(test)]
mod tests;
