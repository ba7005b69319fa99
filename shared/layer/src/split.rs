// SPDX-License-Identifier: MIT
//! Upper requests that are larger than the layer's limits: cut into parts, answered as one.
use orion_block::{Completion, Error, Limits, Request};

/// A split request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parent {
    pub req: Request,
    pub tag: u32,
    pub upper: u8,
    /// Blocks whose parts were issued.
    pub issued: u32,
    /// Parts in flight.
    pub parts: u16,
    /// The failure with the lowest address so far: blocks before it, and why.
    pub failed: Option<(u32, Error)>,
}

impl Parent {
    pub const FREE: Self = Self {
        req: Request {
            op: orion_block::Op::Read,
            fua: false,
            lba: orion_block::Lba(0),
            blocks: 0,
            buf: orion_block::Buf { region: orion_block::RegionId(0), offset: 0 },
        },
        tag: 0,
        upper: 0,
        issued: 0,
        parts: 0,
        failed: None,
    };

    /// Whether parts remain to be issued. After a failure none is: the answer is an error already.
    pub fn unissued(&self) -> bool {
        self.failed.is_none() && self.issued < self.req.blocks
    }

    /// Takes note of a part's end; the answer when it was the last.
    pub fn ended(&mut self, skip: u32, done: Completion) -> Option<Completion> {
        self.parts = self.parts.saturating_sub(1);
        if let Err(error) = done.status {
            let at = skip.saturating_add(done.blocks);
            if self.failed.is_none_or(|(lowest, _)| at < lowest) {
                self.failed = Some((at, error));
            }
        }
        (self.parts == 0 && !self.unissued()).then(|| match self.failed {
            Some((blocks, error)) => Completion { status: Err(error), blocks },
            None => Completion::ok(self.req.blocks),
        })
    }
}

/// Whether a request fits the limits as it is.
pub(crate) fn fits(req: &Request, limits: &Limits) -> bool {
    let small = limits.max_blocks == 0 || req.blocks <= limits.max_blocks;
    small && (limits.boundary == 0 || room_to_boundary(req.lba.0, limits.boundary) >= req.blocks)
}

/// The part of `req` that begins `skip` blocks into it, as long as the limits allow.
pub(crate) fn part(req: &Request, skip: u32, limits: &Limits) -> Request {
    let left = req.blocks.saturating_sub(skip);
    let lba = req.lba.0.saturating_add(u64::from(skip));
    let most = if limits.max_blocks == 0 { left } else { left.min(limits.max_blocks) };
    let blocks = if limits.boundary == 0 { most } else { most.min(room_to_boundary(lba, limits.boundary)) };
    req.part(skip, blocks, limits.block.shift())
}

fn room_to_boundary(lba: u64, boundary: u32) -> u32 {
    let past = u32::try_from(lba % u64::from(boundary)).unwrap_or(0);
    boundary - past
}
