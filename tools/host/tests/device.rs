// SPDX-License-Identifier: MIT
//! A virtio disk, driven by hand: configuration, DMA into a shared region, and an interrupt that rings our counter.
use orion_host::ivshmem::Kick;
use orion_host::qemu::{Aio, BRIDGE_TABLE, Dimm, Image, MESSAGE, Machine, Medium};
use orion_host::qtest::{Device, Qtest, Registers};
use orion_host::sys::{self, Cpus};
use orion_region::Mmio;
use orion_system::bus::Bus;
use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::time::Duration;

const ECAM: u64 = 0xb000_0000;
const BAR: u32 = 0xe000_0000;
const BUS: u64 = 0x1_4000_0000;

/// Offsets, in the BAR, of the structures that the capability list names: common, notify, MSI-X table.
fn structures(config: &Registers) -> (usize, usize, usize) {
    let (mut common, mut notify, mut table) = ((0, 0), (0, 0), (0, 0));
    let mut at = usize::from(config.read8(0x34));
    while at != 0 {
        let found = (usize::from(config.read8(at + 4)), config.read32(at + 8) as usize);
        match (config.read8(at), config.read8(at + 3)) {
            (0x09, 1) => common = found,
            (0x09, 2) => notify = found,
            (0x11, _) => {
                let place = config.read32(at + 4) as usize;
                table = (place & 7, place & !7);
                config.write16(at + 2, config.read16(at + 2) | 0x8000);
            }
            _ => {}
        }
        at = usize::from(config.read8(at + 1));
    }
    // The MSI-X table has a BAR of its own; the other structures share one.
    assert_eq!(common.0, notify.0);
    config.write32(0x10 + 4 * common.0, BAR);
    config.write32(0x10 + 4 * table.0, BAR + 0x10_0000);
    config.write16(4, 6);
    (common.1, notify.1, 0x10_0000 + table.1)
}

#[test]
fn identifies_by_dma_and_message() {
    let event = sys::event().unwrap();
    let memory = sys::memory("dma", 0x10_0000).unwrap();
    let path = std::env::temp_dir().join(format!("orion-device-{}.img", std::process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    file.set_len(1 << 20).unwrap();
    let machine = Machine {
        name: "disk0".into(),
        slot: 3,
        ecam: ECAM,
        bus: Bus::VirtioBlk,
        options: 0,
        way: None,
        media: vec![Medium {
            name: "disk0".into(),
            unit: 0,
            image: Image {
                file,
                path: std::path::PathBuf::new(),
                read_only: false,
                aio: Aio::Threads,
                inject: None,
                shared: false,
            },
        }],
        dimms: vec![Dimm { memory: memory.try_clone().unwrap(), size: 0x10_0000, bus: BUS }],
        cpus: Cpus::ours().unwrap(),
    };
    let (_qemu, line) = machine.start(&event).unwrap();
    let device = Rc::new(RefCell::new(
        Device::new(Qtest::new(line.qtest).unwrap(), Some(Kick::new(line.kick, BRIDGE_TABLE))).unwrap(),
    ));
    let config = Registers::new(Rc::clone(&device), ECAM + (3 << 15), 4096);
    let bar = Registers::new(device, BAR.into(), 0x20_0000);
    let (common, notify, table) = structures(&config);
    bar.write64(table, MESSAGE.0);
    bar.write32(table + 8, MESSAGE.1);
    bar.write32(table + 12, 0);
    // Reset, acknowledge, driver, VERSION_1, features ok.
    bar.write8(common + 0x14, 0);
    bar.write8(common + 0x14, 3);
    bar.write32(common + 8, 1);
    bar.write32(common + 0xc, 1);
    bar.write8(common + 0x14, 11);
    bar.write16(common + 0x16, 0);
    bar.write16(common + 0x18, 8);
    bar.write16(common + 0x1a, 0);
    bar.write64(common + 0x20, BUS);
    bar.write64(common + 0x28, BUS + 0x1000);
    bar.write64(common + 0x30, BUS + 0x2000);
    bar.write16(common + 0x1c, 1);
    bar.write8(common + 0x14, 15);
    // One request, GET_ID: header, 20 bytes of answer, status.
    let descriptor = |i: u64, at: u64, len: u32, flags: u16, next: u16| {
        memory.write_at(&(BUS + at).to_le_bytes(), i * 16).unwrap();
        memory.write_at(&len.to_le_bytes(), i * 16 + 8).unwrap();
        memory.write_at(&flags.to_le_bytes(), i * 16 + 12).unwrap();
        memory.write_at(&next.to_le_bytes(), i * 16 + 14).unwrap();
    };
    memory.write_at(&8u32.to_le_bytes(), 0x4000).unwrap();
    memory.write_at(&[0xff], 0x6000).unwrap();
    descriptor(0, 0x4000, 16, 1, 1);
    descriptor(1, 0x5000, 20, 3, 2);
    descriptor(2, 0x6000, 1, 2, 0);
    memory.write_at(&1u16.to_le_bytes(), 0x1002).unwrap();
    bar.doorbell16(notify, 0);
    assert!(sys::wait_one(&event, Some(Duration::from_secs(10))), "no interrupt");
    assert_eq!(sys::take(&event), 1);
    let mut answer = [0; 5];
    memory.read_at(&mut answer, 0x5000).unwrap();
    assert_eq!(&answer, b"disk0");
    let mut status = [0];
    memory.read_at(&mut status, 0x6000).unwrap();
    assert_eq!(status, [0]);
}
