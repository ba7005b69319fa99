// SPDX-License-Identifier: MIT
//! Requests that are allowed and wait: for their capability's budget, or for a place on the way to their disk.
use super::{Ctx, Gatekeeper};
use crate::Reason;
use crate::budget::Gate;
use crate::tree::Life;
use orion_block::{Completion, Error, Op, Request};
use orion_layer::{Id, Io, Layer};

/// Most requests that wait.
pub(super) const WAITING_MAX: usize = 256;
/// Bytes of a request that cost as much as the request itself, as in a node's turns.
const BYTES_SHIFT: u32 = 15;
/// Most that one request costs.
const COST_MAX: u64 = 64;

/// A request that waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    id: Id,
    client: u8,
    capability: u8,
    /// The lane in which it waits for a place, and its start there.
    lane: Option<(u8, u64)>,
}

impl Gatekeeper {
    /// Charges a request to its budgets and gives it a place; whether it has to wait for that.
    #[inline(never)]
    pub(super) fn waits(&mut self, id: Id, index: u8, req: &Request, io: &mut Io<'_, Ctx>) -> bool {
        let Some((port, queue)) = self.tree.entry(index).map(|e| (e.granted.port, e.waiting)) else { return false };
        let (bytes, client) = (self.bytes(port, req, io), io.upper(id));
        let lane = self.lanes.of(port).map(|lane| (lane, self.start_of(lane, client, bytes, io)));
        let gate = self.tree.gate(index, io.now());
        if queue == 0 && gate == Gate::Open && lane.is_none_or(|lane| self.is_free(lane, io)) {
            self.admit(index, lane, bytes, io);
            return false;
        }
        if let Gate::At(at) = gate {
            io.alarm(at);
        }
        match (self.waiting.push(Waiting { id, client, capability: index, lane }), self.tree.entry_mut(index)) {
            (Ok(()), Some(entry)) => entry.waiting += 1,
            _ => {
                io.done(id, Completion::error(Error::Again));
                return true;
            }
        }
        if let Some((lane, _)) = lane {
            self.lanes.waits(lane, client);
        }
        true
    }

    fn bytes(&self, port: u8, req: &Request, io: &Io<'_, Ctx>) -> u64 {
        let shift = io.below(port).map_or(0, |limits| limits.block.shift());
        if req.op == Op::Flush { 0 } else { u64::from(req.blocks) << shift }
    }

    fn start_of(&mut self, lane: u8, client: u8, bytes: u64, io: &Io<'_, Ctx>) -> u64 {
        let cost = u16::try_from(1 + (bytes >> BYTES_SHIFT).min(COST_MAX - 1)).unwrap_or(1);
        let weight = self.weight(client);
        self.lanes.start(lane, client, (cost, weight), io.now())
    }

    /// Whether a lane has a place for who comes, past nobody who waits there or for whom it is kept.
    fn is_free(&mut self, (lane, start): (u8, u64), io: &mut Io<'_, Ctx>) -> bool {
        self.lanes.has_room(lane)
            && !self.waiting.iter().any(|w| w.lane.is_some_and(|(of, _)| of == lane))
            && !self.is_kept((lane, start), io)
    }

    /// Whether a place is kept for another; if so, that is looked at again when it has been for long enough.
    fn is_kept(&mut self, (lane, start): (u8, u64), io: &mut Io<'_, Ctx>) -> bool {
        let until = self.lanes.keeps(lane, start, io.now());
        until.into_iter().for_each(|until| io.alarm(until));
        until.is_some()
    }

    fn admit(&mut self, index: u8, lane: Option<(u8, u64)>, bytes: u64, io: &Io<'_, Ctx>) {
        self.tree.charge(index, io.now(), bytes);
        if let Some((lane, start)) = lane {
            self.lanes.take(lane, start, io.now());
        }
    }

    /// Whether requests wait for places: [`give_places`](Self::give_places) is then to be called after each look at the
    /// clients' queues.
    #[inline]
    pub fn has_lanes(&self) -> bool {
        self.lanes.ports != 0 && !self.waiting.is_empty()
    }

