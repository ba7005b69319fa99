// SPDX-License-Identifier: MIT
//! A client that breaks every rule of the ring: it writes random words all over what it may write, and notifies.
use crate::events::Event;
use crate::random::Random;
use crate::world::SimWorld;
use orion_block::Instant;
use orion_pd::config::Role;
use orion_pd::{Channel, ChannelSet, InitError, ProtectionDomain, World};
use orion_region::Window;
use std::sync::atomic::Ordering;

/// Nanoseconds between two outbursts.
const PAUSE: u64 = 1000;

/// A client that breaks every rule of the ring.
pub struct Garbage {
    random: Random,
    channel: Channel,
    windows: Vec<Window>,
    bursts: u32,
}

impl ProtectionDomain<SimWorld> for Garbage {
    fn init(world: &mut SimWorld) -> Result<Self, InitError> {
        let config = world.config();
        let (_, link) = config.links_as(Role::Client).next().ok_or(InitError("garbage needs a link"))?;
        let at = [link.ext, link.requests, link.responses];
        let pages = at.iter().chain(config.controls.iter().map(|control| &control.own));
        let windows = pages.filter_map(|at| world.window(at.get())).collect();
        let seed = config.setting("seed").unwrap_or(1);
        Ok(Self { random: Random::new(seed), channel: Channel(link.channel.get() as u8), windows, bursts: 200 })
    }

    fn notified(&mut self, _: ChannelSet, world: &mut SimWorld) -> Option<Instant> {
        self.bursts = self.bursts.checked_sub(1)?;
        world.common.borrow_mut().journal.events.note(Event::Garbage);
        for _ in 0..self.random.below(64) {
            let window = &self.windows[self.random.below(self.windows.len())];
            // Most often where it matters: in the first entries and the indices.
            let words = if self.random.below(4) == 0 { window.len() / 4 } else { 64 };
            let value = match self.random.below(4) {
                0 => self.random.number() as u32,
                1 => u32::MAX - self.random.below(4) as u32,
                _ => self.random.below(200) as u32,
            };
            window.store(self.random.below(words) * 4, value, Ordering::Relaxed);
        }
        world.notify(self.channel);
        Some(world.now().after(PAUSE))
    }
}
