// SPDX-License-Identifier: MIT
//! Writes md's journal: data and parity of the lines that are ready go there, and when that is durable the lines are written. A
//! place of the log is used again when the superblocks say that it begins behind it, before which the members have flushed.
use super::lines::{Line, Phase, mask};
use super::members::{bit, each};
use super::{Ctx, LOG, Raid};
use crate::geometry::Stripe;
use crate::journal::{BLOCK, BLOCK_BYTES, Item, Log, Maker};
use heapless::Vec;
use orion_block::{Buf, Completion, Op, Request};
use orion_layer::{Id, Io};

/// The role under which the journal's device gets superblocks. No member has it.
pub(super) const JOURNAL: u32 = 63;
/// Most blocks that are logged together.
const BLOCKS: u64 = 128;
const _: () =
    assert!((1 + BLOCKS) * BLOCK_BYTES as u64 <= super::log::LOG_BYTES as u64, "an array has one kind of log");
/// Most sectors of one request.
pub(super) const PIECE: u64 = 128;

/// What is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    /// A batch is written.
    Write,
    /// It is flushed.
    Settle,
}

/// Lines that were logged together, and are not all written.
#[derive(Clone, Copy, Debug)]
struct Batch {
    at: u64,
    lines: u64,
}

/// The journal.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// The array has one, and it is here.
    pub there: bool,
    pub log: Log,
    /// Where the next meta block goes, and its number.
    pub head: u64,
    pub seq: u64,
    /// Where the log begins as all superblocks say, and as those say that are being written.
    pub tail: u64,
    pub said: u64,
    /// The members that are to have flushed before that is written, and whether it lies further on then.
    watched: u64,
    moves: bool,
    /// The superblocks say where the log of this life begins: what is logged now is replayed.
    begun: bool,
    /// The last meta block.
    pub last: u64,
    /// What is logged and not written, oldest first.
    batches: Vec<Batch, 64>,
    stage: Stage,
    /// Lines that are ready, and those that are being logged; a bit each. The line that comes first.
    waiting: u64,
    batch: u64,
    turn: usize,
    /// Sectors of the batch, those that were sent, and requests that are out.
    sectors: u64,
    sent: u64,
    out: u8,
}

impl Journal {
    /// The set of its device, among roles.
    pub fn roles(&self) -> u64 {
        if self.there { bit(JOURNAL) } else { 0 }
    }

    /// Where the log may begin: at the oldest that is not written, or at the last, so that a meta block is there.
    fn oldest(&self) -> u64 {
        self.batches.first().map_or(self.last, |batch| batch.at)
    }

    fn used(&self) -> u64 {
        self.log.between(self.tail, self.head)
    }

    /// Whether what is logged now is found after a restart; so it is where there is no journal.
    pub fn is_begun(&self) -> bool {
        !self.there || self.begun
    }
}

fn line(n: usize) -> u64 {
    1u64.checked_shl(u32::try_from(n).unwrap_or(64)).unwrap_or(0)
}

fn lines_of(set: u64) -> impl Iterator<Item = usize> {
    (0..64).filter(move |n| set >> n & 1 != 0)
}

impl Raid {
    /// What is logged of a line is whole blocks.
    #[inline]
    pub(super) fn round(&self, line: &mut Line) {
        if self.journal.there && line.writes != 0 {
            (line.low, line.high) = (line.low & !7, line.high.next_multiple_of(8));
        }
    }

    /// Parity that has to be known where new parity follows from it. What is logged is right also where the member that should
    /// hold it is missing, and may be there again.
    #[inline]
    pub(super) fn known(&self, parity: u64) -> u64 {
        if self.journal.there { parity } else { parity & self.members.used() }
    }

    /// A line is ready to be written.
    pub(super) fn journal_line(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        if let Some(line) = self.lines.get_mut(n) {
            line.phase = Phase::Log;
        }
        self.journal.waiting |= line(n);
        self.journal_on(io);
    }

