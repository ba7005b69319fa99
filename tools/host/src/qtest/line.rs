// SPDX-License-Identifier: MIT
//! What stands in the protocol's lines.
use std::fmt::{self, Write as _};
use std::io;

/// How wide an access is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 8 bits.
    B,
    /// 16 bits.
    W,
    /// 32 bits.
    L,
    /// 64 bits.
    Q,
}

impl Width {
    /// What commands call it.
    pub const fn letter(self) -> char {
        match self {
            Self::B => 'b',
            Self::W => 'w',
            Self::L => 'l',
            Self::Q => 'q',
        }
    }
}

/// One line, on the stack.
pub struct Line {
    bytes: [u8; 64],
    len: usize,
}

impl Line {
    /// The line `text`.
    pub fn new(text: fmt::Arguments<'_>) -> Self {
        let mut line = Self { bytes: [0; 64], len: 0 };
        // The longest command has 46 bytes.
        let _ = writeln!(line, "{text}");
        line
    }

    /// What is sent.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let to = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        to.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Whether a line says that a pin went up, or down; `None` where it says something else.
pub fn pin(line: &[u8]) -> Option<bool> {
    match line.strip_prefix(b"IRQ ")?.first()? {
        b'r' => Some(true),
        b'l' => Some(false),
        _ => None,
    }
}

/// The result that a line reports; `None` for a line that answers nothing.
pub fn parse(line: &[u8]) -> Option<io::Result<u64>> {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    match words.next() {
        Some("IRQ") => None,
        Some("OK") => {
            let digits = words.next().and_then(|word| word.strip_prefix("0x")).unwrap_or("0");
            Some(u64::from_str_radix(digits, 16).map_err(io::Error::other))
        }
        _ => Some(Err(io::Error::other(format!("QEMU answers `{line}`")))),
    }
}
