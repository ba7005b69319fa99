// SPDX-License-Identifier: MIT
//! Commands of the clients that may change capabilities.
use crate::audit::{Audit, Subject};
use crate::state::State;
use crate::{Around, CLIENTS_MAX, Capabilities, client_name, client_number, manager};
use heapless::Vec;
use orion_block::Instant;
use orion_caps::{Outcome, Pace};
use orion_control::{Ask, End, Kind, Refused, Server, Verb};
use orion_pd::config::{Config, NONE, Role};
use orion_pd::{InitError, World};

/// Commands that a client may give per second: each costs as much as some hundred requests.
const PER_SECOND: u32 = 200;
/// Milliseconds of that rate that may be saved up.
const BURST_MS: u32 = 80;
/// Commands that are printed, so that a client can't flood the console.
const PRINTED_MAX: u32 = 64;

#[derive(Debug)]
struct Line {
    client: u8,
    server: Server,
    pace: Pace,
}

/// The control connections.
#[derive(Debug)]
pub struct Control {
    lines: Vec<Line, CLIENTS_MAX>,
    /// The clients that have one, a bit each.
    clients: u64,
    /// A command waits for its client's pace, or the manager has called.
    put_off: bool,
    commands: u64,
    refused: u64,
    state: Option<State>,
    printed: u32,
}

/// What came of looking at the connections.
#[derive(Clone, Copy, Debug, Default)]
pub struct Served {
    /// Commands were answered.
    pub answered: bool,
    /// Of them one of the manager.
    pub manager: bool,
    /// What clients hold has changed.
    pub changed: bool,
    /// When a command that was put off for its client's pace may be done.
    pub deadline: Option<Instant>,
}

impl Control {
    /// Attaches to every control connection of the configuration.
    ///
    /// # Errors
    /// [`InitError`] where their pages are not mapped.
    pub fn new<W: World>(world: &mut W, state: Option<State>) -> Result<Self, InitError> {
        const UNMAPPED: InitError =
            InitError("a control page is not mapped: build the image and its configuration together");
        let config = world.config();
        let mut lines = Vec::new();
        let clients = config.controls.iter().filter(|control| control.link.get() != NONE);
        let managers = config.controls.iter().filter(|control| control.link.get() == NONE);
        let count = clients.clone().count();
        for control in clients.chain(managers) {
            let number = config.links_as(Role::Server).position(|(index, _)| index == usize::from(control.link.get()));
            let number = number.and_then(|n| u8::try_from(n).ok());
            let client = if control.link.get() == NONE { manager(&config) } else { number }.ok_or(UNMAPPED)?;
            let own = world.window(control.own.get()).ok_or(UNMAPPED)?;
            let peer = world.window(control.peer.get()).ok_or(UNMAPPED)?;
            let server = Server::new(End::attach(own, peer).ok_or(UNMAPPED)?);
            let line = Line { client, server, pace: Pace::new(PER_SECOND, BURST_MS) };
            lines.push(line).map_err(|_| InitError("more control connections than clients: build the image again"))?;
        }
        let clients = lines.iter().take(count).fold(0, |clients, line: &Line| clients | 1 << line.client);
        Ok(Self { lines, clients, put_off: false, commands: 0, refused: 0, state, printed: 0 })
    }

    /// The manager has called: it may have asked for something.
    pub fn asked(&mut self) {
        self.put_off |= self.lines.iter().any(|line| line.server.pending());
    }

    /// Commands of clients and of the manager, and those of them that were refused.
    pub fn counts(&self) -> (u64, u64) {
        (self.commands, self.refused)
    }

    /// Whether one of the clients `asking`, which notify by the same channel, or one that was put off, asked for something.
    #[inline]
    pub fn pending(&self, asking: u64) -> bool {
        let looked_at = if self.put_off { u64::MAX } else { self.clients & asking };
        looked_at != 0 && self.lines.iter().any(|line| looked_at >> line.client & 1 != 0 && line.server.pending())
    }

