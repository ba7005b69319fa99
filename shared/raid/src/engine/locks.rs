// SPDX-License-Identifier: MIT
//! Requests that wait, and what they wait for.
use super::{Ctx, SLOTS};
use heapless::Vec;
use orion_layer::{Id, Io};

/// Requests that wait for superblocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Parked(Vec<Id, SLOTS>);

impl Parked {
    /// One more. A node has no more slots than there is room.
    pub fn push(&mut self, id: Id) {
        let fits = self.0.push(id);
        debug_assert!(fits.is_ok(), "a node of this layer has {SLOTS} slots at most");
    }

    /// Has all of them go on.
    pub fn wake(&mut self, io: &mut Io<'_, Ctx>) {
        self.0.iter().for_each(|id| io.wake(*id));
        self.0.clear();
    }
}

/// The sectors that are being written, so that overlapping writes come one after the other: on each member the same one
/// comes last.
#[derive(Clone, Debug, Default)]
pub(super) struct Locks {
    held: Vec<(Id, u64, u64), SLOTS>,
    /// What the background work has for itself, or waits for.
    claim: Option<(u64, u64)>,
    waiting: Parked,
}

fn meet(a: (u64, u64), b: (u64, u64)) -> bool {
    a.0 < b.1 && b.0 < a.1
}

impl Locks {
    /// Whether nobody writes.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Whether the request may write these sectors now; if not, it is woken when it may be able to.
    pub fn take(&mut self, id: Id, first: u64, end: u64) -> bool {
        let own = (first, end);
        let taken = self.claim.is_some_and(|claim| meet(claim, own));
        if taken || self.held.iter().any(|&(_, first, end)| meet((first, end), own)) {
            self.waiting.push(id);
            return false;
        }
        let fits = self.held.push((id, first, end));
        debug_assert!(fits.is_ok(), "a node of this layer has {SLOTS} slots at most");
        true
    }

    /// The request has written what it took.
    pub fn release(&mut self, id: Id, io: &mut Io<'_, Ctx>) {
        if let Some(at) = self.held.iter().position(|(holder, ..)| *holder == id) {
            self.held.swap_remove(at);
        }
        self.wake(io);
        if self.claim.is_some()
            && let Some(id) = io.kept(super::BACKGROUND)
        {
            io.wake(id);
        }
    }

    /// Has all go on that wait.
    pub fn wake(&mut self, io: &mut Io<'_, Ctx>) {
        self.waiting.wake(io);
    }

    /// Keeps these sectors for the background work, which is woken after each write while it waits: whether nobody writes
    /// them. No other write of them begins.
    pub fn claim(&mut self, first: u64, end: u64) -> bool {
        self.claim = Some((first, end));
        !self.held.iter().any(|&(_, a, b)| meet((a, b), (first, end)))
    }

    /// Gives them back.
    pub fn unclaim(&mut self, io: &mut Io<'_, Ctx>) {
        self.claim = None;
        self.wake(io);
    }
}
