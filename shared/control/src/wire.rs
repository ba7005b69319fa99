// SPDX-License-Identifier: MIT
//! Commands and answers as bytes.
use crate::MESSAGE;
use core::fmt;
use orion_caps::{Budget, Command, Denial, Derivation, Extent, Holding, Outcome, Rights};
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Version of both layouts.
pub const VERSION: u16 = 1;

/// A client's name in system.xml, padded with zeroes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Name(pub [u8; 48]);

impl Name {
    /// The name with the first 48 bytes of `text`.
    pub fn new(text: &str) -> Self {
        let mut name = [0; 48];
        name.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        Self(name)
    }

    /// The name as text, up to the first zero; empty where it is not UTF-8.
    pub fn as_str(&self) -> &str {
        let end = self.0.iter().position(|&b| b == 0).unwrap_or(self.0.len());
        self.0.get(..end).and_then(|b| core::str::from_utf8(b).ok()).unwrap_or("")
    }
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A narrower capability in a free window of the asker's own.
    Attenuate,
    /// A narrower capability in a free window of another client.
    Delegate,
    /// See [`Command::Revoke`].
    Revoke,
    /// See [`Command::Freeze`].
    Freeze,
    /// See [`Command::Unfreeze`].
    Unfreeze,
    /// See [`Command::Look`].
    Look,
    /// See [`Command::Advance`].
    Advance,
    /// See [`Command::Limit`].
    Limit,
    /// See [`Command::Narrow`]. Blocks count from the first of the capability itself.
    Narrow,
    /// See [`Command::Order`]. The extent says what is to be ordered: the number of a verb, and what it is about.
    Order,
}

impl Kind {
    /// Every kind. The order is the number on the wire and in audit records: further ones go to the end.
    pub const ALL: [Self; 10] = [
        Self::Attenuate,
        Self::Delegate,
        Self::Revoke,
        Self::Freeze,
        Self::Unfreeze,
        Self::Look,
        Self::Advance,
        Self::Limit,
        Self::Narrow,
        Self::Order,
    ];
}

const MALFORMED: u16 = 100;
const NOT_KEPT: u16 = 101;
const AUDIT_FULL: u16 = 102;

/// A command, with clients by their names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// What is asked for.
    pub kind: Kind,
    /// The asker's window that it is derived from, or that holds `admin`.
    pub window: u8,
    /// The other client; the asker itself where empty.
    pub to: Name,
    /// The window of that client.
    pub to_window: u8,
    /// Blocks of 4096 bytes from the first of `window`.
    pub extent: Extent,
    /// Rights of what is derived.
    pub rights: Rights,
    /// Budget of what is derived.
    pub budget: Budget,
    /// Epoch in which what is derived ends; 0: never.
    pub expires: u32,
}

impl Ask {
    /// A command of this kind on window `to_window` of the client `to`, and nothing else.
    pub fn on(kind: Kind, to: &str, to_window: u8) -> Self {
        Self {
            kind,
            window: 0,
            to: Name::new(to),
            to_window,
            extent: Extent::default(),
            rights: Rights::NONE,
            budget: Budget::NONE,
            expires: 0,
        }
    }

    /// The command of client `by`; `number` finds a client by its name.
    ///
    /// # Errors
    /// There is no such client.
    pub fn command(&self, by: u8, number: impl Fn(&str) -> Option<u8>) -> Result<Command, Refused> {
        let own = self.kind == Kind::Attenuate || self.to.as_str().is_empty();
        let client = if own { by } else { number(self.to.as_str()).ok_or(Refused::Denied(Denial::NoWindow))? };
        let target = Holding { client, window: self.to_window };
        let (extent, rights, budget, expires) = (self.extent, self.rights, self.budget, self.expires);
        Ok(match self.kind {
            Kind::Attenuate | Kind::Delegate => {
                Command::Derive(Derivation { from: self.window, to: target, extent, rights, budget, expires })
            }
            Kind::Revoke => Command::Revoke(target),
            Kind::Freeze => Command::Freeze(target),
            Kind::Unfreeze => Command::Unfreeze(target),
            Kind::Look => Command::Look(target),
            Kind::Advance => Command::Advance { window: self.window },
            Kind::Order => Command::Order { window: self.window },
            Kind::Limit => Command::Limit(target, budget),
            // What is left begins where the capability does: its holder counts blocks from there.
            Kind::Narrow if extent.first != 0 => return Err(Refused::Denied(Denial::Extent)),
            Kind::Narrow => Command::Narrow { target, blocks: extent.blocks, rights },
        })
    }
}

