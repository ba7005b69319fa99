// SPDX-License-Identifier: MIT
//! Makes a device ready before it belongs to the array, or takes a role: what it holds from before must not be taken for the
//! array's.
use super::members::{Member, base, bit};
use super::operate::Refusal;
use super::{ADMIN, Ctx, Raid, ring};
use crate::ppl::{self, HEADER_BYTES};
use crate::wire::{SUPER_BYTES, feature};
use crate::{Role, Super, Uuid, Version, probe};
use orion_block::{Buf, Completion, Lba, Op, Request};
use orion_layer::Io;

/// Bytes in which that is made ready.
pub(super) const PAGE_BYTES: usize = 4096;
const _: () = assert!(HEADER_BYTES <= PAGE_BYTES && SUPER_BYTES <= PAGE_BYTES);

/// What is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    Idle,
    /// A place at which it may have a superblock is read: the number of it.
    Look(usize),
    /// Its superblock, as a spare, is written, and made durable.
    Super,
    Settle,
    /// The place of its partial parity log is cleared, from this sector on.
    Log(u64),
}

/// The device, the role that it is to have, or the identifier.
#[derive(Clone, Debug, Default)]
pub(super) struct Prepare {
    step: Step,
    port: u8,
    role: u32,
    device: Uuid,
    made: Option<Super>,
    /// It is a member that comes back.
    back: bool,
    pub outcome: Option<Result<(), Refusal>>,
}

impl Prepare {
    /// Whether a device is being made ready.
    pub fn is_anything(&self) -> bool {
        self.step != Step::Idle
    }

    /// Whether the one at this port is.
    pub fn is_busy(&self, port: u8) -> bool {
        self.is_anything() && self.port == port
    }
}

impl Raid {
    /// The memory for one page.
    fn page(&self) -> Buf {
        let skip = super::WORK_BYTES - PAGE_BYTES;
        Buf { offset: self.work.offset.saturating_add(skip as u64), ..self.work }
    }

    /// Gives the spare at this port a role, as soon as it is ready for it.
    pub(super) fn prepare(&mut self, port: u8, role: u32, io: &mut Io<'_, Ctx>) {
        self.prepare = Prepare { step: Step::Log(0), port, role, outcome: self.prepare.outcome, ..Prepare::default() };
        if !self.log.there {
            return self.join(io);
        }
        self.clear_log(0, io);
    }

    /// Clears the place of the device's partial parity log from this sector on, or goes on where all of it is.
    fn clear_log(&mut self, sector: u64, io: &mut Io<'_, Ctx>) {
        let Some(ppl) = self.meta.own(self.prepare.port).and_then(|own| own.ppl) else { return self.unfit(io) };
        if sector + 8 > ppl.sectors.into() {
            // It is durable before a superblock says what the device is: each pass begins with a flush.
            self.log.ring.begin(self.prepare.role);
            return self.join(io);
        }
        self.prepare.step = Step::Log(sector);
        io.write_payload(self.page(), &ring::fresh(&ppl, sector, self.log.signature, self.log.generation));
        self.ask_page(Op::Write, ppl.at + sector, io);
    }

    /// Writes an empty log where the device at this port has it.
    pub(super) fn empty_log(&mut self, port: u8, at: u64, io: &mut Io<'_, Ctx>) {
        self.prepare = Prepare { port, outcome: self.prepare.outcome, ..Prepare::default() };
        let mut header = [0; HEADER_BYTES];
        ppl::emit(&mut header, self.log.signature, self.log.generation, &[]);
        io.write_payload(self.page(), &header);
        self.ask_page(Op::Write, at, io);
    }

    /// Reads or writes the page that begins at this sector of the device, or flushes it.
    fn ask_page(&mut self, op: Op, sector: u64, io: &mut Io<'_, Ctx>) {
        let Some((id, limits)) = io.kept(ADMIN).zip(io.below(self.prepare.port)) else { return self.unfit(io) };
        let scale = limits.block.shift().saturating_sub(9);
        let sectors = if op == Op::Flush { 0 } else { PAGE_BYTES / 512 };
        let blocks = u32::try_from(sectors >> scale).unwrap_or(0);
        let (lba, buf, fua) = (Lba(sector >> scale), self.page(), limits.fua && op == Op::Write);
        io.lower(id, self.prepare.port, 0, Request { op, fua, lba, blocks, buf });
    }

