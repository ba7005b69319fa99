// SPDX-License-Identifier: MIT
//! The layer.
use crate::paths::{Access, Choice, PATHS_MAX, Paths};
use heapless::Vec;
use orion_block::{Completion, Error, Instant, Limits, Request};
use orion_layer::{Event, Id, Io, Layer, Relay, Start};

/// Requests that can wait for a way that changes; more are answered [`Error::Again`].
pub const PARKED_MAX: usize = 64;

/// Several ways to the same disk.
#[derive(Debug)]
pub struct Multipath {
    paths: Paths,
    count: u8,
    parked: Vec<Id, PARKED_MAX>,
    now: Instant,
}

/// How far a request is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Way {
    /// Over which it is sent.
    path: u8,
    /// Over which it was sent in vain, by their numbers' bits.
    tried: u8,
}

/// Whether a request that failed so may do better over another way: what the medium or the request itself is to blame for does
/// not. Whoever answers `TimedOut` has stopped its device, so that an earlier write comes no more.
const fn of_the_way(error: Error) -> bool {
    matches!(error, Error::Offline | Error::TimedOut | Error::Io)
}

impl Multipath {
    /// Over `count` ways, which are the devices below.
    pub fn new(count: u8) -> Self {
        let paths = Paths::new(count.into());
        Self { paths, count, parked: Vec::new(), now: Instant::default() }
    }

    /// What the way `path` is worth from now on; requests that wait for one are looked at again.
    pub fn access(&mut self, path: u8, access: Access, io: &mut Io<'_, Way>) {
        self.paths.set(path, access);
        self.unpark(io);
    }

    fn unpark(&mut self, io: &mut Io<'_, Way>) {
        while let Some(id) = self.parked.pop() {
            io.wake(id);
        }
    }

    fn send(&mut self, id: Id, tried: u8, io: &mut Io<'_, Way>) {
        self.now = io.now();
        match self.paths.choose(tried, self.now) {
            Choice::Path(path) => {
                if let Some(way) = io.ctx(id) {
                    *way = Way { path, tried };
                }
                io.lower(id, path, 0, io.request(id));
            }
            Choice::Wait(until) if self.parked.push(id).is_ok() => io.alarm(until),
            Choice::Wait(_) => io.done(id, Completion::error(Error::Again)),
            Choice::None => io.done(id, Completion::error(Error::Offline)),
        }
    }
}

impl Layer for Multipath {
    type Ctx = Way;
    const FANOUT: usize = 1;

    /// Ways that are not as large, or have other blocks, do not lead to the same disk.
    fn start(&mut self, io: &mut Io<'_, Way>) -> Start {
        let shape = |limits: Limits| (limits.block, limits.capacity);
        let first = io.below(0).map(shape);
        let same = (1..self.count).all(|path| io.below(path).map(shape) == first);
        let some = (1..=PATHS_MAX).contains(&usize::from(self.count));
        if same && some && first.is_some() { Start::Ready } else { Start::Refused(Error::Invalid) }
    }

    /// What every way allows.
    fn limits(&self, below: &[Limits]) -> Limits {
        let first = below.first().copied().unwrap_or_default();
        below.iter().fold(first, |all, one| Limits {
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
            Choice::Path(port) => Some(Relay { port, ctx: Way { path: port, tried: 0 } }),
            Choice::Wait(_) | Choice::None => None,
        }
    }

    fn rescue(&mut self, way: &Way, _: &mut Request, error: Error) -> bool {
        if of_the_way(error) {
            self.paths.failed(way.path, self.now);
        }
        of_the_way(error)
    }

    fn submit(&mut self, id: Id, io: &mut Io<'_, Way>) {
        let tried = io.ctx(id).map_or(0, |way| way.tried);
        self.send(id, tried, io);
    }

    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, Way>) {
        let way = io.ctx(id).copied().unwrap_or_default();
        match done.status {
            Err(error) if of_the_way(error) => {
                self.paths.failed(way.path, io.now());
                let tried = way.tried | 1 << way.path;
                if self.paths.choose(tried, io.now()) == Choice::None {
                    return io.done(id, done);
                }
                self.send(id, tried, io);
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
        }
        self.unpark(io);
    }

    fn tick(&mut self, now: Instant, io: &mut Io<'_, Way>) -> Option<Instant> {
        self.now = now;
        self.unpark(io);
        None
    }
}
