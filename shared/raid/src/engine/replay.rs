// SPDX-License-Identifier: MIT
//! Replays the partial parity logs of an array that was not stopped cleanly, before it is served: parity becomes what the members
//! and the log say.

use super::{Ctx, Raid};
use crate::ppl::{self, ENTRIES_MAX, Entry, HEADER_BYTES};
use heapless::Vec;
use orion_block::{Buf, Completion, Lba, Op, Request};
use orion_layer::Io;

/// Sectors that are computed at a time.
const STEP: u64 = 8;
/// Bytes of partial parity that one entry may have.
const ENTRY_BYTES: u32 = 2 << 20;

/// What is being read or written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// A member's header.
    #[default]
    Header,
    /// All partial parity of an entry.
    Parity,
    /// The data of this disk of an entry.
    Data(u32),
    /// Parity.
    Write,
    /// An empty header, which is flushed.
    Empty,
    Seal,
    Flush,
    /// Nothing is left to do.
    Done,
}

/// How far it is.
#[derive(Clone, Debug, Default)]
pub(super) struct Replay {
    at: At,
    pub asked: bool,
    role: u32,
    entries: Vec<Entry, ENTRIES_MAX>,
    /// Sectors of the log before the entry's partial parity, and of the entry that are done.
    skip: u64,
    done: u64,
    /// Entries that were replayed, and whether a log was not good.
    pub replayed: u32,
    pub damaged: bool,
    /// Only empty headers are to be written.
    only_empty: bool,
}

impl Replay {
    /// Of an array that was stopped cleanly: what its logs hold is of no worth.
    pub fn nothing() -> Self {
        Self { at: At::Empty, only_empty: true, ..Self::default() }
    }

    pub fn is_done(&self) -> bool {
        self.at == At::Done
    }
}

/// What an entry means.
struct Extent {
    /// The array's first sector.
    first: u64,
    disks: u32,
    /// Sectors of each disk.
    sectors: u64,
}

impl Raid {
    fn extent_of(&self, entry: &Entry) -> Option<Extent> {
        let geometry = self.geometry.as_ref()?;
        let (data, parity) = (entry.data_bytes / 512, entry.parity_bytes / 512);
        let disks = if parity == 0 { geometry.members() - 1 } else { data.checked_div(parity)? };
        let sectors = u64::from(data.checked_div(disks)?);
        let first = entry.block.checked_shl(self.scale.into())?;
        let end =
            first.checked_add(u64::from(disks.checked_sub(1)?).checked_mul(geometry.chunk())?)?.checked_add(sectors)?;
        let whole = sectors > 0 && sectors <= geometry.chunk() && end <= geometry.sectors();
        (whole && disks < geometry.members() && entry.parity_bytes <= ENTRY_BYTES).then_some(Extent {
            first,
            disks,
            sectors,
        })
    }

    /// The memory for partial parity, and for anything else.
    fn replay_buf(&self, parity: bool) -> Buf {
        let skip = super::meta::STAGE_BYTES as u64 + if parity { 0 } else { u64::from(ENTRY_BYTES) };
        Buf { offset: self.work.offset.saturating_add(skip), ..self.work }
    }

    fn ask_replay(&mut self, role: u32, op: Op, sector: u64, sectors: u64, buf: Buf, io: &mut Io<'_, Ctx>) {
        let Some((id, member)) = io.own().zip(self.members.get(role).copied()) else { return };
        let lba = Lba(sector >> member.scale);
        let blocks = u32::try_from(sectors >> member.scale).unwrap_or(0);
        self.replay.asked = true;
        io.lower(id, member.port, 0, Request { op, fua: false, lba, blocks, buf });
    }

    fn ppl_of(&self, role: u32) -> Option<crate::Ppl> {
        let port = self.members.get(role)?.port;
        self.meta.all().find(|(at, _)| *at == port)?.1.ppl
    }

