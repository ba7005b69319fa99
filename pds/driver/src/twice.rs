// SPDX-License-Identifier: MIT
//! A driver whose engine is compiled twice: for the queues that its device has by default, and for those that a configuration wishes.
use crate::{Above, Driver, DriverPd, Whole};
use core::fmt::Debug;
use orion_block::Instant;
use orion_pd::config::Device;
use orion_pd::{ChannelSet, InitError, ProtectionDomain, World};

/// The driver for queues that are wished for.
pub trait Wishing<W: World>: Driver<W>
where
    W::Mmio: Debug,
{
    /// Whether the configuration wishes for anything.
    fn is_wished(device: &Device) -> bool;
}

/// The PD of either driver, with `A` between its clients and the device: `U` for the usual queue, `Q` for those wished for. Which it
/// is is said by the configuration and asked once for each time that the PD is woken, so that a request in the usual queue costs
/// nothing for the others being there.
#[derive(Debug)]
pub enum Twice<W: World, U: Driver<W>, Q: Driver<W>, A: Above<W> = Whole>
where
    W::Mmio: Debug,
{
    /// The usual queue.
    Usual(DriverPd<W, U, A>),
    /// As the configuration wishes.
    Wished(DriverPd<W, Q, A>),
}

impl<W: World, U: Driver<W> + Debug, Q: Wishing<W> + Debug, A: Above<W>> ProtectionDomain<W> for Twice<W, U, Q, A>
where
    W::Mmio: Debug,
{
    fn init(world: &mut W) -> Result<Self, InitError> {
        if world.config().devices.first().is_some_and(Q::is_wished) {
            return DriverPd::init(world).map(Self::Wished);
        }
        DriverPd::init(world).map(Self::Usual)
    }

    #[inline]
    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        match self {
            Self::Usual(pd) => pd.notified(from, world),
            Self::Wished(pd) => pd.notified(from, world),
        }
    }
}