    /// Logs what waits, if nothing is under way and there is room.
    pub(super) fn journal_on(&mut self, io: &mut Io<'_, Ctx>) {
        if self.journal.stage != Stage::Idle || self.journal.waiting == 0 {
            return;
        }
        if self.meta.broken().is_some() {
            let waiting = core::mem::take(&mut self.journal.waiting);
            return lines_of(waiting).for_each(|n| self.write_line(n, io));
        }
        let log = self.journal.log;
        let room = (log.sectors - BLOCK).saturating_sub(self.journal.used()) / BLOCK;
        let most = BLOCKS.min(log.sectors / BLOCK / 4 - 1).min(room.saturating_sub(1));
        let (mut batch, mut blocks) = (0, 0);
        let (turn, waiting) = (self.journal.turn, self.journal.waiting);
        for n in (0..64).map(|n| (turn + n) % 64).filter(|n| waiting & line(*n) != 0) {
            let own = self.blocks_of(n);
            if blocks + own <= most {
                (batch, blocks) = (batch | line(n), blocks + own);
                self.journal.turn = n + 1;
            }
        }
        if batch == 0 {
            return self.reclaim(io);
        }
        self.journal.waiting &= !batch;
        self.journal.batch = batch;
        if self.stage_batch(batch, io).is_none() {
            self.meta.breaks();
            return self.batch_ended(io);
        }
        (self.journal.stage, self.journal.sectors, self.journal.sent) = (Stage::Write, BLOCK * (1 + blocks), 0);
        (0..8).for_each(|child| self.journal_next(child, io));
    }

    /// Has the superblocks say that the log begins later.
    fn reclaim(&mut self, io: &mut Io<'_, Ctx>) {
        if self.journal.oldest() != self.journal.tail && !self.meta.owes() {
            self.meta.wants();
            self.go_on(io);
        }
    }

    /// The members that are written in the 4 KiB of a band from this sector on.
    fn written_at(&self, n: usize, at: u64) -> u64 {
        let (block, writes) = (mask(at, 8), self.lines.get(n).map_or(0, |line| line.writes));
        each(writes).filter(|role| self.lines.cover(n, *role) & block != 0).map(bit).sum()
    }

    /// Blocks that a line takes in the log.
    fn blocks_of(&self, n: usize) -> u64 {
        let Some((line, stripe)) = self.lines.get(n).zip(self.stripe_of(n)) else { return 0 };
        let parity = if stripe.q.is_some() { 2 } else { 1 };
        let blocks = (line.low..line.high).step_by(8).map(|at| u64::from(self.written_at(n, at).count_ones()));
        blocks.filter(|data| *data > 0).map(|data| data + parity).sum()
    }

    /// The layer's memory for a block of the batch.
    fn staged(&self, block: u64) -> Buf {
        let skip = super::meta::STAGE_BYTES + super::lines::LINES_BYTES;
        Buf { offset: self.work.offset.saturating_add(skip as u64 + block * BLOCK_BYTES as u64), ..self.work }
    }

    /// Makes a batch ready in memory.
    fn stage_batch(&mut self, batch: u64, io: &mut Io<'_, Ctx>) -> Option<()> {
        let log = self.journal.log;
        let mut maker = Maker::new(&log, self.journal.head, self.journal.seq);
        let mut block = 0;
        for n in lines_of(batch) {
            let (line, stripe) = (*self.lines.get(n)?, self.stripe_of(n)?);
            for at in (line.low..line.high).step_by(8) {
                let set = self.written_at(n, at);
                let sector = line.band.checked_mul(self.lines.height)?.checked_add(at)?;
                let data = each(set).map(|role| Some((role, Item::Data(self.logical(&stripe, role, sector)?, 0))));
                let p = Some((stripe.p, Item::P(sector, 0)));
                let q = stripe.q.map(|q| Some((q, Item::Q(sector, 0))));
                for what in data.chain([p]).chain(q).filter(|_| set != 0) {
                    let (role, item) = what?;
                    block += 1;
                    let mut bytes = [0; BLOCK_BYTES];
                    let held = io.read_payload(self.lines.buf(self.work, n, role, at), &mut bytes)
                        && io.write_payload(self.staged(block), &bytes);
                    let sum = log.sum(&bytes);
                    let item = match item {
                        Item::Data(sector, _) => Item::Data(sector, sum),
                        Item::P(sector, _) => Item::P(sector, sum),
                        _ => Item::Q(sector, sum),
                    };
                    (held && maker.add(item)).then_some(())?;
                }
            }
        }
        io.write_payload(self.staged(0), &maker.finish(&log)).then_some(())
    }

    /// The array's sector that a member holds at this sector of its data.
    fn logical(&self, stripe: &Stripe, role: u32, sector: u64) -> Option<u64> {
        let geometry = self.geometry.as_ref()?;
        let index = stripe.members().position(|member| member == role)? as u64;
        let (row, chunk, data) = (sector / geometry.chunk(), geometry.chunk(), stripe.members().count() as u64);
        Some(row.checked_mul(data)?.checked_add(index)?.checked_mul(chunk)? + sector % chunk)
    }

