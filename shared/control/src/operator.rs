// SPDX-License-Identifier: MIT
//! Messages between operators and the manager: requests of a fixed size, each answered by some frames.
//!
//! A request is 144 bytes: u32 magic, u16 version, u16 kind, u32 number, u32 zero, and the 128 bytes of a command to the
//! gatekeeper (zero in a request for the state), or an order: u16 its kind, 6 zero bytes, the name of
//! the PD, or of the disk, the 24 bytes of what is to be done with the disk, zeroes. A frame is u32 magic, u16 version, u16 kind, u32 number of the request,
//! u32 bytes of its body, and the body. All are little-endian. An answer ends with [`Frame::End`], [`Frame::Done`] or
//! [`Frame::Refused`].
use crate::wire::{self, Ask, Refused};
use crate::{MESSAGE, Name};
use heapless::Vec;
use orion_caps::Outcome;
use orion_metrics::{Figures, Order, ROW, Row, Work};
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Version of all messages.
pub const VERSION: u16 = 1;
/// Bytes of a request.
pub const REQUEST: usize = 16 + MESSAGE;
/// Bytes of a frame's head.
pub const HEAD: usize = 16;
/// Most bytes of a frame.
pub const FRAME_MAX: usize = 4096;
const _: () = assert!(HEAD + size_of::<Pd>() <= FRAME_MAX && HEAD + size_of::<Ring>() <= FRAME_MAX);
const ASKS: u32 = u32::from_le_bytes(*b"ORMQ");
const ANSWERS: u32 = u32::from_le_bytes(*b"ORMA");
const STATE: u16 = 1;
const COMMAND: u16 = 2;
const ORDER: u16 = 3;
const HEALTH: u16 = 4;

/// What an operator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// How everything is.
    State,
    /// A command to the gatekeeper, in the name of the manager.
    Command(Ask),
    /// Something that the PD of this name is to do; or with the disk of this name, which is then the order's, whatever its number.
    Order(Order, Name),
    /// How the disks are, by what they say of themselves.
    Health,
}

/// Why a request makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// It is no request: what follows it is none either.
    Magic,
    /// It is of another version.
    Version,
    /// It is of a kind that there is not.
    Kind,
    /// Its command is none.
    Command,
}

impl Malformed {
    /// What to tell the operator.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Magic => "this is no request to a manager; use `orion status`, `orion top` or `orion ctl`",
            Self::Version => "the request is of another version; use the orion that runs the system",
            Self::Kind => "there is no request of this kind in version 1; use the orion that runs the system",
            Self::Command => "the command in the request is malformed; use `orion ctl`",
        }
    }
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Head {
    magic: U32,
    version: U16,
    kind: U16,
    number: U32,
    /// Of a frame: bytes of the body. Of a request: zero.
    len: U32,
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct RequestWire {
    head: Head,
    message: [u8; MESSAGE],
}

impl Request {
    /// As bytes.
    pub fn emit(&self, number: u32) -> [u8; REQUEST] {
        let (kind, message) = match self {
            Self::State => (STATE, [0; MESSAGE]),
            Self::Health => (HEALTH, [0; MESSAGE]),
            Self::Command(ask) => (COMMAND, wire::emit(number, ask)),
            Self::Order(order, pd) => {
                let work = order.work().map_or([0; Work::BYTES], Work::bytes);
                let wire = OrderWire { kind: order.number().into(), pad: [0; 6], pd: *pd, work, rest: [0; 48] };
                (ORDER, zerocopy::transmute!(wire))
            }
        };
        let head = head(ASKS, kind, number, 0);
        zerocopy::transmute!(RequestWire { head, message })
    }

    /// From bytes: the number of the request, and what it is.
    pub fn parse(bytes: &[u8; REQUEST]) -> (u32, Result<Self, Malformed>) {
        let RequestWire { head, message } = zerocopy::transmute!(*bytes);
        let request = match (head.magic.get(), head.version.get(), head.kind.get()) {
            (ASKS, VERSION, STATE) if head.len.get() == 0 && message == [0; MESSAGE] => Ok(Self::State),
            (ASKS, VERSION, HEALTH) if head.len.get() == 0 && message == [0; MESSAGE] => Ok(Self::Health),
            (ASKS, VERSION, COMMAND) if head.len.get() == 0 => {
                wire::parse(&message).1.map(Self::Command).map_err(|_| Malformed::Command)
            }
            (ASKS, VERSION, ORDER) if head.len.get() == 0 => order(&message).ok_or(Malformed::Command),
            (ASKS, VERSION, _) => Err(Malformed::Kind),
            (ASKS, ..) => Err(Malformed::Version),
            _ => Err(Malformed::Magic),
        };
        (head.number.get(), request)
    }
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct OrderWire {
    kind: U16,
    pad: [u8; 6],
    pd: Name,
    work: [u8; Work::BYTES],
    rest: [u8; 48],
}

fn order(message: &[u8; MESSAGE]) -> Option<Request> {
    let OrderWire { kind, pad, pd, work, rest } = zerocopy::transmute!(*message);
    let order = Order::of(kind.get(), &work).filter(|_| pad == [0; 6] && rest == [0; 48])?;
    Some(Request::Order(order, pd))
}

fn head(magic: u32, kind: u16, number: u32, len: u32) -> Head {
    Head { magic: magic.into(), version: VERSION.into(), kind: kind.into(), number: number.into(), len: len.into() }
}

/// What the manager knows of itself: the first frame of the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Begin {
    /// Nanoseconds of the system's clock.
    pub now: U64,
    /// Bits of the manager's rights on every volume.
    pub rights: U16,
    /// The manager's number among the gatekeeper's clients.
    pub number: U16,
    /// Zero.
    pub pad: U32,
}

/// A PD and what it counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Pd {
    /// Its name.
    pub name: Name,
    /// Its program.
    pub program: Name,
    /// Its priority.
    pub priority: U16,
    /// See [`State`].
    pub state: U16,
    /// Zero.
    pub pad: U32,
    /// What it counted; zero where that is not known.
    pub figures: Figures,
}

