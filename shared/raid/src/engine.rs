// SPDX-License-Identifier: MIT
//! An array as a layer over its members: requests are spread, copied or given parity, members that fail are left behind.
//!
//! The members' superblocks are read at the start, and are written before anything is answered that depends on them: that
//! the array is in use before its first write, that a member failed before a write is answered which that member lacks.
mod background;
mod bands;
mod bits;
mod build;
mod combine;
mod copying;
mod culprit;
mod find;
mod findings;
mod flush;
mod grow;
mod intent;
mod journal;
mod line;
mod lines;
mod locks;
mod log;
mod members;
mod meta;
mod mirror;
mod moving;
mod operate;
mod prepare;
mod recover;
mod relog;
mod replace;
mod replay;
mod ring;
mod spread;
mod state;
mod stripe;
mod sums;
mod switch;
mod vote;
mod window;

use crate::{Geometry, Level};
pub use background::Progress;
pub use bits::BITMAP_BITS;
pub use build::Plan;
use find::Find;
pub use findings::{Finding, Mend};
use locks::{Locks, Parked};
use members::{Members, Roles};
use meta::Meta;
pub use operate::{Refusal, Use};
use orion_block::{Buf, Completion, Error, Instant, Limits, Op, Request};
use orion_layer::{Event, Id, Io, Layer, Relay, Start};
pub use state::{Condition, Conditions, Seen};

/// Most devices below, spares included.
pub const PORTS_MAX: usize = 32;
/// Most slots of a node with this layer.
pub const SLOTS: usize = 64;
/// Most lower requests of one request: copies of a mirror, members of a stripe at a time.
pub const FANOUT: usize = 8;
/// Bytes of the memory that the layer needs of its own, which devices below and this program reach.
pub const WORK_BYTES: usize =
    meta::STAGE_BYTES + lines::LINES_BYTES + log::LOG_BYTES + bits::BITS_BYTES + prepare::PAGE_BYTES;
const _: () = assert!(background::WINDOW_BYTES <= lines::LINES_BYTES, "mirrors have no lines, and windows instead");

/// Sectors of a band at most.
pub(crate) const BAND: u64 = lines::HEIGHT;

/// The kept request that writes superblocks, and the one for what goes on in the background.
const META: u16 = 0;
const BACKGROUND: u16 = 1;
/// The one that writes partial parity logs.
const LOG: u16 = 2;
/// The one that makes devices ready.
const ADMIN: u16 = 3;
/// The one that writes the bitmap.
const INTENT: u16 = 4;

/// How far a request has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    /// It is to be begun, perhaps once more after it was parked.
    #[default]
    New,
    /// Lower requests are out.
    Out,
    /// It is done, and may be answered when the superblocks are written that say what it left behind.
    Told,
}

/// State of one request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ctx {
    step: Step,
    /// Lower requests that are out.
    left: u8,
    /// The member that was asked; of one in a line, none.
    role: u8,
    /// The line, and where in it.
    line: u8,
    spot: lines::Spot,
    /// At least one member did it.
    did: bool,
    /// Members that failed to read it.
    failed: Roles,
    /// A member failed to write it, and one that the array cannot be without.
    changed: bool,
    broke: bool,
    /// Members that refused it as it is.
    refused: Roles,
    /// What was wrong with the last that did not do it.
    error: Option<Error>,
    /// Blocks that are done, or the superblocks that have to be written, or members that are still to be asked.
    next: u64,
    /// The block that was asked above, of a request on the short way.
    lba: u64,
}

/// An array over its members.
#[derive(Debug)]
pub struct Raid {
    find: Find,
    geometry: Option<Geometry>,
    members: Members,
    meta: Meta,
    locks: Locks,
    parked: Parked,
    background: background::Background,
    lines: lines::Lines,
    sums: sums::Sums,
    log: log::Log,
    replay: replay::Replay,
    journal: journal::Journal,
    recover: recover::Recover,
    prepare: prepare::Prepare,
    bits: bits::Bits,
    intent: intent::Intent,
    moving: moving::Moving,
    bands: bands::Bands,
    /// It serves: what it asked on its own before is answered.
    started: bool,
    /// The layer's own memory.
    work: Buf,
    /// Binary logarithm of the sectors of a block.
    scale: u8,
    /// What cannot be served: nothing is asked below.
    fault: Option<crate::Error>,
    read_only: bool,
}

