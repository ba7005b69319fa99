// SPDX-License-Identifier: MIT
//! QEMU's qtest protocol: lines of text by which a process reads and writes a machine's memory and ports.
//!
//! Three rules, each learnt from a hang (docs/host-world.md): only doorbells may be posted, every other write waits
//! for its answer; a line is sent whole, in one call; few answers may be left unread, since QEMU's main loop stops
//! when it cannot write one.
mod device;
mod line;

pub use device::{Device, Registers};
pub use line::Width;

use crate::sys;
use line::{Line, parse, pin};
use std::fmt;
use std::io::{self, Read, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Most posted writes whose answers have not been read. QEMU stops at some hundreds.
const MOST_UNANSWERED: u32 = 64;
/// A QEMU that does not answer for so long while it starts is taken for dead.
const PATIENCE: Duration = Duration::from_secs(20);
/// As above, of one whose driver has died.
const SUCCESSORS_PATIENCE: Duration = Duration::from_secs(1);

/// A connection to one QEMU. It has one user at a time.
#[derive(Debug)]
pub struct Qtest {
    socket: UnixStream,
    unanswered: u32,
    inbox: [u8; 1024],
    have: usize,
    gone: bool,
    /// Whether the pin that QEMU tells of is up, where it was asked to tell.
    raised: bool,
}

impl Qtest {
    /// Speaks on `socket`, behind which a QEMU is, or is about to be.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, unanswered: 0, inbox: [0; 1024], have: 0, gone: false, raised: false })
    }

    /// Brings a connection whose user has died to a clean line: whatever that one asked is done and its answers are gone. A
    /// line is sent in one call and so is whole.
    ///
    /// # Errors
    /// Where QEMU has gone or does not answer.
    pub fn take_over(socket: UnixStream) -> io::Result<()> {
        let mut qtest = Self::new(socket)?;
        qtest.socket.set_read_timeout(Some(SUCCESSORS_PATIENCE))?;
        qtest.socket.set_write_timeout(Some(SUCCESSORS_PATIENCE))?;
        qtest.send(format_args!("endianness"))?;
        while !qtest.heard(b"OK little")? {}
        qtest.socket.set_write_timeout(None)
    }

    /// Takes a line, waiting for it; whether it is `wanted`.
    fn heard(&mut self, wanted: &[u8]) -> io::Result<bool> {
        loop {
            if let Some(end) = self.pending().iter().position(|&b| b == b'\n') {
                let found = self.pending().get(..end) == Some(wanted);
                self.inbox.copy_within(end + 1..self.have, 0);
                self.have -= end + 1;
                return Ok(found);
            }
            self.receive()?;
        }
    }

    /// The socket, for handing the connection to another process. Every posted write has been answered.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn into_socket(mut self) -> io::Result<UnixStream> {
        self.settle()?;
        Ok(self.socket)
    }

    /// Reads the machine's memory.
    ///
    /// # Errors
    /// Where QEMU has gone, does not answer, or answers anything but a number.
    pub fn read(&mut self, width: Width, address: u64) -> io::Result<u64> {
        self.ask(format_args!("read{} {address:#x}", width.letter()))
    }

    /// Writes the machine's memory and waits until that is done.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write(&mut self, width: Width, address: u64, value: u64) -> io::Result<()> {
        self.ask(format_args!("write{} {address:#x} {value:#x}", width.letter())).map(drop)
    }

    /// Has QEMU tell of the pins of the I/O APIC. On a machine of ours one device has a pin.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn watch_pins(&mut self) -> io::Result<()> {
        self.ask(format_args!("irq_intercept_in ioapic")).map(drop)
    }

    /// Whether the pin is up, by all that QEMU has said.
    pub fn is_raised(&mut self) -> bool {
        // What QEMU says after the answers to posted writes is behind them.
        let _ = self.settle();
        while !self.gone && sys::wait_one(&self.socket, Some(Duration::ZERO)) {
            // Whoever is gone says nothing, and is found out by the next access.
            let _ = self.receive();
            self.skip_lines();
        }
        self.raised
    }

    /// Takes the lines that answer nothing from the inbox's begin.
    fn skip_lines(&mut self) {
        while let Some(end) = self.pending().iter().position(|&b| b == b'\n') {
            let Some(up) = self.pending().get(..end).and_then(pin) else { return };
            self.raised = up;
            self.inbox.copy_within(end + 1..self.have, 0);
            self.have -= end + 1;
        }
    }

    /// Reads an I/O port. There are none of 64 bits.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn input(&mut self, width: Width, port: u16) -> io::Result<u64> {
        if width == Width::Q {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.ask(format_args!("in{} {port:#x}", width.letter()))
    }

    /// Writes to an I/O port and waits until that is done. There are none of 64 bits.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn output(&mut self, width: Width, port: u16, value: u64) -> io::Result<()> {
        if width == Width::Q {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.ask(format_args!("out{} {port:#x} {value:#x}", width.letter())).map(drop)
    }

    /// Writes the machine's memory and does not wait. Only for doorbells.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn post(&mut self, width: Width, address: u64, value: u64) -> io::Result<()> {
        if self.unanswered >= MOST_UNANSWERED {
            self.settle()?;
        }
        self.send(format_args!("write{} {address:#x} {value:#x}", width.letter()))?;
        self.unanswered += 1;
        Ok(())
    }

    fn ask(&mut self, command: fmt::Arguments<'_>) -> io::Result<u64> {
        self.settle()?;
        self.send(command)?;
        self.answer()
    }

    /// Reads the answers of all posted writes.
    fn settle(&mut self) -> io::Result<()> {
        while self.unanswered > 0 {
            self.unanswered -= 1;
            self.answer()?;
        }
        Ok(())
    }

    fn send(&mut self, command: fmt::Arguments<'_>) -> io::Result<()> {
        if self.gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let sent = self.socket.write_all(Line::new(command).bytes());
        self.note(sent)
    }

    /// The value of the next answer; 0 where it has none.
    fn answer(&mut self) -> io::Result<u64> {
        loop {
            self.skip_lines();
            while let Some(end) = self.pending().iter().position(|&b| b == b'\n') {
                let parsed = parse(self.pending().get(..end).unwrap_or_default());
                self.inbox.copy_within(end + 1..self.have, 0);
                self.have -= end + 1;
                self.skip_lines();
                if let Some(result) = parsed {
                    return self.note(result);
                }
            }
            self.receive()?;
        }
    }

    fn pending(&self) -> &[u8] {
        self.inbox.get(..self.have).unwrap_or_default()
    }

    fn receive(&mut self) -> io::Result<()> {
        let room = self.inbox.get_mut(self.have..).unwrap_or_default();
        let received = match self.socket.read(room) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            other => other,
        };
        self.have += self.note(received)?;
        Ok(())
    }

    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.gone |= result.is_err();
        result
    }
}
