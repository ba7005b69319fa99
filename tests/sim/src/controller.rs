// SPDX-License-Identifier: MIT
//! The controllers of the drivers' models, each with a simulated disk behind it, and the registers that drivers find them by.
use crate::disk::{Attached, DiskShape};
use crate::random::Random;
use orion_ahci::model::Abar;
use orion_am53c974::model::{Manners, Ports, Switch};
use orion_driver::model::Hardware;
use orion_nvme::model::ModelRegisters;
use orion_pci::model::{Shape, Side, function};
use orion_pd::config::Device;
use orion_region::{Mmio, Window};
use orion_scsi::model::{Bus as ScsiBus, Disk};
use orion_system::bus::Bus;
use orion_virtio::Wishes;
use orion_virtio::blk::wire::{config, feature};
use orion_virtio::model::{PciBars, PciConfig, ScsiMmio, ScsiModel, ScsiShape, SharedScsi, pci};
use orion_virtio::registers;
use std::cell::RefCell;
use std::rc::Rc;

/// Indirect descriptors, event index: virtio 1.2, section 6.
const RING_FEATURES: [u64; 2] = [1 << 28, 1 << 29];

/// A register file of any of them.
#[derive(Debug)]
pub enum Registers {
    /// A virtio block device's configuration space.
    BlkConfig(PciConfig),
    /// What is behind its BARs.
    BlkBars(PciBars),
    /// Either side of an NVMe controller's function.
    Nvme(Side<ModelRegisters>),
    /// Either side of an AHCI controller's function.
    Ahci(Side<Abar>),
    /// virtio-mmio registers of a SCSI host.
    Scsi(ScsiMmio),
    /// Either side of a parallel SCSI adapter's function.
    Parallel(Side<Ports>),
}

registers!(Registers: BlkConfig, BlkBars, Nvme, Ahci, Scsi, Parallel);

/// A controller.
#[derive(Clone, Debug)]
pub enum Controller {
    /// A virtio block device.
    Blk(orion_virtio::model::Shared),
    /// An NVMe controller with one namespace.
    Nvme(orion_nvme::model::Shared),
    /// An AHCI controller with one drive.
    Ahci(orion_ahci::model::Shared),
    /// A virtio SCSI host with one disk.
    Scsi(SharedScsi),
    /// A parallel SCSI adapter with one disk.
    Parallel(orion_am53c974::model::Shared),
}

impl Controller {
    /// It, if it is one of NVMe.
    pub fn nvme(&self) -> Option<&orion_nvme::model::Shared> {
        if let Self::Nvme(model) = self { Some(model) } else { None }
    }

    /// A controller of this kind whose disk is `attached`, that reaches `memory`: bus addresses and bytes. Its queues can be as
    /// `options` say, as its driver is told.
    pub fn new(
        bus: Bus,
        shape: DiskShape,
        attached: Attached,
        memory: Vec<(u64, Window)>,
        options: u32,
        random: &mut Random,
    ) -> Self {
        match bus {
            Bus::VirtioBlk => Self::Blk(blk(shape, attached, memory, options, random)),
            Bus::Nvme => Self::Nvme(nvme(shape, attached, memory, random)),
            Bus::Ahci => Self::Ahci(ahci(shape, attached, memory, random)),
            Bus::VirtioScsi => Self::Scsi(scsi(shape, attached, memory, random)),
            Bus::Am53c974 => Self::Parallel(parallel(shape, attached, memory, random)),
        }
    }

    /// As who lets time go by sees it.
    pub fn hardware(&self) -> Rc<RefCell<dyn Hardware>> {
        match self {
            Self::Blk(model) => model.clone(),
            Self::Nvme(model) => model.clone(),
            Self::Ahci(model) => model.clone(),
            Self::Scsi(model) => model.clone(),
            Self::Parallel(model) => model.clone(),
        }
    }

    /// The registers by which a life of its driver finds it, by where they are mapped.
    pub fn registers(&self, device: &Device) -> Vec<(u64, Registers)> {
        let (at, behind) = (device.config_vaddr.get(), device.bar_vaddr.get());
        let (bus, len) = (device.bar_bus.get(), device.bar_size.get() as usize);
        match self {
            Self::Blk(model) => {
                let function = pci(model, bus, len);
                vec![
                    (at, Registers::BlkConfig(PciConfig(function.clone()))),
                    (behind, Registers::BlkBars(PciBars(function))),
                ]
            }
            Self::Nvme(model) => {
                let shape = Shape::new([0x1b36, 0x10], [1, 8, 2], 0).msix();
                let (sides, master) = sides(shape, ModelRegisters(model.clone()), bus, len);
                model.borrow_mut().bus = Some(orion_nvme::model::Bus(master));
                [at, behind].into_iter().zip(sides.map(Registers::Nvme)).collect()
            }
            Self::Ahci(model) => {
                let shape = Shape::new([0x8086, 0x2922], [1, 6, 1], 5).msi();
                let (sides, master) = sides(shape, Abar(model.clone()), bus, len);
                model.borrow_mut().bus = Some(orion_ahci::model::Bus(master));
                [at, behind].into_iter().zip(sides.map(Registers::Ahci)).collect()
            }
            Self::Scsi(model) => vec![(at, Registers::Scsi(ScsiMmio(model.clone())))],
            Self::Parallel(model) => {
                let mut shape = Shape::new([0x1022, 0x2020], [1, 0, 0], 0);
                // 128 ports.
                shape.masks[0] = 0xffff_ff81;
                let (sides, master) = sides(shape, Ports(model.clone()), bus, len);
                model.borrow_mut().switch = Some(Switch(master));
                [at, behind].into_iter().zip(sides.map(Registers::Parallel)).collect()
            }
        }
    }
}

