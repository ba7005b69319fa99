// SPDX-License-Identifier: MIT
//! What runs a layer: the table of requests in flight, splitting, back-pressure, fair admission, checked completions.
use crate::context::{Desk, Io};
use crate::share::{self, Share};
use crate::slots::{NOTHING, OWN, Pending, SLOTS_MAX, Slot, Tag, believed};
use crate::split::{self, Parent};
use crate::{Event, FANOUT_MAX, Id, Layer, Lowers, Payload, PeerMisbehaved, Start, Submission, Uppers};
use heapless::Vec;
use orion_block::{Completion, Error, Instant, Limits, Op, Request};

#[cfg(test)]
mod tests;

/// Most clients above a node.
pub const UPPERS_MAX: u8 = 62;
/// Most devices below a node.
pub const PORTS_MAX: usize = 62;

/// What a call of [`Node::run`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether anything moved; if so there may be more to do.
    pub moved: bool,
    /// When the layer wants to be called though nothing happens.
    pub deadline: Option<Instant>,
    /// A device below broke the protocol and was closed.
    pub misbehaved: Option<PeerMisbehaved>,
}

/// What a node works with during one call.
pub struct Around<'a> {
    /// The clients above.
    pub uppers: &'a mut dyn Uppers,
    /// The devices below.
    pub lowers: &'a mut dyn Lowers,
    /// The data regions that are mapped here.
    pub payload: &'a mut dyn Payload,
    /// The time.
    pub now: Instant,
}

/// A layer between queues: rings where the neighbour is another PD, local queues where it is fused into this one. The
/// layer can't tell. `N` is the number of slots, at most 1024.
#[derive(Debug)]
pub struct Node<L: Layer, const N: usize> {
    layer: L,
    state: Start,
    limits: Limits,
    slots: [Slot<L::Ctx>; N],
    free: Vec<Id, N>,
    parents: [Parent; N],
    free_parents: Vec<u16, N>,
    /// The request of each upper that is being issued in parts.
    splitting: [u16; UPPERS_MAX as usize],
    /// Slots that each upper holds.
    held: [u16; UPPERS_MAX as usize],
    /// What each upper gets beside the others.
    shares: [Share; UPPERS_MAX as usize],
    /// Slots that may be in use, so that no port below can overflow.
    usable: u16,
    turn: u8,
    started: bool,
    /// The time of the last call.
    seen: Instant,
    desk: Desk,
}

impl<L: Layer, const N: usize> Node<L, N> {
    /// A node around `layer`. `life` should differ from the node's earlier life, so that late completions of that one
    /// don't match.
    pub fn new(layer: L, life: u8) -> Self {
        const { assert!(N > 0 && N <= SLOTS_MAX && L::FANOUT > 0 && L::FANOUT <= FANOUT_MAX) };
        let generation = life.wrapping_mul(97);
        Self {
            layer,
            state: Start::Starting,
            limits: Limits::default(),
            slots: core::array::from_fn(|_| Slot::new(generation)),
            free: (0..N).rev().map(|i| Id(u16::try_from(i).unwrap_or(0))).collect(),
            parents: [Parent::FREE; N],
            free_parents: (0..N).filter_map(|i| u16::try_from(i).ok()).collect(),
            splitting: [NOTHING; UPPERS_MAX as usize],
            held: [0; UPPERS_MAX as usize],
            shares: [Share::NONE; UPPERS_MAX as usize],
            usable: 0,
            turn: 0,
            started: false,
            seen: Instant(0),
            desk: Desk { pending: Pending::NONE, closed: 0, deadline: None, fanout: L::FANOUT, own: None },
        }
    }

    /// The layer.
    pub fn layer(&self) -> &L {
        &self.layer
    }

    /// The layer, to be changed between calls of [`run`](Self::run).
    pub fn layer_mut(&mut self) -> &mut L {
        &mut self.layer
    }

