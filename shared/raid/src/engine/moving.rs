// SPDX-License-Identifier: MIT
//! An array with parity that is reshaped while it is used. Requests and what moves are done one at a time: each request lies on
//! one side of the position, and waits while that passes. What is written to what was moved waits until the superblocks say so.
use super::bands::Ask;
use super::members::{Roles, bit, each};
use super::{Ctx, Raid, SLOTS, blames};
use crate::Geometry;
use crate::geometry::{Place, Stripe};
use crate::reshape::{Before, Groups};
use heapless::Deque;
use orion_block::{Buf, Completion, Error, Op, Request};
use orion_layer::{Id, Io};

/// Requests that are done between two windows, at most.
const TURNS: u8 = 8;

/// What is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Job {
    #[default]
    Idle,
    /// This pass of superblocks is waited for.
    Said(u64),
    /// The request at the head of the queue.
    Client,
    /// The band of this number, of those up to the next position.
    Window(u64),
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Step {
    /// What is wanted is read where it is.
    #[default]
    Read,
    /// The rest of a stripe is read, from which it follows: for the piece of this number.
    Rest(u32),
    /// Members are written.
    Write,
}

/// The reshape.
#[derive(Clone, Debug, Default)]
pub(super) struct Moving {
    /// What is not moved yet; `None`: no reshape is under way.
    pub before: Option<Before>,
    /// The position that all superblocks say, and the one that those say that are being written.
    pub durable: u64,
    pub says: u64,
    /// Sectors of a band, in both geometries.
    pub height: u64,
    /// What cannot be moved stops it.
    pub stuck: bool,
    /// The array is no larger than this while it is reshaped.
    pub kept: Option<u64>,
    /// What is to become of the array, and how that goes.
    pub grow: super::grow::Grow,
    pub job: Job,
    pub step: Step,
    /// Pieces of a band that are not in memory yet.
    pub lacking: u64,
    /// Where the window ends.
    pub next: u64,
    turns: u8,
    queue: Deque<Id, SLOTS>,
}

impl Moving {
    /// Whether requests have to go this way.
    pub fn is_on(&self) -> bool {
        self.before.is_some()
    }

    /// Whether there is nothing to be done, or nothing that could be.
    pub fn is_settled(&self) -> bool {
        self.is_quiet() && (!self.is_on() || self.stuck) && !self.grow.is_on()
    }

    /// The first request that waits.
    pub fn pop(&mut self) -> Option<Id> {
        self.queue.pop_front()
    }

    /// Whether nothing is under way.
    pub fn is_quiet(&self) -> bool {
        self.queue.is_empty() && !matches!(self.job, Job::Client | Job::Window(_))
    }

    /// What is added to the first sector of data of what is moved.
    pub fn shift(&self) -> i64 {
        self.before.as_ref().map_or(0, |before| before.shift)
    }

    /// Whether so many members are enough for what is not moved.
    pub fn bears(&self, rest: Roles) -> bool {
        self.before.as_ref().is_none_or(|before| before.geometry.bears(|role| rest & bit(role) != 0))
    }

    /// Superblocks are about to be written: where the reshape is by then.
    pub fn snapshot(&mut self) {
        if let Some(before) = &self.before {
            self.says = before.position;
        }
    }
}

/// A request's place.
struct Target {
    moved: bool,
    place: Place,
    stripe: Stripe,
    sectors: u64,
}

impl Raid {
    /// Takes a request.
    pub(super) fn moving_request(&mut self, id: Id, io: &mut Io<'_, Ctx>) {
        if io.request(id).op != Op::Read && !self.may_write(id, io) {
            return;
        }
        if let Some(ctx) = io.ctx(id) {
            ctx.step = super::Step::Out;
        }
        let fits = self.moving.queue.push_back(id);
        debug_assert!(fits.is_ok(), "a node of this layer has {SLOTS} slots at most");
        self.moving_on(io);
    }

    /// Begins what is next, if nothing is under way.
    pub(super) fn moving_on(&mut self, io: &mut Io<'_, Ctx>) {
        if let Job::Said(pass) = self.moving.job
            && (self.meta.has_written(pass) || self.meta.broken().is_some())
        {
            self.moving.job = Job::Idle;
        }
        if self.moving.job != Job::Idle || !self.moving.is_on() {
            return;
        }
        let moves = !self.moving.stuck && !self.read_only && self.meta.broken().is_none();
        if self.moving.queue.is_empty() || (moves && self.moving.turns >= TURNS) {
            self.moving.turns = 0;
            if moves {
                self.begin_move(io);
            }
            return;
        }
        self.moving.turns = self.moving.turns.saturating_add(1);
        self.begin_client(io);
    }