/// Why a command was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The gatekeeper's rules don't allow it.
    Denied(Denial),
    /// It is no command of this version.
    Malformed,
    /// The gatekeeper could not keep the change, so it denies everything from now on.
    NotKept,
    /// The change could not be recorded: the audit, or the caller's part of it, is full.
    AuditFull,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denial) => denial.fmt(f),
            Self::Malformed => f.write_str("the command is malformed"),
            Self::NotKept => f.write_str("the change could not be kept"),
            Self::AuditFull => f.write_str("the audit has no room for a record of it"),
        }
    }
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct AskWire {
    version: U16,
    kind: U16,
    id: U32,
    window: U16,
    to_window: U16,
    rights: U16,
    pad: U16,
    expires: U32,
    in_flight: U32,
    iops: U32,
    burst_ms: U32,
    bytes: U64,
    first: U64,
    blocks: U64,
    to: Name,
    rest: [u8; 24],
}

#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct AnswerWire {
    version: U16,
    status: U16,
    id: U32,
    affected: U32,
    epoch: U32,
    blocks: U64,
    passed: U64,
    rights: U16,
    rest: [u8; 94],
}

const _: () = assert!(size_of::<AskWire>() == MESSAGE && size_of::<AnswerWire>() == MESSAGE);

fn code<T: PartialEq>(all: &[T], one: &T) -> U16 {
    let at = all.iter().position(|x| x == one).and_then(|at| u16::try_from(at).ok());
    U16::new(at.map_or(u16::MAX, |at| at + 1))
}

fn coded<T: Copy>(all: &[T], code: U16) -> Option<T> {
    all.get(usize::from(code.get()).checked_sub(1)?).copied()
}

pub(crate) fn emit(id: u32, ask: &Ask) -> [u8; MESSAGE] {
    zerocopy::transmute!(AskWire {
        version: VERSION.into(),
        kind: code(&Kind::ALL, &ask.kind),
        id: id.into(),
        window: u16::from(ask.window).into(),
        to_window: u16::from(ask.to_window).into(),
        rights: ask.rights.bits().into(),
        pad: 0.into(),
        expires: ask.expires.into(),
        in_flight: ask.budget.in_flight.into(),
        iops: ask.budget.iops.into(),
        burst_ms: ask.budget.burst_ms.into(),
        bytes: ask.budget.bytes.into(),
        first: ask.extent.first.into(),
        blocks: ask.extent.blocks.into(),
        to: ask.to,
        rest: [0; 24],
    })
}

/// The command's number is taken from whatever it is, so that it can be answered.
pub(crate) fn parse(message: &[u8; MESSAGE]) -> (u32, Result<Ask, Refused>) {
    let wire: AskWire = zerocopy::transmute!(*message);
    let ask = || {
        let window = |w: U16| u8::try_from(w.get()).ok().filter(|w| usize::from(*w) < orion_caps::WINDOWS);
        let rights = Rights::from_bits(wire.rights.get());
        let zero = wire.pad.get() == 0 && wire.rest == [0; 24];
        if wire.version.get() != VERSION || rights.bits() != wire.rights.get() || !zero {
            return None;
        }
        Some(Ask {
            kind: coded(&Kind::ALL, wire.kind)?,
            window: window(wire.window)?,
            to: wire.to,
            to_window: window(wire.to_window)?,
            extent: Extent { first: wire.first.get(), blocks: wire.blocks.get() },
            rights,
            budget: Budget {
                in_flight: wire.in_flight.get(),
                iops: wire.iops.get(),
                bytes: wire.bytes.get(),
                burst_ms: wire.burst_ms.get(),
            },
            expires: wire.expires.get(),
        })
    };
    (wire.id.get(), ask().ok_or(Refused::Malformed))
}

