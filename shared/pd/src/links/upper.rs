// SPDX-License-Identifier: MIT
//! The clients above a node, each at the other end of a ring.
use super::active::Active;
use super::regions::holds;
use super::{Regions, WINDOW_BLOCKS, server};
use crate::config::{NONE, Role};
use crate::{Channel, ChannelSet, InitError, World};
use heapless::Vec;
use orion_block::{Buf, Completion, Error, Lba, Limits, RegionId, Request, Route};
use orion_layer::{Submission, Uppers};
use orion_ring::{Answer, Incoming, Server, ServerInfo, WindowInfo};

/// Most clients of a PD.
const UPPERS_MAX: usize = 62;
/// The bit of the right to write, as in `orion_caps::Rights`.
const WRITE: u16 = 2;
/// Of no block.
const UNKNOWN: u8 = u8::MAX;
/// Payload must begin at a multiple of this many bytes: what every device's DMA can do.
const ALIGNMENT: u64 = 512;

#[derive(Debug)]
struct Upper {
    ring: Server,
    channel: Channel,
    data: Option<RegionId>,
    /// Bytes of that region.
    size: u64,
    /// Binary logarithm of the node's blocks.
    shift: u8,
    /// Whether it is a plain sDDF client, to which every notification means answers.
    plain: bool,
    /// Binary logarithm of the node's blocks in one of the client's; above 63 while it is not known, which it is from the
    /// first request on, and for ever where the client's blocks are smaller than the node's.
    scale: u8,
    closed: bool,
    malformed: u64,
}

/// What a client is offered.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// The device.
    pub limits: Limits,
    /// The windows on it.
    pub windows: [WindowInfo; 16],
    /// Which disk it is, and what this way to it is worth.
    pub route: Route,
}

/// The clients above a node.
// What each call needs comes first, the tables last: what is near is reached without arithmetic.
#[repr(C)]
#[derive(Debug)]
pub struct UpperRings {
    active: Active,
    /// Those that were answered since the last [`settle`](Self::settle), a bit each.
    touched: u64,
    /// The channels of plain sDDF clients.
    plain: ChannelSet,
    /// Those that have died with requests in flight, a bit each.
    left: u64,
    malformed: u64,
    misbehaved: u32,
    announced: bool,
    /// There was one more malformed request or closed connection.
    news: bool,
    regions: Regions,
    uppers: Vec<Upper, UPPERS_MAX>,
}

impl UpperRings {
    /// Attaches to every link on which we are the server, in the order of the configuration.
    ///
    /// # Errors
    /// [`InitError`] where a link's regions are not mapped or there are too many.
    pub fn new<W: World>(world: &mut W) -> Result<Self, InitError> {
        let config = world.config();
        let (mut uppers, mut active) = (Vec::new(), Active::new());
        for (index, link) in config.links_as(Role::Server) {
            let data = link.data.get();
            let upper = Upper {
                ring: server(world, index)?,
                channel: channel(link.channel.get())?,
                data: (data != NONE).then_some(RegionId(data)),
                size: config.regions.get(usize::from(data)).map_or(0, |region| region.size.get()),
                shift: 0,
                plain: link.plain(),
                scale: UNKNOWN,
                closed: false,
                malformed: 0,
            };
            active.insert(uppers.len(), upper.channel);
            uppers
                .push(upper)
                .map_err(|_| InitError("more than 62 clients of one PD: Microkit has no more channels"))?;
        }
        let regions = Regions::new(&config)?;
        let plain = uppers.iter().filter(|upper| upper.plain).map(|upper| upper.channel);
        let plain = plain.fold(ChannelSet::default(), ChannelSet::with);
        Ok(Self {
            active,
            touched: 0,
            plain,
            left: 0,
            malformed: 0,
            misbehaved: 0,
            announced: false,
            news: false,
            regions,
            uppers,
        })
    }

    /// Tells every client what it is offered; `windows` gives the windows of a client, by its number. Requests are
    /// taken from then on. A client whose only window is the whole device needs none: see [`whole`].
    pub fn announce(&mut self, limits: Limits, windows: impl Fn(u8) -> [WindowInfo; 16]) {
        self.announce_each(|number| Some(Offer { limits, windows: windows(number), route: Route::default() }));
    }

    /// The same where clients are offered different devices: what each is offered, by its number. Who is offered nothing is told
    /// nothing; what it asks all the same is for whoever takes requests to refuse.
    pub fn announce_each(&mut self, offer: impl Fn(u8) -> Option<Offer>) {
        self.announced = true;
        for (number, upper) in (0..).zip(self.uppers.iter_mut()) {
            let Some(Offer { limits, windows, route }) = offer(number) else { continue };
            upper.shift = limits.block.shift();
            let WindowInfo { blocks: capacity, rights } = windows[0];
            let read_only = limits.read_only || rights & WRITE == 0;
            let limits = Limits { capacity, read_only, ..limits };
            upper.ring.announce(&ServerInfo { limits, windows, route, ..ServerInfo::default() });
        }
    }

