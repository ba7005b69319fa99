// SPDX-License-Identifier: MIT
//! Power states: what is told of them, and rest when idle within a bound on what that may cost a request.
use super::Nvme;
use crate::queues::Queues;
use crate::wire::Command;
use crate::wire::command::{admin, feature};
use crate::wire::power::{OFFSET, STATES, States, table};
use core::fmt::Write;
use orion_driver::{Registers, Text};

/// The controller rests by itself, as its table says.
const ENABLE: u32 = 1;

/// What is known of power states.
#[derive(Clone, Copy, Debug)]
pub struct Power {
    states: States,
    count: usize,
    /// Microseconds that a request may wait because the controller rests; 0: it is left as it is.
    pub bound_us: u32,
    /// It is to be told that bound.
    pub wanted: bool,
    /// It was told, and agreed.
    rests: bool,
}

impl Power {
    /// Nothing is known.
    pub fn new(bound_us: u32) -> Self {
        Self { states: States::default(), count: 0, bound_us, wanted: false, rests: false }
    }

    /// Whether there is a state of this number.
    pub fn has(&self, number: u64) -> bool {
        usize::try_from(number).is_ok_and(|number| number < self.count)
    }

    /// Whether there is anything to tell.
    pub fn is_known(&self) -> bool {
        self.count > 1
    }

    /// The controller was told to rest, or not to.
    pub fn agreed(&mut self, done: bool) {
        self.rests = done && self.bound_us != 0;
    }

    /// For people: the state of this number.
    pub fn shown(&self, number: u32) -> Text {
        let number = usize::try_from(number & 31).unwrap_or(0);
        let mut text = heapless_line::Line::default();
        let state = self.states.get(number).copied().unwrap_or_default();
        let (last, milliwatts) = (self.count.saturating_sub(1), state.microwatts() / 1000);
        // It is cut where it is too long.
        let _ = write!(text, "state {number} of 0..{last}");
        if milliwatts != 0 {
            let _ = write!(text, ", at most {milliwatts} mW");
        }
        if self.rests {
            let _ = write!(text, ", rests");
        }
        Text::new(text.bytes())
    }
}

impl<R: Registers, T: Copy + Default, Q: Queues> Nvme<R, T, Q> {
    /// Takes what the controller said of its power states, beside the rest of what it is.
    pub(super) fn power_found(&mut self) {
        self.power.states = self.memory.load_at(OFFSET);
        self.power.count = (usize::from(self.controller.npss) + 1).min(STATES);
        self.power.rests = false;
    }

    /// Whether the controller rests by itself where it is told to.
    pub(super) fn can_rest(&self) -> bool {
        self.controller.apsta & 1 != 0 && self.power.is_known()
    }

    /// To rest when idle, within the bound; or never.
    pub(super) fn rest_command(&self) -> Command {
        let bound = u64::from(self.power.bound_us);
        self.memory.store(&table(&self.power.states, self.power.count, bound));
        let enable = if bound == 0 { 0 } else { ENABLE };
        Command::admin(admin::SET_FEATURES, 0, self.memory.data()).with(feature::IDLE_POWER, enable)
    }

    /// To take the power state `number`.
    pub(super) fn power_command(&self, number: u64) -> Command {
        let number = u32::try_from(number & 31).unwrap_or(0);
        Command::admin(admin::SET_FEATURES, 0, 0).with(feature::POWER, number)
    }
}

/// A line of at most 40 characters.
mod heapless_line {
    use core::fmt;

    #[derive(Debug)]
    pub struct Line {
        bytes: [u8; 40],
        len: usize,
    }

    impl Default for Line {
        fn default() -> Self {
            Self { bytes: [0; 40], len: 0 }
        }
    }

    impl Line {
        /// What was written.
        pub fn bytes(&self) -> &[u8] {
            self.bytes.get(..self.len).unwrap_or_default()
        }
    }

    impl fmt::Write for Line {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            for byte in text.bytes() {
                let place = self.bytes.get_mut(self.len).ok_or(fmt::Error)?;
                *place = byte;
                self.len += 1;
            }
            Ok(())
        }
    }
}
