// SPDX-License-Identifier: MIT
//! A client that does all that a client may, keeps the journal of it, and tries what it may not.
//!
//! After each start it reads all its blocks, so that what a loss of power left is compared with what may be left.
use crate::events::Event;
use crate::history::{Ended, Moment, Value};
use crate::journal::{Journal, content};
use crate::random::Random;
use crate::world::SimWorld;
use orion_block::{Error, Op};
use orion_pd::config::Role;
use orion_pd::links::{self, ReplayClient};
use orion_pd::{Channel, ChannelSet, InitError, Instant, ProtectionDomain, Verdict, World};
use orion_region::Window;
use orion_ring::{Answer, Submission};
use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;

/// Blocks of one request at most.
const MOST: u64 = 8;
/// How long it waits before it looks again for a server that is not ready.
const POLL_NS: u64 = 1_000_000;

/// Blocks that a client was granted.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// The window of its connection.
    pub window: u64,
    /// The disk.
    pub disk: usize,
    /// The first of the disk's blocks.
    pub first: u64,
    /// How many there are.
    pub blocks: u64,
}

/// What a client has to do.
#[derive(Clone, Debug)]
pub struct Job {
    /// What it was granted.
    pub parts: Vec<Part>,
    /// Requests after those that read what is there.
    pub requests: u32,
    /// Requests in flight at most.
    pub depth: usize,
    /// Whether nothing may fail but what is refused.
    pub strict: bool,
    /// Whether what it did is durable when it is done, without a flush.
    pub through: bool,
    /// Whether its disks can write zeroes.
    pub zeroes: bool,
    /// Whether they discard.
    pub discards: bool,
    /// Of its choices.
    pub seed: u64,
}

/// A request in flight.
#[derive(Clone, Debug)]
struct Flight {
    op: Op,
    fua: bool,
    part: Part,
    /// The disk's blocks.
    blocks: Range<u64>,
    value: Value,
    begin: Moment,
    /// It must be denied.
    forbidden: bool,
}

/// What a client has in flight. It outlives the client, since what was asked may be done after its death.
#[derive(Debug, Default)]
pub struct Flights {
    own: Vec<Option<Flight>>,
    /// Of earlier lives.
    orphans: Vec<Flight>,
}

impl Flights {
    /// After the death of who had them.
    fn orphaned(mut self) -> Self {
        self.orphans.extend(self.own.drain(..).flatten());
        self
    }

    /// The next life is served: what was asked before either was done or never will be.
    fn settle(&mut self, journal: &mut Journal) {
        for Flight { op, part, blocks, value, begin, forbidden, .. } in self.orphans.drain(..) {
            match op {
                _ if forbidden => {}
                Op::Read => journal.read_ends(part.disk, blocks, begin, |_| None),
                Op::Flush => {}
                Op::Write | Op::WriteZeroes | Op::Discard => {
                    journal.write_ends(part.disk, blocks.clone(), value, |_| Ended::Perhaps);
                    if op == Op::Discard {
                        blocks.for_each(|block| journal.spoil(part.disk, block));
                    }
                    journal.events.note(Event::Orphaned);
                }
            }
        }
    }
}

/// The client.
#[derive(Debug)]
pub struct SimClient {
    client: ReplayClient<64>,
    channel: Channel,
    data: Window,
    job: Job,
    random: Random,
    flights: Rc<RefCell<Flights>>,
    /// Bytes of a block, once the server is ready.
    block: usize,
    /// What is still to be read after the start.
    unread: Vec<(Part, Range<u64>)>,
    left: u32,
    over: bool,
}

impl ProtectionDomain<SimWorld> for SimClient {
    fn init(world: &mut SimWorld) -> Result<Self, InitError> {
        let config = world.config();
        let (index, link) = config.links_as(Role::Client).next().ok_or(InitError("a client needs a grant"))?;
        let region = config.regions.get(usize::from(link.data.get())).ok_or(InitError("a client needs memory"))?;
        let data = world.window(region.vaddr.get()).ok_or(InitError("the client's memory is not mapped"))?;
        let client = links::client(world, index)?;
        let job = world.common.borrow().jobs.get(config.name).cloned().ok_or(InitError("a client needs a job"))?;
        let flights = Rc::<RefCell<Flights>>::default();
        let before = world.common.borrow_mut().flights.insert(config.name.to_owned(), flights.clone());
        if let Some(before) = before {
            *flights.borrow_mut() = before.take().orphaned();
        }
        Ok(Self {
            client,
            channel: Channel(link.channel.get() as u8),
            data,
            random: Random::new(job.seed),
            flights,
            block: 0,
            unread: Vec::new(),
            left: job.requests,
            over: false,
            job,
        })
    }

