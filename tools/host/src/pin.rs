// SPDX-License-Identifier: MIT
//! A device's interrupt pin: a level, which QEMU tells of when it changes.
//!
//! As under seL4 the interrupt is masked from its delivery to its acknowledgement, and comes again after that if the level
//! is still up.
use crate::qtest::Device;
use crate::sys;
use orion_pd::ChannelSet;
use std::cell::{Cell, RefCell};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Duration;

/// The pin of the PD's device.
#[derive(Debug)]
pub struct Pin {
    device: Rc<RefCell<Device>>,
    channel: ChannelSet,
    masked: Cell<bool>,
}

impl Pin {
    /// The pin of `device`, which stands for `channel`.
    pub const fn new(device: Rc<RefCell<Device>>, channel: ChannelSet) -> Self {
        Self { device, channel, masked: Cell::new(false) }
    }

    /// The interrupt, if there is one to deliver; it is masked then.
    pub fn take(&self) -> ChannelSet {
        if self.masked.get() || !self.device.borrow_mut().is_raised() {
            return ChannelSet::default();
        }
        self.masked.set(true);
        self.channel
    }

    /// Lets it interrupt again.
    pub fn unmask(&self) {
        self.masked.set(false);
    }

    /// Sleeps until the bell's counter is rung, QEMU says something, or `limit` is over; whether the counter was rung.
    pub fn sleep(&self, bell: &File, limit: Option<Duration>) -> bool {
        let entry = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut polled = [entry(bell.as_raw_fd()), entry(self.device.borrow().socket().as_raw_fd())];
        sys::poll(&mut polled, limit);
        polled.first().is_some_and(|bell| bell.revents != 0)
    }
}
