// SPDX-License-Identifier: MIT
//! Hands requests of several clients to a controller's disks and its answers back: all that a node does for a driver.
//!
//! A node around a layer that changes nothing would cost a request as much again as the driver. Left out is splitting:
//! clients are told the largest request, and the device takes more at once than a ring can ask for.
use orion_driver::{Engine, Unit};
use orion_layer::Uppers;
use orion_pd::InitError;
use orion_pd::config::{Config, Role};

/// Whose request it is, and what they call it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    upper: u8,
    tag: u32,
}

/// Most clients: Microkit has no more channels.
const UPPERS_MAX: usize = 62;

/// Whose turn it is, and which disk is whose.
#[derive(Clone, Debug)]
pub struct Relay {
    turn: u8,
    units: [Unit; UPPERS_MAX],
}

impl Relay {
    /// Each client has the disk of its link's name; the first where there is only one.
    pub fn new(config: &Config<'_>) -> Result<Self, InitError> {
        let mut units = [Unit(0); UPPERS_MAX];
        for (to, (_, link)) in units.iter_mut().zip(config.links_as(Role::Server)) {
            let place = config.devices.iter().position(|device| device.name.as_str() == link.volume.as_str());
            let place = place.or((config.devices.len() <= 1).then_some(0)).and_then(|place| u8::try_from(place).ok());
            *to = place.map(Unit).ok_or(InitError("a client's disk is not this driver's: build the image again"))?;
        }
        Ok(Self { turn: 0, units })
    }

    /// The disk of a client, of a controller that has `units`.
    #[inline]
    pub fn unit(&self, upper: u8, units: u8) -> Unit {
        // Known where a driver is compiled: a controller with one disk costs nothing.
        if units == 1 { Unit(0) } else { self.units.get(usize::from(upper)).copied().unwrap_or_default() }
    }

    /// Gives answers back until the device has none, if it is to be looked at, and takes requests until nobody has any or
    /// there is no room.
    #[inline]
    pub fn run<E: Engine<Origin>>(&mut self, uppers: &mut impl Uppers, device: &mut E, look: bool) {
        if look {
            drain(uppers, device);
        }
        while self.admit(uppers, device) && device.has_answers() {
            drain(uppers, device);
        }
    }

    /// Takes requests, one of each client in turn, or all of one that is alone; whether there were any.
    fn admit<E: Engine<Origin>>(&mut self, uppers: &mut impl Uppers, device: &mut E) -> bool {
        let (mut asking, mut any) = (uppers.asking(), false);
        while asking != 0 {
            let upper = orion_layer::turn(asking, self.turn);
            let unit = self.unit(upper, E::UNITS);
            if !device.has_room(unit) {
                // A full disk keeps nobody from another.
                if E::UNITS == 1 {
                    break;
                }
                asking &= !(1 << upper);
                continue;
            }
            self.turn = upper + 1;
            device.lane(upper);
            let alone = asking == 1 << upper;
            loop {
                let Some(submission) = uppers.next(upper) else {
                    asking &= !(1 << upper);
                    break;
                };
                device.start(unit, Origin { upper, tag: submission.tag }, &submission.req);
                any = true;
                if !alone || !device.has_room(unit) {
                    break;
                }
            }
        }
        any
    }
}

#[inline(always)]
fn drain(uppers: &mut impl Uppers, device: &mut impl Engine<Origin>) {
    device.drain(|origin, done| uppers.complete(origin.upper, origin.tag, done));
}

#[cfg(test)]
mod tests;
