// SPDX-License-Identifier: MIT
//! Several queues of one device (VIRTIO_BLK_F_MQ) as one: a slot of the engine's gets a place in one of them while the device
//! holds its request.
//!
//! Each client has a queue, so that none fills another's; of a client that is alone each batch goes to the next queue, for a
//! device that serves its queues in parallel. Where that queue is full the request goes to another.
use super::{AnyQueue, Armed, Held, Misused, Payload, Place, QUEUES_MAX, Ring, SLOTS_MAX, Terms, Used, WORDS, Wishes};
use crate::Fault;
use core::array::from_fn;
use orion_driver::Free;
use orion_region::Window;

const QUEUES: usize = QUEUES_MAX as usize;
const SLOTS: usize = SLOTS_MAX as usize;

/// One queue of several.
#[derive(Debug)]
struct Lane {
    queue: AnyQueue,
    free: Free<SLOTS>,
    /// Whose request is in each of its slots.
    owners: [u16; SLOTS],
}

/// A slot's place.
#[derive(Clone, Copy, Debug)]
struct Seat {
    lane: u8,
    slot: u16,
}

/// Whose requests come.
#[derive(Clone, Copy, Debug)]
enum Clients {
    None,
    One(u8),
    Several,
}

/// Several queues.
#[derive(Debug)]
pub struct Many {
    lanes: [Option<Lane>; QUEUES],
    count: u8,
    terms: Terms,
    seats: [Option<Seat>; SLOTS],
    /// The place of the request that was popped last.
    popped: Option<Seat>,
    /// Whether anything was staged since the last time.
    staged: bool,
    clients: Clients,
    /// The queue for what comes now.
    lane: u8,
    /// The queue that is looked at first.
    first: u8,
}

impl Many {
    fn get(&mut self, lane: u8) -> Option<&mut Lane> {
        self.lanes.get_mut(usize::from(lane)).and_then(Option::as_mut)
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        self.lanes.iter().flatten()
    }

    /// The place of a slot's request, found for it if it has none.
    fn seat(&mut self, slot: u16) -> Option<Seat> {
        if let Some(seat) = self.seats.get(usize::from(slot)).copied().flatten() {
            return Some(seat);
        }
        let seat = (0..self.count).find_map(|ahead| {
            let nth = (self.lane + ahead) % self.count.max(1);
            let lane = self.get(nth)?;
            let place = lane.free.take()?;
            *lane.owners.get_mut(usize::from(place))? = slot;
            Some(Seat { lane: nth, slot: place })
        })?;
        *self.seats.get_mut(usize::from(slot))? = Some(seat);
        Some(seat)
    }

    fn pop_from(&mut self, nth: u8) -> Result<Option<Used>, Misused> {
        let Some(lane) = self.get(nth) else { return Ok(None) };
        let Some(used) = lane.queue.pop()? else { return Ok(None) };
        lane.free.give(used.slot);
        let slot = lane.owners.get(usize::from(used.slot)).copied().unwrap_or(u16::MAX);
        if let Some(seat) = self.seats.get_mut(usize::from(slot)) {
            self.popped = seat.take();
        }
        Ok(Some(Used { slot, ..used }))
    }
}

impl Ring for Many {
    fn features(wishes: Wishes) -> u64 {
        let several = if wishes.queues > 1 { crate::blk::wire::feature::MQ } else { 0 };
        AnyQueue::features(wishes) | several
    }

    fn agree(features: u64) -> u64 {
        AnyQueue::agree(features)
    }

    fn new(memory: Window, bus: u64, terms: Terms) -> Result<Self, Fault> {
        let queues = terms.queues.clamp(1, QUEUES_MAX);
        let share = memory.len() / usize::from(queues) / 4096 * 4096;
        let (mut lanes, mut rest, mut at) = (from_fn(|_| None), memory, bus);
        for to in lanes.iter_mut().take(queues.into()) {
            let (part, after) = rest.split(share).ok_or(Fault::Dma)?;
            let queue = AnyQueue::new(part, at, terms)?;
            *to = Some(Lane { free: Free::new(queue.slots()), queue, owners: [0; SLOTS] });
            (rest, at) = (after, at.wrapping_add(share as u64));
        }
        let count = u8::try_from(queues).unwrap_or(1);
        let seats = [None; SLOTS];
        Ok(Self { lanes, count, terms, seats, popped: None, clients: Clients::None, lane: 0, first: 0, staged: false })
    }

    fn again(&mut self, terms: Terms) -> Result<(), Fault> {
        if terms.queues < self.count.into() {
            return Err(Fault::Changed);
        }
        self.seats = [None; SLOTS];
        for lane in self.lanes.iter_mut().flatten() {
            lane.queue.again(terms)?;
            lane.free = Free::new(lane.queue.slots());
        }
        self.terms = terms;
        Ok(())
    }

