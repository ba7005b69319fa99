// SPDX-License-Identifier: MIT
//! How the demo's lines name things.
use core::fmt::{Display, Formatter, Result};
use orion_block::{Op, Status};

/// An operation.
#[derive(Clone, Copy, Debug)]
pub struct Name(pub Op);

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(match self.0 {
            Op::Read => "read",
            Op::Write => "write",
            Op::Flush => "flush",
            Op::Discard => "discard",
            Op::WriteZeroes => "write zeroes",
        })
    }
}

/// A block address as on the ring.
#[derive(Clone, Copy, Debug)]
pub struct Place(pub u64);

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let (window, block) = (self.0 >> 40, self.0 & ((1 << 40) - 1));
        write!(f, "block {block} of window {window}")
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Answer(pub Status);

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 {
            Ok(()) => f.write_str("done"),
            Err(error) => error.fmt(f),
        }
    }
}

/// A number of blocks.
#[derive(Clone, Copy, Debug)]
pub struct Count(pub u16);

impl Display for Count {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{} block{}", self.0, if self.0 == 1 { "" } else { "s" })
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug)]
pub struct Mebibytes(pub u64);

impl Display for Mebibytes {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self.0 >> 20 {
            0 => write!(f, "{} KiB", self.0 >> 10),
            whole => write!(f, "{whole} MiB"),
        }
    }
}
