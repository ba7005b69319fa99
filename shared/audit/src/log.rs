// SPDX-License-Identifier: MIT
//! What the gatekeeper does with what it has to tell: a record of its own, or only a count.
use crate::record::{GATEKEEPER, Name, Record, What};
use crate::ring::{Place, Producer};
use crate::shares::Shares;
use orion_block::Instant;
use orion_caps::CLIENTS_MAX;

/// How often it is looked whether somebody has said where the chain goes on, and whether there is room again.
const LOOK_NS: u64 = 10_000_000;
const ROOM_NS: u64 = 1_000_000_000;

/// What came of settling.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The consumer has something to take.
    pub published: bool,
    /// When to settle again, though nothing happens until then.
    pub again: Option<Instant>,
}

/// The records of a gatekeeper.
#[derive(Debug)]
pub struct Log {
    producer: Producer,
    shares: Shares,
    /// Somebody is to keep the records: what can't be recorded is not to be done.
    kept: bool,
}

impl Log {
    /// The log of a gatekeeper with so many clients; whether somebody is to keep it.
    pub fn new(producer: Producer, clients: usize, kept: bool) -> Self {
        let mut shares = Shares::new(clients);
        if let Place::After(_, limit) = producer.place() {
            shares.limit(limit);
        }
        producer.clients().for_each(|client| shares.put(client));
        Self { producer, shares, kept }
    }

    /// Whether this is not the first life of the gatekeeper since boot.
    pub fn restarted(&self) -> bool {
        self.producer.restarted()
    }

    /// Records something of the gatekeeper's own; whether there was room.
    pub fn note(&mut self, record: &Record) -> bool {
        self.producer.push(&Record { client: GATEKEEPER, ..*record })
    }

    /// Whether a change by `client` may be done: it can be recorded, or nobody keeps records.
    pub fn may(&mut self, client: u8) -> bool {
        !self.kept || self.has_room(client)
    }

    fn has_room(&mut self, client: u8) -> bool {
        let Self { producer, shares, .. } = self;
        producer.refresh(|client| shares.released(client));
        self.producer.room() > 0 && self.shares.may(client)
    }

    /// Records a change by the record's client; whether there was room.
    pub fn changed(&mut self, record: &Record) -> bool {
        let done = self.has_room(record.client) && self.producer.push(record);
        if done {
            self.shares.put(record.client);
        }
        done
    }

    /// Records a refusal, or counts it.
    pub fn refused(&mut self, record: &Record, now: Instant) {
        let client = record.client;
        if self.owes(client) && self.sum(client, record.who, now).is_err() {
            return self.missed(client, 1);
        }
        let room = self.has_room(client);
        let Some(share) = self.shares.get(client) else { return };
        if !room || share.pace.take(now).is_err() || !self.changed(record) {
            self.missed(client, 1);
        }
    }

    /// Counts refusals of `client` of which nothing else is known.
    pub fn missed(&mut self, client: u8, refusals: u64) {
        if let Some(share) = self.shares.get(client) {
            share.counted = share.counted.saturating_add(refusals);
        }
    }

    fn owes(&mut self, client: u8) -> bool {
        self.shares.get(client).is_some_and(|share| share.counted > 0)
    }

    /// Sums up what was counted.
    ///
    /// # Errors
    /// There is no room, and when to try again, if ever.
    fn sum(&mut self, client: u8, who: Name, now: Instant) -> Result<(), Option<Instant>> {
        if !self.has_room(client) {
            let comes = self.producer.place() != Place::Nobody && self.producer.unread() > 0;
            let comes = comes && self.producer.place() != Place::Unknown && self.shares.hopes(client);
            return Err(comes.then(|| now.after(ROOM_NS)));
        }
        let Some(share) = self.shares.get(client) else { return Err(None) };
        share.pace.take(now).map_err(Some)?;
        let count = core::mem::take(&mut share.counted);
        let record = Record { what: What::Counted, client, who, count, time: now.0, ..Record::default() };
        if self.changed(&record) {
            return Ok(());
        }
        self.missed(client, count);
        Err(None)
    }

    /// Sums up what can be, links what was recorded and shows it to the consumer. `who` gives the names of clients.
    pub fn settle(&mut self, now: Instant, who: impl Fn(u8) -> Name) -> Settled {
        let mut again: Option<Instant> = None;
        let mut later = |at: Instant| again = Some(again.map_or(at, |earlier| earlier.min(at)));
        self.begin();
        for client in (0..u8::try_from(CLIENTS_MAX).unwrap_or(u8::MAX)).filter(|client| *client != GATEKEEPER) {
            if self.owes(client)
                && let Err(Some(at)) = self.sum(client, who(client), now)
            {
                later(at);
            }
        }
        let published = self.producer.publish() > 0;
        if self.producer.waits() {
            later(now.after(LOOK_NS));
        }
        Settled { published, again }
    }

    /// Begins the chain where the consumer has said where it goes on.
    fn begin(&mut self) {
        if !self.producer.waits() {
            return;
        }
        match self.producer.place() {
            Place::Unknown => {}
            Place::Nobody => self.producer.begin(crate::Head::default()),
            Place::After(head, limit) => {
                self.shares.limit(limit);
                self.producer.begin(head);
            }
        }
    }
}
