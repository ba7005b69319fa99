// SPDX-License-Identifier: MIT
//! The way up: completions that are checked before they are believed, answers, ports that closed.
use super::{Around, Node};
use crate::slots::{NO_TAG, NOTHING, Tag, Way, believed};
use crate::{Event, Id, Interrupted, Layer, Lowers, PeerMisbehaved, Uppers};
use orion_block::{Completion, Error};

const UNASKED: &str = "answered a request that is not outstanding";

impl<L: Layer, const N: usize, const F: usize> Node<L, N, F> {
    /// Takes completions until there are none, or one that is wrong; whether there were any.
    // Not one piece with what comes after it: together they need more registers than there are.
    #[inline(never)]
    pub(super) fn drain<U: Uppers, B: Lowers>(&mut self, around: &mut Around<'_, U, B>) -> bool {
        let mut moved = false;
        loop {
            let misbehaved = match around.lowers.next() {
                Ok(None) => return moved,
                Ok(Some((port, tag, done))) => {
                    moved = true;
                    match self.completed(port, tag, done, around) {
                        Ok(()) => continue,
                        Err(what) => PeerMisbehaved { port, what },
                    }
                }
                Err(Interrupted::Misbehaved(misbehaved)) => misbehaved,
                Err(Interrupted::Restarted(port)) => {
                    moved = true;
                    self.replay(port, around);
                    continue;
                }
            };
            self.close(misbehaved.port, around);
            self.desk.misbehaved.get_or_insert(misbehaved);
            return true;
        }
    }

