// SPDX-License-Identifier: MIT
//! One operator's connection: takes a request, waits for what it needs, sends the answer piece by piece.
use crate::core::{COMMAND_PATIENCE, Core, Permit, Told};
use heapless::Vec;
use orion_caps::Outcome;
use orion_control::operator::{Disk, FRAME_MAX, Frame, Malformed, REQUEST, Request};
use orion_control::{Name, Refused};
use orion_metrics::{Order, Reply};
use orion_pd::sockets::{Conn, Interest, Sockets, Source, Stopped, Target};
use orion_pd::{Instant, World};

/// Nanoseconds after which a connection that does not take its answer is closed: others wait for it.
const STALL: u64 = 2_000_000_000;
/// Nanoseconds after which a connection that asks nothing is closed.
const IDLE: u64 = 60_000_000_000;

const ONLY_LOOKS: &str = "this socket is for `orion status`, `orion top` and `orion ctl list`; commands go to the one that `orion run` names first";

/// Where a connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// A request is being received.
    Listening,
    /// The figures are being gathered for it.
    Waiting,
    /// The gatekeeper does its command, which has this number.
    Commanding(u32),
    /// The gatekeeper is asked whether this may be done with a disk.
    Permitting(Permit),
    /// A PD was told to do this.
    Ordering(Told),
    /// Its answer is being sent: the next piece of the state.
    Sending(Piece),
    /// What is left is sent, then it is closed.
    Closing,
}

/// A piece of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Begin,
    Pd(usize),
    Ring(usize),
    Row(usize, usize),
    /// Of the PD, the next row, and how many there are; instead of rings and the gatekeeper's rows.
    Disk(usize, usize, usize),
}

/// One operator's connection.
#[derive(Debug)]
pub struct Link {
    conn: Conn,
    /// It came where people may only look.
    looks: bool,
    stage: Stage,
    /// What is asked for is how the disks are.
    health: bool,
    request: [u8; REQUEST],
    have: usize,
    /// The number of the request that is being answered.
    number: u32,
    out: Vec<u8, FRAME_MAX>,
    sent: usize,
    /// When it is given up.
    deadline: Instant,
}

impl Link {
    /// A new connection, over which nothing may be changed where it only `looks`.
    pub fn new(conn: Conn, looks: bool, now: Instant) -> Self {
        let (stage, out) = (Stage::Listening, Vec::new());
        let (request, deadline) = ([0; REQUEST], now.after(IDLE));
        Self { conn, looks, stage, health: false, request, have: 0, number: 0, out, sent: 0, deadline }
    }

    /// Its number in the world.
    pub fn conn(&self) -> Conn {
        self.conn
    }

    /// Whether it waits for figures.
    pub fn waits(&self) -> bool {
        self.stage == Stage::Waiting
    }

    /// Whether the state is being sent to it, so that it may not be gathered anew.
    pub fn sends(&self) -> bool {
        matches!(self.stage, Stage::Sending(_))
    }

    /// When something must be done about it though nothing happened.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What it waits for.
    pub fn interest(&self) -> Interest {
        Interest { readable: self.stage == Stage::Listening && self.out.is_empty(), writable: !self.out.is_empty() }
    }

    /// The figures are there.
    pub fn gathered(&mut self, now: Instant) {
        if self.waits() {
            (self.stage, self.deadline) = (Stage::Sending(Piece::Begin), now.after(STALL));
        }
    }

    /// Takes the gatekeeper's answer, if it is to its command.
    pub fn answered<W: World>(
        &mut self,
        (number, result): (u32, Result<Outcome, Refused>),
        core: &mut Core,
        world: &mut W,
    ) {
        let now = world.now();
        match (self.stage, result) {
            (Stage::Permitting(permit), Ok(_)) if permit.number() == number => {
                let told = core.permitted(permit, world);
                self.told(told, now);
            }
            (Stage::Permitting(permit), Err(_)) if permit.number() == number => self.answer(&Frame::Done(result), now),
            (Stage::Commanding(asked), _) if asked == number => self.answer(&Frame::Done(result), now),
            _ => {}
        }
    }

    /// A PD was told something, or could not be.
    fn told(&mut self, told: Result<Told, &'static str>, now: Instant) {
        match told {
            Ok(told) => (self.stage, self.deadline) = (Stage::Ordering(told), now.after(COMMAND_PATIENCE)),
            Err(why) => self.answer(&Frame::Refused(why), now),
        }
    }

    /// The last frame of an answer.
    fn answer(&mut self, frame: &Frame<'_>, now: Instant) {
        frame.emit(self.number, &mut self.out);
        (self.stage, self.deadline) = (Stage::Listening, now.after(IDLE));
    }

    /// Does what can be done now. `Ok` says whether anything was.
    ///
    /// # Errors
    /// It is over: close it.
    pub fn turn<W: World + Sockets>(&mut self, core: &mut Core, world: &mut W) -> Result<bool, ()> {
        let now = world.now();
        if now >= self.deadline {
            return self.late(now).map(|()| true).ok_or(());
        }
        if !self.out.is_empty() {
            return self.send(world);
        }
        match self.stage {
            Stage::Listening => self.receive(core, world),
            Stage::Waiting | Stage::Commanding(_) | Stage::Permitting(_) => Ok(false),
            Stage::Ordering(told) => Ok(self.ordered(core.obeyed(told), now)),
            Stage::Sending(piece) => {
                self.piece(piece, core, now);
                Ok(true)
            }
            Stage::Closing => Err(()),
        }
    }

