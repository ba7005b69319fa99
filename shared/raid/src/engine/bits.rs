// SPDX-License-Identifier: MIT
//! The write-intent bitmap while the array is used: a bit is durable on all members before anything of what it stands for is
//! written, and bits are cleared when nobody wrote for a while and all members hold the same.
use super::background::Goal;
use super::locks::Parked;
use super::members::{Roles, bit, each};
use super::{Ctx, INTENT, Raid};
use crate::Bitmap;
use crate::bitmap::HEAD_BYTES;
use orion_block::{Buf, Completion, Lba, Op, Request};
use orion_layer::{Id, Io};

/// Bytes of bits; an array that has more of them is written without, and they are out of date from then on.
pub(super) const TABLE: usize = 16 << 10;
/// Most bits that are kept.
pub const BITMAP_BITS: u64 = TABLE as u64 * 8;
/// Bytes that are written at a time.
pub(super) const PAGE: usize = 4096;
/// Bytes of memory: the bits as they are to be, those that are durable, and a page on its way.
pub(super) const BITS_BYTES: usize = 2 * TABLE + PAGE;

/// Which bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    /// As they are to be.
    Set,
    /// Those that all members have.
    Durable,
}

/// What is going on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    Write,
    /// Members flush a page that they may have cached.
    Flush,
}

/// The bitmap.
#[derive(Clone, Debug, Default)]
pub(super) struct Bits {
    /// It is kept.
    pub there: bool,
    pub head: Bitmap,
    stage: Stage,
    /// Pages to be written, a bit each; those that superblocks wait for; and the one that is being written.
    dirty: u32,
    due: u32,
    page: u32,
    todo: Roles,
    out: u8,
    /// Some bit is set.
    any: bool,
    waiting: Parked,
}

impl Bits {
    /// Of an array with this header.
    pub fn new(head: Bitmap, any: bool) -> Self {
        Self { there: true, head, any, ..Self::default() }
    }

    /// Whether there is room for all its bits.
    pub fn fits(head: &Bitmap) -> bool {
        head.bits().div_ceil(8) <= TABLE as u64
    }

    /// Whether nothing is to be written.
    pub fn is_idle(&self) -> bool {
        self.stage == Stage::Idle && self.dirty == 0
    }

    /// Binary logarithm of the sectors that a bit stands for.
    fn shift(&self) -> u32 {
        self.head.chunk.trailing_zeros().saturating_sub(9)
    }

    /// Pages of it all, a bit each.
    fn pages(&self) -> u32 {
        let count = self.head.bytes().div_ceil(PAGE as u64);
        (1u32 << count.min(31)) - 1
    }
}

/// Where a bit is: its byte, and in that.
fn spot(number: u64) -> (usize, u8) {
    (usize::try_from(number / 8).unwrap_or(usize::MAX), 1 << (number % 8))
}

/// The page of a byte of bits.
fn page_of(byte: usize) -> u32 {
    u32::try_from((HEAD_BYTES + byte) / PAGE).unwrap_or(31)
}

impl Raid {
    fn bits_memory(&self) -> Buf {
        let skip = super::WORK_BYTES - super::prepare::PAGE_BYTES - BITS_BYTES;
        Buf { offset: self.work.offset.saturating_add(skip as u64), ..self.work }
    }

    /// The memory of a page on its way.
    pub(super) fn bits_page(&self) -> Buf {
        let all = self.bits_memory();
        Buf { offset: all.offset.saturating_add(2 * TABLE as u64), ..all }
    }

    fn bits_at(&self, table: Table, byte: usize) -> Buf {
        let all = self.bits_memory();
        let skip = byte + if table == Table::Set { 0 } else { TABLE };
        Buf { offset: all.offset.saturating_add(skip as u64), ..all }
    }

    /// One byte of bits; those beyond the last are set.
    fn bits_byte(&self, table: Table, byte: usize, io: &Io<'_, Ctx>) -> u8 {
        let mut value = [u8::MAX];
        if byte < TABLE {
            io.read_payload(self.bits_at(table, byte), &mut value);
        }
        let [value] = value;
        value
    }

    pub(super) fn put_bits(&mut self, table: Table, byte: usize, value: &[u8], io: &mut Io<'_, Ctx>) {
        if byte.saturating_add(value.len()) <= TABLE {
            io.write_payload(self.bits_at(table, byte), value);
        }
    }