/// How a PD is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It answers the manager.
    Well,
    /// It has not answered in time; its figures are old.
    Silent,
    /// What it wrote makes no sense.
    Unreadable,
}

impl State {
    const ALL: [Self; 3] = [Self::Well, Self::Silent, Self::Unreadable];

    /// Its number in [`Pd::state`].
    pub fn number(self) -> U16 {
        U16::new(Self::ALL.iter().position(|state| *state == self).and_then(|n| u16::try_from(n).ok()).unwrap_or(2))
    }

    /// Of a number.
    pub fn of(number: U16) -> Self {
        Self::ALL.get(usize::from(number.get())).copied().unwrap_or(Self::Unreadable)
    }

    /// For people and programs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Well => "ok",
            Self::Silent => "silent",
            Self::Unreadable => "unreadable",
        }
    }
}

/// A ring. Those of the gatekeeper stand in the order of its clients and of its volumes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Ring {
    /// The PD that asks.
    pub client: Name,
    /// The PD that answers.
    pub server: Name,
    /// What is reached over it, as `system.xml` calls it, where it is only one.
    pub volume: Name,
    /// The disk or partition that it comes down to.
    pub disk: Name,
    /// Entries of each of its queues.
    pub entries: U32,
}

/// Something that a disk says of itself, as its driver wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Disk {
    /// The driver.
    pub pd: Name,
    /// A row of its page that is about a disk.
    pub row: [u8; ROW],
}

/// One frame of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "one at a time")]
pub enum Frame<'a> {
    /// The state begins.
    Begin(Begin),
    /// A PD.
    Pd(Pd),
    /// A ring.
    Ring(Ring),
    /// A capability, a client or a volume.
    Row(Row),
    /// Something that a disk says of itself.
    Disk(Disk),
    /// The state ends.
    End,
    /// What a command came to.
    Done(Result<Outcome, Refused>),
    /// The request was not done, and why.
    Refused(&'a str),
}

impl<'a> Frame<'a> {
    /// Appends the frame as bytes; whether there was room.
    pub fn emit<const N: usize>(&self, number: u32, out: &mut Vec<u8, N>) -> bool {
        let (row, done);
        let (kind, body) = match self {
            Self::Begin(begin) => (1, begin.as_bytes()),
            Self::Pd(pd) => (2, pd.as_bytes()),
            Self::Ring(ring) => (3, ring.as_bytes()),
            Self::Row(found) => {
                row = found.bytes();
                (4, &row[..])
            }
            Self::End => (5, &[][..]),
            Self::Done(result) => {
                done = wire::emit_answer(number, *result);
                (6, &done[..])
            }
            Self::Refused(text) => (7, text.as_bytes()),
            Self::Disk(disk) => (8, disk.as_bytes()),
        };
        let head = head(ANSWERS, kind, number, u32::try_from(body.len()).unwrap_or(u32::MAX));
        let room = N - out.len() >= HEAD + body.len();
        room && out.extend_from_slice(head.as_bytes()).and_then(|()| out.extend_from_slice(body)).is_ok()
    }

    /// The kind of a frame and the bytes of its body; `None` where it is no frame of this version.
    pub fn parse_head(bytes: &[u8; HEAD]) -> Option<(u16, u32, usize)> {
        let head: Head = zerocopy::transmute!(*bytes);
        let len = usize::try_from(head.len.get()).ok().filter(|len| *len <= FRAME_MAX - HEAD)?;
        let ours = head.magic.get() == ANSWERS && head.version.get() == VERSION;
        ours.then_some((head.kind.get(), head.number.get(), len))
    }

