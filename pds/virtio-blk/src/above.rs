// SPDX-License-Identifier: MIT
//! What stands between a driver's clients and its device, in the driver's own PD.
use crate::relay::{Origin, Relay};
use core::fmt::Debug;
use orion_block::{Instant, Limits};
use orion_pd::links::UpperRings;
use orion_pd::{InitError, World};
use orion_virtio::{AnyBus, VirtioBlk};

/// The device, whose requests are called by a `T`.
pub type Disk<W, T> = VirtioBlk<AnyBus<<W as World>::Mmio>, T>;

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
    fn run(&mut self, uppers: &mut UpperRings, disk: &mut Disk<W, Self::Tag>, now: Instant, look: bool) -> bool;

    /// Whether a request of `upper` would be taken now.
    fn has_room(&self, upper: u8, disk: &Disk<W, Self::Tag>) -> bool;

    /// The client `upper` has died with requests in flight: ends those that the device has not got.
    fn upper_gone(&mut self, _upper: u8, _uppers: &mut UpperRings, _disk: &mut Disk<W, Self::Tag>, _now: Instant) {}

    /// What is offered to all clients; `None` while nothing is.
    fn limits(&self, disk: &Disk<W, Self::Tag>) -> Option<Limits>;

    /// What is offered to the client `upper`.
    fn limits_of(&self, upper: u8, all: Limits) -> Limits;

    /// Says on the console what was found, before the clients are told.
    fn report(&self, world: &mut W);
}

/// Nothing: each client has the whole device.
#[derive(Clone, Copy, Debug)]
pub struct Whole(Relay);

impl<W: World> Above<W> for Whole {
    type Tag = Origin;

    fn assemble(_: &mut W) -> Result<Self, InitError> {
        Ok(Self(Relay::default()))
    }

    #[inline]
    fn run(&mut self, uppers: &mut UpperRings, disk: &mut Disk<W, Origin>, _: Instant, look: bool) -> bool {
        self.0.run(uppers, disk, look);
        false
    }

    fn has_room(&self, _: u8, disk: &Disk<W, Origin>) -> bool {
        disk.has_room()
    }

    fn limits(&self, disk: &Disk<W, Origin>) -> Option<Limits> {
        disk.limits()
    }

    fn limits_of(&self, _: u8, all: Limits) -> Limits {
        all
    }

    fn report(&self, _: &mut W) {}
}
