// SPDX-License-Identifier: MIT
//! The layer that lets a request pass exactly when a capability allows it.
use crate::events::{Event, Events};
use crate::image::{self, Found};
use crate::lanes::Lanes;
use crate::tree::{Entry, Life, NOTHING, Tree, fit, policy_blocks};
use crate::{
    Capability, Command, Denial, Holding, Listed, Outcome, Place, Reason, Refusal, Rights, TooMany, Unreadable,
};
use heapless::Vec;
use orion_block::{BlockSize, Completion, DiscardReads, Error, Instant, Lba, Limits, Op, POLICY_BLOCK, Request};
use orion_layer::{Id, Io, Layer, Relay, Start};
use waiting::{WAITING_MAX, Waiting};

#[cfg(test)]
mod tests;
mod waiting;

/// Most capabilities of a system.
pub const CAPABILITIES_MAX: usize = 128;
/// Most clients of a gatekeeper.
pub const CLIENTS_MAX: usize = 62;

/// The gatekeeper's policy engine: a layer with a client above each connection and a volume below each port.
// What each call needs comes first, the tables last: what is near is reached without arithmetic.
#[repr(C)]
#[derive(Debug)]
pub struct Gatekeeper {
    events: Events,
    refused: u64,
    tree: Tree,
    lanes: Lanes,
    /// In the order in which they came.
    waiting: Vec<Waiting, WAITING_MAX>,
}

impl Gatekeeper {
    /// A gatekeeper that refuses everything.
    pub const fn new() -> Self {
        Self { events: Events::new(), refused: 0, tree: Tree::new(), lanes: Lanes::new(), waiting: Vec::new() }
    }

    /// Adds a capability. Before the volumes are known it allows nothing.
    ///
    /// # Errors
    /// [`TooMany`] where a table is full, a number is out of range or the window is taken.
    pub fn grant(&mut self, granted: Capability) -> Result<(), TooMany> {
        self.tree.insert(Entry::new(granted, NOTHING, 0, NOTHING)).map(|_| ())
    }

    /// Has the volume `port` given at most `places` requests at once, together with others of the same `lane`: those who want
    /// more take turns by weight. A place is kept free for up to `grace_us` microseconds for who is first by weight and is
    /// about to ask; 0: never. `false` where there are too many lanes.
    pub fn narrow(&mut self, port: u8, lane: u16, places: u16, grace_us: u16) -> bool {
        self.lanes.add(port, lane, places, grace_us)
    }

    /// Requests that were refused since the start.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Requests that passed since the start.
    pub fn passed(&self) -> u64 {
        self.tree.retired + self.tree.entries.iter().map(|e| e.passed).sum::<u64>()
    }

    /// Whether there are events to take.
    #[inline]
    pub fn has_events(&self) -> bool {
        self.events.any()
    }

    /// What has happened and was not yet told, oldest first. Of refusals in one round only some are kept, the others counted.
    pub fn take_event(&mut self) -> Option<Event> {
        self.events.take()
    }

    /// Has [`Event::Reminder`] told at `at`.
    pub fn remind(&mut self, at: Instant, io: &mut Io<'_, Ctx>) {
        self.events.remind(at);
        io.alarm(at);
    }

    /// Says whether somebody watches over the system. While nobody does, nothing that would change a volume is allowed.
    pub fn watched(&mut self, watched: bool) {
        self.tree.unwatched = !watched;
        self.tree.refresh();
    }

    /// The capability that a window holds, with its extent in blocks of 4096 bytes on its volume.
    pub fn capability(&self, at: Holding) -> Option<Capability> {
        let (_, entry) = self.tree.held(at)?;
        Some(Capability { extent: entry.policy, ..entry.granted })
    }

    /// Every capability, for people.
    pub fn listed(&self) -> impl Iterator<Item = Listed> {
        self.tree.listed()
    }

    /// The epoch of a volume.
    pub fn epoch(&self, port: u8) -> u32 {
        self.tree.epochs.get(usize::from(port)).copied().unwrap_or(0)
    }

    /// What a client's window holds: blocks in the gatekeeper's unit, and the rights that its volume lets it use.
    pub fn window(&self, client: u8, window: u8) -> Option<(u64, Rights)> {
        let (_, entry) = self.tree.held(Holding { client, window })?;
        Some((entry.extent.blocks, entry.useful()))
    }

