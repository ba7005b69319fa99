// SPDX-License-Identifier: MIT
//! A client that does what a test says, one request or command at a time, or as many as it can.
use crate::world::SimWorld;
use orion_block::{Error, Instant, Op, Status};
use orion_caps::Outcome;
use orion_control::{Ask, End, Refused};
use orion_pd::config::Role;
use orion_pd::links::{self, ReplayClient};
use orion_pd::{Channel, ChannelSet, InitError, ProtectionDomain, World};
use orion_ring::{Submission, WindowInfo};
use std::collections::VecDeque;

/// What a puppet is to ask.
#[derive(Clone, Copy, Debug)]
pub enum Wish {
    /// Something of blocks of a window: the first, counted in blocks of the ring, and how many.
    Blocks(Op, u8, u64, u16),
    /// A change of capabilities.
    Command(Ask),
}

/// What it was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// What became of a request.
    Blocks(Status),
    /// What became of a command.
    Command(Result<Outcome, Refused>),
}

impl Told {
    /// Whether it was done.
    pub fn good(&self) -> bool {
        matches!(self, Self::Blocks(Ok(())) | Self::Command(Ok(_)))
    }
}

/// What a puppet is to do all the time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habit {
    /// Reads of its window 0 that it keeps in its ring.
    pub depth: u32,
    /// Blocks of the ring of each of them.
    pub blocks: u16,
    /// Nanoseconds from an answer to the read that follows it.
    pub thinks: u64,
    /// Reads beyond its window 0 that it keeps in its ring: each is refused.
    pub beyond: u32,
    /// Whether it fills its control page with commands.
    pub commands: bool,
}

/// A puppet's strings.
#[derive(Debug, Default)]
pub struct Strings {
    /// Wishes that there were.
    pub count: u32,
    /// What it is to ask, each with a number.
    pub wishes: VecDeque<(u32, Wish)>,
    /// What it was told, by number.
    pub told: Vec<(u32, Told)>,
    /// What it is to do all the time.
    pub habit: Habit,
    /// When each of its habitual reads was answered, and how.
    pub reads: Vec<(u64, Status)>,
    /// Habitual reads beyond its window that were refused.
    pub refused: u64,
    /// Answers to habitual commands.
    pub commands: u64,
    /// What the gatekeeper says that its windows hold.
    pub windows: Option<[WindowInfo; 16]>,
}

/// Numbers from here on are of habitual reads.
const HABIT: u32 = 1 << 20;
/// Those from here on of such that are refused.
const BEYOND: u32 = 1 << 21;
/// A block that no grant of a test has.
const FAR: u64 = 1 << 30;
/// Most requests in flight.
const REQUESTS: usize = 256;

/// The client.
pub struct Puppet {
    name: String,
    channel: Channel,
    client: ReplayClient<REQUESTS>,
    /// What its requests in flight are called, by their ids on the ring.
    called: [Option<u32>; REQUESTS],
    control: Option<orion_control::Client>,
    /// The wishes behind the commands that were sent; of a habitual one none.
    sent: VecDeque<Option<u32>>,
    reading: u32,
    beyond: u32,
    /// When it may ask again for each answer over which it still thinks.
    thinking: VecDeque<u64>,
}

impl ProtectionDomain<SimWorld> for Puppet {
    fn init(world: &mut SimWorld) -> Result<Self, InitError> {
        let config = world.config();
        let (index, link) = config.links_as(Role::Client).next().ok_or(InitError("a puppet needs a link"))?;
        let control = config.controls.first().map(|pages| {
            let (own, peer) = (world.window(pages.own.get()), world.window(pages.peer.get()));
            orion_control::Client::new(End::attach(own.unwrap(), peer.unwrap()).unwrap())
        });
        Ok(Self {
            name: config.name.to_owned(),
            channel: Channel(link.channel.get() as u8),
            client: links::client(world, index)?,
            called: [None; REQUESTS],
            control,
            sent: VecDeque::new(),
            reading: 0,
            beyond: 0,
            thinking: VecDeque::new(),
        })
    }

