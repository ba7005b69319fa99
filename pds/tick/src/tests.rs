// SPDX-License-Identifier: MIT
use super::*;
use core::fmt;
use orion_pd::config::Builder;
use orion_pd::{Config, Verdict};
use orion_region::{Volatile, Window};
use std::boxed::Box;
use std::vec::Vec;

struct Recorder {
    config: Config<'static>,
    notified: Vec<u8>,
}

impl Recorder {
    fn with_wakes(channels: &[u16]) -> Self {
        let wakes = channels.iter().map(|&channel| Wake {
            channel: channel.into(),
            pad: 0.into(),
            peer: orion_pd::config::Name::new("peer"),
        });
        let blob = Builder { wakes: wakes.collect(), ..Builder::default() }.bytes();
        let config = Config::parse(Box::leak(blob.into_boxed_slice())).unwrap();
        Self { config, notified: Vec::new() }
    }
}

impl World for Recorder {
    type Mmio = Volatile;
    fn config(&self) -> Config<'static> {
        self.config
    }
    fn window(&mut self, _: u64) -> Option<Window> {
        None
    }
    fn mmio(&mut self, _: u64) -> Option<Volatile> {
        None
    }
    fn notify(&mut self, channel: Channel) {
        self.notified.push(channel.0);
    }
    fn irq_ack(&mut self, _: Channel) {}
    fn now(&self) -> Instant {
        Instant(5)
    }
    fn print(&mut self, _: fmt::Arguments<'_>) {}
    fn finish(&mut self, _: Verdict) {}
}

#[test]
fn every_pd_on_the_list_is_woken_once_a_period() {
    let mut world = Recorder::with_wakes(&[3, 61, 0]);
    let mut tick = <Tick as ProtectionDomain<Recorder>>::init(&mut world).unwrap();
    assert_eq!(tick.notified(ChannelSet::ALL, &mut world), Some(Instant(5 + PERIOD_NS)));
    assert_eq!(world.notified, [3, 61, 0]);
}

#[test]
fn a_channel_that_cannot_exist_is_refused_at_start() {
    let mut world = Recorder::with_wakes(&[3, 62]);
    assert!(<Tick as ProtectionDomain<Recorder>>::init(&mut world).is_err());
}
