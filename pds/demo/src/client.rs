// SPDX-License-Identifier: MIT
//! The protection domain: a job on a ring.
use crate::job::{Ask, Data, Grant, Job, MOST_SLOTS, Next, Server, Slot, right};
use crate::lend::{LOOK_NS, Lend, Step};
use crate::pauses::Pauses;
use crate::setup::{self, Work};
use crate::slots::Slots;
use crate::text::Name;
use core::fmt::{self, Display, Formatter};
use orion_block::{Op, POLICY_BLOCK};
use orion_control::{Ask as Command, End};
use orion_pd::config::{Link, Role};
use orion_pd::links::{self, ReplayClient};
use orion_pd::{Channel, ChannelSet, Config, InitError, Instant, ProtectionDomain, Verdict, World};
use orion_region::Window;
use orion_ring::{ServerInfo, Submission};

/// The ring, with as many requests in flight as there are slots.
type Client = ReplayClient<MOST_SLOTS>;

/// Bits of rights, as in [`orion_caps::Rights`].
const READ: u16 = 1;
const DERIVE: u16 = 64;
/// How long the demo waits before it looks again for a server that is not ready.
const READY_POLL_NS: u64 = 10_000_000;

impl Data for Window {
    fn put(&self, offset: u64, bytes: &[u8]) -> bool {
        usize::try_from(offset).is_ok_and(|offset| self.copy_in(offset, bytes))
    }
    fn get(&self, offset: u64, bytes: &mut [u8]) -> bool {
        usize::try_from(offset).is_ok_and(|offset| self.copy_out(offset, bytes))
    }
}

/// The demo client.
#[derive(Debug)]
pub struct Demo {
    config: Config<'static>,
    link: &'static Link,
    channel: Channel,
    client: Client,
    data: Window,
    state: State,
    /// The gatekeeper's, where the grant has the right `derive` or `admin`.
    control: Option<orion_control::Client>,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, and nothing may allocate")]
enum State {
    /// The server has not said what it offers.
    Waiting,
    Running(Run),
    /// The job is done, and blocks are lent; and what is asked when.
    Lending(Lend, Option<(Instant, Command)>),
    Over,
}

#[derive(Debug)]
struct Run {
    work: Work,
    slots: Slots,
    began: Instant,
    pauses: Option<Pauses>,
}

/// The other side did what no correct server does.
struct Misbehaved(&'static str);

impl<W: World> ProtectionDomain<W> for Demo {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let config = world.config();
        let none = InitError("the demo has no connection; give it an orion:grant in system.xml");
        let no_data = InitError("the demo's data region is not mapped; build the image and its configuration together");
        let (index, link) = config.links_as(Role::Client).next().ok_or(none)?;
        let region = config.regions.get(usize::from(link.data.get())).ok_or(no_data)?;
        let data = world.window(region.vaddr.get()).ok_or(no_data)?;
        let client = links::client(world, index)?;
        let control = control(world, index)?;
        let channel = Channel(u8::try_from(link.channel.get()).unwrap_or(u8::MAX));
        Ok(Self { config, link, channel, client, data, state: State::Waiting, control })
    }

    fn notified(&mut self, _: ChannelSet, world: &mut W) -> Option<Instant> {
        self.client.wake();
        while !matches!(self.state, State::Over) {
            if matches!(self.state, State::Waiting) {
                self.begin(world);
            }
            if let Err(Misbehaved(what)) = self.serve(world) {
                let peer = self.link.peer.as_str();
                self.fail(world, format_args!("{peer} misbehaved: {what}"));
            }
            let asked = matches!(self.state, State::Lending(..)) && self.lend(world);
            if self.client.publish() || asked {
                world.notify(self.channel);
            }
            if self.client.sleep() {
                return match &self.state {
                    State::Waiting => Some(world.now().after(READY_POLL_NS)),
                    State::Lending(_, next) => next.map(|(at, _)| at),
                    _ => None,
                };
            }
            self.client.wake();
        }
        None
    }
}

impl Demo {
    #[cold]
    #[inline(never)]
    fn fail<W: World>(&mut self, world: &mut W, why: fmt::Arguments<'_>) {
        world.print(format_args!("failed: {why}"));
        world.finish(Verdict::Failed);
        self.state = State::Over;
    }

