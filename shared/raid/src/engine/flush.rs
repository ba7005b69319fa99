// SPDX-License-Identifier: MIT
//! A flush goes to every member, some at a time.
use super::members::{Roles, bit, each};
use super::{Ctx, FANOUT, Raid, Step};
use orion_block::{Completion, Lba, Request};
use orion_layer::{Id, Io};

impl Raid {
    pub(super) fn flush(&mut self, id: Id, io: &mut Io<'_, Ctx>) {
        let all = self.members.used();
        let first: Roles = each(all).take(FANOUT).map(bit).sum();
        let Some(ctx) = io.ctx(id) else { return };
        (ctx.step, ctx.next) = (Step::Out, all & !first);
        ctx.left = u8::try_from(first.count_ones()).unwrap_or(0);
        if first == 0 {
            return io.done(id, Completion::error(orion_block::Error::Offline));
        }
        for (child, role) in (0u8..).zip(each(first)) {
            self.flush_one(id, child, role, io);
        }
    }

    fn flush_one(&self, id: Id, child: u8, role: u32, io: &mut Io<'_, Ctx>) {
        let (port, req) = self.below(self.members.as_now(role), &io.request(id), 0, 0);
        io.lower(id, port, child, Request { lba: Lba(0), blocks: 0, ..req });
    }

    /// The role that was asked as `child`: the roles are asked in order, and each child that ended takes the next.
    pub(super) fn flushed(&mut self, id: Id, child: u8, done: Completion, io: &mut Io<'_, Ctx>) {
        let role = io.child_port(id, child).and_then(|port| self.members.role_of(port));
        // Where there is no role the member was left behind meanwhile.
        match (done.status, role) {
            (Ok(()), _) => io.ctx(id).into_iter().for_each(|ctx| ctx.did = true),
            (Err(error), role) => self.blame(id, role, error, io),
        }
        let Some(ctx) = io.ctx(id) else { return };
        if ctx.next != 0 {
            let next = ctx.next.trailing_zeros();
            ctx.next &= ctx.next - 1;
            return self.flush_one(id, child, next, io);
        }
        ctx.left = ctx.left.saturating_sub(1);
        if ctx.left == 0 {
            let ctx = *ctx;
            self.end_all(id, ctx, Completion::ok(0), io);
        }
    }

    /// Every member that was asked has answered: those that failed are left behind where the array bears that.
    pub(super) fn end_all(&mut self, id: Id, ctx: Ctx, good: Completion, io: &mut Io<'_, Ctx>) {
        let mut broke = ctx.broke;
        // A member that refuses what another did holds something else from now on.
        for role in each(if ctx.did { ctx.refused } else { 0 }) {
            broke |= !self.fail(role);
        }
        let bad = broke || (!ctx.did && ctx.error.is_some());
        let done = ctx.error.filter(|_| bad).map_or(good, Completion::error);
        // Others may have noticed first that a member failed, and the superblocks may not say so yet.
        let changed = ctx.changed || ctx.refused != 0 || self.meta.owes();
        self.answer(id, done, changed, io);
    }
}
