// SPDX-License-Identifier: MIT
//! What the supervisor's process and the launcher say to each other, over a socket: messages of 16 bytes. The launcher tells
//! of children that came to their end; the supervisor has children started and stopped, and waits for each to be done.
use crate::sys;
use orion_pd::{Cause, Fault};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

/// Bytes of a message: what, child, cause, zeroes, then eight bytes of address or number.
const BYTES: usize = 16;
/// Faults that wait to be taken: each child has one at most.
const FAULTS: usize = 64;

const RESTART: u8 = 1;
const STOP: u8 = 2;
const DONE: u8 = 3;
const FAILED: u8 = 4;
const FAULT: u8 = 5;

type Bytes = [u8; BYTES];

fn message(what: u8, child: u8, (cause, number): (u8, u64)) -> Bytes {
    let mut bytes = [0; BYTES];
    let (head, tail) = bytes.split_at_mut(8);
    head.iter_mut().zip([what, child, cause]).for_each(|(to, from)| *to = from);
    tail.copy_from_slice(&number.to_le_bytes());
    bytes
}

fn number(bytes: &Bytes) -> u64 {
    bytes.last_chunk().map_or(0, |tail| u64::from_le_bytes(*tail))
}

const fn code(cause: Cause) -> (u8, u64) {
    match cause {
        Cause::Memory(at) => (1, at),
        Cause::Instruction(at) => (2, at),
        Cause::Denied(number) => (3, number),
        Cause::Panic => (4, 0),
        Cause::Start => (5, 0),
        Cause::Killed => (6, 0),
        Cause::Hung => (7, 0),
        Cause::Other(number) => (8, number),
    }
}

const fn cause(code: u8, number: u64) -> Cause {
    match code {
        1 => Cause::Memory(number),
        2 => Cause::Instruction(number),
        3 => Cause::Denied(number),
        4 => Cause::Panic,
        5 => Cause::Start,
        6 => Cause::Killed,
        7 => Cause::Hung,
        _ => Cause::Other(number),
    }
}

/// The supervisor's end.
#[derive(Debug)]
pub struct Parent {
    socket: UnixStream,
    faults: VecDeque<Fault>,
}

impl Parent {
    /// Speaks on `socket`, which sleeps until there is something.
    pub fn new(socket: UnixStream) -> Self {
        Self { socket, faults: VecDeque::with_capacity(FAULTS) }
    }

    /// The next fault that was told.
    pub fn take_fault(&mut self) -> Option<Fault> {
        while self.faults.is_empty() && sys::wait_one(&self.socket, Some(std::time::Duration::ZERO)) {
            self.receive()?;
        }
        self.faults.pop_front()
    }

    /// Has a child started anew; whether that was done.
    pub fn restart(&mut self, child: u8) -> bool {
        self.ask(RESTART, child)
    }

    /// Has a child stopped.
    pub fn stop(&mut self, child: u8) {
        self.ask(STOP, child);
    }

    fn ask(&mut self, what: u8, child: u8) -> bool {
        if self.socket.write_all(&message(what, child, (0, 0))).is_err() {
            return false;
        }
        loop {
            match self.receive() {
                Some(Some(done)) => return done,
                Some(None) => {}
                None => return false,
            }
        }
    }

    /// Takes a message: whether what was asked is done, or nothing yet. `None`: the launcher has gone.
    fn receive(&mut self) -> Option<Option<bool>> {
        let mut bytes = [0; BYTES];
        self.socket.read_exact(&mut bytes).ok()?;
        let [what, child, code, ..] = bytes;
        if what != FAULT {
            return Some(Some(what == DONE));
        }
        if self.faults.len() < FAULTS {
            self.faults.push_back(Fault { child, cause: cause(code, number(&bytes)) });
        }
        Some(None)
    }
}

/// What the supervisor asks of the launcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// To start this child anew.
    Restart(u8),
    /// To stop this child.
    Stop(u8),
}

/// The launcher's end. It never sleeps, whatever the supervisor does.
#[derive(Debug)]
pub struct Children {
    socket: UnixStream,
    inbox: Vec<u8>,
}

impl Children {
    /// Both ends; the second is for the supervisor's process.
    ///
    /// # Errors
    /// What the system says.
    pub fn pair() -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok((Self { socket: ours, inbox: Vec::new() }, theirs))
    }

    /// Readable when there is something to do.
    pub fn fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }

    /// What is asked next; `None`: nothing now. A supervisor that does not keep to the protocol is not answered.
    pub fn asked(&mut self) -> Option<Ask> {
        loop {
            let mut bytes = [0; BYTES];
            while self.inbox.len() < BYTES {
                match self.socket.read(&mut bytes) {
                    Ok(count) if count > 0 => self.inbox.extend(bytes.iter().take(count)),
                    _ => return None,
                }
            }
            let rest = self.inbox.split_off(BYTES);
            match std::mem::replace(&mut self.inbox, rest).first_chunk() {
                Some([RESTART, child]) => return Some(Ask::Restart(*child)),
                Some([STOP, child]) => return Some(Ask::Stop(*child)),
                _ => {}
            }
        }
    }

    /// Answers.
    pub fn done(&mut self, done: bool) {
        self.send(message(if done { DONE } else { FAILED }, 0, (0, 0)));
    }

    /// Tells of the end of a child.
    pub fn tell(&mut self, fault: Fault) {
        self.send(message(FAULT, fault.child, code(fault.cause)));
    }

    /// A supervisor that does not read, or has gone, misses it.
    fn send(&self, bytes: Bytes) {
        let _ = (&self.socket).write_all(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_at_one_end_is_heard_at_the_other() {
        let (mut children, theirs) = Children::pair().unwrap();
        let mut parent = Parent::new(theirs);
        assert_eq!((parent.take_fault(), children.asked()), (None, None));
        let causes = [
            Cause::Memory(0x10),
            Cause::Instruction(u64::MAX),
            Cause::Denied(257),
            Cause::Panic,
            Cause::Start,
            Cause::Killed,
            Cause::Hung,
            Cause::Other(9),
        ];
        let faults: Vec<Fault> = (0..).zip(causes).map(|(child, cause)| Fault { child, cause }).collect();
        faults.iter().for_each(|fault| children.tell(*fault));
        // A fault that comes before the answer is not lost.
        children.done(true);
        assert!(parent.restart(7));
        assert_eq!(children.asked(), Some(Ask::Restart(7)));
        children.done(false);
        assert!(!parent.restart(8));
        children.done(true);
        parent.stop(3);
        assert_eq!(
            (children.asked(), children.asked(), children.asked()),
            (Some(Ask::Restart(8)), Some(Ask::Stop(3)), None)
        );
        let told: Vec<Fault> = std::iter::from_fn(|| parent.take_fault()).collect();
        assert_eq!(told, faults);
        drop(children);
        assert!(!parent.restart(1), "the launcher has gone");
        assert_eq!(parent.take_fault(), None);
    }

    #[test]
    fn a_supervisor_that_babbles_is_not_answered() {
        let (mut children, theirs) = Children::pair().unwrap();
        let junk = [[9; 16], message(RESTART, 5, (0, 0)), [0; 16]].concat();
        (&theirs).write_all(&junk).unwrap();
        (&theirs).write_all(&[9, 2, 3]).unwrap();
        assert_eq!((children.asked(), children.asked()), (Some(Ask::Restart(5)), None));
        (&theirs).write_all(&[0; 13]).unwrap();
        assert_eq!(children.asked(), None);
        drop(theirs);
        assert_eq!(children.asked(), None);
        children.tell(Fault { child: 0, cause: Cause::Panic });
    }
}
