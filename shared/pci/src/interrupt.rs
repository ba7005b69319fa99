// SPDX-License-Identifier: MIT
//! The one interrupt of a function: MSI-X (section 6.8.2), else MSI (6.8.1), else its pin.
use crate::capabilities::{Capabilities, Capability};
use crate::{Fault, bars, cfg, halves};
use orion_region::Mmio;

const MSI: u8 = 0x05;
const MSIX: u8 = 0x11;
/// Bits of MSI's control word.
mod msi {
    pub const ENABLE: u16 = 1;
    /// Messages that are enabled, as a power of two.
    pub const COUNT: u16 = 0b111 << 4;
    pub const WIDE: u16 = 1 << 7;
    pub const MASKABLE: u16 = 1 << 8;
}
/// Bits of MSI-X's control word.
mod msix {
    pub const ENABLE: u16 = 1 << 15;
    pub const MASK_ALL: u16 = 1 << 14;
    pub const LAST_ENTRY: u16 = 0x7ff;
}

/// Where a message interrupt goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message {
    /// Address of the message.
    pub address: u64,
    /// What is written there. MSI sends its low 16 bits, with zeroes above.
    pub data: u32,
}

/// How a function interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// By its pin, a level that the driver takes away at the device.
    Pin,
    /// By an MSI.
    Msi,
    /// By vector 0 of MSI-X.
    Msix,
}

/// Sets up the interrupt; everything else that could interrupt is off afterwards.
pub fn set_up<M: Mmio>(
    config: &M,
    window: &M,
    places: &bars::Places,
    message: Option<Message>,
) -> Result<Interrupt, Fault> {
    let find = |id| Capabilities::new(config).find(|c| c.id == id);
    let (msi, msix) = (find(MSI), find(MSIX));
    // Both on at once is undefined (6.8.3.1), and what was here before may have left either.
    if let Some(Capability { at, .. }) = msi {
        config.write16(at + 2, config.read16(at + 2) & !(msi::ENABLE | msi::COUNT));
    }
    if let Some(Capability { at, .. }) = msix {
        config.write16(at + 2, config.read16(at + 2) & msix::LAST_ENTRY);
    }
    match (message, msix, msi) {
        (None, ..) => Ok(Interrupt::Pin),
        (Some(message), Some(cap), _) => by_msix(config, window, places, cap.at, message),
        (Some(message), None, Some(cap)) => by_msi(config, cap.at, message),
        (Some(_), None, None) => Err(Fault::NoMessage),
    }
}

fn by_msix<M: Mmio>(
    config: &M,
    window: &M,
    places: &bars::Places,
    at: usize,
    message: Message,
) -> Result<Interrupt, Fault> {
    let control = at + 2;
    let last = config.read16(control) & msix::LAST_ENTRY;
    let table = config.read32(at + 4);
    let place = |index: u32| usize::try_from(index).ok().and_then(|i| places.get(i).copied().flatten());
    let offset = usize::try_from(table & !7).ok();
    let entry = place(table & 7).zip(offset).and_then(|(bar, offset)| bar.at(offset, (usize::from(last) + 1) * 16));
    let entry = entry.ok_or(Fault::Capability)?;
    config.write16(control, last | msix::ENABLE | msix::MASK_ALL);
    let [low, high] = halves(message.address);
    window.write32(entry, low);
    window.write32(entry + 4, high);
    window.write32(entry + 8, message.data);
    window.write32(entry + 12, 0);
    config.write16(control, last | msix::ENABLE);
    Ok(Interrupt::Msix)
}

fn by_msi(config: &impl Mmio, at: usize, message: Message) -> Result<Interrupt, Fault> {
    let control = config.read16(at + 2);
    let wide = control & msi::WIDE != 0;
    let [low, high] = halves(message.address);
    let data = u16::try_from(message.data).map_err(|_| Fault::NoMessage)?;
    if high != 0 && !wide {
        return Err(Fault::NoMessage);
    }
    let (at_data, maskable) = (at + if wide { 12 } else { 8 }, control & msi::MASKABLE != 0);
    if at_data + if maskable { 8 } else { 2 } > cfg::LEN {
        return Err(Fault::Capability);
    }
    config.write32(at + 4, low);
    if wide {
        config.write32(at + 8, high);
    }
    config.write16(at_data, data);
    if maskable {
        config.write32(at_data + 4, 0);
    }
    config.write16(at + 2, control | msi::ENABLE);
    Ok(Interrupt::Msi)
}