    /// Whether the bits of these sectors are durable, so that they may be written. If not, the request is parked until they are.
    pub(super) fn may_mark(&mut self, id: Id, first: u64, end: u64, io: &mut Io<'_, Ctx>) -> bool {
        if !self.bits.there || end <= first {
            return true;
        }
        let shift = self.bits.shift();
        let mut durable = true;
        for number in first >> shift..=(end - 1) >> shift {
            let (byte, mask) = spot(number);
            if self.bits_byte(Table::Durable, byte, io) & mask == 0 {
                durable = false;
                let value = self.bits_byte(Table::Set, byte, io) | mask;
                self.put_bits(Table::Set, byte, &[value], io);
                self.bits.dirty |= 1 << page_of(byte).min(31);
                self.bits.any = true;
            }
        }
        if !durable {
            self.bits.waiting.push(id);
            self.bits_on(io);
        }
        durable
    }

    /// Writes the next page, if one is to be written and none is on its way.
    pub(super) fn bits_on(&mut self, io: &mut Io<'_, Ctx>) {
        if self.meta.broken().is_some() {
            return self.bits.waiting.wake(io);
        }
        if self.bits.stage != Stage::Idle || self.bits.dirty == 0 || self.read_only {
            return;
        }
        let page = self.bits.dirty.trailing_zeros();
        self.bits.dirty &= self.bits.dirty - 1;
        self.bits.page = page;
        self.stage_bits(page, io);
        self.bits_stage(Stage::Write, io);
    }

    /// Makes a page ready.
    fn stage_bits(&mut self, page: u32, io: &mut Io<'_, Ctx>) {
        let mut bytes = [u8::MAX; PAGE];
        let first = usize::try_from(page).unwrap_or(0) * PAGE;
        let from = if page == 0 { HEAD_BYTES } else { 0 };
        let byte = (first + from).saturating_sub(HEAD_BYTES);
        let len = (PAGE - from).min(TABLE.saturating_sub(byte));
        if let Some(own) = bytes.get_mut(from..from + len) {
            io.read_payload(self.bits_at(Table::Set, byte), own);
        }
        if page == 0 {
            // As new as the superblocks that are written next: what is older is out of date.
            let head = Bitmap { events: self.meta.events(), ..self.bits.head };
            bytes.iter_mut().zip(head.emit()).for_each(|(to, from)| *to = from);
        }
        io.write_payload(self.bits_page(), &bytes);
    }

    fn bits_stage(&mut self, stage: Stage, io: &mut Io<'_, Ctx>) {
        let needs = |role: &u32| {
            let limits = self.members.get(*role).and_then(|member| io.below(member.port));
            stage == Stage::Write || limits.is_some_and(|limits| limits.volatile_cache && !limits.fua)
        };
        self.bits.todo = each(self.members.used()).filter(needs).map(bit).sum();
        (self.bits.stage, self.bits.out) = (stage, 0);
        for child in 0..8 {
            self.bits_next(child, io);
        }
        self.bits_look(io);
    }

    /// Asks the next member, as `child`.
    fn bits_next(&mut self, child: u8, io: &mut Io<'_, Ctx>) {
        let Some(id) = io.kept(INTENT) else { return };
        while self.bits.todo != 0 {
            let role = self.bits.todo.trailing_zeros();
            self.bits.todo &= self.bits.todo - 1;
            if let Some((port, req)) = self.bits_request(self.members.as_now(role), io) {
                self.bits.out += 1;
                return io.lower(id, port, child, req);
            }
        }
    }

    fn bits_request(&self, role: u32, io: &Io<'_, Ctx>) -> Option<(u8, Request)> {
        let member = self.members.get(role)?;
        let flush = Request { op: Op::Flush, ..Request::default() };
        if self.bits.stage == Stage::Flush {
            return Some((member.port, flush));
        }
        let at = self.meta.own(member.port)?.bitmap?;
        let skip = u64::from(self.bits.page) * (PAGE as u64 / 512);
        let left = self.bits.head.bytes().div_ceil(512).checked_sub(skip)?.min(PAGE as u64 / 512);
        let blocks = u32::try_from(left.next_multiple_of(1 << member.scale) >> member.scale).ok()?;
        let fua = io.below(member.port).is_some_and(|limits| limits.fua);
        let lba = Lba(at.saturating_add(skip) >> member.scale);
        Some((member.port, Request { op: Op::Write, fua, lba, blocks, buf: self.bits_page() }))
    }

    /// A member has the page, or not.
    pub(super) fn bits_ended(&mut self, id: Id, child: u8, done: Completion, io: &mut Io<'_, Ctx>) {
        self.bits.out = self.bits.out.saturating_sub(1);
        let role = io.child_port(id, child).and_then(|port| self.members.role_of(port));
        if let (Err(_), Some(role)) = (done.status, role) {
            if !self.fail(role) {
                self.meta.breaks();
            }
            self.go_on(io);
        }
        self.bits_next(child, io);
        self.bits_look(io);
    }

