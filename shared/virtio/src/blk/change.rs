// SPDX-License-Identifier: MIT
//! Changes of the device's configuration while it runs (virtio 1.2, 2.5 and 5.2.4): it was resized, its cache mode changed, or
//! it asks to be reset.
//!
//! A device behind a pin says so in its interrupt status. A message says nothing of the kind, and to read a register at each
//! would cost every request: the configuration's generation is looked at when the driver was woken and found nothing, and
//! whenever a deadline is looked at, so a change that shares its message with a completion is seen at the latest then.
use super::{VirtioBlk, start};
use crate::Bus;
use crate::queue::Ring;
use orion_block::Error;
use orion_driver::CHANGED;
use virtio_drivers::transport::DeviceStatus;

impl<B: Bus, T: Copy + Default, Q: Ring> VirtioBlk<B, T, Q> {
    /// The device was looked at and had nothing; whether there is something to take now.
    #[cold]
    #[inline(never)]
    pub(super) fn idle(&mut self) -> bool {
        // Where something has ended since the last time, this was the end of a batch and no interrupt in vain.
        let vain = core::mem::replace(&mut self.ended_then, self.ended) == self.ended;
        vain && self.bus.messages() && self.look_at_generation()
    }

    /// Looks whether the configuration changed; whether there are answers for that.
    pub(super) fn look_at_generation(&mut self) -> bool {
        self.alive && self.bus.read_config_generation() != self.generation && self.reconfigured()
    }

    /// The configuration has changed: takes over what may change; whether there are answers for that.
    #[cold]
    #[inline(never)]
    pub(super) fn reconfigured(&mut self) -> bool {
        if !self.alive {
            return false;
        }
        self.generation = self.bus.read_config_generation();
        if self.bus.get_status().contains(DeviceStatus::DEVICE_NEEDS_RESET) {
            self.counters.misused += 1;
            self.restart("the device says that it needs a reset", Error::Io);
            return true;
        }
        match start::properties(&self.bus, self.terms.features, self.read_only) {
            Ok(now) if now.limits.block == self.properties.limits.block => {
                if now != self.properties {
                    (self.properties, self.changed, self.fault) = (now, true, Some(CHANGED));
                }
            }
            // What was told to those above cannot be taken back: the device is used as it was, and fails what it cannot do.
            Ok(_) => self.fault = Some("the device changed its block size while in use, which is not followed"),
            Err(fault) => self.fault = Some(fault.text()),
        }
        false
    }
}
