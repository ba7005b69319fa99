// SPDX-License-Identifier: MIT
//! RAID 4, 5 and 6: what is asked of a band of a stripe is done together, with as few reads as that takes.
use super::background::Goal;
use super::lines::{Given, Line, Phase, Way};
use super::members::{Roles, bit, each};
use super::{BACKGROUND, Ctx, FANOUT, Raid, Step, blames};
use crate::geometry::Stripe;
use orion_block::{Buf, Completion, Error, Op, Request};
use orion_layer::{Id, Io, Relay};

/// The bits of `sectors` sectors from `at` on.
fn mask(at: u64, sectors: u64) -> u64 {
    let bits = if sectors >= 64 { u64::MAX } else { (1 << sectors) - 1 };
    bits.checked_shl(u32::try_from(at).unwrap_or(64)).unwrap_or(0)
}

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

    /// The member that a request is about, the first sector of it in its band, and the sectors.
    pub(super) fn piece_of(&self, req: &Request) -> Option<(u32, u64, u64)> {
        let (first, end) = self.sectors(req);
        let place = self.geometry.as_ref()?.place(first, 0).filter(|_| end > first)?;
        Some((place.member, place.sector % self.lines.height, end - first))
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
            return self.read_directly(id, &req, io);
        }
        if req.op != Op::Read && !(self.reaches(&req, io) && self.may_write(id, io)) {
            return;
        }
        if self.lines.give(id, place.sector / self.lines.height) == Given::First {
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

    fn read_directly(&mut self, id: Id, req: &Request, io: &mut Io<'_, Ctx>) {
        let (first, end) = self.sectors(req);
        let Some(place) = self.geometry.as_ref().and_then(|g| g.place(first, 0)) else { return };
        let (port, below) = self.below(place.member, req, place.sector, end - first);
        if let Some(ctx) = io.ctx(id) {
            (ctx.step, ctx.role) = (Step::Out, u8::try_from(place.member).unwrap_or(u8::MAX));
        }
        self.members.asked(place.member, 0);
        io.lower(id, port, 0, below);
    }

    /// A member was read for one request alone, or not: then what it holds follows from the others.
    fn read_alone(&mut self, id: Id, done: Completion, io: &mut Io<'_, Ctx>) {
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
        for n in 0..self.lines.all.len() {
            if self.lines.gathering == 0 {
                break;
            }
            if self.lines.get(n).is_some_and(|line| line.phase == Phase::Gather) {
                self.lines.gathering -= 1;
                self.begin_line(n, io);
            }
        }
    }

    fn begin_line(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        if self.logs() && self.missing().next().is_some() {
            // A log says nothing of a member that is missing, or may be after a restart: one at a time, so that either its data or
            // others' are written with parity.
            self.lines.keep_first(n);
        }
        let Some(line) = self.lines.get(n).copied() else { return };
        let (mut low, mut high, mut writes, mut wants, mut lost) = (u64::MAX, 0, 0, 0, 0);
        let (mut sync, mut fua) = (false, false);
        let mut next = line.list.first;
        while let Some(id) = next {
            next = self.lines.next(id);
            let req = io.request(id);
            let piece = self.piece_of(&req);
            if req.op == Op::Read {
                lost |= io.ctx(id).map_or(0, |ctx| ctx.failed);
            }
            if let Some(ctx) = io.ctx(id) {
                (ctx.step, ctx.line, ctx.role) = (Step::Out, u8::try_from(n).unwrap_or(u8::MAX), u8::MAX);
            }
            let Some((role, at, sectors)) = piece else {
                (sync, low, high) = (true, 0, self.lines.height);
                continue;
            };
            (low, high) = (low.min(at), high.max(at + sectors));
            fua |= req.fua;
            if req.op == Op::Read {
                wants |= bit(role);
            } else {
                writes |= bit(role);
            }
        }
        if let Some(line) = self.lines.get_mut(n) {
            let fresh = Line { band: line.band, list: line.list, queue: line.queue, ..Line::default() };
            *line = Line { low, high, writes, wants, lost, sync, fua, ..fresh };
        }
        if writes != 0 && self.logs() && self.stripe_of(n).is_some_and(|stripe| self.rows(n, &stripe, io).is_none()) {
            self.lines.keep_first(n);
            return self.begin_line(n, io);
        }
        self.read_line(n, io);
    }

    /// The stripe of a line.
    pub(super) fn stripe_of(&self, n: usize) -> Option<Stripe> {
        let line = self.lines.get(n)?;
        self.geometry.as_ref()?.stripe(line.band.checked_mul(self.lines.height)?)
    }

    /// The members of which nothing need be known: they are written all over, where the line is touched.
    pub(super) fn covered(&self, n: usize, io: &Io<'_, Ctx>) -> Roles {
        let Some(line) = self.lines.get(n).filter(|line| !line.sync) else { return 0 };
        let all = mask(line.low, line.high - line.low);
        each(line.writes & !line.wants).filter(|role| self.cover(line, *role, io) & all == all).map(bit).sum()
    }

    /// The sectors of a member that are written.
    pub(super) fn cover(&self, line: &Line, role: u32, io: &Io<'_, Ctx>) -> u64 {
        let requests = self.lines.each(line.list).map(|id| io.request(id)).filter(|req| req.op.modifies());
        let own = requests.filter_map(|req| self.piece_of(&req)).filter(|(of, ..)| *of == role);
        own.fold(0, |all, (_, at, sectors)| all | mask(at, sectors))
    }

    /// How parity is found with fewest reads, and what has to be read for it; `None` where too much is lost.
    fn plan(&self, n: usize, stripe: &Stripe, io: &Io<'_, Ctx>) -> Option<(Way, Roles)> {
        let line = self.lines.get(n)?;
        let end = (line.band + 1).saturating_mul(self.lines.height);
        let data: Roles = stripe.members().map(bit).sum();
        let parity = bit(stripe.p) | stripe.q.map_or(0, bit);
        let can: Roles =
            each(data | parity).filter(|role| self.members.holds(*role, end)).map(bit).sum::<Roles>() & !line.lost;
        if line.sync {
            return Some((Way::Construct, can));
        }
        let unknown = data & !self.covered(n, io);
        if unknown & !can == 0 && line.wants == 0 {
            let modify = line.writes | parity & self.members.used();
            let can_modify = modify & !can == 0 && self.meta.synced(end);
            let cheaper = modify.count_ones() < unknown.count_ones();
            return Some(if can_modify && cheaper { (Way::Modify, modify) } else { (Way::Construct, unknown) });
        }
        if unknown & !can == 0 {
            return Some((Way::Construct, unknown));
        }
        // What is missing follows from all that is not, and from as much parity; from P first.
        let lacking = (data & !can).count_ones();
        let p = bit(stripe.p) & can;
        let needed = if lacking == 1 && p != 0 { p } else { parity & can };
        (needed.count_ones() >= lacking).then_some((Way::Construct, data & can | needed))
    }

    /// Reads what is needed and not in memory yet.
    fn read_line(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        let planned = self.stripe_of(n).and_then(|stripe| self.plan(n, &stripe, io));
        let Some((way, reads)) = planned else {
            return self.line_failed(n, io);
        };
        if let Some(line) = self.lines.get_mut(n) {
            (line.phase, line.way) = (Phase::Read, way);
            (line.have, line.todo) = (line.have & reads, reads & !line.have);
        }
        self.send_all(n, io);
    }

    /// Whoever sends the lower requests of a line: the first of its list.
    fn leader(&self, n: usize) -> Option<Id> {
        self.lines.get(n)?.list.first
    }

    /// Sends as much of a phase as can be out, and goes on when nothing is.
    fn send_all(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        let Some(id) = self.leader(n) else { return };
        for child in 0u8..8 {
            if usize::from(child) < FANOUT {
                self.send_next(n, id, child, io);
            }
        }
        self.phase_ended(n, io);
    }

    fn send_next(&mut self, n: usize, id: Id, child: u8, io: &mut Io<'_, Ctx>) {
        let Some(line) = self.lines.get(n).copied().filter(|line| line.todo != 0) else { return };
        let role = line.todo.trailing_zeros();
        let (low, high) = self.range(&line, role, io);
        let buf = self.lines.buf(self.work, n, role, low);
        let op = if line.phase == Phase::Write { Op::Write } else { Op::Read };
        let req = Request { op, fua: line.fua && op == Op::Write, buf, ..Request::default() };
        let (port, below) = self.below(role, &req, line.band * self.lines.height + low, high - low);
        if let Some(line) = self.lines.get_mut(n) {
            line.todo &= line.todo - 1;
            line.out += 1;
            if let Some(asked) = line.asked.get_mut(usize::from(child)) {
                *asked = u8::try_from(role).unwrap_or(u8::MAX);
            }
        }
        io.lower(id, port, child, below);
    }

    /// The sectors of a member that are read or written: of data that are written, no more than clients did.
    fn range(&self, line: &Line, role: u32, io: &Io<'_, Ctx>) -> (u64, u64) {
        let again = line.lost & bit(role) != 0 || line.sync;
        if line.phase != Phase::Write || line.writes & bit(role) == 0 || again {
            return (line.low, line.high);
        }
        let cover = self.cover(line, role, io);
        (cover.trailing_zeros().into(), u64::from(64 - cover.leading_zeros()))
    }

    /// A lower request of a line ended, or of a reader that has none.
    pub(super) fn stripe_ended(&mut self, id: Id, child: u8, done: Completion, io: &mut Io<'_, Ctx>) {
        let Some(ctx) = io.ctx(id).copied() else { return };
        if ctx.role != u8::MAX {
            return self.read_alone(id, done, io);
        }
        let n = usize::from(ctx.line);
        let port = io.child_port(id, child);
        let Some(line) = self.lines.get_mut(n) else { return };
        line.out = line.out.saturating_sub(1);
        let role = u32::from(line.asked.get(usize::from(child)).copied().unwrap_or(u8::MAX));
        // Another may have taken the member's place meanwhile, and has nothing to do with it.
        let same = self.members.get(role).map(|member| member.port) == port;
        let own = if same || line.phase == Phase::Read { bit(role) } else { 0 };
        match (line.phase, done.status) {
            (Phase::Read, Ok(())) if same => line.have |= own,
            (Phase::Read, Ok(())) => line.lost |= own,
            (Phase::Read, Err(error)) => {
                line.lost |= own;
                line.error = Some(error);
            }
            (_, Ok(())) => line.did = true,
            (_, Err(error)) if blames(error) => {
                line.error = Some(error);
                line.changed = true;
                let borne = own == 0 || self.fail(role);
                self.lines.get_mut(n).into_iter().for_each(|line| line.broke |= !borne);
            }
            (_, Err(error)) => {
                line.error = Some(error);
                line.refused |= own;
            }
        }
        self.send_next(n, id, child, io);
        self.phase_ended(n, io);
    }

    fn phase_ended(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        let Some(line) = self.lines.get(n).copied().filter(|line| line.out == 0) else { return };
        match line.phase {
            Phase::Read => self.line_read(n, io),
            Phase::Write => self.line_written(n, io),
            Phase::Free | Phase::Gather | Phase::Log => {}
        }
    }

    /// All that can be read is: what is missing has to follow from it, or from more.
    fn line_read(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        let Some(stripe) = self.stripe_of(n) else { return };
        let planned = self.plan(n, &stripe, io);
        let Some(line) = self.lines.get(n).copied() else { return };
        match planned {
            None => return self.line_failed(n, io),
            Some((way, reads)) if way != line.way || reads & !line.have != 0 => return self.read_line(n, io),
            Some(_) => {}
        }
        if !self.compute(n, &stripe, io) {
            return self.line_failed(n, io);
        }
        if line.writes != 0 && self.logs() && self.members.is_used(stripe.p) {
            return self.log_line(n, io);
        }
        self.write_line(n, io);
    }

    /// Writes what is in a line's memory.
    pub(super) fn write_line(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        if self.meta.broken().is_some() {
            return self.line_failed(n, io);
        }
        let writes = self.stripe_of(n).map_or(0, |stripe| self.to_write(n, &stripe));
        if let Some(line) = self.lines.get_mut(n) {
            (line.phase, line.todo) = (Phase::Write, writes);
        }
        self.send_all(n, io);
    }

    /// The members that are to be written: with new data, with the parity of these, with what they could not read, and with
    /// what they lack because they are new.
    fn to_write(&self, n: usize, stripe: &Stripe) -> Roles {
        let Some(line) = self.lines.get(n) else { return 0 };
        let parity = bit(stripe.p) | stripe.q.map_or(0, bit);
        let check = self.background.goal == Goal::Check { repair: false };
        let changed = line.writes != 0 || (line.sync && line.differs && !check);
        let new = if line.sync && self.background.goal == Goal::Rebuild { self.members.filling } else { 0 };
        let again = if line.way == Way::Construct { line.lost } else { 0 };
        (line.writes | if changed { parity } else { 0 } | new | again) & self.members.used()
    }

    /// Everything is written, but what failed.
    fn line_written(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        let Some(line) = self.lines.get(n).copied() else { return };
        let refused = if line.did { line.refused } else { 0 };
        let broke = !self.leave(refused) || line.broke;
        if broke {
            // What the stripe holds now is not known: nothing more is written, and the superblocks say that it was in use.
            self.meta.breaks();
        }
        // That what a reader could not read cannot be written again is no concern of his.
        let error = line.error.filter(|_| broke || (!line.did && line.refused != 0 && line.writes != 0));
        self.end_line(n, error, line.changed || refused != 0, io);
    }

    /// Leaves members behind; whether the array bears that.
    fn leave(&mut self, roles: Roles) -> bool {
        let mut borne = true;
        each(roles).for_each(|role| borne &= self.fail(role));
        borne
    }

    /// Too much is lost for what was asked.
    fn line_failed(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        let error = self.lines.get(n).and_then(|line| line.error).unwrap_or(Error::Io);
        if self.lines.get(n).is_some_and(|line| line.sync && self.background.goal == Goal::Rebuild) {
            self.background.stuck = true;
        }
        self.end_line(n, Some(error), false, io);
    }

    /// Answers all that the line did.
    fn end_line(&mut self, n: usize, error: Option<Error>, changed: bool, io: &mut Io<'_, Ctx>) {
        let Some(line) = self.lines.get(n).copied() else { return };
        let changed = changed || self.meta.owes();
        let mut next = line.list.first;
        while let Some(id) = next {
            next = self.lines.next(id);
            if Some(id) == io.kept(BACKGROUND) {
                continue;
            }
            let req = io.request(id);
            let own =
                io.ctx(id).and_then(|ctx| if req.op == Op::Read { ctx.error.filter(|e| !blames(*e)) } else { None });
            let done = error.or(own).map_or(Completion::ok(req.blocks), Completion::error);
            self.answer(id, done, changed && req.op != Op::Read, io);
        }
        self.lines.done(n, io);
        self.log_done(n, io);
        if changed {
            self.go_on(io);
        }
        if line.sync {
            self.band_ended(io);
        }
    }
}
