// SPDX-License-Identifier: MIT
//! Holds each request for a time before it goes down: a slow disk, and the pattern of a layer with deadlines.
use crate::{Id, Io, Layer};
use heapless::Deque;
use orion_block::{Completion, Instant, Limits};

/// Holds each request for `ns` nanoseconds. `N` is the number of requests it can hold; more go down at once.
#[derive(Clone, Debug)]
pub struct Delay<const N: usize> {
    ns: u64,
    held: Deque<(Instant, Id), N>,
}

impl<const N: usize> Delay<N> {
    /// A layer that holds requests for `ns` nanoseconds.
    pub const fn new(ns: u64) -> Self {
        Self { ns, held: Deque::new() }
    }
}

impl<const N: usize> Layer for Delay<N> {
    /// Whether the request was held already.
    type Ctx = bool;
    const FANOUT: usize = 1;

    fn limits(&self, below: &[Limits]) -> Limits {
        below.first().copied().unwrap_or_default()
    }

    fn submit(&mut self, id: Id, io: &mut Io<'_, bool>) {
        let due = io.now().after(self.ns);
        let held = io.ctx(id).is_some_and(|held| core::mem::replace(held, true));
        if held || self.held.push_back((due, id)).is_err() {
            io.lower(id, 0, 0, io.request(id));
        } else {
            io.alarm(due);
        }
    }

    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, bool>) {
        io.done(id, done);
    }

    fn tick(&mut self, now: Instant, io: &mut Io<'_, bool>) -> Option<Instant> {
        while let Some(&(due, id)) = self.held.front() {
            if due > now {
                break;
            }
            self.held.pop_front();
            io.wake(id);
        }
        self.held.front().map(|&(due, _)| due)
    }
}