impl Raid {
    /// The array of the devices below, or of `want` if there are several; `work` is [`WORK_BYTES`] of memory.
    pub fn new(want: Option<crate::Uuid>, work: Buf) -> Self {
        Self {
            find: Find::new(want),
            geometry: None,
            members: Members::default(),
            meta: Meta::default(),
            locks: Locks::default(),
            parked: Parked::default(),
            background: background::Background::default(),
            lines: lines::Lines::default(),
            sums: sums::Sums::default(),
            log: log::Log::default(),
            replay: replay::Replay::nothing(),
            journal: journal::Journal::default(),
            recover: recover::Recover::default(),
            prepare: prepare::Prepare::default(),
            bits: bits::Bits::default(),
            intent: intent::Intent::default(),
            moving: moving::Moving::default(),
            bands: bands::Bands::default(),
            started: false,
            work,
            scale: 0,
            fault: None,
            read_only: false,
        }
    }

    /// The same of the array that is so called.
    pub fn select(want: Option<crate::Select>, work: Buf) -> Self {
        let mut raid = Self::new(None, work);
        raid.find.want = find::Want::Found(want);
        raid
    }

    /// Refuses an array of another level than this.
    pub fn expect(&mut self, level: i32) {
        self.find.level = Some(level);
    }

    /// Serves also an array that lacks members and was not stopped cleanly, though parity, from which the missing follows, may be
    /// wrong where it was written last.
    pub fn force(&mut self) {
        self.find.force = true;
    }

    /// Why it is not served.
    pub fn fault(&self) -> Option<crate::Error> {
        self.fault
    }

