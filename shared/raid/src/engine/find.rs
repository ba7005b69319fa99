// SPDX-License-Identifier: MIT
//! Reads the superblocks of the devices below, and puts the array together.
use super::lines::Lines;
use super::members::{Member, bit};
use super::replay::Replay;
use super::{Ctx, FANOUT, Meta, PORTS_MAX, Plan, Raid};
use crate::wire::{SUPER_BYTES, feature};
use crate::{Array, Error, Geometry, Kind, Level, Role, Select, Super, Uuid, Version, assemble, probe};
use heapless::Vec;
use orion_block::{Completion, Lba, Op, Request};
use orion_layer::Io;

/// Which array is meant.
#[derive(Clone, Copy, Debug)]
pub(super) enum Want {
    /// The one that is so called, or the only one.
    Found(Option<Select>),
    /// One without superblocks.
    Plan(Plan),
}

/// What was read so far.
#[derive(Clone, Debug)]
pub(super) struct Find {
    pub want: Want,
    pub force: bool,
    /// The level that it must have.
    pub level: Option<i32>,
    port: u8,
    place: usize,
    asked: bool,
    found: Vec<(u8, Super), PORTS_MAX>,
    /// Where they were found.
    pub ports: Vec<u8, PORTS_MAX>,
}

impl Find {
    pub const fn new(want: Option<Uuid>) -> Self {
        Self {
            want: Want::Found(match want {
                Some(set) => Some(Select::Uuid(set)),
                None => None,
            }),
            force: false,
            level: None,
            port: 0,
            place: 0,
            asked: false,
            found: Vec::new(),
            ports: Vec::new(),
        }
    }
}

impl Raid {
    /// Asks for what is to be read next, or puts the array together when all is read.
    pub(super) fn find(&mut self, io: &mut Io<'_, Ctx>) {
        if let Want::Plan(plan) = self.find.want {
            self.fault = self.built(plan, io).err();
        } else if !self.find.asked && !self.ask(io) {
            self.fault = self.assembled(io).err();
        }
        if self.fault.is_some() {
            self.geometry = None;
        }
        self.members.note(|port| io.below(port));
    }

    /// Reads the next place at which a superblock may be; whether there is one.
    fn ask(&mut self, io: &mut Io<'_, Ctx>) -> bool {
        let Some(id) = io.own() else { return false };
        while let Some(limits) = io.below(self.find.port).filter(|_| usize::from(self.find.port) < PORTS_MAX) {
            let scale = limits.block.shift().saturating_sub(9);
            let sectors = limits.capacity.checked_shl(scale.into()).unwrap_or(0);
            // Superblocks are aligned to 4096 bytes.
            let at = if scale > 3 { None } else { probe::places(sectors).nth(self.find.place) };
            if let Some(at) = at {
                let blocks = u32::try_from((SUPER_BYTES / 512) >> scale).unwrap_or(0);
                let req = Request { op: Op::Read, fua: false, lba: Lba(at >> scale), blocks, buf: self.work };
                self.find.asked = true;
                io.lower(id, self.find.port, 0, req);
                return true;
            }
            (self.find.port, self.find.place) = (self.find.port + 1, 0);
        }
        false
    }

    /// A place was read.
    pub(super) fn found(&mut self, done: Completion, io: &mut Io<'_, Ctx>) {
        self.find.asked = false;
        let (port, place) = (self.find.port, self.find.place);
        self.find.place += 1;
        let mut bytes = [0; SUPER_BYTES];
        if done.status.is_err() || !io.read_payload(self.work, &mut bytes) {
            return;
        }
        let limits = io.below(port).unwrap_or_default();
        let sectors = limits.capacity << limits.block.shift().saturating_sub(9);
        let at = probe::places(sectors).nth(place).unwrap_or(0);
        // A damaged one counts as none: the others say whether they are enough.
        if let Some(Ok(parsed)) = Super::parse(&bytes, at, sectors) {
            let _ = self.find.found.push((port, parsed));
            (self.find.port, self.find.place) = (port + 1, 0);
        }
    }

