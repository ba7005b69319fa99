// SPDX-License-Identifier: MIT
//! Plain sDDF peers, written from sDDF's structs word by word, that misbehave in one way each: a client above the
//! gatekeeper and a driver below it. The setting `way` says in which.
use crate::random::Random;
use crate::world::SimWorld;
use orion_block::Instant;
use orion_pd::config::{Link, Role};
use orion_pd::{Channel, ChannelSet, InitError, ProtectionDomain, World};
use orion_region::Window;
use std::sync::atomic::Ordering::SeqCst;

/// `blk_storage_info`: the word with `read_only`, `ready` and the sector's size; the capacity.
const READY: usize = 64;
const CAPACITY: usize = 80;
/// `blk_req_queue`: where requests begin, and bytes of one. `blk_resp_queue`: the same of responses.
const REQUESTS: (usize, usize) = (16, 32);
const RESPONSES: (usize, usize) = (8, 12);
/// Both: the counter of the consumer, of the producer.
const HEAD: usize = 0;
const TAIL: usize = 4;
/// sDDF's unit.
const BLOCK: u64 = 4096;
/// How often a peer looks at what nobody tells it.
const PAUSE: u64 = 100_000;

/// A request as a client writes it: code, offset, block, count, id.
pub type Request = (u32, u64, u64, u16, u32);

/// What a misbehaving client does, once it has written and read its first block as it may.
#[derive(Clone, Copy, Debug)]
pub enum ClientWay {
    /// It asks for this, of which nothing may be done.
    Asks(&'static [Request]),
    /// It writes a counter: of the requests' or the responses' queue, at this offset, this value more than is there.
    Counts(bool, usize, u32),
    /// It fills its queue, takes no answer for a while, and then all of them without a word.
    Hoards,
    /// It sets `plugged`, which no component of sDDF looks at, and asks for its block.
    Plugs,
    /// It changes its requests while they are in flight.
    Rewrites,
}

/// Every way, each with its name.
pub const CLIENT_WAYS: &[(&str, ClientWay)] = &[
    ("offset that wraps", ClientWay::Asks(&[(0, u64::MAX - 4095, 0, 1, 9), (1, u64::MAX - 4095, 0, 1, 9)])),
    ("offset after the data", ClientWay::Asks(&[(0, 2 << 20, 0, 1, 9), (1, (2 << 20) - 4096, 0, 2, 9)])),
    ("offset of no block", ClientWay::Asks(&[(0, 1, 0, 1, 9), (1, 4095, 0, 1, 9)])),
    ("block after the grant", ClientWay::Asks(&[(0, 0, 8, 1, 9), (1, 0, 7, 2, 9)])),
    (
        "block that wraps",
        ClientWay::Asks(&[(0, 0, u64::MAX, 1, 9), (1, 0, 1 << 61, 1, 9), (1, 0, u64::MAX, u16::MAX, 9)]),
    ),
    ("window of nobody", ClientWay::Asks(&[(0, 0, 1 << 40, 1, 9), (1, 0, 0xffff << 40, 1, 9)])),
    ("no blocks, and too many", ClientWay::Asks(&[(0, 0, 0, 0, 9), (0, 0, 0, u16::MAX, 9)])),
    ("codes of nobody", ClientWay::Asks(&[(3, 0, 0, 1, 9), (77, 0, 0, 1, 9), (u32::MAX, 0, 0, 1, 9)])),
    ("rights that it lacks", ClientWay::Asks(&[(2, 0, 0, 0, 9), (0x100, 0, 0, 1, 9), (0x101, 0, 0, 1, 9)])),
    ("one id for all", ClientWay::Asks(&[(0, 0, 8, 1, 1), (0, 0, 9, 1, 1), (0, 0, 10, 1, 1)])),
    ("requests beyond its queue", ClientWay::Counts(true, TAIL, 65)),
    ("requests taken back", ClientWay::Counts(true, TAIL, u32::MAX)),
    ("requests that others take", ClientWay::Counts(true, HEAD, 40)),
    ("answers taken that were not given", ClientWay::Counts(false, HEAD, 5)),
    ("answers that it gives itself", ClientWay::Counts(false, TAIL, 64)),
    ("answers left", ClientWay::Hoards),
    ("plugged", ClientWay::Plugs),
    ("requests changed in flight", ClientWay::Rewrites),
];

/// Both queues and the page of a connection.
struct Ends {
    info: Window,
    requests: Window,
    responses: Window,
    capacity: u32,
    channel: Channel,
}

impl Ends {
    fn new(world: &mut SimWorld, link: &Link) -> Result<Self, InitError> {
        let unmapped = InitError("a plain peer's regions are not mapped");
        let mut window = |at: u64| world.window(at).ok_or(unmapped);
        Ok(Self {
            info: window(link.info.get())?,
            requests: window(link.requests.get())?,
            responses: window(link.responses.get())?,
            capacity: link.capacity.get().into(),
            channel: Channel(link.channel.get() as u8),
        })
    }

