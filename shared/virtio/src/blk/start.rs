// SPDX-License-Identifier: MIT
//! Bringing the device up from any state (virtio 1.2, section 3.1.1), in steps that a restart shares.
use super::QUEUE;
use super::properties::{self, Properties};
use crate::queue::{Layout, Queue};
use crate::{Bus, Fault};
use orion_block::Limits;
use orion_driver::Setup;
use orion_region::Window;
use virtio_drivers::device::common::Feature;
use virtio_drivers::transport::{DeviceStatus, DeviceType};

/// How often the status is read until the device must have reset. One read takes 0.1 to 10 microseconds.
const RESET_READS: u32 = 100_000;

/// Makes the device ready for the first time.
pub fn first(bus: &mut impl Bus, setup: Setup<'_>) -> Result<(Properties, Queue), Fault> {
    let features = negotiate(bus, setup.iommu)?;
    let properties = properties(bus, features, setup.read_only)?;
    let layout = layout(bus, &setup.dma, setup.dma_bus, features)?;
    let queue = Queue::new(setup.dma, setup.dma_bus, layout, event_idx(features));
    go(bus, &queue)?;
    Ok((properties, queue))
}

/// Leaves a device alone that cannot be used: marked as failed (3.1.1), and without access to memory.
pub fn abandon(bus: &mut impl Bus) {
    bus.set_status(DeviceStatus::empty());
    bus.set_status(DeviceStatus::FAILED);
    bus.set_dma(false);
}

/// Resets the device, whatever it was doing, and agrees on features.
pub fn negotiate(bus: &mut impl Bus, iommu: bool) -> Result<u64, Fault> {
    if bus.device_type() != DeviceType::Block {
        return Err(Fault::WrongType);
    }
    reset(bus)?;
    let known = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
    bus.set_status(known);
    let offered = bus.read_device_features();
    let features = choose(offered, iommu)?;
    bus.write_driver_features(features);
    bus.set_status(known | DeviceStatus::FEATURES_OK);
    if bus.get_status().contains(DeviceStatus::FEATURES_OK) { Ok(features) } else { Err(Fault::Features) }
}

/// Resets the device and waits until it has.
fn reset(bus: &mut impl Bus) -> Result<(), Fault> {
    bus.set_status(DeviceStatus::empty());
    if (0..RESET_READS).any(|_| bus.get_status().is_empty()) {
        return Ok(());
    }
    Err(Fault::Reset)
}

fn choose(offered: u64, iommu: bool) -> Result<u64, Fault> {
    let features = offered & properties::wanted(iommu);
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
    let found = Properties::read(bus, features)?;
    let limits = Limits { read_only: found.limits.read_only || read_only, ..found.limits };
    Ok(Properties { limits, ..found })
}

/// Whether indirect descriptors were agreed on.
pub fn indirect(features: u64) -> bool {
    features & Feature::RING_INDIRECT_DESC.bits() != 0
}

/// Whether event indices were agreed on.
pub fn event_idx(features: u64) -> bool {
    features & Feature::RING_EVENT_IDX.bits() != 0
}

/// Most entries of the device's queue.
pub fn most_entries(bus: &mut impl Bus) -> u32 {
    bus.max_queue_size(QUEUE)
}

/// The largest queue for this device and this DMA region.
fn layout(bus: &mut impl Bus, dma: &Window, dma_bus: u64, features: u64) -> Result<Layout, Fault> {
    let most = most_entries(bus);
    let indirect = indirect(features);
    let mapped = dma.base().addr().get().is_multiple_of(64);
    let ends = dma_bus.checked_add(dma.len() as u64).is_some();
    if !mapped || !dma_bus.is_multiple_of(4096) || !ends {
        return Err(Fault::Dma);
    }
    Layout::fit(usize::MAX, most, indirect).ok_or(Fault::Queue)?;
    Layout::fit(dma.len(), most, indirect).ok_or(Fault::Dma)
}

/// Gives the device its queue and lets it run.
pub fn go(bus: &mut impl Bus, queue: &Queue) -> Result<(), Fault> {
    let [table, driver, device] = queue.areas();
    bus.queue_set(QUEUE, queue.layout().size().into(), table, driver, device);
    bus.accepted()?;
    bus.set_dma(true);
    let ready = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK | DeviceStatus::DRIVER_OK;
    bus.set_status(ready);
    if bus.get_status().intersects(DeviceStatus::DEVICE_NEEDS_RESET | DeviceStatus::FAILED) {
        return Err(Fault::Queue);
    }
    Ok(())
}
