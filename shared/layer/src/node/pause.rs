// SPDX-License-Identifier: MIT
//! A layer that becomes another while it is used: it gets no requests meanwhile, and has other limits after. Nothing here is on
//! the way of a request.
use super::{Around, Node, PORTS_MAX};
use crate::context::Wish;
use crate::{Layer, Lowers, Uppers, share};
use heapless::Vec;
use orion_block::Limits;

impl<L: Layer, const N: usize, const F: usize> Node<L, N, F> {
    /// Whether what this node offers is another than it was, once.
    #[inline]
    pub fn take_renewed(&mut self) -> bool {
        core::mem::take(&mut self.renewed)
    }

    /// Does what the layer has asked for.
    #[inline]
    pub(super) fn pause_or_resume<U: Uppers, B: Lowers>(&mut self, around: &mut Around<'_, U, B>) {
        if let Some(wish) = self.desk.wish.take() {
            self.obey(wish, around);
        }
    }

    #[cold]
    #[inline(never)]
    fn obey<U: Uppers, B: Lowers>(&mut self, wish: Wish, around: &mut Around<'_, U, B>) {
        self.desk.paused = wish == Wish::Pause;
        if wish == Wish::Pause {
            return share::close(&mut self.shares);
        }
        let before = self.limits;
        let mut below: Vec<Limits, PORTS_MAX> = Vec::new();
        for port in 0..around.lowers.count() {
            // One that is gone offers nothing.
            let _ = below.push(around.lowers.limits(port).unwrap_or_default());
        }
        self.limit(&below);
        self.renewed |= self.limits != before;
        let (layer, usable) = (&self.layer, self.usable.saturating_sub(L::KEPT));
        share::open(&mut self.shares, around.uppers.count(), usable, |upper| layer.weight(upper));
        // Requests that were being split have room for their next parts.
        self.go_on(around);
    }
}
