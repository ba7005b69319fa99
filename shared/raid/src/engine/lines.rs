// SPDX-License-Identifier: MIT
//! The stripe cache: a fixed number of lines, each the memory for one band of a stripe, across all members. What is asked of
//! a band is gathered while others are under way, and done together.
use super::locks::Parked;
use super::members::Roles;
use super::{Ctx, PORTS_MAX, SLOTS};
use crate::geometry::Stripe;
use heapless::{Deque, Vec};
use orion_block::{Buf, Error};
use orion_layer::{Id, Io};

/// Most lines.
const LINES_MAX: usize = 64;
/// Bytes of memory for lines.
pub(super) const LINES_BYTES: usize = 4 << 20;
/// Most sectors of a band: a bit each.
pub(super) const HEIGHT: u64 = 32;
/// Entries of the table that finds lines, as a power of two.
const TABLE_SHIFT: u32 = 7;
/// No line.
const NONE: u8 = u8::MAX;

/// What a line is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is free.
    #[default]
    Free,
    /// What comes in is gathered.
    Gather,
    /// What is needed is read.
    Read,
    /// It waits until what it writes is logged.
    Log,
    /// Data and parity are written.
    Write,
}

/// How parity is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// From the old parity, the old data and the new: read-modify-write.
    #[default]
    Modify,
    /// From all data; what is missing of it is recovered first.
    Construct,
    /// Not at all: members are copied to what replaces them.
    Copy,
}

/// What became of a request that was given to the lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// A line begins to gather with it.
    First,
    /// It is with others.
    More,
    /// No line is free: it is woken when one is.
    Starved,
}

/// Where the sectors of a request are: on which member, and where in its band. That of the background work has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spot {
    pub role: u8,
    pub at: u8,
    pub sectors: u8,
}

impl Spot {
    /// The member, the first sector in the band, and the sectors; `None` of the background work's.
    pub fn piece(self) -> Option<(u32, u64, u64)> {
        (self.sectors > 0).then_some((self.role.into(), self.at.into(), self.sectors.into()))
    }

    /// Its sectors, a bit each.
    pub fn mask(self) -> u32 {
        mask(self.at.into(), self.sectors.into())
    }
}

/// The bits of `sectors` sectors from `at` on.
pub(super) fn mask(at: u64, sectors: u64) -> u32 {
    let bits = if sectors >= HEIGHT { u32::MAX } else { (1 << sectors) - 1 };
    bits.checked_shl(u32::try_from(at).unwrap_or(u32::MAX)).unwrap_or(0)
}

/// A list of requests, through the table of links.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct List {
    pub first: Option<Id>,
    last: Option<Id>,
}

/// One line.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Line {
    /// The band: a sector of the members, over the sectors of a band.
    pub band: u64,
    /// The stripe that it is a part of, once it is begun.
    pub stripe: Option<Stripe>,
    pub phase: Phase,
    /// What is being done.
    pub list: List,
    /// What waits until that is done.
    pub queue: List,
    /// While it gathers: sectors that are to be written; some follow on what was asked just before; somebody waits for more
    /// than that; nothing else is under way, and it was said that it begins now.
    pub wrote: u64,
    pub stream: bool,
    pub hurry: bool,
    pub called: bool,
    /// The sectors of the band that are touched, and where in the line's memory they begin, in sectors.
    pub low: u64,
    pub high: u64,
    pub place: u64,
    pub way: Way,
    /// Members that are written, that hold what a reader asks for and does not have, and that could not be read.
    pub writes: Roles,
    pub wants: Roles,
    pub lost: Roles,
    /// Members that are written all over, where the line is touched, and of which nobody reads.
    pub covered: Roles,
    /// Members that had to be read, to be read or written, that have been, and that refused.
    pub reads: Roles,
    pub todo: Roles,
    pub have: Roles,
    pub refused: Roles,
    /// A member failed, and one that the array cannot be without.
    pub changed: bool,
    pub broke: bool,
    pub did: bool,
    pub error: Option<Error>,
    pub fua: bool,
    /// The background work is among what is done.
    pub sync: bool,
    /// Parity is not what it should be.
    pub differs: bool,
    /// Lower requests that are out, and which member each is for.
    pub out: u8,
    pub asked: [u8; 8],
}

impl Line {
    /// The sectors of each member that are touched.
    pub fn span(&self) -> u64 {
        self.high.saturating_sub(self.low)
    }

    fn expect(&mut self, wish: Wish) {
        match wish {
            Wish::Write { sectors, follows } => {
                self.wrote += sectors;
                self.stream |= follows;
            }
            Wish::Other => self.hurry = true,
        }
    }
}

/// What is asked of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To write so many sectors, perhaps right behind those that were asked before.
    Write { sectors: u64, follows: bool },
    /// Something else.
    Other,
}