    /// What was asked of the device is done.
    pub(super) fn prepared(&mut self, done: Completion, io: &mut Io<'_, Ctx>) {
        if self.moving.grow.relogs() {
            return self.relogged(done, io);
        }
        let port = self.prepare.port;
        match (self.prepare.step, done.status) {
            (Step::Idle, _) => {}
            (Step::Look(nth), Ok(())) => match self.found_there(nth, io) {
                Some(found) if self.is_ours(&found) => {
                    self.prepare.made = Some(found);
                    self.look_at(nth + 1, io);
                }
                Some(found) => self.added(Err(Refusal::Other(port, found.set)), io),
                None => self.look_at(nth + 1, io),
            },
            (Step::Super, Ok(())) => {
                self.prepare.step = Step::Settle;
                self.ask_page(Op::Flush, 0, io);
            }
            (Step::Settle, Ok(())) => self.enlist(io),
            (Step::Log(at), Ok(())) => self.clear_log(at + 8, io),
            (Step::Log(_), Err(_)) => self.unfit(io),
            (_, Err(error)) => self.added(Err(Refusal::Failed(port, error)), io),
        }
    }

    /// The spare cannot be used.
    fn unfit(&mut self, io: &mut Io<'_, Ctx>) {
        self.meta.spoil(self.prepare.port);
        if self.prepare.role != base(self.prepare.role) {
            self.prepare.outcome = Some(Err(Refusal::Failed(self.prepare.port, orion_block::Error::Io)));
        }
        self.prepare.step = Step::Idle;
        self.go_on(io);
        io.alarm(io.now());
    }

    /// The device has its role from now on.
    fn join(&mut self, io: &mut Io<'_, Ctx>) {
        let (port, role) = (self.prepare.port, self.prepare.role);
        self.prepare.step = Step::Idle;
        io.alarm(io.now());
        let Some((number, offset)) = self.meta.own(port).map(|own| (own.number, own.data_offset)) else { return };
        let scale = io.below(port).map_or(0, |limits| limits.block.shift().saturating_sub(9));
        let replaces = role != base(role);
        if replaces && !self.members.is_whole(base(role)) {
            // The member is gone meanwhile: as a spare it takes that place.
            self.prepare.outcome = Some(Err(Refusal::NoMember(port)));
            return;
        }
        if self.members.join(role, Member { port, scale, offset, said: Some(0), ..Member::default() }) {
            self.prepare.outcome = if replaces { Some(Ok(())) } else { self.prepare.outcome };
            self.members.partial |= if self.prepare.back { bit(role) } else { 0 };
            self.bits_all();
            self.meta.role(number, u16::try_from(base(role)).unwrap_or(crate::wire::FAULTY));
            // From its first sector on, also where another is being rebuilt already.
            (self.background.stuck, self.background.goal) = (false, super::background::Goal::Nothing);
            self.go_on(io);
        }
    }

    /// Begins to take a new device into the array.
    pub(super) fn begin_add(&mut self, port: u8, device: Uuid, io: &mut Io<'_, Ctx>) {
        self.prepare = Prepare { port, device, ..Prepare::default() };
        self.look_at(0, io);
    }

    /// Sectors of the device.
    fn sectors_of(&self, io: &Io<'_, Ctx>) -> u64 {
        let limits = io.below(self.prepare.port).unwrap_or_default();
        limits.capacity.checked_shl(limits.block.shift().saturating_sub(9).into()).unwrap_or(0)
    }

    /// Reads the place of this number, or writes the superblock when all are read.
    fn look_at(&mut self, nth: usize, io: &mut Io<'_, Ctx>) {
        if let Some(at) = probe::places(self.sectors_of(io)).nth(nth) {
            self.prepare.step = Step::Look(nth);
            return self.ask_page(Op::Read, at, io);
        }
        if self.prepare.back {
            return self.come_back(io);
        }
        let made = match self.spare_super(self.sectors_of(io)) {
            Ok(made) => made,
            Err(refusal) => return self.added(Err(refusal), io),
        };
        let mut bytes = [0; PAGE_BYTES];
        if made.emit(&mut bytes).is_none() || !io.write_payload(self.page(), &bytes) {
            return self.added(Err(Refusal::Full), io);
        }
        let at = made.super_offset;
        (self.prepare.made, self.prepare.step) = (Some(made), Step::Super);
        self.ask_page(Op::Write, at, io);
    }

