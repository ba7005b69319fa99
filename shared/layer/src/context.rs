// SPDX-License-Identifier: MIT
//! All that a layer can see and do during one call.
use crate::slots::{Child, Pending, Slot, Tag, Way};
use crate::{Id, Lowers, Payload, PeerMisbehaved, Submission};
use orion_block::{Buf, Completion, Instant, Limits, Request};

/// What a layer's call changes in its node beside the slots.
#[derive(Debug)]
pub(crate) struct Desk {
    /// Slots to look at after the call.
    pub pending: Pending,
    /// Closed ports, a bit each.
    pub closed: u64,
    /// A device below that broke the protocol, until that is told.
    pub misbehaved: Option<PeerMisbehaved>,
    /// When the layer wants to be called though nothing happens.
    pub deadline: Option<Instant>,
    /// The layer's fan-out.
    pub fanout: usize,
    /// The layer's own request, while it assembles itself.
    pub own: Option<Id>,
    /// Requests that it keeps: those of the first slots.
    pub kept: u16,
    /// Whether the layer gets no clients' requests, and what it asked of that since.
    pub paused: bool,
    pub wish: Option<Wish>,
}

/// What a layer asks of its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// No more clients' requests for now.
    Pause,
    /// Them again, by the limits that it has then.
    Resume,
}

impl Desk {
    /// Whether the port is closed.
    #[cold]
    pub fn is_closed(&self, port: u8) -> bool {
        self.closed & 1u64.checked_shl(port.into()).unwrap_or(u64::MAX) != 0
    }
}

/// All that a layer can see and do during one call.
pub struct Io<'a, C> {
    pub(crate) slots: &'a mut [Slot<C>],
    /// The lower requests of all slots, as many of each as the layer's fan-out.
    pub(crate) children: &'a mut [Child],
    pub(crate) desk: &'a mut Desk,
    pub(crate) lowers: &'a mut dyn Lowers,
    pub(crate) payload: &'a mut dyn Payload,
    pub(crate) now: Instant,
}

