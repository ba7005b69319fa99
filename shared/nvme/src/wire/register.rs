// SPDX-License-Identifier: MIT
//! Controller registers (section 3.1).

/// Controller capabilities: u64.
pub const CAP: usize = 0x00;
/// Version: u32.
pub const VS: usize = 0x08;
/// Controller configuration: u32.
pub const CC: usize = 0x14;
/// Controller status: u32.
pub const CSTS: usize = 0x1c;
/// Sizes of the administrative queues: u32.
pub const AQA: usize = 0x24;
/// Bus address of the administrative submission queue: u64.
pub const ASQ: usize = 0x28;
/// Bus address of the administrative completion queue: u64.
pub const ACQ: usize = 0x30;
/// The first doorbell.
pub const DOORBELLS: usize = 0x1000;

/// What a register reads as once its device is gone.
pub const GONE: u32 = u32::MAX;

/// Bits of the controller's configuration (3.1.5).
pub mod cc {
    /// It is enabled.
    pub const EN: u32 = 1;
    /// Entries of 64 and of 16 bytes; NVM command set, pages of 4096 bytes, round robin.
    pub const ENTRIES: u32 = 6 << 16 | 4 << 20;
    /// Weighted round robin with an urgent class.
    pub const WEIGHTED: u32 = 1 << 11;
    /// All command sets that it has (TP 4056).
    pub const SETS: u32 = 6 << 4;
    /// Shutdown notification: both bits.
    pub const SHN: u32 = 3 << 14;
    /// A normal shutdown is announced.
    pub const SHN_NORMAL: u32 = 1 << 14;
}

/// Bits of the controller's status (3.1.6).
pub mod csts {
    /// It takes commands.
    pub const RDY: u32 = 1;
    /// It failed, and only a reset helps.
    pub const CFS: u32 = 1 << 1;
}

/// Controller capabilities (3.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capabilities(pub u64);

impl Capabilities {
    /// Most entries of a queue for reads and writes.
    pub const fn entries(self) -> u32 {
        (self.0 & 0xffff) as u32 + 1
    }

    /// Nanoseconds that it may take to become ready, or to stop: at least half a second.
    pub const fn ready_ns(self) -> u64 {
        let halves = self.0 >> 24 & 0xff;
        (if halves == 0 { 1 } else { halves }) * 500_000_000
    }

    /// Bytes from one doorbell to the next.
    pub const fn stride(self) -> usize {
        4 << (self.0 >> 32 & 0xf)
    }

    /// Whether it has weighted round robin with an urgent class.
    pub const fn weighted(self) -> bool {
        self.0 >> 17 & 1 != 0
    }

    /// Whether it has several command sets, and serves all that it has at once where CC says so.
    pub const fn sets(self) -> bool {
        self.0 >> 43 & 1 != 0
    }

    /// Whether it has the NVM command set.
    pub const fn nvm(self) -> bool {
        self.0 >> 37 & 1 != 0
    }

    /// Whether pages of 4096 bytes are within what it works with.
    pub const fn small_pages(self) -> bool {
        self.0 >> 48 & 0xf == 0
    }
}
