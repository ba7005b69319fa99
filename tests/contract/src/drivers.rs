// SPDX-License-Identifier: MIT
//! The drivers, each over the model of its device.
use crate::driven::Driven;
use orion_ahci as ahci;
use orion_ahci::model::Abar;
use orion_ahci::{Ahci, Options};
use orion_am53c974::model::{Manners, Ports};
use orion_am53c974::{Am53c974, model as adapter};
use orion_block::BlockSize;
use orion_nvme as nvme;
use orion_nvme::Nvme;
use orion_nvme::model::ModelRegisters;
use orion_region::Window;
use orion_scsi::model::{Bus, Disk};
use orion_scsi::{Choice, Wanted};
use orion_virtio as virtio;
use orion_virtio::blk::wire::{config, feature};
use orion_virtio::model::{MmioModel, ScsiMmio, ScsiModel, ScsiShape};
use orion_virtio::queue::Ring;
use orion_virtio::{MmioTransport, VirtioBlk, VirtioScsi, Wishes};

/// A virtio block device with a volatile cache, and its driver.
pub type DrivenBlk<Q> = Driven<VirtioBlk<MmioTransport<MmioModel>, u32, Q>, virtio::model::Model>;
/// A disk behind a virtio SCSI host, and the host's driver.
pub type DrivenScsi = Driven<VirtioScsi<MmioTransport<ScsiMmio>>, ScsiModel>;
/// A disk on a parallel SCSI bus, and the driver of its adapter.
pub type DrivenAm53c974 = Driven<Am53c974<Ports>, adapter::Model>;
/// An NVMe controller with one namespace, and its driver.
pub type DrivenNvme<Q = nvme::One> = Driven<Nvme<ModelRegisters, u32, Q>, nvme::model::Model>;
/// An AHCI controller with one drive, and its driver.
pub type DrivenAhci = Driven<Ahci<Abar>, ahci::model::Model>;

/// A device of `blocks` blocks that reaches payload in `data`, with the queues that its driver wishes for.
///
/// # Panics
/// Where the driver refuses the device.
pub fn virtio_blk<Q: Ring + 'static>(
    blocks: usize,
    block: BlockSize,
    read_only: bool,
    data: Window,
    wishes: Wishes,
) -> DrivenBlk<Q> {
    let features = feature::BLK_SIZE | feature::FLUSH | feature::DISCARD | feature::WRITE_ZEROES;
    let shape = virtio::model::Shape::new(blocks << (block.shift() - 9), features)
        .field(config::BLK_SIZE, block.bytes().to_le_bytes())
        .field(config::MAX_DISCARD_SECTORS, 4096u32.to_le_bytes())
        .field(config::DISCARD_SECTOR_ALIGNMENT, 8u32.to_le_bytes())
        .field(config::MAX_WRITE_ZEROES_SECTORS, 4096u32.to_le_bytes())
        .offering(wishes);
    Driven::new(
        read_only,
        data,
        |memory| virtio::model::Model::new(shape, memory),
        |device| {
            move |setup| {
                let bus =
                    MmioTransport::new(MmioModel(device.clone()), MmioModel::BASE).expect("registers of a device");
                VirtioBlk::with(bus, setup, wishes).expect("a good device")
            }
        },
    )
}

/// A disk behind a host with indirect descriptors, event index and events of units.
///
/// # Panics
/// Where the driver refuses it.
pub fn virtio_scsi(disk: Disk, read_only: bool, data: Window) -> DrivenScsi {
    let shape = ScsiShape::new(3 << 28 | 6);
    Driven::new(
        read_only,
        data,
        |memory| ScsiModel::new(shape, Bus::of(disk), memory),
        |device| {
            move |setup| {
                let bus = MmioTransport::new(ScsiMmio(device.clone()), 0).expect("registers of a device");
                virtio::scsi::open(bus, &[Wanted { read_only, ..Wanted::of(Choice::First) }], setup)
                    .expect("a good device")
            }
        },
    )
}

