// SPDX-License-Identifier: MIT
//! The one message interrupt of a function (PCI 3.0, section 6.8.2).
use super::Msi;
use super::capabilities::Msix;
use crate::Fault;
use crate::mmio::halves;
use orion_region::Mmio;

const ENABLE: u16 = 1 << 15;
const MASK_ALL: u16 = 1 << 14;

/// Points the first table entry at `msi`, or turns MSI-X off where there is none.
pub fn set_up(config: &impl Mmio, bars: &impl Mmio, cap: Option<Msix>, msi: Option<Msi>) -> Result<(), Fault> {
    let Some(cap) = cap else {
        return if msi.is_some() { Err(Fault::NoMsix) } else { Ok(()) };
    };
    let control = cap.at + 2;
    let Some(msi) = msi else {
        config.write16(control, 0);
        return Ok(());
    };
    config.write16(control, ENABLE | MASK_ALL);
    let entry = cap.table.base;
    let [low, high] = halves(msi.address);
    bars.write32(entry, low);
    bars.write32(entry + 4, high);
    bars.write32(entry + 8, msi.data);
    bars.write32(entry + 12, 0);
    config.write16(control, ENABLE);
    Ok(())
}
