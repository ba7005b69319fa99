// SPDX-License-Identifier: MIT
//! What happened, counted: a simulation in which nothing goes wrong proves nothing.

/// Something that can happen in a simulated world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A request of a client ended.
    Request,
    /// Power was lost.
    PowerLoss,
    /// A write or its answer was under way when power was lost.
    CaughtInFlight,
    /// A block that was cached kept its old content when power was lost.
    CacheLost,
    /// A block that was cached got a version between the first and the last.
    CacheOlder,
    /// A request of several blocks was done in part when power was lost.
    Torn,
    /// Later writes survived a loss of power that earlier ones did not.
    Reordered,
    /// A read or write of a block failed.
    MediumError,
    /// A flush failed.
    FlushError,
    /// Content changed by itself.
    Rot,
    /// A write was acknowledged and not done.
    LostWrite,
    /// A write went elsewhere.
    Misdirected,
    /// A flush was acknowledged and not done.
    LyingFlush,
    /// A request took a hundred times as long as others.
    Tail,
    /// A device did nothing for longer than the driver waits.
    Stall,
    /// A device left for good.
    Vanished,
    /// A driver reset its device.
    DeviceReset,
    /// A request was done out of order.
    OutOfOrder,
    /// A request beyond its grant was denied.
    Denied,
    /// A write with force unit access ended.
    Fua,
    /// A flush ended well.
    Flush,
    /// Zeroes were written.
    Zeroes,
    /// Blocks were discarded.
    Discard,
    /// Operations on one block overlapped in time.
    Overlap,
    /// A read was compared with what is legal.
    ReadChecked,
    /// A block was compared with what is legal after a loss of power.
    RecoveryChecked,
    /// A hostile client wrote garbage.
    Garbage,
    /// A client was told that a request failed.
    Failed,
    /// A driver died, and began again.
    DriverDied,
    /// A layer died.
    LayerDied,
    /// The gatekeeper died.
    GatekeeperDied,
    /// A client died.
    ClientDied,
    /// A write of a client that has died was still under way when its next life began.
    Orphaned,
}

impl Event {
    /// Every event.
    pub const ALL: [Self; 33] = [
        Self::Request,
        Self::PowerLoss,
        Self::CaughtInFlight,
        Self::CacheLost,
        Self::CacheOlder,
        Self::Torn,
        Self::Reordered,
        Self::MediumError,
        Self::FlushError,
        Self::Rot,
        Self::LostWrite,
        Self::Misdirected,
        Self::LyingFlush,
        Self::Tail,
        Self::Stall,
        Self::Vanished,
        Self::DeviceReset,
        Self::OutOfOrder,
        Self::Denied,
        Self::Fua,
        Self::Flush,
        Self::Zeroes,
        Self::Discard,
        Self::Overlap,
        Self::ReadChecked,
        Self::RecoveryChecked,
        Self::Garbage,
        Self::Failed,
        Self::DriverDied,
        Self::LayerDied,
        Self::GatekeeperDied,
        Self::ClientDied,
        Self::Orphaned,
    ];
}

/// How often each event happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events([u64; Event::ALL.len()]);

impl Default for Events {
    fn default() -> Self {
        Self([0; Event::ALL.len()])
    }
}

impl Events {
    /// It happened.
    pub fn note(&mut self, event: Event) {
        self.0[event as usize] += 1;
    }

    /// How often it happened.
    pub fn count(&self, event: Event) -> u64 {
        self.0[event as usize]
    }

    /// Adds the counts of another world.
    pub fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own += other);
    }

    /// Events that never happened, but for a disk's lies about flushes, which only a test of the simulator asks for.
    pub fn missing(&self) -> Vec<Event> {
        let never = Event::ALL.into_iter().filter(|event| self.count(*event) == 0);
        never.filter(|event| *event != Event::LyingFlush).collect()
    }
}
