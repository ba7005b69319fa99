// SPDX-License-Identifier: MIT
//! Sizing and placing a function's BARs (section 6.2.5).
use crate::{Fault, cfg, halves};
use orion_region::Mmio;

/// Part of a register file: `len` bytes from `base`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Bytes from the register file's start.
    pub base: usize,
    /// Bytes.
    pub len: usize,
}

impl Part {
    /// Where `len` bytes at `offset` lie in the register file; `None` where this part does not hold them.
    #[inline]
    pub fn at(&self, offset: usize, len: usize) -> Option<usize> {
        let end = offset.checked_add(len)?;
        if end <= self.len { self.base.checked_add(offset) } else { None }
    }
}

/// An address space of the bus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Space {
    /// Memory.
    Memory,
    /// Ports: 16 bits of address are all that a machine must have.
    Ports,
}

/// Where each BAR lies in the window; nothing for one that is absent, of the other space or the upper half of another.
pub type Places = [Option<Part>; 6];

/// A BAR before it has a place.
#[derive(Clone, Copy)]
struct Bar {
    index: usize,
    size: u64,
    wide: bool,
}

/// Places every BAR of the space in the window of `len` bytes at bus address `bus`, the largest first. Decoding must be
/// off. BARs of the other space keep what they hold: they are not decoded.
pub fn place(config: &impl Mmio, space: Space, bus: u64, len: usize) -> Result<Places, Fault> {
    config.write32(cfg::ROM, 0);
    let mut bars = size_all(config, space)?;
    let mut places = [None; 6];
    let mut next = bus;
    let end = bus.checked_add(len as u64).ok_or(Fault::Window)?;
    while let Some(largest) = bars.iter_mut().max_by_key(|b| b.map(|b| b.size)).and_then(Option::take) {
        let address = next.checked_next_multiple_of(largest.size).ok_or(Fault::Window)?;
        next = address.checked_add(largest.size).filter(|n| *n <= end).ok_or(Fault::Window)?;
        write_bar(config, largest, address, space)?;
        let base = usize::try_from(address - bus).map_err(|_| Fault::Window)?;
        let len = usize::try_from(largest.size).map_err(|_| Fault::Window)?;
        if let Some(place) = places.get_mut(largest.index) {
            *place = Some(Part { base, len });
        }
    }
    Ok(places)
}

fn size_all(config: &impl Mmio, space: Space) -> Result<[Option<Bar>; 6], Fault> {
    let mut bars = [None; 6];
    let mut index = 0;
    while let Some(slot) = bars.get_mut(index) {
        let wide = is_wide(config.read32(cfg::BARS + index * 4));
        if wide && index == 5 {
            return Err(Fault::Size);
        }
        *slot = size(config, index, wide, space)?;
        index += if wide { 2 } else { 1 };
    }
    Ok(bars)
}

fn is_wide(low: u32) -> bool {
    low & 0b111 == 0b100
}

fn size(config: &impl Mmio, index: usize, wide: bool, space: Space) -> Result<Option<Bar>, Fault> {
    let low = cfg::BARS + index * 4;
    let (is, kind_bits) = if config.read32(low) & 1 == 0 { (Space::Memory, 0xf) } else { (Space::Ports, 0b11) };
    if is != space {
        return Ok(None);
    }
    config.write32(low, u32::MAX);
    let mut mask = u64::from(config.read32(low) & !kind_bits);
    // The upper half of a port's address need not be there.
    if space == Space::Ports && mask != 0 {
        mask |= 0xffff_0000;
    }
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
        return Err(Fault::Size);
    }
    Ok(Some(Bar { index, size, wide }))
}

fn write_bar(config: &impl Mmio, bar: Bar, address: u64, space: Space) -> Result<(), Fault> {
    let [low, high] = halves(address);
    let register = cfg::BARS + bar.index * 4;
    let most = if space == Space::Ports { 1 << 16 } else { 1 << 32 };
    if bar.wide {
        config.write32(register + 4, high);
    } else if address.checked_add(bar.size).is_none_or(|end| end > most) {
        return Err(Fault::Window);
    }
    config.write32(register, low);
    Ok(())
}
