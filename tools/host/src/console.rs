// SPDX-License-Identifier: MIT
//! Consoles: each PD prints into a byte ring of its own, and the parent prints what it finds there.
use crate::sys;
use orion_region::Window;
use orion_ring::bytes::{Reader, Writer};
use std::fmt::{self, Write};
use std::fs::File;
use std::io;

/// How often a PD lets others run while its ring is full before it drops the rest of its line.
const PATIENCE: u32 = 1000;

/// The PD's end.
#[derive(Debug)]
pub struct Printer {
    ring: Writer,
    host: File,
}

impl Printer {
    /// Prints into the ring in `window`, and rings `host` for the parent to look.
    ///
    /// # Errors
    /// Where the window is too small for a ring.
    pub fn new(window: Window, host: File) -> io::Result<Self> {
        let ring = Writer::attach(window).map_err(|_| io::Error::other("the console's region is too small"))?;
        Ok(Self { ring, host })
    }

    /// Prints one line.
    pub fn print(&mut self, line: fmt::Arguments<'_>) {
        let _ = self.write_fmt(line);
        let _ = self.write_str("\n");
        sys::ring(&self.host, 1);
    }
}

impl Write for Printer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text.as_bytes();
        for _ in 0..PATIENCE {
            let written = self.ring.write(rest);
            rest = rest.get(written..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(());
            }
            sys::ring(&self.host, 1);
            std::thread::yield_now();
        }
        Err(fmt::Error)
    }
}

/// The parent's end.
#[derive(Debug)]
pub struct Tail {
    ring: Reader,
    line: Vec<u8>,
}

/// Longest line that is kept together.
const LONGEST: usize = 1024;

impl Tail {
    /// Reads the ring in `window`.
    ///
    /// # Errors
    /// Where the window is too small for a ring.
    pub fn new(window: Window) -> io::Result<Self> {
        let ring = Reader::attach(window).map_err(|_| io::Error::other("the console's region is too small"))?;
        Ok(Self { ring, line: Vec::new() })
    }

    /// Hands every whole line that was printed to `each`.
    pub fn lines(&mut self, mut each: impl FnMut(&str)) {
        let mut bytes = [0; 512];
        loop {
            let count = self.ring.read(&mut bytes);
            if count == 0 {
                return;
            }
            for &byte in bytes.iter().take(count) {
                if byte == b'\n' || self.line.len() >= LONGEST {
                    self.rest(&mut each);
                }
                if byte != b'\n' {
                    self.line.push(byte);
                }
            }
        }
    }

    /// Hands what was printed of an unfinished line to `each`.
    pub fn rest(&mut self, each: &mut impl FnMut(&str)) {
        if !self.line.is_empty() {
            each(&plain(&self.line));
            self.line.clear();
        }
    }
}

/// Text without what could steer a terminal: a PD is not trusted with that.
pub fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
