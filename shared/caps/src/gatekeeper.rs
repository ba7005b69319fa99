// SPDX-License-Identifier: MIT
//! The layer that lets a request pass exactly when a capability allows it.
use crate::{Extent, Place, Rights, WINDOWS};
use core::fmt;
use heapless::{Deque, Vec};
use orion_block::{BlockSize, Completion, DiscardReads, Error, Limits, Op, POLICY_BLOCK, Request};
use orion_layer::{Id, Io, Layer, Start};

#[cfg(test)]
mod tests;

/// Most capabilities of a system.
pub const CAPABILITIES_MAX: usize = 128;
/// Most clients of a gatekeeper.
pub const CLIENTS_MAX: usize = 62;
/// Most requests that wait for their window's budget.
const WAITING_MAX: usize = 256;
const REFUSALS_KEPT: usize = 16;
const NO_CAPABILITY: u8 = u8::MAX;

/// A capability as `system.xml` grants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// The client that holds it.
    pub client: u8,
    /// The window of the client's connection in which it lies.
    pub window: u8,
    /// The volume: the gatekeeper's port to it.
    pub port: u8,
    /// The blocks, in units of 4096 bytes; `blocks == u64::MAX` means to the end of the volume.
    pub extent: Extent,
    /// What may be done with them.
    pub rights: Rights,
    /// Most requests in flight; 0 for no limit.
    pub in_flight: u32,
    /// Line of `system.xml` that gives it; 0 if none does.
    pub line: u32,
}

/// A table is full, or two capabilities were given the same window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The client has no capability in that window.
    NoCapability,
    /// The capability lacks the right.
    Right,
    /// The blocks don't all lie in the capability's extent.
    Extent,
}

/// A refused request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Who asked.
    pub client: u8,
    /// For what; the address as the client wrote it.
    pub req: Request,
    /// Why not.
    pub reason: Reason,
    /// Line of `system.xml` of the capability that did not suffice; 0 if none.
    pub line: u32,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { window, block } = Place::of(self.req.lba);
        write!(f, "{:?}", self.req.op)?;
        if self.req.op != Op::Flush {
            write!(f, " of blocks {block}..{}", block.saturating_add(u64::from(self.req.blocks)))?;
        }
        match self.reason {
            Reason::NoCapability => write!(f, " through window {window}, which holds no capability"),
            Reason::Right => write!(f, " without the right to {}", Rights::needed(self.req.op)),
            Reason::Extent => write!(f, " outside its extent"),
        }?;
        if self.line > 0 { write!(f, " (system.xml line {})", self.line) } else { Ok(()) }
    }
}

/// A capability at work: in the gatekeeper's block unit, with what is in flight.
#[derive(Clone, Copy, Debug)]
struct Active {
    granted: Capability,
    extent: Extent,
    /// Binary logarithm of the volume's blocks in one of ours.
    scale: u8,
    /// Nothing can be written to the volume, whatever is granted.
    read_only: bool,
    in_flight: u32,
    waiting: u32,
}

/// The gatekeeper's policy engine: a layer with a client above each connection and a volume below each port.
#[derive(Debug)]
pub struct Gatekeeper {
    active: Vec<Active, CAPABILITIES_MAX>,
    /// Index into `active`, by client and window.
    windows: [[u8; WINDOWS]; CLIENTS_MAX],
    waiting: Vec<(Id, u8), WAITING_MAX>,
    refusals: Deque<Refusal, REFUSALS_KEPT>,
    refused: u64,
    passed: u64,
}

impl Gatekeeper {
    /// A gatekeeper that refuses everything.
    pub const fn new() -> Self {
        Self {
            active: Vec::new(),
            windows: [[NO_CAPABILITY; WINDOWS]; CLIENTS_MAX],
            waiting: Vec::new(),
            refusals: Deque::new(),
            refused: 0,
            passed: 0,
        }
    }

