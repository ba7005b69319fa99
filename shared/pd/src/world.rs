// SPDX-License-Identifier: MIT
//! The two traits between a PD and the world it runs in.
use crate::Config;
use core::fmt;
use orion_block::Instant;
use orion_region::{Mmio, Window};

/// One of a PD's ends of channels or interrupts: 0 to 61, as in Microkit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Channel(pub u8);

/// A set of channels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChannelSet(pub u64);

impl ChannelSet {
    /// Every channel.
    pub const ALL: Self = Self(u64::MAX);

    /// Whether `channel` is in the set.
    pub const fn contains(self, channel: Channel) -> bool {
        channel.0 < 64 && self.0 & (1 << channel.0) != 0
    }

    /// The set with `channel` in it.
    #[must_use]
    pub const fn with(self, channel: Channel) -> Self {
        if channel.0 < 64 { Self(self.0 | 1 << channel.0) } else { self }
    }
}

/// A protected call's label and words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What is asked, or the result; [`Message::REFUSED`] says that the call is not served.
    pub label: u64,
    /// Up to four words.
    pub words: [u64; 4],
}

impl Message {
    /// The answer of a PD that serves no calls.
    pub const REFUSED: Self = Self { label: u64::MAX, words: [0; 4] };
}

/// What a PD that runs a job says at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The job succeeded.
    Passed,
    /// The job failed; the console says why.
    Failed,
}

/// Why a PD cannot start: what was found, where, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InitError(pub &'static str);

impl fmt::Display for InitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for InitError {}

/// How a child of this PD came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It touched memory that it may not touch, at this address.
    Memory(u64),
    /// It did what the processor can't do, at this address: an unknown instruction, a division by zero.
    Instruction(u64),
    /// It asked the kernel for what it may not have: a system call or a capability, by its number.
    Denied(u64),
    /// Its code found that it can't go on: a panic.
    Panic,
    /// It could not start.
    Start,
    /// Somebody ended it.
    Killed,
    /// It did not answer.
    Hung,
    /// What only the world can tell, by its number there.
    Other(u64),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(at) => write!(f, "touched {at:#x}, which it may not"),
            Self::Instruction(at) => write!(f, "did what the processor can't do at {at:#x}"),
            Self::Denied(_) => f.write_str("asked the kernel for what it may not have"),
            Self::Panic => f.write_str("panicked"),
            Self::Start => f.write_str("could not start"),
            Self::Killed => f.write_str("was killed"),
            Self::Hung => f.write_str("did not answer in time"),
            Self::Other(number) => write!(f, "ended ({number:#x})"),
        }
    }
}

/// The end of a child: it does nothing until it is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Its number, as in the configuration.
    pub child: u8,
    /// Why.
    pub cause: Cause,
}

/// What a world gives to a PD.
pub trait World {
    /// How this world reaches a device's registers.
    type Mmio: Mmio;

    /// The PD's configuration.
    fn config(&self) -> Config<'static>;

    /// Takes the mapped region that begins at `vaddr`; `None` where no region begins there or it was taken before.
    fn window(&mut self, vaddr: u64) -> Option<Window>;

    /// Takes the register file at `vaddr`; `None` where there is none or it was taken before.
    fn mmio(&mut self, vaddr: u64) -> Option<Self::Mmio>;

    /// Wakes the peer at the other end of `channel`.
    fn notify(&mut self, channel: Channel);

    /// Makes a protected call over `channel`, and waits for its answer; [`Message::REFUSED`] where the channel is not for calls of
    /// ours, where the world has none, and where who serves has ended. Nothing on the data path calls.
    fn call(&mut self, _channel: Channel, _message: Message) -> Message {
        Message::REFUSED
    }

    /// Lets the interrupt `channel` fire again.
    fn irq_ack(&mut self, channel: Channel);

    /// The time.
    fn now(&self) -> Instant;

    /// Prints one line on the system's console, with the PD's name before it.
    fn print(&mut self, line: fmt::Arguments<'_>);

    /// Reports the end of this PD's job. Worlds that can end the PD do so once it next returns.
    fn finish(&mut self, verdict: Verdict);

    /// The end of a child that was not told yet. The world calls `notified` (with an empty set of channels, unless there
    /// was a notification too) when there is one. PDs without children have none.
    fn take_fault(&mut self) -> Option<Fault> {
        None
    }

    /// Starts a child anew, whatever it does: from its first instruction, with its memory as at boot, what it shares with
    /// others as it is. Whether it could.
    fn restart(&mut self, _child: u8) -> bool {
        false
    }

    /// Stops a child for good, or until it is restarted. It runs no instruction once this has returned, and the end that it
    /// comes to by this is no fault to be told.
    fn stop(&mut self, _child: u8) {}
}

/// A protection domain: set up once, then called for each notification.
pub trait ProtectionDomain<W: World>: Sized {
    /// Sets the PD up from its configuration. Restart is the same call.
    ///
    /// # Errors
    /// [`InitError`] where the configuration or the device does not allow it; the world prints it and stops the PD.
    fn init(world: &mut W) -> Result<Self, InitError>;

    /// Serves what happened on the channels of `from`, and everything else that is ready. Called once with
    /// [`ChannelSet::ALL`] after `init`. Returns when it wants to be called again though nothing happened.
    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant>;

    /// Serves a protected call.
    fn protected(&mut self, _from: Channel, _message: Message, _world: &mut W) -> Message {
        Message::REFUSED
    }
}
