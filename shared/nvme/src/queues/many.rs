// SPDX-License-Identifier: MIT
//! Several pairs of queues as one (section 4.1).
//!
//! Each client has a pair, so that none goes through another's; of a client that is alone each batch goes to the next pair, for a
//! controller that serves its queues in parallel. Or, where the controller arbitrates by weight, each kind of request has one.
use super::{One, PAIRS, Queues, Terms};
use crate::nvme::MOST;
use crate::nvme::memory::Memory;
use crate::queue::Answer;
use crate::wire::Command;
use crate::wire::command::nvm;
use crate::wire::register::Capabilities;
use core::array::from_fn;
use orion_region::Mmio;

/// No pair has it.
const NOBODY: u8 = u8::MAX;

/// Whose requests come.
#[derive(Clone, Copy, Debug)]
enum Clients {
    None,
    One(u8),
    Several,
}

/// Several pairs.
#[derive(Debug)]
pub struct Many {
    pairs: [Option<One>; PAIRS as usize],
    count: u8,
    /// The pair that has the command of each identifier.
    owners: [u8; MOST],
    by_kind: bool,
    clients: Clients,
    /// The pair for what comes now.
    lane: u8,
    /// Whether anything was written since the last kick.
    staged: bool,
    /// The pair that is looked at first.
    first: u8,
}

impl Many {
    fn present(&self) -> impl Iterator<Item = &One> {
        self.pairs.iter().flatten()
    }

    fn present_mut(&mut self) -> impl Iterator<Item = &mut One> {
        self.pairs.iter_mut().flatten()
    }

    /// The pair for a command.
    fn choose(&self, opcode: u8) -> u8 {
        let lane = match opcode {
            _ if !self.by_kind => self.lane,
            nvm::READ => 0,
            nvm::WRITE | nvm::COMPARE | nvm::ZONE_APPEND | nvm::FLUSH => 1,
            _ => 2,
        };
        lane.min(self.count.saturating_sub(1))
    }

    fn after(&self, pair: u8) -> u8 {
        if pair + 1 < self.count { pair + 1 } else { 0 }
    }
}

impl Queues for Many {
    const MOST: u8 = PAIRS;

    fn new(memory: &Memory, capabilities: Capabilities, terms: Terms) -> Self {
        let pairs = terms.pairs.min(PAIRS);
        let mut numbers = 1..=pairs;
        let pair = |_| Some(One::numbered(memory, capabilities, terms, numbers.next()?));
        Self {
            pairs: from_fn(pair),
            count: 1,
            owners: [NOBODY; MOST],
            by_kind: terms.by_kind,
            clients: Clients::None,
            lane: 0,
            staged: false,
            first: 0,
        }
    }

    fn granted(&mut self, pairs: u8) {
        self.count = pairs.clamp(1, PAIRS);
        self.pairs.iter_mut().skip(self.count.into()).for_each(|pair| *pair = None);
    }

    fn lane(&mut self, client: u8) {
        match self.clients {
            Clients::None => self.clients = Clients::One(client),
            Clients::One(one) if one != client => self.clients = Clients::Several,
            _ => {}
        }
        if matches!(self.clients, Clients::Several) {
            self.lane = client % self.count.max(1);
        }
    }

    fn pair_of(&self, id: u16) -> u16 {
        self.owners.get(usize::from(id)).filter(|owner| **owner != NOBODY).map_or(1, |owner| u16::from(*owner) + 1)
    }

    fn shadow(&mut self, memory: &Memory, capabilities: Capabilities, entries: u16) {
        for (number, pair) in (1..).zip(self.present_mut()) {
            pair.shadow_numbered(memory, capabilities, entries, number);
        }
    }

    fn is_shadowed(&self) -> bool {
        self.present().all(Queues::is_shadowed)
    }

    fn push(&mut self, command: Command) {
        let pair = self.choose((command.head & 0xff) as u8);
        let owner = self.owners.get_mut(usize::from(command.id()));
        if let (Some(owner), Some(queues)) = (owner, self.pairs.get_mut(usize::from(pair)).and_then(Option::as_mut)) {
            *owner = pair;
            queues.push(command);
            self.staged = true;
        }
    }

    fn kick(&mut self, registers: &impl Mmio) -> u64 {
        if !core::mem::take(&mut self.staged) {
            return 0;
        }
        if !matches!(self.clients, Clients::Several) {
            self.lane = self.after(self.lane);
        }
        self.present_mut().map(|pair| pair.kick(registers)).sum()
    }

    fn pop(&mut self) -> Option<Answer> {
        let mut pair = self.first;
        for _ in 0..self.count {
            if let Some(answer) = self.pairs.get_mut(usize::from(pair)).and_then(Option::as_mut).and_then(Queues::pop) {
                // The next one is of another pair: none is kept waiting by one that is always busy.
                self.first = self.after(pair);
                let owner = self.owners.get_mut(usize::from(answer.id())).filter(|owner| **owner == pair);
                return Some(owner.map_or(Answer::STRANGE, |owner| {
                    *owner = NOBODY;
                    answer
                }));
            }
            pair = self.after(pair);
        }
        None
    }

    fn last_result(&self) -> u64 {
        // It was of the pair before the one that comes next.
        let pair = self.first.checked_sub(1).unwrap_or(self.count.saturating_sub(1));
        self.pairs.get(usize::from(pair)).and_then(Option::as_ref).map_or(0, Queues::last_result)
    }

    fn release(&mut self, registers: &impl Mmio) {
        self.present_mut().for_each(|pair| pair.release(registers));
    }

    fn pending(&self) -> bool {
        self.present().any(Queues::pending)
    }

    fn hasten(&mut self) {
        self.present_mut().for_each(Queues::hasten);
    }

    fn discard(&mut self, registers: &impl Mmio, most: u16) {
        self.present_mut().for_each(|pair| pair.discard(registers, most));
    }

    fn close(&mut self) {
        self.present_mut().for_each(Queues::close);
    }

    fn rung(&self) -> u64 {
        self.present().map(Queues::rung).sum()
    }
}
