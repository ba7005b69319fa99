// SPDX-License-Identifier: MIT
//! RAID 0 and linear: each sector is on one member.
use super::{Ctx, Raid, Step};
use orion_block::{Completion, Error, Op, Request};
use orion_layer::{Id, Io, Relay};

impl Raid {
    /// The one lower request that does all of `req`, if one does.
    #[inline]
    pub(super) fn relay_spread(&mut self, req: &mut Request) -> Option<Relay<Ctx>> {
        if req.op == Op::Flush || (req.op == Op::Discard && self.offers_no_discard()) {
            return None;
        }
        if req.op == Op::WriteZeroes && !self.members.write_zeroes {
            return None;
        }
        let (first, end) = self.sectors(req);
        let place = self.geometry.as_ref()?.place(first, 0).filter(|place| end - first <= place.run)?;
        let (port, below) = self.below(place.member, req, place.sector, end - first);
        *req = below;
        Some(Relay { port, ctx: Ctx { role: u8::try_from(place.member).ok()?, ..Ctx::default() } })
    }

    /// Does the next part of a request that runs from one member into the next.
    pub(super) fn spread(&mut self, id: Id, io: &mut Io<'_, Ctx>) {
        let req = io.request(id);
        let Some(ctx) = io.ctx(id) else { return };
        let skip = u32::try_from(ctx.next).unwrap_or(u32::MAX);
        let rest = req.part(skip, req.blocks.saturating_sub(skip), self.scale + 9);
        let (first, end) = self.sectors(&rest);
        let Some(place) = self.geometry.as_ref().and_then(|g| g.place(first, 0)) else {
            return io.done(id, Completion { status: Err(Error::OutOfRange), blocks: skip });
        };
        let sectors = place.run.min(end - first);
        let (port, below) = self.below(place.member, &rest, place.sector, sectors);
        if let Some(ctx) = io.ctx(id) {
            ctx.step = Step::Out;
            ctx.role = u8::try_from(place.member).unwrap_or(u8::MAX);
            ctx.next += sectors >> self.scale;
            ctx.lba = u64::from(skip);
        }
        io.lower(id, port, 0, below);
    }

    /// A part ended.
    pub(super) fn spread_ended(&mut self, id: Id, done: Completion, io: &mut Io<'_, Ctx>) {
        let Some(ctx) = io.ctx(id).copied() else { return };
        if let Err(error) = done.status {
            let before = u32::try_from(ctx.lba).unwrap_or(0);
            let part = done.blocks >> self.members.scale(ctx.role, self.scale);
            return io.done(id, Completion { status: Err(error), blocks: before.saturating_add(part) });
        }
        let blocks = io.request(id).blocks;
        if ctx.next >= u64::from(blocks) {
            return io.done(id, Completion::ok(blocks));
        }
        self.spread(id, io);
    }
}
