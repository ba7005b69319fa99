// SPDX-License-Identifier: MIT
//! Two PDs that notify each other a number of times.
use orion_pd::{Channel, ChannelSet, InitError, Instant, ProtectionDomain, Verdict, World};

const BALL: Channel = Channel(0);
const ROUNDS: u32 = 20_000;

/// Serves first, and counts.
pub struct Ping {
    rounds: u32,
}

impl<W: World> ProtectionDomain<W> for Ping {
    fn init(world: &mut W) -> Result<Self, InitError> {
        world.print(format_args!("{ROUNDS} rounds"));
        world.notify(BALL);
        Ok(Self { rounds: 0 })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        // The first call names every channel, though nothing came.
        if from != ChannelSet::ALL && from.contains(BALL) {
            self.rounds += 1;
            world.notify(BALL);
        }
        if self.rounds == ROUNDS {
            world.print(format_args!("done"));
            world.finish(Verdict::Passed);
        }
        None
    }
}

/// Returns every ball.
pub struct Pong;

impl<W: World> ProtectionDomain<W> for Pong {
    fn init(_: &mut W) -> Result<Self, InitError> {
        Ok(Self)
    }

    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        if from != ChannelSet::ALL && from.contains(BALL) {
            world.notify(BALL);
        }
        None
    }
}