    /// Whether the clients were told.
    pub fn announced(&self) -> bool {
        self.announced
    }

    /// Says to those who notified that we are awake. The others are not looked at before they do, but for plain sDDF
    /// clients: of those not even a deadline says which.
    #[inline]
    pub fn wake(&mut self, from: ChannelSet) {
        let from = ChannelSet(from.0 | self.plain.0);
        let uppers = &mut self.uppers;
        self.active.wake(from, |number| {
            if let Some(upper) = uppers.get_mut(number) {
                upper.ring.wake();
            }
        });
    }

    /// Makes answers visible and wakes the clients that sleep; if `all`, every one that knows our extension. Then says to
    /// those who notified that we sleep, and looks again: whether nothing is pending that could be taken. `room` says whether
    /// the node has room for a request of an upper: if not, what waits there is looked at after the next completion.
    #[inline]
    pub fn settle<W: World>(&mut self, world: &mut W, all: bool, room: impl Fn(u8) -> bool) -> bool {
        let Self { uppers, active, touched, left, .. } = self;
        let (others, mut quiet) = (core::mem::take(touched), true);
        // Every ring must be told, so no short cut.
        active.settle(if all { u64::MAX } else { others }, |number, awake| {
            let Some(upper) = uppers.get_mut(number) else { return true };
            if upper.ring.publish() || (all && !upper.plain) {
                world.notify(upper.channel);
            }
            let asleep = !awake || upper.ring.sleep();
            if !asleep && upper.ring.take_left() {
                *left |= 1 << number;
                quiet = false;
            }
            quiet &= asleep || !room(u8::try_from(number).unwrap_or(u8::MAX));
            asleep
        });
        quiet
    }

    /// Whether [`left`](Self::left) has something to tell. It may after a [`settle`](Self::settle) that found something.
    #[inline]
    pub fn any_left(&self) -> bool {
        self.left != 0
    }

    /// A client that has died with requests in flight: whoever holds some that have not reached a device ends them
    /// ([`Node::upper_gone`](orion_layer::Node::upper_gone)). The client's next life is served once all have ended.
    #[cold]
    pub fn left(&mut self) -> Option<u8> {
        let number = u8::try_from(self.left.trailing_zeros()).ok().filter(|_| self.left != 0)?;
        self.left &= self.left - 1;
        Some(number)
    }

    /// Whether a plain sDDF client has left no room for the answers to what it asks: it says nothing when it has taken
    /// some, so look again after a while.
    #[cold]
    pub fn blocked(&mut self) -> bool {
        self.uppers.iter_mut().any(|upper| upper.plain && !upper.closed && upper.ring.blocked())
    }

    /// Whether there are plain sDDF clients.
    #[inline]
    pub fn any_plain(&self) -> bool {
        self.plain.0 != 0
    }

    /// Whether there was a malformed request, or a connection was closed, that [`take_news`](Self::take_news) has not told.
    #[inline]
    pub fn has_news(&self) -> bool {
        self.news
    }

    /// The same, once.
    pub fn take_news(&mut self) -> bool {
        core::mem::take(&mut self.news)
    }

    /// Requests that were answered here because they were malformed.
    pub fn malformed(&self) -> u64 {
        self.malformed
    }

    /// Whether the connection of a client was closed because it broke the protocol.
    pub fn closed(&self, number: u8) -> bool {
        self.uppers.get(usize::from(number)).is_some_and(|upper| upper.closed)
    }

    /// Of each client in turn, how many of its requests were malformed, and whether its connection was closed because it broke
    /// the protocol.
    pub fn faults(&self) -> impl Iterator<Item = (u64, bool)> {
        self.uppers.iter().map(|upper| (upper.malformed, upper.closed))
    }

    /// Clients whose connection was closed because they broke the protocol.
    pub fn misbehaved(&self) -> u32 {
        self.misbehaved
    }
}

/// Rights on a window, as `orion_caps::Rights` has them: read and flush, and those that change blocks.
const READING: u16 = 1 | 4;
const CHANGING: u16 = 2 | 8 | 16;

/// The windows of a client that may do all with the whole of a device with `limits` that the device does.
pub fn whole(limits: &Limits) -> [WindowInfo; 16] {
    let mut windows = [WindowInfo::default(); 16];
    let rights = if limits.read_only { READING } else { READING | CHANGING };
    windows[0] = WindowInfo { blocks: limits.capacity, rights };
    windows
}

