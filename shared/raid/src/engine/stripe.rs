// SPDX-License-Identifier: MIT
//! RAID 4, 5 and 6: what is asked of a band of a stripe is done together. Here requests come and go.
use super::lines::{Given, Line, Spot, Wish, mask};
use super::members::{Roles, bit, each};
use super::{BACKGROUND, Ctx, Raid, Step, blames};
use crate::Geometry;
use crate::geometry::Stripe;
use orion_block::{Buf, Completion, Error, Op, Request};
use orion_layer::{Id, Io, Relay};

impl Raid {
    /// The one lower request that reads `req` from the member that holds it.
    #[inline]
    pub(super) fn relay_stripe(&mut self, req: &mut Request) -> Option<Relay<Ctx>> {
        let (first, end) = self.sectors(req);
        let place = self.geometry.as_ref()?.place(first, 0).filter(|place| end - first <= place.run)?;
        if !self.members.holds(place.member, place.sector.saturating_add(end - first)) {
            return None;
        }
        let ctx = Ctx { role: u8::try_from(place.member).ok()?, lba: req.lba.0, ..Ctx::default() };
        let (port, below) = self.below(place.member, req, place.sector, end - first);
        self.members.asked(place.member, 0);
        *req = below;
        Some(Relay { port, ctx })
    }

    /// Takes a request that is more than one member's.
    pub(super) fn stripe_request(&mut self, id: Id, io: &mut Io<'_, Ctx>) {
        let req = io.request(id);
        let (first, end) = self.sectors(&req);
        let Some(place) = self.geometry.as_ref().and_then(|g| g.place(first, 0)) else {
            return io.done(id, Completion::error(Error::OutOfRange));
        };
        let whole = self.members.holds(place.member, place.sector.saturating_add(end - first));
        if req.op == Op::Read && whole && io.ctx(id).is_some_and(|ctx| ctx.failed == 0) {
            let (port, below) = self.below(place.member, &req, place.sector, end - first);
            if let Some(ctx) = io.ctx(id) {
                (ctx.step, ctx.role) = (Step::Out, u8::try_from(place.member).unwrap_or(u8::MAX));
            }
            self.members.asked(place.member, 0);
            return io.lower(id, port, 0, below);
        }
        let marked = (place.sector, place.sector.saturating_add(end - first));
        if req.op != Op::Read
            && !(self.reaches(&req, io) && self.may_write(id, io) && self.may_mark(id, marked.0, marked.1, io))
        {
            return;
        }
        let (band, at) = self.lines.band(place.sector);
        let byte = |number: u64| u8::try_from(number).unwrap_or(u8::MAX);
        if let Some(ctx) = io.ctx(id) {
            ctx.spot = Spot { role: byte(place.member.into()), at: byte(at), sectors: byte(end - first) };
        }
        let follows = core::mem::replace(&mut self.lines.end, end) == first;
        let wish = if req.op == Op::Read { Wish::Other } else { Wish::Write { sectors: end - first, follows } };
        if self.lines.give(id, band, wish) == Given::First {
            io.alarm(io.now());
        }
    }

    /// Whether the payload can be read; if not, the request is refused before anything is done.
    fn reaches(&self, req: &Request, io: &Io<'_, Ctx>) -> bool {
        let last = (u64::from(req.blocks) << (self.scale + 9)).saturating_sub(1);
        let mut byte = [0];
        let end = Buf { offset: req.buf.offset.saturating_add(last), ..req.buf };
        req.op != Op::Write || (io.read_payload(req.buf, &mut byte) && io.read_payload(end, &mut byte))
    }

    /// A member was read for one request alone, or not: then what it holds follows from the others.
    pub(super) fn read_alone(&mut self, id: Id, done: Completion, io: &mut Io<'_, Ctx>) {
        let Some(ctx) = io.ctx(id) else { return };
        self.members.ended(ctx.role);
        match done.status {
            Ok(()) => {
                let blocks = io.request(id).blocks;
                io.done(id, Completion::ok(blocks));
            }
            Err(error) if blames(error) => {
                (ctx.step, ctx.failed, ctx.error) = (Step::New, bit(ctx.role.into()), Some(error));
                self.stripe_request(id, io);
            }
            Err(error) => io.done(id, Completion::error(error)),
        }
    }

