// SPDX-License-Identifier: MIT
//! An operator of the simulated world: one connection to the manager, over which bytes go in pieces.
use crate::world::SimWorld;
use orion_pd::sockets::{Conn, Interest, Sockets, Source, Stopped, Target};
use std::collections::VecDeque;

/// Bytes that the connection passes at once.
const PIECE: usize = 100;

/// What an operator sends, and what it is told.
#[derive(Clone, Debug, Default)]
pub struct Operator {
    /// What is still to be sent. Nobody comes where it is empty.
    pub sends: VecDeque<u8>,
    /// What was received.
    pub told: Vec<u8>,
    /// The manager has closed the connection.
    pub closed: bool,
    /// By which of the manager's addresses it comes.
    pub door: u8,
    accepted: bool,
    interest: Interest,
}

impl Operator {
    /// Whether the manager has something to do for it.
    pub(crate) fn calls(&self) -> bool {
        let comes = !self.accepted && !self.sends.is_empty();
        let open = self.accepted && !self.closed;
        comes || open && (self.interest.readable && !self.sends.is_empty() || self.interest.writable)
    }
}

impl Sockets for SimWorld {
    fn accept(&mut self) -> Option<Conn> {
        let operator = &mut self.common.borrow_mut().operator;
        let comes = !operator.accepted && !operator.sends.is_empty();
        operator.accepted |= comes;
        comes.then_some(Conn(0))
    }

    fn door(&self, _: Conn) -> u8 {
        self.common.borrow().operator.door
    }

    fn receive(&mut self, _: Conn, into: &mut [Target<'_>]) -> Result<usize, Stopped> {
        let operator = &mut self.common.borrow_mut().operator;
        let Some(Target::Bytes(bytes)) = into.first_mut() else { return Err(Stopped::WouldBlock) };
        let count = bytes.len().min(operator.sends.len()).min(PIECE);
        bytes.iter_mut().zip(operator.sends.drain(..count)).for_each(|(to, from)| *to = from);
        if count == 0 { Err(Stopped::WouldBlock) } else { Ok(count) }
    }

    fn send(&mut self, _: Conn, from: &[Source<'_>]) -> Result<usize, Stopped> {
        let Some(Source::Bytes(bytes)) = from.first() else { return Err(Stopped::WouldBlock) };
        let count = bytes.len().min(PIECE);
        self.common.borrow_mut().operator.told.extend(&bytes[..count]);
        Ok(count)
    }

    fn watch(&mut self, _: Conn, interest: Interest) {
        self.common.borrow_mut().operator.interest = interest;
    }

    fn close(&mut self, _: Conn) {
        self.common.borrow_mut().operator.closed = true;
    }
}
