// SPDX-License-Identifier: MIT
//! Times a request now and then, from outside: what passes through the node meets nothing of it.
//!
//! A slot is watched. When a call of [`Node::run`](super::Node::run) has put a request into it, that one's time begins; when its
//! generation is another one, it has ended. Each is seen at the end of the call in which it came to be so.
use super::Node;
use crate::slots::Way;
use crate::{Id, Layer};
use orion_block::{Instant, Op};

/// Calls between two slots that are watched.
const APART: u8 = 128;
/// Calls after which one that gets no new request is given up.
const PATIENCE: u8 = 16;
/// Slots that are looked at for one in use.
const LOOKED_AT: usize = 16;

/// What is watched.
#[derive(Clone, Copy, Debug)]
enum Watch {
    /// Nothing, for so many more calls.
    Nothing(u8),
    /// For so many more calls, a slot that had this generation, and whether that request has not ended yet.
    Slot { id: Id, generation: u8, old: bool, calls: u8 },
    /// A request that was taken at this time.
    Request { id: Id, generation: u8, op: Op, since: Instant },
}

/// Times one request at a time.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    watch: Watch,
    /// Where the next slot in use is looked for.
    next: u16,
}

impl Probe {
    /// Of a node that was just made.
    pub const fn new() -> Self {
        Self { watch: Watch::Nothing(APART), next: 0 }
    }

    /// Whether the node is to be looked at. To be asked once after each call of [`Node::run`].
    #[inline]
    pub fn is_due(&mut self) -> bool {
        if let Watch::Nothing(calls @ 1..) = &mut self.watch {
            *calls -= 1;
            return false;
        }
        true
    }
}

impl Default for Probe {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: Layer, const N: usize, const F: usize> Node<L, N, F> {
    /// To be called after each call of [`run`](Self::run) after which the probe [is due](Probe::is_due), with the time of that
    /// call: what was asked, and for how many nanoseconds it was in the node and below, where the request that was watched has
    /// ended.
    pub fn look(&self, probe: &mut Probe, now: Instant) -> Option<(Op, u64)> {
        match probe.watch {
            Watch::Nothing(_) => probe.watch = self.choose(&mut probe.next)?,
            Watch::Slot { id, generation, old, calls } => {
                let slot = self.slots.get(id.index())?;
                let (busy, ended) = (slot.way != Way::Free, slot.generation != generation);
                probe.watch = match calls.checked_sub(1) {
                    _ if busy && (ended || !old) => {
                        Watch::Request { id, generation: slot.generation, op: slot.req.op, since: now }
                    }
                    Some(calls) => Watch::Slot { id, generation, old: old && !ended, calls },
                    None => Watch::Nothing(APART),
                };
            }
            Watch::Request { id, generation, op, since } => {
                self.slots.get(id.index()).filter(|slot| slot.generation != generation)?;
                probe.watch = Watch::Nothing(APART);
                return Some((op, now.0.saturating_sub(since.0)));
            }
        }
        None
    }

    /// The next slot to watch: one in use, since what is freed last is used first, else the one that will be.
    fn choose(&self, next: &mut u16) -> Option<Watch> {
        // Where there are few, they are the first.
        let from = if self.in_flight() < LOOKED_AT { 0 } else { (*next).min(self.usable) };
        let mut ids = (from..self.usable).chain(0..from).map(Id);
        let busy = |id: &Id| self.slots.get(id.index()).is_some_and(|slot| slot.way != Way::Free);
        let id = ids.by_ref().take(LOOKED_AT).find(busy).or(self.free.last().copied())?;
        *next = id.0 + 1;
        let slot = self.slots.get(id.index())?;
        Some(Watch::Slot { id, generation: slot.generation, old: slot.way != Way::Free, calls: PATIENCE })
    }
}

#[cfg(test)]
mod tests;
