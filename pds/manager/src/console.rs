// SPDX-License-Identifier: MIT
//! The manager where operators type at the console.
use crate::core::{COMMAND_PATIENCE, Core, Permit, Told};
use crate::health;
use crate::tables::{self, Seen};
use heapless::Vec;
use orion_caps::Outcome;
use orion_control::text::{self, HELP, Order};
use orion_control::{Ask, Kind, Refused};
use orion_metrics::{Order as PdOrder, Reply, Work};
use orion_pd::{ChannelSet, InitError, Instant, ProtectionDomain, World};
use orion_ring::bytes::Reader;

/// Most bytes of a line; a longer one is refused.
pub const LINE_MAX: usize = 200;

/// What an operator waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    None,
    /// Figures, for a table: whether of what came since the last look.
    State(bool),
    /// Figures, for the list of rights.
    List,
    /// Figures, for what the disks say of themselves.
    Health,
    /// The gatekeeper's answer to the command of this number.
    Command(u32, Kind, Instant),
    /// The gatekeeper's, on whether this may be done with a disk.
    Permit(Permit, Instant),
    /// A PD's, to what it was told.
    Order(Told, Instant),
}

/// The manager of a world with a console.
#[derive(Debug)]
pub struct OnConsole {
    core: Core,
    typed: Reader,
    line: Vec<u8, LINE_MAX>,
    /// The line is longer than any that is understood.
    long: bool,
    job: Job,
    seen: Seen,
}

impl<W: World> ProtectionDomain<W> for OnConsole {
    fn init(world: &mut W) -> Result<Self, InitError> {
        let none = InitError("there is no console at which anybody could type: build the configuration again");
        let record = world.config().consoles.iter().find(|console| console.role.get() == 3).ok_or(none)?;
        let typed = Reader::attach(world.window(record.vaddr.get()).ok_or(none)?).map_err(|_| none)?;
        let seen = tables::nothing_seen(world.now());
        Ok(Self { core: Core::new(world)?, typed, line: Vec::new(), long: false, job: Job::None, seen })
    }

    fn notified(&mut self, from: ChannelSet, world: &mut W) -> Option<Instant> {
        self.core.called(from);
        while self.finish(world) && self.read(world) {}
        match self.job {
            Job::None => None,
            Job::Command(_, _, until) | Job::Permit(_, until) | Job::Order(_, until) => Some(until),
            Job::State(_) | Job::List | Job::Health => self.core.gathering(),
        }
    }
}

impl OnConsole {
    /// Ends what is waited for, if it is there; whether nothing is waited for.
    fn finish<W: World>(&mut self, world: &mut W) -> bool {
        while let Some((number, result)) = self.core.answer() {
            match (self.job, result) {
                (Job::Command(asked, kind, _), _) if asked == number => {
                    self.job = Job::None;
                    report(kind, result, world);
                }
                (Job::Permit(permit, _), Ok(_)) if permit.number() == number => {
                    let told = self.core.permitted(permit, world);
                    self.told(told, world);
                }
                (Job::Permit(permit, _), Err(refused)) if permit.number() == number => {
                    self.job = Job::None;
                    world.print(format_args!("refused: {refused}"));
                }
                _ => {}
            }
        }
        let now = world.now();
        match self.job {
            Job::State(since) if self.core.gathered(now) => {
                self.job = Job::None;
                tables::state(&self.core, &mut self.seen, since, world);
            }
            Job::List if self.core.gathered(now) => {
                self.job = Job::None;
                tables::holdings(&self.core, world);
            }
            Job::Health if self.core.gathered(now) => {
                self.job = Job::None;
                health::print(&self.core, world);
            }
            Job::Permit(_, until) if now >= until => {
                self.job = Job::None;
                world.print(format_args!("the gatekeeper does not answer; nothing was done"));
            }
            Job::Command(_, _, until) if now >= until => {
                self.job = Job::None;
                world.print(format_args!("the gatekeeper does not answer; it may do the command later"));
            }
            Job::Order(told, until) => {
                if let Some(said) = ordered(self.core.obeyed(told), now >= until) {
                    self.job = Job::None;
                    world.print(format_args!("{said}"));
                }
            }
            _ => {}
        }
        self.job == Job::None
    }