    /// The devices on which superblocks were found, in the order in which errors count them.
    pub fn devices(&self) -> impl Iterator<Item = u8> + '_ {
        self.find.ports.iter().copied()
    }

    /// Where everything lies, once that is known.
    pub fn geometry(&self) -> Option<&Geometry> {
        self.geometry.as_ref()
    }

    /// Members that are missing or not whole.
    pub fn missing(&self) -> impl Iterator<Item = usize> + '_ {
        let count = self.geometry.as_ref().map_or(0, Geometry::members);
        (0..count).filter(|&role| !self.members.is_whole(role)).map(|role| usize::try_from(role).unwrap_or(0))
    }

    /// Whether the array can bear that a member fails.
    fn redundant(&self) -> bool {
        self.geometry.as_ref().is_some_and(|g| !matches!(g.level(), Level::Linear | Level::Raid0(_)))
    }

    /// The sectors of a request.
    fn sectors(&self, req: &Request) -> (u64, u64) {
        let first = req.lba.0 << self.scale;
        (first, first.saturating_add(u64::from(req.blocks) << self.scale))
    }

    /// A member's request that does a part of `req`: the `sectors` from `sector` of the member's data on, with the payload
    /// from that of `req` on.
    fn below(&self, role: u32, req: &Request, sector: u64, sectors: u64) -> (u8, Request) {
        self.members.request(role, req, sector, sectors)
    }

    /// Leaves a member behind, if the array can bear that: it is neither read nor written any more, and the others'
    /// superblocks are to say so.
    fn fail(&mut self, role: u32) -> bool {
        if role == journal::JOURNAL {
            self.meta.breaks();
            return false;
        }
        if !self.members.is_used(role) {
            return true;
        }
        if members::twins(members::bit(role)) != 0 {
            self.leave_behind(role);
            return true;
        }
        let Some(geometry) = &self.geometry else { return false };
        let rest = self.whole_without(role);
        if !self.redundant() || !geometry.bears(|role| rest & members::bit(role) != 0) || !self.moving.bears(rest) {
            return false;
        }
        self.leave_behind(role);
        self.background.lost(role);
        true
    }

    /// A member did not write what a request asked. One that fails is left behind at once: another may take its place before
    /// the request ends.
    fn blame(&mut self, id: Id, role: Option<u32>, error: Error, io: &mut Io<'_, Ctx>) {
        let borne = role.is_none_or(|role| !blames(error) || self.fail(role));
        let Some(ctx) = io.ctx(id) else { return };
        ctx.error = Some(error);
        if blames(error) {
            ctx.changed = true;
            ctx.broke |= !borne;
        } else {
            ctx.refused |= role.map_or(0, members::bit);
        }
    }

    /// Answers a request, or has it wait until the superblocks say what it left behind.
    fn answer(&mut self, id: Id, done: Completion, changed: bool, io: &mut Io<'_, Ctx>) {
        if !changed || self.meta.is_bare() {
            return io.done(id, done);
        }
        let wanted = self.meta.wanted();
        let error = done.status.err();
        if let Some(error) = self.meta.broken() {
            return io.done(id, Completion::error(done.status.err().unwrap_or(error)));
        }
        if let Some(ctx) = io.ctx(id) {
            *ctx = Ctx { step: Step::Told, next: wanted, error, ..Ctx::default() };
        }
        self.parked.push(id);
        self.go_on(io);
    }

    /// A request whose superblocks may be written by now.
    fn told(&mut self, id: Id, ctx: Ctx, io: &mut Io<'_, Ctx>) {
        let error = ctx.error.or(self.meta.broken());
        if error.is_some() || self.meta.has_written(ctx.next) {
            let blocks = io.request(id).blocks;
            return io.done(id, error.map_or(Completion::ok(blocks), Completion::error));
        }
        self.parked.push(id);
    }

    /// Whether a write may go down: the superblocks say that the array is in use. If not, the request is parked, or ended.
    fn may_write(&mut self, id: Id, io: &mut Io<'_, Ctx>) -> bool {
        if let Some(error) = self.meta.broken() {
            io.done(id, Completion::error(error));
            return false;
        }
        if self.meta.in_use() && self.journal.is_begun() {
            return true;
        }
        self.meta.use_it();
        io.alarm(io.now().after(meta::REST_NS));
        self.parked.push(id);
        self.go_on(io);
        false
    }

    /// Has all go on that waited.
    fn wake_all(&mut self, io: &mut Io<'_, Ctx>) {
        self.parked.wake(io);
        self.locks.wake(io);
    }

    /// What the layer asked on its own ended.
    #[cold]
    fn own_ended(&mut self, id: Id, child: u8, done: Completion, io: &mut Io<'_, Ctx>) {
        if !self.started {
            if self.geometry.is_some() && self.intent.wanted {
                return self.intent_ended(done, io);
            }
            if self.geometry.is_some() && self.journal.there {
                return self.recover_ended(done, io);
            }
            let replays = self.geometry.is_some();
            return if replays { self.replay_ended(done, io) } else { self.found(done, io) };
        }
        if Some(id) == io.kept(LOG) && self.journal.there {
            return self.journal_ended(id, child, done, io);
        }
        if Some(id) == io.kept(LOG) {
            return self.logged(child, done, io);
        }
        if Some(id) == io.kept(ADMIN) {
            return self.prepared(done, io);
        }
        if Some(id) == io.kept(INTENT) {
            return self.bits_ended(id, child, done, io);
        }
        if Some(id) == io.kept(META) {
            return self.wrote(child, done, io);
        }
        if self.moving.before.is_some() {
            return self.moving_ended(child, done, io);
        }
        if self.geometry.as_ref().is_some_and(|g| matches!(g.level(), Level::Parity(_))) {
            return self.stripe_ended(id, child, done, io);
        }
        self.background_ended(child, done, io);
    }

    fn begin(&mut self, id: Id, io: &mut Io<'_, Ctx>) {
        let req = io.request(id);
        match (self.geometry.as_ref().map(Geometry::level), req.op) {
            (None, _) => io.done(id, Completion::error(Error::Offline)),
            (_, Op::Flush) => self.flush(id, io),
            (_, Op::Discard) if self.offers_no_discard() => io.done(id, Completion::error(Error::Unsupported)),
            (Some(Level::Parity(_)), _) if self.moving.is_on() => self.moving_request(id, io),
            (Some(Level::Parity(_)), _) => self.stripe_request(id, io),
            (_, Op::WriteZeroes) if !self.members.write_zeroes => {
                io.done(id, Completion::error(Error::Unsupported));
            }
            (Some(Level::Linear | Level::Raid0(_)), _) => self.spread(id, io),
            (_, Op::Read) => self.read_copy(id, io),
            _ => self.write_copies(id, io),
        }
    }
}

impl Layer for Raid {
    type Ctx = Ctx;
    const FANOUT: usize = FANOUT;
    const KEPT: u16 = 5;

