// SPDX-License-Identifier: MIT
//! The queues for requests as the engine uses them: one pair, or several.
//!
//! Each queue can hold all requests that are in flight, so that none is ever full, whichever a request goes to.
use crate::nvme::memory::Memory;
use crate::queue::{Answer, Completion, Submission};
use crate::wire::Command;
use crate::wire::register::Capabilities;
use orion_region::Mmio;

mod many;

pub use many::Many;

/// Most pairs.
pub const PAIRS: u8 = 8;

/// How the queues are to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Pairs of queues; 0 is one.
    pub queues: u8,
    /// Reads have a queue that goes before that of writes, and that one before what frees and zeroes, where the controller has
    /// weighted round robin (4.13). Wants three pairs.
    pub weighted: bool,
    /// Interrupts are held back until there are so many answers; 0 and 1: not at all.
    pub gather: u8,
    /// But no longer than so many microseconds, by the controller's clock of 100.
    pub gather_us: u16,
}

impl Wishes {
    /// Pairs that are worth being asked for.
    pub(crate) fn pairs(self, most: u8) -> u8 {
        if self.weighted { 3 } else { self.queues.max(1) }.min(most)
    }
}

/// What queues are made of.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Entries of each.
    pub entries: u16,
    /// Pairs.
    pub pairs: u8,
    /// Each pair is for one kind of requests.
    pub by_kind: bool,
    /// Interrupts are messages.
    pub messages: bool,
}

/// The queues for requests.
pub trait Queues: core::fmt::Debug + Sized {
    /// Most pairs.
    const MOST: u8;

    /// Empty queues.
    fn new(memory: &Memory, capabilities: Capabilities, terms: Terms) -> Self;

    /// The controller has made so many pairs of them.
    fn granted(&mut self, pairs: u8);

    /// The commands that follow are of this client.
    fn lane(&mut self, client: u8);

    /// The pair that has the command of this identifier, counted from 1.
    fn pair_of(&self, id: u16) -> u16;

    /// Words in memory shadow their doorbells from now on.
    fn shadow(&mut self, memory: &Memory, capabilities: Capabilities, entries: u16);

    /// Whether words in memory shadow their doorbells.
    fn is_shadowed(&self) -> bool;

    /// Writes a command, which the controller sees at the next [`kick`](Self::kick).
    fn push(&mut self, command: Command);

    /// Shows the controller what was written; how many registers that took.
    fn kick(&mut self, registers: &impl Mmio) -> u64;

    /// Takes the next answer. One that came in a queue in which it was not asked for has an identifier that there is not.
    fn pop(&mut self) -> Option<Answer>;

    /// What the answer that was taken last has beside its status.
    fn last_result(&self) -> u64;

    /// Gives back what was taken.
    fn release(&mut self, registers: &impl Mmio);

    /// Whether there is something to take.
    fn pending(&self) -> bool;

    /// Gives back what is taken at once, not many together.
    fn hasten(&mut self);

    /// Takes all that there is, as if it were not.
    fn discard(&mut self, registers: &impl Mmio, most: u16);

    /// The controller is left alone: it is shown nothing, nothing of it is taken.
    fn close(&mut self);

    /// How often registers were written to give back.
    fn rung(&self) -> u64;
}

/// One pair.
#[repr(C)]
#[derive(Debug)]
pub struct One {
    pub(crate) commands: Submission,
    pub(crate) answers: Completion,
}

impl One {
    /// The pair of a number, counted from 1.
    pub(crate) fn numbered(memory: &Memory, capabilities: Capabilities, terms: Terms, number: u8) -> Self {
        let (commands, answers) = memory.requests(capabilities, terms.entries, terms.messages, number);
        Self { commands, answers }
    }

    /// Words in memory shadow the doorbells of the pair of this number.
    pub(crate) fn shadow_numbered(&mut self, memory: &Memory, capabilities: Capabilities, entries: u16, number: u8) {
        memory.shadow(capabilities, &mut self.commands, &mut self.answers, (entries, number));
    }
}

impl Queues for One {
    const MOST: u8 = 1;

    fn new(memory: &Memory, capabilities: Capabilities, terms: Terms) -> Self {
        Self::numbered(memory, capabilities, terms, 1)
    }

    fn granted(&mut self, _: u8) {}

    #[inline(always)]
    fn lane(&mut self, _: u8) {}

    fn pair_of(&self, _: u16) -> u16 {
        1
    }

    fn shadow(&mut self, memory: &Memory, capabilities: Capabilities, entries: u16) {
        self.shadow_numbered(memory, capabilities, entries, 1);
    }

    fn is_shadowed(&self) -> bool {
        self.commands.is_shadowed()
    }

    #[inline(always)]
    fn push(&mut self, command: Command) {
        self.commands.push(command);
    }

    #[inline(always)]
    fn kick(&mut self, registers: &impl Mmio) -> u64 {
        self.commands.kick(registers).into()
    }

    #[inline(always)]
    fn pop(&mut self) -> Option<Answer> {
        self.answers.pop()
    }

    fn last_result(&self) -> u64 {
        self.answers.last_result()
    }

    #[inline(always)]
    fn release(&mut self, registers: &impl Mmio) {
        self.answers.release(registers);
    }

    fn pending(&self) -> bool {
        self.answers.pending()
    }

    fn hasten(&mut self) {
        self.answers.keep(0);
    }

    fn discard(&mut self, registers: &impl Mmio, most: u16) {
        self.answers.discard(registers, most);
    }

    fn close(&mut self) {
        self.commands.forget();
        self.answers.close();
    }

    fn rung(&self) -> u64 {
        self.answers.rung()
    }
}
