// SPDX-License-Identifier: MIT
//! Which port each unit is, and where its structures lie.
use super::Ahci;
use crate::hba::Hba;
use crate::layout::{PORT_BYTES, UNITS_LEN};
use crate::port::Port;
use crate::wire::registers::{cmd, hba as register, link, port};
use crate::{Fault, Options, Place};
use orion_driver::Registers;
use orion_region::Window;

impl<R: Registers, T: Copy + Default> Ahci<R, T> {
    /// Gives each unit its port.
    pub(super) fn assign(&mut self, units: &[Place]) -> Result<(), Fault> {
        let mut named = 0u32;
        for (index, unit) in units.iter().enumerate() {
            let Some(port) = self.ports.get_mut(index) else { return Err(Fault::TooMany) };
            port.forbid_writes(unit.read_only);
            if unit.port == Place::ANY {
                continue;
            }
            let bit = 1u32.checked_shl(unit.port).unwrap_or(0) & self.hba.ports;
            if let Some(device) = unit.device {
                let nth = units.iter().take(index).filter(|other| unit.shares(other)).count();
                let of = units.iter().filter(|other| unit.shares(other)).count();
                if bit == 0 || named & bit != 0 && nth == 0 {
                    return Err(Fault::Port);
                }
                named |= bit;
                self.assign_behind(index, base(bit.trailing_zeros()), device, (nth, of))?;
                continue;
            }
            if bit & !named == 0 {
                return Err(Fault::Port);
            }
            named |= bit;
            port.place(base(bit.trailing_zeros()));
            self.only = if units.len() == 1 { bit } else { 0 };
        }
        Ok(())
    }

    /// Looks for a drive on ports that nobody has; ports spin up one after the other where they do not by themselves.
    pub(super) fn search(&mut self, unit: usize) {
        let taken = self.ports.iter().filter(|port| port.base != 0).map(|port| port_bit(port.base)).sum::<u32>();
        for number in (0..32).filter(|n| self.hba.ports & !taken & 1 << n != 0) {
            let base = base(number);
            let command = self.registers.read32(base + port::CMD);
            let there = self.registers.read32(base + port::SSTS) & link::DET == link::UP;
            if there {
                if let Some(port) = self.ports.get_mut(unit) {
                    port.place(base);
                    self.only = if self.units == 1 { port_bit(base) } else { 0 };
                }
                return;
            }
            if command & cmd::SUD == 0 {
                self.registers.write32(base + port::CMD, command | cmd::POD | cmd::SUD);
                if self.hba.able.staggered {
                    return;
                }
            }
        }
    }
}

/// Where a port's registers begin.
pub(super) fn base(number: u32) -> usize {
    register::PORTS + register::PORT_BYTES * number as usize
}

pub(super) fn port_bit(base: usize) -> u32 {
    1u32.checked_shl(u32::try_from(base.saturating_sub(register::PORTS) / register::PORT_BYTES).unwrap_or(32))
        .unwrap_or(0)
}

/// The tables of each unit, in its part of the DMA memory.
pub(super) fn tables<T: Copy + Default>(
    dma: Window,
    bus: u64,
    limit: u64,
    hba: &Hba,
    options: Options,
    read_only: bool,
) -> Result<[Port<T>; UNITS_LEN], Fault> {
    let end = bus.checked_add(dma.len() as u64).filter(|end| *end <= limit);
    let aligned = bus.is_multiple_of(4096) && dma.base().addr().get().is_multiple_of(4096);
    if end.is_none() || !aligned || dma.len() < PORT_BYTES * UNITS_LEN {
        return Err(Fault::Dma);
    }
    let mut parts = [const { None }; UNITS_LEN];
    let mut rest = Some(dma);
    for (place, to) in (0u64..).zip(&mut parts) {
        let (part, later) = rest.take().and_then(|rest| rest.split(PORT_BYTES)).ok_or(Fault::Dma)?;
        rest = Some(later);
        *to = Some(Port::new(part, bus + place * PORT_BYTES as u64, hba.able, options, read_only)?);
    }
    let mut ports = parts.into_iter().flatten();
    let mut take = || ports.next().ok_or(Fault::Dma);
    Ok([take()?, take()?, take()?, take()?, take()?, take()?, take()?, take()?])
}
