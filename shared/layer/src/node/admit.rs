// SPDX-License-Identifier: MIT
//! The way down: fair admission, refusal of what no layer need see, splitting, and the slot of each request.
use super::{Around, Node, UPPERS_MAX};
use crate::share;
use crate::slots::{NOTHING, Tag, Way};
use crate::split::{self, Parent};
use crate::{Layer, Lowers, Relay, Start, Submission, Uppers, turn};
use orion_block::{Completion, Error, Limits, Op, Request};

/// What an upper did in its turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It had no request that could be taken.
    Nothing,
    /// Some were taken, and it has no more, or there is no slot for more.
    Some,
    /// Some were taken, and its credit is used up.
    Over,
}

impl<L: Layer, const N: usize, const F: usize> Node<L, N, F> {
    /// Deficit round robin: each upper in turn, for as long as its credit lasts, until nobody has a request or no slot is
    /// left. Whether any was admitted.
    #[inline(never)]
    pub(super) fn admit<U: Uppers, B: Lowers>(&mut self, around: &mut Around<'_, U, B>) -> bool {
        // Those that may still have a request, and those that passed since the last was admitted because they owe.
        let (mut asking, mut owing) = (around.uppers.asking() & ((1 << UPPERS_MAX) - 1), 0);
        let mut moved = false;
        while asking != 0 && !self.free.is_empty() {
            let upper = turn(asking, self.turn);
            self.turn = upper + 1;
            let Some(share) = self.shares.get_mut(usize::from(upper)) else { break };
            if share.credit <= 0 {
                share.pass();
                owing |= 1u64 << upper;
                if owing & asking == asking {
                    share::settle(&mut self.shares, around.uppers.count());
                    owing = 0;
                }
                continue;
            }
            let taken = self.take_turn(upper, around);
            moved |= taken != Turn::Nothing;
            if taken != Turn::Nothing {
                owing = 0;
            }
            if taken != Turn::Over {
                asking &= !(1 << upper);
            }
        }
        moved
    }

    /// Admits requests of one upper for as long as its credit lasts, it has any, and there is a slot.
    #[inline]
    fn take_turn<U: Uppers, B: Lowers>(&mut self, upper: u8, around: &mut Around<'_, U, B>) -> Turn {
        let mut taken = Turn::Nothing;
        while !self.free.is_empty() {
            let blocks = self.admit_one(upper, around);
            let Some(share) = self.shares.get_mut(usize::from(upper)) else { break };
            match blocks {
                Some(blocks) if share.spend(blocks) => return Turn::Over,
                Some(_) => taken = Turn::Some,
                None => {
                    share.pass();
                    return taken;
                }
            }
        }
        // What is left of its credit is for its next turn, which comes first.
        self.turn = upper;
        taken
    }

    /// Admits one request, or the next part of one, and says how many blocks it has. Each upper may hold its share of the
    /// slots, so that none can starve another.
    #[inline]
    fn admit_one<U: Uppers, B: Lowers>(&mut self, upper: u8, around: &mut Around<'_, U, B>) -> Option<u32> {
        let share = self.shares.get(usize::from(upper))?;
        if share.held >= share.open {
            return self.go_on_splitting(upper, around);
        }
        let &id = self.free.last()?;
        let slot = self.slots.get_mut(id.index())?;
        let Submission { tag, req } = around.uppers.next(upper)?;
        // Field by field: as one piece it would go by way of the stack.
        (slot.req.op, slot.req.fua, slot.req.lba, slot.req.blocks) = (req.op, req.fua, req.lba, req.blocks);
        (slot.req.buf.region, slot.req.buf.offset) = (req.buf.region, req.buf.offset);
        if !self.open || req.blocks == 0 {
            if let Err(error) = acceptable(&slot.req, self.state, &self.limits) {
                around.uppers.complete(upper, tag, Completion::error(error));
                return Some(0);
            }
            if !self.open && req.op != Op::Flush && !split::fits(&slot.req, &self.limits) {
                let req = slot.req;
                return Some(self.split(req, tag, upper, around));
            }
        }
        let Some(Relay { port, ctx }) = self.layer.relay(upper, &mut slot.req) else {
            self.issue(tag, upper, NOTHING, 0, around);
            return Some(req.blocks);
        };
        if self.desk.closed != 0 && self.desk.is_closed(port) {
            let done = self.layer.relayed(ctx, Completion::error(Error::Offline));
            around.uppers.complete(upper, tag, done);
            return Some(0);
        }
        (slot.way, slot.ctx, slot.tag, slot.upper) = (Way::Short, ctx, tag, upper);
        slot.port = port;
        slot.short = Tag { generation: slot.generation, id, child: 0 }.pack();
        let below = Submission { tag: slot.short, req: slot.req };
        self.hold(upper);
        around.lowers.submit(port, below);
        Some(req.blocks)
    }