    #[inline]
    fn completed<U: Uppers, B: Lowers>(
        &mut self,
        port: u8,
        tag: u32,
        done: Completion,
        around: &mut Around<'_, U, B>,
    ) -> Result<(), &'static str> {
        let id = Tag::unpack(tag).id;
        let slot = self.slots.get_mut(id.index()).ok_or("answered a request that cannot exist")?;
        if slot.short != tag || slot.port != port {
            return self.child_ended(tag, port, done, around);
        }
        let asked = slot.req.blocks;
        match done.status {
            Ok(()) => self.end_relayed(id, Completion::ok(asked), around),
            Err(_) => self.relayed_failed(id, believed(done, asked), around),
        }
        if self.layer.has_parked() {
            self.tick_layer(around);
        }
        Ok(())
    }

    /// Apart from the successful end, of which nobody then has to ask how it went.
    #[cold]
    #[inline(never)]
    fn relayed_failed<U: Uppers, B: Lowers>(&mut self, id: Id, done: Completion, around: &mut Around<'_, U, B>) {
        if self.rescued(id, done) {
            return self.call(around, |layer, io| layer.submit(id, io));
        }
        self.end_relayed(id, done, around);
    }

    /// Whether the layer has a request that failed on the short way go the long one.
    #[cold]
    fn rescued(&mut self, id: Id, done: Completion) -> bool {
        let Some(slot) = self.slots.get_mut(id.index()) else { return false };
        let Err(error) = done.status else { return false };
        if !self.layer.rescue(&slot.ctx, &mut slot.req, error) {
            return false;
        }
        self.layer.relayed(core::mem::take(&mut slot.ctx), done);
        (slot.way, slot.short, slot.parent, slot.skip) = (Way::Long, NO_TAG, NOTHING, 0);
        true
    }

    #[inline]
    fn end_relayed<U: Uppers, B: Lowers>(&mut self, id: Id, done: Completion, around: &mut Around<'_, U, B>) {
        let Some(slot) = self.slots.get_mut(id.index()) else { return };
        let (upper, tag, ctx) = (slot.upper, slot.tag, core::mem::take(&mut slot.ctx));
        let done = self.layer.relayed(ctx, done);
        self.release(id);
        around.uppers.complete(upper, tag, done);
    }

    #[inline(never)]
    fn child_ended<U: Uppers, B: Lowers>(
        &mut self,
        tag: u32,
        port: u8,
        done: Completion,
        around: &mut Around<'_, U, B>,
    ) -> Result<(), &'static str> {
        let Tag { generation, id, child } = Tag::unpack(tag);
        let slot = self.slots.get_mut(id.index()).ok_or(UNASKED)?;
        let bit = 1u8.checked_shl(u32::from(child)).unwrap_or(0);
        let children = self.children.get(id.index());
        let asked = children.and_then(|children| children.get(usize::from(child)));
        let Some(asked) = asked.filter(|asked| asked.port == port) else { return Err(UNASKED) };
        if slot.way != Way::Long || slot.generation != generation || slot.outstanding & bit == 0 {
            return Err(UNASKED);
        }
        slot.outstanding &= !bit;
        let done = believed(done, asked.req.blocks);
        match slot.answer {
            None => self.call(around, |layer, io| layer.complete(id, child, done, io)),
            Some(answer) if slot.outstanding == 0 => self.finish(id, answer, around),
            Some(_) => {}
        }
        Ok(())
    }

    /// Fails everything outstanding at `port`, and everything sent there from now on.
    #[inline(never)]
    pub(super) fn close<U: Uppers, B: Lowers>(&mut self, port: u8, around: &mut Around<'_, U, B>) {
        let Some(bit) = 1u64.checked_shl(u32::from(port)) else {
            return;
        };
        if self.desk.closed & bit != 0 {
            return;
        }
        self.desk.closed |= bit;
        for index in 0..N {
            let Some(slot) = self.slots.get_mut(index).filter(|s| s.busy()) else {
                continue;
            };
            // A free slot has nothing outstanding, and a short one is not cleared when it is freed.
            let lost = if slot.way == Way::Short {
                u8::from(slot.port == port)
            } else {
                let children = (0..8u8).zip(self.children.get(index).into_iter().flatten());
                let at_port = children.filter(|(_, child)| child.port == port);
                slot.outstanding & at_port.fold(0, |mask, (child, _)| mask | 1 << child)
            };
            if lost != 0 {
                slot.outstanding &= !lost;
                slot.refused |= lost;
                self.desk.pending.push(Id(u16::try_from(index).unwrap_or(0)), &mut self.slots);
            }
        }
        self.call(around, |layer, io| layer.event(port, Event::Gone, io));
    }

    /// Does what a call of the layer has left to do for one request.
    pub(super) fn settle<U: Uppers, B: Lowers>(&mut self, id: Id, around: &mut Around<'_, U, B>) {
        let Some(slot) = self.slots.get_mut(id.index()).filter(|s| s.busy()) else {
            return;
        };
        if slot.way == Way::Short {
            if core::mem::take(&mut slot.refused) != 0 {
                let offline = Completion::error(Error::Offline);
                if self.rescued(id, offline) {
                    return self.enter(around, |layer, io| layer.submit(id, io));
                }
                self.end_relayed(id, offline, around);
            }
            return;
        }
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

    fn tell_refused<U: Uppers, B: Lowers>(&mut self, id: Id, around: &mut Around<'_, U, B>) {
        let Some(slot) = self.slots.get_mut(id.index()) else {
            return;
        };
        let refused = core::mem::take(&mut slot.refused);
        let offline = Completion::error(Error::Offline);
        if slot.woken {
            self.desk.pending.push(id, &mut self.slots);
        }
        for child in (0..8u8).filter(|c| refused & (1 << c) != 0) {
            self.enter(around, |layer, io| layer.complete(id, child, offline, io));
        }
    }

    #[inline]
    fn finish<U: Uppers, B: Lowers>(&mut self, id: Id, done: Completion, around: &mut Around<'_, U, B>) {
        let Some(slot) = self.slots.get_mut(id.index()).filter(|s| s.busy()) else {
            return;
        };
        let (upper, tag, parent, skip) = (slot.upper, slot.tag, slot.parent, slot.skip);
        self.release(id);
        if parent == NOTHING {
            around.uppers.complete(upper, tag, done);
            return;
        }
        self.part_ended(parent, skip, done, around);
    }

    #[inline]
    fn release(&mut self, id: Id) {
        let Some(slot) = self.slots.get_mut(id.index()) else { return };
        slot.release();
        let _ = self.free.push(id);
        if let Some(share) = self.shares.get_mut(usize::from(slot.upper)) {
            share.held = share.held.wrapping_sub(1);
        }
    }

    #[inline(never)]
    fn part_ended<U: Uppers, B: Lowers>(
        &mut self,
        index: u16,
        skip: u32,
        done: Completion,
        around: &mut Around<'_, U, B>,
    ) {
        let Some(parent) = self.parents.get_mut(usize::from(index)) else {
            return;
        };
        let answer = parent.ended(skip, done);
        let (upper, tag) = (parent.upper, parent.tag);
        if parent.unissued() {
            // There is room for the next part, and perhaps nobody asks for anything any more.
            self.desk.deadline = Some(around.now);
        } else if let Some(share) = self.shares.get_mut(usize::from(upper)).filter(|s| s.splitting() == Some(index)) {
            share.split(None);
        }
        if let Some(done) = answer {
            let _ = self.free_parents.push(index);
            around.uppers.complete(upper, tag, done);
        }
    }
}
