// SPDX-License-Identifier: MIT
//! The controller's registers (AHCI 1.3.1, section 3).

/// Generic host control (3.1): offsets in the register file.
pub mod hba {
    /// Capabilities.
    pub const CAP: usize = 0x00;
    /// Global control.
    pub const GHC: usize = 0x04;
    /// Which ports have interrupts pending.
    pub const IS: usize = 0x08;
    /// Which ports there are.
    pub const PI: usize = 0x0c;
    /// Version.
    pub const VS: usize = 0x10;
    /// More capabilities.
    pub const CAP2: usize = 0x24;
    /// Handoff between firmware and operating system.
    pub const BOHC: usize = 0x28;
    /// The first port's registers.
    pub const PORTS: usize = 0x100;
    /// Bytes of each port's registers.
    pub const PORT_BYTES: usize = 0x80;
}

/// Bits of CAP (3.1.1).
pub mod cap {
    /// Commands of a port, less one: five bits from here.
    pub const NCS_SHIFT: u32 = 8;
    /// FIS-based switching.
    pub const FBSS: u32 = 1 << 16;
    /// Port multipliers.
    pub const SPM: u32 = 1 << 17;
    /// Nothing but AHCI.
    pub const SAM: u32 = 1 << 18;
    /// Command list override.
    pub const SCLO: u32 = 1 << 24;
    /// Aggressive link power management.
    pub const SALP: u32 = 1 << 26;
    /// Staggered spin-up.
    pub const SSS: u32 = 1 << 27;
    /// What devices notify of is kept in a register.
    pub const SSNTF: u32 = 1 << 29;
    /// Native command queuing.
    pub const SNCQ: u32 = 1 << 30;
    /// 64-bit addresses.
    pub const S64A: u32 = 1 << 31;
}

/// Bits of GHC (3.1.2).
pub mod ghc {
    /// Reset.
    pub const HR: u32 = 1;
    /// Interrupts.
    pub const IE: u32 = 1 << 1;
    /// AHCI.
    pub const AE: u32 = 1 << 31;
}

/// Bit of CAP2 (3.1.10).
pub mod cap2 {
    /// The handoff register is there.
    pub const BOH: u32 = 1;
}

/// Bits of BOHC (3.1.11).
pub mod bohc {
    /// The firmware owns the controller.
    pub const BOS: u32 = 1;
    /// The operating system wants it, or owns it.
    pub const OOS: u32 = 1 << 1;
}

/// A port's registers (3.3): offsets from its first.
pub mod port {
    /// Command list, low half.
    pub const CLB: usize = 0x00;
    /// Command list, high half.
    pub const CLBU: usize = 0x04;
    /// Received FISes, low half.
    pub const FB: usize = 0x08;
    /// Received FISes, high half.
    pub const FBU: usize = 0x0c;
    /// Interrupts pending.
    pub const IS: usize = 0x10;
    /// Interrupts enabled.
    pub const IE: usize = 0x14;
    /// Command and status.
    pub const CMD: usize = 0x18;
    /// Task file.
    pub const TFD: usize = 0x20;
    /// Signature.
    pub const SIG: usize = 0x24;
    /// SATA status.
    pub const SSTS: usize = 0x28;
    /// SATA control.
    pub const SCTL: usize = 0x2c;
    /// SATA errors.
    pub const SERR: usize = 0x30;
    /// Queued commands at the drive.
    pub const SACT: usize = 0x34;
    /// Commands issued.
    pub const CI: usize = 0x38;
    /// Which devices have notified of something: one bit for each port of a port multiplier.
    pub const SNTF: usize = 0x3c;
    /// FIS-based switching.
    pub const FBS: usize = 0x40;
}

