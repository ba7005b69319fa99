// SPDX-License-Identifier: MIT
//! Places on the way to a disk that is given only so many requests at once, and whose turn it is to have one.
//!
//! Start-time fair queueing over a server of some depth (Jin, Chase, Kaur: SFQ(D), SIGMETRICS 2004). Each request gets a
//! start, in a time that runs as fast as the lane serves: the lane's own, or when the client's last one is paid for by its
//! weight, whichever is later. Free places go to the earliest start. No place stays free while somebody waits.
use crate::CLIENTS_MAX;
use heapless::Vec;

/// Most lanes.
const LANES_MAX: usize = 32;
/// Most volumes.
const PORTS_MAX: usize = 64;
/// What a request costs at weight 1.
const UNIT: u64 = 1 << 20;

#[derive(Clone, Copy, Debug)]
struct Lane {
    number: u16,
    places: u16,
    used: u16,
    /// The start of the request that got a place last.
    time: u64,
    /// When what each client has asked is paid for.
    paid: [u64; CLIENTS_MAX],
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

    /// Puts a volume onto the lane `number`, of so many places; `false` where there is no room.
    pub fn add(&mut self, port: u8, number: u16, places: u16) -> bool {
        let known = self.lanes.iter().position(|lane| lane.number == number);
        let lane = Lane { number, places: places.max(1), used: 0, time: 0, paid: [0; CLIENTS_MAX] };
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

    /// The start of a request of `client` that costs `cost` at its weight.
    pub fn start(&mut self, lane: u8, client: u8, cost: u16, weight: u16) -> u64 {
        let Some(lane) = self.lanes.get_mut(usize::from(lane)) else { return 0 };
        let Some(paid) = lane.paid.get_mut(usize::from(client)) else { return lane.time };
        let start = lane.time.max(*paid);
        *paid = start.saturating_add(UNIT * u64::from(cost) / u64::from(weight.max(1)));
        start
    }

    /// Gives a place to a request.
    pub fn take(&mut self, lane: u8, start: u64) {
        if let Some(lane) = self.lanes.get_mut(usize::from(lane)) {
            lane.used += 1;
            lane.time = lane.time.max(start);
        }
    }

    /// A request that had a place on the way to `port` has ended.
    pub fn leave(&mut self, port: u8) {
        if let Some(lane) = self.of(port).and_then(|lane| self.lanes.get_mut(usize::from(lane))) {
            lane.used = lane.used.saturating_sub(1);
        }
    }
}
