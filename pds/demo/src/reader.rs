// SPDX-License-Identifier: MIT
//! The reader: a client that is lent blocks by the demo at run time, reads them, and is denied once they are taken back.
use crate::job::address_in;
use crate::lend::{OTHERS, WRITTEN};
use crate::pattern;
use crate::text::{Answer, Place};
use core::fmt;
use orion_block::{Error, Op};
use orion_pd::config::{Link, Role};
use orion_pd::links::{self, ReplayClient};
use orion_pd::{Channel, ChannelSet, Config, InitError, Instant, ProtectionDomain, Verdict, World};
use orion_region::Window;
use orion_ring::{ServerInfo, Submission};

/// How often it looks whether it was lent something, and reads what it was lent.
const POLL_NS: u64 = 5_000_000;
/// Most bytes of a request.
const MOST: u64 = 1 << 16;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Nothing was lent yet.
    Waiting,
    /// It asked for so many blocks.
    Asked(Lent),
    /// It has read them, and asks again.
    Reading(Lent),
    Over,
}

/// What can be read at once of what was lent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lent {
    window: u8,
    blocks: u16,
    /// Bytes of a block.
    size: u64,
}

/// The reader.
#[derive(Debug)]
pub struct Reader {
    config: Config<'static>,
    link: &'static Link,
    client: ReplayClient<1>,
    data: Window,
    state: State,
    reads: u64,
    next: Instant,
}

impl<W: World> ProtectionDomain<W> for Reader {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let config = world.config();
        let none = InitError("the reader has no connection; give it an orion:grant in system.xml");
        let no_data =
            InitError("the reader's data region is not mapped; build the image and its configuration together");
        let (index, link) = config.links_as(Role::Client).next().ok_or(none)?;
        let region = config.regions.get(usize::from(link.data.get())).ok_or(no_data)?;
        let data = world.window(region.vaddr.get()).ok_or(no_data)?;
        let client = links::client(world, index)?;
        Ok(Self { config, link, client, data, state: State::Waiting, reads: 0, next: Instant(0) })
    }

    fn notified(&mut self, _: ChannelSet, world: &mut W) -> Option<Instant> {
        self.client.wake();
        if self.config.setting("bench_op").unwrap_or(0) != 0 && self.state != State::Over {
            world.print(format_args!("verified: nothing, since nothing is lent while the demo measures"));
            self.end(world, Verdict::Passed);
        }
        while self.state != State::Over {
            let before = (self.state, self.reads);
            self.answers(world);
            self.ask(world);
            if self.client.publish() {
                world.notify(Channel(u8::try_from(self.link.channel.get()).unwrap_or(u8::MAX)));
            }
            if before == (self.state, self.reads) && self.client.sleep() {
                let asked = matches!(self.state, State::Asked(_));
                return (!asked).then(|| self.next.max(world.now().after(1)));
            }
            self.client.wake();
        }
        None
    }
}

impl Reader {
    fn end<W: World>(&mut self, world: &mut W, verdict: Verdict) {
        self.state = State::Over;
        world.finish(verdict);
    }

    fn fail<W: World>(&mut self, world: &mut W, why: fmt::Arguments<'_>) {
        world.print(format_args!("failed: {why}"));
        self.end(world, Verdict::Failed);
    }

    /// Asks for what it was lent, or for it again.
    fn ask<W: World>(&mut self, world: &mut W) {
        let now = world.now();
        if now < self.next || !matches!(self.state, State::Waiting | State::Reading(_)) {
            return;
        }
        self.next = now.after(POLL_NS);
        let lent = match self.state {
            State::Reading(lent) => lent,
            _ => match self.client.server().and_then(|info| self::lent(&info, self.data.len() as u64)) {
                Some(lent) => lent,
                None => return,
            },
        };
        let block = address_in(lent.window, 0);
        let submission = Submission { id: 0, op: Op::Read, fua: false, block, count: lent.blocks, address: 0 };
        if self.client.push(submission).is_ok() {
            pattern::poison(&self.data, 0, u64::from(lent.blocks) * lent.size);
            self.state = State::Asked(lent);
        }
    }

    fn answers<W: World>(&mut self, world: &mut W) {
        loop {
            let answer = match self.client.pop() {
                Ok(Some(answer)) => answer,
                Ok(None) => return,
                Err(_) => return self.fail(world, format_args!("the gatekeeper broke the protocol of the ring")),
            };
            let State::Asked(lent) = self.state else {
                return self.fail(world, format_args!("an answer came that was not asked for"));
            };
            match answer.status {
                Ok(()) if answer.blocks == lent.blocks => self.read(lent, world),
                Err(Error::Denied) if self.reads > 0 => self.denied(lent, world),
                status => self.fail(world, format_args!("read of what was lent: {}", Answer(status))),
            }
            if self.state == State::Over {
                return;
            }
        }
    }

    /// The blocks are there: they must be what the demo wrote, if it did.
    fn read<W: World>(&mut self, lent: Lent, world: &mut W) {
        let Lent { window, blocks, size } = lent;
        if window == WRITTEN {
            let name = address_in(0, 0);
            let Some(seed) = pattern::seed(&self.data, 0, name) else {
                return self.fail(world, format_args!("the data region can't be read"));
            };
            if let Some((bad, byte)) = pattern::mismatch(&self.data, 0, seed, name, blocks, size) {
                let bad = Place(bad);
                return self
                    .fail(world, format_args!("{bad} of demo does not hold what demo wrote, from byte {byte} on"));
            }
        }
        if self.reads == 0 {
            let what = if window == WRITTEN { "hold what demo wrote" } else { "were read" };
            world.print(format_args!("read: {blocks} blocks of {size} bytes that demo lent (window {window}) {what}"));
        }
        self.reads += 1;
        self.state = State::Reading(lent);
    }

    fn denied<W: World>(&mut self, lent: Lent, world: &mut W) {
        if !pattern::untouched(&self.data, 0, u64::from(lent.blocks) * lent.size) {
            return self.fail(world, format_args!("a read was denied but changed memory"));
        }
        let (reads, window) = (self.reads, lent.window);
        world.print(format_args!("denied: read of window {window}, which demo has taken back"));
        world.print(format_args!("verified: what was lent was read {reads} times, then denied without a byte changed"));
        self.end(world, Verdict::Passed);
    }
}

/// What was lent.
fn lent(info: &ServerInfo, room: u64) -> Option<Lent> {
    let size = u64::from(info.limits.block.bytes());
    [WRITTEN, OTHERS].into_iter().find_map(|window| {
        let held = info.windows.get(usize::from(window)).filter(|w| w.rights & 1 != 0)?;
        let blocks = u16::try_from(held.blocks.min(MOST.min(room) / size)).ok().filter(|n| *n > 0)?;
        Some(Lent { window, blocks, size })
    })
}
