// SPDX-License-Identifier: MIT
//! The list of capabilities (section 6.7).
use crate::cfg;
use orion_region::Mmio;

/// Bit of the status register: the function has capabilities.
const HAS_CAPABILITIES: u16 = 1 << 4;
/// Most capabilities that fit: 192 bytes, four each. Bounds the walk where the list is a loop.
const MOST: u8 = 48;
/// The first byte behind the header.
const FIRST: usize = 0x40;

/// A capability: what it is, and where in the configuration page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Its kind.
    pub id: u8,
    /// Bytes from the start of the page; divisible by 4, and within its first 256 bytes.
    pub at: usize,
}

/// The capabilities of a function, in the list's order. Ends where the list is a loop.
#[derive(Debug)]
pub struct Capabilities<'a, M> {
    config: &'a M,
    at: usize,
    left: u8,
}

impl<'a, M: Mmio> Capabilities<'a, M> {
    /// Those of the function with this configuration page.
    pub(crate) fn new(config: &'a M) -> Self {
        let any = config.read16(cfg::STATUS) & HAS_CAPABILITIES != 0;
        Self { config, at: pointer(config, cfg::CAPABILITIES), left: if any { MOST } else { 0 } }
    }
}

fn pointer(config: &impl Mmio, at: usize) -> usize {
    usize::from(config.read8(at) & !3)
}

impl<M: Mmio> Iterator for Capabilities<'_, M> {
    type Item = Capability;

    fn next(&mut self) -> Option<Capability> {
        self.left = self.left.checked_sub(1)?;
        let at = self.at;
        if at < FIRST {
            self.left = 0;
            return None;
        }
        self.at = pointer(self.config, at + 1);
        Some(Capability { id: self.config.read8(at), at })
    }
}
