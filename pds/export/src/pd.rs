// SPDX-License-Identifier: MIT
//! The protection domain: the engine between the world's sockets and a ring to the gatekeeper.
use crate::engine::{Engine, REQUESTS};
use orion_metrics::Counter;
use orion_pd::config::{Link, Role};
use orion_pd::links::{self, ReplayClient};
use orion_pd::sockets::Sockets;
use orion_pd::{Channel, ChannelSet, InitError, Instant, ProtectionDomain, Reporter, Verdict, World};
use orion_region::Window;

/// How long it waits before it looks again for a server that is not ready.
const READY_POLL_NS: u64 = 10_000_000;

/// The export of one volume.
#[derive(Debug)]
pub struct Export {
    name: &'static str,
    channel: Channel,
    client: ReplayClient<REQUESTS>,
    data: Window,
    state: State,
    reporter: Reporter,
}

#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there is one, and nothing may allocate")]
enum State {
    /// The gatekeeper has not said what it offers. Connections wait in the backlog.
    Waiting,
    Serving(Engine),
    /// The volume can't be served.
    Over,
}

impl<W: World + Sockets> ProtectionDomain<W> for Export {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let config = world.config();
        let (index, link) = config
            .links_as(Role::Client)
            .next()
            .ok_or(InitError("the export has no volume: give it one with --export VOLUME=..."))?;
        let data = data(world, link)?;
        Ok(Self {
            name: link.volume.as_str(),
            channel: channel(link)?,
            client: links::client(world, index)?,
            data,
            state: State::Waiting,
            reporter: Reporter::new(world)?,
        })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        if self.reporter.asked(from) {
            self.asked(from, world);
        }
        self.client.wake();
        loop {
            let again = self.turn(world);
            if self.client.publish() {
                world.notify(self.channel);
            }
            if !again && self.client.sleep() {
                return self.deadline(world);
            }
            self.client.wake();
        }
    }
}

impl Export {
    /// Does what can be done now; whether more may be possible at once.
    fn turn<W: World + Sockets>(&mut self, world: &mut W) -> bool {
        match &mut self.state {
            State::Waiting => self.start(world),
            State::Serving(engine) => {
                let now = world.now();
                match engine.turn(world, &mut self.client, &self.data, now) {
                    Ok(progress) => progress,
                    Err(broken) => {
                        world.print(format_args!("export: {broken}; {} is closed", self.name));
                        engine.abandon(world);
                        self.end(world);
                        false
                    }
                }
            }
            State::Over => false,
        }
    }

    /// What the supervisor and the manager ask.
    #[cold]
    #[inline(never)]
    fn asked<W: World>(&mut self, from: ChannelSet, world: &mut W) {
        if self.reporter.answer(from) {
            self.show(world);
        }
    }

    /// Shows the manager its figures.
    #[cold]
    fn show<W: World>(&mut self, world: &mut W) {
        if let State::Serving(engine) = &self.state {
            let ((answers, errors), open) = (engine.answers(), engine.connections());
            self.reporter.figures.set(Counter::Requests, answers);
            self.reporter.figures.set(Counter::Errors, errors);
            self.reporter.figures.set(Counter::Connections, u64::try_from(open).unwrap_or(u64::MAX));
        }
        self.reporter.publish(world, []);
    }

    /// Begins to serve once the gatekeeper is ready.
    fn start<W: World + Sockets>(&mut self, world: &mut W) -> bool {
        if let Some(broken) = self.client.misbehaved() {
            world.print(format_args!("export: {broken}; {} is not served", self.name));
            self.end(world);
            return false;
        }
        let Some(info) = self.client.server() else {
            return false;
        };
        match Engine::new(self.name, &info, self.data.len()) {
            Ok(engine) => {
                world.print(format_args!("serving {} ({engine})", self.name));
                self.state = State::Serving(engine);
                true
            }
            Err(unfit) => {
                world.print(format_args!("export: {} is not served: {unfit}", self.name));
                self.end(world);
                false
            }
        }
    }

    fn end<W: World>(&mut self, world: &mut W) {
        self.state = State::Over;
        world.finish(Verdict::Failed);
    }

    fn deadline<W: World>(&self, world: &W) -> Option<Instant> {
        match &self.state {
            State::Waiting => Some(world.now().after(READY_POLL_NS)),
            State::Serving(engine) => engine.deadline(),
            State::Over => None,
        }
    }
}

fn data<W: World>(world: &mut W, link: &Link) -> Result<Window, InitError> {
    let region = world.config().regions.get(usize::from(link.data.get()));
    let region = region.ok_or(InitError("the export has no data region: build its configuration again"))?;
    world
        .window(region.vaddr.get())
        .ok_or(InitError("the export's data region is not mapped: build its configuration again"))
}

fn channel(link: &Link) -> Result<Channel, InitError> {
    let id = u8::try_from(link.channel.get()).ok().filter(|id| *id < 62);
    id.map(Channel).ok_or(InitError("the export's channel is not one: build its configuration again"))
}