    /// Issues the next part of the request of `upper` that is being split, if one is and there is room.
    #[inline(never)]
    fn go_on_splitting<U: Uppers, B: Lowers>(&mut self, upper: u8, around: &mut Around<'_, U, B>) -> Option<u32> {
        let share = self.shares.get(usize::from(upper)).filter(|share| share.has_room())?;
        let index = share.splitting()?;
        Some(self.issue_part(index, around))
    }

    /// Issues what parts there is room for of requests that are being split, also of uppers that ask for nothing else.
    #[cold]
    #[inline(never)]
    pub(super) fn go_on<U: Uppers, B: Lowers>(&mut self, around: &mut Around<'_, U, B>) {
        for upper in 0..around.uppers.count().min(UPPERS_MAX) {
            while !self.free.is_empty()
                && let Some(blocks) = self.go_on_splitting(upper, around)
                && let Some(share) = self.shares.get_mut(usize::from(upper))
            {
                share.spend(blocks);
            }
        }
    }

    /// The next free slot is not free any more: `upper` holds it.
    #[inline]
    fn hold(&mut self, upper: u8) {
        self.free.pop();
        if let Some(share) = self.shares.get_mut(usize::from(upper)) {
            share.held += 1;
        }
    }

    #[inline(never)]
    fn split<U: Uppers, B: Lowers>(&mut self, req: Request, tag: u32, upper: u8, around: &mut Around<'_, U, B>) -> u32 {
        // As many as there are slots, and each but the one being issued holds a slot: this fails only where more clients
        // than slots are being split at once.
        let Some(index) = self.free_parents.pop() else {
            around.uppers.complete(upper, tag, Completion::error(Error::Again));
            return 1;
        };
        if let Some(parent) = self.parents.get_mut(usize::from(index)) {
            *parent = Parent { req, tag, upper, ..Parent::FREE };
        }
        if let Some(share) = self.shares.get_mut(usize::from(upper)) {
            share.split(Some(index));
        }
        self.issue_part(index, around)
    }

    #[inline(never)]
    fn issue_part<U: Uppers, B: Lowers>(&mut self, index: u16, around: &mut Around<'_, U, B>) -> u32 {
        let limits = self.limits;
        let Some(parent) = self.parents.get_mut(usize::from(index)) else {
            return 1;
        };
        let (skip, upper, tag) = (parent.issued, parent.upper, parent.tag);
        let req = split::part(&parent.req, skip, &limits);
        parent.issued = skip.saturating_add(req.blocks);
        parent.parts += 1;
        let last = !parent.unissued();
        if last && let Some(share) = self.shares.get_mut(usize::from(upper)) {
            share.split(None);
        }
        if let Some(slot) = self.free.last().and_then(|id| self.slots.get_mut(id.index())) {
            slot.req = req;
        }
        self.issue(tag, upper, index, skip, around);
        req.blocks
    }

    /// Has the layer do what the request in the next free slot asks.
    #[inline(never)]
    fn issue<U: Uppers, B: Lowers>(
        &mut self,
        tag: u32,
        upper: u8,
        parent: u16,
        skip: u32,
        around: &mut Around<'_, U, B>,
    ) {
        let Some(&id) = self.free.last() else { return };
        let Some(slot) = self.slots.get_mut(id.index()) else { return };
        (slot.ctx, slot.tag, slot.upper) = (L::Ctx::default(), tag, upper);
        (slot.way, slot.parent, slot.skip) = (Way::Long, parent, skip);
        self.hold(upper);
        self.call(around, |layer, io| layer.submit(id, io));
    }
}

/// Whether a request can be served at all, or why not.
fn acceptable(req: &Request, state: Start, limits: &Limits) -> Result<(), Error> {
    if let Start::Refused(error) = state {
        return Err(error);
    }
    if req.op == Op::Flush {
        return Ok(());
    }
    if req.blocks == 0 {
        return Err(Error::Invalid);
    }
    if req.op.modifies() && limits.read_only {
        return Err(Error::ReadOnly);
    }
    let fits = req.end().is_some_and(|end| end <= limits.capacity);
    if fits { Ok(()) } else { Err(Error::OutOfRange) }
}
