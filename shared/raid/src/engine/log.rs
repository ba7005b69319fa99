// SPDX-License-Identifier: MIT
//! Writes md's partial parity log. Lines that are ready to be written are logged together, each on the member that holds its
//! parity, and go on when that is durable. The next are logged when all of these are durable in their places: of a member's logs
//! only the last is replayed, also where there is room for several.
use super::lines::Phase;
use super::members::{Roles, base, bit, both, each, twin};
use super::ring::{BEHIND, Ring};
use super::sums::{PIECE, pieces};
use super::{Ctx, FANOUT, LOG, Raid, blames};
use crate::geometry::Stripe;
use crate::ppl::{self, Entry, HEADER_BYTES};
use heapless::Vec;
use orion_block::{Buf, Completion, Lba, Op, Request};
use orion_layer::Io;

/// Most lines of one member at a time, and most entries: as many as the first sector of the header that changes has, which is
/// written whole or not at all.
const LINES: usize = 4;
const ENTRIES: usize = 20;
/// Bytes in which one member's log is made ready: its header, the partial parity of so many lines, and a block that is no header.
const STAGE: usize = HEADER_BYTES + LINES * (16 << 10) + 4096;
/// Bytes for as many members as are written at a time.
pub(super) const LOG_BYTES: usize = FANOUT * STAGE;

/// What is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    #[default]
    Idle,
    /// What was written without a log is flushed.
    Before,
    /// Logs begin at the start again, where there is no room behind the last; that is flushed, where it may be cached.
    Turn,
    Turned,
    /// Logs are written.
    Entries,
    /// They are flushed, where they may be cached.
    Settle,
    /// Lines write data and parity.
    Lines,
    /// What they wrote is flushed.
    Flush,
}

/// Consecutive sectors of a band, and members.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    low: u64,
    high: u64,
    set: Roles,
}

/// The logs of all members.
#[derive(Clone, Debug, Default)]
pub(super) struct Log {
    /// The array has them.
    pub there: bool,
    /// Writes were not logged so far, since the array was being put in sync. An entry says after a loss of power that it was in
    /// sync: none is written before all of that is durable.
    pub unsettled: bool,
    stage: Stage,
    /// Lines that are ready, and those that are logged; a bit each.
    waiting: u64,
    batch: u64,
    /// Members that are logged on, whose logs begin at the start again, that are to be asked, and which each lower request is for.
    roles: Roles,
    turning: Roles,
    todo: Roles,
    out: u8,
    asked: [u8; 8],
    pub generation: u64,
    pub signature: u32,
    pub ring: Ring,
}

impl Log {
    /// What was to replace a member has its place, with the logs that it has.
    pub fn took_over(&mut self, role: u32) {
        self.ring.moves(twin(role), role);
        let (spare, own) = (bit(twin(role)), bit(role));
        for set in [&mut self.todo, &mut self.turning] {
            // It gets what it has not got, and not what the other has not.
            *set = *set & !(spare | own) | if *set & spare == 0 { 0 } else { own };
        }
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Idle && self.waiting == 0
    }
}

impl Raid {
    /// Whether what a line writes has to be logged: of an array that is in sync, so that its parity is worth something.
    pub(super) fn logs(&self) -> bool {
        self.log.there && self.meta.sync.is_none()
    }

    /// Whether no member is missing, and none would be after a restart: what a log protects may be several members' then.
    pub(super) fn is_said_whole(&self) -> bool {
        let whole = self.members.whole & self.meta.said_whole();
        self.geometry.as_ref().is_some_and(|g| (0..g.members()).all(|role| whole & bit(role) != 0))
    }

    /// Members from the first that is written to the last, in the order of the data: a log knows only such.
    pub(super) fn closure(&self, writes: Roles, stripe: &Stripe) -> Roles {
        let written = || (0u32..).zip(stripe.members()).filter(|(_, role)| writes & bit(*role) != 0);
        let (first, last) = (written().map(|(n, _)| n).min(), written().map(|(n, _)| n).max());
        let within = (0u32..).zip(stripe.members()).filter(|(n, _)| first <= Some(*n) && Some(*n) <= last);
        if first.is_none() { 0 } else { within.map(|(_, role)| bit(role)).sum() }
    }

    /// A line is ready to be written.
    pub(super) fn log_line(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        if let Some(line) = self.lines.get_mut(n) {
            line.phase = Phase::Log;
        }
        self.log.waiting |= 1u64.checked_shl(u32::try_from(n).unwrap_or(64)).unwrap_or(0);
        self.log_on(io);
    }

    /// The lines of a set.
    fn lines_of(set: u64) -> impl Iterator<Item = usize> {
        (0..64).filter(move |n| set >> n & 1 != 0)
    }

    /// The member that holds the parity of a line.
    fn parity_of(&self, n: usize) -> Option<u32> {
        self.stripe_of(n).map(|stripe| stripe.p)
    }