    fn forget(&mut self) {
        self.seats = [None; SLOTS];
        self.lanes.iter_mut().flatten().for_each(|lane| lane.queue.forget());
    }

    fn queues(&self) -> u16 {
        self.count.into()
    }

    fn queue_of(&self, slot: u16) -> Option<u16> {
        self.seats.get(usize::from(slot)).copied().flatten().map(|seat| seat.lane.into())
    }

    fn renew(&mut self, queue: u16) -> Result<Place, Fault> {
        let terms = self.terms;
        let lane = self.lanes.get_mut(usize::from(queue)).and_then(Option::as_mut).ok_or(Fault::Queue)?;
        lane.queue.again(terms)?;
        lane.free = Free::new(lane.queue.slots());
        let place = lane.queue.place(0);
        self.seats
            .iter_mut()
            .filter(|seat| seat.is_some_and(|s| u16::from(s.lane) == queue))
            .for_each(|seat| *seat = None);
        Ok(place)
    }

    fn place(&self, queue: u16) -> Place {
        let lane = self.lanes.get(usize::from(queue)).and_then(Option::as_ref);
        lane.map_or(Place { size: 0, areas: [0; 3] }, |lane| lane.queue.place(0))
    }

    fn slots(&self) -> u16 {
        self.lanes().map(|lane| lane.queue.slots()).sum::<u16>().min(SLOTS_MAX)
    }

    fn shape(&self) -> &'static str {
        self.lanes().next().map_or("", |lane| lane.queue.shape())
    }

    fn held(&self) -> Held {
        let mut held = Held::NONE;
        for (slot, _) in (0..).zip(&self.seats).filter(|(_, seat)| seat.is_some()) {
            held.set(slot, true);
        }
        held
    }

    fn has_seen(&self) -> bool {
        self.lanes().any(|lane| lane.queue.has_seen())
    }

    fn pending(&self) -> bool {
        self.lanes().any(|lane| lane.queue.pending())
    }

    fn words(&mut self, slot: u16, words: [u64; WORDS], len: u32) -> Payload {
        let seat = self.seat(slot);
        let lane = seat.and_then(|seat| Some((self.get(seat.lane)?, seat.slot)));
        lane.map_or(Payload::NONE, |(lane, slot)| lane.queue.words(slot, words, len))
    }

    fn blank(&mut self, slot: u16, len: u32) -> Payload {
        let seat = self.seat(slot);
        let lane = seat.and_then(|seat| Some((self.get(seat.lane)?, seat.slot)));
        lane.map_or(Payload::NONE, |(lane, slot)| lane.queue.blank(slot, len))
    }

    /// Its place is given back, but nobody else has got it yet.
    fn written(&self, _: u16) -> [u64; WORDS] {
        let lane = self.popped.and_then(|seat| Some((self.lanes.get(usize::from(seat.lane))?.as_ref()?, seat.slot)));
        lane.map_or([0; WORDS], |(lane, slot)| lane.queue.written(slot))
    }

    fn stage(&mut self, slot: u16, header: [u64; 2], payload: Payload) {
        let seat = self.seat(slot);
        if let Some((lane, slot)) = seat.and_then(|seat| Some((self.get(seat.lane)?, seat.slot))) {
            lane.queue.stage(slot, header, payload);
            self.staged = true;
        }
    }

    fn show(&mut self, mut notify: impl FnMut(u16)) {
        for (nth, lane) in (0..).zip(self.lanes.iter_mut().flatten()) {
            lane.queue.show(|_| notify(nth));
        }
        if core::mem::take(&mut self.staged) && matches!(self.clients, Clients::One(_) | Clients::None) {
            self.lane = (self.lane + 1) % self.count.max(1);
        }
    }

    fn pop(&mut self) -> Result<Option<Used>, Misused> {
        for ahead in 0..self.count {
            let nth = (self.first + ahead) % self.count.max(1);
            if let Some(used) = self.pop_from(nth)? {
                // The next one is of another queue: none is kept waiting by one that is always busy.
                self.first = (nth + 1) % self.count.max(1);
                return Ok(Some(used));
            }
        }
        Ok(None)
    }

    fn arm(&mut self) -> Armed {
        let mut all = Armed::Already;
        for lane in self.lanes.iter_mut().flatten() {
            match lane.queue.arm() {
                Armed::Late => return Armed::Late,
                Armed::Now => all = Armed::Now,
                Armed::Already => {}
            }
        }
        all
    }

    fn lane(&mut self, client: u8) {
        match self.clients {
            Clients::None => self.clients = Clients::One(client),
            Clients::One(one) if one != client => self.clients = Clients::Several,
            _ => {}
        }
        if matches!(self.clients, Clients::Several) {
            self.lane = client % self.count.max(1);
        }
    }
}
