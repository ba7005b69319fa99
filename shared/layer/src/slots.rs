// SPDX-License-Identifier: MIT
//! The table of requests in flight in a node, and the tags that name them below.
use crate::Id;
use orion_block::{Completion, Request};

/// Most lower requests that one upper request may have outstanding.
pub const FANOUT_MAX: usize = 8;
/// Most slots of a node.
pub const SLOTS_MAX: usize = 1024;
/// No slot, no parent.
pub(crate) const NOTHING: u16 = u16::MAX;

/// The parent of the layer's own request: nobody is told of its end.
pub(crate) const OWN: u16 = u16::MAX - 1;

/// A tag that no request has: there is no slot of this number.
pub(crate) const NO_TAG: u32 = u32::MAX;

/// `generation << 24 | id << 8 | child`: what a completion must bring back to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag {
    pub generation: u8,
    pub id: Id,
    pub child: u8,
}

impl Tag {
    #[inline]
    pub fn pack(self) -> u32 {
        u32::from(self.generation) << 24 | u32::from(self.id.0) << 8 | u32::from(self.child)
    }

    #[inline]
    pub fn unpack(tag: u32) -> Self {
        let [child, low, high, generation] = tag.to_le_bytes();
        Self { generation, id: Id(u16::from_le_bytes([low, high])), child }
    }
}

/// A lower request of a slot that goes the long way, kept until it is answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Child {
    pub port: u8,
    pub req: Request,
}

/// Whether a slot is in use, and for which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Free. Nothing is outstanding, refused, woken or answered.
    Free,
    /// Its layer calls for what it needs.
    Long,
    /// It is the one lower request `req` to `port`, and its end that one's: of the rest only `ctx`, `tag` and `upper` mean
    /// something, and what a free slot has.
    Short,
}

/// One request in flight: a whole upper request, or a part of one that was split.
#[derive(Debug)]
pub(crate) struct Slot<C> {
    /// The upper request; the lower one on the short way.
    pub req: Request,
    pub ctx: C,
    pub tag: u32,
    /// On the short way, the tag that its end must bring back; else [`NO_TAG`].
    pub short: u32,
    pub upper: u8,
    pub way: Way,
    pub generation: u8,
    /// The layer asked for it to be submitted again.
    pub woken: bool,
    /// It is in the node's list of slots to look at.
    pub queued: bool,
    /// Lower requests outstanding, a bit each.
    pub outstanding: u8,
    /// Lower requests that were refused at a closed port and whose failure is still to be told.
    pub refused: u8,
    /// Index of the split request this is a part of.
    pub parent: u16,
    /// The next slot to look at.
    pub link: u16,
    /// Blocks of the split request before this part.
    pub skip: u32,
    /// What the layer answered.
    pub answer: Option<Completion>,
    /// Where it was sent on the short way.
    pub port: u8,
}

impl<C> Slot<C> {
    /// Whether it is in use.
    #[inline]
    pub fn busy(&self) -> bool {
        self.way != Way::Free
    }

    /// Makes it free: what is still to come for it is not for the next that uses it.
    #[inline]
    pub fn release(&mut self) {
        self.generation = self.generation.wrapping_add(1);
        self.short = NO_TAG;
        if self.way == Way::Long {
            (self.answer, self.woken, self.outstanding, self.refused) = (None, false, 0, 0);
        }
        self.way = Way::Free;
    }
}

impl<C: Default> Slot<C> {
    pub fn new(generation: u8) -> Self {
        Self {
            req: Request::default(),
            ctx: C::default(),
            tag: 0,
            short: NO_TAG,
            upper: 0,
            way: Way::Free,
            generation,
            woken: false,
            queued: false,
            outstanding: 0,
            refused: 0,
            parent: NOTHING,
            link: NOTHING,
            skip: 0,
            answer: None,
            port: 0,
        }
    }
}

/// The slots that a call of the layer has left something to do for: a list through the slots, first in, first out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pending {
    first: u16,
    last: u16,
}

impl Pending {
    pub const NONE: Self = Self { first: NOTHING, last: NOTHING };

    /// Appends a slot that is not in the list.
    #[inline]
    pub fn push<C>(&mut self, id: Id, slots: &mut [Slot<C>]) {
        let Some(slot) = slots.get_mut(id.index()).filter(|s| !s.queued) else {
            return;
        };
        (slot.queued, slot.link) = (true, NOTHING);
        match slots.get_mut(usize::from(self.last)) {
            Some(last) if self.first != NOTHING => last.link = id.0,
            _ => self.first = id.0,
        }
        self.last = id.0;
    }

    /// Takes the first slot.
    #[inline]
    pub fn pop<C>(&mut self, slots: &mut [Slot<C>]) -> Option<Id> {
        let id = Id(self.first);
        let slot = slots.get_mut(id.index())?;
        slot.queued = false;
        self.first = slot.link;
        Some(id)
    }
}

/// What a lower device's answer means: a success has done all blocks; a failure that claims all of them has done none
/// that we may rely on (sDDF 0.7's virtio driver reports the full count beside an error).
#[inline]
pub(crate) fn believed(done: Completion, asked: u32) -> Completion {
    match done.status {
        Ok(()) => Completion::ok(asked),
        Err(_) if done.blocks >= asked => Completion { blocks: 0, ..done },
        Err(_) => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_come_back_as_they_went() {
        for (generation, id, child) in [(0, 0, 0), (255, 1023, 7), (1, 256, 3)] {
            let tag = Tag { generation, id: Id(id), child };
            assert_eq!(Tag::unpack(tag.pack()), tag);
        }
    }

    #[test]
    fn pending_slots_come_out_once_and_in_order() {
        let mut slots = [(); 4].map(|()| Slot::<()>::new(0));
        let mut pending = Pending::NONE;
        for round in 0..3 {
            for id in [2, 0, 2, 3, 0] {
                pending.push(Id(id), &mut slots);
            }
            let order = core::array::from_fn(|_| pending.pop(&mut slots).map(|id| id.0));
            assert_eq!(order, [Some(2), Some(0), Some(3), None], "round {round}");
            assert!(pending.first == NOTHING);
        }
    }
}