    /// Logs what waits, if nothing is under way.
    pub(super) fn log_on(&mut self, io: &mut Io<'_, Ctx>) {
        if self.log.stage != Stage::Idle || self.log.waiting == 0 {
            return;
        }
        if self.log.unsettled {
            let writes = self.lines.all.iter().any(|line| line.phase == Phase::Write);
            if !writes {
                self.log_stage(Stage::Before, io);
            }
            return;
        }
        let (mut batch, mut roles) = (0, 0);
        for n in Self::lines_of(self.log.waiting) {
            let role = self.parity_of(n);
            let same = Self::lines_of(batch).filter(|other| self.parity_of(*other) == role).count();
            if same < self.lines_each() {
                batch |= 1 << n;
                roles |= role.map_or(0, bit);
            }
        }
        self.log.waiting &= !batch;
        self.log.batch = batch;
        self.log.generation = self.log.generation.wrapping_add(1);
        // What replaces a member keeps its log too.
        self.log.roles = both(roles) & self.members.used();
        let lines = |role| Self::lines_of(batch).filter(|n| self.parity_of(*n) == Some(base(role))).count();
        self.log.turning = self.turning(self.log.roles, lines);
        self.log_stage(if self.log.turning == 0 { Stage::Entries } else { Stage::Turn }, io);
    }

    /// Lines that fit each log.
    pub(super) fn lines_each(&self) -> usize {
        let room = self.meta.all().filter_map(|(_, own)| own.ppl).map(|ppl| u64::from(ppl.sectors)).min().unwrap_or(0);
        let fit = (room.saturating_sub(8)) / self.lines.height;
        usize::try_from(fit).unwrap_or(0).min(LINES)
    }

    fn log_stage(&mut self, stage: Stage, io: &mut Io<'_, Ctx>) {
        let used = self.members.used();
        let caches = |role: &u32, forced: bool| {
            let limits = self.members.get(*role).and_then(|member| io.below(member.port));
            limits.is_some_and(|limits| limits.volatile_cache && !(forced && limits.fua))
        };
        let todo = match stage {
            Stage::Turn => self.log.turning & used,
            Stage::Turned => each(self.log.turning & used).filter(|role| caches(role, true)).map(bit).sum(),
            Stage::Entries => self.log.roles & used,
            Stage::Settle => each(self.log.roles & used).filter(|role| caches(role, true)).map(bit).sum(),
            Stage::Before | Stage::Flush => each(used).filter(|role| caches(role, false)).map(bit).sum(),
            Stage::Lines => return self.write_lines(io),
            Stage::Idle => {
                self.log.stage = stage;
                return self.log_on(io);
            }
        };
        (self.log.stage, self.log.todo, self.log.out) = (stage, todo, 0);
        for child in 0..8 {
            self.log_next(child, io);
        }
        self.log_look(io);
    }

    fn log_look(&mut self, io: &mut Io<'_, Ctx>) {
        if self.log.out > 0 {
            return;
        }
        self.log.unsettled &= self.log.stage != Stage::Before;
        if let Some(next) = Self::log_follows(self.log.stage) {
            self.log_stage(next, io);
        }
    }

    /// What was logged is written.
    fn write_lines(&mut self, io: &mut Io<'_, Ctx>) {
        self.log.stage = Stage::Lines;
        let batch = self.log.batch;
        if batch == 0 {
            return self.log_stage(Stage::Idle, io);
        }
        for n in Self::lines_of(batch) {
            self.write_line(n, io);
        }
    }

    /// A line that was logged is done, well or not.
    pub(super) fn log_done(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        let own = 1u64.checked_shl(u32::try_from(n).unwrap_or(64)).unwrap_or(0);
        if self.log.batch & own == 0 {
            return self.log_on(io);
        }
        self.log.batch &= !own;
        if self.log.batch == 0 && self.log.stage == Stage::Lines {
            self.log_stage(Stage::Flush, io);
        }
    }

    fn log_next(&mut self, child: u8, io: &mut Io<'_, Ctx>) {
        let Some(id) = io.kept(LOG) else { return };
        while self.log.todo != 0 {
            let role = self.log.todo.trailing_zeros();
            self.log.todo &= self.log.todo - 1;
            let role = self.members.as_now(role);
            let skip = super::meta::STAGE_BYTES + super::lines::LINES_BYTES + usize::from(child) * STAGE;
            let buf = Buf { offset: self.work.offset.saturating_add(skip as u64), ..self.work };
            let asked = match self.log.stage {
                Stage::Entries => self.stage_log(role, buf, io),
                Stage::Turn => self.stage_turn(role, buf, io),
                _ => {
                    self.members.get(role).map(|member| (member.port, Request { op: Op::Flush, ..Request::default() }))
                }
            };
            let Some((port, req)) = asked else {
                // What cannot be logged is not written.
                self.meta.breaks();
                continue;
            };
            self.log.out += 1;
            if let Some(asked) = self.log.asked.get_mut(usize::from(child)) {
                *asked = u8::try_from(role).unwrap_or(u8::MAX);
            }
            return io.lower(id, port, child, req);
        }
    }

