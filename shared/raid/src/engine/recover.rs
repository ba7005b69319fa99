// SPDX-License-Identifier: MIT
//! Replays md's journal before the array is served: what was logged whole is written, in order, up to where the log ends.
//!
//! Data that were logged without parity, as Linux does in its write-back mode, are written too, and parity is computed anew from
//! all data; that takes all members.
use super::journal::{JOURNAL, PIECE};
use super::members::{Member, bit, each};
use super::{Ctx, PORTS_MAX, Raid};
use crate::journal::{BLOCK, BLOCK_BYTES, Item, LEAP, Log, Maker};
use crate::wire::feature;
use crate::{Array, Error, Kind, Super, create, parity};
use heapless::Vec;
use orion_block::{Buf, Completion, Lba, Op, Request};
use orion_layer::Io;

/// Most blocks that one meta block has behind it.
const ITEMS: usize = BLOCK_BYTES / 20;
/// Where blocks are kept in memory: the meta block, those behind it, and behind them what is read and computed.
const SCRATCH: u64 = 1 + ITEMS as u64;
const _: () = assert!((SCRATCH + 3) * BLOCK_BYTES as u64 <= super::lines::LINES_BYTES as u64, "lines are not used yet");

/// What is being read or written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    /// A meta block.
    #[default]
    Meta,
    /// What is behind it.
    Blocks,
    /// The members that it is for.
    Apply,
    /// The data of this member, of a stripe whose parity was not logged.
    Data(u32),
    /// Its parity.
    P,
    Q,
    /// What the members have cached.
    Flush(u32),
    /// An empty meta block behind the log's end.
    Empty,
    Seal,
    Done,
}

/// How far it is.
#[derive(Debug, Default)]
pub(super) struct Recover {
    at: At,
    asked: bool,
    /// The meta block, its number, and sectors of the log before it.
    place: u64,
    seq: Option<u64>,
    passed: u64,
    /// What is behind it, sectors of that that are read, and items that are done.
    items: Vec<Item, ITEMS>,
    read: u64,
    done: usize,
    /// Why the array is not served.
    fault: Option<Kind>,
}

impl Recover {
    pub fn is_done(&self) -> bool {
        self.at == At::Done || self.fault.is_some()
    }
}

impl Raid {
    /// Takes note of the journal of an array that has one.
    pub(super) fn take_journal(&mut self, array: &Array, found: &[(u8, Super)], io: &Io<'_, Ctx>) -> Result<(), Kind> {
        let newest = &array.newest;
        if !newest.has(feature::JOURNAL) {
            return Ok(());
        }
        let Some((port, own)) = array.journal.and_then(|index| found.get(index)) else {
            self.read_only = true;
            return if self.find.force { Ok(()) } else { Err(Kind::NoJournal) };
        };
        let limits = io.below(*port).unwrap_or_default();
        let scale = limits.block.shift().saturating_sub(9);
        if scale > 3 || !own.data_offset.is_multiple_of(1 << scale) {
            return Err(Kind::Blocks);
        }
        if self.read_only || limits.read_only {
            return Err(Kind::HasJournal);
        }
        let log = Log::new(newest.set, own.data_size, if newest.level == 6 { 2 } else { 1 });
        let need = create::least(newest.chunk.into(), newest.raid_disks);
        if log.sectors < need {
            return Err(Kind::JournalSmall { has: log.sectors, need });
        }
        let tail = own.recovery.unwrap_or(0);
        let said = Some(tail);
        self.members.journal = Some(Member { port: *port, scale, offset: own.data_offset, said, ..Member::default() });
        let first = log.first(tail);
        (self.journal.there, self.journal.log) = (true, log);
        (self.journal.tail, self.journal.said) = (first, first);
        self.recover.place = first;
        Ok(())
    }

    /// The layer's memory for a block.
    fn recover_buf(&self, block: u64) -> Buf {
        let skip = super::meta::STAGE_BYTES as u64 + block * BLOCK_BYTES as u64;
        Buf { offset: self.work.offset.saturating_add(skip), ..self.work }
    }

