// SPDX-License-Identifier: MIT
//! The stripe cache: a fixed number of lines, each the memory for one band of a stripe, across all members. What is asked of
//! a band is gathered while others are under way, and done together.
use super::locks::Parked;
use super::members::Roles;
use super::{Ctx, SLOTS};
use heapless::Vec;
use orion_block::{Buf, Error};
use orion_layer::{Id, Io};

/// Most lines.
const LINES_MAX: usize = 64;
/// Bytes of memory for lines.
pub(super) const LINES_BYTES: usize = 4 << 20;
/// Most sectors of a band.
const HEIGHT: u64 = 32;

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
    pub phase: Phase,
    /// What is being done.
    pub list: List,
    /// What waits until that is done.
    pub queue: List,
    /// The sectors of the band that are touched.
    pub low: u64,
    pub high: u64,
    pub way: Way,
    /// Members that are written, that hold what a reader asks for and does not have, and that could not be read.
    pub writes: Roles,
    pub wants: Roles,
    pub lost: Roles,
    /// Members to be read or written, that have been, and that refused.
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

/// All lines.
#[derive(Debug)]
pub(super) struct Lines {
    pub all: Vec<Line, LINES_MAX>,
    /// What follows each request in its list.
    links: [Option<Id>; SLOTS],
    /// Sectors of a band.
    pub height: u64,
    members: u64,
    pub starved: Parked,
    /// Lines that gather.
    pub gathering: usize,
}

impl Default for Lines {
    fn default() -> Self {
        Self { all: Vec::new(), links: [None; SLOTS], height: 1, members: 0, starved: Parked::default(), gathering: 0 }
    }
}

impl Lines {
    /// As many lines as there is memory for.
    pub fn new(chunk: u64, members: u32) -> Self {
        let height = chunk.clamp(1, HEIGHT);
        let members = u64::from(members);
        let bytes = height.saturating_mul(512).saturating_mul(members).max(1);
        let count = usize::try_from(LINES_BYTES as u64 / bytes).unwrap_or(0).min(LINES_MAX);
        let mut all = Vec::new();
        let _ = all.resize(count, Line::default());
        Self { all, height, members, ..Self::default() }
    }

    pub fn get(&self, n: usize) -> Option<&Line> {
        self.all.get(n)
    }

    pub fn get_mut(&mut self, n: usize) -> Option<&mut Line> {
        self.all.get_mut(n)
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.all.iter().all(|line| line.phase == Phase::Free)
    }

    /// Where a member's sector `at` of the band lies in memory.
    pub fn buf(&self, work: Buf, n: usize, role: u32, at: u64) -> Buf {
        let line = u64::try_from(n).unwrap_or(0);
        let sector = (line * self.members + u64::from(role)) * self.height + at;
        Buf { offset: work.offset.saturating_add(super::meta::STAGE_BYTES as u64 + sector * 512), ..work }
    }

    /// Gives a request to the line of a band. Where none is free, it waits.
    pub fn give(&mut self, id: Id, band: u64) -> Given {
        let mut free = None;
        for (n, line) in self.all.iter_mut().enumerate() {
            match line.phase {
                Phase::Free => free = free.or(Some(n)),
                Phase::Gather if line.band == band => {
                    append(&mut line.list, &mut self.links, id);
                    return Given::More;
                }
                _ if line.band == band => {
                    append(&mut line.queue, &mut self.links, id);
                    return Given::More;
                }
                _ => {}
            }
        }
        let Some(line) = free.and_then(|n| self.all.get_mut(n)) else {
            self.starved.push(id);
            return Given::Starved;
        };
        *line = Line { band, phase: Phase::Gather, ..Line::default() };
        append(&mut line.list, &mut self.links, id);
        self.gathering += 1;
        Given::First
    }

    /// The requests of a list.
    pub fn each(&self, list: List) -> impl Iterator<Item = Id> + '_ {
        core::iter::successors(list.first, |id| self.next(*id))
    }

    /// What follows in its list.
    pub fn next(&self, id: Id) -> Option<Id> {
        self.links.get(id.index()).copied().flatten()
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
        let Some(line) = self.all.get_mut(n) else { return };
        let (band, queue) = (line.band, line.queue);
        *line = Line { band, list: queue, ..Line::default() };
        if queue.first.is_some() {
            line.phase = Phase::Gather;
            self.gathering += 1;
            io.alarm(io.now());
        } else {
            self.starved.wake(io);
        }
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