    fn bits_look(&mut self, io: &mut Io<'_, Ctx>) {
        match self.bits.stage {
            _ if self.bits.out > 0 => {}
            Stage::Idle => {}
            Stage::Write => self.bits_stage(Stage::Flush, io),
            Stage::Flush => self.bits_written(io),
        }
    }

    /// All members have the page.
    fn bits_written(&mut self, io: &mut Io<'_, Ctx>) {
        let page = self.bits.page;
        let mut bytes = [0; PAGE];
        io.read_payload(self.bits_page(), &mut bytes);
        let first = usize::try_from(page).unwrap_or(0) * PAGE;
        let from = if page == 0 { HEAD_BYTES } else { 0 };
        let byte = (first + from).saturating_sub(HEAD_BYTES);
        let len = (PAGE - from).min(TABLE.saturating_sub(byte));
        let mut set = [0; PAGE];
        if let (Some(set), Some(written)) = (set.get_mut(..len), bytes.get(from..from + len)) {
            io.read_payload(self.bits_at(Table::Set, byte), set);
            // Those that were cleared meanwhile are to be written again before they count.
            set.iter_mut().zip(written).for_each(|(set, written)| *set &= written);
            self.put_bits(Table::Durable, byte, set, io);
        }
        self.bits.stage = Stage::Idle;
        self.bits.due &= !(1 << page.min(31));
        self.bits.waiting.wake(io);
        if self.bits.due == 0 {
            self.meta_has_bits(io);
        }
        self.bits_on(io);
    }

    /// Has all pages written that are to be, and the header; whether superblocks have to wait for that.
    pub(super) fn bits_before(&mut self, io: &mut Io<'_, Ctx>) -> bool {
        if !self.bits.there {
            return false;
        }
        self.bits.dirty |= 1;
        if self.bits.stage != Stage::Idle {
            self.bits.dirty |= 1 << self.bits.page.min(31);
        }
        self.bits.due = self.bits.dirty;
        self.bits_on(io);
        true
    }

    /// A new member has nothing of it yet.
    pub(super) fn bits_all(&mut self) {
        if self.bits.there {
            self.bits.dirty |= self.bits.pages();
        }
    }

    /// The array is clean, all members have all, and all superblocks say so: no bit is needed any more.
    pub(super) fn bits_rest(&mut self, io: &mut Io<'_, Ctx>) {
        let whole = self.is_said_whole() && self.members.filling == 0 && self.meta.sync.is_none();
        if !self.bits.there || !whole || self.meta.in_use() || !core::mem::take(&mut self.bits.any) {
            return;
        }
        self.bits.head.cleared = self.meta.events();
        self.bits.head.stale = false;
        let bytes = usize::try_from(self.bits.head.bits() / 8).unwrap_or(0);
        for byte in (0..bytes).chain(Some(bytes)) {
            // The bits beyond the last stay as they were.
            let keep = if byte < bytes { 0 } else { u8::MAX << (self.bits.head.bits() % 8) };
            let old = self.bits_byte(Table::Set, byte, io);
            if old & !keep != 0 {
                self.put_bits(Table::Set, byte, &[old & keep], io);
                self.put_bits(Table::Durable, byte, &[old & keep], io);
                self.bits.dirty |= 1 << page_of(byte).min(31);
            }
        }
        self.bits_on(io);
    }

    /// Whether the bitmap says where there is something to do.
    fn is_guided(&self, goal: Goal) -> bool {
        let partial = self.members.filling & !self.members.partial == 0;
        self.bits.there && (goal == Goal::Sync || goal == Goal::Rebuild && partial)
    }

    /// Where what one bit stands for ends, if that is what is looked at.
    pub(super) fn marked_end(&self, goal: Goal, at: u64) -> u64 {
        let shift = self.bits.shift();
        if self.is_guided(goal) { ((at >> shift) + 1) << shift } else { u64::MAX }
    }

    /// Where the next sectors are that the work has to look at, from `at` on: what no bit stands for is as it should be.
    pub(super) fn next_marked(&self, goal: Goal, at: u64, io: &Io<'_, Ctx>) -> u64 {
        if !self.is_guided(goal) {
            return at;
        }
        let (shift, count) = (self.bits.shift(), self.bits.head.bits());
        let mut number = at >> shift;
        while number < count {
            let (byte, mask) = spot(number);
            match self.bits_byte(Table::Set, byte, io) {
                0 => number = (number / 8 + 1) * 8,
                value if value & mask == 0 => number += 1,
                _ => return at.max(number << shift),
            }
        }
        u64::MAX
    }
}
