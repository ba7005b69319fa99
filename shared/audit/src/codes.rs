// SPDX-License-Identifier: MIT
//! What a record is about, as numbers. They are never given another meaning: old chains are read by new versions.
use crate::record::{What, Why};
use orion_block::Op;
use orion_caps::{Denial, Reason};
use orion_control::Kind;

const OPS: [Op; 5] = [Op::Read, Op::Write, Op::Flush, Op::Discard, Op::WriteZeroes];
const REASONS: [Reason; 6] =
    [Reason::NoCapability, Reason::Right, Reason::Extent, Reason::Frozen, Reason::Revoked, Reason::Unwatched];
/// Why a command was refused: first the [denials](Denial::ALL), then these. A further denial needs a number after them.
const OTHERS: [Why; 3] = [Why::Malformed, Why::NotKept, Why::AuditFull];
const DENIALS: u8 = 10;
const _: () = assert!(Denial::ALL.len() == DENIALS as usize);
/// What has neither an operation nor a reason.
const PLAIN: [(u8, What); 16] = [
    (1, What::Started),
    (2, What::Restarted),
    (3, What::StateLost),
    (4, What::Granted),
    (5, What::Attenuated),
    (6, What::Delegated),
    (7, What::Revoked),
    (8, What::Frozen),
    (9, What::Unfrozen),
    (10, What::Advanced),
    (13, What::Counted),
    (14, What::Closed),
    (15, What::VolumeClosed),
    (16, What::Limited),
    (17, What::Narrowed),
    (18, What::Ordered),
];
const REFUSED: u8 = 11;
const DENIED: u8 = 12;

/// The number of `one`, from 1; 0 where `all` lacks it.
fn code<T: PartialEq>(all: &[T], one: &T) -> u8 {
    let at = all.iter().position(|x| x == one).and_then(|at| u8::try_from(at).ok());
    at.map_or(0, |at| at + 1)
}

fn coded<T: Copy>(all: &[T], code: u8) -> Option<T> {
    all.get(usize::from(code).checked_sub(1)?).copied()
}

fn why_code(why: Why) -> u8 {
    match why {
        Why::Denied(denial) => code(&Denial::ALL, &denial),
        other => DENIALS + code(&OTHERS, &other),
    }
}

fn why_of(code: u8) -> Option<Why> {
    coded(&Denial::ALL, code).map(Why::Denied).or_else(|| coded(&OTHERS, code.checked_sub(DENIALS)?))
}

/// The numbers of what, operation or command, and reason.
pub fn emit(what: What) -> (u8, u8, u8) {
    match what {
        What::Refused(op, reason) => (REFUSED, code(&OPS, &op), code(&REASONS, &reason)),
        What::Denied(kind, why) => (DENIED, kind.map_or(0, |kind| code(&Kind::ALL, &kind)), why_code(why)),
        What::Unknown(number) => (number, 0, 0),
        plain => (PLAIN.iter().find(|(_, what)| *what == plain).map_or(0, |(number, _)| *number), 0, 0),
    }
}

/// What these numbers stand for; `None` where this version does not know.
pub fn parse(what: u8, op: u8, why: u8) -> Option<What> {
    match what {
        REFUSED => Some(What::Refused(coded(&OPS, op)?, coded(&REASONS, why)?)),
        DENIED if op == 0 => Some(What::Denied(None, why_of(why)?)),
        DENIED => Some(What::Denied(Some(coded(&Kind::ALL, op)?), why_of(why)?)),
        _ => PLAIN.iter().find(|(number, _)| *number == what).map(|(_, what)| *what),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn all() -> Vec<What> {
        let refused = OPS.iter().flat_map(|op| REASONS.map(|reason| What::Refused(*op, reason)));
        let whys: Vec<Why> = Denial::ALL.into_iter().map(Why::Denied).chain(OTHERS).collect();
        let kinds = Kind::ALL.into_iter().map(Some).chain([None]);
        let denied = kinds.flat_map(|kind| whys.iter().map(move |why| What::Denied(kind, *why)).collect::<Vec<_>>());
        PLAIN.into_iter().map(|(_, what)| what).chain(refused).chain(denied).collect()
    }

    #[test]
    fn everything_has_numbers_of_its_own() {
        let all = all();
        let mut numbers: Vec<_> = all.iter().map(|what| emit(*what)).collect();
        assert!(all.iter().zip(&numbers).all(|(what, (a, b, c))| parse(*a, *b, *c) == Some(*what)));
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), all.len());
    }

    /// Records of version 1 are read for ever.
    #[test]
    fn numbers_are_what_they_were() {
        let denied = |kind, why| emit(What::Denied(Some(kind), why));
        assert_eq!(denied(Kind::Attenuate, Why::Denied(Denial::NotReady)), (12, 1, 1));
        assert_eq!(denied(Kind::Limit, Why::Denied(Denial::Full)), (12, 8, 10));
        assert_eq!(denied(Kind::Narrow, Why::Malformed), (12, 9, 11));
        assert_eq!(emit(What::Denied(None, Why::AuditFull)), (12, 0, 13));
    }

    #[test]
    fn no_numbers_are_taken_for_others() {
        let known: Vec<_> = all().into_iter().map(emit).collect();
        for what in 0..=u8::MAX {
            for op in 0..20 {
                for why in 0..20 {
                    let parsed = parse(what, op, why);
                    let plain = PLAIN.iter().any(|(number, _)| *number == what);
                    assert_eq!(parsed.is_some(), plain || known.contains(&(what, op, why)), "{what} {op} {why}");
                }
            }
        }
    }
}
