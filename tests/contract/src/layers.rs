// SPDX-License-Identifier: MIT
//! A layer that makes the device below look like a small one, so that requests are split.
use orion_block::{Completion, Limits};
use orion_layer::{Id, Io, Layer};

/// Takes no more than `max_blocks` at once, and nothing across a multiple of `boundary` blocks.
#[derive(Clone, Copy, Debug)]
pub struct Narrow {
    /// As in [`Limits`].
    pub max_blocks: u32,
    /// As in [`Limits`].
    pub boundary: u32,
}

impl Layer for Narrow {
    type Ctx = ();
    const FANOUT: usize = 1;

    fn limits(&self, below: &[Limits]) -> Limits {
        Limits { max_blocks: self.max_blocks, boundary: self.boundary, ..below[0] }
    }

    fn submit(&mut self, id: Id, io: &mut Io<'_, ()>) {
        let req = io.request(id);
        assert!(req.blocks <= self.max_blocks, "{req:?} is larger than the layer's limits");
        let last = req.lba.0 + u64::from(req.blocks.max(1)) - 1;
        let boundary = u64::from(self.boundary);
        assert!(req.lba.0 / boundary == last / boundary, "{req:?} crosses a boundary");
        io.lower(id, 0, 0, req);
    }

    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, ()>) {
        io.done(id, done);
    }
}