    /// Has the superblocks say where the reshape is, and waits for that.
    pub(super) fn say_position(&mut self, io: &mut Io<'_, Ctx>) {
        self.meta.wants();
        self.moving.job = Job::Said(self.meta.wanted());
        self.go_on(io);
    }

    /// All superblocks are written.
    pub(super) fn position_said(&mut self, io: &mut Io<'_, Ctx>) {
        if self.moving.before.is_some() {
            self.moving.durable = self.moving.says;
            self.moving_on(io);
        }
    }

    fn target(&self, req: &Request) -> Option<Target> {
        let (first, end) = self.sectors(req);
        let before = self.moving.before.as_ref()?;
        let moved = before.moved(first);
        let geometry = if moved { self.geometry.as_ref()? } else { &before.geometry };
        let place = geometry.place(first, 0)?;
        Some(Target { moved, place, stripe: geometry.stripe(place.sector)?, sectors: end - first })
    }

    /// Begins the first request of the queue.
    fn begin_client(&mut self, io: &mut Io<'_, Ctx>) {
        let Some(id) = self.moving.queue.front().copied() else { return };
        let req = io.request(id);
        let Some(target) = self.target(&req) else { return self.end_client(Err(Error::OutOfRange), false, io) };
        let durable =
            self.moving.before.as_ref().map(|before| Before { position: self.moving.durable, ..before.clone() });
        let said = durable.is_some_and(|durable| durable.moved(self.sectors(&req).0));
        if req.op != Op::Read && target.moved && !said {
            return self.say_position(io);
        }
        (self.moving.job, self.moving.step) = (Job::Client, Step::Read);
        self.bands.clear();
        let Target { moved, place, sectors, .. } = target;
        if req.op != Op::Read {
            self.ask_band(&target.stripe, moved, place.sector, 0, 0);
        } else if self.members.holds(place.member, place.sector.saturating_add(sectors)) {
            let (role, sector, buf) = (place.member, place.sector, req.buf);
            self.bands.ask(Ask { role, moved, op: Op::Read, fua: false, sector, sectors, buf });
        } else {
            return self.client_rest(&target, 0, io);
        }
        self.moving_sent(io);
    }

    /// Asks for what all members hold of a band, but those of `not`.
    pub(super) fn ask_band(&mut self, stripe: &Stripe, moved: bool, sector: u64, from: u32, not: Roles) {
        let height = self.moving.height;
        let first = sector - sector % height;
        let can = self.members.that_hold(first.saturating_add(height)) & stripe.all() & !not;
        for role in each(can) {
            let buf = self.cell(from + role, 0);
            self.bands.ask(Ask { role, moved, op: Op::Read, fua: false, sector: first, sectors: height, buf });
        }
    }

    /// Reads the rest of the stripe that a reader's sectors are in.
    fn client_rest(&mut self, target: &Target, lost: Roles, io: &mut Io<'_, Ctx>) {
        self.moving.step = Step::Rest(0);
        self.bands.clear();
        self.ask_band(&target.stripe, target.moved, target.place.sector, 0, lost | bit(target.place.member));
        self.moving_sent(io);
    }

    /// Sends what is to be asked, and goes on where that is nothing.
    pub(super) fn moving_sent(&mut self, io: &mut Io<'_, Ctx>) {
        if !self.bands_send(io) {
            self.moving_stepped(io);
        }
    }

    /// A lower request ended.
    pub(super) fn moving_ended(&mut self, child: u8, done: Completion, io: &mut Io<'_, Ctx>) {
        if self.bands_ended(child, done, io) {
            self.moving_stepped(io);
        }
    }

    /// All that was asked is done.
    fn moving_stepped(&mut self, io: &mut Io<'_, Ctx>) {
        match self.moving.job {
            Job::Client => self.client_stepped(io),
            Job::Window(band) => self.window_stepped(band, io),
            Job::Idle | Job::Said(_) => {}
        }
    }