    /// Starts the job once the server is ready.
    #[cold]
    #[inline(never)]
    fn begin<W: World>(&mut self, world: &mut W) {
        let Some(info) = self.client.server() else { return };
        let server = self.offer(&info);
        for (number, grant) in server.grants.iter().enumerate().filter(|(_, g)| g.blocks > 0) {
            let (blocks, size, rights) = (grant.blocks, server.block(), Rights(grant.rights));
            world.print(format_args!("window {number}: {blocks} blocks of {size} bytes;{rights}"));
        }
        let depth = match self.link.depth.get() {
            0 => self.link.capacity.get().into(),
            depth => u64::from(depth),
        };
        let began = world.now();
        match setup::job(&server, |key| self.config.setting(key), depth, began.0) {
            Ok((work, slots)) => {
                let pauses = self.config.setting("demo_pauses").map(Pauses::new);
                self.state = State::Running(Run { work, slots, began, pauses });
            }
            Err(why) => self.fail(world, format_args!("{why}")),
        }
    }

    /// What the server offers. One of plain sDDF announces no windows: window 0 is then the whole of it.
    fn offer(&self, info: &ServerInfo) -> Server {
        let limits = info.limits;
        let mut grants = info.windows.map(|w| Grant { blocks: w.blocks, rights: w.rights });
        if let (true, [whole, rest @ ..]) = (self.link.plain(), &mut grants) {
            let rights = if limits.read_only { 1 } else { right(Op::Read) | right(Op::Write) | right(Op::Flush) };
            *whole = Grant { blocks: limits.capacity, rights };
            rest.fill(Grant::default());
        }
        Server { limits, grants, data: self.data.len() as u64 }
    }

    /// Takes the answers that are there, then sends what the job wants.
    fn serve<W: World>(&mut self, world: &mut W) -> Result<(), Misbehaved> {
        let State::Running(Run { work, slots, pauses, .. }) = &mut self.state else {
            return Ok(());
        };
        let done = match work {
            Work::Verify(job) => {
                let before = job.answers();
                let done = pump_apart(job, slots, &mut self.client, &self.data, world)?;
                if let Some(pauses) = pauses.as_mut().filter(|_| job.answers() != before) {
                    pauses.answered(world.now());
                }
                done
            }
            Work::Bench(job) => pump(job, slots, &mut self.client, &self.data, world)?,
            Work::Endure(job) => {
                job.set_time(world.now().0);
                pump_apart(job, slots, &mut self.client, &self.data, world)?
            }
        };
        if done {
            self.end(world);
        }
        Ok(())
    }

