// SPDX-License-Identifier: MIT
//! The members of an array by role: which device each is, and what it can be used for.
use super::PORTS_MAX;
use super::journal::JOURNAL;
use heapless::Vec;
use orion_block::{Buf, Lba, Limits, Op, Request};

/// A set of roles, a bit each.
pub(super) type Roles = u64;

/// The bit of a role.
pub(super) const fn bit(role: u32) -> Roles {
    if role < 64 { 1 << role } else { 0 }
}

/// The first role of those that replace a member: each is as far behind that member's.
const TWIN: u32 = 32;

/// The role of the device that is to replace the member of this role.
pub(super) const fn twin(role: u32) -> u32 {
    role + TWIN
}

/// The member that a device of this role is, or is to replace.
pub(super) const fn base(role: u32) -> u32 {
    role % TWIN
}

/// The members that the devices of a set are, or are to replace.
pub(super) const fn bases(set: Roles) -> Roles {
    (set | set >> TWIN) & 0xffff_ffff
}

/// A set, and the roles of those that are to replace its members.
pub(super) const fn both(set: Roles) -> Roles {
    set | set << TWIN
}

/// Those of a set that replace a member.
pub(super) const fn twins(set: Roles) -> Roles {
    set >> TWIN << TWIN
}

/// The roles of a set, from the first.
pub(super) fn each(set: Roles) -> impl Iterator<Item = u32> {
    core::iter::successors(Some(set), |rest| Some(rest & rest.wrapping_sub(1)))
        .take_while(|rest| *rest != 0)
        .map(Roles::trailing_zeros)
}

/// A member.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Member {
    /// The device.
    pub port: u8,
    /// Binary logarithm of the sectors of the device's block.
    pub scale: u8,
    /// Its first sector of data.
    pub offset: u64,
    /// Of one that is being rebuilt: the sectors of data that it holds as it should.
    pub place: u64,
    /// The same as the superblock says that is being written; `None`: everything.
    pub said: Option<u64>,
    /// It replaces another, as that superblock says; and the pass over the superblocks that says that it holds everything.
    pub said_twin: bool,
    pub sealed: Option<u64>,
    /// It is read only where no other can be.
    pub mostly: bool,
    /// Reads that are out.
    pub busy: u16,
    /// The sector behind the last that was read.
    pub behind: u64,
}

/// All members.
#[derive(Clone, Debug, Default)]
pub(super) struct Members {
    pub list: Vec<Member, PORTS_MAX>,
    /// Those that are to replace members, with their roles.
    pub twins: Vec<(u32, Member), { PORTS_MAX / 2 }>,
    /// Those that hold all that they should.
    pub whole: Roles,
    /// Those that are being rebuilt: written, and read as far as they have come.
    pub filling: Roles,
    /// Those of them that lack no more than what the bitmap says.
    pub partial: Roles,
    /// The device with the write journal, which is at hand as [`JOURNAL`].
    pub journal: Option<Member>,
    /// Each offers to write zeroes.
    pub write_zeroes: bool,
}

fn index(role: u32) -> usize {
    usize::try_from(role).unwrap_or(usize::MAX)
}

impl Members {
    pub fn get(&self, role: u32) -> Option<&Member> {
        self.list.get(index(role)).or_else(|| self.other(role))
    }

    #[cold]
    fn other(&self, role: u32) -> Option<&Member> {
        let twin = self.twins.iter().find(|(own, _)| *own == role).map(|(_, member)| member);
        twin.or_else(|| self.journal.as_ref().filter(|_| role == JOURNAL))
    }

    pub fn get_mut(&mut self, role: u32) -> Option<&mut Member> {
        let Self { list, twins, .. } = self;
        list.get_mut(index(role)).or_else(|| twins.iter_mut().find(|(own, _)| *own == role).map(|(_, member)| member))
    }

    /// A device has a role from now on, of which it holds nothing; whether there is room for it.
    pub fn join(&mut self, role: u32, member: Member) -> bool {
        let fits = match self.get_mut(role) {
            Some(own) => {
                *own = member;
                true
            }
            None => twins(bit(role)) != 0 && self.twins.push((role, member)).is_ok(),
        };
        self.filling |= if fits { bit(role) } else { 0 };
        fits
    }

    /// What was to replace a member takes its place; whether there is such.
    pub fn promote(&mut self, role: u32) -> bool {
        let Some(at) = self.twins.iter().position(|(own, _)| *own == twin(role)) else { return false };
        let (_, member) = self.twins.swap_remove(at);
        let partial = self.partial & bit(twin(role)) != 0;
        self.remove(role);
        self.filling = self.filling & !bit(twin(role)) | bit(role);
        self.partial = self.partial & !bit(twin(role)) | if partial { bit(role) } else { 0 };
        self.get_mut(role).into_iter().for_each(|own| *own = Member { sealed: None, ..member });
        true
    }

