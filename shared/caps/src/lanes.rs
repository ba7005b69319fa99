// SPDX-License-Identifier: MIT
//! Places on the way to a disk that is given only so many requests at once, and whose turn it is to have one.
//!
//! Start-time fair queueing over a server of some depth (Jin, Chase, Kaur: SFQ(D), SIGMETRICS 2004). Each request gets a
//! start, in a time that runs as fast as the lane serves: the lane's own, or when the client's last one is paid for by its
//! weight, whichever is later. Free places go to the earliest start. No place stays free while somebody waits, but for
//! the [grace](crate::grace) of a lane that has one.
use crate::CLIENTS_MAX;
use crate::grace::{Kept, Manner};
use heapless::Vec;
use orion_block::Instant;

/// Most lanes.
const LANES_MAX: usize = 32;
/// Most volumes.
const PORTS_MAX: usize = 64;
/// What a request costs at weight 1.
const UNIT: u64 = 1 << 20;

/// A client in a lane.
#[derive(Clone, Copy, Debug)]
struct Member {
    /// When what it has asked is paid for.
    paid: u64,
    weight: u16,
    /// Its requests that wait in the lane.
    waiting: u16,
    manner: Manner,
}

impl Member {
    const NONE: Self = Self { paid: 0, weight: 1, waiting: 0, manner: Manner::UNKNOWN };
}

#[derive(Clone, Copy, Debug)]
struct Lane {
    number: u16,
    places: u16,
    used: u16,
    /// The start of the request that got a place last.
    time: u64,
    members: [Member; CLIENTS_MAX],
    kept: Kept,
}

impl Lane {
    /// Charges who was waited for, if that has come to its end.
    fn settle(&mut self, now: Instant) {
        let Some((client, requests)) = self.kept.end(now) else { return };
        if let Some(member) = self.members.get_mut(usize::from(client)) {
            let cost = (UNIT / u64::from(member.weight)).saturating_mul(requests);
            member.paid = self.time.max(member.paid).saturating_add(cost);
        }
    }

    /// The client that a place is kept for, past a request that would start at `start`, and until when.
    fn keep(&mut self, start: u64, now: Instant) -> Option<Instant> {
        let (time, grace) = (self.time, self.kept.grace());
        let mut first: Option<(u64, u8, Instant)> = None;
        for client in self.kept.thinking() {
            let Some(member) = self.members.get_mut(usize::from(client)) else { continue };
            let Some(until) = member.manner.comes_until(now, grace) else {
                self.kept.forget(client);
                continue;
            };
            let next = time.max(member.paid);
            let sooner = next < start && first.is_none_or(|(earliest, ..)| next < earliest);
            if sooner && member.waiting == 0 && member.manner.is_prompt() {
                first = Some((next, client, until));
            }
        }
        let client = first.map(|(_, client, _)| client);
        if self.kept.whom() != client {
            self.settle(now);
        }
        self.kept.begin(client, now);
        first.map(|(.., until)| until)
    }
}

/// All lanes.
#[derive(Debug)]
pub(crate) struct Lanes {
    lanes: Vec<Lane, LANES_MAX>,
    /// The lane of each volume; an index that there is not where it has none.
    of: [u8; PORTS_MAX],
    /// Volumes that have one, a bit each.
    pub ports: u64,
}

impl Lanes {
    pub const fn new() -> Self {
        Self { lanes: Vec::new(), of: [u8::MAX; PORTS_MAX], ports: 0 }
    }

    /// Puts a volume onto the lane `number`, of so many places, with a grace of so many microseconds; `false` where there is
    /// no room.
    pub fn add(&mut self, port: u8, number: u16, places: u16, grace_us: u16) -> bool {
        let known = self.lanes.iter().position(|lane| lane.number == number);
        let (kept, members) = (Kept::new(grace_us), [Member::NONE; CLIENTS_MAX]);
        let lane = Lane { number, places: places.max(1), used: 0, time: 0, members, kept };
        let index = match known {
            Some(index) => index,
            None if self.lanes.push(lane).is_ok() => self.lanes.len() - 1,
            None => return false,
        };
        let (Some(of), Ok(index)) = (self.of.get_mut(usize::from(port)), u8::try_from(index)) else { return false };
        *of = index;
        self.ports |= 1 << port;
        true
    }

    /// The lane of a volume.
    pub fn of(&self, port: u8) -> Option<u8> {
        self.of.get(usize::from(port)).copied().filter(|lane| usize::from(*lane) < self.lanes.len())
    }

    pub fn has_room(&self, lane: u8) -> bool {
        self.lanes.get(usize::from(lane)).is_some_and(|lane| lane.used < lane.places)
    }

    /// The start of a request that `client` asks now, and that costs `cost` at its weight.
    pub fn start(&mut self, lane: u8, client: u8, (cost, weight): (u16, u16), now: Instant) -> u64 {
        let Some(lane) = self.lanes.get_mut(usize::from(lane)) else { return 0 };
        if lane.kept.whom() == Some(client) {
            lane.settle(now);
        }
        let Some(member) = lane.members.get_mut(usize::from(client)) else { return lane.time };
        member.manner.asks(now, lane.kept.grace());
        lane.kept.forget(client);
        member.weight = weight.max(1);
        let start = lane.time.max(member.paid);
        member.paid = start.saturating_add(UNIT * u64::from(cost) / u64::from(member.weight));
        start
    }

    /// Whether a free place is kept for somebody else than who would start at `start`, and until when at most.
    pub fn keeps(&mut self, lane: u8, start: u64, now: Instant) -> Option<Instant> {
        self.lanes.get_mut(usize::from(lane)).filter(|lane| lane.kept.may())?.keep(start, now)
    }

    /// One more request of `client` waits in a lane.
    pub fn waits(&mut self, lane: u8, client: u8) {
        if let Some(member) = self.member(lane, client) {
            member.waiting = member.waiting.saturating_add(1);
        }
    }

    /// One waits no longer.
    pub fn waits_no_more(&mut self, lane: u8, client: u8) {
        if let Some(member) = self.member(lane, client) {
            member.waiting = member.waiting.saturating_sub(1);
        }
    }

    fn member(&mut self, lane: u8, client: u8) -> Option<&mut Member> {
        self.lanes.get_mut(usize::from(lane))?.members.get_mut(usize::from(client))
    }

    /// Gives a place to a request.
    pub fn take(&mut self, lane: u8, start: u64, now: Instant) {
        if let Some(lane) = self.lanes.get_mut(usize::from(lane)) {
            lane.kept.passes(now, lane.used);
            lane.used += 1;
            lane.time = lane.time.max(start);
        }
    }

    /// A request of `client` that had a place on the way to `port` has ended.
    pub fn leave(&mut self, port: u8, client: u8, now: Instant) {
        let Some(lane) = self.of(port).and_then(|lane| self.lanes.get_mut(usize::from(lane))) else { return };
        lane.kept.ends(now, lane.used);
        lane.used = lane.used.saturating_sub(1);
        if let Some(member) = lane.members.get_mut(usize::from(client)).filter(|_| lane.kept.may()) {
            member.manner.ends(now);
            lane.kept.thinks(client);
        }
    }
}
