// SPDX-License-Identifier: MIT
//! Hands every request to the one device below: the layer of a driver PD, and a measure of what a layer costs.
use crate::{Id, Io, Layer, Relay};
use orion_block::{Completion, Limits, Request};

/// Hands every request to the one device below.
#[derive(Clone, Copy, Debug, Default)]
pub struct Passthrough;

impl Layer for Passthrough {
    type Ctx = ();
    const FANOUT: usize = 1;

    fn limits(&self, below: &[Limits]) -> Limits {
        below.first().copied().unwrap_or_default()
    }

    #[inline]
    fn relay(&mut self, _: u8, _: &mut Request) -> Option<Relay<()>> {
        Some(Relay { port: 0, ctx: () })
    }

    fn submit(&mut self, id: Id, io: &mut Io<'_, ()>) {
        io.lower(id, 0, 0, io.request(id));
    }

    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, ()>) {
        io.done(id, done);
    }
}
