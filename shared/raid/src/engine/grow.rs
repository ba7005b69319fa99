// SPDX-License-Identifier: MIT
//! An array in use becomes another: step by step, as Linux's md does it. Between two steps clients' requests wait, for as long as
//! superblocks take.
use super::members::{Member, Roles, bit};
use super::moving::Job;
use super::{Ctx, PORTS_MAX, Raid, Step};
use crate::engine::lines::{HEIGHT, Lines};
use crate::reshape::{Before, Change, Next, Plan, Room, begin, foresee, next};
use crate::wire::feature;
use crate::{Array, Geometry, Kind, Level, Ppl, Role, Super};
use heapless::Vec;
use orion_layer::Io;

/// All superblocks, in their order.
pub(super) type Supers = Vec<Super, PORTS_MAX>;

/// Nanoseconds between two looks whether everything has come to an end.
const LOOK_NS: u64 = 100_000;
/// What takes the array's log off.
const LOGS: u32 = feature::PPL | feature::PPLS;
/// Sectors of the smallest log.
pub(super) const LOG_LEAST: u16 = 8 + 32;

/// How far a step is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Off,
    /// Members that the last step brought in are rebuilt first.
    Settle,
    /// Clients' requests are to wait.
    Order,
    /// They do, and what is in flight comes to its end.
    Quiet,
    /// Empty logs are written.
    Relog,
    /// This pass of superblocks is waited for.
    Said(u64),
}

/// What is to become of the array.
#[derive(Clone, Debug, Default)]
pub(super) struct Grow {
    pub stage: Stage,
    /// What is wanted, until it is so.
    pub change: Option<Change>,
    /// The partial parity logs that were taken off, by port, and what superblocks said of them.
    pub logs: Vec<(u8, Ppl), PORTS_MAX>,
    pub said: u32,
    /// Members whose logs are still to be made empty.
    pub left: Roles,
    failed: Option<Kind>,
    outcome: Option<Result<(), Kind>>,
}

impl Grow {
    /// Whether there is something to be done now.
    pub fn is_on(&self) -> bool {
        self.stage != Stage::Off
    }

    /// Whether nothing may go on in the background.
    pub fn holds(&self) -> bool {
        !matches!(self.stage, Stage::Off | Stage::Settle)
    }

    /// Whether logs are made empty.
    pub fn relogs(&self) -> bool {
        self.stage == Stage::Relog
    }

    /// A reshape has ended: the next step.
    pub fn goes_on(&mut self) {
        self.stage = Stage::Order;
    }
}

/// Sectors of a band that lies in one chunk of both geometries.
fn height(a: &Geometry, b: &Geometry) -> u64 {
    a.chunk().min(b.chunk()).clamp(1, HEIGHT)
}

impl Raid {
    /// Makes of the array what is wanted while it is used (`mdadm --grow`): another number of members, chunk or layout of one with
    /// parity, more or fewer copies, another level; spares become members. Begins it: [`progress`](Self::progress) says how far
    /// it is, [`reshaped`](Self::reshaped) how it ended.
    ///
    /// # Errors
    /// [`Kind`] of why it cannot. Nothing is changed.
    pub fn reshape(&mut self, change: &Change, io: &mut Io<'_, Ctx>) -> Result<(), Kind> {
        if !self.started || self.read_only || self.meta.is_bare() || self.meta.broken().is_some() {
            return Err(Kind::Cannot("it is not served for writing, or has no superblocks"));
        }
        let busy = self.moving.is_on() || self.moving.grow.is_on() || self.prepare.is_anything() || self.checks();
        if busy || self.members.filling != 0 || self.meta.sync.is_some() {
            return Err(Kind::Cannot("it is being rebuilt, compared or reshaped: order it again when that is done"));
        }
        if self.journal.there || self.bits.there {
            return Err(Kind::Cannot("with a bitmap or a journal it is reshaped only where it is not in use"));
        }
        if self.log.there && self.vacancy().is_some() {
            return Err(Kind::Cannot("it lacks a member, and would have no log: have that rebuilt first"));
        }
        let all = self.bare();
        let newest = all.iter().find(|own| matches!(own.role, Role::Active(_))).ok_or(Kind::Nothing)?;
        let spares = all.iter().filter(|own| own.role == Role::Spare).count();
        let spares = u32::try_from(spares).unwrap_or(0);
        let foreseen = |room| foresee(newest, change, room, spares, true);
        match foreseen(self.room(LOG_LEAST)) {
            Err(Kind::NoRoom(_)) => foreseen(self.room(0))?,
            other => other?,
        }
        self.moving.grow = Grow { stage: Stage::Order, change: Some(*change), ..Grow::default() };
        io.alarm(io.now());
        Ok(())
    }

