// SPDX-License-Identifier: MIT
//! How a reshape of an array in use begins, is gone on with after a restart, and ends.
use super::lines::{HEIGHT, Lines};
use super::members::{Member, bit};
use super::{Ctx, PORTS_MAX, Raid, Step};
use crate::reshape::{Before, Change, Next, Plan, Room, begin, next};
use crate::wire::feature;
use crate::{Array, Geometry, Kind, Level, Role, Super};
use heapless::Vec;
use orion_layer::Io;

/// All superblocks, in their order.
type Supers = Vec<Super, PORTS_MAX>;

/// Sectors of a band that lies in one chunk of both geometries.
fn height(a: &Geometry, b: &Geometry) -> u64 {
    a.chunk().min(b.chunk()).clamp(1, HEIGHT)
}

impl Raid {
    /// Gives an array with parity another number of members, chunk or layout while it is used (`mdadm --grow`): spares become
    /// members. Begins it: [`progress`](Self::progress) says how far it is. What it has more of sectors is there when it is started
    /// again.
    ///
    /// # Errors
    /// [`Kind`] of why it cannot.
    pub fn reshape(&mut self, change: &Change, io: &mut Io<'_, Ctx>) -> Result<(), Kind> {
        let parity = self.geometry.as_ref().is_some_and(|g| matches!(g.level(), Level::Parity(_)));
        if !self.started || self.read_only || self.meta.broken().is_some() || !parity {
            return Err(Kind::Cannot("only an array with parity that is served for writing is reshaped in use"));
        }
        if self.moving.is_on() || self.members.filling != 0 || self.meta.sync.is_some() {
            return Err(Kind::Cannot("it is being rebuilt, put in sync or reshaped: order it again when that is done"));
        }
        let mut all: Supers = self.meta.all().map(|(_, own)| own.clone()).collect();
        let newest = all.iter().find(|own| matches!(own.role, Role::Active(_))).cloned().ok_or(Kind::Nothing)?;
        if newest.has(feature::BITMAP) {
            return Err(Kind::Cannot("an array with a bitmap is reshaped only where it is not in use"));
        }
        let every = Room { front: u64::MAX, back: u64::MAX };
        let room = all.iter().map(|own| Room::of(own, u64::MAX)).fold(every, Room::and);
        let Next::Reshape(plan) = next(&newest, change, room)? else {
            return Err(Kind::Cannot("a change of level takes an array that is not in use"));
        };
        let chunk = u64::from(plan.chunk);
        if chunk < self.lines.height {
            return Err(Kind::Cannot("chunks below 16 KiB take an array that is not in use"));
        }
        begin(&mut all, &plan)?;
        self.moving.asked = Some(plan);
        self.moving_on(io);
        Ok(())
    }

    /// Begins what was ordered, once nothing else is under way.
    pub(super) fn begin_asked(&mut self, plan: Plan, io: &mut Io<'_, Ctx>) {
        let idle = self.lines.is_idle() && self.background.is_idle() && self.meta.is_idle() && self.locks.is_empty();
        let reads = self.members.list.iter().any(|member| member.busy > 0);
        if !idle || reads || self.prepare.is_anything() {
            return io.alarm(io.now().after(100_000));
        }
        self.moving.asked = None;
        let mut all: Supers = self.meta.all().map(|(_, own)| own.clone()).collect();
        let old = self.geometry.take();
        let after = old.as_ref().and_then(|old| self.begun(old, &mut all, &plan, io));
        let Some((old, after)) = old.clone().zip(after) else {
            self.geometry = old;
            return self.moving_left(io);
        };
        self.meta.replace(&all);
        self.moving.height = height(&old, &after);
        (self.moving.durable, self.moving.says) = (plan.position, plan.position);
        self.moving.kept = Some(old.sectors().min(after.sectors()));
        let (position, backwards, shift) = (plan.position, plan.backwards, plan.offset.into());
        self.moving.before = Some(Before { position, backwards, shift, geometry: old });
        self.geometry = Some(after);
        self.say_position(io);
    }

    /// The new geometry, with its members in place; `None` where one is not there any more.
    fn begun(&mut self, old: &Geometry, all: &mut Supers, plan: &Plan, io: &Io<'_, Ctx>) -> Option<Geometry> {
        begin(all, plan).ok()?;
        let first = all.first()?;
        let level = Level::parse(first.level, plan.layout, false).ok()?;
        let after = Geometry::new(level, first.raid_disks, plan.chunk, first.size, &[]).ok()?;
        for role in old.members()..after.members() {
            let own = all.iter().find(|own| own.role == Role::Active(u16::try_from(role).unwrap_or(u16::MAX)))?;
            let (port, _) = self.meta.all().find(|(_, known)| known.number == own.number)?;
            let scale = io.below(port)?.block.shift().saturating_sub(9);
            let member = Member { port, scale, offset: own.data_offset, place: u64::MAX, ..Member::default() };
            if scale > self.scale || !own.data_offset.is_multiple_of(1 << self.scale.min(63)) {
                return None;
            }
            self.members.list.push(member).ok()?;
            self.members.whole |= bit(role);
        }
        Some(after)
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

    /// Lines for the geometry that the array has now.
    pub(super) fn lines_anew(&mut self) {
        if let Some(geometry) = &self.geometry {
            let height = self.lines.height;
            let chunk = geometry.chunk().min(height);
            self.lines = Lines::new(chunk, geometry.members());
        }
    }
}
