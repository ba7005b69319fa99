// SPDX-License-Identifier: MIT
//! RAID 1 and 10: each sector is on several members.
use super::members::bit;
use super::{Ctx, FANOUT, Raid, Roles, Step, blames};
use crate::Geometry;
use crate::geometry::Place;
use orion_block::{Completion, Error, Request};
use orion_layer::{Id, Io, Relay};

/// Reads in flight that going on where the last one ended is worth.
const NEAR: u16 = 4;

impl Raid {
    /// The copy from which some sectors are read best, of those that no member of `tried` has.
    pub(super) fn choose(&self, first: u64, end: u64, tried: Roles) -> Option<Place> {
        let geometry = self.geometry.as_ref()?;
        let synced = self.meta.synced(end);
        let mut best: Option<((bool, u16), Place)> = None;
        for place in copies(geometry, first) {
            let behind = place.sector.saturating_add(end - first);
            if tried & bit(place.member) != 0 || place.run < end - first || !self.members.holds(place.member, behind) {
                continue;
            }
            // Copies that may differ are read from the same member each time.
            if !synced {
                return Some(place);
            }
            let member = self.members.get(place.member)?;
            let far = if member.behind == place.sector { 0 } else { NEAR };
            let cost = (member.mostly, member.busy.saturating_add(far));
            if best.is_none_or(|(least, _)| cost < least) {
                best = Some((cost, place));
            }
        }
        match best {
            Some((_, place)) => Some(place),
            None => self.stand_in(first, end, tried),
        }
    }

    /// The one lower request that reads a copy.
    #[inline]
    pub(super) fn relay_copy(&mut self, req: &mut Request) -> Option<Relay<Ctx>> {
        let (first, end) = self.sectors(req);
        let place = self.choose(first, end, 0)?;
        let role = u8::try_from(place.member).ok()?;
        let ctx = Ctx { role, lba: req.lba.0, ..Ctx::default() };
        let (port, below) = self.below(place.member, req, place.sector, end - first);
        self.members.asked(place.member, place.sector.saturating_add(end - first));
        *req = below;
        Some(Relay { port, ctx })
    }

    /// Reads a copy that was not tried yet.
    pub(super) fn read_copy(&mut self, id: Id, io: &mut Io<'_, Ctx>) {
        let req = io.request(id);
        let (first, end) = self.sectors(&req);
        let Some(ctx) = io.ctx(id) else { return };
        let Some(place) = self.choose(first, end, ctx.failed) else {
            let error = ctx.error.unwrap_or(Error::Offline);
            return io.done(id, Completion::error(error));
        };
        (ctx.step, ctx.role) = (Step::Out, u8::try_from(place.member).unwrap_or(u8::MAX));
        self.members.asked(place.member, place.sector.saturating_add(end - first));
        let (port, below) = self.below(place.member, &req, place.sector, end - first);
        io.lower(id, port, 0, below);
    }

    /// A copy was read, or not: then the next is.
    pub(super) fn copy_read(&mut self, id: Id, done: Completion, io: &mut Io<'_, Ctx>) {
        let req = io.request(id);
        let Some(ctx) = io.ctx(id) else { return };
        let role = ctx.role;
        self.members.ended(role);
        match done.status {
            Ok(()) => io.done(id, Completion::ok(req.blocks)),
            Err(error) if blames(error) => {
                ctx.failed |= bit(role.into());
                ctx.error = Some(error);
                let (first, end) = self.sectors(&req);
                self.background.repair(role, first, end);
                self.read_copy(id, io);
                // Not before the clients' requests that wait.
                io.alarm(io.now());
            }
            Err(error) => io.done(id, Completion::error(error)),
        }
    }

    /// Writes all copies.
    pub(super) fn write_copies(&mut self, id: Id, io: &mut Io<'_, Ctx>) {
        if !self.may_write(id, io) {
            return;
        }
        let req = io.request(id);
        let (first, end) = self.sectors(&req);
        if !self.may_mark(id, first, end, io) || !self.locks.take(id, first, end) {
            return;
        }
        let Some(geometry) = &self.geometry else { return };
        let mut left = 0;
        let places = copies(geometry, first).chain(self.twin_places(first).map(|(_, place)| place));
        for place in places {
            if self.members.is_used(place.member) {
                let (port, below) = self.below(place.member, &req, place.sector, end - first);
                io.lower(id, port, left, below);
                left += 1;
            }
        }
        if left == 0 {
            self.locks.release(id, io);
            return io.done(id, Completion::error(Error::Offline));
        }
        if let Some(ctx) = io.ctx(id) {
            (ctx.step, ctx.left) = (Step::Out, left);
        }
    }

    /// One copy was written, or not.
    pub(super) fn copy_written(&mut self, id: Id, child: u8, done: Completion, io: &mut Io<'_, Ctx>) {
        let req = io.request(id);
        // By the device: another may have taken the member's place meanwhile.
        let role = io.child_port(id, child).and_then(|port| self.members.role_of(port));
        match done.status {
            Ok(()) => io.ctx(id).into_iter().for_each(|ctx| ctx.did = true),
            Err(error) => self.blame(id, role, error, io),
        }
        let Some(ctx) = io.ctx(id) else { return };
        ctx.left = ctx.left.saturating_sub(1);
        if ctx.left == 0 {
            let ctx = *ctx;
            self.locks.release(id, io);
            self.end_all(id, ctx, Completion::ok(req.blocks), io);
        }
    }
}

/// The places of all copies of a sector.
pub(super) fn copies(geometry: &Geometry, sector: u64) -> impl Iterator<Item = Place> + '_ {
    (0..FANOUT).map_while(move |copy| geometry.place(sector, u32::try_from(copy).ok()?))
}