    fn ready(&self) -> bool {
        self.info.load(READY, SeqCst) & 0xff00 != 0
    }

    /// Puts a request where `blk_enqueue_req` does.
    fn ask(&self, (code, offset, block, count, id): Request) {
        let tail = self.requests.load(TAIL, SeqCst);
        let at = REQUESTS.0 + (tail % self.capacity) as usize * REQUESTS.1;
        let words = [(0, code), (24, count.into()), (28, id)];
        words.into_iter().for_each(|(word, value)| self.requests.store(at + word, value, SeqCst));
        for (word, value) in [(8, offset), (16, block)] {
            self.requests.store(at + word, value as u32, SeqCst);
            self.requests.store(at + word + 4, (value >> 32) as u32, SeqCst);
        }
        self.requests.store(TAIL, tail.wrapping_add(1), SeqCst);
    }

    /// Takes an answer as `blk_dequeue_resp` does: status, count, id.
    fn taken(&self) -> Option<(u32, u16, u32)> {
        let (head, tail) = (self.responses.load(HEAD, SeqCst), self.responses.load(TAIL, SeqCst));
        if head == tail {
            return None;
        }
        let at = RESPONSES.0 + (head % self.capacity) as usize * RESPONSES.1;
        let word = |offset: usize| self.responses.load(at + offset, SeqCst);
        let answer = (word(0), word(4) as u16, word(8));
        self.responses.store(HEAD, head.wrapping_add(1), SeqCst);
        Some(answer)
    }

    /// Takes a request as `blk_dequeue_req` does.
    fn asked(&self) -> Option<Request> {
        let (head, tail) = (self.requests.load(HEAD, SeqCst), self.requests.load(TAIL, SeqCst));
        if head == tail {
            return None;
        }
        let at = REQUESTS.0 + (head % self.capacity) as usize * REQUESTS.1;
        let word = |offset: usize| self.requests.load(at + offset, SeqCst);
        let long = |offset: usize| u64::from(word(offset)) | u64::from(word(offset + 4)) << 32;
        let request = (word(0), long(8), long(16), word(24) as u16, word(28));
        self.requests.store(HEAD, head.wrapping_add(1), SeqCst);
        Some(request)
    }

    /// Puts an answer where `blk_enqueue_resp` does.
    fn answer(&self, status: u32, count: u16, id: u32) {
        let tail = self.responses.load(TAIL, SeqCst);
        let at = RESPONSES.0 + (tail % self.capacity) as usize * RESPONSES.1;
        [(0, status), (4, count.into()), (8, id)]
            .into_iter()
            .for_each(|(w, value)| self.responses.store(at + w, value, SeqCst));
        self.responses.store(TAIL, tail.wrapping_add(1), SeqCst);
    }
}

/// A plain sDDF client that misbehaves.
pub struct PlainClient {
    ends: Ends,
    way: ClientWay,
    /// What it has done: waited, asked for its own, misbehaved.
    step: u32,
    /// Answers that it expects, with any id.
    due: usize,
}

impl PlainClient {
    fn own(&self, from: u32) {
        // Its first block: written from its data's first, read into its second.
        self.ends.ask((1, 0, 0, 1, from));
        self.ends.ask((0, BLOCK, 0, 1, from + 1));
    }