impl<C> Io<'_, C> {
    #[inline]
    fn slot(&self, id: Id) -> Option<&Slot<C>> {
        self.slots.get(id.index()).filter(|s| s.way == Way::Long)
    }

    #[inline]
    fn slot_mut(&mut self, id: Id) -> Option<&mut Slot<C>> {
        self.slots.get_mut(id.index()).filter(|s| s.way == Way::Long)
    }

    /// The time of this call.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The request `id`, in the unit of the layer's limits. A request that has ended reads as an empty one.
    #[inline]
    pub fn request(&self, id: Id) -> Request {
        self.slot(id).map_or_else(Request::default, |s| s.req)
    }

    /// A request of the layer's own, with which it reads what it needs while it assembles itself: lower requests may be
    /// sent for it, and end as any do. `None` once the layer has started.
    pub fn own(&self) -> Option<Id> {
        self.desk.own
    }

    /// The `n`th of the requests that the layer [keeps](crate::Layer::KEPT), once it has started: lower requests may be sent
    /// for it at any time. It is never submitted and never ends; it can be woken.
    pub fn kept(&self, n: u16) -> Option<Id> {
        (n < self.desk.kept).then_some(Id(n))
    }

    /// What the device below `port` offers; `None` where there is none or it is not ready.
    pub fn below(&self, port: u8) -> Option<Limits> {
        self.lowers.limits(port)
    }

    /// The client that sent the request.
    #[inline]
    pub fn upper(&self, id: Id) -> u8 {
        self.slot(id).map_or(u8::MAX, |s| s.upper)
    }

    /// The request's state; `None` when it has ended.
    #[inline]
    pub fn ctx(&mut self, id: Id) -> Option<&mut C> {
        self.slot_mut(id).map(|s| &mut s.ctx)
    }

    /// Sends a lower request for `id` to the device below `port`. Its end comes as `complete(id, child, ..)`. A child
    /// number at or above the layer's fan-out, or one that is outstanding, is a mistake in the layer and is ignored.
    #[inline]
    pub fn lower(&mut self, id: Id, port: u8, child: u8, req: Request) {
        let open = port < 64 && self.desk.closed & (1 << port) == 0;
        let fanout = self.desk.fanout;
        let Some(slot) = self.slots.get_mut(id.index()).filter(|s| s.way == Way::Long) else {
            return;
        };
        let bit = 1u8.checked_shl(u32::from(child)).unwrap_or(0);
        let usable = usize::from(child) < fanout && (slot.outstanding | slot.refused) & bit == 0;
        debug_assert!(usable, "child {child} is outstanding or beyond the fan-out");
        if !usable {
            return;
        }
        if !open {
            if let Some(entry) = self.children.get_mut(id.index() * fanout + usize::from(child)) {
                entry.port = port;
            }
            slot.refused |= bit;
            self.desk.pending.push(id, self.slots);
            return;
        }
        slot.outstanding |= bit;
        if let Some(entry) = self.children.get_mut(id.index() * fanout + usize::from(child)) {
            *entry = Child { port, req };
        }
        let tag = Tag { generation: slot.generation, id, child }.pack();
        self.lowers.submit(port, Submission { tag, req });
    }

    /// Answers the request. Where lower requests of it are outstanding, the answer waits until they have ended, and the
    /// layer hears no more of them.
    #[inline]
    pub fn done(&mut self, id: Id, done: Completion) {
        let Some(slot) = self.slots.get_mut(id.index()).filter(|s| s.way == Way::Long && s.answer.is_none()) else {
            return;
        };
        slot.answer = Some(done);
        if slot.outstanding == 0 {
            self.desk.pending.push(id, self.slots);
        }
    }

    /// Calls `submit` again for a parked request, after the present call.
    pub fn wake(&mut self, id: Id) {
        let Some(slot) = self.slots.get_mut(id.index()).filter(|s| s.way == Way::Long && s.answer.is_none()) else {
            return;
        };
        slot.woken = true;
        self.desk.pending.push(id, self.slots);
    }

    /// The port of the lower request `child` of `id`, whether it is out or was the last of this number.
    pub fn child_port(&self, id: Id, child: u8) -> Option<u8> {
        let at = id.index() * self.desk.fanout + usize::from(child);
        self.children.get(at).map(|child| child.port)
    }

    /// Asks for [`Layer::tick`](crate::Layer::tick) at `at`, or before if something asked for that already.
    pub fn alarm(&mut self, at: Instant) {
        self.desk.deadline = Some(self.desk.deadline.map_or(at, |earlier| earlier.min(at)));
    }

    /// Gets no more clients' requests until [`resume`](Self::resume), from the next tick on; those that it has it still ends. Parts
    /// of a request that is being split wait too.
    #[cold]
    pub fn pause(&mut self) {
        self.desk.wish = Some(Wish::Pause);
        self.alarm(self.now);
    }

    /// Gets clients' requests again, split and bounded by what [`Layer::limits`](crate::Layer::limits) says then. Who runs the
    /// node is told ([`Node::take_renewed`](crate::Node::take_renewed)).
    #[cold]
    pub fn resume(&mut self) {
        self.desk.wish = Some(Wish::Resume);
        self.alarm(self.now);
    }

    /// Whether it is paused, and no client's request is in flight.
    #[cold]
    pub fn is_quiet(&self) -> bool {
        let kept = usize::from(self.desk.kept);
        self.desk.paused && self.desk.wish.is_none() && self.slots.iter().skip(kept).all(|slot| !slot.busy())
    }

    /// Copies payload bytes out of a data region; whether they lie in a mapped one.
    pub fn read_payload(&self, from: Buf, to: &mut [u8]) -> bool {
        self.payload.read(from, to)
    }

    /// Copies bytes into a data region; whether they lie in a mapped, writable one.
    pub fn write_payload(&mut self, to: Buf, from: &[u8]) -> bool {
        self.payload.write(to, from)
    }

    /// Copies payload from one place to another, each byte read once; whether both are mapped, and the second writable.
    pub fn copy_payload(&mut self, from: Buf, to: Buf, len: usize) -> bool {
        self.payload.copy(from, to, len)
    }

    /// Has `f` compute in the layer's own memory; `None` where a peer maps it too, or nothing is there.
    pub fn lend<R>(&mut self, at: Buf, len: usize, f: impl FnOnce(&mut [u8]) -> R) -> Option<R> {
        let (mut f, mut result) = (Some(f), None);
        self.payload.lend(at, len, &mut |bytes| result = f.take().map(|f| f(bytes)));
        result
    }
}
