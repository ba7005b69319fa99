// SPDX-License-Identifier: MIT
//! What runs a layer: the table of requests in flight, splitting, back-pressure, fair admission, checked completions.
use crate::context::{Desk, Io};
use crate::share::{self, Share};
use crate::slots::{Child, OWN, Pending, SLOTS_MAX, Slot, Way};
use crate::split::Parent;
use crate::{Event, FANOUT_MAX, Id, Layer, Lowers, Payload, PeerMisbehaved, Start, Uppers};
use heapless::Vec;
use orion_block::{Completion, Instant, Limits};

mod admit;
mod end;
mod lives;
mod pause;
mod probe;
#[cfg(test)]
mod tests;

pub use probe::Probe;

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

/// What a node works with during one call. The queues' types are known, so that the way of a request through them is
/// compiled as one piece.
pub struct Around<'a, U, L> {
    /// The clients above.
    pub uppers: &'a mut U,
    /// The devices below.
    pub lowers: &'a mut L,
    /// The data regions that are mapped here.
    pub payload: &'a mut dyn Payload,
    /// The time.
    pub now: Instant,
}

/// A layer between queues: rings where the neighbour is another PD, local queues where it is fused into this one. The
/// layer can't tell. `N` is the number of slots, at most 1024; `F` the layer's fan-out.
// What each request and each call needs comes first, the large tables last: what is near is reached without arithmetic.
#[repr(C)]
#[derive(Debug)]
pub struct Node<L: Layer, const N: usize, const F: usize = 1> {
    desk: Desk,
    /// The time of the last call.
    seen: Instant,
    /// Slots that may be in use, so that no port below can overflow.
    usable: u16,
    /// The limits bound no request: the layer judges each.
    open: bool,
    turn: u8,
    started: bool,
    state: Start,
    limits: Limits,
    /// They are others than before.
    renewed: bool,
    /// Those of the usable slots that are free.
    free: Vec<Id, N>,
    /// What each upper gets beside the others, and what it holds.
    shares: [Share; UPPERS_MAX as usize],
    layer: L,
    slots: [Slot<L::Ctx>; N],
    /// The lower requests of each slot on the long way.
    children: [[Child; F]; N],
    free_parents: Vec<u16, N>,
    parents: [Parent; N],
}

