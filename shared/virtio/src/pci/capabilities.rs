// SPDX-License-Identifier: MIT
//! Finding the register groups of a virtio function (virtio 1.2, section 4.1.4).
use super::common;
use crate::Fault;
use crate::bus::Part;
use orion_pci::Function;
use orion_region::Mmio;

const VENDOR_SPECIFIC: u8 = 0x09;

/// Where the register groups lie in the window.
#[derive(Clone, Copy, Debug, Default)]
pub struct Capabilities {
    pub common: Part,
    pub notify: Part,
    pub notify_multiplier: u32,
    pub isr: Part,
    pub device: Part,
}

/// Walks the capability list. Of each kind the first counts, as 4.1.4 asks.
pub fn find<M: Mmio>(function: &Function<M>) -> Result<Capabilities, Fault> {
    let mut any = false;
    let mut caps = Capabilities::default();
    for capability in function.capabilities() {
        any = true;
        if capability.id == VENDOR_SPECIFIC {
            vendor(function, capability.at, &mut caps);
        }
    }
    if !any {
        return Err(Fault::Legacy);
    }
    let whole = caps.common.len >= common::LEN && caps.notify.len >= 2 && caps.isr.len >= 1;
    let aligned = caps.common.base % 4 == 0 && caps.notify.base % 2 == 0 && caps.device.base % 4 == 0;
    if whole && aligned { Ok(caps) } else { Err(Fault::Capabilities) }
}

/// One `virtio_pci_cap`. A type or BAR that is not known is passed over (4.1.4.1), and so is one outside its BAR.
fn vendor<M: Mmio>(function: &Function<M>, at: usize, caps: &mut Capabilities) {
    let config = function.config();
    let bar = usize::from(config.read8(at + 4));
    let Some(part) = within(function, bar, config.read32(at + 8), config.read32(at + 12)) else {
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

/// `len` bytes at `offset` of a BAR, as a part of the window; `None` where the BAR doesn't hold them.
fn within<M: Mmio>(function: &Function<M>, bar: usize, offset: u32, len: u32) -> Option<Part> {
    let (offset, len) = (usize::try_from(offset).ok()?, usize::try_from(len).ok()?);
    let base = function.place(bar)?.at(offset, len)?;
    Some(Part { base, len })
}
