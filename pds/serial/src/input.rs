// SPDX-License-Identifier: MIT
//! What is typed: put together to lines, shown as it is typed, handed to the manager.
use crate::{Uart, Wire};
use embedded_io::Write;
use orion_ring::bytes::Writer;

/// Most bytes of a line; what is typed beyond is not taken.
pub const LINE_MAX: usize = 160;
/// Bytes that are looked at in one call: who types for ever does not keep the console from printing.
const MOST: usize = 256;
const BACKSPACE: u8 = 8;
const DELETE: u8 = 127;
/// Ctrl-U: the line begins anew.
const KILL: u8 = 21;

/// Where complete lines go.
pub trait Sink {
    /// Takes a line with its end.
    fn line(&mut self, bytes: &[u8]);
}

impl Sink for Writer {
    fn line(&mut self, bytes: &[u8]) {
        // A manager that does not read loses lines: nobody waits for it.
        self.write(bytes);
    }
}

/// The line that is being typed.
#[derive(Debug)]
pub struct Input<S> {
    line: heapless::Vec<u8, LINE_MAX>,
    sink: S,
}

impl<S: Sink> Input<S> {
    /// Hands lines to `sink`.
    pub fn new(sink: S) -> Self {
        Self { line: heapless::Vec::new(), sink }
    }

    #[cfg(test)]
    pub(crate) fn sink(&self) -> &S {
        &self.sink
    }

    /// Takes what was typed; whether a line was completed.
    pub fn take<U: Uart>(&mut self, wire: &mut Wire<U>) -> bool {
        let mut complete = false;
        for _ in 0..MOST {
            let Some(byte) = wire.0.receive() else { break };
            complete |= self.byte(byte, wire);
        }
        complete
    }

    fn byte<U: Uart>(&mut self, byte: u8, wire: &mut Wire<U>) -> bool {
        // A UART that is stuck must not stop the system: what it does not take is not shown.
        match byte {
            b'\r' | b'\n' => {
                let _ = wire.write_all(b"\n");
                let mut line = core::mem::take(&mut self.line);
                // There is room: one place is kept for it.
                let _ = line.push(b'\n');
                self.sink.line(&line);
                return true;
            }
            BACKSPACE | DELETE if self.line.pop().is_some() => {
                let _ = wire.write_all(b"\x08 \x08");
            }
            KILL => {
                self.hide(wire);
                self.line.clear();
            }
            b' '..=b'~' if self.line.len() < LINE_MAX - 1 => {
                let _ = self.line.push(byte);
                let _ = wire.write_all(&[byte]);
            }
            _ => {}
        }
        false
    }

    /// Takes the line off the terminal, so that others can be printed.
    pub fn hide<U: Uart>(&self, wire: &mut Wire<U>) {
        if !self.line.is_empty() {
            let _ = wire.write_all(b"\r");
            for _ in &self.line {
                let _ = wire.write_all(b" ");
            }
            let _ = wire.write_all(b"\r");
        }
    }

    /// Shows it again.
    pub fn show<U: Uart>(&self, wire: &mut Wire<U>) {
        let _ = wire.write_all(&self.line);
    }
}
