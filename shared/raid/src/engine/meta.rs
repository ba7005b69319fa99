// SPDX-License-Identifier: MIT
//! The members' superblocks while the array is used: what they say, and when it is written.
//!
//! One pass after the other writes all of them. First everything that the members have cached is flushed, so that none of
//! them ever says that what another has lost is in sync.
mod pass;

use super::members::{Roles, bit, twin};
use super::{FANOUT, PORTS_MAX};
use crate::wire::{FAULTY, SUPER_BYTES};
use crate::{Array, Super};
use heapless::Vec;
use orion_block::{Error, Instant};

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

    /// What all superblocks say by now, those of spares too, which are not written each time.
    pub fn known(&self) -> Vec<Super, PORTS_MAX> {
        let said = |(_, own): &(u8, Super)| {
            let mut own = Super { roles: self.roles.clone(), events: self.events, ..own.clone() };
            own.role = own.role_of(own.number);
            own
        };
        self.supers.iter().map(said).collect()
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

    /// The device at this port, which has this role, is left behind.
    pub fn failed(&mut self, role: u32, port: u8) {
        self.bad &= !bit(role);
        let Some((_, own)) = self.supers.iter_mut().find(|(at, _)| *at == port) else { return self.wants() };
        if own.role == crate::Role::Spare {
            // No superblock says yet that it was more.
            own.role = crate::Role::Faulty;
        }
        let number = own.number;
        self.role(number, FAULTY);
    }

    /// What was to replace the member of this role has its place.
    pub fn took_over(&mut self, role: u32) {
        let spare = bit(twin(role));
        if self.bad & spare != 0 {
            self.bad = self.bad & !spare | bit(role);
        }
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