    /// Asks for what is next.
    pub(super) fn replay_on(&mut self, io: &mut Io<'_, Ctx>) {
        while !self.replay.asked && self.replay.at != At::Done {
            let (role, at) = (self.replay.role, self.replay.at);
            let members = self.geometry.as_ref().map_or(0, crate::Geometry::members);
            if role >= members {
                let next = if at == At::Header { At::Empty } else { At::Done };
                (self.replay.role, self.replay.at) = (0, next);
                continue;
            }
            // Also of members that are being rebuilt: what they hold by now has parity that was logged there.
            let ppl = self.ppl_of(role).filter(|_| self.members.is_used(role));
            let Some(ppl) = ppl else {
                self.replay.role += 1;
                continue;
            };
            match at {
                At::Header => self.ask_replay(role, Op::Read, ppl.at, 8, self.replay_buf(false), io),
                At::Parity => self.replay_entry(ppl, io),
                At::Data(disk) => self.replay_data(disk, io),
                At::Write => self.replay_write(io),
                At::Empty => {
                    let mut header = [0; HEADER_BYTES];
                    ppl::emit(&mut header, self.log.signature, self.log.generation, &[]);
                    io.write_payload(self.replay_buf(false), &header);
                    self.ask_replay(role, Op::Write, ppl.at, 8, self.replay_buf(false), io);
                }
                At::Flush | At::Seal => self.ask_replay(role, Op::Flush, 0, 0, self.replay_buf(false), io),
                At::Done => {}
            }
        }
    }

    /// Reads the partial parity of the next entry.
    fn replay_entry(&mut self, ppl: crate::Ppl, io: &mut Io<'_, Ctx>) {
        let Some(entry) = self.replay.entries.first().copied() else {
            // All of this member's parity, before its log is emptied.
            self.replay.at = At::Flush;
            return;
        };
        let room = u64::from(ppl.sectors).saturating_sub(8 + self.replay.skip);
        let sectors = u64::from(entry.parity_bytes / 512);
        if self.extent_of(&entry).is_none() || sectors > room {
            self.replay.damaged = true;
            self.replay.entries.clear();
            return;
        }
        self.replay.done = 0;
        self.sums.p.fill(0);
        if sectors == 0 {
            self.replay.at = At::Data(0);
            return;
        }
        let at = ppl.at + 8 + self.replay.skip;
        self.ask_replay(self.replay.role, Op::Read, at, sectors, self.replay_buf(true), io);
    }

    /// Reads the data of one disk, or goes on behind the last.
    fn replay_data(&mut self, disk: u32, io: &mut Io<'_, Ctx>) {
        let entry = self.replay.entries.first().copied();
        let extent = entry.and_then(|entry| self.extent_of(&entry));
        let Some((extent, geometry)) = extent.zip(self.geometry.as_ref()) else {
            self.replay.at = At::Parity;
            return;
        };
        if disk >= extent.disks {
            self.replay.at = At::Write;
            return;
        }
        let sector = extent.first + u64::from(disk) * geometry.chunk() + self.replay.done;
        let count = STEP.min(extent.sectors - self.replay.done);
        let place = geometry.place(sector, 0);
        match place.filter(|place| self.members.holds(place.member, place.sector + count)) {
            Some(place) => {
                let offset = self.members.get(place.member).map_or(0, |member| member.offset);
                self.ask_replay(place.member, Op::Read, offset + place.sector, count, self.replay_buf(false), io);
            }
            // What the member that is missing should have got is not known; its parity stays.
            None => self.replay_step(extent.sectors),
        }
    }

    /// Goes on with the next sectors of the entry, or the next entry.
    fn replay_step(&mut self, sectors: u64) {
        self.replay.done += STEP;
        self.sums.p.fill(0);
        self.replay.at = At::Data(0);
        if self.replay.done >= sectors {
            let entry = self.replay.entries.remove(0);
            self.replay.skip += u64::from(entry.parity_bytes / 512);
            self.replay.replayed += 1;
            self.replay.at = At::Parity;
        }
    }

    /// Writes the parity of some sectors.
    fn replay_write(&mut self, io: &mut Io<'_, Ctx>) {
        let entry = self.replay.entries.first().copied().unwrap_or_default();
        let extent = self.extent_of(&entry);
        let done = self.replay.done;
        let place = extent.as_ref().and_then(|extent| self.geometry.as_ref()?.place(extent.first + done, 0));
        let parity = place.and_then(|place| self.geometry.as_ref()?.stripe(place.sector)).map(|stripe| stripe.p);
        let own = parity == Some(self.replay.role) && entry.role == self.replay.role;
        let Some((extent, place)) = extent.zip(place).filter(|_| own) else {
            self.replay.damaged = true;
            self.replay.entries.clear();
            self.replay.at = At::Parity;
            return;
        };
        let count = STEP.min(extent.sectors - done);
        let len = usize::try_from(count * 512).unwrap_or(0);
        let super::sums::Sums { p, data, machine, .. } = &mut self.sums;
        let (Some(p), Some(data)) = (p.get_mut(..len), data.get_mut(..len)) else { return };
        let from = Buf { offset: self.work.offset + super::meta::STAGE_BYTES as u64 + done * 512, ..self.work };
        if entry.parity_bytes > 0 && io.read_payload(from, data) {
            machine.add(p, data);
        }
        let offset = self.members.get(self.replay.role).map_or(0, |member| member.offset);
        let buf = Buf { offset: from.offset - done * 512 + u64::from(ENTRY_BYTES), ..self.work };
        io.write_payload(buf, p);
        self.ask_replay(self.replay.role, Op::Write, offset + place.sector, count, buf, io);
    }

