// SPDX-License-Identifier: MIT
//! Persistent reservations (SPC-4, sections 5.13, 6.15 and 6.16).
use super::{list, number};

/// Actions of PERSISTENT RESERVE IN.
pub mod read {
    /// Registered keys.
    pub const KEYS: u8 = 0;
    /// The reservation.
    pub const RESERVATION: u8 = 1;
    /// What the unit can do.
    pub const CAPABILITIES: u8 = 2;
}

/// Actions of PERSISTENT RESERVE OUT.
pub mod action {
    /// Registers or removes a key.
    pub const REGISTER: u8 = 0;
    /// Makes a reservation.
    pub const RESERVE: u8 = 1;
    /// Ends it.
    pub const RELEASE: u8 = 2;
    /// Removes all keys and reservations.
    pub const CLEAR: u8 = 3;
    /// Takes another's reservation.
    pub const PREEMPT: u8 = 4;
    /// Takes another's reservation and aborts its commands.
    pub const PREEMPT_AND_ABORT: u8 = 5;
    /// Registers a key whatever it was before.
    pub const REGISTER_AND_IGNORE: u8 = 6;
}

/// Types of reservation.
pub mod kind {
    /// Others may read.
    pub const WRITE_EXCLUSIVE: u8 = 1;
    /// Others may do nothing.
    pub const EXCLUSIVE_ACCESS: u8 = 3;
    /// Who is registered may write, others may read.
    pub const WRITE_EXCLUSIVE_REGISTRANTS: u8 = 5;
    /// Who is registered may do anything, others nothing.
    pub const EXCLUSIVE_ACCESS_REGISTRANTS: u8 = 6;
}

/// Bytes of PERSISTENT RESERVE OUT's list.
pub const OUT_LEN: usize = 24;

/// The list of a PERSISTENT RESERVE OUT: one's own key, the action's key, and whether registrations outlast a loss of power.
pub fn out(key: u64, action_key: u64, lasting: bool) -> [u8; OUT_LEN] {
    let mut bytes = [0; OUT_LEN];
    let keys = key.to_be_bytes().into_iter().chain(action_key.to_be_bytes());
    let all = keys.chain([0, 0, 0, 0, lasting.into()]);
    bytes.iter_mut().zip(all).for_each(|(to, from)| *to = from);
    bytes
}

/// The generation and the keys that READ KEYS lists.
pub fn keys(bytes: &[u8]) -> Option<(u32, impl Iterator<Item = u64>)> {
    let generation = u32::try_from(number(bytes.get(..8)?, 0, 4)).ok()?;
    let (keys, _) = list(bytes, 8, number(bytes, 4, 4)).as_chunks::<8>();
    Some((generation, keys.iter().map(|key| u64::from_be_bytes(*key))))
}

/// Who holds a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reservation {
    /// The holder's key; 0 where all registrants hold it.
    pub key: u64,
    /// The type, of [`kind`] or an older one.
    pub kind: u8,
}

/// What READ RESERVATION says: nothing, or who holds the unit.
pub fn reservation(bytes: &[u8]) -> Option<Reservation> {
    let found = list(bytes, 8, number(bytes, 4, 4));
    (found.len() >= 16)
        .then(|| Reservation { key: number(found, 0, 8), kind: u8::try_from(number(found, 13, 1) & 0xf).unwrap_or(0) })
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn what_sg_persist_sends_and_reads() {
        let sent = hex("00 00 00 00 00 00 00 ab 00 00 00 00 00 00 00 cd 00 00 00 00 01 00 00 00");
        assert_eq!(out(0xab, 0xcd, true)[..], sent);
        let bytes = hex("00 00 00 05 00 00 00 10 00 00 00 00 00 00 00 ab 00 00 00 00 00 00 00 cd");
        let (generation, found) = keys(&bytes).unwrap();
        assert_eq!((generation, found.collect::<Vec<_>>()), (5, Vec::from([0xab, 0xcd])));
        let held = hex("00 00 00 05 00 00 00 10 00 00 00 00 00 00 00 ab 00 00 00 00 00 05 00 00");
        assert_eq!(reservation(&held), Some(Reservation { key: 0xab, kind: kind::WRITE_EXCLUSIVE_REGISTRANTS }));
    }

    #[test]
    fn lengths_that_lie_end_where_the_bytes_do() {
        assert_eq!(reservation(&hex("00 00 00 05 ff ff ff ff 00")), None);
        assert!(keys(&hex("00 00 00 05 ff ff")).is_none());
        let cut = hex("00 00 00 05 ff ff ff ff 00 00 00 00 00 00 00 ab 00 00");
        assert_eq!(keys(&cut).unwrap().1.collect::<Vec<_>>(), [0xab]);
    }
}
