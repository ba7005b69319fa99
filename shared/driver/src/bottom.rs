// SPDX-License-Identifier: MIT
//! An engine as the lower side of a node: one port for each disk.
use crate::{Engine, Unit};
use orion_block::{Completion, Error, Limits};
use orion_layer::{Interrupted, Lowers, Submission};

/// The disks of an engine that a node calls its requests to by number: its ports are the engine's units.
#[derive(Debug)]
pub struct Bottom<'a, E>(pub &'a mut E);

impl<E: Engine<(u8, u32)>> Bottom<'_, E> {
    /// An append to a zone: see [`Engine::append`]. Its answer comes by [`next`](Lowers::next).
    ///
    /// # Errors
    /// Why it was not taken.
    pub fn append(&mut self, port: u8, submission: &Submission) -> Result<(), Error> {
        self.0.append(Unit(port), (port, submission.tag), &submission.req)
    }
}

impl<E: Engine<(u8, u32)>> Lowers for Bottom<'_, E> {
    fn count(&self) -> u8 {
        E::UNITS
    }

    fn capacity(&self, _: u8) -> u16 {
        self.0.depth()
    }

    fn limits(&self, port: u8) -> Option<Limits> {
        self.0.limits(Unit(port))
    }

    fn submit(&mut self, port: u8, submission: Submission) {
        self.0.start(Unit(port), (port, submission.tag), &submission.req);
    }

    /// Never an error: a device that misbehaves is reset, and its requests are answered.
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        Ok(self.0.finished().map(|((port, tag), done)| (port, tag, done)))
    }
}
