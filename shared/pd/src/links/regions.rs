// SPDX-License-Identifier: MIT
//! Data regions by name and by bus address.
use crate::InitError;
use crate::config::Config;
use heapless::Vec;
use orion_block::{Buf, RegionId};

/// Most data regions of a PD.
const REGIONS_MAX: usize = 64;

/// Where a region begins that no device reaches: not in the address space of any bus.
const NOWHERE: u64 = 1 << 63;

#[derive(Clone, Copy, Debug)]
struct Span {
    bus: u64,
    size: u64,
}

impl Span {
    /// The region of `size` bytes that devices know as `bus`, 0 where they don't.
    fn new(bus: u64, size: u64) -> Self {
        let reached = bus != 0 && bus.checked_add(size).is_some_and(|end| end <= NOWHERE);
        // One that no device reaches has no bytes there.
        if reached { Self { bus, size } } else { Self { bus: NOWHERE, size: 0 } }
    }
}

/// Whether a region of `size` bytes holds `offset..offset + len`.
#[inline]
pub(super) fn holds(size: u64, offset: u64, len: u64) -> bool {
    offset.checked_add(len).is_some_and(|end| end <= size)
}

/// The data regions that requests may name.
#[derive(Clone, Debug)]
pub struct Regions {
    spans: Vec<Span, REGIONS_MAX>,
}

impl Regions {
    /// The regions of a configuration.
    ///
    /// # Errors
    /// [`InitError`] where there are too many.
    pub fn new(config: &Config<'_>) -> Result<Self, InitError> {
        let spans = config.regions.iter().map(|r| Span::new(r.bus.get(), r.size.get()));
        if config.regions.len() > REGIONS_MAX {
            return Err(InitError("more than 64 data regions: give this part of the system a gatekeeper of its own"));
        }
        Ok(Self { spans: spans.collect() })
    }

    /// The bytes that devices know as `bus..bus + len`, if they lie in one region.
    #[inline]
    pub fn at_bus(&self, bus: u64, len: u64) -> Option<Buf> {
        (0..).zip(&self.spans).find_map(|(index, span)| {
            let offset = bus.checked_sub(span.bus)?;
            holds(span.size, offset, len).then_some(Buf { region: RegionId(index), offset })
        })
    }

    /// The bus address of a payload that was found to lie in its region; one that no device has where no device reaches that.
    #[inline]
    pub fn bus_address(&self, buf: Buf) -> u64 {
        let base = self.spans.get(usize::from(buf.region.0)).map_or(NOWHERE, |s| s.bus);
        base.wrapping_add(buf.offset)
    }
}