/// All lines.
#[derive(Debug)]
pub(super) struct Lines {
    pub all: Vec<Line, LINES_MAX>,
    /// The sectors that are written of each member that a line writes, a bit each.
    covers: [[u32; PORTS_MAX]; LINES_MAX],
    /// What follows each request in its list.
    links: [Option<Id>; SLOTS],
    /// Sectors of a band, and their binary logarithm where they are a power of two, as they are with parity.
    pub height: u64,
    shift: u32,
    members: u64,
    pub starved: Parked,
    /// Where the last request ended.
    pub end: u64,
    /// Lines that gather, and those that are free: the last one is used first, whose memory is likely at hand.
    gathering: Deque<u8, LINES_MAX>,
    free: Vec<u8, LINES_MAX>,
    /// The first line of each entry, and what follows each line there.
    table: [u8; 1 << TABLE_SHIFT],
    next: [u8; LINES_MAX],
}

impl Default for Lines {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            covers: [[0; PORTS_MAX]; LINES_MAX],
            links: [None; SLOTS],
            height: 1,
            shift: 0,
            members: 0,
            starved: Parked::default(),
            end: 0,
            gathering: Deque::new(),
            free: Vec::new(),
            table: [NONE; 1 << TABLE_SHIFT],
            next: [NONE; LINES_MAX],
        }
    }
}

/// The entry of a band in the table.
fn entry(band: u64) -> usize {
    // Fibonacci hashing: bands at any stride are spread.
    usize::try_from(band.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - TABLE_SHIFT)).unwrap_or(0)
}

impl Lines {
    /// As many lines as there is memory for.
    pub fn new(chunk: u64, members: u32) -> Self {
        let height = chunk.clamp(1, HEIGHT);
        let members = u64::from(members);
        let bytes = height.saturating_mul(512).saturating_mul(members).max(1);
        let count = usize::try_from(LINES_BYTES as u64 / bytes).unwrap_or(0).min(LINES_MAX);
        let (mut all, shift) = (Vec::new(), height.trailing_zeros());
        let _ = all.resize(count, Line::default());
        let free = (0..count).rev().filter_map(|n| u8::try_from(n).ok()).collect();
        Self { all, height, shift, members, free, ..Self::default() }
    }

    pub fn get(&self, n: usize) -> Option<&Line> {
        self.all.get(n)
    }

    pub fn get_mut(&mut self, n: usize) -> Option<&mut Line> {
        self.all.get_mut(n)
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.free.len() == self.all.len()
    }

    /// The band of a member's sector, and where that is in it.
    pub fn band(&self, sector: u64) -> (u64, u64) {
        (sector >> self.shift, sector & (self.height - 1))
    }

    /// Where a member's sector `at` of the band lies in memory, one of those that the line touches.
    pub fn buf(&self, work: Buf, n: usize, role: u32, at: u64) -> Buf {
        let sector =
            self.get(n).map_or(0, |line| line.place + u64::from(role) * line.span() + at.saturating_sub(line.low));
        Buf { offset: work.offset.saturating_add(super::meta::STAGE_BYTES as u64 + sector * 512), ..work }
    }

    /// Bytes of each member in a line, and of all members.
    pub fn bytes(&self, n: usize) -> (usize, usize) {
        let one = usize::try_from(self.get(n).map_or(0, Line::span) * 512).unwrap_or(0);
        (one, usize::try_from(self.members).unwrap_or(0).saturating_mul(one))
    }

    /// Begins a line: what it touches is known.
    pub fn begin(&mut self, n: usize, mut line: Line) {
        // What is touched lies close together, and that of each line elsewhere in it, so that it does not share its places in
        // the processor's caches with all others.
        let (number, used) = (u64::try_from(n).unwrap_or(0), line.span().max(1));
        line.place = (number * self.height + number % (self.height / used).max(1) * used) * self.members;
        if let Some(own) = self.all.get_mut(n) {
            *own = line;
        }
    }

    /// The line of a band, if one is in use for it.
    fn find(&self, band: u64) -> Option<usize> {
        let line = |n: u8| self.all.get(usize::from(n)).map(|line| (usize::from(n), line));
        let first = line(*self.table.get(entry(band))?);
        let mut chain = core::iter::successors(first, |(n, _)| line(*self.next.get(*n)?));
        chain.find(|(_, line)| line.band == band).map(|(n, _)| n)
    }

    /// Puts a line into the table.
    fn enter(&mut self, n: u8, band: u64) {
        if let (Some(head), Some(next)) = (self.table.get_mut(entry(band)), self.next.get_mut(usize::from(n))) {
            (*next, *head) = (*head, n);
        }
    }

    /// Takes a line out of the table.
    fn leave(&mut self, n: u8, band: u64) {
        let behind = self.next.get(usize::from(n)).copied().unwrap_or(NONE);
        let Some(mut at) = self.table.get_mut(entry(band)) else { return };
        // No chain is longer than there are lines.
        for _ in 0..LINES_MAX {
            if *at == n {
                *at = behind;
                return;
            }
            let follows = usize::from(*at);
            let Some(next) = self.next.get_mut(follows) else { return };
            at = next;
        }
    }

