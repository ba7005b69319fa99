// SPDX-License-Identifier: MIT
//! Lines put together from what arrives in pieces.
use embedded_io::Write;

/// Most bytes of a line; a longer one is broken.
pub const MOST_BYTES: usize = 240;

/// A line that is not complete yet.
#[derive(Debug, Default)]
pub struct Line(heapless::Vec<u8, MOST_BYTES>);

impl Line {
    /// Adds `bytes` and prints each line that they complete, after `name`. What is not a printable ASCII character
    /// becomes `?`, so that no PD can move the cursor or write in another's name.
    ///
    /// # Errors
    /// Those of `out`; the line that failed is lost.
    pub fn add<O: Write>(&mut self, bytes: &[u8], name: &str, out: &mut O) -> Result<(), O::Error> {
        for &byte in bytes {
            if byte == b'\n' {
                self.print(name, out)?;
                continue;
            }
            if self.0.is_full() {
                self.print(name, out)?;
            }
            let shown = if byte == b' ' || byte.is_ascii_graphic() { byte } else { b'?' };
            // There is room: a full line was printed.
            let _ = self.0.push(shown);
        }
        Ok(())
    }

    fn print<O: Write>(&mut self, name: &str, out: &mut O) -> Result<(), O::Error> {
        let line = core::mem::take(&mut self.0);
        [name.as_bytes(), b": ", &line, b"\n"].into_iter().try_for_each(|part| out.write_all(part))
    }
}
