// SPDX-License-Identifier: MIT
//! Rows after the figures of an array's layer: how the array is, and its devices.
use zerocopy::byteorder::little_endian::{U16, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub(crate) const ARRAY: u16 = 10;
pub(crate) const DEVICE: u16 = 11;

/// How an array is. Any bytes, if its writer is compromised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ArrayState {
    /// Which kind of row it is.
    pub tag: U16,
    /// Zero: a layer has one array.
    pub unit: u8,
    /// Its level, as superblocks number them; 255: linear.
    pub level: u8,
    /// Members that it has when it is complete.
    pub members: u8,
    /// Members that are missing or not whole.
    pub missing: u8,
    /// 0: it is not served; 1: it is; 2: for reading only.
    pub served: u8,
    /// What goes on: 0 nothing, 1 rebuild, 2 resync, 3 check, 4 repair, 5 reshape, 6 replace; 255 something else.
    pub work: u8,
    /// Sectors of that which are done, and all.
    pub done: U64,
    /// See `done`.
    pub of: U64,
    /// Sectors that were found to differ since it was last looked.
    pub mismatches: U64,
    /// Milliseconds since the work was first seen, and sectors that were done then.
    pub ms: U64,
    /// See `ms`.
    pub from: U64,
    /// Zero.
    pub rest: [u8; 16],
}

/// What may go on, by number from 1.
const WORKS: [&str; 6] = ["rebuild", "resync", "check", "repair", "reshape", "replace"];

impl ArrayState {
    /// An array that is not served.
    pub const NONE: Self = Self {
        tag: U16::new(ARRAY),
        unit: 0,
        level: 0,
        members: 0,
        missing: 0,
        served: 0,
        work: 0,
        done: U64::ZERO,
        of: U64::ZERO,
        mismatches: U64::ZERO,
        ms: U64::ZERO,
        from: U64::ZERO,
        rest: [0; 16],
    };

    /// The number of work of that name.
    pub fn number(work: &str) -> u8 {
        (1..).zip(WORKS).find(|(_, name)| *name == work).map_or(u8::MAX, |(number, _)| number)
    }

    /// What goes on, in words; `None`: nothing.
    pub fn work(&self) -> Option<&'static str> {
        let at = usize::from(self.work.checked_sub(1)?);
        Some(WORKS.get(at).copied().unwrap_or("something"))
    }

    /// How much of that is done, of 1000.
    pub fn permille(&self) -> u16 {
        let parts = u128::from(self.done.get()) * 1000;
        let permille = parts.checked_div(self.of.get().into()).unwrap_or(0).min(1000);
        u16::try_from(permille).unwrap_or(1000)
    }

    /// Seconds until it is done, if it goes on as it did.
    pub fn seconds_left(&self) -> Option<u64> {
        let did = self.done.get().checked_sub(self.from.get()).filter(|did| *did > 0)?;
        let left = self.of.get().saturating_sub(self.done.get());
        let ms = u128::from(left) * u128::from(self.ms.get()) / u128::from(did);
        u64::try_from(ms / 1000).ok()
    }
}

/// A device below an array's layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ArrayDevice {
    /// Which kind of row it is.
    pub tag: U16,
    /// Zero.
    pub unit: u8,
    /// 0: a member; 1: one that is being rebuilt; 2: a spare; 3: failed; 4: nothing; 5: a journal; 6: being made ready; 7: one that replaces a
    /// member.
    pub standing: u8,
    /// The member that it is; 255 of no member.
    pub role: u8,
    /// Its port below the layer.
    pub port: u8,
    /// Zero.
    pub pad: U16,
    /// Its name in the system, with zeroes after it.
    pub name: [u8; 40],
    /// Zero.
    pub rest: [u8; 16],
}

impl ArrayDevice {
    /// The device of this name, which is nothing to the array.
    pub fn new(port: u8, name: &str) -> Self {
        let mut bytes = [0; 40];
        bytes.iter_mut().zip(name.bytes()).for_each(|(to, from)| *to = from);
        let (tag, pad) = (DEVICE.into(), 0.into());
        Self { tag, unit: 0, standing: 4, role: u8::MAX, port, pad, name: bytes, rest: [0; 16] }
    }

    /// What it is to the array, in words.
    pub const fn standing(&self) -> &'static str {
        match self.standing {
            0 => "member",
            1 => "being rebuilt",
            2 => "spare",
            3 => "failed",
            5 => "journal",
            6 => "being made ready",
            7 => "replaces a member",
            _ => "-",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_what_was_done() {
        let mut state = ArrayState { work: ArrayState::number("check"), ..ArrayState::NONE };
        assert_eq!((state.work(), state.permille(), state.seconds_left()), (Some("check"), 0, None));
        (state.done, state.of, state.from, state.ms) = (300.into(), 1000.into(), 100.into(), 10_000.into());
        assert_eq!((state.permille(), state.seconds_left()), (300, Some(35)));
        (state.done, state.of, state.from, state.ms) = (u64::MAX.into(), 1.into(), 0.into(), u64::MAX.into());
        assert_eq!((state.permille(), state.seconds_left()), (1000, Some(0)));
        assert_eq!(ArrayState { work: ArrayState::number("reshape"), ..state }.work(), Some("reshape"));
        state.of = u64::MAX.into();
        state.done = 1.into();
        assert_eq!(state.seconds_left(), None);
        assert_eq!(ArrayState { work: 77, ..state }.work(), Some("something"));
    }
}