type Master = Box<dyn Fn() -> bool>;

/// Both sides of a function, and whether it may reach memory.
fn sides<R: Mmio + 'static>(shape: Shape, registers: R, bus: u64, len: usize) -> ([Side<R>; 2], Master) {
    let function = function(shape, registers, bus, len);
    let (config, window) = function.sides();
    ([config, window], Box::new(move || function.master()))
}

/// What the driver of a virtio device is told to wish for.
fn wishes(options: u32) -> Wishes {
    let [queues, switches, ..] = options.to_le_bytes();
    Wishes { queues: queues.into(), packed: switches & 1 != 0, ..Wishes::default() }
}

fn ring_features(random: &mut Random) -> u64 {
    RING_FEATURES.into_iter().filter(|_| random.below(4) > 0).sum()
}

fn blk(
    shape: DiskShape,
    attached: Attached,
    memory: Vec<(u64, Window)>,
    options: u32,
    random: &mut Random,
) -> orion_virtio::model::Shared {
    use orion_virtio::model::{Model, Shape};
    let cache = if shape.cache { feature::FLUSH } else { 0 };
    let features = feature::BLK_SIZE | feature::DISCARD | feature::WRITE_ZEROES | cache | ring_features(random);
    let sectors = (shape.blocks * shape.block / 512) as u64;
    let found = Shape::new(0, features)
        .field(config::CAPACITY, sectors.to_le_bytes())
        .field(config::BLK_SIZE, (shape.block as u32).to_le_bytes())
        .field(config::MAX_DISCARD_SECTORS, 4096u32.to_le_bytes())
        .field(config::DISCARD_SECTOR_ALIGNMENT, 8u32.to_le_bytes())
        .field(config::MAX_WRITE_ZEROES_SECTORS, 4096u32.to_le_bytes());
    let found = Shape { queue_max: [256, 64, 16][random.below(3)], ..found }.offering(wishes(options));
    let model = Model::new(found, memory);
    model.borrow_mut().medium = Some(Box::new(attached));
    model
}

/// As often as not it offers nothing optional.
fn nvme(
    disk: DiskShape,
    attached: Attached,
    memory: Vec<(u64, Window)>,
    random: &mut Random,
) -> orion_nvme::model::Shared {
    use orion_nvme::model::{Model, Shape, Space};
    let shape = if random.below(2) == 0 { Shape::new() } else { Shape::new().plain() };
    let shape = shape.with(|shape| {
        shape.controller.vwc = disk.cache.into();
        // Zeroes and dataset management, which the clients ask for.
        shape.controller.oncs = (1 << 2 | 1 << 3).into();
    });
    let space = Space::bare(disk.blocks as u64, disk.block.trailing_zeros() as u8);
    let model = Model::new(shape, vec![(1, space)], memory);
    model.borrow_mut().medium = Some(Box::new(attached));
    model
}

/// As often as not its drive has no queue.
fn ahci(
    disk: DiskShape,
    attached: Attached,
    memory: Vec<(u64, Window)>,
    random: &mut Random,
) -> orion_ahci::model::Shared {
    use orion_ahci::model::{Drive, Model, Shape};
    let drive = Drive::over(disk.blocks as u64, disk.block, Box::new(attached));
    let drive = if disk.cache { drive } else { drive.with(82, 0x20, 0).with(85, 0x20, 0) };
    let drive = Drive { cache: disk.cache, ..drive };
    let drive = if random.below(2) == 0 { drive } else { drive.without_ncq() };
    Model::new(Shape::default(), vec![(0, drive)], memory)
}

fn unit(disk: DiskShape, attached: Attached, random: &mut Random) -> Disk {
    let found = Disk::over(disk.blocks as u64, disk.block, Box::new(attached));
    Disk { write_cache: disk.cache, fua: random.below(2) == 0, ..found }
}

fn scsi(disk: DiskShape, attached: Attached, memory: Vec<(u64, Window)>, random: &mut Random) -> SharedScsi {
    let shape = ScsiShape::new(ring_features(random) | 6);
    ScsiModel::new(shape, ScsiBus::of(unit(disk, attached, random)), memory)
}

/// As often as not its target behaves as QEMU's, else it uses all that the bus has.
fn parallel(
    disk: DiskShape,
    attached: Attached,
    memory: Vec<(u64, Window)>,
    random: &mut Random,
) -> orion_am53c974::model::Shared {
    let manners = if random.below(2) == 0 { Manners::PLAIN } else { Manners::lively(random.number()) };
    orion_am53c974::model::Model::new(ScsiBus::of(unit(disk, attached, random)), manners, memory)
}