    /// The role that a device has now which was asked as one of `role`: by then it may have taken the place of the one
    /// that it was to replace. `None` where another has that place, or none.
    pub fn now(&self, role: u32, port: Option<u8>) -> Option<u32> {
        let there = |role: &u32| port.is_some() && self.get(*role).map(|member| member.port) == port;
        [role, base(role)].into_iter().find(there)
    }

    /// The role under which a member is reached that was to be asked as one of `role`.
    pub fn as_now(&self, role: u32) -> u32 {
        if self.get(role).is_some() { role } else { base(role) }
    }

    /// Whether it holds all that it should.
    pub fn is_whole(&self, role: u32) -> bool {
        self.whole & bit(role) != 0
    }

    /// Whether it is written.
    pub fn is_used(&self, role: u32) -> bool {
        self.used() & bit(role) != 0
    }

    /// Those that are written.
    pub fn used(&self) -> Roles {
        self.whole | self.filling
    }

    /// Whether it can be read up to this sector of its data.
    pub fn holds(&self, role: u32, end: u64) -> bool {
        let filled = || self.filling & bit(role) != 0 && self.get(role).is_some_and(|member| end <= member.place);
        self.is_whole(role) || filled()
    }

    /// Those that can be read up to this sector of their data.
    pub fn that_hold(&self, end: u64) -> Roles {
        let filled = each(self.filling).filter(|role| self.holds(*role, end));
        filled.fold(self.whole, |all, role| all | bit(role))
    }

    /// Uses it no more.
    pub fn remove(&mut self, role: u32) {
        self.whole &= !bit(role);
        self.filling &= !bit(role);
        self.partial &= !bit(role);
        self.twins.retain(|(own, _)| *own != role);
    }

    /// Takes note of what the superblocks that are written next say.
    pub fn snapshot(&mut self) {
        let filling = self.filling;
        for (role, member) in (0..).zip(&mut self.list) {
            (member.said, member.said_twin) = ((filling & bit(role) != 0).then_some(member.place), false);
        }
        for (_, member) in &mut self.twins {
            (member.said, member.said_twin) = (Some(member.place), true);
        }
    }

    /// The role of the device that is used at this port.
    pub fn role_of(&self, port: u8) -> Option<u32> {
        let journal = self.journal.filter(|journal| journal.port == port).map(|_| JOURNAL);
        each(self.used()).find(|role| self.get(*role).is_some_and(|member| member.port == port)).or(journal)
    }

    /// Binary logarithm of the member's blocks in a block of the array, which has `1 << scale` sectors.
    pub fn scale(&self, role: u8, scale: u8) -> u8 {
        self.get(role.into()).map_or(0, |member| scale.saturating_sub(member.scale))
    }

    /// The member's request for `sectors` from `sector` of its data on, that is otherwise like `req`.
    #[inline]
    pub fn request(&self, role: u32, req: &Request, sector: u64, sectors: u64) -> (u8, Request) {
        let Some(member) = self.get(role) else { return (u8::MAX, *req) };
        let lba = Lba(member.offset.saturating_add(sector) >> member.scale);
        let blocks = u32::try_from(sectors >> member.scale).unwrap_or(u32::MAX);
        (member.port, Request { lba, blocks, ..*req })
    }

    /// A read of it ended.
    #[inline]
    pub fn ended(&mut self, role: u8) {
        if let Some(member) = self.get_mut(role.into()) {
            member.busy = member.busy.saturating_sub(1);
        }
    }

    /// A read of it goes down, up to this sector.
    #[inline]
    pub fn asked(&mut self, role: u32, end: u64) {
        if let Some(member) = self.get_mut(role) {
            member.busy = member.busy.saturating_add(1);
            member.behind = end;
        }
    }

    /// The member's request for `sectors` from `sector` of its data on, with this payload.
    #[inline]
    pub fn transfer(&self, role: u32, op: Op, fua: bool, (sector, sectors): (u64, u64), buf: Buf) -> (u8, Request) {
        let Some(member) = self.get(role) else { return (u8::MAX, Request::default()) };
        let lba = Lba(member.offset.saturating_add(sector) >> member.scale);
        let blocks = u32::try_from(sectors >> member.scale).unwrap_or(u32::MAX);
        (member.port, Request { op, fua, lba, blocks, buf })
    }

    /// Takes note of what the devices offer that are used.
    pub fn note(&mut self, below: impl Fn(u8) -> Option<Limits>) {
        let used = self.used();
        let mut ports = each(used).filter_map(|role| self.get(role)).filter_map(|m| below(m.port));
        self.write_zeroes = ports.all(|limits| limits.write_zeroes);
    }
}
