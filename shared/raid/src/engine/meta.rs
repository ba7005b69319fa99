// SPDX-License-Identifier: MIT
//! The members' superblocks while the array is used: what they say, and when it is written.
//!
//! One pass after the other writes all of them. First everything that the members have cached is flushed, so that none of
//! them ever says that what another has lost is in sync.
use super::members::{Roles, bit, each};
use super::{Ctx, FANOUT, META, PORTS_MAX, Raid};
use crate::wire::{FAULTY, SUPER_BYTES, feature};
use crate::{Array, Super};
use heapless::Vec;
use orion_block::{Buf, Completion, Error, Instant, Lba, Op, Request};
use orion_layer::Io;

/// Bytes in which superblocks are made ready: as many as are written at a time.
pub(super) const STAGE_BYTES: usize = FANOUT * SUPER_BYTES;
/// Nanoseconds without a write after which an array is clean, as for Linux.
pub(super) const REST_NS: u64 = 200_000_000;

/// What a pass is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Idle,
    /// Members flush what they cached before.
    Before,
    /// The bitmap is made as new as they are to be.
    Bitmap,
    /// Superblocks are written.
    Write,
    /// Members flush those that they may have cached.
    After,
}

/// What all members' superblocks say, or will.
#[derive(Clone, Debug, Default)]
pub(super) struct Meta {
    /// As they were written last, by port.
    supers: Vec<(u8, Super), PORTS_MAX>,
    events: u64,
    /// What roles the devices have, by number.
    roles: Vec<u16, { crate::MEMBERS_MAX }>,
    /// The array is in sync up to here; `None`: everywhere.
    pub sync: Option<u64>,
    /// Passes that were wanted, that are written, and the one that is being written.
    wanted: u64,
    written: u64,
    writing: u64,
    /// The array is to be in use, the pass that is being written says so, and all superblocks do.
    wants_use: bool,
    writes_use: bool,
    in_use: bool,
    /// `sync` as the pass that is being written says: what was put in sync since may be cached only. And the roles.
    writes_sync: Option<u64>,
    writes_roles: Vec<u16, { crate::MEMBERS_MAX }>,
    /// Members that are whole as the pass says that is being written, and as all superblocks do.
    writes_whole: Roles,
    said_whole: Roles,
    /// Those that it is about: one that joins meanwhile is not in what it says.
    writes_used: Roles,
    /// Some members did not get the last pass of an earlier life: they get it first, so that none is ever two passes behind.
    uneven: bool,
    /// Devices that have a role and are not here are to be said to have failed it: what they lack is never taken for good.
    forgets: bool,
    phase: Phase,
    /// Members that the phase still has to ask, and that failed it.
    todo: Roles,
    bad: Roles,
    out: u8,
    /// When nobody wrote first.
    quiet: Option<Instant>,
    broken: Option<Error>,
}

impl Meta {
    /// Of an array that was put together from the superblocks of these ports.
    pub fn of(supers: Vec<(u8, Super), PORTS_MAX>, array: &Array, (whole, used): (Roles, Roles)) -> Self {
        let newest = &array.newest;
        let (events, roles, sync) = (newest.events, newest.roles.clone(), newest.resync);
        let writes_roles = roles.clone();
        let uneven = supers.iter().any(|(_, own)| own.events != events);
        let forgets = true;
        let said = Self {
            writes_sync: sync,
            writes_roles,
            writes_whole: whole,
            said_whole: whole,
            writes_used: used,
            ..Self::default()
        };
        Self { supers, events, roles, sync, uneven, forgets, ..said }
    }

    /// Devices that have a role and are not at one of these ports have failed it.
    fn forget_all_but(&mut self, used: impl Fn(u8) -> bool) {
        let Self { supers, roles, .. } = self;
        for (number, entry) in (0u32..).zip(roles).filter(|(_, entry)| **entry < crate::wire::JOURNAL) {
            if !supers.iter().any(|(port, own)| own.number == number && used(*port)) {
                *entry = FAULTY;
            }
        }
    }

    /// Whether the array has no superblocks.
    pub fn is_bare(&self) -> bool {
        self.supers.is_empty()
    }

    /// Whether everything is written, and says that the array is clean.
    pub fn rests(&self) -> bool {
        self.phase == Phase::Idle && !self.owes() && !self.wants_use
    }

    /// Why nothing can be written any more.
    pub fn broken(&self) -> Option<Error> {
        self.broken
    }

    /// Nothing can be written any more.
    pub fn breaks(&mut self) {
        self.broken = Some(Error::Io);
    }

    /// The number of the pass that says what is so now.
    pub fn wanted(&self) -> u64 {
        self.wanted
    }

    /// Whether that pass is written.
    pub fn has_written(&self, pass: u64) -> bool {
        self.written >= pass
    }

    /// Whether something is to be written that is not.
    pub fn owes(&self) -> bool {
        self.wanted != self.written
    }

    /// Whether members may be written.
    pub fn in_use(&self) -> bool {
        self.is_bare() || (self.in_use && self.wants_use)
    }

    /// The array is to be in use.
    pub fn use_it(&mut self) {
        if !self.wants_use {
            self.wants_use = true;
            self.wants();
        }
        self.quiet = None;
    }

