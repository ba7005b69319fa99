// SPDX-License-Identifier: MIT
//! A disk in one line.
use super::Ahci;
use core::fmt;
use orion_driver::{Registers, Unit};

impl<R: Registers, T: Copy + Default> Ahci<R, T> {
    pub(super) fn describe_unit(&self, unit: Unit, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((port, limits)) = self.port(unit).and_then(|port| Some((port, port.limits()?))) else {
            return write!(f, "no drive");
        };
        let (mode, health) = (port.mode(), port.health().copied().unwrap_or_default());
        let word = |yes, word| if yes { word } else { "" };
        let how = match mode {
            _ if mode.queued => "NCQ",
            _ if mode.dma => "DMA",
            _ => "PIO",
        };
        write!(
            f,
            "SATA port {}{}, {}, {} blocks of {} bytes, {} requests in flight, {how}{}{}{}{}",
            self.port_of(unit).unwrap_or_default(),
            Behind(port.device),
            health.model,
            limits.capacity,
            limits.block.bytes(),
            limits.queue_depth,
            word(!mode.lba48, ", 28-bit addresses"),
            word(limits.volatile_cache, ", volatile cache"),
            word(limits.discard_granularity != 0, ", discard"),
            word(limits.read_only, ", read-only"),
        )
    }
}

/// Which of a port multiplier's devices a drive is.
struct Behind(Option<u8>);

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |device| write!(f, ".{device}"))
    }
}