    fn misbehave(&mut self, world: &mut SimWorld) {
        match self.way {
            ClientWay::Asks(requests) => {
                requests.iter().for_each(|request| self.ends.ask(*request));
                self.due = requests.len();
            }
            ClientWay::Counts(requests, at, more) => {
                let queue = if requests { &self.ends.requests } else { &self.ends.responses };
                queue.store(at, queue.load(at, SeqCst).wrapping_add(more), SeqCst);
                // Enough for the counters to be looked at.
                (0..self.ends.capacity).filter(|_| at == HEAD).for_each(|id| self.ends.ask((0, 0, 0, 1, id)));
            }
            ClientWay::Hoards => {
                (0..self.ends.capacity).for_each(|id| self.ends.ask((0, 0, 0, 1, id)));
                self.due = 2 * self.ends.capacity as usize;
            }
            ClientWay::Plugs => {
                self.ends.requests.store(8, 1, SeqCst);
                self.own(9);
                self.due = 2;
            }
            ClientWay::Rewrites => {
                self.own(9);
                world.notify(self.ends.channel);
                for word in 0..self.ends.capacity as usize * 8 {
                    self.ends.requests.store(REQUESTS.0 + word * 4, u32::MAX, SeqCst);
                }
            }
        }
        world.notify(self.ends.channel);
    }

    fn take(&mut self, world: &mut SimWorld) {
        // A counter that it has changed itself would have it take answers for ever.
        for _ in 0..self.ends.capacity {
            let Some((status, count, id)) = self.ends.taken() else { break };
            world.print(format_args!("answer {status} {count} {id}"));
            self.due = self.due.saturating_sub(1);
        }
    }
}

impl ProtectionDomain<SimWorld> for PlainClient {
    fn init(world: &mut SimWorld) -> Result<Self, InitError> {
        let config = world.config();
        let (_, link) = config.links_as(Role::Client).next().ok_or(InitError("a plain client needs a link"))?;
        let way = CLIENT_WAYS[config.setting("way").unwrap_or(0) as usize].1;
        Ok(Self { ends: Ends::new(world, link)?, way, step: 0, due: 0 })
    }

    fn notified(&mut self, _: ChannelSet, world: &mut SimWorld) -> Option<Instant> {
        let again = Some(world.now().after(PAUSE));
        self.step += 1;
        match (self.step, self.way) {
            // As sDDF's clients it looks at `ready` until it is.
            _ if !self.ends.ready() => {
                self.step = 0;
                return again;
            }
            (1, _) => {
                self.own(1);
                self.due = 2;
                world.notify(self.ends.channel);
            }
            (_, ClientWay::Hoards) if self.due > 2 => {
                // All answers are given, and none taken: as many requests again find no room, and nobody is told later.
                if self.step == 10_200 {
                    (0..self.ends.capacity).for_each(|id| self.ends.ask((0, 0, 0, 1, id)));
                    world.notify(self.ends.channel);
                }
                if self.step > 10_300 {
                    self.take(world);
                }
            }
            (2.., _) if self.due > 0 => self.take(world),
            (step, _) if step < 10_000 => {
                self.step = 10_000;
                self.misbehave(world);
            }
            _ => self.take(world),
        }
        if self.step > 10_400 && self.due == 0 { None } else { again.filter(|_| self.step < 10_600) }
    }
}

/// What a misbehaving driver does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DriverWay {
    /// It answers in any order, which is allowed.
    Reorders,
    /// It answers with another id.
    WrongId,
    /// It answers twice.
    Twice,
    /// It says that there are more answers than requests.
    Unasked,
    /// It takes answers back.
    TakesBack,
    /// It says that no block was done, and that all is well.
    CountsNone,
    /// It says that more blocks were done than were asked for.
    CountsMore,
    /// It answers with a status that nobody knows.
    WrongStatus,
    /// It has a capacity that no disk has.
    Capacity,
    /// It is never ready.
    NeverReady,
    /// It is not ready any more once it was.
    Unready,
    /// It writes the gatekeeper's counters and requests.
    Scribbles,
}

/// Every way.
pub const DRIVER_WAYS: &[DriverWay] = &[
    DriverWay::Reorders,
    DriverWay::WrongId,
    DriverWay::Twice,
    DriverWay::Unasked,
    DriverWay::TakesBack,
    DriverWay::CountsNone,
    DriverWay::CountsMore,
    DriverWay::WrongStatus,
    DriverWay::Capacity,
    DriverWay::NeverReady,
    DriverWay::Unready,
    DriverWay::Scribbles,
];