    /// Whether it serves requests.
    pub fn ready(&self) -> bool {
        self.state == Start::Ready
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> usize {
        N - self.free.len()
    }

    /// Whether a request of `upper` would be taken now.
    pub fn has_room(&self, upper: u8) -> bool {
        let held = self.held.get(usize::from(upper)).copied().unwrap_or(u16::MAX);
        let share = self.shares.get(usize::from(upper)).map_or(0, |s| s.slots);
        held < share && self.in_flight() < usize::from(self.usable)
    }

    /// What this node offers its uppers. It splits what is too large, so it has no largest request.
    pub fn limits(&self) -> Option<Limits> {
        let optimal = if self.limits.optimal_blocks == 0 { self.limits.max_blocks } else { self.limits.optimal_blocks };
        let limits = Limits { max_blocks: 0, boundary: 0, optimal_blocks: optimal, ..self.limits };
        self.ready().then_some(Limits { queue_depth: self.usable, ..limits })
    }

    /// What this node offers one of its uppers.
    pub fn limits_of(&self, upper: u8) -> Option<Limits> {
        self.limits().map(|all| self.layer.limits_of(upper, all))
    }

    /// Drains completions, then admits requests, until nothing more can be done now.
    pub fn run(&mut self, around: &mut Around<'_>) -> Progress {
        let mut progress = Progress { moved: false, deadline: None, misbehaved: None };
        if self.state == Start::Starting {
            // Answers to what the layer asks on its own.
            progress.misbehaved = self.drain(around, &mut progress.moved);
            if !self.start(around) {
                return progress;
            }
        }
        progress.misbehaved = progress.misbehaved.or(self.drain(around, &mut progress.moved));
        self.tick(around);
        progress.moved |= self.admit(around);
        progress.deadline = self.desk.deadline;
        progress
    }

    /// Calls the layer between two calls of [`run`](Self::run), as control commands do, and does what that caused.
    pub fn control<R>(
        &mut self,
        around: &mut Around<'_>,
        f: impl FnOnce(&mut L, &mut Io<'_, L::Ctx>) -> R,
    ) -> Option<R> {
        let mut result = None;
        self.call(around, |layer, io| result = Some(f(layer, io)));
        result
    }

    /// Tells the layer that the device below `port` left or came back. After [`Event::Gone`] everything outstanding
    /// there has failed with [`Error::Offline`].
    pub fn event(&mut self, port: u8, event: Event, around: &mut Around<'_>) {
        match event {
            Event::Gone => self.close(port, around),
            Event::Back if port < 64 => self.desk.closed &= !(1 << port),
            _ => {}
        }
        if event != Event::Gone {
            self.call(around, |layer, io| layer.event(port, event, io));
        }
    }

    fn start(&mut self, around: &mut Around<'_>) -> bool {
        let ports = around.lowers.count();
        let mut below: Vec<Limits, PORTS_MAX> = Vec::new();
        for port in 0..ports {
            match around.lowers.limits(port) {
                Some(limits) => {
                    let _ = below.push(limits);
                }
                None => return false,
            }
        }
        let smallest = (0..ports).map(|p| usize::from(around.lowers.capacity(p)) / L::FANOUT).min().unwrap_or(N);
        self.usable = u16::try_from(smallest.min(N)).unwrap_or(u16::MAX);
        self.limits = self.layer.limits(&below);
        self.open_own();
        let mut state = Start::Starting;
        self.call(around, |layer, io| state = layer.start(io));
        if state == Start::Starting {
            return false;
        }
        self.close_own(around);
        self.limits = self.layer.limits(&below);
        self.state = state;
        let layer = &self.layer;
        share::divide(&mut self.shares, around.uppers.count(), self.usable, |upper| layer.weight(upper));
        true
    }

    /// A slot for the layer's own request.
    fn open_own(&mut self) {
        if self.desk.own.is_some() {
            return;
        }
        let Some(id) = self.free.pop() else { return };
        if let Some(slot) = self.slots.get_mut(id.index()) {
            (slot.busy, slot.upper, slot.parent) = (true, u8::MAX, OWN);
            self.desk.own = Some(id);
        }
    }

    /// Frees that slot, or lets it be freed when what is outstanding has ended.
    fn close_own(&mut self, around: &mut Around<'_>) {
        if let Some(id) = self.desk.own.take() {
            self.call(around, |_, io| io.done(id, Completion::ok(0)));
        }
    }

    fn drain(&mut self, around: &mut Around<'_>, moved: &mut bool) -> Option<PeerMisbehaved> {
        loop {
            let misbehaved = match around.lowers.next() {
                Ok(None) => return None,
                Ok(Some((port, tag, done))) => {
                    *moved = true;
                    match self.completed(port, tag, done, around) {
                        Ok(()) => continue,
                        Err(what) => PeerMisbehaved { port, what },
                    }
                }
                Err(misbehaved) => misbehaved,
            };
            *moved = true;
            self.close(misbehaved.port, around);
            return Some(misbehaved);
        }
    }

    fn completed(&mut self, port: u8, tag: u32, done: Completion, around: &mut Around<'_>) -> Result<(), &'static str> {
        let Tag { generation, id, child } = Tag::unpack(tag);
        let slot = self.slots.get_mut(id.index()).ok_or("answered a request that cannot exist")?;
        let bit = 1u8.checked_shl(u32::from(child)).unwrap_or(0);
        let asked = slot.children.get(usize::from(child)).copied().unwrap_or_default();
        if !slot.busy || slot.generation != generation || slot.outstanding & bit == 0 || asked.port != port {
            return Err("answered a request that is not outstanding");
        }
        slot.outstanding &= !bit;
        match slot.answer {
            None => self.call(around, |layer, io| layer.complete(id, child, believed(done, asked.blocks), io)),
            Some(answer) if slot.outstanding == 0 => self.finish(id, answer, around),
            Some(_) => {}
        }
        Ok(())
    }

    /// Fails everything outstanding at `port`, and everything sent there from now on.
    fn close(&mut self, port: u8, around: &mut Around<'_>) {
        let Some(bit) = 1u64.checked_shl(u32::from(port)) else {
            return;
        };
        if self.desk.closed & bit != 0 {
            return;
        }
        self.desk.closed |= bit;
        for index in 0..N {
            let Some(slot) = self.slots.get_mut(index).filter(|s| s.busy) else {
                continue;
            };
            let at_port = (0..8u8).zip(&slot.children).filter(|(_, c)| c.port == port);
            let lost = slot.outstanding & at_port.fold(0, |mask, (child, _)| mask | 1 << child);
            if lost != 0 {
                slot.outstanding &= !lost;
                slot.refused |= lost;
                self.desk.pending.push(Id(u16::try_from(index).unwrap_or(0)), &mut self.slots);
            }
        }
        self.call(around, |layer, io| layer.event(port, Event::Gone, io));
    }

    fn tick(&mut self, around: &mut Around<'_>) {
        // A deadline of a clock that went back would be far away.
        let back = around.now < self.seen && self.desk.deadline.is_some();
        self.seen = around.now;
        if self.started && !back && self.desk.deadline.is_none_or(|at| around.now < at) {
            return;
        }
        self.started = true;
        self.desk.deadline = None;
        let now = around.now;
        self.call(around, |layer, io| {
            if let Some(at) = layer.tick(now, io) {
                io.alarm(at);
            }
        });
    }

    /// Deficit round robin: each upper in turn, for as long as its credit lasts, until nobody has a request or no slot is
    /// left.
    fn admit(&mut self, around: &mut Around<'_>) -> bool {
        let uppers = around.uppers.count().min(UPPERS_MAX);
        let (mut moved, mut idle, mut owing) = (false, 0, false);
        while idle < uppers && self.in_flight() < usize::from(self.usable) {
            if self.turn >= uppers {
                self.turn = 0;
            }
            let upper = self.turn;
            let Some(share) = self.shares.get(usize::from(upper)) else { break };
            let cost = if share.credit > 0 { self.admit_one(upper, around) } else { None };
            let Some(share) = self.shares.get_mut(usize::from(upper)) else { break };
            match cost {
                Some(cost) => {
                    (moved, idle) = (true, 0);
                    self.turn += u8::from(share.spend(cost));
                }
                None => {
                    (idle, self.turn) = (idle + 1, upper + 1);
                    owing |= share.pass();
                }
            }
            if idle == uppers && owing {
                share::settle(&mut self.shares, uppers);
                (idle, owing) = (0, false);
            }
        }
        moved
    }

    /// Admits one request, or the next part of one, and says what it costs. Each upper may hold its share of the slots, so
    /// that none can starve another.
    fn admit_one(&mut self, upper: u8, around: &mut Around<'_>) -> Option<u16> {
        if !self.has_room(upper) {
            return None;
        }
        match self.splitting.get(usize::from(upper)).copied() {
            Some(NOTHING) => {}
            Some(parent) => return Some(self.issue_part(parent, around)),
            None => return None,
        }
        let Submission { tag, req } = around.uppers.next(upper)?;
        let mut cost = share::cost(&req, &self.limits);
        if let Err(error) = self.acceptable(&req) {
            around.uppers.complete(upper, tag, Completion::error(error));
        } else if req.op == Op::Flush || split::fits(&req, &self.limits) {
            self.issue(req, tag, upper, NOTHING, 0, around);
        } else {
            cost = self.split(req, tag, upper, around);
        }
        Some(cost)
    }

    fn acceptable(&self, req: &Request) -> Result<(), Error> {
        if let Start::Refused(error) = self.state {
            return Err(error);
        }
        if req.op == Op::Flush {
            return Ok(());
        }
        if req.blocks == 0 {
            return Err(Error::Invalid);
        }
        if req.op.modifies() && self.limits.read_only {
            return Err(Error::ReadOnly);
        }
        let fits = req.end().is_some_and(|end| end <= self.limits.capacity);
        if fits { Ok(()) } else { Err(Error::OutOfRange) }
    }

    fn split(&mut self, req: Request, tag: u32, upper: u8, around: &mut Around<'_>) -> u16 {
        // As many as there are slots, and each but the one being issued holds a slot: this fails only where more clients
        // than slots are being split at once.
        let Some(index) = self.free_parents.pop() else {
            around.uppers.complete(upper, tag, Completion::error(Error::Again));
            return 1;
        };
        if let Some(parent) = self.parents.get_mut(usize::from(index)) {
            *parent = Parent { req, tag, upper, ..Parent::FREE };
        }
        if let Some(splitting) = self.splitting.get_mut(usize::from(upper)) {
            *splitting = index;
        }
        self.issue_part(index, around)
    }

    fn issue_part(&mut self, index: u16, around: &mut Around<'_>) -> u16 {
        let limits = self.limits;
        let Some(parent) = self.parents.get_mut(usize::from(index)) else {
            return 1;
        };
        let (skip, upper, tag) = (parent.issued, parent.upper, parent.tag);
        let req = split::part(&parent.req, skip, &limits);
        parent.issued = skip.saturating_add(req.blocks);
        parent.parts += 1;
        let last = !parent.unissued();
        if last && let Some(splitting) = self.splitting.get_mut(usize::from(upper)) {
            *splitting = NOTHING;
        }
        self.issue(req, tag, upper, index, skip, around);
        share::cost(&req, &limits)
    }

    fn issue(&mut self, req: Request, tag: u32, upper: u8, parent: u16, skip: u32, around: &mut Around<'_>) {
        let Some(id) = self.free.pop() else { return };
        let Some(slot) = self.slots.get_mut(id.index()) else {
            return;
        };
        (slot.req, slot.ctx, slot.tag, slot.upper) = (req, L::Ctx::default(), tag, upper);
        (slot.parent, slot.skip, slot.answer) = (parent, skip, None);
        (slot.busy, slot.woken, slot.outstanding, slot.refused) = (true, false, 0, 0);
        if let Some(held) = self.held.get_mut(usize::from(upper)) {
            *held += 1;
        }
        self.call(around, |layer, io| layer.submit(id, io));
    }

    /// Calls the layer, then does what that caused: answers, failures at closed ports, wake-ups.
    fn call(&mut self, around: &mut Around<'_>, f: impl FnOnce(&mut L, &mut Io<'_, L::Ctx>)) {
        self.enter(around, f);
        while let Some(id) = self.desk.pending.pop(&mut self.slots) {
            self.settle(id, around);
        }
    }

    /// Does what a call of the layer has left to do for one request.
    fn settle(&mut self, id: Id, around: &mut Around<'_>) {
        let Some(slot) = self.slots.get_mut(id.index()).filter(|s| s.busy) else {
            return;
        };
        if let Some(answer) = slot.answer {
            if slot.outstanding == 0 {
                self.finish(id, answer, around);
            }
        } else if slot.refused != 0 {
            self.tell_refused(id, around);
        } else if core::mem::take(&mut slot.woken) {
            self.enter(around, |layer, io| layer.submit(id, io));
        }
    }

    #[inline]
    fn enter(&mut self, around: &mut Around<'_>, f: impl FnOnce(&mut L, &mut Io<'_, L::Ctx>)) {
        let Around { lowers, payload, now, .. } = around;
        let (slots, desk) = (&mut self.slots, &mut self.desk);
        f(&mut self.layer, &mut Io { slots, desk, lowers: &mut **lowers, payload: &mut **payload, now: *now });
    }

    fn tell_refused(&mut self, id: Id, around: &mut Around<'_>) {
        let Some(slot) = self.slots.get_mut(id.index()) else {
            return;
        };
        let refused = core::mem::take(&mut slot.refused);
        if slot.woken {
            self.desk.pending.push(id, &mut self.slots);
        }
        for child in (0..8u8).filter(|c| refused & (1 << c) != 0) {
            self.enter(around, |layer, io| layer.complete(id, child, Completion::error(Error::Offline), io));
        }
    }

    fn finish(&mut self, id: Id, done: Completion, around: &mut Around<'_>) {
        let Some(slot) = self.slots.get_mut(id.index()).filter(|s| s.busy) else {
            return;
        };
        slot.busy = false;
        slot.generation = slot.generation.wrapping_add(1);
        let (upper, tag, parent, skip) = (slot.upper, slot.tag, slot.parent, slot.skip);
        let _ = self.free.push(id);
        if let Some(held) = self.held.get_mut(usize::from(upper)) {
            *held = held.saturating_sub(1);
        }
        if parent == NOTHING {
            around.uppers.complete(upper, tag, done);
            return;
        }
        self.part_ended(parent, skip, done, around);
    }

    fn part_ended(&mut self, index: u16, skip: u32, done: Completion, around: &mut Around<'_>) {
        let Some(parent) = self.parents.get_mut(usize::from(index)) else {
            return;
        };
        let answer = parent.ended(skip, done);
        let (upper, tag) = (parent.upper, parent.tag);
        if !parent.unissued()
            && let Some(splitting) = self.splitting.get_mut(usize::from(upper)).filter(|s| **s == index)
        {
            *splitting = NOTHING;
        }
        if let Some(done) = answer {
            let _ = self.free_parents.push(index);
            around.uppers.complete(upper, tag, done);
        }
    }
}
