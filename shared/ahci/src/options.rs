// SPDX-License-Identifier: MIT
//! How drives are to be used, where there is a choice.

/// Where a unit's drive is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The port's number, or [`Place::ANY`].
    pub port: u32,
    /// The drive's number behind the port multiplier at that port, 0 to 14; nothing where the drive is at the port itself.
    pub device: Option<u8>,
    /// Nothing may be written to it.
    pub read_only: bool,
}

impl Place {
    /// In place of a port's number: the first port that has a drive and that nobody names.
    pub const ANY: u32 = u32::MAX;
    /// The first drive.
    pub const FIRST: Self = Self { port: Self::ANY, device: None, read_only: false };

    /// Whether both are behind the same port multiplier.
    pub(crate) fn shares(&self, other: &Self) -> bool {
        self.device.is_some() && other.device.is_some() && self.port == other.port
    }

    /// The place that a configuration calls `unit`: the port's number, with one more than the drive's behind a port multiplier
    /// in the high half, or [`Place::ANY`].
    pub fn of(unit: u32, read_only: bool) -> Self {
        let [port, _, device, _] = unit.to_le_bytes();
        match unit >> 16 {
            _ if unit == Self::ANY => Self { read_only, ..Self::FIRST },
            0 => Self { port: unit, device: None, read_only },
            _ => Self { port: port.into(), device: Some(device.wrapping_sub(1)), read_only },
        }
    }
}

/// How far an idle link goes by itself, where controller and drive can.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Power {
    /// It stays as it is.
    #[default]
    Active,
    /// To Partial, from which it comes back within 10 microseconds.
    Partial,
    /// To Slumber, from which it comes back within 10 milliseconds.
    Slumber,
}

impl Power {
    /// What a configuration calls so: 0, 1 and 2, in this order; everything else is the first.
    pub const fn of(number: u32) -> Self {
        match number {
            1 => Self::Partial,
            2 => Self::Slumber,
            _ => Self::Active,
        }
    }
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
    /// How far an idle link goes by itself. Where it goes at all, a drive that is pulled out is missed when it is next asked.
    pub power: Power,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ncq: true,
            dma: true,
            lba48: true,
            write_cache: None,
            look_ahead: None,
            freeze: true,
            power: Power::Active,
        }
    }
}
