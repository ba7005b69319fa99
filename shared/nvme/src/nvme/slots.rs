// SPDX-License-Identifier: MIT
//! A request at the controller.
use orion_block::{Instant, Request};

/// Where a request is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// There is none.
    #[default]
    Free,
    /// The controller has it.
    Held,
    /// The controller has a part of it, and gets the others one after the other.
    Parts,
    /// As `Parts`, of a write to a zone: no other of that zone goes to the controller meanwhile.
    Ordered,
    /// The part that was written last is compared with the payload.
    Compares,
    /// As `Parts`: what was written differed, and is written once more.
    Mends,
    /// It is compared once more.
    ComparesAgain,
    /// The controller has it not yet: another write to its zone comes first.
    Waits,
    /// The controller has it, and has to flush before it is answered.
    ThenFlush,
    /// The controller flushes for it.
    Flushing,
    /// An append to a zone: where it begins is known when it is answered, and is then in `sent`.
    Appends,
    /// What was appended is compared with the payload.
    ComparesAppended,
    /// It is no request: the zones of a unit are counted.
    Looks,
    /// It is no request, but a command of an order, about zones or to verify.
    Zone,
}

impl State {
    /// Whether there is a request.
    #[inline]
    pub fn is_held(self) -> bool {
        self != Self::Free
    }

    /// Whether the controller has a part of it, from the first block on that is not done.
    pub fn in_parts(self) -> bool {
        matches!(self, Self::Parts | Self::Ordered | Self::Mends | Self::Compares | Self::ComparesAgain)
    }

    /// Whether it is an append.
    pub fn is_append(self) -> bool {
        matches!(self, Self::Appends | Self::ComparesAppended)
    }

    /// Whether what was written is compared.
    pub fn is_compared(self) -> bool {
        matches!(self, Self::Compares | Self::ComparesAgain | Self::ComparesAppended)
    }
}

/// A request at the controller, as it was asked: it may have to be sent again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slot<T> {
    /// What its sender calls it.
    pub tag: T,
    /// When it is given up.
    pub deadline: Instant,
    /// What was asked.
    pub req: Request,
    /// Of its blocks, those that are done.
    pub sent: u32,
    /// Of which disk.
    pub unit: u8,
    /// Where it is.
    pub state: State,
    /// How often it was sent again because the controller asked for that.
    pub retries: u8,
    /// It was asked to be aborted.
    pub aborted: bool,
}
