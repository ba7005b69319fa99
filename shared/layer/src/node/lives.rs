// SPDX-License-Identifier: MIT
//! Neighbours that die and begin again. Nothing here is on the way of a request.
use super::{Around, Node};
use crate::slots::{Child, Slot, Tag, Way};
use crate::{Event, Id, Layer, Lowers, Submission, Uppers};
use orion_block::{Completion, Error, Request};

impl<C> Slot<C> {
    /// Its lower requests that are outstanding at `port`, with the number of each.
    fn lost<'a>(&self, port: u8, children: &'a [Child]) -> impl Iterator<Item = (u8, Request)> + use<'a, C> {
        // If its port was closed, its failure is still to be told.
        let short = self.way == Way::Short && self.port == port && self.refused == 0;
        let outstanding = if self.way == Way::Long { self.outstanding } else { 0 };
        let long = (0..8u8).zip(children).filter(move |(n, c)| outstanding & 1 << n != 0 && c.port == port);
        short.then_some((0, self.req)).into_iter().chain(long.map(|(n, c)| (n, c.req)))
    }
}

impl<L: Layer, const N: usize, const F: usize> Node<L, N, F> {
    /// The device below `port` was restarted: asks it again what it has not answered. Its answers to the first asking are
    /// lost for good, so the tags can be the same.
    #[cold]
    #[inline(never)]
    pub(super) fn replay<U: Uppers, B: Lowers>(&mut self, port: u8, around: &mut Around<'_, U, B>) {
        if self.closed(port) {
            return;
        }
        for ((index, slot), children) in (0..).zip(&self.slots).zip(&self.children) {
            for (child, req) in slot.lost(port, children) {
                let tag = Tag { generation: slot.generation, id: Id(index), child }.pack();
                around.lowers.submit(port, Submission { tag, req });
            }
        }
        self.call(around, |layer, io| layer.event(port, Event::Restarted, io));
    }

    /// The client `upper` has died with requests in flight: what has not gone down ends as soon as it can. Nobody hears the
    /// answers, but until the last one the client's next life is not served.
    #[cold]
    #[inline(never)]
    pub fn upper_gone<U: Uppers, B: Lowers>(&mut self, upper: u8, around: &mut Around<'_, U, B>) {
        self.stop_splitting(upper, around);
        self.call(around, |layer, io| layer.upper_gone(upper, io));
    }

    /// Issues no further part of a request that is being split.
    fn stop_splitting<U: Uppers, B: Lowers>(&mut self, upper: u8, around: &mut Around<'_, U, B>) {
        let Some(share) = self.shares.get_mut(usize::from(upper)) else { return };
        let Some(index) = share.splitting() else { return };
        share.split(None);
        let Some(parent) = self.parents.get_mut(usize::from(index)) else { return };
        parent.failed = parent.failed.or(Some((parent.issued, Error::Again)));
        if parent.parts == 0 {
            let tag = parent.tag;
            let _ = self.free_parents.push(index);
            around.uppers.complete(upper, tag, Completion::error(Error::Again));
        }
    }
}