    /// Does at most one command of each client, if its pace allows it.
    #[inline(never)]
    pub fn serve<W: World>(
        &mut self,
        node: &mut Capabilities,
        around: &mut Around<'_>,
        audit: &mut Audit,
        world: &mut W,
    ) -> Served {
        let mut served = Served::default();
        let config = world.config();
        let Self { lines, state, printed, put_off, commands, refused, .. } = self;
        let manager = manager(&config);
        *put_off = false;
        for line in lines.iter_mut().filter(|line| line.server.pending()) {
            if let Err(at) = line.pace.take(around.now) {
                *put_off = true;
                served.deadline = Some(served.deadline.map_or(at, |earlier| earlier.min(at)));
                continue;
            }
            let Some((id, ask)) = line.server.take() else { continue };
            let subject = Subject::new(&config, line.client, ask, node.layer());
            let recorded = !subject.changes() || audit.may(line.client);
            let done = |ask: Ask| run(&config, line.client, &ask, node, around);
            let result = if recorded { ask.and_then(done) } else { Err(Refused::AuditFull) };
            let changed = result.is_ok() && subject.changes();
            let number = state.as_ref().map_or(0, State::number) + 1;
            audit.command(&subject, result, (number, node.layer()), world);
            let kept = !changed || state.as_mut().is_some_and(|state| state.keep(node.layer()));
            let result = if kept { result } else { Err(Refused::NotKept) };
            line.server.answer(id, result);
            served.answered = true;
            served.manager |= manager == Some(line.client);
            // Nobody says so again.
            *put_off |= served.manager && line.server.pending();
            *commands += 1;
            *refused += u64::from(result.is_err());
            served.changed |= changed;
            if changed || result.is_err() {
                *printed = printed.saturating_add(1);
                report(&config, line.client, (ask, result), *printed, world);
            }
        }
        served
    }
}

fn run(
    config: &Config<'_>,
    client: u8,
    ask: &Ask,
    node: &mut Capabilities,
    around: &mut Around<'_>,
) -> Result<Outcome, Refused> {
    // Only the manager can tell a driver anything.
    if ask.kind == Kind::Order && manager(config) != Some(client) {
        return Err(Refused::Denied(orion_caps::Denial::NotYours));
    }
    let command = ask.command(client, |name| client_number(config, name))?;
    let result = node.control(around, |layer, io| layer.command(client, &command, io));
    result.unwrap_or(Err(orion_caps::Denial::NotReady)).map_err(Refused::Denied)
}

/// Prints a command that changed something or was refused.
fn report<W: World>(
    config: &Config<'_>,
    client: u8,
    (ask, result): (Result<Ask, Refused>, Result<Outcome, Refused>),
    number: u32,
    world: &mut W,
) {
    if number > PRINTED_MAX {
        return;
    }
    let more = if number == PRINTED_MAX { "; further commands are not printed" } else { "" };
    let client = client_name(config, client);
    let Ok(ask) = ask else {
        return world.print(format_args!("{client} sent a malformed command{more}"));
    };
    // Only names that we know: the client may have written anything.
    let known = config.links_as(Role::Server).map(|(_, link)| link.peer.as_str()).find(|name| *name == ask.to.as_str());
    let to = if ask.to.as_str().is_empty() { client } else { known.unwrap_or("?") };
    let window = ask.to_window;
    match (result, ask.kind) {
        (Err(refused), kind) => {
            world.print(format_args!("refused {client}: {kind:?} of window {window} of {to}: {refused}{more}"));
        }
        (Ok(done), Kind::Attenuate | Kind::Delegate) => world.print(format_args!(
            "{client} gave window {window} of {to} {} blocks with the rights: {}{more}",
            done.blocks, ask.rights
        )),
        (Ok(done), Kind::Advance) => world.print(format_args!("{client} began epoch {}{more}", done.epoch)),
        (Ok(_), Kind::Order) => {
            let verb = u8::try_from(ask.extent.first).ok().and_then(Verb::of).map_or("?", Verb::text);
            world.print(format_args!("{client} had the device of its window {} told to: {verb}{more}", ask.window));
        }
        (Ok(done), kind) => {
            let many = if done.affected == 1 { "capability" } else { "capabilities" };
            world.print(format_args!("{client}: {kind:?} of window {window} of {to}: {} {many}{more}", done.affected));
        }
    }
}