    fn notified(&mut self, _: ChannelSet, world: &mut SimWorld) -> Option<Instant> {
        self.client.wake();
        loop {
            if self.block == 0 && !self.begin(world) {
                if self.client.publish() {
                    world.notify(self.channel);
                }
                self.client.sleep();
                return Some(world.now().after(POLL_NS));
            }
            {
                let journal = &mut world.common.borrow_mut().journal;
                self.take(journal);
                self.ask(journal);
            }
            let all = self.left == 0 && self.unread.is_empty() && self.flights.borrow().own.iter().all(Option::is_none);
            if all && !std::mem::replace(&mut self.over, true) {
                let name = world.config.name.into();
                world.common.borrow_mut().verdicts.insert(name, Verdict::Passed);
            }
            if self.client.publish() {
                world.notify(self.channel);
            }
            if self.client.sleep() {
                return None;
            }
            self.client.wake();
        }
    }
}

impl SimClient {
    /// Learns the unit of blocks, once the server is ready.
    fn begin(&mut self, world: &SimWorld) -> bool {
        let Some(info) = self.client.server() else { return false };
        self.flights.borrow_mut().settle(&mut world.common.borrow_mut().journal);
        self.block = info.limits.block.bytes() as usize;
        let slots = self.data.len() / (self.block * MOST as usize);
        self.flights.borrow_mut().own = vec![None; slots.min(self.job.depth).min(self.client.capacity())];
        for part in &self.job.parts {
            let end = part.first + part.blocks;
            let pieces = (part.first..end).step_by(MOST as usize).map(|at| (*part, at..end.min(at + MOST)));
            self.unread.extend(pieces);
        }
        true
    }

    fn take(&mut self, journal: &mut Journal) {
        loop {
            match self.client.pop() {
                Ok(Some(answer)) => self.answered(answer, journal),
                Ok(None) => return,
                Err(misbehaved) => return journal.wrong(|| format!("the gatekeeper {}", misbehaved.what)),
            }
        }
    }

    fn answered(&mut self, answer: Answer, journal: &mut Journal) {
        let slot = answer.id as usize;
        let flight = self.flights.borrow_mut().own.get_mut(slot).and_then(Option::take);
        let Some(flight) = flight else {
            return journal.wrong(|| format!("{answer:?} answers what was not asked"));
        };
        journal.events.note(Event::Request);
        self.judge(&flight, answer, journal);
        match flight.op {
            _ if flight.forbidden => {}
            Op::Read => self.read(slot, &flight, answer, journal),
            Op::Flush if answer.status.is_ok() => {
                journal.flushed(flight.part.disk, flight.begin);
                journal.events.note(Event::Flush);
            }
            Op::Flush => {}
            Op::Discard => {
                let (blocks, value) = (flight.blocks.clone(), flight.value);
                journal.write_ends(flight.part.disk, blocks.clone(), value, |_| Ended::Perhaps);
                blocks.for_each(|block| journal.spoil(flight.part.disk, block));
                journal.events.note(Event::Discard);
            }
            Op::Write | Op::WriteZeroes => self.wrote(&flight, answer, journal),
        }
    }

    /// Whether the answer may be given.
    fn judge(&self, flight: &Flight, answer: Answer, journal: &mut Journal) {
        let blocks = flight.blocks.end - flight.blocks.start;
        let bad = match answer.status {
            Ok(()) => flight.forbidden || u64::from(answer.blocks) != blocks,
            Err(Error::Denied) => !flight.forbidden,
            // Of a volume that was lost nobody says what lies beyond a grant; nothing was done.
            Err(Error::Offline) if flight.forbidden => self.job.strict || answer.blocks != 0,
            Err(Error::Io | Error::Medium | Error::TimedOut | Error::Offline | Error::Again) => {
                self.job.strict || flight.forbidden || u64::from(answer.blocks) > blocks
            }
            Err(_) => true,
        };
        if bad {
            journal.wrong(|| format!("{flight:?} was answered with {answer:?}"));
        }
        match answer.status {
            Err(Error::Denied) => journal.events.note(Event::Denied),
            Err(_) => journal.events.note(Event::Failed),
            Ok(()) => {}
        }
    }

    fn read(&self, slot: usize, flight: &Flight, answer: Answer, journal: &mut Journal) {
        let good = flight.blocks.start + u64::from(answer.blocks);
        let found = |block: u64| {
            let mut bytes = vec![0; self.block];
            let at = self.payload(slot) + (block - flight.blocks.start) as usize * self.block;
            (block < good && self.data.copy_out(at, &mut bytes)).then_some(bytes)
        };
        journal.read_ends(flight.part.disk, flight.blocks.clone(), flight.begin, found);
        // What can't be read after a loss of power is not known.
        for block in good..flight.blocks.end {
            journal.unreadable(flight.part.disk, block);
        }
    }