    /// Begins what was gathered.
    pub(super) fn begin_lines(&mut self, io: &mut Io<'_, Ctx>) {
        let members = self.geometry.as_ref().map_or(0, Geometry::data_members);
        let whole = members.saturating_mul(self.lines.height);
        // What begins to gather meanwhile has its own alarm.
        for _ in 0..self.lines.gathering() {
            let Some(n) = self.lines.gathered() else { return };
            if !self.lines.waits(n, whole, io) {
                self.begin_line(n, io);
            }
        }
    }

    fn begin_line(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        if self.logs() && !self.is_said_whole() {
            // A log says nothing of a member that is missing, or is not whole yet after a restart: one at a time, so that either
            // its data or others' are written with parity.
            self.lines.keep_first(n);
        }
        let height = self.lines.height;
        let Some(&Line { band, list, queue, .. }) = self.lines.get(n) else { return };
        let stripe = band.checked_mul(height).and_then(|sector| self.geometry.as_ref()?.stripe(sector));
        let mut line = Line { band, stripe, list, queue, low: u64::MAX, ..Line::default() };
        let mut next = list.first;
        while let Some(id) = next {
            next = self.lines.next(id);
            let Request { op, fua, .. } = io.request(id);
            let Some(ctx) = io.ctx(id) else { continue };
            (ctx.step, ctx.line, ctx.role) = (Step::Out, u8::try_from(n).unwrap_or(u8::MAX), u8::MAX);
            let Some((role, at, sectors)) = ctx.spot.piece() else {
                (line.sync, line.low, line.high) = (true, 0, height);
                continue;
            };
            (line.low, line.high) = (line.low.min(at), line.high.max(at + sectors));
            line.fua |= fua;
            if op == Op::Read {
                line.wants |= bit(role);
                line.lost |= ctx.failed;
            } else {
                self.lines.write(n, ctx.spot, line.writes & bit(role) == 0);
                line.writes |= bit(role);
            }
        }
        self.round(&mut line);
        line.covered = self.covered(n, &line);
        self.lines.begin(n, line);
        if line.writes != 0 && self.logs() && stripe.is_some_and(|stripe| self.rows(n, &stripe).is_none()) {
            self.lines.keep_first(n);
            return self.begin_line(n, io);
        }
        self.read_line(n, io);
    }

    /// The members of which nothing need be known: they are written all over, where the line is touched.
    fn covered(&self, n: usize, line: &Line) -> Roles {
        if line.sync {
            return 0;
        }
        let all = mask(line.low, line.high.saturating_sub(line.low));
        each(line.writes & !line.wants)
            .filter(|role| self.lines.cover(n, *role) & all == all)
            .fold(0, |all, role| all | bit(role))
    }

    /// The stripe of a line that was begun.
    pub(super) fn stripe_of(&self, n: usize) -> Option<Stripe> {
        self.lines.get(n)?.stripe
    }

    /// Answers all that the line did.
    pub(super) fn end_line(&mut self, n: usize, error: Option<Error>, changed: bool, io: &mut Io<'_, Ctx>) {
        let Some(&Line { list, sync, .. }) = self.lines.get(n) else { return };
        let changed = changed || self.meta.owes();
        let mut next = list.first;
        while let Some(id) = next {
            next = self.lines.next(id);
            if Some(id) == io.kept(BACKGROUND) {
                continue;
            }
            let Request { op, blocks, .. } = io.request(id);
            let read = op == Op::Read;
            let own = if read { io.ctx(id).and_then(|ctx| ctx.error.filter(|error| !blames(*error))) } else { None };
            let done = error.or(own).map_or(Completion::ok(blocks), Completion::error);
            self.answer(id, done, changed && !read, io);
        }
        self.lines.done(n, io);
        self.log_done(n, io);
        self.journal_done(n, io);
        if changed {
            self.go_on(io);
        }
        if sync {
            self.band_ended(io);
        }
    }
}