    fn start(&mut self, io: &mut Io<'_, Ctx>) -> Start {
        if self.geometry.is_none() && self.fault.is_none() {
            self.find(io);
        }
        if self.geometry.is_some() && self.intent.wanted && !self.started {
            if !self.intent_on(io) {
                return Start::Starting;
            }
            self.intent.wanted = false;
        }
        if self.geometry.is_some() && self.log.there && !self.started {
            self.replay_on(io);
            if !self.replay.is_done() {
                return Start::Starting;
            }
            if !self.replay_judged(self.find.force) {
                self.fault = Some(crate::Error { kind: crate::Kind::Dirty, at: 0 });
                self.geometry = None;
            }
        }
        if self.geometry.is_some() && self.journal.there && !self.started {
            self.recover_on(io);
            if !self.recover.is_done() {
                return Start::Starting;
            }
            if let Some(fault) = self.recover_judged() {
                (self.fault, self.geometry) = (Some(fault), None);
            }
        }
        self.started = self.geometry.is_some();
        self.log.unsettled = self.meta.sync.is_some();
        match (&self.geometry, self.fault) {
            (Some(_), _) => Start::Ready,
            (_, Some(_)) => Start::Refused(Error::Offline),
            _ => Start::Starting,
        }
    }

    fn limits(&self, below: &[Limits]) -> Limits {
        self.combined(below)
    }

    #[inline]
    fn relay(&mut self, _: u8, req: &mut Request) -> Option<Relay<Ctx>> {
        match self.geometry.as_ref()?.level() {
            Level::Linear | Level::Raid0(_) => self.relay_spread(req),
            Level::Raid1 | Level::Raid10(_) if req.op == Op::Read => self.relay_copy(req),
            Level::Parity(_) if req.op == Op::Read && !self.moving.is_on() => self.relay_stripe(req),
            _ => None,
        }
    }

    #[inline]
    fn relayed(&mut self, ctx: Ctx, done: Completion) -> Completion {
        self.members.ended(ctx.role);
        match done.status {
            Ok(()) => done,
            Err(_) => Completion { blocks: done.blocks >> self.members.scale(ctx.role, self.scale), ..done },
        }
    }

    fn rescue(&mut self, ctx: &Ctx, req: &mut Request, error: Error) -> bool {
        if !self.redundant() || !blames(error) {
            return false;
        }
        req.lba.0 = ctx.lba;
        req.blocks >>= self.members.scale(ctx.role, self.scale);
        true
    }

    fn submit(&mut self, id: Id, io: &mut Io<'_, Ctx>) {
        if Some(id) == io.kept(BACKGROUND) {
            return self.work_on(io);
        }
        let Some(ctx) = io.ctx(id) else { return };
        match ctx.step {
            Step::New => self.begin(id, io),
            Step::Told => {
                let ctx = *ctx;
                self.told(id, ctx, io);
            }
            Step::Out => {}
        }
    }

    fn complete(&mut self, id: Id, child: u8, done: Completion, io: &mut Io<'_, Ctx>) {
        // What is kept comes first.
        if !self.started || id.index() < usize::from(Self::KEPT) {
            return self.own_ended(id, child, done, io);
        }
        let Some(geometry) = &self.geometry else { return };
        match (geometry.level(), io.request(id).op) {
            (_, Op::Flush) => self.flushed(id, child, done, io),
            (Level::Parity(_), _) => self.stripe_ended(id, child, done, io),
            (Level::Linear | Level::Raid0(_), _) => self.spread_ended(id, done, io),
            (_, Op::Read) => self.copy_read(id, done, io),
            _ => self.copy_written(id, child, done, io),
        }
    }

    fn event(&mut self, port: u8, event: Event, io: &mut Io<'_, Ctx>) {
        let role = self.members.role_of(port);
        if event == Event::Gone
            && let Some(role) = role
        {
            self.fail(role);
            self.go_on(io);
            if role == journal::JOURNAL {
                self.journal_failed(io);
            }
        }
    }

    fn tick(&mut self, now: Instant, io: &mut Io<'_, Ctx>) -> Option<Instant> {
        if self.lines.gathering() > 0 {
            self.begin_lines(io);
        }
        let quiet = self.locks.is_empty() && self.lines.is_idle() && self.log.is_idle() && self.background.is_idle();
        let quiet = quiet && self.moving.is_quiet();
        let rest = self.meta.rest(now, quiet);
        self.go_on(io);
        if self.moving.is_on() {
            self.moving_on(io);
        }
        if self.moving.grow.is_on() {
            self.grow_on(io);
        }
        let work = self.look_for_work(now, io);
        rest.into_iter().chain(work).min()
    }
}

/// Whether an error says something about the member, and not about the request.
fn blames(error: Error) -> bool {
    matches!(error, Error::Medium | Error::Io | Error::TimedOut | Error::Offline | Error::NoSpace)
}
