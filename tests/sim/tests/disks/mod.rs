// SPDX-License-Identifier: MIT
//! What disks hold before a simulated system begins.
#![allow(dead_code, reason = "each test uses some")]
use orion_raid::create::{Device, New};
use orion_raid::wire::SUPER_BYTES;
use orion_raid::{Uuid, Version};

/// Sectors of a disk of the simulator.
pub const SECTORS: u64 = (32 << 20) / 512;
/// First sector of data.
pub const DATA: u64 = 256;
/// The same in bytes.
pub const DATA_BYTES: usize = 256 * 512;

/// What disks begin with that are a new array: `level` in mdadm's numbers.
pub fn members(level: i32, set: u8, count: usize, sectors: u64) -> Vec<Vec<u8>> {
    let layout = [(5, 2), (6, 2), (10, 0x102)].iter().find(|(l, _)| *l == level).map_or(0, |(_, layout)| *layout);
    let new = New {
        version: Version::V12,
        set: Uuid([set; 16]),
        name: "box:data",
        created: 1,
        level,
        layout,
        chunk: if level == 1 { 0 } else { 16 },
        data_offset: DATA,
        ppl: level == 5,
        clean: true,
    };
    let device = |number| Device { sectors, uuid: Uuid([number; 16]), spare: false, missing: false };
    let devices: Vec<Device> = (0..u8::try_from(count).unwrap()).map(device).collect();
    let image = |found: orion_raid::Super| {
        let mut bytes = vec![0; SUPER_BYTES + 4096];
        found.emit(bytes[4096..].first_chunk_mut::<SUPER_BYTES>().unwrap()).unwrap();
        bytes
    };
    new.supers(&devices).unwrap().map(image).collect()
}

/// An MBR with one partition, of 1 MiB.
pub fn table() -> Vec<u8> {
    let mut table = vec![0; 512];
    table[450] = 0x83;
    table[454..458].copy_from_slice(&7u32.to_le_bytes());
    table[458..462].copy_from_slice(&2048u32.to_le_bytes());
    table[510..].copy_from_slice(&[0x55, 0xaa]);
    table
}