    fn ask_recover(&mut self, role: u32, op: Op, sector: u64, sectors: u64, buf: Buf, io: &mut Io<'_, Ctx>) {
        let Some((id, member)) = io.own().zip(self.members.get(role).copied()) else { return };
        let lba = Lba(if op == Op::Flush { 0 } else { member.offset.saturating_add(sector) >> member.scale });
        let blocks = u32::try_from(sectors >> member.scale).unwrap_or(0);
        self.recover.asked = true;
        io.lower(id, member.port, 0, Request { op, fua: false, lba, blocks, buf });
    }

    /// Asks for what is next.
    pub(super) fn recover_on(&mut self, io: &mut Io<'_, Ctx>) {
        while !self.recover.asked && !self.recover.is_done() {
            let place = self.recover.place;
            match self.recover.at {
                At::Meta => self.ask_recover(JOURNAL, Op::Read, place, BLOCK, self.recover_buf(0), io),
                At::Blocks => self.recover_blocks(io),
                At::Apply => self.recover_apply(io),
                At::Data(role) => self.recover_data(role, io),
                At::P | At::Q => self.recover_parity(io),
                At::Flush(role) => self.recover_flush(role, io),
                At::Empty => {
                    let seq = self.recover.seq.unwrap_or(0);
                    let block = Maker::new(&self.journal.log, place, seq).finish(&self.journal.log);
                    io.write_payload(self.recover_buf(0), &block);
                    self.ask_recover(JOURNAL, Op::Write, place, BLOCK, self.recover_buf(0), io);
                }
                At::Seal => self.ask_recover(JOURNAL, Op::Flush, 0, 0, self.recover_buf(0), io),
                At::Done => {}
            }
        }
    }

    /// What was asked is done.
    pub(super) fn recover_ended(&mut self, done: Completion, io: &mut Io<'_, Ctx>) {
        self.recover.asked = false;
        let good = done.status.is_ok();
        match self.recover.at {
            At::Meta | At::Blocks | At::Empty | At::Seal if !good => self.recover.fault = Some(Kind::NoJournal),
            At::Meta => self.recover_meta(io),
            At::Apply => {
                let role = self.recover.items.get(self.recover.done).and_then(|item| self.recover_place(*item));
                self.recover_wrote(role.map(|(role, _)| role), good);
                self.recover.done += 1;
            }
            At::Data(_) if !good => self.recover.fault = Some(Kind::JournalCached),
            At::Data(role) => {
                self.recover_add(role, io);
                self.recover.at = At::Data(role + 1);
            }
            At::P | At::Q => {
                let role = self.recover_target();
                self.recover_wrote(role, good);
                self.recover_next_parity();
            }
            At::Flush(role) => {
                self.recover_wrote(Some(role), good);
                self.recover.at = At::Flush(role + 1);
            }
            At::Empty => self.recover.at = At::Seal,
            At::Seal => self.recovered(),
            At::Blocks | At::Done => {}
        }
    }

    /// A member that does not take what was logged is left behind.
    fn recover_wrote(&mut self, role: Option<u32>, good: bool) {
        if !good && !role.is_some_and(|role| self.fail(role)) {
            self.recover.fault = Some(Kind::Dirty);
        }
    }

    /// A meta block was read: what is behind it, or the log's end.
    fn recover_meta(&mut self, io: &Io<'_, Ctx>) {
        let mut bytes = [0; BLOCK_BYTES];
        io.read_payload(self.recover_buf(0), &mut bytes);
        let (place, seq, log) = (self.recover.place, self.recover.seq, self.journal.log);
        let round = self.recover.passed + BLOCK > log.sectors;
        let Some(meta) = log.parse(&bytes, place, seq).filter(|_| !round) else {
            return self.recover_end();
        };
        self.recover.seq = Some(meta.seq);
        let items = &mut self.recover.items;
        items.clear();
        let mut fits = true;
        // That a stripe is written says nothing here: to write it again changes nothing.
        meta.walk(|item| fits &= item.sum().is_none() || items.push(item).is_ok());
        self.recover.read = 0;
        self.recover.at = At::Blocks;
        if !fits {
            self.recover_end();
        }
    }

    /// Nothing more is logged: behind this place the log goes on.
    fn recover_end(&mut self) {
        let next = self.recover.seq.map(|seq| seq.wrapping_add(LEAP));
        if self.recover.passed == 0 {
            // Not even its first block is good, which Linux takes for an empty log. Nothing is known of what was written last.
            self.recover.fault = (self.missing().next().is_some() && !self.find.force).then_some(Kind::Dirty);
            self.meta.sync = Some(0);
        }
        // No number of an earlier life comes near one of this.
        let fresh = || self.meta.all().map(|(_, own)| own.events).max().unwrap_or(0).wrapping_add(1) << 32;
        self.recover.seq = Some(next.unwrap_or_else(fresh));
        self.recover.at = At::Flush(0);
    }

