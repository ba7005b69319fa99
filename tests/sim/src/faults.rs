// SPDX-License-Identifier: MIT
//! Which faults a world has.

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Reads and writes fail, some for good, and flushes.
    Errors,
    /// Content changes by itself.
    Rot,
    /// Writes are acknowledged and not done.
    Lost,
    /// Writes go elsewhere.
    Misdirected,
    /// Some requests take a hundred times as long as others.
    Tails,
    /// The device does nothing for longer than its driver waits.
    Stalls,
    /// The device leaves.
    Vanishing,
    /// The device acknowledges flushes and does nothing: what the stack can't bear, for tests of the simulator.
    Lies,
    /// Blocks are torn within: what the stack can't bear either.
    TornBlocks,
}

/// Kinds of faults by their names in a case's line. Those before [`Fault::Lies`] are what a stack must bear.
pub const NAMES: [(Fault, &str); 9] = [
    (Fault::Errors, "errors"),
    (Fault::Rot, "rot"),
    (Fault::Lost, "lost"),
    (Fault::Misdirected, "misdirected"),
    (Fault::Tails, "tails"),
    (Fault::Stalls, "stalls"),
    (Fault::Vanishing, "vanishing"),
    (Fault::Lies, "lies"),
    (Fault::TornBlocks, "torn-blocks"),
];

/// A set of kinds of faults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultSet(u16);

impl FaultSet {
    /// The faults that a stack must bear.
    pub const BEARABLE: Self = Self((1 << Fault::Lies as u16) - 1);

    /// The set whose members have these bits.
    pub fn from_bits(bits: u16) -> Self {
        Self(bits)
    }

    /// Whether it has a kind.
    pub fn has(self, fault: Fault) -> bool {
        self.0 & (1 << fault as u16) != 0
    }

    /// The set with a kind.
    #[must_use]
    pub fn with(self, fault: Fault) -> Self {
        Self(self.0 | 1 << fault as u16)
    }

    /// The set without a kind.
    #[must_use]
    pub fn without(self, fault: Fault) -> Self {
        Self(self.0 & !(1 << fault as u16))
    }

    /// What is in both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether requests may fail though nothing is wrong with them.
    pub fn fails_requests(self) -> bool {
        [Fault::Errors, Fault::Stalls, Fault::Vanishing].into_iter().any(|fault| self.has(fault))
    }
}
