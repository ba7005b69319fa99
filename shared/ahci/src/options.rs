// SPDX-License-Identifier: MIT
//! How drives are to be used, where there is a choice.

/// Where a unit's drive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The port's number, or [`Place::ANY`].
    pub port: u32,
    /// Nothing may be written to it.
    pub read_only: bool,
}

impl Place {
    /// In place of a port's number: the first port that has a drive and that nobody names.
    pub const ANY: u32 = u32::MAX;
    /// The first drive.
    pub const FIRST: Self = Self { port: Self::ANY, read_only: false };
}

/// How drives are to be used, where there is a choice. What a drive cannot do is not used in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Native command queuing, where controller and drive have it.
    pub ncq: bool,
    /// DMA; without it data goes by PIO.
    pub dma: bool,
    /// 48-bit addresses; without them only the first 128 GiB of 512-byte sectors exist.
    pub lba48: bool,
    /// Turns the drive's write cache on or off; nothing leaves it as it is.
    pub write_cache: Option<bool>,
    /// Turns reading ahead on or off; nothing leaves it as it is.
    pub look_ahead: Option<bool>,
    /// Freezes the drive's passwords until it loses power, so that nobody can lock it.
    pub freeze: bool,
    /// Lets an idle link go to Partial by itself, where the controller can.
    pub save_power: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { ncq: true, dma: true, lba48: true, write_cache: None, look_ahead: None, freeze: true, save_power: false }
    }
}