    /// Reads more of what is behind the meta block, or sees whether it is what was logged.
    fn recover_blocks(&mut self, io: &mut Io<'_, Ctx>) {
        let (log, read) = (self.journal.log, self.recover.read);
        let sectors = self.recover.items.len() as u64 * BLOCK;
        if read < sectors {
            let at = log.behind(self.recover.place, BLOCK + read);
            let count = (sectors - read).min(PIECE).min(log.sectors - at);
            let buf = self.recover_buf(1);
            let buf = Buf { offset: buf.offset + read * 512, ..buf };
            self.recover.read += count;
            return self.ask_recover(JOURNAL, Op::Read, at, count, buf, io);
        }
        let whole = (1u64..).zip(&self.recover.items).all(|(block, item)| {
            let mut bytes = [0; BLOCK_BYTES];
            io.read_payload(self.recover_buf(block), &mut bytes)
                && item.sum() == Some(log.sum(&bytes))
                && self.recover_place(*item).is_some()
        });
        if !whole {
            // It was being logged when the power went.
            return self.recover_end();
        }
        (self.recover.at, self.recover.done) = (At::Apply, 0);
        let bare = (0..self.recover.items.len()).any(|nth| self.is_bare(nth));
        if bare && self.missing().next().is_some() {
            self.recover.fault = Some(Kind::JournalCached);
        }
    }

    /// The member and the sector of its data that an item is of.
    fn recover_place(&self, item: Item) -> Option<(u32, u64)> {
        let geometry = self.geometry.as_ref()?;
        let within = |sector: &u64| sector.checked_add(BLOCK).is_some_and(|end| end <= geometry.used(0));
        match item {
            Item::Data(sector, _) => {
                let place = geometry.place(sector, 0).filter(|place| place.run >= BLOCK)?;
                Some((place.member, place.sector))
            }
            Item::P(sector, _) => Some((geometry.stripe(sector)?.p, sector)).filter(|(_, at)| within(at)),
            Item::Q(sector, _) => Some((geometry.stripe(sector)?.q?, sector)).filter(|(_, at)| within(at)),
            Item::Written(_) => None,
        }
    }

    /// Whether an item is data whose parity is not logged with it.
    fn is_bare(&self, nth: usize) -> bool {
        let Some(item) = self.recover.items.get(nth).copied() else { return false };
        let Some((_, sector)) = self.recover_place(item) else { return false };
        let own = |other: &Item| matches!(other, Item::P(at, _) if *at == sector);
        matches!(item, Item::Data(..)) && !self.recover.items.iter().any(own)
    }

    /// Whether an item is parity of which no data are logged: that the stripe was written was logged elsewhere.
    fn is_alone(&self, item: Item) -> bool {
        let (Item::P(sector, _) | Item::Q(sector, _)) = item else { return false };
        let same = |other: &Item| {
            matches!(other, Item::Data(..)) && self.recover_place(*other).is_some_and(|(_, at)| at == sector)
        };
        !self.recover.items.iter().any(same)
    }

    /// Writes the next item to its member, or goes on behind the last.
    fn recover_apply(&mut self, io: &mut Io<'_, Ctx>) {
        let nth = self.recover.done;
        let Some(item) = self.recover.items.get(nth).copied() else {
            self.recover.done = 0;
            self.recover.at = At::Data(0);
            return;
        };
        let place = self.recover_place(item).filter(|(role, _)| self.members.is_used(*role));
        match place.filter(|_| !self.is_alone(item)) {
            Some((role, sector)) => {
                let buf = self.recover_buf(1 + nth as u64);
                self.ask_recover(role, Op::Write, sector, BLOCK, buf, io);
            }
            None => self.recover.done += 1,
        }
    }

