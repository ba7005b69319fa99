// SPDX-License-Identifier: MIT
//! The one trait of the block stack.
use crate::Io;
use orion_block::{Access, Completion, Error, Instant, Limits, Request};

/// A request in flight in this layer: an index into the node's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(pub(crate) u16);

impl Id {
    /// The index, below the node's number of slots: for tables of a layer's own.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// How far a layer has come with assembling itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Not ready yet: it waits for completions or events, and is asked again after each.
    Starting,
    /// It serves requests.
    Ready,
    /// It can't serve what it found; every request is answered with this error.
    Refused(Error),
}

/// What happened to a device below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It left, or broke the protocol; requests to it fail with [`Error::Offline`].
    Gone,
    /// It was restarted and serves again. Everything outstanding there has been asked again.
    Restarted,
    /// It is there again.
    Back,
    /// Its limits changed; they are handed to [`Layer::limits`] next.
    Changed,
    /// The way to it is worth this from now on.
    Worth(Access),
}

/// Where a request goes on the short way: one lower request, whose end is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relay<C> {
    /// The device below.
    pub port: u8,
    /// What [`Layer::relayed`] gets back.
    pub ctx: C,
}

/// A storage layer: turns each upper request into lower requests, and their completions into its own.
///
/// A layer never waits, never names a ring, a clock or a kernel, and sees nothing but its [`Io`]. It is never entered
/// from inside itself.
pub trait Layer {
    /// State of one request, made anew for each.
    type Ctx: Default;

    /// Most lower requests outstanding for one upper request: 1 to [`FANOUT_MAX`](crate::FANOUT_MAX).
    const FANOUT: usize;

    /// Requests of its own that the layer keeps for as long as it lives, for work that no client asks for; see
    /// [`Io::kept`]. The node needs as many slots more.
    const KEPT: u16 = 0;

    /// Assembles the layer; called when every device below is ready, and again after each completion until it is no
    /// longer [`Start::Starting`]. What it needs to know from below it asks for with [`Io::own`].
    fn start(&mut self, _io: &mut Io<'_, Self::Ctx>) -> Start {
        Start::Ready
    }

    /// What this layer offers, given what the devices below offer; asked before `start`, and once more when the layer is
    /// ready. The node splits upper requests to `max_blocks` and
    /// `boundary`, and refuses those beyond `capacity`, before the layer sees them.
    fn limits(&self, below: &[Limits]) -> Limits;

    /// What it offers the client `upper`, where that is less than `all` that it offers. The node does not hold the client
    /// to it: the layer refuses what lies beyond.
    fn limits_of(&self, _upper: u8, all: Limits) -> Limits {
        all
    }

    /// The part of the slots and of the turns that `upper` gets beside the others when they want more than there is; read
    /// once, after `start`. 0 counts as 1.
    fn weight(&self, _upper: u8) -> u16 {
        1
    }

    /// The short way, asked for each request before [`submit`](Self::submit): `Some` where exactly one lower request does
    /// all that was asked and its end needs no [`Io`]; `req` is then made that request. `None`, with `req` as it was, sends
    /// it the long way. A layer need not have a short one;
    /// most requests of most layers can take it, at a third of the cost.
    #[inline]
    fn relay(&mut self, _upper: u8, _req: &mut Request) -> Option<Relay<Self::Ctx>> {
        None
    }

    /// A request that took the short way ended below with `done`, or could not be sent; what is answered. On success
    /// `done.blocks` is the number that was asked below. Called exactly once for each.
    #[inline]
    fn relayed(&mut self, _ctx: Self::Ctx, done: Completion) -> Completion {
        done
    }

    /// A request that took the short way failed below; whether to begin it once more on the long way, with `req`, the lower
    /// request, made the upper one again.
    #[cold]
    fn rescue(&mut self, _ctx: &Self::Ctx, _req: &mut Request, _error: Error) -> bool {
        false
    }

    /// Whether requests are parked for which the end of another may make room: [`tick`](Self::tick) is then called after
    /// each end on the short way.
    #[inline]
    fn has_parked(&self) -> bool {
        false
    }

    /// A request came in, or was woken. It ends with [`Io::done`], at once or after completions; a layer that does
    /// nothing with it has parked it, and must [`Io::wake`] it later.
    fn submit(&mut self, id: Id, io: &mut Io<'_, Self::Ctx>);

    /// The lower request `child` of `id` ended. On success `done.blocks` is the number that was asked.
    fn complete(&mut self, id: Id, child: u8, done: Completion, io: &mut Io<'_, Self::Ctx>);

    /// Something happened to the device below `port`.
    fn event(&mut self, _port: u8, _event: Event, _io: &mut Io<'_, Self::Ctx>) {}

    /// The client `upper` has died: its requests that are parked should be ended, since nobody waits for their answers but
    /// the client's next life for their end.
    fn upper_gone(&mut self, _upper: u8, _io: &mut Io<'_, Self::Ctx>) {}

    /// Background work and deadlines: called after `start`, then whenever an instant that it returned, or gave to
    /// [`Io::alarm`], has come.
    fn tick(&mut self, _now: Instant, _io: &mut Io<'_, Self::Ctx>) -> Option<Instant> {
        None
    }
}
