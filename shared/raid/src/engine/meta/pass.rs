// SPDX-License-Identifier: MIT
//! One pass over the superblocks.
use super::Phase;
use crate::engine::members::{base, bit, each};
use crate::engine::{Ctx, META, Raid};
use crate::wire::{SUPER_BYTES, feature};
use orion_block::{Buf, Completion, Lba, Op, Request};
use orion_layer::Io;

impl Raid {
    /// Begins a pass, if one is wanted and none is under way.
    pub(in crate::engine) fn go_on(&mut self, io: &mut Io<'_, Ctx>) {
        let meta = &mut self.meta;
        if meta.phase != Phase::Idle || !meta.owes() || meta.broken.is_some() || self.read_only {
            return;
        }
        meta.bad = 0;
        if core::mem::take(&mut meta.uneven) {
            // As it was said, word by word.
            meta.writing = meta.written;
            return self.enter(Phase::Before, io);
        }
        meta.writing = meta.wanted;
        meta.events = meta.events.saturating_add(1);
        if core::mem::take(&mut meta.forgets) {
            let members = &self.members;
            meta.forget_all_but(|port| members.role_of(port).is_some());
        }
        (meta.writes_use, meta.writes_sync) = (meta.wants_use, meta.sync);
        let same = meta.writes_roles == meta.roles;
        meta.writes_roles.clone_from(&meta.roles);
        meta.writes_whole = self.members.whole;
        meta.writes_used = self.members.used() | self.journal.roles();
        // From now on some of them may say that it is not.
        meta.in_use &= meta.writes_use;
        self.members.snapshot();
        self.moving.snapshot();
        self.journal_snapshot(same);
        self.enter(Phase::Before, io);
    }

    /// Begins a phase, or one behind it that has something to do.
    fn enter(&mut self, phase: Phase, io: &mut Io<'_, Ctx>) {
        let all = (self.members.used() | self.journal.roles()) & !self.meta.bad;
        let caches = |role: &u32, forced: bool| {
            let limits = self.members.get(*role).and_then(|member| io.below(member.port));
            limits.is_some_and(|limits| limits.volatile_cache && !(forced && limits.fua))
        };
        let todo = match phase {
            Phase::Before => each(all).filter(|role| caches(role, false)).map(bit).sum(),
            Phase::Bitmap => 0,
            Phase::Write => all & self.meta.writes_used,
            Phase::After => each(all & self.meta.writes_used).filter(|role| caches(role, true)).map(bit).sum(),
            Phase::Idle => return self.pass_ended(io),
        };
        if phase == Phase::Write {
            if self.meta.bad != 0 || self.meta.writes_whole & !self.members.whole != 0 {
                // What a member lost from its cache that comes back with the power is not said to be moved.
                self.moving.says = self.moving.durable;
            }
            self.journal_flushed(all);
        }
        (self.meta.phase, self.meta.todo, self.meta.out) = (phase, todo, 0);
        if phase == Phase::Bitmap && self.bits.there {
            self.meta.out = 1;
            self.bits_before(io);
            return;
        }
        for child in 0..8 {
            self.write_next(child, io);
        }
        self.look(io);
    }

    /// Goes on to the next phase when nothing of this one is out.
    fn look(&mut self, io: &mut Io<'_, Ctx>) {
        if self.meta.out == 0 {
            if self.meta.phase == Phase::Before && self.lost_one() {
                return self.begin_again(io);
            }
            let next = match self.meta.phase {
                Phase::Before => Phase::Bitmap,
                Phase::Bitmap => Phase::Write,
                Phase::Write => Phase::After,
                Phase::After | Phase::Idle => Phase::Idle,
            };
            self.enter(next, io);
        }
    }

    /// Whether a member that the pass is about has not flushed what it cached: what it says would not be true of that.
    fn lost_one(&self) -> bool {
        let here = self.members.used() | self.journal.roles();
        self.meta.bad != 0 || self.meta.writes_used & !here != 0
    }

    /// Nothing of the pass is written: the next one says who was lost.
    fn begin_again(&mut self, io: &mut Io<'_, Ctx>) {
        self.meta.phase = Phase::Idle;
        self.meta.uneven = self.meta.writing == self.meta.written;
        // So that no member is two behind when some have the next one.
        self.meta.events -= u64::from(!self.meta.uneven);
        self.meta.writes_used &= self.members.used() | self.journal.roles();
        for role in each(self.meta.bad) {
            self.meta.writes_used &= !bit(role);
            if !self.fail(role) {
                self.meta.breaks();
            }
        }
        if self.meta.broken().is_some() {
            self.wake_all(io);
        }
        self.go_on(io);
    }

