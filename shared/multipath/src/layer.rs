// SPDX-License-Identifier: MIT
//! The layer.
use crate::paths::{Choice, PATHS_MAX, Paths};
use heapless::Vec;
use orion_block::{Completion, Error, Instant, Limits, Request};
use orion_layer::{Event, Id, Io, Layer, Relay, Start};

/// Requests that can wait for a way that changes; more are answered [`Error::Again`].
pub const PARKED_MAX: usize = 64;
/// Nanoseconds for which a request waits while no way can be taken and one may open.
const PATIENCE_NS: u64 = 30_000_000_000;

/// Several ways to the same disk.
#[derive(Debug)]
pub struct Multipath {
    paths: Paths,
    count: u8,
    parked: Vec<Id, PARKED_MAX>,
    now: Instant,
    /// The ways do not lead to the same disk.
    refused: bool,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    /// Over which it is sent.
    path: u8,
    /// Over which it was sent in vain, by their numbers' bits.
    tried: u8,
    /// How long it waits for a way; `None`: it did not have to yet.
    until: Option<Instant>,
}

/// Whether a request that failed so may do better over another way: what the medium or the request itself is to blame for does
/// not. Whoever answers `TimedOut` has stopped its device, so that an earlier write comes no more.
fn of_the_way(error: Error) -> bool {
    matches!(error, Error::Offline | Error::TimedOut | Error::Io | Error::Again)
}

/// Whether a device has blocks: who was given up has none, and keeps nothing from the others.
const fn is_there(limits: &Limits) -> bool {
    limits.capacity != 0
}

impl Multipath {
    /// Over `count` ways, which are the devices below.
    pub fn new(count: u8) -> Self {
        let paths = Paths::new(count.into());
        Self { paths, count, parked: Vec::new(), now: Instant::default(), refused: false }
    }

    /// The ways do not lead to the same disk: nothing is served. To be said before the layer is started.
    pub fn refuse(&mut self) {
        self.refused = true;
    }

    fn unpark(&mut self, io: &mut Io<'_, Way>) {
        while let Some(id) = self.parked.pop() {
            io.wake(id);
        }
    }

    /// A request over the way `path` failed with `error`, of the way's.
    fn blame(&mut self, path: u8, error: Error) {
        match error {
            Error::Again => self.paths.stalled(path, self.now),
            _ => self.paths.failed(path, self.now),
        }
    }

    /// Sends a request over the best way that it was not sent over; has it wait where there may be one; else it ends with `last`.
    fn send(&mut self, id: Id, way: Way, last: Completion, io: &mut Io<'_, Way>) {
        self.now = io.now();
        let wait = match self.paths.choose(way.tried, self.now) {
            Choice::Path(path) => {
                keep(Way { path, ..way }, id, io);
                return io.lower(id, path, 0, io.request(id));
            }
            Choice::Wait(until) => Some(until),
            Choice::None => self.paths.may_open().then_some(Instant(u64::MAX)),
        };
        let usual = self.now.after(PATIENCE_NS);
        // One that says how long it takes to change is waited for.
        let until = way.until.unwrap_or(wait.filter(|wait| wait.0 != u64::MAX).map_or(usual, |wait| wait.max(usual)));
        match wait.filter(|_| until > self.now) {
            Some(wait) if self.parked.push(id).is_ok() => {
                keep(Way { until: Some(until), ..way }, id, io);
                io.alarm(wait.min(until));
            }
            Some(_) => io.done(id, Completion::error(Error::Again)),
            None => io.done(id, last),
        }
    }
}

fn keep(way: Way, id: Id, io: &mut Io<'_, Way>) {
    if let Some(ctx) = io.ctx(id) {
        *ctx = way;
    }
}

impl Layer for Multipath {
    type Ctx = Way;
    const FANOUT: usize = 1;

    /// Ways that are not as large, or have other blocks, do not lead to the same disk. One that never came is left out.
    fn start(&mut self, io: &mut Io<'_, Way>) -> Start {
        let shape = |limits: Limits| (limits.block, limits.capacity);
        let mut first = None;
        let mut same = (1..=PATHS_MAX).contains(&usize::from(self.count));
        for path in 0..self.count {
            match io.below(path).filter(is_there).map(shape) {
                None => self.paths.gone(path),
                found => same &= *first.get_or_insert(found) == found,
            }
        }
        if same && first.is_some() && !self.refused { Start::Ready } else { Start::Refused(Error::Invalid) }
    }

    /// What every way allows that is there.
    fn limits(&self, below: &[Limits]) -> Limits {
        let mut below = below.iter().filter(|limits| is_there(limits));
        let first = below.next().copied().unwrap_or_default();
        below.fold(first, |all, one| Limits {
            max_blocks: all.max_blocks.min(one.max_blocks),
            capacity: all.capacity.min(one.capacity),
            atomic_blocks: all.atomic_blocks.min(one.atomic_blocks),
            queue_depth: all.queue_depth.min(one.queue_depth),
            read_only: all.read_only || one.read_only,
            volatile_cache: all.volatile_cache || one.volatile_cache,
            fua: all.fua && one.fua,
            write_zeroes: all.write_zeroes && one.write_zeroes,
            discard_granularity: all.discard_granularity.min(one.discard_granularity),
            ..all
        })
    }

    #[inline]
    fn relay(&mut self, _: u8, _: &mut Request) -> Option<Relay<Way>> {
        match self.paths.choose(0, self.now) {
            Choice::Path(port) => Some(Relay { port, ctx: Way { path: port, ..Way::default() } }),
            Choice::Wait(_) | Choice::None => None,
        }
    }

    fn rescue(&mut self, way: &Way, _: &mut Request, error: Error) -> bool {
        if of_the_way(error) {
            self.blame(way.path, error);
        }
        of_the_way(error)
    }

    /// What has waited may be sent over any way again.
    fn submit(&mut self, id: Id, io: &mut Io<'_, Way>) {
        let way = io.ctx(id).copied().unwrap_or_default();
        self.send(id, Way { tried: 0, ..way }, Completion::error(Error::Offline), io);
    }

    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, Way>) {
        let way = io.ctx(id).copied().unwrap_or_default();
        match done.status {
            Err(error) if of_the_way(error) => {
                self.now = io.now();
                self.blame(way.path, error);
                // One that may be asked again is not done with.
                let tried = if error == Error::Again { 0 } else { 1 << way.path };
                self.send(id, Way { tried: way.tried | tried, ..way }, done, io);
            }
            _ => io.done(id, done),
        }
    }

    fn event(&mut self, port: u8, event: Event, io: &mut Io<'_, Way>) {
        self.now = io.now();
        match event {
            // The node answers what is sent there by itself.
            Event::Gone => self.paths.gone(port),
            Event::Restarted | Event::Back | Event::Changed => self.paths.back(port),
            Event::Worth(access) => self.paths.set(port, access, self.now),
        }
        self.unpark(io);
    }

    fn tick(&mut self, now: Instant, io: &mut Io<'_, Way>) -> Option<Instant> {
        self.now = now;
        self.unpark(io);
        None
    }
}
