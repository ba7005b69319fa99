// SPDX-License-Identifier: MIT
//! Hands requests of several clients to one device and its answers back: all that a node does for a driver.
//!
//! A node around a layer that changes nothing would cost a request as much again as the driver. Left out is splitting:
//! clients are told the largest request, and the device takes more at once than a ring can ask for.
use orion_layer::{Lowers, Uppers};

/// Whose request it is, and what they call it.
#[derive(Clone, Copy, Debug, Default)]
struct Origin {
    upper: u8,
    tag: u32,
}

/// Requests between clients and a device; at most `N` at a time.
#[derive(Debug)]
pub struct Relay<const N: usize> {
    origins: [Origin; N],
    /// Indices of `origins` that are free, up to `free`.
    stack: [u32; N],
    free: usize,
    turn: u8,
}

impl<const N: usize> Relay<N> {
    /// A relay to a device that takes `capacity` requests at a time.
    pub fn new(capacity: u16) -> Self {
        let mut stack = [0; N];
        stack.iter_mut().zip(0..).for_each(|(entry, index)| *entry = index);
        Self { origins: [Origin::default(); N], stack, free: N.min(capacity.into()), turn: 0 }
    }

    /// Whether there is room for a request.
    pub fn has_room(&self) -> bool {
        self.free > 0
    }

    /// Gives answers back until the device has none.
    pub fn drain(&mut self, uppers: &mut impl Uppers, device: &mut impl Lowers) {
        // A device whose own rules are broken has answered what it held, and says so itself.
        while let Ok(Some((_, index, done))) = device.next() {
            let Some(origin) = usize::try_from(index).ok().and_then(|i| self.origins.get(i)) else { continue };
            uppers.complete(origin.upper, origin.tag, done);
            if let Some(entry) = self.stack.get_mut(self.free) {
                *entry = index;
                self.free += 1;
            }
        }
    }

    /// Takes requests, one of each client in turn, until none has any or there is no room; whether there were any.
    pub fn admit(&mut self, uppers: &mut impl Uppers, device: &mut impl Lowers) -> bool {
        let (count, before) = (uppers.count(), self.free);
        let mut idle = 0;
        while idle < count && self.free > 0 {
            let upper = if self.turn < count { self.turn } else { 0 };
            self.turn = upper + 1;
            idle = if self.take(upper, uppers, device) { 0 } else { idle + 1 };
        }
        self.free < before
    }

    fn take(&mut self, upper: u8, uppers: &mut impl Uppers, device: &mut impl Lowers) -> bool {
        let below = self.free.wrapping_sub(1);
        let Some(&index) = self.stack.get(below) else { return false };
        let Some(mut submission) = uppers.next(upper) else { return false };
        if let Some(origin) = usize::try_from(index).ok().and_then(|i| self.origins.get_mut(i)) {
            *origin = Origin { upper, tag: submission.tag };
        }
        self.free = below;
        submission.tag = index;
        device.submit(0, submission);
        true
    }
}