impl<L: Layer, const N: usize, const F: usize> Node<L, N, F> {
    /// A node around `layer`. `life` should differ from the node's earlier life, so that late completions of that one
    /// don't match.
    pub fn new(layer: L, life: u8) -> Self {
        const { assert!(N > 0 && N <= SLOTS_MAX && F > 0 && F <= FANOUT_MAX && L::FANOUT == F) };
        let generation = life.wrapping_mul(97);
        Self {
            layer,
            state: Start::Starting,
            limits: Limits::default(),
            slots: core::array::from_fn(|_| Slot::new(generation)),
            children: [[Child::default(); F]; N],
            free: (0..N).rev().map(|i| Id(u16::try_from(i).unwrap_or(0))).collect(),
            parents: [Parent::FREE; N],
            free_parents: (0..N).filter_map(|i| u16::try_from(i).ok()).collect(),
            shares: [Share::NONE; UPPERS_MAX as usize],
            usable: u16::try_from(N).unwrap_or(u16::MAX),
            open: false,
            turn: 0,
            started: false,
            seen: Instant(0),
            desk: Desk {
                pending: Pending::NONE,
                closed: 0,
                misbehaved: None,
                deadline: None,
                fanout: L::FANOUT,
                own: None,
                kept: 0,
                paused: false,
                wish: None,
            },
            renewed: false,
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
        usize::from(self.usable.saturating_sub(self.desk.kept)) - self.free.len()
    }

    /// When the layer wants to be called though nothing happens.
    pub fn deadline(&self) -> Option<Instant> {
        self.desk.deadline
    }

    /// Requests in flight of `upper`.
    pub fn held(&self, upper: u8) -> u16 {
        self.shares.get(usize::from(upper)).map_or(0, |share| share.held)
    }

    /// Whether the device below `port` left, or was closed because it broke the protocol.
    pub fn closed(&self, port: u8) -> bool {
        self.desk.is_closed(port)
    }

    /// Whether a request of `upper` would be taken now.
    pub fn has_room(&self, upper: u8) -> bool {
        let room = self.shares.get(usize::from(upper)).is_some_and(Share::has_room);
        room && !self.free.is_empty()
    }

    /// What this node offers its uppers. It splits what is too large, so it has no largest request.
    pub fn limits(&self) -> Option<Limits> {
        let optimal = if self.limits.optimal_blocks == 0 { self.limits.max_blocks } else { self.limits.optimal_blocks };
        let limits = Limits { max_blocks: 0, boundary: 0, optimal_blocks: optimal, ..self.limits };
        self.ready().then_some(Limits { queue_depth: self.usable.saturating_sub(L::KEPT), ..limits })
    }

    /// What this node offers one of its uppers.
    pub fn limits_of(&self, upper: u8) -> Option<Limits> {
        self.limits().map(|all| self.layer.limits_of(upper, all))
    }

    /// Drains completions, then admits requests, until nothing more can be done now.
    pub fn run<U: Uppers, B: Lowers>(&mut self, around: &mut Around<'_, U, B>) -> Progress {
        let mut moved = around.lowers.answering() && self.drain(around);
        // After the answers to what the layer asked on its own.
        if self.state == Start::Starting && self.start(around) {
            moved |= self.drain(around);
        }
        if self.state != Start::Starting {
            self.tick(around);
            moved |= around.uppers.asking() != 0 && self.admit(around);
        }
        Progress { moved, deadline: self.desk.deadline, misbehaved: self.desk.misbehaved.take() }
    }

    /// Calls the layer between two calls of [`run`](Self::run), as control commands do, and does what that caused.
    pub fn control<R, U: Uppers, B: Lowers>(
        &mut self,
        around: &mut Around<'_, U, B>,
        f: impl FnOnce(&mut L, &mut Io<'_, L::Ctx>) -> R,
    ) -> Option<R> {
        let mut result = None;
        self.call(around, |layer, io| result = Some(f(layer, io)));
        self.pause_or_resume(around);
        result
    }

    /// Tells the layer that the device below `port` left or came back. After [`Event::Gone`] everything outstanding
    /// there has failed with [`Error::Offline`](orion_block::Error::Offline).
    pub fn event<U: Uppers, B: Lowers>(&mut self, port: u8, event: Event, around: &mut Around<'_, U, B>) {
        match event {
            Event::Gone => self.close(port, around),
            Event::Restarted => return self.replay(port, around),
            Event::Back if port < 64 => self.desk.closed &= !(1 << port),
            _ => {}
        }
        if event != Event::Gone {
            self.call(around, |layer, io| layer.event(port, event, io));
        }
    }

    #[inline(never)]
    fn start<U: Uppers, B: Lowers>(&mut self, around: &mut Around<'_, U, B>) -> bool {
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
        // What a layer keeps is counted too, so that the ports can hold all of it.
        let smallest = (0..ports).map(|p| usize::from(around.lowers.capacity(p)) / L::FANOUT).min().unwrap_or(N);
        self.limits = self.layer.limits(&below);
        self.open_own();
        let mut state = Start::Starting;
        self.call(around, |layer, io| state = layer.start(io));
        if state == Start::Starting {
            return false;
        }
        if L::KEPT == 0 {
            self.close_own(around);
        } else {
            self.keep();
        }
        self.state = state;
        self.limit(&below);
        self.narrow(u16::try_from(smallest.min(N)).unwrap_or(u16::MAX));
        let (layer, shift) = (&self.layer, self.limits.block.shift());
        let usable = self.usable.saturating_sub(L::KEPT);
        share::divide(&mut self.shares, around.uppers.count(), usable, shift, |upper| layer.weight(upper));
        true
    }

    /// Takes the limits that the layer has above these.
    fn limit(&mut self, below: &[Limits]) {
        self.limits = self.layer.limits(below);
        let Limits { capacity, max_blocks, boundary, read_only, .. } = self.limits;
        self.open = self.ready() && capacity == u64::MAX && !read_only && max_blocks == 0 && boundary == 0;
    }

    /// Leaves the first `usable` slots to use. What the layer has still outstanding of its own holds the first.
    fn narrow(&mut self, usable: u16) {
        self.usable = usable;
        self.free.retain(|id| id.0 < usable);
    }

    /// A slot for the layer's own request.
    fn open_own(&mut self) {
        if self.desk.own.is_some() {
            return;
        }
        let Some(id) = self.free.pop() else { return };
        if let Some(slot) = self.slots.get_mut(id.index()) {
            (slot.way, slot.upper, slot.parent) = (Way::Long, u8::MAX, OWN);
            self.desk.own = Some(id);
        }
    }

    /// Leaves that slot, and as many more as the layer keeps, in the layer's hands.
    #[cold]
    fn keep(&mut self) {
        self.desk.own = None;
        // None but that one was ever taken: slots are handed out from the first on.
        for n in 0..L::KEPT {
            let Some(slot) = self.slots.get_mut(usize::from(n)) else { break };
            (slot.way, slot.upper, slot.parent) = (Way::Long, u8::MAX, OWN);
            self.desk.kept = n + 1;
        }
        self.free.retain(|id| id.0 >= L::KEPT);
    }

    /// Frees that slot, or lets it be freed when what is outstanding has ended.
    fn close_own<U: Uppers, B: Lowers>(&mut self, around: &mut Around<'_, U, B>) {
        if let Some(id) = self.desk.own.take() {
            self.call(around, |_, io| io.done(id, Completion::ok(0)));
        }
    }

    fn tick<U: Uppers, B: Lowers>(&mut self, around: &mut Around<'_, U, B>) {
        // A deadline of a clock that went back would be far away.
        let back = around.now < self.seen && self.desk.deadline.is_some();
        self.seen = around.now;
        if !self.started || back || self.desk.deadline.is_some_and(|at| around.now >= at) {
            self.tick_layer(around);
        }
    }

    #[inline(never)]
    fn tick_layer<U: Uppers, B: Lowers>(&mut self, around: &mut Around<'_, U, B>) {
        self.started = true;
        self.desk.deadline = None;
        let now = around.now;
        self.call(around, |layer, io| {
            if let Some(at) = layer.tick(now, io) {
                io.alarm(at);
            }
        });
        self.pause_or_resume(around);
        if !self.free_parents.is_full() {
            self.go_on(around);
        }
    }

    /// Calls the layer, then does what that caused: answers, failures at closed ports, wake-ups.
    fn call<U: Uppers, B: Lowers>(
        &mut self,
        around: &mut Around<'_, U, B>,
        f: impl FnOnce(&mut L, &mut Io<'_, L::Ctx>),
    ) {
        self.enter(around, f);
        while let Some(id) = self.desk.pending.pop(&mut self.slots) {
            self.settle(id, around);
        }
    }

    #[inline]
    fn enter<U: Uppers, B: Lowers>(
        &mut self,
        around: &mut Around<'_, U, B>,
        f: impl FnOnce(&mut L, &mut Io<'_, L::Ctx>),
    ) {
        let Around { lowers, payload, now, .. } = around;
        let (slots, children, desk) = (&mut self.slots, self.children.as_flattened_mut(), &mut self.desk);
        f(
            &mut self.layer,
            &mut Io { slots, children, desk, lowers: &mut **lowers, payload: &mut **payload, now: *now },
        );
    }
}