    /// Takes what was typed up to the end of a line, and does it; whether there was a whole line.
    fn read<W: World>(&mut self, world: &mut W) -> bool {
        let mut byte = [0];
        while self.typed.read(&mut byte) == 1 {
            let [byte] = byte;
            if byte != b'\n' {
                self.long |= self.line.push(byte).is_err();
                continue;
            }
            let line = core::mem::take(&mut self.line);
            let long = core::mem::take(&mut self.long);
            match core::str::from_utf8(&line) {
                _ if long => world.print(format_args!("a command has at most {LINE_MAX} bytes; write help")),
                Ok(line) => self.obey(line, world),
                Err(_) => world.print(format_args!("what was typed is no text; write help")),
            }
            return true;
        }
        false
    }

    fn obey<W: World>(&mut self, line: &str, world: &mut W) {
        if line.trim().is_empty() {
            return;
        }
        let gathers = match text::parse(line) {
            Ok(Order::Help) => return HELP.iter().for_each(|line| world.print(format_args!("{line}"))),
            Ok(Order::Status) => Job::State(false),
            Ok(Order::Top) => Job::State(true),
            Ok(Order::List) => Job::List,
            Ok(Order::Health) => Job::Health,
            Ok(Order::Tell(PdOrder::Disk(work), disk)) => {
                return self.permit(work, disk, world);
            }
            Ok(Order::Member(work, array, device)) => {
                let Some(port) = self.core.port_of(array, device) else {
                    return world.print(format_args!("{array:?} has no device {device:?}; `health` shows them"));
                };
                // What differs from all that were ever made here is enough of an identifier.
                let (first, count) = (world.now().0, u64::from_be_bytes(*b"orion-sp"));
                return self.permit(Work { how: port.into(), first, count, ..work }, array, world);
            }
            Ok(Order::Tell(order, pd)) => {
                let told = self.core.order(pd, order, world);
                return self.told(told, world);
            }
            Ok(Order::Command(ask, volume)) => return self.command(ask, volume, world),
            Err(mistake) => return world.print(format_args!("{mistake}")),
        };
        self.job = gathers;
        self.core.gather(world);
    }

    /// Asks the gatekeeper whether something may be done with a disk or an array.
    fn permit<W: World>(&mut self, work: Work, disk: &str, world: &mut W) {
        match self.core.permit(disk, work, world) {
            Ok(permit) => self.job = Job::Permit(permit, world.now().after(COMMAND_PATIENCE)),
            Err(why) => world.print(format_args!("{why}")),
        }
    }

    /// A PD was told something, or could not be.
    fn told<W: World>(&mut self, told: Result<Told, &'static str>, world: &mut W) {
        self.job = match told {
            Ok(told) => Job::Order(told, world.now().after(COMMAND_PATIENCE)),
            Err(why) => {
                world.print(format_args!("{why}"));
                Job::None
            }
        };
    }

    fn command<W: World>(&mut self, mut ask: Ask, volume: Option<&str>, world: &mut W) {
        if let Some(volume) = volume {
            let Some(window) = self.core.window_on(volume) else {
                return world.print(format_args!("there is no volume {volume:?}; `ctl list` shows them"));
            };
            ask.window = window;
        }
        match self.core.command(&ask, world) {
            Ok(number) => self.job = Job::Command(number, ask.kind, world.now().after(COMMAND_PATIENCE)),
            Err(why) => world.print(format_args!("{why}")),
        }
    }
}

/// What to say of an order, if there is something to say.
fn ordered(reply: Option<Reply>, late: bool) -> Option<&'static str> {
    match reply {
        Some(reply) => Some(reply.text()),
        None => late.then_some("the protection domain does not answer; it does it when it next runs"),
    }
}

fn report<W: World>(kind: Kind, result: Result<Outcome, Refused>, world: &mut W) {
    match result {
        Err(refused) => world.print(format_args!("refused: {refused}")),
        Ok(done) => world.print(format_args!("{}", Done(kind, done))),
    }
}

/// What came of a command, for people.
struct Done(Kind, Outcome);

impl core::fmt::Display for Done {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self(kind, Outcome { affected, blocks, rights, passed, epoch }) = self;
        match kind {
            Kind::Advance => write!(f, "done: epoch {epoch}; {affected} capabilities ended"),
            Kind::Revoke => write!(f, "done: {affected} capabilities taken back"),
            _ => write!(f, "done: {affected} capabilities; {blocks} blocks; allows now: {rights}; used {passed} times"),
        }
    }
}