    /// The frame of this kind with this body; `None` where it makes no sense.
    pub fn parse(kind: u16, body: &'a [u8]) -> Option<Self> {
        Some(match kind {
            1 => Self::Begin(Begin::read_from_bytes(body).ok()?),
            2 => Self::Pd(Pd::read_from_bytes(body).ok()?),
            3 => Self::Ring(Ring::read_from_bytes(body).ok()?),
            4 => Self::Row(Row::parse(<&[u8; ROW]>::try_from(body).ok()?)?),
            5 if body.is_empty() => Self::End,
            6 => Self::Done(wire::parse_answer(<&[u8; MESSAGE]>::try_from(body).ok()?)?.1),
            7 => Self::Refused(core::str::from_utf8(body).ok()?),
            8 => Self::Disk(Disk::read_from_bytes(body).ok()?),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use orion_caps::Denial;
    use orion_metrics::{Client, Counter, Volume};
    use proptest::prelude::*;
    use std::boxed::Box;

    proptest! {
        /// Any bytes are a request that emits as them, or malformed; its number is known in any case.
        #[test]
        fn a_request_is_what_it_was_or_malformed(bytes in prop::collection::vec(any::<u8>(), REQUEST), sane in 0u8..6) {
            let mut bytes: [u8; REQUEST] = bytes.try_into().unwrap();
            if sane > 0 {
                bytes[..8].copy_from_slice(&[b'O', b'R', b'M', b'Q', 1, 0, sane, 0]);
                bytes[12..16].fill(0);
            }
            if sane == 3 && bytes[20].is_multiple_of(2) {
                let kind = bytes[16] % 3;
                bytes[16..24].copy_from_slice(&[kind, 0, 0, 0, 0, 0, 0, 0]);
                let work = if kind == 2 { 72..96 } else { 72..72 };
                bytes[work.clone()].iter_mut().for_each(|byte| *byte %= 20);
                bytes[work.end..].fill(0);
            }
            if (sane == 1 || sane == 4) && bytes[20].is_multiple_of(2) {
                bytes[16..].fill(0);
            }
            let (number, request) = Request::parse(&bytes);
            prop_assert_eq!(number.to_le_bytes(), [bytes[8], bytes[9], bytes[10], bytes[11]]);
            match request {
                Ok(Request::State) => prop_assert_eq!(Request::State.emit(number), bytes),
                Ok(Request::Health) => prop_assert_eq!(Request::Health.emit(number), bytes),
                Ok(Request::Command(ask)) => prop_assert_eq!(&Request::Command(ask).emit(number)[24..], &bytes[24..]),
                Ok(Request::Order(order, pd)) => {
                    prop_assert_eq!(sane, 3);
                    prop_assert_eq!(Request::Order(order, pd).emit(number), bytes);
                }
                Err(Malformed::Magic) => prop_assert_eq!(sane, 0),
                Err(Malformed::Version) => prop_assert_eq!(sane, 0),
                Err(Malformed::Kind) => prop_assert!(sane == 5 || (sane == 1 || sane == 4) && bytes[16..] != [0; MESSAGE]),
                Err(Malformed::Command) => prop_assert!(sane == 2 || sane == 3),
            }
        }

        #[test]
        fn any_bytes_are_a_frame_or_none(bytes in prop::collection::vec(any::<u8>(), 0..300), kind in 0u16..10, head: [u8; HEAD]) {
            let _ = Frame::parse(kind, &bytes);
            if let Some((_, _, len)) = Frame::parse_head(&head) {
                prop_assert!(len <= FRAME_MAX - HEAD);
            }
        }
    }

    #[test]
    fn frames_come_back_as_they_went() {
        let mut figures = Figures::EMPTY;
        figures.set(Counter::Requests, 5);
        let name = Name::new("demo");
        let pd = Pd { name, program: name, priority: 3.into(), state: State::Silent.number(), pad: 0.into(), figures };
        let frames = [
            Frame::Begin(Begin { now: 9.into(), rights: 128.into(), number: 2.into(), pad: 0.into() }),
            Frame::Pd(pd),
            Frame::Ring(Ring { client: name, server: name, volume: name, disk: name, entries: 64.into() }),
            Frame::Row(Row::Client(Client::new(1, false, 2))),
            Frame::Row(Row::Volume(Volume::new(0, 1, 2, 3, true))),
            Frame::Done(Err(Refused::Denied(Denial::NotYours))),
            Frame::Done(Ok(Outcome { blocks: 7, ..Outcome::default() })),
            Frame::Refused("why"),
            Frame::Disk(Disk { pd: name, row: [7; ROW] }),
            Frame::End,
        ];
        for frame in frames {
            let mut out: Box<Vec<u8, FRAME_MAX>> = Box::default();
            assert!(frame.emit(77, &mut out));
            let (kind, number, len) = Frame::parse_head(out[..HEAD].try_into().unwrap()).unwrap();
            assert_eq!((number, len), (77, out.len() - HEAD));
            assert_eq!(Frame::parse(kind, &out[HEAD..]), Some(frame));
        }
        assert!(!Frame::End.emit(1, &mut Vec::<u8, 15>::new()));
        assert_eq!(State::of(State::Silent.number()), State::Silent);
    }
}
