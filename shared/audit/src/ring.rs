// SPDX-License-Identifier: MIT
//! The ring from the gatekeeper to who keeps its records.
//!
//! Two regions: in one, which only the gatekeeper writes, a page with the counts of records that were put into it, then room
//! for [`SLOTS`] records; in the other, a page that only the consumer writes, what it has taken and where the chain goes on.
//! Counts are of records since boot and never go back. The producer goes by its own counts: what the consumer writes can at
//! most keep room from being given back.
use crate::chain::Head;
use crate::record::Record;
use crate::wire::{Bytes, HASH, RECORD};
use core::sync::atomic::Ordering::{Acquire, Release};
use orion_region::Window;

/// Records that the ring holds.
pub const SLOTS: u64 = 1024;
/// Bytes of the region that the gatekeeper writes.
pub const RECORDS_BYTES: u64 = PAGE + SLOTS * RECORD as u64;
/// Bytes of the page that the consumer writes.
pub const TAKEN_BYTES: u64 = PAGE;
const PAGE: u64 = 4096;
const FIRST: usize = 4096;
const _: () = assert!(FIRST as u64 == PAGE);
/// In the producer's page: records shown, and records put into the ring.
const PUBLISHED: usize = 0;
const WRITTEN: usize = 8;
/// In the consumer's page: records taken, [`Place`], records it takes at most, records before the first of this boot, hash.
const TAKEN: usize = 0;
const PLACE: usize = 8;
const LIMIT: usize = 16;
const BASE: usize = 24;
const BASE_HASH: usize = 32;

/// Where a chain goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Nobody has said that yet.
    Unknown,
    /// Behind this head; the consumer takes at most so many records of this boot.
    After(Head, u64),
    /// Nobody will take records.
    Nobody,
}

fn get(window: &Window, offset: usize) -> u64 {
    window.longs::<1>(offset).map_or(0, |[count]| count.load(Acquire))
}

fn set(window: &Window, offset: usize, value: u64) {
    if let Some([count]) = window.longs::<1>(offset) {
        count.store(value, Release);
    }
}

fn slot(count: u64) -> usize {
    // Less than 2^18.
    FIRST + usize::try_from(count % SLOTS).unwrap_or(0) * RECORD
}

fn read(window: &Window, count: u64) -> Option<Bytes> {
    let mut record = [0; RECORD];
    window.copy_out(slot(count), &mut record).then_some(record)
}

fn large_enough(records: &Window, taken: &Window) -> bool {
    records.len() as u64 >= RECORDS_BYTES && taken.len() as u64 >= TAKEN_BYTES
}

/// The gatekeeper's side.
#[derive(Debug)]
pub struct Producer {
    records: Window,
    page: Window,
    /// Records put into the ring; those from `published` on are not linked yet, also over a restart.
    written: u64,
    published: u64,
    taken: u64,
    /// `None` while nobody has said where the chain goes on.
    chain: Option<Head>,
}

impl Producer {
    /// Goes on where an earlier life of the gatekeeper stopped, else begins. With `waits`, a consumer says where the chain
    /// goes on before anything is published.
    ///
    /// `None` where the memory is too small, or what an earlier life left is no ring.
    pub fn attach(records: Window, page: Window, waits: bool) -> Option<Self> {
        if !large_enough(&records, &page) {
            return None;
        }
        let published = get(&records, PUBLISHED);
        let chain = match published.checked_sub(1) {
            None => (!waits).then(Head::default),
            Some(last) => Some(read(&records, last).and_then(|record| Head::of(&record).ok())?),
        };
        let written = get(&records, WRITTEN);
        let mut producer = Self { records, page, written, published, taken: 0, chain };
        let taken = get(&producer.page, TAKEN);
        producer.taken = if producer.sensible(taken) { taken } else { written.saturating_sub(SLOTS) };
        (published <= written && written - producer.taken <= SLOTS).then_some(producer)
    }

    /// Whether the consumer can have taken so many.
    fn sensible(&self, taken: u64) -> bool {
        (self.taken..=self.published).contains(&taken) && self.published - taken <= SLOTS
    }

    /// Whether an earlier life of the gatekeeper put records into the ring since boot.
    pub fn restarted(&self) -> bool {
        self.written > 0
    }

    /// The clients of the records that were put into the ring and not taken from it.
    pub fn clients(&self) -> impl Iterator<Item = u8> {
        (self.taken..self.written)
            .filter_map(|count| read(&self.records, count))
            .map(|record| Record::client_of(&record))
    }