/// A plain sDDF driver of a disk that it has in memory, which misbehaves after some requests.
pub struct PlainDisk {
    ends: Ends,
    way: DriverWay,
    random: Random,
    /// Where devices know each data region, its bytes, its memory.
    regions: Vec<(u64, u64, Window)>,
    blocks: Vec<u8>,
    pending: Vec<Request>,
    served: u32,
    ready: bool,
}

impl PlainDisk {
    fn done(&mut self, (code, address, block, count, _): Request) -> u32 {
        let len = u64::from(count) * BLOCK;
        let at = (block * BLOCK) as usize..(block * BLOCK + len) as usize;
        let found = self.regions.iter().find(|(bus, size, _)| address >= *bus && address + len <= bus + size);
        match (code, self.blocks.get_mut(at), found) {
            (0, Some(bytes), Some((bus, _, memory))) => u32::from(!memory.copy_in((address - bus) as usize, bytes)),
            (1, Some(bytes), Some((bus, _, memory))) => u32::from(!memory.copy_out((address - bus) as usize, bytes)),
            (2, ..) => 0,
            _ => 2,
        }
    }

    fn serve(&mut self, request: Request) {
        let status = self.done(request);
        let (count, id) = (request.3, request.4);
        self.served += 1;
        // The first requests are served as they should be.
        let way = if self.served > 3 { self.way } else { DriverWay::Reorders };
        let answer = |status, count, id| self.ends.answer(status, count, id);
        match way {
            DriverWay::WrongId => answer(status, count, id ^ 0x55),
            DriverWay::CountsNone => answer(status, 0, id),
            DriverWay::CountsMore => answer(status, u16::MAX, id),
            DriverWay::WrongStatus => answer(99, count, id),
            _ => answer(status, count, id),
        }
        let tail = self.ends.responses.load(TAIL, SeqCst);
        match way {
            DriverWay::Twice => self.ends.answer(status, count, id),
            DriverWay::Unasked => self.ends.responses.store(TAIL, tail.wrapping_add(200), SeqCst),
            DriverWay::TakesBack => self.ends.responses.store(TAIL, tail.wrapping_sub(3), SeqCst),
            DriverWay::Unready => self.ends.info.store(READY, 0, SeqCst),
            DriverWay::Scribbles => {
                self.ends.responses.store(HEAD, 77, SeqCst);
                self.ends.requests.store(REQUESTS.0, u32::MAX, SeqCst);
            }
            _ => {}
        }
    }
}

impl ProtectionDomain<SimWorld> for PlainDisk {
    fn init(world: &mut SimWorld) -> Result<Self, InitError> {
        let config = world.config();
        let (_, link) = config.links_as(Role::Server).next().ok_or(InitError("a plain driver needs a link"))?;
        let way = config.setting("way").map_or(DriverWay::Reorders, |way| DRIVER_WAYS[way as usize]);
        let regions = config
            .regions
            .iter()
            .filter_map(|r| Some((r.bus.get(), r.size.get(), world.memory.window(r.name.as_str())?)));
        let regions = regions.collect();
        Ok(Self {
            ends: Ends::new(world, link)?,
            way,
            random: Random::new(7),
            regions,
            blocks: vec![0; 4 << 20],
            pending: Vec::new(),
            served: 0,
            ready: false,
        })
    }

    fn notified(&mut self, _: ChannelSet, world: &mut SimWorld) -> Option<Instant> {
        if !std::mem::replace(&mut self.ready, true) {
            // Late, and without a word to anybody.
            return Some(world.now().after(20 * PAUSE));
        }
        if !self.ends.ready() && self.served == 0 && self.way != DriverWay::NeverReady {
            let capacity = if self.way == DriverWay::Capacity { u64::MAX } else { self.blocks.len() as u64 / BLOCK };
            self.ends.info.store(CAPACITY, capacity as u32, SeqCst);
            self.ends.info.store(CAPACITY + 4, (capacity >> 32) as u32, SeqCst);
            self.ends.info.store(READY, 512 << 16 | 0x0100, SeqCst);
        }
        self.pending.extend(std::iter::from_fn(|| self.ends.asked()));
        let answers = !self.pending.is_empty();
        while !self.pending.is_empty() {
            let next = self.random.below(self.pending.len());
            let request = self.pending.swap_remove(next);
            self.serve(request);
        }
        if answers {
            world.notify(self.ends.channel);
        }
        None
    }
}
