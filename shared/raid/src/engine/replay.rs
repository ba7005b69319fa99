// SPDX-License-Identifier: MIT
//! Replays the partial parity logs of an array that was not stopped cleanly, before it is served: parity becomes what the members
//! and the log say.
use super::members::twin;
use super::{Ctx, Raid, ring};
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
    /// All parity is flushed.
    Flush,
    /// The first header, which is emptied, which is flushed.
    Old,
    Empty,
    Seal,
    /// What is behind it, from this sector on, which is flushed.
    Behind(u64),
    Settle,
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
    /// Sectors of the log before the header that is read next, and the number of the last.
    place: u64,
    generation: u64,
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
        Self { only_empty: true, ..Self::default() }
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

    /// Asks for what is next.
    pub(super) fn replay_on(&mut self, io: &mut Io<'_, Ctx>) {
        while !self.replay.asked && self.replay.at != At::Done {
            let (role, at) = (self.replay.role, self.replay.at);
            let members = self.geometry.as_ref().map_or(0, crate::Geometry::members);
            // The logs of what replaces members are emptied too.
            let emptied = matches!(at, At::Old | At::Empty | At::Seal | At::Behind(_) | At::Settle)
                && !self.members.twins.is_empty();
            if role >= if emptied { twin(members) } else { members } {
                let next = if at == At::Header { At::Old } else { At::Done };
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
                At::Header => {
                    self.ask_replay(role, Op::Read, ppl.at + self.replay.place, 8, self.replay_buf(false), io);
                }
                At::Parity => self.replay_entry(ppl, io),
                At::Data(disk) => self.replay_data(disk, io),
                At::Write => self.replay_write(io),
                At::Old => self.ask_replay(role, Op::Read, ppl.at, 8, self.replay_buf(false), io),
                At::Empty => self.ask_replay(role, Op::Write, ppl.at, 8, self.replay_buf(false), io),
                At::Behind(from) => self.replay_clear(ppl, from, io),
                At::Flush | At::Seal | At::Settle => {
                    self.ask_replay(role, Op::Flush, 0, 0, self.replay_buf(false), io);
                }
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
        let room = u64::from(ppl.sectors).saturating_sub(self.replay.skip);
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
        let at = ppl.at + self.replay.skip;
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
            if matches!(self.replay.at, At::Parity | At::Data(_) | At::Write) {
                self.replay.entries.clear();
            }
        }
        match self.replay.at {
            At::Header => self.replay_header(done.status.is_ok(), io),
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
            At::Flush => self.replay_next(),
            At::Old => {
                let mut bytes = [0; HEADER_BYTES];
                io.read_payload(self.replay_buf(false), &mut bytes);
                // What is behind it has lower numbers.
                ppl::clear(&mut bytes, self.log.signature, self.log.generation);
                io.write_payload(self.replay_buf(false), &bytes);
                self.replay.at = At::Empty;
            }
            At::Empty => self.replay.at = At::Seal,
            At::Seal => self.replay.at = At::Behind(ring::BASE),
            At::Behind(from) => self.replay.at = At::Behind(from + ring::PIECE),
            At::Settle => (self.replay.at, self.replay.role) = (At::Old, self.replay.role + 1),
            At::Done => {}
        }
    }

    /// A header was read: the last of several is replayed whose number is not lower than the one's before.
    fn replay_header(&mut self, read: bool, io: &Io<'_, Ctx>) {
        let mut bytes = [0; HEADER_BYTES];
        io.read_payload(self.replay_buf(false), &mut bytes);
        let place = self.replay.place;
        let found = ppl::parse(&bytes, self.log.signature).filter(|_| read);
        let found = found.filter(|(generation, _)| place == 0 || *generation >= self.replay.generation);
        let room = self.ppl_of(self.replay.role).map_or(0, |ppl| ppl.sectors.into());
        if !read {
            // It may be the last.
            self.replay.entries.clear();
        }
        let Some((generation, entries)) = found else {
            self.replay.damaged |= place == 0;
            return self.replay_scanned();
        };
        let parity: u64 = entries.iter().map(|entry| u64::from(entry.parity_bytes / 512)).sum();
        self.log.generation = self.log.generation.max(generation);
        (self.replay.entries, self.replay.generation) = (entries, generation);
        (self.replay.skip, self.replay.place) = (place + 8, place + 8 + parity);
        if self.replay.place + 8 > room {
            self.replay_scanned();
        }
    }

    /// All headers of a member are read.
    fn replay_scanned(&mut self) {
        if self.replay.only_empty {
            self.replay.entries.clear();
            return self.replay_next();
        }
        self.replay.at = At::Parity;
    }

    /// Goes on with the next member.
    fn replay_next(&mut self) {
        (self.replay.at, self.replay.role) = (At::Header, self.replay.role + 1);
        (self.replay.place, self.replay.generation) = (0, 0);
    }

    /// Clears some of what is behind the first header.
    fn replay_clear(&mut self, ppl: crate::Ppl, from: u64, io: &mut Io<'_, Ctx>) {
        let count = ring::PIECE.min(u64::from(ppl.sectors).saturating_sub(from) & !7);
        if count == 0 {
            self.replay.at = At::Settle;
            return;
        }
        let buf = self.replay_buf(false);
        for nth in 0..count / 8 {
            let page = ring::fresh(&ppl, from + nth * 8, self.log.signature, self.log.generation);
            io.write_payload(Buf { offset: buf.offset + nth * HEADER_BYTES as u64, ..buf }, &page);
        }
        self.ask_replay(self.replay.role, Op::Write, ppl.at + from, count, buf, io);
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
