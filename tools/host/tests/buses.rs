// SPDX-License-Identifier: MIT
//! QEMU's device of each bus, as its driver would find it: its class, its registers, its message.
#![allow(clippy::unwrap_used, reason = "a test's certain values")]
use orion_driver::Registers as _;
use orion_host::pin::Pin;
use orion_host::qemu::{Aio, Dimm, Image, MESSAGE, Machine, Medium, Qemu};
use orion_host::qtest::{Device, Qtest, Registers};
use orion_host::sys::{self, Cpus};
use orion_pci::{Function, Interrupt, Message};
use orion_pd::ChannelSet;
use orion_region::Mmio;
use orion_system::bus::Bus;
use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

const ECAM: u64 = 0xb000_0000;
const BARS: u64 = 0xe000_0000;
const PORTS: u64 = 0xc000;
const SLOT: u8 = 4;
const DMA_BUS: u64 = 0x1_4000_0000;
const DMA_LEN: u64 = 1 << 20;

struct Rig {
    device: Rc<RefCell<Device>>,
    function: Function<Registers>,
    event: File,
    dma: File,
    _qemu: Qemu,
}

/// A device on `bus` with a disk of 1 MiB for each of `units`, whose function is opened.
fn rig(bus: Bus, units: &[u32]) -> Rig {
    let (event, dma) = (sys::event().unwrap(), sys::memory("dma", DMA_LEN).unwrap());
    let medium = |unit: &u32| {
        let path = std::env::temp_dir().join(format!("orion-{bus}-{unit}-{}.img", std::process::id()));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.set_len(1 << 20).unwrap();
        let image =
            Image { file, path: PathBuf::new(), read_only: false, aio: Aio::Threads, inject: None, shared: false };
        Medium { name: format!("d{unit}"), unit: *unit, image }
    };
    let machine = Machine {
        name: bus.name().to_owned(),
        bus,
        options: 0,
        way: None,
        slot: SLOT,
        ecam: ECAM,
        media: units.iter().map(medium).collect(),
        dimms: vec![Dimm { memory: dma.try_clone().unwrap(), size: DMA_LEN, bus: DMA_BUS }],
        cpus: Cpus::ours().unwrap(),
    };
    let (qemu, line) = machine.start(&event).unwrap();
    let device = Rc::new(RefCell::new(Device::new(Qtest::new(line.qtest).unwrap(), None).unwrap()));
    let registers = |base, len| Registers::new(Rc::clone(&device), base, len);
    let (config, message) =
        (registers(ECAM + (u64::from(SLOT) << 15), 4096), Message { address: MESSAGE.0, data: MESSAGE.1 });
    let function = match bus.is_ports() {
        true => Function::with_ports(config, registers(PORTS, 0x100), PORTS, None),
        false => Function::new(config, registers(BARS, 0x1_0000), BARS, Some(message)),
    };
    Rig { device, function: function.unwrap(), event, dma, _qemu: qemu }
}

#[test]
fn an_nvme_controller_identifies_itself_and_says_so_by_its_message() {
    let rig = rig(Bus::Nvme, &[1, 7]);
    assert_eq!((rig.function.identity().class, rig.function.interrupt()), ([1, 8, 2], Interrupt::Msix));
    let (event, dma) = (rig.event.try_clone().unwrap(), rig.dma.try_clone().unwrap());
    let mut registers = rig.function.registers(0).unwrap();
    assert_eq!(registers.read32(8) >> 16, 1, "version 1.x");
    registers.set_dma(true);
    // Admin queues of 16 entries in the first two pages; one command: identify the controller into the third.
    registers.write32(0x24, 15 << 16 | 15);
    registers.write64(0x28, DMA_BUS);
    registers.write64(0x30, DMA_BUS + 0x1000);
    registers.write32(0x14, 4 << 20 | 6 << 16 | 1);
    while registers.read32(0x1c) & 1 == 0 {}
    let mut command = [0u32; 16];
    (command[0], command[6], command[7], command[10]) = (6, 0x4000_2000, 1, 1);
    let bytes: Vec<u8> = command.iter().flat_map(|word| word.to_le_bytes()).collect();
    dma.write_all_at(&bytes, 0).unwrap();
    registers.doorbell32(0x1000, 1);
    assert!(sys::wait_one(&event, Some(Duration::from_secs(10))), "no message");
    let mut identity = [0; 64];
    dma.read_exact_at(&mut identity, 0x2000).unwrap();
    assert_eq!(&identity[4..8], b"nvme", "the serial number");
    assert!(identity[24..].starts_with(b"QEMU NVMe Ctrl"));
}