    fn client_stepped(&mut self, io: &mut Io<'_, Ctx>) {
        let Some(id) = self.moving.queue.front().copied() else { return };
        let req = io.request(id);
        let Some(target) = self.target(&req) else { return self.end_client(Err(Error::OutOfRange), false, io) };
        let (have, role) = (self.bands.done(), target.place.member);
        let error = self.bands.error.unwrap_or(Error::Io);
        match self.moving.step {
            Step::Read if req.op == Op::Read && self.bands.failed == 0 => self.end_client(Ok(()), false, io),
            Step::Read if req.op == Op::Read => self.client_rest(&target, 0, io),
            Step::Rest(_) => {
                if !self.bands_recover(&target.stripe, have, 0, (role, role), io) {
                    return self.end_client(Err(error), false, io);
                }
                let at = target.place.sector % self.moving.height;
                let good = self.copy(self.cell(role, at), req.buf, target.sectors, io);
                self.end_client(if good { Ok(()) } else { Err(Error::Invalid) }, false, io);
            }
            Step::Read => self.client_write(&target, &req, have, io),
            Step::Write => {
                let (broke, changed) = self.blame_all();
                self.end_client(if broke { Err(error) } else { Ok(()) }, changed, io);
            }
        }
    }

    /// Members that could not be written are left behind: whether the array cannot bear that, and whether there was one.
    pub(super) fn blame_all(&mut self) -> (bool, bool) {
        let failed = self.bands.faults().fold(0, |all, (_, role)| all | bit(role)) & self.members.used();
        let mut broke = false;
        each(failed).for_each(|role| broke |= !self.fail(role));
        if broke {
            self.meta.breaks();
        }
        (broke, failed != 0)
    }

    /// Copies sectors within memory; whether both could be reached.
    fn copy(&self, from: Buf, to: Buf, sectors: u64, io: &mut Io<'_, Ctx>) -> bool {
        let mut bytes = [0; 512];
        (0..sectors).all(|n| {
            let at = |buf: Buf| Buf { offset: buf.offset.saturating_add(n * 512), ..buf };
            io.read_payload(at(from), &mut bytes) && io.write_payload(at(to), &bytes)
        })
    }

    /// The band is in memory: what is missing of it follows, the client's sectors come in, and parity of all.
    fn client_write(&mut self, target: &Target, req: &Request, have: Roles, io: &mut Io<'_, Ctx>) {
        let (stripe, role, at) = (target.stripe, target.place.member, target.place.sector % self.moving.height);
        let lost = stripe.members().filter(|role| have & bit(*role) == 0).fold(0, |all, role| all | bit(role));
        for role in each(lost) {
            if !self.bands_recover(&stripe, have, 0, (role, role), io) {
                let error = self.bands.error.unwrap_or(Error::Io);
                return self.end_client(Err(error), false, io);
            }
        }
        let zeroes = [0; 512];
        let good = match req.op {
            Op::Write => self.copy(req.buf, self.cell(role, at), target.sectors, io),
            _ => (0..target.sectors).all(|n| io.write_payload(self.cell(role, at + n), &zeroes)),
        };
        if !good {
            return self.end_client(Err(Error::Invalid), false, io);
        }
        self.bands_parity(&stripe, io);
        self.bands.clear();
        self.moving.step = Step::Write;
        let parity = bit(stripe.p) | stripe.q.map_or(0, bit);
        for role in each((bit(role) | parity) & self.members.used()) {
            let (sector, sectors, buf) = (target.place.sector, target.sectors, self.cell(role, at));
            self.bands.ask(Ask { role, moved: target.moved, op: Op::Write, fua: req.fua, sector, sectors, buf });
        }
        self.moving_sent(io);
    }

    /// Answers the first request of the queue.
    fn end_client(&mut self, done: Result<(), Error>, changed: bool, io: &mut Io<'_, Ctx>) {
        self.moving.job = Job::Idle;
        if let Some(id) = self.moving.queue.pop_front() {
            let Request { op, blocks, .. } = io.request(id);
            let done = match done {
                Ok(()) => Completion::ok(blocks),
                Err(error) => Completion::error(if blames(error) { Error::Io } else { error }),
            };
            self.answer(id, done, (changed || self.meta.owes()) && op != Op::Read, io);
        }
        self.moving_on(io);
    }

    /// Logical sectors that a reshape has moved, and all.
    pub(super) fn moved(&self) -> Option<(u64, u64)> {
        let before = self.moving.before.as_ref()?;
        let after = self.geometry.as_ref()?.sectors();
        let of = if before.backwards { after.min(before.geometry.sectors()) } else { after };
        Some((if before.backwards { of.saturating_sub(before.position) } else { before.position }, of))
    }

    /// The new geometry, and its rows.
    pub(super) fn after(&self) -> Option<(&Geometry, Groups)> {
        let geometry = self.geometry.as_ref()?;
        Some((geometry, Groups::of(geometry)?))
    }
}