    /// Reads what a member holds of the next stripe whose parity is to be computed.
    fn recover_data(&mut self, role: u32, io: &mut Io<'_, Ctx>) {
        let place = self.recover_place_of_bare();
        let stripe = place.and_then(|sector| self.geometry.as_ref()?.stripe(sector));
        let Some((sector, stripe)) = place.zip(stripe) else {
            let items = self.recover.items.len();
            self.recover.done += 1;
            if self.recover.done >= items {
                let sectors = BLOCK * (1 + items as u64);
                self.recover.passed += sectors;
                self.recover.place = self.journal.log.behind(self.recover.place, sectors);
                self.recover.seq = self.recover.seq.map(|seq| seq.wrapping_add(1));
                self.recover.at = At::Meta;
            }
            return;
        };
        if role == 0 {
            io.write_payload(self.recover_buf(SCRATCH + 1), &[0; BLOCK_BYTES]);
            io.write_payload(self.recover_buf(SCRATCH + 2), &[0; BLOCK_BYTES]);
        }
        if role >= self.geometry.as_ref().map_or(0, crate::Geometry::members) {
            self.recover.at = At::P;
        } else if stripe.is_parity(role) {
            self.recover.at = At::Data(role + 1);
        } else {
            self.ask_recover(role, Op::Read, sector, BLOCK, self.recover_buf(SCRATCH), io);
        }
    }

    /// The sector of the members' data of the stripe whose parity is being computed.
    fn recover_place_of_bare(&self) -> Option<u64> {
        let nth = self.recover.done;
        let item = self.recover.items.get(nth).copied().filter(|_| self.is_bare(nth))?;
        self.recover_place(item).map(|(_, sector)| sector)
    }

    /// Adds what was read of a member to the parity.
    fn recover_add(&mut self, role: u32, io: &mut Io<'_, Ctx>) {
        let stripe = self.recover_place_of_bare().and_then(|sector| self.geometry.as_ref()?.stripe(sector));
        let Some(stripe) = stripe else { return };
        let (mut data, mut sum) = ([0; BLOCK_BYTES], [0; BLOCK_BYTES]);
        io.read_payload(self.recover_buf(SCRATCH), &mut data);
        for (block, power) in [(1, 0), (2, stripe.power(role))] {
            io.read_payload(self.recover_buf(SCRATCH + block), &mut sum);
            self.sums.machine.add_product(&mut sum, &data, parity::power(power));
            io.write_payload(self.recover_buf(SCRATCH + block), &sum);
        }
    }

    /// The member that holds the parity that is to be written.
    fn recover_target(&self) -> Option<u32> {
        let stripe = self.geometry.as_ref()?.stripe(self.recover_place_of_bare()?)?;
        if self.recover.at == At::P { Some(stripe.p) } else { stripe.q }
    }

    fn recover_next_parity(&mut self) {
        if self.recover.at == At::P {
            self.recover.at = At::Q;
        } else {
            self.recover.done += 1;
            self.recover.at = At::Data(0);
        }
    }

    /// Writes P, or Q where there is one.
    fn recover_parity(&mut self, io: &mut Io<'_, Ctx>) {
        let target = self.recover_target().filter(|role| self.members.is_used(*role));
        let Some((role, sector)) = target.zip(self.recover_place_of_bare()) else {
            return self.recover_next_parity();
        };
        let block = if self.recover.at == At::P { 1 } else { 2 };
        self.ask_recover(role, Op::Write, sector, BLOCK, self.recover_buf(SCRATCH + block), io);
    }

    /// Has the next member flush.
    fn recover_flush(&mut self, role: u32, io: &mut Io<'_, Ctx>) {
        match each(self.members.used()).find(|other| *other >= role) {
            Some(next) => {
                self.recover.at = At::Flush(next);
                self.ask_recover(next, Op::Flush, 0, 0, self.recover_buf(0), io);
            }
            None => self.recover.at = At::Empty,
        }
    }

    /// Everything is in the members: the log goes on behind its end. Where it begins is said before anything is written.
    fn recovered(&mut self) {
        let (place, seq) = (self.recover.place, self.recover.seq.unwrap_or(0));
        self.journal.last = place;
        self.journal.head = self.journal.log.behind(place, BLOCK);
        self.journal.seq = seq.wrapping_add(1);
        self.recover.at = At::Done;
        self.meta.wants();
    }

    /// Why the array is not served, once its journal is replayed.
    pub(super) fn recover_judged(&self) -> Option<Error> {
        self.recover.fault.map(|kind| Error { kind, at: 0 })
    }
}

const _: () = assert!(PORTS_MAX < JOURNAL as usize && bit(JOURNAL) != 0);