#[test]
fn an_ahci_adapter_has_a_disk_at_its_port_and_interrupts_by_msi() {
    let rig = rig(Bus::Ahci, &[3]);
    assert_eq!((rig.function.identity().class, rig.function.interrupt()), ([1, 6, 1], Interrupt::Msi));
    let event = rig.event.try_clone().unwrap();
    let mut registers = rig.function.registers(5).unwrap();
    let port = |offset: usize| 0x100 + 3 * 0x80 + offset;
    registers.write32(4, 1 << 31);
    registers.set_dma(true);
    // A device is there and speaks (PxSSTS); at port 0 there is none.
    assert_eq!((registers.read32(port(0x28)) & 0xf, registers.read32(0x128) & 0xf), (3, 0));
    // Its first FIS, of its signature, interrupts where it is received.
    registers.write32(port(0x08), 0x4000_0000);
    registers.write32(port(0x0c), 1);
    registers.write32(port(0x14), u32::MAX);
    registers.write32(4, 1 << 31 | 2);
    // COMRESET, then FIS receive.
    registers.write32(port(0x18), 1 << 4);
    registers.write32(port(0x2c), 1);
    registers.write32(port(0x2c), 0);
    assert!(sys::wait_one(&event, Some(Duration::from_secs(10))), "no message");
}

#[test]
fn a_virtio_scsi_host_interrupts_by_msix() {
    let rig = rig(Bus::VirtioScsi, &[0, 3 << 16 | 1]);
    let identity = rig.function.identity();
    assert_eq!((identity.vendor, identity.device, rig.function.interrupt()), (0x1af4, 0x1048, Interrupt::Msix));
    assert!(
        rig.function.capabilities().filter(|c| c.id == 9).count() >= 4
            && !sys::wait_one(&rig.event, Some(Duration::ZERO))
    );
}

#[test]
fn a_parallel_scsi_adapter_has_its_registers_at_ports() {
    let rig = rig(Bus::Am53c974, &[0, 6 << 16]);
    assert_eq!((rig.function.identity().class, rig.function.interrupt()), ([1, 0, 0], Interrupt::Pin));
    let registers = rig.function.registers(0).unwrap();
    // CURRENT TRANSFER COUNT can be loaded, and is read back after a NOP with DMA set (Am53C974, 4.3).
    registers.write8(0x00, 0x34);
    registers.write8(0x04, 0x12);
    registers.write8(0x0c, 0x80);
    assert_eq!((registers.read8(0x00), registers.read8(0x04)), (0x34, 0x12));
    // A reset of the SCSI bus interrupts until its register is read; the pin is a level.
    let pin = Pin::new(rig.device, ChannelSet(4));
    assert_eq!(pin.take(), ChannelSet(0));
    registers.write8(0x0c, 0x03);
    assert_eq!((pin.take(), pin.take()), (ChannelSet(4), ChannelSet(0)));
    pin.unmask();
    assert_eq!(pin.take(), ChannelSet(4), "it comes again while nobody takes its cause away");
    assert_eq!(registers.read8(0x14) & 0x80, 0x80);
    pin.unmask();
    assert_eq!(pin.take(), ChannelSet(0));
}