    /// How the last [`reshape`](Self::reshape) ended, once: `None` while it goes on, and where none was asked for.
    pub fn reshaped(&mut self) -> Option<Result<(), Kind>> {
        self.moving.grow.outcome.take()
    }

    /// Whether what [`reshape`](Self::reshape) began goes on.
    pub fn reshapes(&self) -> bool {
        self.moving.is_on() || self.moving.grow.is_on()
    }

    /// What all superblocks say by now, without a log.
    pub(super) fn bare(&self) -> Supers {
        let mut all = self.meta.known();
        for own in &mut all {
            own.features &= !LOGS;
            own.ppl = None;
        }
        all
    }

    /// The room that all have, where so many sectors are left to each log that there is.
    fn room(&self, log: u16) -> Room {
        let every = Room { front: u64::MAX, back: u64::MAX };
        let known = self.meta.all().map(|(_, own)| {
            let ppl = own.ppl.filter(|_| log > 0).map(|ppl| Ppl { sectors: ppl.sectors.min(log), ..ppl });
            Room::of(&Super { ppl, ..own.clone() }, u64::MAX)
        });
        known.fold(every, Room::and)
    }

    /// Goes on with what was ordered.
    #[cold]
    pub(super) fn grow_on(&mut self, io: &mut Io<'_, Ctx>) {
        if self.meta.broken().is_some() && self.moving.grow.stage != Stage::Relog {
            self.moving.grow.failed = Some(Kind::Unwritten);
            return self.grown(io);
        }
        match self.moving.grow.stage {
            Stage::Off | Stage::Relog => {}
            Stage::Settle if self.background.stuck => {
                self.moving.grow.failed = Some(Kind::Lost);
                self.moving.grow.stage = Stage::Order;
                io.alarm(io.now());
            }
            Stage::Settle => {
                if self.members.filling == 0 && self.meta.sync.is_none() && self.vacancy().is_none() {
                    self.moving.grow.stage = Stage::Order;
                    io.alarm(io.now());
                }
            }
            Stage::Order => {
                self.moving.grow.stage = Stage::Quiet;
                io.pause();
            }
            Stage::Quiet => {
                self.go_on(io);
                if io.is_quiet() && self.is_idle() {
                    self.grow_step(io);
                } else {
                    io.alarm(io.now().after(LOOK_NS));
                }
            }
            Stage::Said(pass) if !self.meta.has_written(pass) => {}
            Stage::Said(_) if self.moving.grow.change.is_none() => self.grown(io),
            Stage::Said(_) => {
                self.members.note(|port| io.below(port));
                self.moving.grow.stage = Stage::Settle;
                io.resume();
            }
        }
    }

    /// Whether nothing of its own is under way.
    fn is_idle(&self) -> bool {
        let work = self.lines.is_idle() && self.background.is_idle() && self.locks.is_empty() && self.log.is_idle();
        work && self.meta.is_idle() && !self.meta.owes() && self.bits.is_idle() && !self.prepare.is_anything()
    }

    /// Does the next step.
    fn grow_step(&mut self, io: &mut Io<'_, Ctx>) {
        let failed = self.moving.grow.failed.is_some();
        let Some(change) = self.moving.grow.change.filter(|_| !failed) else { return self.grow_last(io) };
        let all = self.bare();
        let newest = all.iter().find(|own| matches!(own.role, Role::Active(_)));
        let step = newest.ok_or(Kind::Nothing).and_then(|newest| match next(newest, &change, self.room(LOG_LEAST)) {
            Err(Kind::NoRoom(_)) => next(newest, &change, self.room(0)),
            other => other,
        });
        let done = match step {
            Ok(Next::Done) => return self.grow_last(io),
            Ok(Next::Reshape(plan)) => self.begin_reshape(all, &plan, io),
            Ok(Next::TakeOver(to)) => self.take_level(all, &to, io),
            Err(kind) => Err(kind),
        };
        if let Err(kind) = done {
            self.moving.grow.failed = Some(kind);
            self.grow_last(io);
        }
    }