    /// The superblock that the page holds.
    fn found_there(&self, nth: usize, io: &Io<'_, Ctx>) -> Option<Super> {
        let mut bytes = [0; SUPER_BYTES];
        io.read_payload(self.page(), &mut bytes);
        let sectors = self.sectors_of(io);
        Super::parse(&bytes, probe::places(sectors).nth(nth)?, sectors)?.ok()
    }

    fn is_ours(&self, found: &Super) -> bool {
        self.meta.all().next().map(|(_, own)| own.set) == Some(found.set)
    }

    /// The superblock of a spare of so many sectors: like the members'.
    fn spare_super(&self, sectors: u64) -> Result<Super, Refusal> {
        let port = self.prepare.port;
        let (_, like) = self.meta.all().next().ok_or(Refusal::Fixed)?;
        let number = self.meta.free_number().ok_or(Refusal::Full)?;
        let last = sectors.saturating_sub(16) & !7;
        let end = if like.version == Version::V10 { last.saturating_sub(8) } else { sectors };
        let data_size = end.saturating_sub(like.data_offset);
        let need = self.geometry.as_ref().map_or(0, |geometry| geometry.used(0));
        if data_size < need || last == 0 {
            return Err(Refusal::Small(port, data_size, need));
        }
        let super_offset = if like.version == Version::V10 { last } else { like.super_offset };
        // What stands beside the superblock is as far from it.
        let beside = |at: u64| at.wrapping_sub(like.super_offset).wrapping_add(super_offset);
        Ok(Super {
            features: like.features & !(feature::RECOVERY | feature::REPLACEMENT | feature::BAD_BLOCKS),
            data_size,
            super_offset,
            number,
            device: self.prepare.device,
            role: Role::Spare,
            recovery: None,
            bitmap: like.bitmap.map(beside),
            ppl: like.ppl.map(|ppl| crate::Ppl { at: beside(ppl.at), ..ppl }),
            log: None,
            flags: 0,
            ..self.meta.said(like, number)
        })
    }

    /// Begins to take a member back.
    pub(super) fn begin_re_add(&mut self, port: u8, io: &mut Io<'_, Ctx>) {
        self.prepare = Prepare { port, back: true, ..Prepare::default() };
        self.look_at(0, io);
    }

    /// The member that comes back has its role from now on, if the bitmap says what it lacks.
    fn come_back(&mut self, io: &mut Io<'_, Ctx>) {
        let port = self.prepare.port;
        let found = self.prepare.made.take();
        let fits = |found: &Super| {
            let Role::Active(role) = found.role else { return None };
            let like = self.meta.all().next().map(|(_, own)| own)?;
            let alike = |s: &Super| (s.version, s.level, s.layout, s.chunk, s.raid_disks, s.size);
            let vacant = u32::from(role) < like.raid_disks && !self.members.is_used(role.into());
            let place = !self.meta.all().any(|(at, own)| at != port && own.number == found.number);
            let known = found.events >= self.bits.head.cleared && found.events <= self.meta.events();
            let whole = found.recovery.is_none() || found.has(feature::RECOVERY_BITMAP);
            let good = alike(found) == alike(like) && found.bitmap.is_some() && found.ppl == like.ppl;
            (vacant && place && known && whole && good).then_some(u32::from(role))
        };
        let Some((found, role)) = found.and_then(|found| fits(&found).map(|role| (found, role))) else {
            return self.added(Err(Refusal::Anew(port)), io);
        };
        self.meta.forget(port);
        if !self.meta.enlist(port, found) {
            return self.added(Err(Refusal::Full), io);
        }
        self.prepare.role = role;
        self.join(io);
        self.added(Ok(()), io);
    }

    /// The device is a spare of the array from now on.
    fn enlist(&mut self, io: &mut Io<'_, Ctx>) {
        let made = self.prepare.made.take();
        let port = self.prepare.port;
        let taken = made.is_some_and(|made| self.meta.enlist(port, made));
        self.added(taken.then_some(()).ok_or(Refusal::Full), io);
        self.background.stuck = false;
        self.go_on(io);
    }

    /// That is how it ended.
    fn added(&mut self, outcome: Result<(), Refusal>, io: &mut Io<'_, Ctx>) {
        self.prepare = Prepare { outcome: Some(outcome), ..Prepare::default() };
        io.alarm(io.now());
    }
}