    /// Its time is over: `None` where it is to be closed.
    fn late(&mut self, now: Instant) -> Option<()> {
        let why = match self.stage {
            Stage::Permitting(_) => "the gatekeeper does not answer; nothing was done",
            Stage::Commanding(_) => "the gatekeeper does not answer; it may do the command later",
            Stage::Ordering(_) => "the protection domain does not answer; it does it when it next runs",
            _ => return None,
        };
        self.answer(&Frame::Refused(why), now);
        Some(())
    }

    /// Answers where the PD has; whether it has.
    fn ordered(&mut self, reply: Option<Reply>, now: Instant) -> bool {
        let Some(reply) = reply else { return false };
        let well = Frame::Done(Ok(Outcome::default()));
        let answer = if reply.is_well() { well } else { Frame::Refused(reply.text()) };
        self.answer(&answer, now);
        true
    }

    fn send<S: Sockets>(&mut self, sockets: &mut S) -> Result<bool, ()> {
        let rest = self.out.get(self.sent..).unwrap_or_default();
        match sockets.send(self.conn, &[Source::Bytes(rest)]) {
            Ok(count) => self.sent += count,
            Err(Stopped::WouldBlock) => return Ok(false),
            Err(Stopped::Closed) => return Err(()),
        }
        if self.sent >= self.out.len() {
            self.out.clear();
            self.sent = 0;
        }
        Ok(true)
    }

    fn receive<W: World + Sockets>(&mut self, core: &mut Core, world: &mut W) -> Result<bool, ()> {
        let room = self.request.get_mut(self.have..).unwrap_or_default();
        match world.receive(self.conn, &mut [Target::Bytes(room)]) {
            Ok(count) => self.have += count,
            Err(Stopped::WouldBlock) => return Ok(false),
            Err(Stopped::Closed) => return Err(()),
        }
        if self.have >= REQUEST {
            self.have = 0;
            self.take(core, world);
        }
        Ok(true)
    }

    /// Begins to answer a request.
    fn take<W: World>(&mut self, core: &mut Core, world: &mut W) {
        let now = world.now();
        let (number, request) = Request::parse(&self.request);
        self.number = number;
        match request {
            // The figures are gathered for all who wait.
            Ok(asked @ (Request::State | Request::Health)) => {
                self.health = asked == Request::Health;
                (self.stage, self.deadline) = (Stage::Waiting, now.after(IDLE));
            }
            // Not even looks: the gatekeeper does only so many commands a second for the manager.
            Ok(Request::Command(_) | Request::Order(..)) if self.looks => self.answer(&Frame::Refused(ONLY_LOOKS), now),
            Ok(Request::Command(ask)) => match core.command(&ask, world) {
                Ok(command) => {
                    (self.stage, self.deadline) = (Stage::Commanding(command), now.after(COMMAND_PATIENCE));
                }
                Err(why) => self.answer(&Frame::Refused(why), now),
            },
            Ok(Request::Order(Order::Disk(work), disk)) => match core.permit(disk.as_str(), work, world) {
                Ok(permit) => (self.stage, self.deadline) = (Stage::Permitting(permit), now.after(COMMAND_PATIENCE)),
                Err(why) => self.answer(&Frame::Refused(why), now),
            },
            Ok(Request::Order(order, pd)) => {
                let told = core.order(pd.as_str(), order, world);
                self.told(told, now);
            }
            Err(malformed) => {
                self.answer(&Frame::Refused(malformed.text()), now);
                if matches!(malformed, Malformed::Magic | Malformed::Version) {
                    // Nobody knows where the next request begins.
                    (self.stage, self.deadline) = (Stage::Closing, now.after(STALL));
                }
            }
        }
    }

    /// Puts the next piece of the state into the buffer, which is empty.
    fn piece(&mut self, piece: Piece, core: &Core, now: Instant) {
        let next = match piece {
            Piece::Begin => self.put(Some(Frame::Begin(core.begin(now))), Piece::Pd(0)),
            Piece::Pd(index) => match core.pd(index, now) {
                Some(pd) => self.put(Some(Frame::Pd(pd)), Piece::Pd(index + 1)),
                None if self.health => Piece::Disk(0, 0, core.rows_of(0).unwrap_or(0)),
                None => Piece::Ring(0),
            },
            Piece::Disk(pd, index, count) if index < count => {
                let row = core.disk_row(pd, index);
                let frame = row.map(|(pd, row)| Frame::Disk(Disk { pd: Name::new(pd), row: row.bytes() }));
                self.put(frame, Piece::Disk(pd, index + 1, count))
            }
            Piece::Disk(pd, ..) => match core.rows_of(pd + 1) {
                Some(rows) => Piece::Disk(pd + 1, 0, rows),
                None => return self.answer(&Frame::End, now),
            },
            Piece::Ring(index) => match core.ring(index) {
                Some(ring) => self.put(Some(Frame::Ring(ring)), Piece::Ring(index + 1)),
                None => Piece::Row(0, core.rows()),
            },
            Piece::Row(index, count) if index < count => {
                self.put(core.row(index).map(Frame::Row), Piece::Row(index + 1, count))
            }
            Piece::Row(..) => return self.answer(&Frame::End, now),
        };
        (self.stage, self.deadline) = (Stage::Sending(next), now.after(STALL));
    }

    fn put(&mut self, frame: Option<Frame<'_>>, next: Piece) -> Piece {
        if let Some(frame) = frame {
            frame.emit(self.number, &mut self.out);
        }
        next
    }
}