    /// A log is written, or members have flushed.
    pub(super) fn logged(&mut self, child: u8, done: Completion, io: &mut Io<'_, Ctx>) {
        let Some(id) = io.kept(LOG) else { return };
        self.log.out = self.log.out.saturating_sub(1);
        let role = u32::from(self.log.asked.get(usize::from(child)).copied().unwrap_or(u8::MAX));
        let now = self.members.now(role, io.child_port(id, child));
        if let Err(error) = done.status
            && let Some(role) = now
        {
            // A member that does not take what protects others' data is left behind; its parity needs no log then.
            if !self.fail(role) || !blames(error) && self.members.is_used(role) {
                self.meta.breaks();
            }
            self.go_on(io);
        }
        self.log_next(child, io);
        self.log_look(io);
    }

    /// Makes a member's log ready in `buf`.
    fn stage_log(&mut self, role: u32, buf: Buf, io: &mut Io<'_, Ctx>) -> Option<(u8, Request)> {
        let (member, ppl) = (*self.members.get(role)?, self.ppl_of(role)?);
        let mut entries: Vec<Entry, ENTRIES> = Vec::new();
        let mut bytes = 0;
        for n in Self::lines_of(self.log.batch) {
            let stripe = self.stripe_of(n).filter(|stripe| stripe.p == base(role));
            let Some(stripe) = stripe else { continue };
            for rows in self.rows(n, &stripe)? {
                let to = Buf { offset: buf.offset.saturating_add((HEADER_BYTES + bytes) as u64), ..buf };
                let entry = self.stage_entry(n, &stripe, rows, to, io)?;
                bytes += usize::try_from(entry.parity_bytes).ok()?;
                entries.push(entry).ok()?;
            }
        }
        let mut header = [0; HEADER_BYTES];
        ppl::emit(&mut header, self.log.signature, self.log.generation, &entries);
        let block = 512usize << member.scale;
        let mut len = (HEADER_BYTES + bytes).next_multiple_of(block);
        let place = self.log.ring.place(role, &ppl);
        let end = place + len as u64 / 512;
        if end + 8 <= ppl.sectors.into() {
            // What lies there was written by clients, and could look like a header.
            io.write_payload(Buf { offset: buf.offset.saturating_add(len as u64), ..buf }, &[0; BEHIND]);
            len += BEHIND.next_multiple_of(block);
        }
        self.log.ring.ends(role, end);
        let fits = end <= ppl.sectors.into() && io.write_payload(buf, &header);
        let fua = io.below(member.port).is_some_and(|limits| limits.fua);
        let (lba, blocks) = (Lba((ppl.at + place) >> member.scale), u32::try_from(len / block).ok()?);
        fits.then_some((member.port, Request { op: Op::Write, fua, lba, blocks, buf }))
    }

    /// The sectors of a line that are written, with the members that are written there; `None` where that is too much for
    /// a log, or where members between these are not written: their data would depend on whether all of it is.
    pub(super) fn rows(&self, n: usize, stripe: &Stripe) -> Option<Vec<Rows, { ENTRIES / LINES }>> {
        let mut all: Vec<Rows, { ENTRIES / LINES }> = Vec::new();
        let line = self.lines.get(n)?;
        for row in line.low..line.high {
            let set = each(line.writes).filter(|role| self.lines.cover(n, *role) >> row & 1 != 0).map(bit).sum();
            if self.closure(set, stripe) != set {
                return None;
            }
            match all.last_mut().filter(|rows| rows.high == row && rows.set == set) {
                Some(rows) => rows.high = row + 1,
                None if set == 0 => {}
                None => all.push(Rows { low: row, high: row + 1, set }).ok()?,
            }
        }
        Some(all)
    }

    /// Writes the partial parity of some sectors of a line to `to`: the new parity less all data of the members that are written.
    fn stage_entry(&mut self, n: usize, stripe: &Stripe, rows: Rows, to: Buf, io: &mut Io<'_, Ctx>) -> Option<Entry> {
        let line = *self.lines.get(n)?;
        let geometry = self.geometry.as_ref()?;
        let Rows { low, high, set: closure } = rows;
        let (chunk, data) = (geometry.chunk(), u64::from(geometry.members() - 1));
        let (band, height) = (line.band, self.lines.height);
        let at = band.checked_mul(height)?.checked_add(low)?;
        let index = stripe.members().position(|role| closure & bit(role) != 0)? as u64;
        let sector = ((at / chunk).checked_mul(data)?.checked_add(index)?).checked_mul(chunk)? + at % chunk;
        let bytes = u32::try_from((high - low) * 512).ok()?;
        let whole = u64::from(closure.count_ones()) == data;
        let mut sum = 0;
        for (at, len) in pieces(low, high).filter(|_| !whole) {
            self.partial(n, stripe, closure, (at, len), io);
            let piece = self.sums.p.get(..len.min(PIECE))?;
            sum = ppl::crc32c(sum, piece);
            let to = Buf { offset: to.offset.saturating_add((at - low) * 512), ..to };
            io.write_payload(to, piece);
        }
        Some(Entry {
            block: sector >> self.scale,
            parity_bytes: if whole { 0 } else { bytes },
            data_bytes: bytes.checked_mul(closure.count_ones())?,
            role: stripe.p,
            sum,
        })
    }
}