    /// Adds a capability. Before the volumes are known it allows nothing.
    ///
    /// # Errors
    /// [`TooMany`] where a table is full, a number is out of range or the window is taken.
    pub fn grant(&mut self, granted: Capability) -> Result<(), TooMany> {
        let index = u8::try_from(self.active.len()).map_err(|_| TooMany)?;
        let windows = self.windows.get_mut(usize::from(granted.client)).ok_or(TooMany)?;
        let window = windows.get_mut(usize::from(granted.window)).filter(|w| **w == NO_CAPABILITY).ok_or(TooMany)?;
        let active =
            Active { granted, extent: Extent::default(), scale: 0, read_only: false, in_flight: 0, waiting: 0 };
        self.active.push(active).map_err(|_| TooMany)?;
        *window = index;
        Ok(())
    }

    /// Requests that were refused since the start.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Requests that passed since the start.
    pub fn passed(&self) -> u64 {
        self.passed
    }

    /// The oldest refusal not yet taken. Only the last few are kept; [`refused`](Self::refused) counts all.
    pub fn take_refusal(&mut self) -> Option<Refusal> {
        self.refusals.pop_front()
    }

    /// What a client's window holds: blocks in the gatekeeper's unit, and the rights that its volume lets it use.
    pub fn window(&self, client: u8, window: u8) -> Option<(u64, Rights)> {
        let index = *self.windows.get(usize::from(client))?.get(usize::from(window))?;
        let active = self.active.get(usize::from(index))?;
        let rights = active.granted.rights;
        Some((active.extent.blocks, if active.read_only { rights.without(Rights::MODIFYING) } else { rights }))
    }

    /// The capabilities that reach beyond their volume, and so allow nothing, each with the volume's size in 4096-byte
    /// blocks.
    pub fn oversized<'a>(
        &'a self,
        volume: impl Fn(u8) -> Option<Limits> + 'a,
    ) -> impl Iterator<Item = (Capability, u64)> + 'a {
        self.active.iter().filter_map(move |a| {
            let limits = volume(a.granted.port)?;
            let size = policy_blocks(&limits);
            fit(&a.granted, &limits).is_none().then_some((a.granted, size))
        })
    }

    /// Where a request goes and as what, or why it is refused.
    fn decide(&self, client: u8, req: &Request) -> Result<(u8, Request), (Reason, u32)> {
        let (place, count) = Place::of_request(req);
        let windows = self.windows.get(usize::from(client)).ok_or((Reason::NoCapability, 0))?;
        let window = usize::try_from(place.window).unwrap_or(usize::MAX);
        let index = *windows.get(window).ok_or((Reason::NoCapability, 0))?;
        let active = self.active.get(usize::from(index)).ok_or((Reason::NoCapability, 0))?;
        let line = active.granted.line;
        if !active.granted.rights.contains(Rights::needed(req.op)) {
            return Err((Reason::Right, line));
        }
        if req.op == Op::Flush {
            return Ok((index, Request { lba: orion_block::Lba(0), blocks: 0, ..*req }));
        }
        let first = active.extent.locate(place.block, count).ok_or((Reason::Extent, line))?;
        let lba = first.checked_mul(1 << active.scale).ok_or((Reason::Extent, line))?;
        let blocks = req.blocks.checked_mul(1 << active.scale).ok_or((Reason::Extent, line))?;
        Ok((index, Request { lba: orion_block::Lba(lba), blocks, ..*req }))
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.refused += 1;
        if self.refusals.is_full() {
            self.refusals.pop_front();
        }
        let _ = self.refusals.push_back(refusal);
    }

    /// Passes a request down, or lets it wait for its capability's budget.
    fn pass(&mut self, id: Id, index: u8, req: Request, io: &mut Io<'_, Ctx>) {
        let Some(active) = self.active.get_mut(usize::from(index)) else {
            return;
        };
        let limit = active.granted.in_flight;
        if limit != 0 && active.in_flight >= limit {
            match self.waiting.push((id, index)) {
                Ok(()) => active.waiting += 1,
                Err(_) => io.done(id, Completion::error(Error::Again)),
            }
            return;
        }
        active.in_flight += 1;
        self.passed += 1;
        if let Some(ctx) = io.ctx(id) {
            *ctx = Ctx { capability: index };
        }
        io.lower(id, active.granted.port, 0, req);
    }

    /// Wakes the oldest request that waits for this capability's budget.
    fn wake_next(&mut self, index: u8, io: &mut Io<'_, Ctx>) {
        let Some(active) = self.active.get_mut(usize::from(index)).filter(|a| a.waiting > 0) else {
            return;
        };
        if let Some(at) = self.waiting.iter().position(|(_, waits_for)| *waits_for == index) {
            active.waiting -= 1;
            io.wake(self.waiting.remove(at).0);
        }
    }
}

