// SPDX-License-Identifier: MIT
//! What stands between a driver's clients and its device, in the driver's own PD.
use crate::relay::{Origin, Relay};
use core::fmt::Debug;
use orion_block::{Instant, Limits, Route};
use orion_driver::{Engine, Unit};
use orion_pd::links::UpperRings;
use orion_pd::{InitError, World};

/// What stands between a driver's clients and its device.
pub trait Above<W: World>: Debug + Sized {
    /// What it calls the device's requests by.
    type Tag: Copy + Default + Debug;

    /// From the PD's configuration.
    ///
    /// # Errors
    /// [`InitError`] where the configuration does not allow it.
    fn assemble(world: &mut W) -> Result<Self, InitError>;

    /// Gives the device's answers back, if it may have any it was not yet asked for (`look`), and hands it requests; whether
    /// there may be more to do at once.
    fn run<E: Engine<Self::Tag>>(&mut self, uppers: &mut UpperRings, disk: &mut E, now: Instant, look: bool) -> bool;

    /// Whether a request of `upper` would be taken now.
    fn has_room<E: Engine<Self::Tag>>(&self, upper: u8, disk: &E) -> bool;

    /// The client `upper` has died with requests in flight: ends those that the device has not got.
    fn upper_gone<E: Engine<Self::Tag>>(&mut self, _upper: u8, _uppers: &mut UpperRings, _disk: &mut E, _now: Instant) {
    }

    /// Whether clients can be told what they are offered.
    fn is_ready<E: Engine<Self::Tag>>(&self, disk: &E) -> bool;

    /// What is offered to the client `upper`; `None` while nothing is.
    fn offer<E: Engine<Self::Tag>>(&self, upper: u8, disk: &E) -> Option<Limits>;

    /// Which disk it is that the client `upper` has a part of, where it may be reached in several ways: only the whole of one may.
    fn route<E: Engine<Self::Tag>>(&self, _upper: u8, _disk: &E) -> Route {
        Route::default()
    }

    /// Says on the console what was found, before the clients are told.
    fn report(&mut self, world: &mut W);
}

/// Nothing: each client has the whole of a disk.
#[derive(Debug)]
pub struct Whole(Relay);

impl<W: World> Above<W> for Whole {
    type Tag = Origin;

    fn assemble(world: &mut W) -> Result<Self, InitError> {
        Relay::new(&world.config()).map(Self)
    }

    #[inline]
    fn run<E: Engine<Origin>>(&mut self, uppers: &mut UpperRings, disk: &mut E, _: Instant, look: bool) -> bool {
        self.0.run(uppers, disk, look);
        false
    }

    fn has_room<E: Engine<Origin>>(&self, upper: u8, disk: &E) -> bool {
        disk.has_room(self.0.unit(upper, E::UNITS))
    }

    fn is_ready<E: Engine<Origin>>(&self, disk: &E) -> bool {
        (0..E::UNITS).any(|unit| disk.limits(Unit(unit)).is_some())
    }

    fn offer<E: Engine<Origin>>(&self, upper: u8, disk: &E) -> Option<Limits> {
        disk.limits(self.0.unit(upper, E::UNITS))
    }

    fn route<E: Engine<Origin>>(&self, upper: u8, disk: &E) -> Route {
        disk.route(self.0.unit(upper, E::UNITS))
    }

    fn report(&mut self, _: &mut W) {}
}