    /// The job is done.
    #[cold]
    #[inline(never)]
    fn end<W: World>(&mut self, world: &mut W) {
        let State::Running(Run { work, began, pauses, .. }) = &mut self.state else { return };
        let elapsed = world.now().0.saturating_sub(began.0);
        if let Some(pauses) = pauses {
            world.print(format_args!("{pauses}"));
        }
        let verdict = work.job().end(elapsed, &mut |line| world.print(line));
        self.state = self.after(verdict, world.now());
        if matches!(self.state, State::Over) {
            world.finish(verdict);
        }
    }
}

/// As [`pump`], for jobs that do not measure: their code stays out of the way of the one that does.
#[inline(never)]
fn pump_apart<J: Job, W: World>(
    job: &mut J,
    slots: &mut Slots,
    client: &mut Client,
    data: &Window,
    world: &mut W,
) -> Result<bool, Misbehaved> {
    pump(job, slots, client, data, world)
}

/// Hands a job the answers that are there, and sends what it wants; whether it is done.
#[inline]
fn pump<J: Job, W: World>(
    job: &mut J,
    slots: &mut Slots,
    client: &mut Client,
    data: &Window,
    world: &mut W,
) -> Result<bool, Misbehaved> {
    while let Some(answer) = client.pop().map_err(|_| Misbehaved("it broke the protocol of the ring"))? {
        // The ring answers only what was asked.
        let slot = slots.put_back(answer.id);
        job.answered(slot, answer.status, answer.blocks, data, &mut |line| world.print(line));
    }
    while let Some(slot) = slots.first_free().filter(|_| client.room() > 0) {
        match job.next(slot, data) {
            Next::Send(ask) => {
                client.push(submission(slot, ask)).map_err(|_| Misbehaved("its ring has no room"))?;
                slots.take(slot);
            }
            Next::Wait => break,
            Next::Done => return Ok(true),
        }
    }
    job.sent();
    Ok(false)
}

impl Demo {
    /// What comes after the job: where it went well and there is something to lend from, that.
    fn after(&mut self, verdict: Verdict, now: Instant) -> State {
        let State::Running(Run { work: Work::Verify(job), .. }) = &self.state else { return State::Over };
        let written = job.written() >> POLICY_BLOCK.shift();
        let Some(info) = self.client.server().filter(|_| verdict == Verdict::Passed && self.control.is_some()) else {
            return State::Over;
        };
        let window = info.windows[0];
        if window.rights & (DERIVE | READ) != DERIVE | READ {
            return State::Over;
        }
        let small = POLICY_BLOCK.shift().saturating_sub(info.limits.block.shift());
        let (lend, ask) = Lend::new(window.blocks >> small, written);
        State::Lending(lend, Some((now, ask)))
    }

    /// Goes on with the lending; whether the gatekeeper must be woken.
    #[cold]
    #[inline(never)]
    fn lend<W: World>(&mut self, world: &mut W) -> bool {
        let (State::Lending(lend, next), Some(control)) = (&mut self.state, &mut self.control) else { return false };
        let mut asked = false;
        loop {
            if let Some((_, ask)) = next.take_if(|(at, _)| *at <= world.now()) {
                asked |= control.ask(&ask).is_some();
            }
            let Some((_, result)) = control.answer() else { return asked };
            match lend.answered(result, &mut |line| world.print(line)) {
                Step::Ask(ask) => *next = Some((world.now(), ask)),
                Step::Later(ask) => *next = Some((world.now().after(LOOK_NS), ask)),
                Step::Over(well) => {
                    world.finish(if well { Verdict::Passed } else { Verdict::Failed });
                    self.state = State::Over;
                    return asked;
                }
            }
        }
    }
}

/// The control connection beside the link `index`; `None` where there is none.
fn control<W: World>(world: &mut W, index: usize) -> Result<Option<orion_control::Client>, InitError> {
    let unmapped = InitError("a control page is not mapped: build the image and its configuration together");
    let Some(control) = world.config().controls.iter().find(|c| usize::from(c.link.get()) == index) else {
        return Ok(None);
    };
    let own = world.window(control.own.get()).ok_or(unmapped)?;
    let peer = world.window(control.peer.get()).ok_or(unmapped)?;
    Ok(Some(orion_control::Client::new(End::attach(own, peer).ok_or(unmapped)?)))
}

fn submission(slot: Slot, ask: Ask) -> Submission {
    Submission {
        id: u32::try_from(slot.index).unwrap_or(u32::MAX),
        op: ask.op,
        fua: false,
        block: ask.block,
        count: ask.count,
        address: ask.address,
    }
}

/// The rights of a window, for people.
struct Rights(u16);

impl Display for Rights {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let held = Op::ALL.into_iter().filter(|&op| self.0 & right(op) != 0);
        f.write_str(if self.0 == 0 { " no rights" } else { " rights:" })?;
        held.into_iter().try_for_each(|op| write!(f, " {}", Name(op)))
    }
}