impl Default for Gatekeeper {
    fn default() -> Self {
        Self::new()
    }
}

/// State of a request that passed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ctx {
    capability: u8,
}

impl Layer for Gatekeeper {
    type Ctx = Ctx;
    const FANOUT: usize = 1;

    fn start(&mut self, io: &mut Io<'_, Ctx>) -> Start {
        let volumes = (0..64).map_while(|port| io.below(port));
        let block = unit(volumes.map(|v| v.block));
        for active in &mut self.active {
            let Some(limits) = io.below(active.granted.port) else {
                return Start::Starting;
            };
            let extent = fit(&active.granted, &limits).unwrap_or_default();
            let up = POLICY_BLOCK.shift() - block.shift();
            active.extent = Extent { first: extent.first << up, blocks: extent.blocks << up };
            active.scale = block.shift().saturating_sub(limits.block.shift());
            active.read_only = limits.read_only;
        }
        Start::Ready
    }

    /// One unit for all clients: the largest block of any volume. A request is judged whole, so none is split here.
    fn limits(&self, below: &[Limits]) -> Limits {
        let block = unit(below.iter().map(|l| l.block));
        Limits {
            block,
            physical: below.iter().map(|l| l.physical).max().unwrap_or(block),
            capacity: u64::MAX,
            optimal_blocks: below
                .iter()
                .map(|l| l.optimal_blocks.max(l.max_blocks) >> block.shift().saturating_sub(l.block.shift()))
                .min()
                .unwrap_or(0),
            atomic_blocks: 1,
            discard_granularity: below.iter().map(|l| l.discard_granularity).max().unwrap_or(0),
            discard_reads: below.first().map_or(DiscardReads::Undefined, |l| l.discard_reads),
            stable_writes: below.iter().any(|l| l.stable_writes),
            volatile_cache: below.iter().any(|l| l.volatile_cache),
            fua: below.iter().all(|l| l.fua),
            write_zeroes: below.iter().all(|l| l.write_zeroes),
            ..Limits::default()
        }
    }

    fn submit(&mut self, id: Id, io: &mut Io<'_, Ctx>) {
        let (client, req) = (io.upper(id), io.request(id));
        match self.decide(client, &req) {
            Ok((index, lower)) => self.pass(id, index, lower, io),
            Err((reason, line)) => {
                self.refuse(Refusal { client, req, reason, line });
                io.done(id, Completion::error(Error::Denied));
            }
        }
    }

    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, Ctx>) {
        let index = io.ctx(id).map_or(NO_CAPABILITY, |ctx| ctx.capability);
        let Some(active) = self.active.get_mut(usize::from(index)) else {
            return;
        };
        active.in_flight = active.in_flight.saturating_sub(1);
        let blocks = done.blocks >> active.scale;
        io.done(id, Completion { blocks, ..done });
        self.wake_next(index, io);
    }
}

/// The block unit of all clients.
fn unit(volumes: impl Iterator<Item = BlockSize>) -> BlockSize {
    volumes.max().unwrap_or(POLICY_BLOCK).min(POLICY_BLOCK)
}

fn policy_blocks(limits: &Limits) -> u64 {
    let shift = POLICY_BLOCK.shift();
    if limits.block.shift() <= shift { limits.capacity >> (shift - limits.block.shift()) } else { 0 }
}

/// The extent of a capability on its volume, in policy blocks; `None` where it does not lie within the volume. A volume
/// with blocks larger than a policy block has none.
fn fit(granted: &Capability, limits: &Limits) -> Option<Extent> {
    let size = policy_blocks(limits);
    let Extent { first, blocks } = granted.extent;
    let blocks = if blocks == u64::MAX { size.checked_sub(first)? } else { blocks };
    let extent = Extent { first, blocks };
    extent.end().is_some_and(|end| end <= size).then_some(extent)
}