/// Bits of PxIS and PxIE (3.3.5, 3.3.6).
pub mod is {
    /// A register FIS with the I bit came.
    pub const DHRS: u32 = 1;
    /// A PIO setup FIS.
    pub const PSS: u32 = 1 << 1;
    /// A DMA setup FIS.
    pub const DSS: u32 = 1 << 2;
    /// A set device bits FIS.
    pub const SDBS: u32 = 1 << 3;
    /// An unknown FIS.
    pub const UFS: u32 = 1 << 4;
    /// A drive came: SERR.DIAG.X.
    pub const PCS: u32 = 1 << 6;
    /// The link changed: SERR.DIAG.N.
    pub const PRCS: u32 = 1 << 22;
    /// FIS for a device beyond the port multiplier's.
    pub const IPMS: u32 = 1 << 23;
    /// More data than the command described.
    pub const OFS: u32 = 1 << 24;
    /// An error of the link that did not stop it.
    pub const INFS: u32 = 1 << 26;
    /// An error of the link that did.
    pub const IFS: u32 = 1 << 27;
    /// Bad data from memory.
    pub const HBDS: u32 = 1 << 28;
    /// A bus error.
    pub const HBFS: u32 = 1 << 29;
    /// The drive set its error bit.
    pub const TFES: u32 = 1 << 30;
    /// What says that commands have ended.
    pub const ENDED: u32 = DHRS | PSS | DSS | SDBS;
    /// After which the port has stopped (6.2.2).
    pub const FATAL: u32 = TFES | HBFS | HBDS | IFS;
    /// What the driver wants to hear of.
    pub const WANTED: u32 = DHRS | PSS | SDBS | UFS | PCS | PRCS | OFS | FATAL;
}

/// Bits of PxCMD (3.3.7).
pub mod cmd {
    /// Commands are processed.
    pub const ST: u32 = 1;
    /// Spun up.
    pub const SUD: u32 = 1 << 1;
    /// Powered.
    pub const POD: u32 = 1 << 2;
    /// Command list override.
    pub const CLO: u32 = 1 << 3;
    /// FISes are received.
    pub const FRE: u32 = 1 << 4;
    /// The slot that is processed: five bits from here.
    pub const CCS_SHIFT: u32 = 8;
    /// FISes are being received.
    pub const FR: u32 = 1 << 14;
    /// Commands are being processed.
    pub const CR: u32 = 1 << 15;
    /// A port multiplier is there.
    pub const PMA: u32 = 1 << 17;
    /// The port can switch by FIS.
    pub const FBSCP: u32 = 1 << 22;
    /// The drive is no disk: its activity is shown otherwise.
    pub const ATAPI: u32 = 1 << 24;
    /// The link goes to a state of low power when idle.
    pub const ALPE: u32 = 1 << 26;
    /// That state is Slumber.
    pub const ASP: u32 = 1 << 27;
    /// The link is to be active: the four bits from 28.
    pub const ICC_ACTIVE: u32 = 1 << 28;
    /// All of ICC.
    pub const ICC: u32 = 0xf << 28;
}

/// Bits of PxFBS (3.3.16).
pub mod fbs {
    /// Devices behind a port multiplier are told apart by their FISes.
    pub const EN: u32 = 1;
    /// Forget the error, and the commands, of the device that has failed.
    pub const DEC: u32 = 1 << 1;
    /// One device has failed; the others go on.
    pub const SDE: u32 = 1 << 2;
    /// The device that the next commands are for: four bits from here.
    pub const DEV_SHIFT: u32 = 8;
    /// The device that has failed: four bits from here.
    pub const DWE_SHIFT: u32 = 16;
}

/// Bits of PxTFD (3.3.8), which are those of ATA's status and, from bit 8, error register.
pub mod tfd {
    /// An error.
    pub const ERR: u32 = 1;
    /// Data is to be moved.
    pub const DRQ: u32 = 1 << 3;
    /// The device has failed.
    pub const DF: u32 = 1 << 5;
    /// Busy.
    pub const BSY: u32 = 1 << 7;
    /// The error register.
    pub const ERROR_SHIFT: u32 = 8;
}

/// PxSSTS and PxSCTL (3.3.10, 3.3.11).
pub mod link {
    /// Detection: the low four bits of both.
    pub const DET: u32 = 0xf;
    /// PxSSTS: a drive is there and the link is up.
    pub const UP: u32 = 3;
    /// PxSCTL: send COMRESET as long as this is set.
    pub const COMRESET: u32 = 1;
    /// PxSCTL: neither Partial nor Slumber.
    pub const ALWAYS_ACTIVE: u32 = 3 << 8;
    /// PxSCTL: no Slumber, nor DevSleep; Partial is allowed.
    pub const PARTIAL: u32 = 6 << 8;
    /// PxSCTL: no DevSleep; Partial and Slumber are allowed.
    pub const SLUMBER: u32 = 4 << 8;
}

/// PxSIG (3.3.9), as ATA says who sends it.
pub mod signature {
    /// A disk.
    pub const DISK: u32 = 0x0000_0101;
    /// A packet device.
    pub const PACKET: u32 = 0xeb14_0101;
    /// A port multiplier.
    pub const MULTIPLIER: u32 = 0x9669_0101;
    /// Nothing was received yet.
    pub const NONE: u32 = u32::MAX;
}
