// SPDX-License-Identifier: MIT
//! The targets.
mod ahci;
mod am53c974;
mod control;
mod nbd;
mod nvme;
mod raid;
mod ring;
mod scsi;
mod state;
mod system;
mod table;

/// Something that faces bytes of others.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, and its corpus' folder.
    pub name: &'static str,
    /// Takes some bytes; panics where something is wrong.
    pub run: fn(&[u8]),
    /// Bytes that an input has at most.
    pub most: usize,
}

/// Every target.
pub const TARGETS: [Target; 12] = [
    Target { name: "ring-server", run: ring::server, most: 2048 },
    Target { name: "ring-client", run: ring::client, most: 2048 },
    Target { name: "scsi", run: scsi::scsi, most: 1024 },
    Target { name: "system", run: system::system, most: 8192 },
    Target { name: "table", run: table::table, most: 16_384 },
    Target { name: "control", run: control::control, most: 2048 },
    Target { name: "state", run: state::state, most: 8192 },
    Target { name: "nbd", run: nbd::nbd, most: 4096 },
    Target { name: "raid", run: raid::raid, most: 16_384 },
    Target { name: "nvme", run: nvme::nvme, most: nvme::MOST },
    Target { name: "ahci", run: ahci::ahci, most: ahci::MOST },
    Target { name: "am53c974", run: am53c974::am53c974, most: am53c974::MOST },
];

/// Takes numbers from an input; zeroes after its end.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let n = N.min(self.0.len());
        bytes[..n].copy_from_slice(&self.0[..n]);
        self.0 = &self.0[n..];
        bytes
    }
    fn byte(&mut self) -> u8 {
        self.take::<1>()[0]
    }
    fn half(&mut self) -> u16 {
        u16::from_le_bytes(self.take())
    }
    fn word(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }
    fn long(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