pub(super) fn channel(number: u16) -> Result<Channel, InitError> {
    let number = u8::try_from(number).ok().filter(|n| *n < 62);
    number.map(Channel).ok_or(InitError("a channel number above 61: build the image again"))
}

/// Where a request's blocks lie in the node's unit, of which one of the client's has `1 << scale`. They stay within their
/// window, so that no request reaches into the next one.
#[inline]
pub(super) fn place(block: u64, count: u16, scale: u8) -> Result<(Lba, u32), Error> {
    if scale != 0 {
        return place_scaled(block, count, scale);
    }
    let inside = block % WINDOW_BLOCKS + u64::from(count) <= WINDOW_BLOCKS;
    if inside { Ok((Lba(block), count.into())) } else { Err(Error::OutOfRange) }
}

#[cold]
#[inline(never)]
fn place_scaled(block: u64, count: u16, scale: u8) -> Result<(Lba, u32), Error> {
    // A plain client counts in 4096 bytes: it can't name the blocks of a device with larger ones.
    if scale == UNKNOWN {
        return Err(Error::Unsupported);
    }
    let (window, block) = (block / WINDOW_BLOCKS * WINDOW_BLOCKS, block % WINDOW_BLOCKS);
    let blocks = u32::from(count).checked_mul(1 << scale).ok_or(Error::Invalid)?;
    let block = block.checked_mul(1 << scale).ok_or(Error::Invalid)?;
    let inside = block.checked_add(u64::from(blocks)).is_some_and(|end| end <= WINDOW_BLOCKS);
    if inside { Ok((Lba(window | block), blocks)) } else { Err(Error::OutOfRange) }
}

impl Upper {
    #[cold]
    #[inline(never)]
    fn learn_scale(&mut self) {
        self.scale = self.ring.unit().shift().checked_sub(self.shift).unwrap_or(UNKNOWN);
    }

    #[inline]
    fn request(&self, s: &orion_ring::Submission, regions: &Regions) -> Result<Request, Error> {
        let (lba, blocks) = place(s.block, s.count, self.scale)?;
        let buf = if s.op.has_payload() {
            let len = u64::from(blocks) << self.shift;
            self.payload(s.address, len, regions).ok_or(Error::Invalid)?
        } else {
            Buf::default()
        };
        Ok(Request { op: s.op, fua: s.fua, lba, blocks, buf })
    }

    #[inline]
    fn payload(&self, address: u64, len: u64, regions: &Regions) -> Option<Buf> {
        if !address.is_multiple_of(ALIGNMENT) {
            return None;
        }
        match self.data {
            Some(region) => holds(self.size, address, len).then_some(Buf { region, offset: address }),
            None => regions.at_bus(address, len),
        }
    }
}

impl Uppers for UpperRings {
    fn count(&self) -> u8 {
        u8::try_from(self.uppers.len()).unwrap_or(0)
    }

    #[inline]
    fn asking(&self) -> u64 {
        // Nobody is served before it was told what it has.
        if self.announced() { self.active.rings() } else { 0 }
    }

    // Also where a program has several loops that call it: as a call it costs a request a tenth more.
    #[inline(always)]
    fn next(&mut self, number: u8) -> Option<Submission> {
        let upper = self.uppers.get_mut(usize::from(number))?;
        loop {
            let (tag, refused) = match upper.ring.pop() {
                Ok(None) => return None,
                Ok(Some(Incoming::Request(s))) => {
                    if upper.scale == UNKNOWN {
                        upper.learn_scale();
                    }
                    let request = upper.request(&s, &self.regions);
                    match request {
                        Ok(req) => return Some(Submission { tag: s.id, req }),
                        Err(error) => (s.id, error),
                    }
                }
                Ok(Some(Incoming::Unknown { id, .. })) => (id, Error::Invalid),
                // A ring that is closed says so each time, and drops what it is given.
                Err(_) => {
                    let first = !core::mem::replace(&mut upper.closed, true);
                    self.misbehaved += u32::from(first);
                    self.news |= first;
                    return None;
                }
            };
            self.news = true;
            self.malformed += 1;
            upper.malformed += 1;
            upper.ring.push(Answer { id: tag, status: Err(refused), blocks: 0 });
        }
    }

    #[inline]
    fn complete(&mut self, number: u8, tag: u32, done: Completion) {
        let Some(upper) = self.uppers.get_mut(usize::from(number)) else { return };
        self.touched |= 1 << number;
        // Where the client's blocks can't be named, none was done: the shift is then as good as any.
        let blocks = done.blocks.wrapping_shr(upper.scale.into()).min(u16::MAX.into());
        let blocks = u16::try_from(blocks).unwrap_or(u16::MAX);
        match done.status {
            Ok(()) => upper.ring.push_done(tag, blocks),
            failed => upper.ring.push(Answer { id: tag, status: failed, blocks }),
        }
    }
}