/// A disk on a parallel SCSI bus, whose targets behave so.
///
/// # Panics
/// Where the driver refuses it.
pub fn am53c974(disk: Disk, manners: Manners, read_only: bool, data: Window) -> DrivenAm53c974 {
    Driven::new(
        read_only,
        data,
        |memory| adapter::Model::new(Bus::of(disk), manners, memory),
        |device| {
            move |setup| {
                let wanted = [Wanted { read_only, ..Wanted::of(Choice::First) }];
                orion_am53c974::open(Ports(device.clone()), &wanted, setup).expect("a good adapter")
            }
        },
    )
}

/// A controller whose namespace has `blocks` blocks; `plain`: it offers nothing optional but dataset management and write
/// zeroes, and interrupts by a pin.
///
/// # Panics
/// Where the driver refuses the controller.
pub fn nvme(blocks: usize, block: BlockSize, read_only: bool, plain: bool, data: Window) -> DrivenNvme {
    nvme_queues((blocks, block), read_only, plain, data, nvme::Wishes::default())
}

/// The same, whose writes are compared with their payload before they are answered.
///
/// # Panics
/// Where the driver refuses the controller.
pub fn nvme_verified<Q: nvme::Queues + 'static>(blocks: usize, data: Window, wishes: nvme::Wishes) -> DrivenNvme<Q> {
    let place = nvme::Place { verify: true, ..nvme::Place::FIRST };
    nvme_at((blocks, BlockSize::B512), false, false, data, (wishes, place))
}

/// The same with the queues that its driver wishes for, of a controller that has them.
///
/// # Panics
/// Where the driver refuses the controller.
pub fn nvme_queues<Q: nvme::Queues + 'static>(
    (blocks, block): (usize, BlockSize),
    read_only: bool,
    plain: bool,
    data: Window,
    wishes: nvme::Wishes,
) -> DrivenNvme<Q> {
    nvme_at((blocks, block), read_only, plain, data, (wishes, nvme::Place::FIRST))
}

fn nvme_at<Q: nvme::Queues + 'static>(
    (blocks, block): (usize, BlockSize),
    read_only: bool,
    plain: bool,
    data: Window,
    (wishes, place): (nvme::Wishes, nvme::Place),
) -> DrivenNvme<Q> {
    let shape = nvme::model::Shape::new().with(|shape| {
        if plain {
            (shape.controller.oacs, shape.controller.sgls) = (0.into(), 0.into());
            shape.messages = false;
        }
        // It arbitrates by weight, if it is told to.
        shape.capabilities |= 1 << 17;
    });
    let spaces = vec![(1, nvme::model::Space::new(blocks, block.shift()))];
    Driven::new(
        read_only,
        data,
        |memory| nvme::model::Model::new(shape, spaces, memory),
        |device| {
            move |setup| {
                let registers = ModelRegisters(device.clone());
                Nvme::with(registers, setup, &[place], wishes).expect("a good controller")
            }
        },
    )
}

/// A controller whose drive has `blocks` blocks; `plain`: it knows neither queues nor FUA.
///
/// # Panics
/// Where the driver refuses the controller.
pub fn ahci(blocks: usize, block: BlockSize, read_only: bool, plain: bool, data: Window) -> DrivenAhci {
    let drive = ahci::model::Drive::new(blocks, block.bytes() as usize);
    let drive = if plain { drive.without_ncq().with(84, 0x40, 0) } else { drive };
    let shape = ahci::model::Shape::default();
    Driven::new(
        read_only,
        data,
        |memory| ahci::model::Model::new(shape, vec![(0, drive)], memory),
        |device| {
            move |setup| {
                Ahci::new(Abar(device.clone()), setup, &[ahci::Place::FIRST], Options::default())
                    .expect("a good controller")
            }
        },
    )
}
