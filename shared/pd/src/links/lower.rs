// SPDX-License-Identifier: MIT
//! The devices below a node, each served by another PD at the other end of a ring.
use super::active::Active;
use super::{Regions, ring_client, upper::channel};
use crate::config::{NONE, Role};
use crate::supervision::{State, Supervised};
use crate::{Channel, ChannelSet, InitError, World};
use heapless::Vec;
use orion_block::{BlockSize, Completion, Instant, Limits, Op, Route};
use orion_layer::{Interrupted, Lowers, PeerMisbehaved, Submission};
use orion_ring::Client;

/// Most devices below a PD.
const LOWERS_MAX: usize = 62;

#[derive(Debug)]
struct Lower {
    ring: Client,
    channel: Channel,
    capacity: u16,
    /// Whether requests carry bus addresses; else they carry offsets in the one data region.
    bus: bool,
    /// Whether it is a plain sDDF server, which tells nobody when it becomes ready.
    plain: bool,
    limits: Option<Limits>,
    /// The number of who serves it, among those that are watched over; `None` once it was given up.
    number: Option<u8>,
}

/// The setting that says how many milliseconds devices may take to become ready.
const PATIENCE: &str = "patience_ms";

/// What is known of the devices that are not ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// When they are given up.
    pub until: Option<Instant>,
    /// One that was given up just now: [`Event::Gone`](orion_layer::Event::Gone) is to be told to the node.
    pub late: Option<u8>,
}

impl Lower {
    /// Counts from now on as a device that has nothing, and that keeps nothing from those beside it.
    fn give_up(&mut self) {
        let (block, physical) = (BlockSize::B512, BlockSize::B512);
        self.limits = Some(Limits { block, physical, capacity: 0, fua: true, write_zeroes: true, ..Limits::default() });
        self.capacity = u16::MAX;
    }
}

/// The devices below a node. Port `n` is the `n`th link of the configuration on which we are the client.
// What each call needs comes first, the tables last: what is near is reached without arithmetic.
#[repr(C)]
#[derive(Debug)]
pub struct LowerRings {
    active: Active,
    /// Those that were asked since the last [`settle`](Self::settle), a bit each.
    touched: u64,
    regions: Regions,
    /// Nanoseconds that they may take to become ready.
    patience: Option<u64>,
    /// When that is over.
    until: Option<Instant>,
    lowers: Vec<Lower, LOWERS_MAX>,
}

impl LowerRings {
    /// Attaches to every link on which we are the client.
    ///
    /// # Errors
    /// [`InitError`] where a link's regions are not mapped or there are too many.
    pub fn new<W: World>(world: &mut W) -> Result<Self, InitError> {
        let config = world.config();
        let (mut lowers, mut active) = (Vec::new(), Active::new());
        for (index, link) in config.links_as(Role::Client) {
            let ring = ring_client(world, index)?;
            let lower = Lower {
                channel: channel(link.channel.get())?,
                // Below the link's where a plain sDDF server has queues of a size that is no power of two.
                capacity: u16::try_from(ring.capacity()).unwrap_or(0),
                ring,
                bus: link.data.get() == NONE,
                plain: link.plain(),
                limits: None,
                number: link.peer_number(),
            };
            active.insert(lowers.len(), lower.channel);
            lowers
                .push(lower)
                .map_err(|_| InitError("more than 62 devices below one PD: Microkit has no more channels"))?;
        }
        let patience = config.setting(PATIENCE).map(|ms| ms.saturating_mul(1_000_000));
        Ok(Self { active, touched: 0, regions: Regions::new(&config)?, patience, until: None, lowers })
    }

    /// Looks which devices have become ready since the last call, and gives up those that are not in time.
    #[cold]
    #[inline(never)]
    pub fn refresh(&mut self, now: Instant) -> Waiting {
        for (port, lower) in self.lowers.iter_mut().enumerate().filter(|(_, l)| l.limits.is_none()) {
            lower.limits = lower.ring.server().map(|info| info.limits);
            // It may have to be told that we agree to what it is.
            self.touched |= 1 << port;
        }
        let patience = self.patience;
        self.until = self.until.or_else(|| patience.map(|ns| now.after(ns)));
        let over = self.until.is_some_and(|at| at <= now);
        let mut waiting = Waiting::default();
        for (port, lower) in (0..).zip(&mut self.lowers).filter(|(_, l)| l.limits.is_none()) {
            waiting.until = self.until;
            // Who broke the protocol is not waited for.
            if over || lower.ring.capacity() == 0 {
                lower.give_up();
                waiting.late = Some(port);
                break;
            }
        }
        waiting
    }

    /// A device whose server the supervisor has given up since the last call:
    /// [`Event::Gone`](orion_layer::Event::Gone) is to be told to the node. Call it until there is none.
    #[cold]
    #[inline(never)]
    pub fn given_up(&mut self, supervised: &Supervised) -> Option<u8> {
        let gone = |number| supervised.life(number).is_some_and(|life| life.state == State::GivenUp);
        let port = self.lowers.iter().position(|lower| lower.number.is_some_and(gone))?;
        let lower = self.lowers.get_mut(port)?;
        lower.number = None;
        if lower.limits.is_none() {
            lower.give_up();
        }
        u8::try_from(port).ok()
    }

