// SPDX-License-Identifier: MIT
//! A member is replaced while it is in service: a spare gets the same role, is written beside it, and is filled from it. When it
//! holds everything, and all superblocks say so, it takes the member's place, and that one is left behind.
use super::background::Goal;
use super::members::{Member, base, bit, each, twin, twins};
use super::mirror::copies;
use super::operate::{Refusal, Use};
use super::{Ctx, FANOUT, Raid, Roles};
use crate::geometry::Place;
use crate::{Array, Geometry, Level, Role, Standing, Super};
use orion_layer::Io;

impl Raid {
    /// Has a spare replace the member at this port (`mdadm --replace`): the spare at `with`, or any. Begins it: whether the spare
    /// could be used is told by [`outcome`](Self::outcome), how far it is by [`progress`](Self::progress). The member is read and
    /// written until the spare holds everything, and is then left behind; where it fails before, the spare is rebuilt in its place.
    ///
    /// # Errors
    /// [`Refusal::NoMember`], [`Refusal::NoSpare`], [`Refusal::NotSpare`], [`Refusal::Small`], [`Refusal::Blocks`],
    /// [`Refusal::Copies`], [`Refusal::Busy`], [`Refusal::Fixed`].
    pub fn replace(&mut self, port: u8, with: Option<u8>, io: &mut Io<'_, Ctx>) -> Result<(), Refusal> {
        if self.is_fixed() || !self.redundant() {
            return Err(Refusal::Fixed);
        }
        let role = match self.use_of(port) {
            Use::Member(role) => role,
            Use::Rebuilding(..) | Use::Replacing(..) | Use::Preparing => return Err(Refusal::Busy),
            Use::Journal | Use::Spare | Use::Faulty | Use::Nothing => return Err(Refusal::NoMember(port)),
        };
        if self.prepare.is_anything() || self.reshapes() || self.members.is_used(twin(role)) {
            return Err(Refusal::Busy);
        }
        if !self.geometry.as_ref().is_some_and(|geometry| self.has_room_for_twin(geometry)) {
            return Err(Refusal::Copies);
        }
        let spare = match with {
            Some(port) => self.usable(port, role, io).map(|()| port)?,
            None => self.spare_for(role, io).ok_or(Refusal::NoSpare)?,
        };
        self.prepare(spare, twin(role), io);
        Ok(())
    }

    /// Whether all copies of a sector can be written at a time, and one more.
    fn has_room_for_twin(&self, geometry: &Geometry) -> bool {
        let all = copies(geometry, 0).count() + self.members.twins.len();
        let fits = matches!(geometry.level(), Level::Parity(_)) || all < FANOUT;
        fits && !self.members.twins.is_full() && !matches!(geometry.level(), Level::Linear | Level::Raid0(_))
    }

    /// Whether the spare at this port can be the member of this role.
    fn usable(&self, port: u8, role: u32, io: &Io<'_, Ctx>) -> Result<(), Refusal> {
        let spare = self.meta.own(port).filter(|own| own.role == Role::Spare && self.members.role_of(port).is_none());
        let own = spare.ok_or(Refusal::NotSpare(port))?;
        let need = self.geometry.as_ref().map_or(u64::MAX, |geometry| geometry.used(role));
        if own.data_size < need {
            return Err(Refusal::Small(port, own.data_size, need));
        }
        let block = io.below(port).map_or(u8::MAX, |limits| limits.block.shift().saturating_sub(9));
        let whole = own.data_offset.is_multiple_of(1 << self.scale.min(63));
        if block <= self.scale && whole { Ok(()) } else { Err(Refusal::Blocks(port)) }
    }

    /// A spare that can be the member of this role.
    pub(super) fn spare_for(&self, role: u32, io: &Io<'_, Ctx>) -> Option<u8> {
        self.meta.all().map(|(port, _)| port).find(|port| self.usable(*port, role, io).is_ok())
    }

    /// Goes on with the replacements that an array was found in, where that can be; others are left behind.
    pub(super) fn take_twins(&mut self, array: &Array, found: &[(u8, Super)], io: &Io<'_, Ctx>) {
        let newest = &array.newest;
        // What a log says is written to members only.
        let anew = newest.is_dirty() && newest.ppl.is_some() || self.journal.there;
        for (port, own) in found {
            let Standing::Replacement(role) = array.standing(own) else { continue };
            let (role, used) = (u32::from(role), array.geometry.used(role.into()));
            let limits = io.below(*port).unwrap_or_default();
            let scale = limits.block.shift().saturating_sub(9);
            let whole = scale <= self.scale && own.data_offset.is_multiple_of(1 << self.scale.min(63));
            let fits = whole && own.data_size >= used && !limits.read_only && own.ppl.is_some() == newest.ppl.is_some();
            let role_is_free = self.members.is_whole(role) && !self.members.is_used(twin(role));
            if !fits || !role_is_free || newest.reshape.is_some() || !self.has_room_for_twin(&array.geometry) {
                continue;
            }
            let place = if anew { 0 } else { own.recovery.unwrap_or(used).min(used) };
            let (said, offset) = (Some(place), own.data_offset);
            let member = Member { port: *port, scale, offset, place, said, said_twin: true, ..Member::default() };
            self.members.join(twin(role), member);
        }
    }