    /// Everything is as it was wanted, or cannot be: the array gets what it has from now on, and the log that it had.
    fn grow_last(&mut self, io: &mut Io<'_, Ctx>) {
        self.moving.grow.change = None;
        self.moving.kept = None;
        if let Some(geometry) = self.geometry.clone() {
            // Bands as large as they can be.
            let served = self.serve(geometry);
            debug_assert!(served.is_ok(), "it was served before");
        }
        if !self.log_again(io) {
            self.grown(io);
        }
    }

    /// That is how it ended: clients go on.
    pub(super) fn grown(&mut self, io: &mut Io<'_, Ctx>) {
        let outcome = self.moving.grow.failed.map_or(Ok(()), Err);
        self.moving.grow = Grow { outcome: Some(outcome), ..Grow::default() };
        self.members.note(|port| io.below(port));
        io.resume();
    }

    /// The partial parity log is taken off, in the pass that is written next.
    pub(super) fn log_off(&mut self) {
        if core::mem::take(&mut self.log.there) {
            self.moving.grow.logs = self.meta.all().filter_map(|(port, own)| Some((port, own.ppl?))).collect();
            self.moving.grow.said = self.meta.all().fold(0, |bits, (_, own)| bits | own.features & LOGS);
        }
    }

    /// Begins a reshape.
    fn begin_reshape(&mut self, mut all: Supers, plan: &Plan, io: &mut Io<'_, Ctx>) -> Result<(), Kind> {
        let old = self.geometry.clone().ok_or(Kind::Nothing)?;
        let after = self.begun(&old, &mut all, plan, io)?;
        self.log_off();
        self.meta.replace(&all);
        self.moving.height = height(&old, &after);
        self.lines = Lines::new(old.chunk().min(after.chunk()), old.members().max(after.members()));
        (self.moving.durable, self.moving.says) = (plan.position, plan.position);
        (self.moving.job, self.moving.stuck) = (Job::Idle, false);
        self.moving.kept = Some(old.sectors().min(after.sectors()));
        let (position, backwards, shift) = (plan.position, plan.backwards, plan.offset.into());
        self.moving.before = Some(Before { position, backwards, shift, geometry: old });
        self.geometry = Some(after);
        self.moving.grow.stage = Stage::Off;
        self.say_position(io);
        io.resume();
        Ok(())
    }

    /// The new geometry, with its members in place.
    fn begun(&mut self, old: &Geometry, all: &mut Supers, plan: &Plan, io: &Io<'_, Ctx>) -> Result<Geometry, Kind> {
        begin(all, plan)?;
        let first = all.first().ok_or(Kind::Nothing)?;
        let level = Level::parse(first.level, plan.layout, false)?;
        let after = Geometry::new(level, first.raid_disks, plan.chunk, first.size, &[])?;
        let mut joining: Vec<Member, PORTS_MAX> = Vec::new();
        for role in old.members()..after.members() {
            let place = Role::Active(u16::try_from(role).unwrap_or(u16::MAX));
            let own = all.iter().find(|own| own.role == place).ok_or(Kind::FewSpares(1))?;
            let port = self.meta.all().find(|(_, known)| known.number == own.number).map(|(port, _)| port);
            let (port, limits) = port.and_then(|port| Some((port, io.below(port)?))).ok_or(Kind::FewSpares(1))?;
            let scale = limits.block.shift().saturating_sub(9);
            let member = Member { port, scale, offset: own.data_offset, place: u64::MAX, ..Member::default() };
            if scale > self.scale || !own.data_offset.is_multiple_of(1 << self.scale.min(63)) {
                return Err(Kind::Blocks);
            }
            joining.push(member).map_err(|_| Kind::TooMany)?;
        }
        if self.members.list.len() + joining.len() > PORTS_MAX {
            return Err(Kind::TooMany);
        }
        for (role, member) in (old.members()..).zip(joining) {
            let _ = self.members.list.push(member);
            self.members.whole |= bit(role);
        }
        Ok(after)
    }

    /// Goes on with the reshape that an array was found in.
    pub(super) fn take_moving(&mut self, array: &Array) {
        let Some(before) = array.before.clone() else { return };
        self.moving.height = height(&array.geometry, &before.geometry);
        (self.moving.durable, self.moving.says) = (before.position, before.position);
        self.moving.kept = Some(array.sectors());
        self.moving.before = Some(before);
    }

    /// What waited goes on as usual.
    pub(super) fn moving_left(&mut self, io: &mut Io<'_, Ctx>) {
        while let Some(id) = self.moving.pop() {
            if let Some(ctx) = io.ctx(id) {
                ctx.step = Step::New;
            }
            io.wake(id);
        }
        io.alarm(io.now());
    }
}
