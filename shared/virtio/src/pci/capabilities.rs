// SPDX-License-Identifier: MIT
//! Finding the register groups of a virtio function (virtio 1.2, section 4.1.4).
use super::bars::Places;
use super::{cfg, common};
use crate::Fault;
use crate::bus::Part;
use orion_region::Mmio;

const VENDOR_SPECIFIC: u8 = 0x09;
const MSIX: u8 = 0x11;
/// Bit of the status register: the function has capabilities.
const HAS_CAPABILITIES: u16 = 1 << 4;
/// Most capabilities that fit: 192 bytes, four each. Bounds the walk where the list is a loop.
const MOST: usize = 48;

/// Where the register groups lie in the window, and the MSI-X capability in the configuration page.
#[derive(Clone, Copy, Debug, Default)]
pub struct Capabilities {
    pub common: Part,
    pub notify: Part,
    pub notify_multiplier: u32,
    pub isr: Part,
    pub device: Part,
    pub msix: Option<Msix>,
}

/// The MSI-X capability.
#[derive(Clone, Copy, Debug)]
pub struct Msix {
    /// Its offset in the configuration page.
    pub at: usize,
    /// Where its table lies in the window.
    pub table: Part,
}

/// Walks the capability list. Of each kind the first counts, as 4.1.4 asks.
pub fn find(config: &impl Mmio, places: &Places) -> Result<Capabilities, Fault> {
    if config.read16(cfg::STATUS) & HAS_CAPABILITIES == 0 {
        return Err(Fault::Legacy);
    }
    let mut caps = Capabilities::default();
    let mut at = usize::from(config.read8(cfg::CAPABILITIES) & !3);
    for _ in 0..MOST {
        if at < 0x40 {
            break;
        }
        match config.read8(at) {
            VENDOR_SPECIFIC => vendor(config, at, places, &mut caps),
            MSIX if caps.msix.is_none() => caps.msix = Some(msix(config, at, places)?),
            _ => {}
        }
        at = usize::from(config.read8(at + 1) & !3);
    }
    let whole = caps.common.len >= common::LEN && caps.notify.len >= 2 && caps.isr.len >= 1;
    let aligned = caps.common.base % 4 == 0 && caps.notify.base % 2 == 0 && caps.device.base % 4 == 0;
    if whole && aligned { Ok(caps) } else { Err(Fault::Capabilities) }
}

/// One `virtio_pci_cap`. A type or BAR that is not known is passed over (4.1.4.1), and so is one outside its BAR.
fn vendor(config: &impl Mmio, at: usize, places: &Places, caps: &mut Capabilities) {
    let bar = usize::from(config.read8(at + 4));
    let Some(part) = within(places, bar, config.read32(at + 8), config.read32(at + 12)) else {
        return;
    };
    let group = match config.read8(at + 3) {
        1 => &mut caps.common,
        2 => &mut caps.notify,
        3 => &mut caps.isr,
        4 => &mut caps.device,
        _ => return,
    };
    if group.len != 0 {
        return;
    }
    *group = part;
    if config.read8(at + 3) == 2 {
        caps.notify_multiplier = config.read32(at + 16);
    }
}

fn msix(config: &impl Mmio, at: usize, places: &Places) -> Result<Msix, Fault> {
    let entries = u32::from(config.read16(at + 2) & 0x7ff) + 1;
    let table = config.read32(at + 4);
    let bar = usize::try_from(table & 7).unwrap_or(usize::MAX);
    let table = within(places, bar, table & !7, entries * 16).ok_or(Fault::Capabilities)?;
    Ok(Msix { at, table })
}

/// `len` bytes at `offset` of a BAR, as a part of the window; `None` where the BAR doesn't hold them.
fn within(places: &Places, bar: usize, offset: u32, len: u32) -> Option<Part> {
    let place = places.get(bar).copied().flatten()?;
    let (offset, len) = (usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
    let base = place.at(offset, len).ok()?;
    Some(Part { base, len })
}