    /// Whether what replaces a member holds everything.
    fn is_filled(&self, role: u32) -> bool {
        let used = self.geometry.as_ref().map_or(u64::MAX, |geometry| geometry.used(role));
        self.meta.sync.is_none() && self.members.get(twin(role)).is_some_and(|member| member.place >= used)
    }

    /// The members that are whole without this one: it too, if what replaces it holds everything.
    pub(super) fn whole_without(&self, role: u32) -> Roles {
        self.members.whole & !bit(role) | if self.is_filled(role) { bit(role) } else { 0 }
    }

    /// A member is left behind, or what was to replace it.
    pub(super) fn leave_behind(&mut self, role: u32) {
        let Some(port) = self.members.get(role).map(|member| member.port) else { return };
        self.meta.failed(role, port);
        let filled = self.is_filled(role);
        if !self.members.promote(role) {
            return self.members.remove(role);
        }
        self.meta.took_over(role);
        self.log.took_over(role);
        if filled {
            self.members.filling &= !bit(role);
            self.members.whole |= bit(role);
        } else if self.meta.sync.is_some()
            && let Some(member) = self.members.get_mut(role)
        {
            // Of what may differ the others have the one version that is kept.
            member.place = 0;
        }
        // The rest of it comes from the others.
        (self.background.stuck, self.background.goal) = (false, Goal::Nothing);
    }

    /// Everything is copied: once all superblocks say that, what was to replace members takes their places. Whether that is done.
    pub(super) fn replaced(&mut self, io: &mut Io<'_, Ctx>) -> bool {
        let mut ready = self.meta.is_idle() && self.meta.sync.is_none();
        for role in each(twins(self.members.filling)) {
            let used = self.geometry.as_ref().map_or(0, |geometry| geometry.used(base(role)));
            let Some(member) = self.members.get_mut(role) else { continue };
            member.place = used;
            if member.sealed.is_none() {
                // Where the power goes, and the member is not there any more, it is as good as that.
                self.meta.wants();
                member.sealed = Some(self.meta.wanted());
            }
            ready &= member.sealed.is_some_and(|pass| self.meta.has_written(pass));
        }
        if ready {
            for role in each(twins(self.members.filling)).map(base) {
                self.leave_behind(role);
            }
        }
        self.go_on(io);
        ready
    }

    /// Where sectors lie on what replaces members, with the number of the copy.
    pub(super) fn twin_places(&self, first: u64) -> impl Iterator<Item = (u32, Place)> + '_ {
        let geometry = self.geometry.as_ref().filter(|_| !self.members.twins.is_empty());
        let all = geometry.into_iter().flat_map(move |geometry| (0u32..).zip(copies(geometry, first)));
        let twins = all.map(|(copy, place)| (copy, Place { member: twin(place.member), ..place }));
        twins.filter(|(_, place)| self.members.is_used(place.member))
    }

    /// The place of sectors on what replaces a member, if they are there, and no member of `tried` has them.
    #[cold]
    pub(super) fn stand_in(&self, first: u64, end: u64, tried: Roles) -> Option<Place> {
        let fits = |place: &Place| {
            let behind = place.sector.saturating_add(end - first);
            let holds = tried & bit(place.member) == 0 && self.members.holds(place.member, behind);
            holds && place.run >= end - first
        };
        self.twin_places(first).map(|(_, place)| place).find(fits).filter(|_| self.meta.synced(end))
    }

    /// Members that could not be read up to this sector of their data, which what replaces them holds.
    pub(super) fn stand_ins(&self, lost: Roles, end: u64) -> Roles {
        let all = twins(self.members.filling);
        if all == 0 || lost == 0 || !self.meta.synced(end) {
            return 0;
        }
        let good =
            |role: &u32| lost & bit(base(*role)) != 0 && lost & bit(*role) == 0 && self.members.holds(*role, end);
        each(all).filter(good).map(|role| bit(base(role))).sum()
    }

    /// Whether members are being replaced, and none is being rebuilt.
    pub(super) fn only_replaces(&self) -> bool {
        self.members.filling != 0 && self.members.filling == twins(self.members.filling)
    }

    /// Whether the background work of a line is only to copy members to what replaces them.
    pub(super) fn only_copies(&self) -> bool {
        self.background.goal == Goal::Rebuild && self.background.fixes.is_none() && self.only_replaces()
    }
}
