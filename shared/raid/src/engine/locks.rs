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
        if !self.0.is_empty() {
            self.0.iter().for_each(|id| io.wake(*id));
            self.0.clear();
        }
    }
}

/// Sectors, from the first up to the one behind the last.
type Extent = (u64, u64);

/// Extents are counted in cells of so many sectors, as a power of two, of which each `CELLS`th is the same.
const CELL_SHIFT: u32 = 7;
const CELLS: usize = 256;

/// The sectors that are being written, so that overlapping writes come one after the other: on each member the same one
/// comes last.
#[derive(Clone, Debug)]
pub(super) struct Locks {
    /// What each request holds; nothing, where it ends where it begins.
    held: [Extent; SLOTS],
    count: usize,
    /// How many hold something of each cell: where none does, nobody need be asked.
    cells: [u8; CELLS],
    /// What the background work has for itself, or waits for.
    claim: Option<Extent>,
    waiting: Parked,
}

impl Default for Locks {
    fn default() -> Self {
        Self { held: [(0, 0); SLOTS], count: 0, cells: [0; CELLS], claim: None, waiting: Parked::default() }
    }
}

fn meet(a: Extent, b: Extent) -> bool {
    a.0 < b.1 && b.0 < a.1
}

/// The cells that an extent touches.
fn cells((first, end): Extent) -> impl Iterator<Item = usize> {
    let (first, last) = (first >> CELL_SHIFT, end.saturating_sub(1) >> CELL_SHIFT);
    (first..=last).take(CELLS).map(|cell| usize::try_from(cell).unwrap_or(0) % CELLS)
}

impl Locks {
    /// Whether nobody writes.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Whether somebody writes something of these sectors.
    fn is_written(&self, own: Extent) -> bool {
        let busy = cells(own).any(|cell| self.cells.get(cell).is_some_and(|count| *count > 0));
        busy && self.held.iter().any(|held| meet(*held, own))
    }

    /// Counts an extent in or out.
    fn tally(&mut self, own: Extent, by: impl Fn(u8) -> u8) {
        for cell in cells(own) {
            if let Some(count) = self.cells.get_mut(cell) {
                *count = by(*count);
            }
        }
    }

    /// Whether the request may write these sectors now; if not, it is woken when it may be able to.
    pub fn take(&mut self, id: Id, first: u64, end: u64) -> bool {
        let own = (first, end);
        if self.claim.is_some_and(|claim| meet(claim, own)) || self.is_written(own) {
            self.waiting.push(id);
            return false;
        }
        if let Some(held) = self.held.get_mut(id.index()) {
            *held = own;
            self.count += 1;
            self.tally(own, |count| count.saturating_add(1));
        }
        true
    }

    /// The request has written what it took.
    pub fn release(&mut self, id: Id, io: &mut Io<'_, Ctx>) {
        let held = self.held.get_mut(id.index()).map(core::mem::take).filter(|held| held.0 < held.1);
        if let Some(held) = held {
            self.count -= 1;
            self.tally(held, |count| count.saturating_sub(1));
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
        !self.is_written((first, end))
    }

    /// Gives them back.
    pub fn unclaim(&mut self, io: &mut Io<'_, Ctx>) {
        self.claim = None;
        self.wake(io);
    }
}
