// SPDX-License-Identifier: MIT
//! Sizing and placing a function's BARs (PCI 3.0, section 6.2.5).
use super::cfg;
use crate::Fault;
use crate::bus::Part;
use crate::mmio::halves;
use orion_region::Mmio;

/// Where each BAR lies in the window; nothing for one that is absent, is I/O space or is the upper half of another.
pub type Places = [Option<Part>; 6];

/// A memory BAR before it has a place.
#[derive(Clone, Copy)]
struct Bar {
    index: usize,
    size: u64,
    wide: bool,
}

/// Places every memory BAR of the function in the window of `len` bytes at bus address `bus`, the largest first.
/// Memory decoding must be off. I/O BARs keep what they hold: I/O decoding stays off.
pub fn place(config: &impl Mmio, bus: u64, len: usize) -> Result<Places, Fault> {
    config.write32(cfg::ROM, 0);
    let mut bars = size_all(config)?;
    let mut places = [None; 6];
    let mut next = bus;
    let end = bus.checked_add(len as u64).ok_or(Fault::Window)?;
    while let Some(largest) = bars.iter_mut().max_by_key(|b| b.map(|b| b.size)).and_then(Option::take) {
        let address = next.checked_next_multiple_of(largest.size).ok_or(Fault::Window)?;
        next = address.checked_add(largest.size).filter(|n| *n <= end).ok_or(Fault::Window)?;
        write_bar(config, largest, address)?;
        let base = usize::try_from(address - bus).map_err(|_| Fault::Window)?;
        let len = usize::try_from(largest.size).map_err(|_| Fault::Window)?;
        if let Some(place) = places.get_mut(largest.index) {
            *place = Some(Part { base, len });
        }
    }
    Ok(places)
}

fn size_all(config: &impl Mmio) -> Result<[Option<Bar>; 6], Fault> {
    let mut bars = [None; 6];
    let mut index = 0;
    while let Some(slot) = bars.get_mut(index) {
        *slot = size(config, index)?;
        index += if slot.is_some_and(|b| b.wide) { 2 } else { 1 };
    }
    Ok(bars)
}

fn size(config: &impl Mmio, index: usize) -> Result<Option<Bar>, Fault> {
    let low = cfg::BARS + index * 4;
    let kind = config.read32(low);
    if kind & 1 != 0 {
        return Ok(None);
    }
    let wide = kind & 0b110 == 0b100;
    if wide && index == 5 {
        return Err(Fault::Capabilities);
    }
    config.write32(low, u32::MAX);
    let mut mask = u64::from(config.read32(low) & !0xf);
    if wide {
        config.write32(low + 4, u32::MAX);
        mask |= u64::from(config.read32(low + 4)) << 32;
    } else if mask != 0 {
        mask |= 0xffff_ffff << 32;
    }
    if mask == 0 {
        return Ok(None);
    }
    let size = mask.wrapping_neg();
    if !size.is_power_of_two() {
        return Err(Fault::Capabilities);
    }
    Ok(Some(Bar { index, size, wide }))
}

fn write_bar(config: &impl Mmio, bar: Bar, address: u64) -> Result<(), Fault> {
    let [low, high] = halves(address);
    let register = cfg::BARS + bar.index * 4;
    if bar.wide {
        config.write32(register + 4, high);
    } else if high != 0 || address.checked_add(bar.size).is_none_or(|end| end > 1 << 32) {
        return Err(Fault::Window);
    }
    config.write32(register, low);
    Ok(())
}
