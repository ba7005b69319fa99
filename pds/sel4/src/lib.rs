// SPDX-License-Identifier: MIT
//! The seL4 world: runs any [`orion_pd::ProtectionDomain`] as a Microkit protection domain, over rust-sel4.
//!
//! Everything a PD reaches is mapped by the system description that `orion` wrote; this crate hands it out, once each,
//! by the addresses in the PD's configuration (see `docs/sel4.md`).
#![no_std]

mod children;
mod clock;
mod console;
mod end;
#[cfg(target_arch = "x86_64")]
mod port_world;
#[cfg(target_arch = "x86_64")]
mod ports;
mod ranges;
mod restart;
mod run;
mod torture;
mod world;

#[cfg(target_arch = "x86_64")]
pub use port_world::{OnPorts, PortWorld, PortsOrMapped};
#[cfg(target_arch = "x86_64")]
pub use ports::{IoPorts, PortSerial};
pub use run::{Running, forever, start};
pub use torture::Torture;
pub use world::Sel4World;

/// The console's PD on this machine: a 16550 behind I/O ports.
#[cfg(target_arch = "x86_64")]
pub type Console = PortSerial;
/// The console's PD on this machine: a pl011.
#[cfg(target_arch = "aarch64")]
pub type Console = orion_serial::Serial<orion_serial::Pl011<orion_region::Volatile>>;

/// The PD of a parallel SCSI adapter on this machine, whose registers are I/O ports.
#[cfg(target_arch = "x86_64")]
pub type Am53c974 = OnPorts<orion_am53c974_pd::Am53c974Pd<PortWorld>>;
/// The PD of a parallel SCSI adapter on this machine, whose I/O ports are mapped.
#[cfg(target_arch = "aarch64")]
pub type Am53c974 = orion_am53c974_pd::Am53c974Pd<Sel4World>;