    /// Gives free places on the ways to disks to those who wait for them, by weight. It comes after a look at the clients'
    /// queues, so that who has been answered just now and has asked again is not too late.
    #[cold]
    pub fn give_places(&mut self, io: &mut Io<'_, Ctx>) {
        // Lanes whose free places are kept for somebody, a bit each.
        let mut kept = 0;
        while let Some((at, lane)) = self.first_in_turn(kept, io) {
            if self.is_kept(lane, io) {
                kept |= 1 << lane.0;
            } else {
                self.go(at, io);
            }
        }
    }

    /// The waiting request that is first to have a place, but for `kept` lanes, and its lane and start.
    fn first_in_turn(&mut self, kept: u32, io: &mut Io<'_, Ctx>) -> Option<(usize, (u8, u64))> {
        let mut first: Option<(usize, (u8, u64))> = None;
        for (at, waiting) in self.waiting.iter().enumerate() {
            let open = |lane: u8| kept >> lane & 1 == 0 && self.lanes.has_room(lane);
            let Some((lane, start)) = waiting.lane.filter(|(lane, _)| open(*lane)) else { continue };
            if first.is_some_and(|(_, (_, earliest))| earliest <= start) {
                continue;
            }
            match self.tree.gate(waiting.capability, io.now()) {
                Gate::Open => first = Some((at, (lane, start))),
                Gate::At(opens) => io.alarm(opens),
                Gate::Completion => {}
            }
        }
        first
    }

    /// Sends the waiting requests whose budgets allow it now, oldest first.
    pub(super) fn release(&mut self, io: &mut Io<'_, Ctx>) {
        let mut at = 0;
        while let Some(waiting) = self.waiting.get(at) {
            let gate =
                if waiting.lane.is_some() { Gate::Completion } else { self.tree.gate(waiting.capability, io.now()) };
            match gate {
                Gate::Open => {
                    self.go(at, io);
                    continue;
                }
                Gate::Completion => {}
                Gate::At(opens) => io.alarm(opens),
            }
            at += 1;
        }
    }

    /// Sends one that waits no longer, if it is still allowed.
    fn go(&mut self, at: usize, io: &mut Io<'_, Ctx>) {
        let Waiting { id, lane, .. } = self.unlist(at);
        match self.decide(io.upper(id), &io.request(id)) {
            Ok((index, lba, blocks)) => {
                let req = Request { lba, blocks, ..io.request(id) };
                let port = self.tree.entry(index).map_or(u8::MAX, |e| e.granted.port);
                let bytes = self.bytes(port, &req, io);
                self.admit(index, lane, bytes, io);
                self.send(id, index, req, io);
            }
            Err((reason, line)) => self.deny(id, reason, line, io),
        }
    }

    fn unlist(&mut self, at: usize) -> Waiting {
        let waiting = self.waiting.remove(at);
        if let Some(entry) = self.tree.entry_mut(waiting.capability) {
            entry.waiting = entry.waiting.saturating_sub(1);
        }
        if let Some((lane, _)) = waiting.lane {
            self.lanes.waits_no_more(lane, waiting.client);
        }
        waiting
    }

    /// Ends the waiting requests of a client that has died: nobody hears how.
    #[cold]
    pub(super) fn forget_waiting(&mut self, client: u8, io: &mut Io<'_, Ctx>) {
        let mut at = 0;
        while let Some(&waiting) = self.waiting.get(at) {
            if waiting.client == client {
                self.unlist(at);
                io.done(waiting.id, Completion::error(Error::Again));
            } else {
                at += 1;
            }
        }
    }

    /// Denies the waiting requests that nothing allows any more.
    pub(super) fn deny_waiting(&mut self, io: &mut Io<'_, Ctx>) {
        let mut at = 0;
        while let Some(&Waiting { id, capability, .. }) = self.waiting.get(at) {
            let entry = self.tree.entry(capability);
            let (live, line) = entry.map_or((false, 0), |e| (e.life == Life::Live, e.granted.line));
            let reason = match self.decide(io.upper(id), &io.request(id)) {
                _ if !live => Reason::Revoked,
                Ok(_) => {
                    at += 1;
                    continue;
                }
                Err((reason, _)) => reason,
            };
            self.unlist(at);
            self.deny(id, reason, line, io);
        }
    }
}