    /// Whether a plain sDDF server is not ready yet: it says nothing when it is, so look again after a while.
    #[cold]
    pub fn awaits_plain(&self) -> bool {
        self.lowers.iter().any(|l| l.plain && l.limits.is_none() && l.ring.misbehaved().is_none())
    }

    /// Which disk the one of this port is, and what the way to it is worth; `None` while it is not ready or is restarted. Not for
    /// the data path: it reads a page.
    #[cold]
    pub fn route(&mut self, port: u8) -> Option<Route> {
        self.lowers.get_mut(usize::from(port))?.ring.server().map(|info| info.route)
    }

    /// Whether the one of this port still lives the life that we know.
    pub fn lives_on(&self, port: u8) -> bool {
        self.lowers.get(usize::from(port)).is_some_and(|lower| lower.ring.lives_on())
    }

    /// Whether the one of this port has announced something since this was last asked.
    pub fn announced(&mut self, port: u8) -> bool {
        self.lowers.get_mut(usize::from(port)).is_some_and(|lower| lower.ring.announced())
    }

    /// Says to those who notified that we are awake. The others are not looked at before they do.
    #[inline]
    pub fn wake(&mut self, from: ChannelSet) {
        let lowers = &mut self.lowers;
        self.active.wake(from, |port| {
            if let Some(lower) = lowers.get_mut(port) {
                lower.ring.wake();
            }
        });
    }

    /// Makes requests visible and wakes the servers that sleep. Then says to those who notified that we sleep, and looks
    /// again: whether nothing is pending.
    #[inline]
    pub fn settle<W: World>(&mut self, world: &mut W) -> bool {
        let Self { lowers, active, touched, .. } = self;
        let (others, mut quiet) = (core::mem::take(touched), true);
        // Every ring must be told, so no short cut.
        active.settle(others, |port, awake| {
            let Some(lower) = lowers.get_mut(port) else { return true };
            if lower.ring.publish() {
                world.notify(lower.channel);
            }
            let asleep = !awake || lower.ring.sleep();
            quiet &= asleep;
            asleep
        });
        quiet
    }
}

impl Lowers for LowerRings {
    fn count(&self) -> u8 {
        u8::try_from(self.lowers.len()).unwrap_or(0)
    }

    fn capacity(&self, port: u8) -> u16 {
        self.lowers.get(usize::from(port)).map_or(0, |l| l.capacity)
    }

    /// As the server announced them; no request may have more blocks than an entry can count.
    fn limits(&self, port: u8) -> Option<Limits> {
        let limits = self.lowers.get(usize::from(port))?.limits?;
        let countable = u32::from(u16::MAX);
        let max_blocks = if limits.max_blocks == 0 { countable } else { limits.max_blocks.min(countable) };
        Some(Limits { max_blocks, ..limits })
    }

    #[inline(always)]
    fn submit(&mut self, port: u8, submission: Submission) {
        let Some(lower) = self.lowers.get_mut(usize::from(port)) else {
            return;
        };
        let Submission { tag, req } = submission;
        let address = match req.op {
            Op::Read | Op::Write if lower.bus => self.regions.bus_address(req.buf),
            Op::Read | Op::Write => req.buf.offset,
            _ => 0,
        };
        let count = u16::try_from(req.blocks).unwrap_or(0);
        self.touched |= 1 << port;
        let entry = orion_ring::Submission { id: tag, op: req.op, fua: req.fua, block: req.lba.0, count, address };
        let fits = lower.ring.push(entry);
        // What is refused while the server is restarted, the node asks again then.
        debug_assert!(
            fits.is_ok() || !lower.ring.is_open() || lower.ring.room() == 0,
            "the node keeps to the capacity"
        );
    }

    #[inline]
    fn answering(&self) -> bool {
        self.active.rings() != 0
    }

    #[inline]
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        let mut left = self.active.rings();
        while left != 0 {
            let index = left.trailing_zeros();
            left &= left - 1;
            let port = u8::try_from(index).unwrap_or(u8::MAX);
            let Some(lower) = self.lowers.get_mut(index as usize) else { break };
            match lower.ring.pop() {
                Ok(Some(a)) => {
                    let done = Completion { status: a.status, blocks: u32::from(a.blocks) };
                    return Ok(Some((port, a.id, done)));
                }
                Err(orion_ring::Interrupted::Restarted) => return Err(Interrupted::Restarted(port)),
                Err(orion_ring::Interrupted::Misbehaved(misbehaved)) if lower.limits.take().is_some() => {
                    return Err(Interrupted::Misbehaved(PeerMisbehaved { port, what: misbehaved.what }));
                }
                Ok(None) | Err(_) => {}
            }
        }
        Ok(None)
    }
}
