// SPDX-License-Identifier: MIT
//! The driver PD of a virtio block device: wires clients' rings to the driver of `orion-virtio`.
//!
//! It maps its device's registers and its own DMA memory. Payload passes by name: the device reaches it, this PD not.
#![no_std]
#![forbid(unsafe_code)]
#[cfg(test)]
extern crate std;

mod relay;
mod setup;
#[cfg(test)]
mod tests;

use orion_block::{Instant, Limits};
use orion_pd::links::{UpperRings, whole};
use orion_pd::{Channel, ChannelSet, InitError, ProtectionDomain, World};
use orion_virtio::blk::Counters;
use orion_virtio::{AnyBus, VirtioBlk};
use relay::{Origin, Relay};

/// Faults that are printed: a device must not be able to flood the console.
const PRINTED_MAX: u64 = 16;

/// The rights on the one window of a client of a driver, as `orion_caps::Rights` has them: a driver holds its device
/// and refuses nobody who was given a ring to it.
mod right {
    pub const READ: u16 = 1;
    pub const WRITE: u16 = 2;
    pub const FLUSH: u16 = 4;
    pub const DISCARD: u16 = 8;
    pub const ZERO: u16 = 16;
}

/// The driver PD.
#[derive(Debug)]
pub struct VirtioBlkPd<W: World> {
    relay: Relay,
    uppers: UpperRings,
    disk: VirtioBlk<AnyBus<W::Mmio>, Origin>,
    irq: Channel,
    name: &'static str,
    misbehaved: u32,
}

impl<W: World> ProtectionDomain<W> for VirtioBlkPd<W> {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let device = setup::device(&world.config())?;
        let (disk, irq) = (setup::disk(device, world)?, setup::irq(device)?);
        let name = device.name.as_str();
        if let Some(limits) = disk.limits() {
            world.print(format_args!("{name}: {}", setup::Describe(&limits, disk.layout())));
        }
        Ok(Self { relay: Relay::default(), uppers: UpperRings::new(world)?, disk, irq, name, misbehaved: 0 })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        self.uppers.wake();
        let interrupted = from.contains(self.irq);
        if interrupted {
            // Before completions are drained: one that comes later must be able to interrupt again.
            self.disk.interrupted();
        }
        loop {
            self.run(world);
            let more = self.disk.expire();
            self.report(world);
            let room = self.disk.has_room();
            // What came after it was looked for shows here, or as an interrupt.
            if !more && self.uppers.sleep(|_| room) {
                break;
            }
        }
        if interrupted {
            world.irq_ack(self.irq);
        }
        self.disk.deadline()
    }
}

impl<W: World> VirtioBlkPd<W> {
    /// Takes what the device completed, hands it what the clients ask.
    fn run(&mut self, world: &mut W) {
        self.disk.set_time(world.now());
        self.relay.run(&mut self.uppers, &mut self.disk);
        self.disk.kick();
        let news = !self.uppers.announced() && self.announce();
        self.uppers.publish(world, news);
    }

    fn announce(&mut self) -> bool {
        let Some(limits) = self.disk.limits() else { return false };
        self.uppers.announce(limits, 1, |_| whole(&limits, rights(&limits)));
        true
    }

    fn report(&mut self, world: &mut W) {
        if let Some(what) = self.disk.take_fault() {
            self.report_fault(what, world);
        }
        let misbehaved = self.uppers.misbehaved();
        if misbehaved > self.misbehaved {
            world.print(format_args!("{}: a client broke the ring protocol; its connection is closed", self.name));
            self.misbehaved = misbehaved;
        }
    }

    fn report_fault(&self, what: &str, world: &mut W) {
        let Counters { misused, timeouts, .. } = self.disk.counters();
        let serves = self.disk.limits().is_some();
        let state = if serves { "reset, and serves again" } else { "offline" };
        let last = misused + timeouts == PRINTED_MAX;
        let rest = if last { "; further faults are only counted" } else { "" };
        // That it is offline is said in any case: it is the last word.
        if misused + timeouts <= PRINTED_MAX || !serves {
            world.print(format_args!(
                "{}: {what}; the disk is {state} ({misused} protocol errors, {timeouts} timeouts so far){rest}",
                self.name,
            ));
        }
    }
}

fn rights(limits: &Limits) -> u16 {
    let write = if limits.read_only { 0 } else { right::WRITE | right::DISCARD | right::ZERO };
    right::READ | right::FLUSH | write
}
