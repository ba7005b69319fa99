// SPDX-License-Identifier: MIT
//! Power states, which the controller takes when it is told to or when it is idle for as long as its table says.
use super::{Model, Taken};
use crate::wire::power::{OFFSET, STATES, State};
use std::vec::Vec;
use zerocopy::IntoBytes;

/// How the controller rests.
#[derive(Debug, Default)]
pub struct Power {
    /// The state in which it is.
    pub state: u32,
    /// Its table, while it rests by itself.
    pub table: Option<[u64; STATES]>,
    /// The longest that a request had to wait for it, in microseconds.
    pub waited: u64,
}

impl Model {
    pub(super) fn power_states(&self, page: &mut [u8]) {
        let first = State { most: 900.into(), ..State::default() };
        let further = self.shape.power.iter().zip(1u16..).map(|((rests, enter, leave), nth)| State {
            most: (100 / nth).into(),
            flags: u8::from(*rests) << 1,
            enter: (*enter).into(),
            leave: (*leave).into(),
            ..State::default()
        });
        let states: Vec<u8> = [first].into_iter().chain(further).flat_map(|state| state.as_bytes().to_vec()).collect();
        page[OFFSET..OFFSET + states.len()].copy_from_slice(&states);
    }

    pub(super) fn set_power(&mut self, eleven: u32) -> u16 {
        if (eleven & 31) as usize > self.shape.power.len() {
            return 2;
        }
        self.power.state = eleven & 31;
        0
    }

    pub(super) fn set_rest(&mut self, command: &Taken, eleven: u32) -> u16 {
        assert!(self.shape.controller.apsta & 1 != 0, "it does not rest by itself");
        let bytes: [u8; 8 * STATES] = self.bus().load(command.long(6));
        let mut table = [0; STATES];
        table.iter_mut().zip(bytes.as_chunks::<8>().0).for_each(|(to, from)| *to = u64::from_le_bytes(*from));
        for entry in table.iter().filter(|entry| **entry != 0) {
            let target = (entry >> 3 & 31) as usize;
            let rests = self.shape.power.get(target.wrapping_sub(1)).is_some_and(|(rests, ..)| *rests);
            assert!(rests && entry >> 8 != 0, "an entry {entry:#x} to no state of rest");
        }
        self.power.table = (eleven & 1 == 1).then_some(table);
        0
    }

    /// Nothing is asked of it for so many milliseconds.
    pub fn idle(&mut self, mut ms: u64) {
        let Some(table) = self.power.table else { return };
        // Each step is deeper than the one before, so this ends.
        for _ in 0..STATES {
            let entry = table[self.power.state as usize];
            let (target, after) = ((entry >> 3 & 31) as u32, entry >> 8);
            if after == 0 || after > ms {
                return;
            }
            (self.power.state, ms) = (target, ms - after);
        }
    }

    /// A request comes: where the controller rests, it waits until that is over.
    pub(super) fn wake(&mut self) {
        let at = self.shape.power.get((self.power.state as usize).wrapping_sub(1));
        if let Some((true, enter, leave)) = at {
            self.power.waited = self.power.waited.max(u64::from(*enter) + u64::from(*leave));
            self.power.state = 0;
        }
    }
}