    /// Records that there is room for.
    pub fn room(&self) -> u64 {
        SLOTS.saturating_sub(self.written - self.taken)
    }

    /// Records that were put into the ring and not taken from it.
    pub fn unread(&self) -> u64 {
        self.written - self.taken
    }

    /// Puts a record into the ring; whether there was room. Nobody sees it before [`publish`](Self::publish).
    pub fn push(&mut self, record: &Record) -> bool {
        let done = self.room() > 0 && self.records.copy_in(slot(self.written), &record.emit());
        if done {
            self.written += 1;
            set(&self.records, WRITTEN, self.written);
        }
        done
    }

    /// Gives back the room of what was taken; `released` hears of the client of each such record.
    pub fn refresh(&mut self, mut released: impl FnMut(u8)) {
        let taken = get(&self.page, TAKEN);
        if !self.sensible(taken) {
            return;
        }
        while self.taken < taken {
            if let Some(record) = read(&self.records, self.taken) {
                released(Record::client_of(&record));
            }
            self.taken += 1;
        }
    }

    /// Where the consumer says that the chain goes on.
    pub fn place(&self) -> Place {
        match get(&self.page, PLACE) {
            1 => {
                let mut hash = [0; HASH];
                self.page.copy_out(BASE_HASH, &mut hash);
                let head = Head { records: get(&self.page, BASE), hash };
                Place::After(head, get(&self.page, LIMIT))
            }
            2 => Place::Nobody,
            _ => Place::Unknown,
        }
    }

    /// Whether records wait to be linked because nobody has said where the chain goes on.
    pub fn waits(&self) -> bool {
        self.chain.is_none()
    }

    /// Begins the chain behind `head`, where it has not begun.
    pub fn begin(&mut self, head: Head) {
        self.chain.get_or_insert(head);
    }

    /// Links what was put into the ring and shows it to the consumer; how many records these were.
    pub fn publish(&mut self) -> u64 {
        let Some(head) = &mut self.chain else { return 0 };
        let first = self.published;
        while self.published < self.written {
            let Some(mut record) = read(&self.records, self.published) else { break };
            head.link(&mut record);
            self.records.copy_in(slot(self.published), &record);
            self.published += 1;
        }
        if self.published > first {
            set(&self.records, PUBLISHED, self.published);
        }
        self.published - first
    }
}

/// The side that keeps the records.
#[derive(Debug)]
pub struct Consumer {
    records: Window,
    page: Window,
    taken: u64,
}

impl Consumer {
    /// The consumer of a ring; `None` where the memory is too small. What an earlier life of it has taken stays taken.
    pub fn attach(records: Window, page: Window) -> Option<Self> {
        let taken = get(&page, TAKEN);
        large_enough(&records, &page).then_some(Self { records, page, taken })
    }

    /// Says that the chain goes on behind `head`, which is what is kept of it, and that there is room for `room` records more.
    /// An earlier life may have said so already: then `head` has what it kept since. Whether that is possible.
    pub fn resume(&mut self, head: Head, room: u64) -> bool {
        if get(&self.page, PLACE) == 1 {
            let kept = head.records.checked_sub(get(&self.page, BASE));
            let Some(kept) = kept.filter(|kept| (self.taken..=get(&self.records, PUBLISHED)).contains(kept)) else {
                return false;
            };
            self.take(kept - self.taken);
            return true;
        }
        set(&self.page, BASE, head.records);
        self.page.copy_in(BASE_HASH, &head.hash);
        set(&self.page, LIMIT, self.taken.saturating_add(room));
        set(&self.page, PLACE, 1);
        true
    }

    /// Says that nobody takes records.
    pub fn stop(&mut self) {
        set(&self.page, PLACE, 2);
    }

    /// Whether a record is there.
    pub fn pending(&self) -> bool {
        get(&self.records, PUBLISHED) > self.taken
    }

    /// The record `ahead` of those that are taken next; `None` where there is none yet. Also `None` where the producer's count
    /// makes no sense.
    pub fn peek(&self, ahead: u64) -> Option<Bytes> {
        let unread = get(&self.records, PUBLISHED).checked_sub(self.taken)?;
        if ahead >= unread || unread > SLOTS { None } else { read(&self.records, self.taken.checked_add(ahead)?) }
    }

    /// Takes `count` records, which are kept now.
    pub fn take(&mut self, count: u64) {
        self.taken = self.taken.saturating_add(count);
        set(&self.page, TAKEN, self.taken);
    }
}
