// SPDX-License-Identifier: MIT
//! Bringing the device up from any state (virtio 1.2, section 3.1.1), in steps that a restart shares.
use super::properties::{self, Config, Properties};
use crate::queue::{Place, QUEUES_MAX, Ring, Terms, Wishes};
use crate::{Bus, Fault};
use orion_driver::Setup;
use virtio_drivers::device::common::Feature;
use virtio_drivers::transport::{DeviceStatus, DeviceType};

/// How often the status is read until the device must have reset. One read takes 0.1 to 10 microseconds.
const RESET_READS: u32 = 100_000;

/// A device that runs.
pub struct Started<Q> {
    /// What it is.
    pub properties: Properties,
    /// Its queue.
    pub queue: Q,
    /// What was agreed on for that.
    pub terms: Terms,
    /// The generation of its configuration.
    pub generation: u32,
}

/// Makes the device ready for the first time.
pub fn first<Q: Ring>(bus: &mut impl Bus, setup: Setup<'_>, wishes: Wishes) -> Result<Started<Q>, Fault> {
    let (terms, generation) = negotiate::<Q>(bus, setup.iommu, wishes)?;
    let properties = properties(bus, terms.features, setup.read_only)?;
    let mapped = setup.dma.base().addr().get().is_multiple_of(64);
    let ends = setup.dma_bus.checked_add(setup.dma.len() as u64).is_some();
    if !mapped || !setup.dma_bus.is_multiple_of(4096) || !ends {
        return Err(Fault::Dma);
    }
    let queue = Q::new(setup.dma, setup.dma_bus, terms)?;
    go(bus, &queue)?;
    Ok(Started { properties, queue, terms, generation })
}

/// Leaves a device alone that cannot be used: marked as failed (3.1.1), and without access to memory.
pub fn abandon(bus: &mut impl Bus) {
    bus.set_status(DeviceStatus::empty());
    bus.set_status(DeviceStatus::FAILED);
    bus.set_dma(false);
}

/// Resets the device, whatever it was doing, and agrees on features; what was agreed on, and the generation of the
/// configuration before any of it was read.
pub fn negotiate<Q: Ring>(bus: &mut impl Bus, iommu: bool, wishes: Wishes) -> Result<(Terms, u32), Fault> {
    if bus.device_type() != DeviceType::Block {
        return Err(Fault::WrongType);
    }
    reset(bus)?;
    let known = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
    bus.set_status(known);
    let offered = bus.read_device_features();
    let features = Q::agree(choose(offered, iommu, Q::features(wishes))?);
    bus.write_driver_features(features);
    bus.set_status(known | DeviceStatus::FEATURES_OK);
    if !bus.get_status().contains(DeviceStatus::FEATURES_OK) {
        return Err(Fault::Features);
    }
    let generation = bus.read_config_generation();
    let queues = Config { bus, features }.queues()?.min(wishes.queues).clamp(1, QUEUES_MAX);
    let most = (0..queues).map(|queue| bus.max_queue_size(queue)).min().unwrap_or(0);
    Ok((Terms { features, most, queues }, generation))
}

/// Resets the device and waits until it has.
fn reset(bus: &mut impl Bus) -> Result<(), Fault> {
    bus.set_status(DeviceStatus::empty());
    if (0..RESET_READS).any(|_| bus.get_status().is_empty()) {
        return Ok(());
    }
    Err(Fault::Reset)
}

fn choose(offered: u64, iommu: bool, ring: u64) -> Result<u64, Fault> {
    let features = offered & (properties::wanted(iommu) | ring);
    if features & Feature::VERSION_1.bits() == 0 {
        return Err(Fault::Legacy);
    }
    // A device that does not offer it uses physical addresses, whatever the IOMMU says.
    if iommu && features & Feature::ACCESS_PLATFORM.bits() == 0 {
        return Err(Fault::Bypass);
    }
    Ok(features)
}

/// Reads what the device is, with what policy takes from it.
pub fn properties(bus: &impl Bus, features: u64, read_only: bool) -> Result<Properties, Fault> {
    let mut found = Properties::read(bus, features)?;
    found.limits.read_only |= read_only;
    Ok(found)
}

/// Gives the device one queue.
pub fn give(bus: &mut impl Bus, nth: u16, Place { size, areas: [table, driver, device] }: Place) {
    bus.queue_set(nth, size.into(), table, driver, device);
}

/// Gives the device its queues and lets it run.
pub fn go(bus: &mut impl Bus, queue: &impl Ring) -> Result<(), Fault> {
    for nth in 0..queue.queues() {
        give(bus, nth, queue.place(nth));
    }
    bus.accepted()?;
    bus.set_dma(true);
    let ready = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK | DeviceStatus::DRIVER_OK;
    bus.set_status(ready);
    if bus.get_status().intersects(DeviceStatus::DEVICE_NEEDS_RESET | DeviceStatus::FAILED) {
        return Err(Fault::Queue);
    }
    Ok(())
}