    fn notified(&mut self, _: ChannelSet, world: &mut SimWorld) -> Option<Instant> {
        self.client.wake();
        loop {
            let now = world.now().0;
            let common = world.common.clone();
            let mut common = common.borrow_mut();
            let strings = common.puppets.entry(self.name.clone()).or_default();
            if let Some(info) = self.client.server() {
                strings.windows = Some(info.windows);
            }
            let moved = self.answers(strings, now) | (strings.windows.is_some() && self.asks(strings, now));
            drop(common);
            if self.client.publish() || (moved && self.control.is_some()) {
                world.notify(self.channel);
            }
            if !moved && self.client.sleep() {
                return self.thinking.front().map(|at| Instant(*at));
            }
        }
    }
}

impl Puppet {
    fn answers(&mut self, strings: &mut Strings, now: u64) -> bool {
        let mut moved = false;
        while let Some(answer) = self.client.pop().expect("the gatekeeper keeps to the protocol") {
            moved = true;
            let called = self.called[answer.id as usize].take().expect("the ring answers what was asked");
            if called >= BEYOND {
                assert_eq!(answer.status, Err(Error::Denied));
                self.beyond -= 1;
                strings.refused += 1;
            } else if called >= HABIT {
                self.reading -= 1;
                self.thinking.push_back(now + strings.habit.thinks);
                strings.reads.push((now, answer.status));
            } else {
                strings.told.push((called, Told::Blocks(answer.status)));
            }
        }
        while let Some((_, result)) = self.control.as_mut().and_then(orion_control::Client::answer) {
            moved = true;
            // Where a test has written over the page, more is answered than was asked.
            match self.sent.pop_front().flatten() {
                Some(number) => strings.told.push((number, Told::Command(result))),
                None => strings.commands += 1,
            }
        }
        moved
    }

    fn asks(&mut self, strings: &mut Strings, now: u64) -> bool {
        let mut moved = false;
        while let Some((number, wish)) = strings.wishes.front().copied() {
            let sent = match wish {
                Wish::Blocks(op, window, block, count) => self.push(number, op, u64::from(window) << 40 | block, count),
                Wish::Command(ask) => self.command(&ask, Some(number)),
            };
            if !sent {
                break;
            }
            strings.wishes.pop_front();
            moved = true;
        }
        let Habit { depth, blocks, beyond, commands, .. } = strings.habit;
        while self.thinking.front().is_some_and(|at| *at <= now) {
            self.thinking.pop_front();
        }
        let thinking = u32::try_from(self.thinking.len()).unwrap_or(depth);
        while self.reading + thinking < depth && self.push(HABIT, Op::Read, 0, blocks) {
            self.reading += 1;
            moved = true;
        }
        while self.beyond < beyond && self.push(BEYOND, Op::Read, FAR, 1) {
            self.beyond += 1;
            moved = true;
        }
        // A look at what there is not: refused at the end of all checks.
        let look = Ask::on(orion_control::Kind::Look, "", 15);
        while commands && self.command(&look, None) {
            moved = true;
        }
        moved
    }

    fn push(&mut self, called: u32, op: Op, block: u64, count: u16) -> bool {
        let Some(id) = self.called.iter().position(Option::is_none) else { return false };
        let submission = Submission { id: id as u32, op, fua: false, block, count, address: 0 };
        let pushed = self.client.push(submission).is_ok();
        self.called[id] = Some(called).filter(|_| pushed);
        pushed
    }

    fn command(&mut self, ask: &Ask, number: Option<u32>) -> bool {
        let control = self.control.as_mut().expect("a puppet that commands holds `derive` or `admin`");
        let sent = control.ask(ask).is_some();
        if sent {
            self.sent.push_back(number);
        }
        sent
    }
}
