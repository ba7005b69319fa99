// SPDX-License-Identifier: MIT
//! The controller itself: taking it over and resetting it (AHCI 1.3.1, sections 10.1.2, 10.4.3 and 10.6.3).
use crate::Fault;
use crate::port::Abilities;
use crate::wire::registers::{bohc, cap, cap2, ghc, hba};
use orion_driver::Registers;

/// How often a register is read until the controller must have done what it was told. One read takes 0.1 to 10 microseconds;
/// a reset may take a second.
const READS: u32 = 1_000_000;

/// What a controller is.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hba {
    /// Its ports, one bit each.
    pub ports: u32,
    /// What the ports can do.
    pub able: Abilities,
    /// It reaches memory beyond 4 GiB.
    pub wide: bool,
}

/// The low and the high word of `value`.
#[expect(clippy::cast_possible_truncation, reason = "that is what it is for")]
pub const fn halves(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// Takes the controller over, whatever it was doing, and resets it. Interrupts are off.
pub fn take<R: Registers>(registers: &mut R) -> Result<Hba, Fault> {
    if registers.len() < hba::PORTS + hba::PORT_BYTES {
        return Err(Fault::Registers);
    }
    let capabilities = registers.read32(hba::CAP);
    if capabilities == u32::MAX && registers.read32(hba::PI) == u32::MAX {
        return Err(Fault::Nothing);
    }
    hand_over(registers)?;
    reset(registers)?;
    let capabilities = registers.read32(hba::CAP);
    let ports = registers.read32(hba::PI);
    let room = (registers.len() - hba::PORTS) / hba::PORT_BYTES;
    let mapped = u32::MAX.checked_shr(32u32.saturating_sub(u32::try_from(room).unwrap_or(32))).unwrap_or(0);
    if ports == 0 {
        return Err(Fault::NoPorts);
    }
    if ports & mapped == 0 {
        return Err(Fault::Registers);
    }
    let slots = capabilities >> cap::NCS_SHIFT & 31;
    if slots == 0 {
        return Err(Fault::OneSlot);
    }
    let has = |bits| capabilities & bits == bits;
    Ok(Hba {
        ports: ports & mapped,
        able: Abilities {
            slots: u8::try_from(slots + 1).unwrap_or(32),
            ncq: has(cap::SNCQ),
            low_power: has(cap::SALP),
            staggered: has(cap::SSS),
            overrides: has(cap::SCLO),
            multipliers: has(cap::SPM),
            by_fis: has(cap::SPM | cap::FBSS),
            notifies: has(cap::SSNTF),
        },
        wide: has(cap::S64A),
    })
}

/// Has the firmware let go of the controller (10.6.3). One that is busy gets 2 seconds.
fn hand_over<R: Registers>(registers: &R) -> Result<(), Fault> {
    if registers.read32(hba::CAP2) & cap2::BOH == 0 {
        return Ok(());
    }
    let handoff = registers.read32(hba::BOHC);
    registers.write32(hba::BOHC, handoff | bohc::OOS);
    let let_go = |value: u32| value & bohc::BOS == 0 && value & bohc::OOS != 0;
    if (0..2 * READS).any(|_| let_go(registers.read32(hba::BOHC))) { Ok(()) } else { Err(Fault::Firmware) }
}

/// Resets the controller and all its ports (10.4.3), and lets it reach memory again.
pub fn reset<R: Registers>(registers: &mut R) -> Result<(), Fault> {
    let control = registers.read32(hba::GHC);
    registers.write32(hba::GHC, control | ghc::AE);
    if registers.read32(hba::GHC) & ghc::AE == 0 {
        return Err(Fault::NotAhci);
    }
    registers.write32(hba::GHC, ghc::AE | ghc::HR);
    if !(0..READS).any(|_| registers.read32(hba::GHC) & ghc::HR == 0) {
        // Nothing of what it was told before may reach memory any more.
        registers.set_dma(false);
        return Err(Fault::Reset);
    }
    registers.write32(hba::GHC, ghc::AE);
    registers.write32(hba::IS, u32::MAX);
    registers.set_dma(true);
    Ok(())
}

/// Lets the controller interrupt.
pub fn listen<R: Registers>(registers: &R) {
    registers.write32(hba::GHC, ghc::AE | ghc::IE);
}
