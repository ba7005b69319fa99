// SPDX-License-Identifier: MIT
//! Requests that are allowed and wait: for their capability's budget, or for a place on the way to their disk.
use super::{Ctx, Gatekeeper};
use crate::budget::Gate;
use crate::tree::Life;
use crate::{Reason, Rights};
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
    capability: u8,
    /// The lane in which it waits for a place, and its start there.
    lane: Option<(u8, u64)>,
}

impl Gatekeeper {
    /// Charges a request to its budgets and gives it a place; whether it has to wait for that.
    #[inline(never)]
    pub(super) fn waits(&mut self, id: Id, index: u8, req: &Request, io: &mut Io<'_, Ctx>) -> bool {
        let Some((port, queue)) = self.tree.entry(index).map(|e| (e.granted.port, e.waiting)) else { return false };
        let bytes = self.bytes(port, req, io);
        let lane = self.lanes.of(port).map(|lane| (lane, self.start_of(lane, io.upper(id), bytes)));
        let gate = self.tree.gate(index, io.now());
        if queue == 0 && gate == Gate::Open && lane.is_none_or(|(lane, _)| self.is_free(lane)) {
            self.admit(index, lane, bytes, io);
            return false;
        }
        if let Gate::At(at) = gate {
            io.alarm(at);
        }
        match (self.waiting.push(Waiting { id, capability: index, lane }), self.tree.entry_mut(index)) {
            (Ok(()), Some(entry)) => entry.waiting += 1,
            _ => io.done(id, Completion::error(Error::Again)),
        }
        true
    }

    fn bytes(&self, port: u8, req: &Request, io: &Io<'_, Ctx>) -> u64 {
        let shift = io.below(port).map_or(0, |limits| limits.block.shift());
        if req.op == Op::Flush { 0 } else { u64::from(req.blocks) << shift }
    }

    fn start_of(&mut self, lane: u8, client: u8, bytes: u64) -> u64 {
        let cost = u16::try_from(1 + (bytes >> BYTES_SHIFT).min(COST_MAX - 1)).unwrap_or(1);
        let weight = self.weight(client);
        self.lanes.start(lane, client, cost, weight)
    }

    /// Whether a lane has a place for who comes, past nobody who waits there.
    fn is_free(&self, lane: u8) -> bool {
        self.lanes.has_room(lane) && !self.waiting.iter().any(|w| w.lane.is_some_and(|(of, _)| of == lane))
    }

    fn admit(&mut self, index: u8, lane: Option<(u8, u64)>, bytes: u64, io: &Io<'_, Ctx>) {
        self.tree.charge(index, io.now(), bytes);
        if let Some((lane, start)) = lane {
            self.lanes.take(lane, start);
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
        loop {
            let mut first: Option<(usize, u64)> = None;
            for (at, waiting) in self.waiting.iter().enumerate() {
                let Some((_, start)) = waiting.lane.filter(|(lane, _)| self.lanes.has_room(*lane)) else { continue };
                if first.is_some_and(|(_, earliest)| earliest <= start) {
                    continue;
                }
                match self.tree.gate(waiting.capability, io.now()) {
                    Gate::Open => first = Some((at, start)),
                    Gate::At(opens) => io.alarm(opens),
                    Gate::Completion => {}
                }
            }
            let Some((at, _)) = first else { return };
            self.go(at, io);
        }
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
        waiting
    }

    /// Denies the waiting requests that nothing allows any more.
    pub(super) fn deny_waiting(&mut self, io: &mut Io<'_, Ctx>) {
        let mut at = 0;
        while let Some(&Waiting { id, capability, .. }) = self.waiting.get(at) {
            let entry = self.tree.entry(capability);
            let needed = Rights::needed(io.request(id).op);
            if entry.is_some_and(|e| e.allowed.contains(needed)) {
                at += 1;
                continue;
            }
            let frozen = entry.is_some_and(|e| e.life == Life::Live);
            let line = entry.map_or(0, |e| e.granted.line);
            self.unlist(at);
            self.deny(id, if frozen { Reason::Frozen } else { Reason::Revoked }, line, io);
        }
    }
}