    /// The bitmap is as new as the superblocks are to be.
    pub(in crate::engine) fn meta_has_bits(&mut self, io: &mut Io<'_, Ctx>) {
        if self.meta.phase == Phase::Bitmap {
            self.meta.out = 0;
            self.look(io);
        }
    }

    /// Asks the next member, as `child`.
    fn write_next(&mut self, child: u8, io: &mut Io<'_, Ctx>) {
        let Some(id) = io.kept(META) else { return };
        while self.meta.todo != 0 {
            let role = self.meta.todo.trailing_zeros();
            self.meta.todo &= self.meta.todo - 1;
            let role = self.members.as_now(role);
            let asked = if self.meta.phase == Phase::Write { self.stage(role, child, io) } else { self.flushing(role) };
            match asked {
                Some((port, req)) => {
                    self.meta.out += 1;
                    return io.lower(id, port, child, req);
                }
                None => self.meta.bad |= bit(role),
            }
        }
    }

    fn flushing(&self, role: u32) -> Option<(u8, Request)> {
        let member = self.members.get(role)?;
        Some((member.port, Request { op: Op::Flush, ..Request::default() }))
    }

    /// Makes a member's superblock ready in the memory of `child`.
    fn stage(&mut self, role: u32, child: u8, io: &mut Io<'_, Ctx>) -> Option<(u8, Request)> {
        let member = *self.members.get(role)?;
        let meta = &mut self.meta;
        let (in_use, sync) = (meta.writes_use, meta.writes_sync);
        let (_, own) = meta.supers.iter_mut().find(|(port, _)| *port == member.port)?;
        own.events = meta.events;
        own.updated = own.updated.saturating_add(1);
        own.roles.clone_from(&meta.writes_roles);
        let is_journal = role == crate::engine::journal::JOURNAL;
        own.role = if is_journal { crate::Role::Journal } else { crate::Role::Active(u16::try_from(base(role)).ok()?) };
        // An array in use is told from one that never was in sync, where a log makes the difference once a member is missing.
        let doubtful = own.ppl.is_some() && meta.writes_whole.count_ones() < own.raid_disks;
        let place = sync.filter(|_| doubtful).map_or(0, |place| place.max(8));
        // Parity is right as soon as a journal is replayed.
        own.resync = if in_use && !(self.journal.there && sync.is_none()) { Some(place) } else { sync };
        if let Some(reshape) = &mut own.reshape {
            reshape.position = self.moving.says;
        }
        own.recovery = member.said;
        let recovers = if member.said.is_some() && !is_journal { feature::RECOVERY } else { 0 };
        let guided = if recovers != 0 && self.members.partial & bit(role) != 0 { feature::RECOVERY_BITMAP } else { 0 };
        let replaces = if member.said_twin { feature::REPLACEMENT } else { 0 };
        own.features &= !(feature::RECOVERY | feature::RECOVERY_BITMAP | feature::REPLACEMENT);
        own.features |= recovers | guided | replaces;
        let mut bytes = [0; SUPER_BYTES];
        let used = own.emit(&mut bytes)?;
        let block = 512usize << member.scale;
        let len = used.div_ceil(block) * block;
        let buf = Buf { offset: self.work.offset.saturating_add(u64::from(child) * SUPER_BYTES as u64), ..self.work };
        let staged = io.write_payload(buf, bytes.get(..len)?);
        let lba = Lba(own.super_offset >> member.scale);
        let fua = io.below(member.port).is_some_and(|limits| limits.fua);
        let blocks = u32::try_from(len / block).ok()?;
        staged.then_some((member.port, Request { op: Op::Write, fua, lba, blocks, buf }))
    }

    /// One member has done its part of the phase.
    pub(in crate::engine) fn wrote(&mut self, child: u8, done: Completion, io: &mut Io<'_, Ctx>) {
        let Some(id) = io.kept(META) else { return };
        self.meta.out = self.meta.out.saturating_sub(1);
        let role = io.child_port(id, child).and_then(|port| self.members.role_of(port));
        if let (Err(_), Some(role)) = (done.status, role) {
            self.meta.bad |= bit(role);
        }
        self.write_next(child, io);
        self.look(io);
    }

    /// All superblocks are written, but those of members that failed.
    fn pass_ended(&mut self, io: &mut Io<'_, Ctx>) {
        self.meta.phase = Phase::Idle;
        self.meta.written = self.meta.writing;
        self.meta.in_use = self.meta.writes_use;
        self.meta.said_whole = self.meta.writes_whole;
        for role in each(self.meta.bad) {
            if !self.fail(role) {
                // What happens from here on could not be known after the next start.
                self.meta.breaks();
            }
        }
        self.journal_said(io);
        self.position_said(io);
        self.wake_all(io);
        self.bits_rest(io);
        self.go_on(io);
        // A spare may be needed.
        io.alarm(io.now());
    }
}
