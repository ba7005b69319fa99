// SPDX-License-Identifier: MIT
//! Power states (section 8.4): what a controller says of each, and the table by which it takes them itself (5.21.1.12).
use zerocopy::byteorder::little_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Power states at most.
pub const STATES: usize = 32;
/// Where Identify has the descriptors.
pub const OFFSET: usize = 2048;
/// Milliseconds without a request before the first step, at the least.
const LEAST_IDLE_MS: u64 = 100;
/// A step is taken when the controller was idle for so many times what it costs to come back.
const WORTH: u64 = 50;
/// Most milliseconds in a table: 24 bits.
const MOST_IDLE_MS: u64 = (1 << 24) - 1;

/// What a controller says of a power state (figure 248).
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct State {
    /// Most power, in hundredths of a watt, or in tenths of a milliwatt.
    pub most: U16,
    /// Reserved.
    pub pad: u8,
    /// Bit 0: `most` is in tenths of a milliwatt; bit 1: requests are not done in it.
    pub flags: u8,
    /// Microseconds to enter it.
    pub enter: U32,
    /// Microseconds to leave it.
    pub leave: U32,
    /// Of no interest here.
    pub rest: [u8; 20],
}

impl State {
    /// No requests are done in it.
    pub const fn rests(&self) -> bool {
        self.flags & 2 != 0
    }

    /// Microwatts at most; 0 where it does not say.
    pub fn microwatts(&self) -> u64 {
        u64::from(self.most.get()) * if self.flags & 1 == 0 { 10_000 } else { 100 }
    }

    /// Microseconds that a request waits at worst: until the state is entered, and left again.
    pub fn wait_us(&self) -> u64 {
        u64::from(self.enter.get()) + u64::from(self.leave.get())
    }
}

/// All states of a controller.
pub type States = [State; STATES];
/// The table of Set Features 0Ch: for each state, the one that is taken when idle, and after which time.
pub type Table = [U64; STATES];

/// By which the controller rests when idle, as deep as it may so that no request waits longer than `bound_us`: from each state to
/// the next that rests, so that deeper ones come later. `count` states are there.
pub fn table(states: &States, count: usize, bound_us: u64) -> Table {
    let mut table = [U64::ZERO; STATES];
    let mut next: Option<(u64, u64)> = None;
    for (number, (state, entry)) in states.iter().zip(&mut table).enumerate().take(count).rev() {
        let number = u64::try_from(number).unwrap_or(0);
        if let Some((target, idle)) = next {
            *entry = (target << 3 | idle << 8).into();
        }
        if state.rests() && number != 0 && state.wait_us() <= bound_us {
            let idle = (state.wait_us() * WORTH / 1000).clamp(LEAST_IDLE_MS, MOST_IDLE_MS);
            next = Some((number, idle));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::vec::Vec;

    #[test]
    fn fields_are_where_the_standard_has_them() {
        use core::mem::offset_of;
        assert_eq!([size_of::<State>(), offset_of!(State, enter), offset_of!(State, leave)], [32, 4, 8]);
    }

    proptest! {
        /// Whatever a controller says: it rests only where that costs no more than it may, never comes back from rest by itself,
        /// and comes to the deepest such state.
        #[test]
        fn nobody_waits_longer_than_the_bound(raw in prop::collection::vec((any::<u8>(), 0u32..2_000_000, any::<u32>()), 32),
                                              small: bool, count in 0usize..33, bound in 0u64..3_000_000) {
            let mut states = [State::default(); STATES];
            for (state, (flags, enter, leave)) in states.iter_mut().zip(raw) {
                *state = State { flags, enter: enter.into(), leave: (leave >> if small { 12 } else { 0 }).into(), ..State::default() };
            }
            let table = table(&states, count, bound);
            let entries: Vec<(usize, u64)> = table.iter().map(|e| ((e.get() >> 3 & 31) as usize, e.get() >> 8)).collect();
            prop_assert!(table.iter().all(|entry| entry.get() & 7 == 0 && entry.get() >> 32 == 0));
            let fits = |at: usize| at != 0 && at < count && states[at].rests() && states[at].wait_us() <= bound;
            for (from, (to, idle)) in entries.iter().enumerate() {
                if *idle == 0 {
                    prop_assert!(*to == 0 && (from >= count || !(from + 1..count).any(fits)));
                } else {
                    prop_assert!(*to > from && fits(*to) && *idle >= 100);
                }
            }
        }
    }
}