    /// Gives a request to the line of a band. Where none is free, it waits.
    pub fn give(&mut self, id: Id, band: u64, wish: Wish) -> Given {
        if let Some(line) = self.find(band).and_then(|n| self.all.get_mut(n)) {
            let gathers = line.phase == Phase::Gather;
            append(if gathers { &mut line.list } else { &mut line.queue }, &mut self.links, id);
            line.expect(wish);
            return Given::More;
        }
        let Some(n) = self.free.pop() else {
            self.starved.push(id);
            return Given::Starved;
        };
        if let Some(line) = self.all.get_mut(usize::from(n)) {
            *line = Line { band, phase: Phase::Gather, ..Line::default() };
            append(&mut line.list, &mut self.links, id);
            line.expect(wish);
        }
        self.enter(n, band);
        self.gather(n);
        Given::First
    }

    fn gather(&mut self, n: u8) {
        let fits = self.gathering.push_back(n);
        debug_assert!(fits.is_ok(), "a line gathers once");
    }

    /// Lines that gather.
    pub fn gathering(&self) -> usize {
        self.gathering.len()
    }

    /// The first line that gathers, to be begun.
    pub fn gathered(&mut self) -> Option<usize> {
        self.gathering.pop_front().map(usize::from)
    }

    /// Whether a line should wait for more than it has: what it writes is not `whole` sectors yet, and is a part of a stream. It
    /// waits while others are under way, and then until once more all is taken that clients asked.
    pub fn waits(&mut self, n: usize, whole: u64, io: &mut Io<'_, Ctx>) -> bool {
        let others = self.free.len() + self.gathering.len() + 1 < self.all.len();
        let Some(line) = self.all.get_mut(n) else { return false };
        if !line.stream || line.hurry || line.called || line.wrote >= whole {
            return false;
        }
        if !others {
            line.called = true;
            io.alarm(io.now());
        }
        if let Ok(n) = u8::try_from(n) {
            self.gather(n);
        }
        true
    }

    /// What follows in its list.
    pub fn next(&self, id: Id) -> Option<Id> {
        self.links.get(id.index()).copied().flatten()
    }

    /// The sectors of a member that a line writes.
    pub fn cover(&self, n: usize, role: u32) -> u32 {
        let own = usize::try_from(role).ok().and_then(|role| self.covers.get(n)?.get(role));
        own.copied().unwrap_or(0)
    }

    /// A member of a line is written there: `first` says that it was not before.
    pub fn write(&mut self, n: usize, spot: Spot, first: bool) {
        if let Some(cover) = self.covers.get_mut(n).and_then(|all| all.get_mut(usize::from(spot.role))) {
            *cover = spot.mask() | if first { 0 } else { *cover };
        }
    }

    /// Leaves only the first request of a line; the others come before those that wait.
    pub fn keep_first(&mut self, n: usize) {
        let Some(line) = self.all.get_mut(n) else { return };
        let Some(first) = line.list.first else { return };
        let Some(rest) = self.links.get_mut(first.index()).and_then(Option::take) else { return };
        let last = line.list.last;
        if let Some(link) = last.and_then(|last| self.links.get_mut(last.index())) {
            *link = line.queue.first;
        }
        let end = if line.queue.first.is_some() { line.queue.last } else { last };
        line.queue = List { first: Some(rest), last: end };
        line.list = List { first: Some(first), last: Some(first) };
    }

    /// The line has done all of its list: it gathers what waited, or is free.
    pub fn done(&mut self, n: usize, io: &mut Io<'_, Ctx>) {
        let (Some(line), Ok(own)) = (self.all.get_mut(n), u8::try_from(n)) else { return };
        let (band, queue) = (line.band, line.queue);
        if queue.first.is_some() {
            let Line { wrote, stream, hurry, .. } = *line;
            *line = Line { band, list: queue, phase: Phase::Gather, wrote, stream, hurry, ..Line::default() };
            self.gather(own);
            return io.alarm(io.now());
        }
        if !self.gathering.is_empty() {
            // What waits may do so for this.
            io.alarm(io.now());
        }
        line.phase = Phase::Free;
        self.leave(own, band);
        let fits = self.free.push(own);
        debug_assert!(fits.is_ok(), "a line is freed once");
        self.starved.wake(io);
    }
}

fn append(list: &mut List, links: &mut [Option<Id>; SLOTS], id: Id) {
    if let Some(link) = links.get_mut(id.index()) {
        *link = None;
    }
    match list.last.and_then(|last| links.get_mut(last.index())) {
        Some(link) => *link = Some(id),
        None => list.first = Some(id),
    }
    list.last = Some(id);
}