    fn wrote(&self, flight: &Flight, answer: Answer, journal: &mut Journal) {
        let durable = self.job.through || flight.fua;
        let good = flight.blocks.start + u64::from(answer.blocks);
        journal.write_ends(flight.part.disk, flight.blocks.clone(), flight.value, |block| match answer.status {
            Ok(()) => Ended::Done { durable },
            // Nothing was done.
            Err(Error::Again) => Ended::Not,
            Err(_) if block < good => Ended::Done { durable: false },
            Err(_) => Ended::Perhaps,
        });
        journal.events.note(match flight.op {
            Op::WriteZeroes => Event::Zeroes,
            _ if flight.fua => Event::Fua,
            _ => return,
        });
    }

    fn payload(&self, slot: usize) -> usize {
        slot * self.block * MOST as usize
    }

    fn ask(&mut self, journal: &mut Journal) {
        while let Some(slot) = self.free().filter(|_| self.client.room() > 0) {
            let Some(flight) = self.choose(journal) else { return };
            self.send(slot, flight, journal);
        }
    }

    fn free(&self) -> Option<usize> {
        self.flights.borrow().own.iter().position(Option::is_none)
    }

    /// What to ask next.
    fn choose(&mut self, journal: &mut Journal) -> Option<Flight> {
        let flight = |op, part, blocks| Flight { op, fua: false, part, blocks, value: 0, begin: 0, forbidden: false };
        if let Some((part, blocks)) = self.unread.pop() {
            return Some(flight(Op::Read, part, blocks));
        }
        // First everybody has to know what is there.
        let reading = self.flights.borrow().own.iter().flatten().any(|f| f.op == Op::Read && !f.forbidden);
        if self.left == 0 || reading && self.left == self.job.requests {
            return None;
        }
        self.left -= 1;
        let part = self.job.parts[self.random.below(self.job.parts.len())];
        let len = 1 + self.random.below(MOST.min(part.blocks) as usize) as u64;
        let first = part.first + self.random.below((part.blocks - len + 1) as usize) as u64;
        let blocks = first..first + len;
        Some(match self.random.below(40) {
            0..16 => flight(Op::Read, part, blocks),
            16..29 => Flight { value: journal.fresh(), ..flight(Op::Write, part, blocks) },
            29..32 => Flight { value: journal.fresh(), fua: true, ..flight(Op::Write, part, blocks) },
            32..35 => flight(Op::Flush, part, 0..0),
            35..37 if self.job.zeroes && journal.can_take_zeroes(part.disk, blocks.clone()) => {
                flight(Op::WriteZeroes, part, blocks)
            }
            37 if self.job.discards => Flight { value: journal.fresh(), ..flight(Op::Discard, part, blocks) },
            38 => {
                let end = part.first + part.blocks;
                let op = [Op::Read, Op::Write, Op::WriteZeroes][self.random.below(3)];
                let first = end - self.random.below(MOST.min(part.blocks) as usize) as u64;
                Flight { forbidden: true, ..flight(op, part, first..end + 1) }
            }
            _ => flight(Op::Read, part, blocks),
        })
    }

    fn send(&mut self, slot: usize, mut flight: Flight, journal: &mut Journal) {
        let (disk, blocks, at) = (flight.part.disk, flight.blocks.clone(), self.payload(slot));
        let mut bytes = vec![0x5a; self.block];
        for (index, block) in blocks.clone().enumerate() {
            if flight.op == Op::Write {
                content(if flight.forbidden { 1 } else { flight.value }, block, &mut bytes);
            }
            let _ = self.data.copy_in(at + index * self.block, &bytes);
        }
        match flight.op {
            _ if flight.forbidden => {}
            Op::Read => flight.begin = journal.read_begins(disk, blocks.clone()),
            Op::Flush => flight.begin = journal.now(),
            Op::Discard => {
                blocks.clone().for_each(|block| journal.spoil(disk, block));
                journal.write_begins(disk, blocks.clone(), flight.value);
            }
            Op::Write | Op::WriteZeroes => journal.write_begins(disk, blocks.clone(), flight.value),
        }
        let window = flight.part.window << 40;
        let entry = Submission {
            id: slot as u32,
            op: flight.op,
            fua: flight.fua,
            block: if flight.op == Op::Flush { window } else { window | (blocks.start - flight.part.first) },
            count: (blocks.end - blocks.start) as u16,
            address: if flight.op.has_payload() { at as u64 } else { 0 },
        };
        assert!(self.client.push(entry).is_ok(), "there was room");
        self.flights.borrow_mut().own[slot] = Some(flight);
    }
}