    /// Puts the array together from what was read.
    fn assembled(&mut self, io: &Io<'_, Ctx>) -> Result<(), Error> {
        let found = core::mem::take(&mut self.find.found);
        self.find.ports = found.iter().map(|(port, _)| *port).collect();
        let supers: Vec<Super, PORTS_MAX> = found.iter().map(|(_, found)| found.clone()).collect();
        let Want::Found(want) = self.find.want else { return Ok(()) };
        let nothing = Error { kind: Kind::Nothing, at: 0 };
        let meant = |set: &Uuid| want.is_none_or(|want| supers.iter().any(|own| own.set == *set && want.is(own)));
        let mut sets = assemble::sets(&supers).filter(meant);
        let set = match (sets.next(), sets.next()) {
            (Some(set), None) => set,
            (None, _) => return Err(nothing),
            _ => return Err(Error { kind: Kind::Several, at: 0 }),
        };
        let array = Array::assemble(&supers, set)?;
        let here = |kind| Error { kind, at: 0 };
        if self.find.level.is_some_and(|level| level != array.newest.level) {
            return Err(here(Kind::OtherLevel(array.newest.level)));
        }
        served(&array).map_err(here)?;
        let logs = array.newest.has(feature::PPL | feature::PPLS);
        if array.is_doubtful() && !self.find.force && !logs {
            return Err(here(Kind::Dirty));
        }
        self.seat(&array, &found, io).map_err(here)?;
        self.take_journal(&array, &found, io).map_err(here)?;
        self.take_twins(&array, &found, io);
        self.read_only |= matches!(array.newest.version, Version::V090 | Version::V090Big);
        let ours = |(_, own): &(u8, Super)| own.set == set;
        let mut ours: Vec<(u8, Super), PORTS_MAX> = found.into_iter().filter(ours).collect();
        let lags = |own: &Super| own.events.saturating_add(1) == array.newest.events;
        // Spares are not written each time, and may have heard of nothing since.
        let spare = |own: &Super| own.role == Role::Spare;
        for (_, own) in ours.iter_mut().filter(|(_, own)| lags(own) || spare(own)) {
            crate::reshape::hear(own, &array.newest);
        }
        let said = (self.members.whole, self.members.used() | self.journal.roles());
        self.meta = Meta::of(ours, &array, said);
        if logs {
            self.log.there = true;
            self.log.signature = crate::ppl::signature(set);
            let dirty = array.newest.is_dirty();
            self.replay = if dirty { Replay::default() } else { Replay::nothing() };
        }
        self.take_moving(&array);
        self.serve(array.geometry).map_err(here)?;
        self.intent.wanted = self.redundant() && !self.read_only && array.newest.has(feature::BITMAP) && !logs;
        // While it is reshaped a bitmap is left behind.
        self.intent.wanted &= self.moving.before.is_none();
        Ok(())
    }

    /// Puts the members in their places; `found` are all superblocks, in the array's order, with their ports.
    pub(super) fn seat(&mut self, array: &Array, found: &[(u8, Super)], io: &Io<'_, Ctx>) -> Result<(), Kind> {
        self.members.list.clear();
        (self.members.whole, self.members.filling, self.members.partial) = (0, 0, 0);
        self.scale = 0;
        for (role, slot) in (0u32..).zip(&array.slots) {
            let member = slot.and_then(|slot| found.get(slot.device)).and_then(|(port, own)| {
                let limits = io.below(*port)?;
                let scale = limits.block.shift().saturating_sub(9);
                Some(Member {
                    port: *port,
                    scale,
                    offset: slot.map_or(own.data_offset, |slot| slot.offset),
                    mostly: own.flags & 1 != 0,
                    ..Member::default()
                })
            });
            if let Some((member, slot)) = member.zip(*slot) {
                self.scale = self.scale.max(member.scale);
                self.read_only |= io.below(member.port).is_some_and(|limits| limits.read_only);
                let whole = slot.valid >= array.newest.size;
                *(if whole { &mut self.members.whole } else { &mut self.members.filling }) |= bit(role);
                let partial = found.get(slot.device).is_some_and(|(_, own)| own.has(feature::RECOVERY_BITMAP));
                self.members.partial |= if partial && !whole { bit(role) } else { 0 };
            }
            let place = slot.map_or(0, |slot| slot.valid);
            let said = (place != u64::MAX).then_some(place);
            let member = member.map_or_else(Member::default, |member| Member { place, said, ..member });
            self.members.list.push(member).map_err(|_| Kind::TooMany)?;
        }
        Ok(())
    }

    /// What the array is, is known: whether its members' blocks fit that.
    pub(super) fn serve(&mut self, geometry: Geometry) -> Result<(), Kind> {
        let block = 1u64 << self.scale;
        let whole = |n: u64| n.is_multiple_of(block);
        let members = self.members.list.iter().all(|member| whole(member.offset));
        let ends = (0..geometry.members()).all(|role| whole(geometry.used(role)));
        if !members || !whole(geometry.chunk()) || !(ends || geometry.level() == Level::Raid1) {
            return Err(Kind::Blocks);
        }
        let copies = (0..=FANOUT).map_while(|copy| geometry.place(0, u32::try_from(copy).ok()?)).count();
        if copies > FANOUT {
            return Err(Kind::Copies);
        }
        if let Level::Parity(_) = geometry.level() {
            let old = self.moving.before.as_ref().map_or(u64::MAX, |before| before.geometry.chunk());
            self.lines = Lines::new(geometry.chunk().min(old), geometry.members());
            if self.lines.all.is_empty() || !whole(self.lines.height) {
                return Err(Kind::Blocks);
            }
        }
        if self.log.there && self.lines_each() == 0 {
            return Err(Kind::NoPpl);
        }
        self.geometry = Some(geometry);
        Ok(())
    }
}

/// Whether an array that can be read can be served: what is written must be right for Linux too.
pub(super) fn served(array: &Array) -> Result<(), Kind> {
    let newest = &array.newest;
    if let Some(reshape) = newest.reshape
        && (!matches!(newest.level, 4..=6) || newest.has(feature::PPL | feature::PPLS | feature::JOURNAL))
    {
        return Err(Kind::Reshaping(reshape.position));
    }
    if array.is_overlapping() {
        return Err(Kind::Overlaps(newest.reshape.map_or(0, |reshape| reshape.position)));
    }
    if newest.has(feature::PPL | feature::PPLS) && newest.level != 5 {
        return Err(Kind::HasJournal);
    }
    if newest.has(feature::BAD_BLOCKS) { Err(Kind::Log) } else { Ok(()) }
}