    /// What was asked is done.
    pub(super) fn replay_ended(&mut self, done: Completion, io: &mut Io<'_, Ctx>) {
        self.replay.asked = false;
        if done.status.is_err() {
            self.replay.damaged = true;
            match self.replay.at {
                At::Header | At::Empty | At::Seal | At::Flush => {}
                _ => self.replay.entries.clear(),
            }
        }
        match self.replay.at {
            At::Header => {
                let mut bytes = [0; HEADER_BYTES];
                io.read_payload(self.replay_buf(false), &mut bytes);
                match ppl::parse(&bytes, self.log.signature).filter(|_| done.status.is_ok()) {
                    Some((generation, entries)) => {
                        self.log.generation = self.log.generation.max(generation);
                        self.replay.entries = entries;
                    }
                    None => {
                        self.replay.damaged = true;
                        self.replay.entries.clear();
                    }
                }
                (self.replay.at, self.replay.skip) = (At::Parity, 0);
            }
            At::Parity => self.replay_checked(io),
            At::Data(disk) => {
                self.add_piece(io);
                self.replay.at = At::Data(disk + 1);
            }
            At::Write => {
                let entry = self.replay.entries.first().copied().unwrap_or_default();
                let sectors = self.extent_of(&entry).map_or(0, |extent| extent.sectors);
                if self.replay.entries.is_empty() { self.replay.at = At::Parity } else { self.replay_step(sectors) }
            }
            At::Flush => (self.replay.at, self.replay.role) = (At::Header, self.replay.role + 1),
            At::Empty => self.replay.at = At::Seal,
            At::Seal => (self.replay.at, self.replay.role) = (At::Empty, self.replay.role + 1),
            At::Done => {}
        }
    }

    /// The partial parity of an entry was read: whether it is what was written.
    fn replay_checked(&mut self, io: &Io<'_, Ctx>) {
        let Some(entry) = self.replay.entries.first().copied() else { return };
        let (mut sum, mut at) = (0, 0);
        let bytes = u64::from(entry.parity_bytes);
        while at < bytes {
            let len = usize::try_from((bytes - at).min(STEP * 512)).unwrap_or(0);
            let from = self.replay_buf(true);
            let Some(data) = self.sums.data.get_mut(..len) else { break };
            io.read_payload(Buf { offset: from.offset + at, ..from }, data);
            sum = ppl::crc32c(sum, data);
            at += STEP * 512;
        }
        if sum == entry.sum {
            self.replay.at = At::Data(0);
        } else {
            // It was being written when the power went: nothing that it protects was.
            self.replay.replayed += 1;
            self.replay.entries.clear();
        }
    }

    /// Adds what was read of a disk to the parity.
    fn add_piece(&mut self, io: &Io<'_, Ctx>) {
        let from = self.replay_buf(false);
        let super::sums::Sums { p, data, machine, .. } = &mut self.sums;
        if io.read_payload(from, data) {
            machine.add(p, data);
        }
    }

    /// All logs are replayed: what that says of the array. Whether it may be served.
    pub(super) fn replay_judged(&mut self, force: bool) -> bool {
        if self.replay.only_empty {
            return true;
        }
        let whole = self.missing().next().is_none();
        // An array that lacks a member was in sync before; of one that does not, only logged writes say so, as for Linux.
        let synced = if whole { self.replay.replayed > 0 } else { self.meta.sync == Some(0) };
        let good = synced && !self.replay.damaged;
        if good {
            self.meta.sync = None;
            self.meta.wants();
        }
        good || whole || force
    }
}