    /// The capabilities that reach beyond their volume, and so allow nothing, each with the volume's size in 4096-byte
    /// blocks.
    pub fn oversized<'a>(
        &'a self,
        volume: impl Fn(u8) -> Option<Limits> + 'a,
    ) -> impl Iterator<Item = (Capability, u64)> + 'a {
        self.tree.entries.iter().filter(|e| e.life == Life::Live).filter_map(move |e| {
            let limits = volume(e.granted.port)?;
            fit(&e.granted, &limits).is_none().then_some((e.granted, policy_blocks(&limits)))
        })
    }

    /// Does what client `by` asks. A capability that is taken back or suspended fails at once: requests of it that wait
    /// here are answered as denied; what has reached a device is not recalled.
    ///
    /// # Errors
    /// [`Denial`]: nothing was changed.
    pub fn command(&mut self, by: u8, command: &Command, io: &mut Io<'_, Ctx>) -> Result<Outcome, Denial> {
        let outcome = self.tree.command(by, command)?;
        self.deny_waiting(io);
        self.release(io);
        Ok(outcome)
    }

    /// Writes an image of all capabilities into `into`, of [`IMAGE_MAX`](crate::IMAGE_MAX) bytes; how many bytes it has.
    /// `sequence` is one more than the last image's, beginning with 1; `origin` stands for the grants of system.xml.
    pub fn image(&self, sequence: u64, origin: u64, into: &mut [u8]) -> Option<usize> {
        self.tree.write(sequence, origin, into)
    }

    /// Takes over what an earlier life of the gatekeeper left: the number of the image and the half that it lies in, or
    /// `None` where there was no earlier life since boot and the grants hold. Called before anything is served.
    ///
    /// # Errors
    /// [`Unreadable`]: the state is lost, and everything is refused from now on.
    pub fn restore(&mut self, halves: [(u32, &[u8]); 2], origin: u64) -> Result<Option<(u64, usize)>, Unreadable> {
        match image::newest(halves, origin) {
            Ok(Found::Fresh) => Ok(None),
            Ok(Found::Tree(tree, sequence, half)) => {
                self.tree = tree;
                Ok(Some((sequence, half)))
            }
            Err(unreadable) => {
                self.tree = Tree::new();
                Err(unreadable)
            }
        }
    }

    /// Where a request goes and as what, or why it is refused.
    fn decide(&self, client: u8, req: &Request) -> Result<(u8, Lba, u32), (Reason, u32)> {
        let (place, count) = Place::of_request(req);
        let window = usize::try_from(place.window).unwrap_or(usize::MAX);
        let index = self.tree.index(client, window).ok_or((Reason::NoCapability, 0))?;
        let entry = self.tree.entry(index).ok_or((Reason::NoCapability, 0))?;
        let line = entry.granted.line;
        if !entry.allowed.contains(Rights::needed(req.op)) {
            return Err((self.why_not(index, Rights::needed(req.op)), line));
        }
        if req.op == Op::Flush {
            return Ok((index, Lba(0), 0));
        }
        let first = entry.extent.locate(place.block, count).ok_or((Reason::Extent, line))?;
        let lba = first.checked_mul(1 << entry.scale).ok_or((Reason::Extent, line))?;
        let blocks = req.blocks.checked_mul(1 << entry.scale).ok_or((Reason::Extent, line))?;
        Ok((index, Lba(lba), blocks))
    }

    #[cold]
    #[inline(never)]
    fn why_not(&self, index: u8, needed: Rights) -> Reason {
        let lacking = self.tree.entry(index).is_none_or(|e| !e.granted.rights.contains(needed));
        match (lacking, self.tree.unwatched && Rights::MODIFYING.contains(needed)) {
            (true, _) => Reason::Right,
            (_, true) => Reason::Unwatched,
            _ => Reason::Frozen,
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.refused += 1;
        self.events.refused(refusal);
    }

    /// Passes a request down, or lets it wait for its capability's budget.
    fn pass(&mut self, id: Id, index: u8, req: Request, io: &mut Io<'_, Ctx>) {
        let Some(entry) = self.tree.entry_mut(index) else { return };
        if entry.metered && self.waits(id, index, &req, io) {
            return;
        }
        self.send(id, index, req, io);
    }

    fn send(&mut self, id: Id, index: u8, req: Request, io: &mut Io<'_, Ctx>) {
        let Some(entry) = self.tree.entry_mut(index) else { return };
        entry.passed += 1;
        let port = entry.granted.port;
        if let Some(ctx) = io.ctx(id) {
            *ctx = Ctx { capability: index };
        }
        io.lower(id, port, 0, req);
    }

    /// Denies a request, unless what keeps it from its blocks is that its volume has none: then it is offline.
    #[cold]
    fn turn_away(&mut self, id: Id, (reason, line): (Reason, u32), io: &mut Io<'_, Ctx>) {
        let at = Holding { client: io.upper(id), window: window_of(&io.request(id)) };
        let port = self.tree.held(at).map(|(_, entry)| entry.granted.port);
        let empty = port.and_then(|port| io.below(port)).is_some_and(|volume| volume.capacity == 0);
        if reason == Reason::Extent && empty {
            return io.done(id, Completion::error(Error::Offline));
        }
        self.deny(id, reason, line, io);
    }

    fn deny(&mut self, id: Id, reason: Reason, line: u32, io: &mut Io<'_, Ctx>) {
        self.refuse(Refusal { client: io.upper(id), req: io.request(id), reason, line });
        let error = if reason == Reason::Unwatched { Error::ReadOnly } else { Error::Denied };
        io.done(id, Completion::error(error));
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
        self.tree.laned = self.lanes.ports;
        match self.tree.resolve(block, |port| io.below(port)) {
            Some(()) => Start::Ready,
            None => Start::Starting,
        }
    }

    fn weight(&self, upper: u8) -> u16 {
        let own = self.tree.entries.iter().filter(|e| e.life == Life::Live && e.granted.client == upper);
        own.map(|e| e.granted.weight).max().unwrap_or(1).max(1)
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

    /// What is allowed and has no budget goes down at once: one check, one count.
    #[inline]
    fn relay(&mut self, client: u8, req: &mut Request) -> Option<Relay<Ctx>> {
        let (place, count) = Place::of_request(req);
        let index = self.tree.index(client, usize::try_from(place.window).unwrap_or(usize::MAX))?;
        let entry = self.tree.entry_mut(index)?;
        if !entry.quick.contains(Rights::needed(req.op)) {
            return None;
        }
        if req.op == Op::Flush {
            (req.lba, req.blocks) = (Lba(0), 0);
        } else {
            req.lba = Lba(entry.extent.locate(place.block, count)?);
        }
        entry.passed += 1;
        Some(Relay { port: entry.granted.port, ctx: Ctx { capability: index } })
    }

    #[inline]
    fn relayed(&mut self, ctx: Ctx, done: Completion) -> Completion {
        let scale = self.tree.entry(ctx.capability).map_or(0, |e| e.scale);
        self.tree.ended(ctx.capability);
        Completion { blocks: done.blocks >> scale, ..done }
    }

    #[inline]
    fn has_parked(&self) -> bool {
        !self.waiting.is_empty()
    }

    fn submit(&mut self, id: Id, io: &mut Io<'_, Ctx>) {
        let (client, req) = (io.upper(id), io.request(id));
        match self.decide(client, &req) {
            Ok((index, lba, blocks)) => self.pass(id, index, Request { lba, blocks, ..req }, io),
            Err((reason, line)) => self.turn_away(id, (reason, line), io),
        }
    }

    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, Ctx>) {
        let index = io.ctx(id).map_or(NOTHING, |ctx| ctx.capability);
        let Some(entry) = self.tree.entry(index) else { return };
        self.lanes.leave(entry.granted.port, io.upper(id), io.now());
        io.done(id, Completion { blocks: done.blocks >> entry.scale, ..done });
        self.tree.ended(index);
        if !self.waiting.is_empty() {
            self.release(io);
        }
    }

    fn upper_gone(&mut self, upper: u8, io: &mut Io<'_, Ctx>) {
        self.forget_waiting(upper, io);
    }

    /// A budget has filled up again, or it is time for a reminder.
    fn tick(&mut self, now: Instant, io: &mut Io<'_, Ctx>) -> Option<Instant> {
        self.release(io);
        self.events.tick(now)
    }
}

/// The window that a request names; one that there is not where the number is too large.
fn window_of(req: &Request) -> u8 {
    u8::try_from(Place::of_request(req).0.window).unwrap_or(u8::MAX)
}

/// The block unit of all clients.
fn unit(volumes: impl Iterator<Item = BlockSize>) -> BlockSize {
    volumes.max().unwrap_or(POLICY_BLOCK).min(POLICY_BLOCK)
}