    /// Sends the next piece of the batch.
    fn journal_next(&mut self, child: u8, io: &mut Io<'_, Ctx>) {
        let Some((id, member)) = io.kept(LOG).zip(self.members.get(JOURNAL).copied()) else { return };
        let left = self.journal.sectors - self.journal.sent;
        if left == 0 {
            return;
        }
        let at = self.journal.log.behind(self.journal.head, self.journal.sent);
        let count = left.min(PIECE).min(self.journal.log.sectors - at);
        let from = self.staged(0);
        let buf = Buf { offset: from.offset.saturating_add(self.journal.sent * 512), ..from };
        let fua = io.below(member.port).is_some_and(|limits| limits.fua);
        let req = Request { op: Op::Write, fua, buf, ..Request::default() };
        self.journal.sent += count;
        self.journal.out += 1;
        let (port, req) = self.members.request(JOURNAL, &req, at, count);
        io.lower(id, port, child, req);
    }

    /// A piece is written, or flushed.
    pub(super) fn journal_ended(&mut self, id: Id, child: u8, done: Completion, io: &mut Io<'_, Ctx>) {
        self.journal.out = self.journal.out.saturating_sub(1);
        if done.status.is_err() {
            self.journal_failed(io);
        } else if self.journal.stage == Stage::Write {
            self.journal_next(child, io);
        }
        if self.journal.out > 0 {
            return;
        }
        let member = self.members.get(JOURNAL).copied().unwrap_or_default();
        let caches = io.below(member.port).is_some_and(|limits| limits.volatile_cache && !limits.fua);
        if self.journal.stage == Stage::Write && caches && self.meta.broken().is_none() {
            (self.journal.stage, self.journal.out) = (Stage::Settle, 1);
            return io.lower(id, member.port, child, Request { op: Op::Flush, ..Request::default() });
        }
        self.batch_ended(io);
    }

    /// The batch is durable: its lines are written; or it is not, and they fail.
    fn batch_ended(&mut self, io: &mut Io<'_, Ctx>) {
        let journal = &mut self.journal;
        journal.stage = Stage::Idle;
        let batch = core::mem::take(&mut journal.batch);
        if self.meta.broken().is_none() {
            let fits = journal.batches.push(Batch { at: journal.head, lines: batch });
            debug_assert!(fits.is_ok(), "each has a line of its own, and there are 64 lines at most");
            (journal.last, journal.seq) = (journal.head, journal.seq.wrapping_add(1));
            journal.head = journal.log.behind(journal.head, journal.sectors);
        }
        lines_of(batch).for_each(|n| self.write_line(n, io));
        if self.journal.used() > self.journal.log.sectors / 2 {
            self.reclaim(io);
        }
        self.journal_on(io);
    }

    /// A line is done, well or not.
    pub(super) fn journal_done(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        if !self.journal.there {
            return;
        }
        self.journal.batches.iter_mut().for_each(|batch| batch.lines &= !line(n));
        self.journal.batches.retain(|batch| batch.lines != 0);
        self.journal_on(io);
    }

    /// Superblocks are about to be made ready, which give devices the `same` roles as those before. Only such say that the log
    /// begins later: a member that fails may be there again after a restart, and is taken for good where some superblocks do
    /// not know yet. It gets then what was logged when it failed.
    pub(super) fn journal_snapshot(&mut self, same: bool) {
        let journal = &mut self.journal;
        (journal.moves, journal.watched) = (same, self.members.used());
        journal.said = if same { journal.oldest() } else { journal.tail };
        self.members.journal.iter_mut().for_each(|own| own.said = Some(journal.said));
    }

    /// What these members had cached is durable. Where one of those that were asked is missing, the log begins where it did.
    pub(super) fn journal_flushed(&mut self, members: u64) {
        if self.journal.watched & !members != 0 {
            (self.journal.moves, self.journal.said) = (false, self.journal.tail);
            let tail = self.journal.tail;
            self.members.journal.iter_mut().for_each(|own| own.said = Some(tail));
        }
    }

    /// Superblocks are written: where the log begins is known after a restart.
    pub(super) fn journal_said(&mut self, io: &mut Io<'_, Ctx>) {
        self.journal.tail = self.journal.said;
        self.journal.begun |= core::mem::take(&mut self.journal.moves);
        if !self.journal.is_begun() && !self.meta.owes() {
            self.meta.wants();
        }
        self.journal_on(io);
    }

    /// The journal is lost: nothing more is written, as for Linux.
    pub(super) fn journal_failed(&mut self, io: &mut Io<'_, Ctx>) {
        self.meta.breaks();
        self.wake_all(io);
        self.journal_on(io);
    }
}
