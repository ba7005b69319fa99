// SPDX-License-Identifier: MIT
//! A UART as this PD uses it: bytes go out, and come in where somebody is there to read them.
use embedded_io::{ErrorKind, ErrorType, Write};

/// A device that sends bytes.
pub trait Uart {
    /// Whether it takes a byte now.
    fn ready(&self) -> bool;
    /// Sends `byte`. To be called when it is [`ready`](Self::ready).
    fn send(&mut self, byte: u8);
    /// Has it receive, and interrupt when it has received something.
    fn listen(&mut self);
    /// A byte that it has received.
    fn receive(&mut self) -> Option<u8>;
}

/// How often a UART that is not ready is asked again before the byte is given up. At 115,200 baud a byte takes 87
/// microseconds, and a register access far more than a nanosecond.
const MOST_POLLS: u32 = 1 << 20;

/// The UART did not take a byte in reasonable time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stuck;

impl core::fmt::Display for Stuck {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the UART takes no more bytes")
    }
}

impl core::error::Error for Stuck {}

impl embedded_io::Error for Stuck {
    fn kind(&self) -> ErrorKind {
        ErrorKind::TimedOut
    }
}

/// Text written to a UART: each line feed becomes carriage return and line feed.
#[derive(Debug)]
pub struct Wire<U>(pub U);

impl<U: Uart> Wire<U> {
    fn byte(&mut self, byte: u8) -> Result<(), Stuck> {
        if !(0..MOST_POLLS).any(|_| self.0.ready()) {
            return Err(Stuck);
        }
        self.0.send(byte);
        Ok(())
    }
}

impl<U> ErrorType for Wire<U> {
    type Error = Stuck;
}

impl<U: Uart> Write for Wire<U> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Stuck> {
        for &byte in bytes {
            if byte == b'\n' {
                self.byte(b'\r')?;
            }
            self.byte(byte)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<(), Stuck> {
        Ok(())
    }
}