    /// Something is to be written.
    pub fn wants(&mut self) {
        if !self.is_bare() {
            self.wanted += 1;
        }
    }

    /// Whether all copies, and all parity, up to this sector are known to agree.
    pub fn synced(&self, end: u64) -> bool {
        self.sync.is_none_or(|place| end <= place)
    }

    /// All superblocks that were found, with their ports.
    pub fn all(&self) -> impl Iterator<Item = (u8, &Super)> {
        self.supers.iter().map(|(port, found)| (*port, found))
    }

    /// The array's events.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Whether no pass is under way.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Idle
    }

    /// What all superblocks are to say from now on, in their order.
    pub fn replace(&mut self, all: &[Super]) {
        for ((_, own), new) in self.supers.iter_mut().zip(all) {
            own.clone_from(new);
        }
        if let Some(first) = all.first() {
            self.roles.clone_from(&first.roles);
        }
    }

    /// The superblock of the device at this port.
    pub fn own(&self, port: u8) -> Option<&Super> {
        self.supers.iter().find(|(at, _)| *at == port).map(|(_, own)| own)
    }

    /// The spare at this port cannot be written: it failed.
    pub fn spoil(&mut self, port: u8) {
        if let Some((_, own)) = self.supers.iter_mut().find(|(at, _)| *at == port) {
            own.role = crate::Role::Faulty;
            let number = own.number;
            self.role(number, FAULTY);
        }
    }

    /// The device at this port is none of the array's any more.
    pub fn forget(&mut self, port: u8) {
        if let Some(at) = self.supers.iter().position(|(own, _)| *own == port) {
            let (_, own) = self.supers.swap_remove(at);
            self.role(own.number, crate::wire::SPARE);
        }
    }

    /// The first number that no device of the array has.
    pub fn free_number(&self) -> Option<u32> {
        let known = |number: &u32| self.supers.iter().any(|(_, own)| own.number == *number);
        let vacant = |number: &u32| {
            let role = usize::try_from(*number).ok().and_then(|index| self.roles.get(index));
            role.is_none_or(|role| *role == crate::wire::SPARE)
        };
        let most = u32::try_from(crate::MEMBERS_MAX).unwrap_or(0);
        (0..most).find(|number| !known(number) && vacant(number)).filter(|_| !self.supers.is_full())
    }

    /// What a superblock like this one says now, where the device of this number is a spare.
    pub fn said(&self, like: &Super, number: u32) -> Super {
        let (mut roles, index) = (self.roles.clone(), usize::try_from(number).unwrap_or(usize::MAX));
        while roles.len() <= index && roles.push(crate::wire::SPARE).is_ok() {}
        roles.get_mut(index).into_iter().for_each(|role| *role = crate::wire::SPARE);
        Super { roles, events: self.events, ..like.clone() }
    }

    /// A new spare is at this port; whether there is room for it.
    pub fn enlist(&mut self, port: u8, made: Super) -> bool {
        let number = made.number;
        let fits = self.supers.push((port, made)).is_ok();
        self.role(number, crate::wire::SPARE);
        fits
    }

    /// Members that all superblocks say are whole.
    pub fn said_whole(&self) -> Roles {
        self.said_whole
    }

    /// Gives the device with this number another role.
    pub fn role(&mut self, number: u32, role: u16) {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        while self.roles.len() <= index && self.roles.push(crate::wire::SPARE).is_ok() {}
        if let Some(entry) = self.roles.get_mut(index) {
            *entry = role;
        }
        self.wants();
    }

    /// The member of this role is left behind.
    pub fn failed(&mut self, role: u32) {
        let is = |entry: &&mut u16| u32::from(**entry) == role;
        if let Some(entry) = self.roles.iter_mut().find(is) {
            *entry = FAULTY;
        }
        self.bad &= !bit(role);
        self.wants();
    }

    /// Says that the array is clean once nobody wrote for a while; when to look again.
    pub fn rest(&mut self, now: Instant, quiet: bool) -> Option<Instant> {
        if !quiet || !self.wants_use || self.is_bare() {
            self.quiet = None;
            return (!quiet && self.wants_use).then(|| now.after(REST_NS));
        }
        let since = *self.quiet.get_or_insert(now);
        let due = since.after(REST_NS);
        if now < due {
            return Some(due);
        }
        self.wants_use = false;
        self.quiet = None;
        self.wants();
        None
    }
}

impl Raid {
    /// Begins a pass, if one is wanted and none is under way.
    pub(super) fn go_on(&mut self, io: &mut Io<'_, Ctx>) {
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
    pub(super) fn meta_has_bits(&mut self, io: &mut Io<'_, Ctx>) {
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
        let is_journal = role == super::journal::JOURNAL;
        own.role = if is_journal { crate::Role::Journal } else { crate::Role::Active(u16::try_from(role).ok()?) };
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
        own.features = own.features & !(feature::RECOVERY | feature::RECOVERY_BITMAP) | recovers | guided;
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
    pub(super) fn wrote(&mut self, child: u8, done: Completion, io: &mut Io<'_, Ctx>) {
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