pub(crate) fn emit_answer(id: u32, result: Result<Outcome, Refused>) -> [u8; MESSAGE] {
    let status = match result {
        Ok(_) => U16::new(0),
        Err(Refused::Denied(denial)) => code(&Denial::ALL, &denial),
        Err(Refused::Malformed) => U16::new(MALFORMED),
        Err(Refused::NotKept) => U16::new(NOT_KEPT),
        Err(Refused::AuditFull) => U16::new(AUDIT_FULL),
    };
    let outcome = result.unwrap_or_default();
    zerocopy::transmute!(AnswerWire {
        version: VERSION.into(),
        status,
        id: id.into(),
        affected: outcome.affected.into(),
        epoch: outcome.epoch.into(),
        blocks: outcome.blocks.into(),
        passed: outcome.passed.into(),
        rights: outcome.rights.bits().into(),
        rest: [0; 94],
    })
}

pub(crate) fn parse_answer(message: &[u8; MESSAGE]) -> Option<(u32, Result<Outcome, Refused>)> {
    let wire: AnswerWire = zerocopy::transmute!(*message);
    let outcome = Outcome {
        affected: wire.affected.get(),
        blocks: wire.blocks.get(),
        rights: Rights::from_bits(wire.rights.get()),
        passed: wire.passed.get(),
        epoch: wire.epoch.get(),
    };
    let result = match wire.status.get() {
        0 => Ok(outcome),
        MALFORMED => Err(Refused::Malformed),
        NOT_KEPT => Err(Refused::NotKept),
        AUDIT_FULL => Err(Refused::AuditFull),
        _ => Err(Refused::Denied(coded(&Denial::ALL, wire.status)?)),
    };
    (wire.version.get() == VERSION).then_some((wire.id.get(), result))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_command_is_what_it_was_or_malformed(bytes in prop::collection::vec(any::<u8>(), MESSAGE), sane in any::<bool>()) {
            let mut message: [u8; MESSAGE] = bytes.try_into().unwrap();
            if sane {
                // As a client would write it, but for the numbers.
                let kind = message[2] % 12;
                message[..4].copy_from_slice(&[1, 0, kind, 0]);
                (message[8], message[9], message[10], message[11]) = (message[8] % 18, 0, message[10] % 18, 0);
                (message[13], message[14], message[15]) = (0, 0, 0);
                message[104..].fill(0);
            }
            let (id, ask) = parse(&message);
            prop_assert_eq!(id.to_le_bytes(), [message[4], message[5], message[6], message[7]]);
            match ask {
                Ok(ask) => prop_assert_eq!(emit(id, &ask), message),
                Err(refused) => {
                    let fine = sane && (1..=10).contains(&message[2]) && message[8] < 16 && message[10] < 16;
                    prop_assert!(!fine && refused == Refused::Malformed);
                }
            }
        }
    }

    #[test]
    fn answers_come_back_as_they_went() {
        let outcome = Outcome { affected: 3, blocks: 1 << 40, rights: Rights::READ, passed: 9, epoch: 4 };
        let others = [Refused::Malformed, Refused::NotKept, Refused::AuditFull];
        let refusals = Denial::ALL.iter().map(|d| Refused::Denied(*d)).chain(others);
        for result in refusals.map(Err).chain([Ok(outcome)]) {
            assert_eq!(parse_answer(&emit_answer(7, result)), Some((7, result)));
        }
        assert_eq!(parse_answer(&[9; MESSAGE]), None);
    }
}
