// SPDX-License-Identifier: MIT
//! Bringing the device up from any state (virtio 1.2, sections 3.1.1 and 5.6.5), in steps that a reset shares.
use super::memory::{Layout, QUEUES_MAX};
use super::ring::Ring;
use super::wire::{config, feature};
use super::{VirtioPort, queue, wire};
use crate::{Bus, Fault};
use orion_driver::Setup;
use orion_region::Window;
use virtio_drivers::device::common::Feature;
use virtio_drivers::transport::{DeviceStatus, DeviceType};

/// How often the status is read until the device must have reset. One read takes 0.1 to 10 microseconds.
const RESET_READS: u32 = 100_000;
/// Targets that the device's addresses can name.
const TARGETS_MAX: u16 = 256;
/// Bytes of a sector, in which the device counts.
const SECTOR: u32 = 512;

/// What the device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    features: u64,
    targets: u16,
    bytes_max: u32,
    most: [u32; 3],
    /// Two to the power of this are the queues for requests that are used.
    shift: u8,
}

/// The rings of the queues for requests.
fn rings(memory: &Window, layout: &Layout, event_idx: bool) -> [Ring; QUEUES_MAX] {
    let mut all = [const { Ring::none() }; QUEUES_MAX];
    for (ring, parts) in all.iter_mut().zip(layout.requests).take(1 << layout.shift) {
        *ring = Ring::new(memory, parts, event_idx);
    }
    all
}

/// Makes the device ready for the first time.
pub fn first<B: Bus>(mut bus: B, setup: Setup<'_>, queues: u16) -> Result<VirtioPort<B>, Fault> {
    let found = find(&mut bus, setup.iommu, queues).inspect_err(|_| abandon(&mut bus))?;
    let sound = setup.dma.base().addr().get().is_multiple_of(64)
        && setup.dma_bus.is_multiple_of(4096)
        && setup.dma_bus.checked_add(setup.dma.len() as u64).is_some();
    let fits = |bytes| Layout::fit(bytes, found.most, has(found.features, Feature::RING_INDIRECT_DESC), found.shift);
    let layout = fits(usize::MAX).ok_or(Fault::Queue).and_then(|_| fits(setup.dma.len()).ok_or(Fault::Dma));
    let layout = match layout {
        Ok(layout) if sound => layout,
        other => {
            abandon(&mut bus);
            return Err(other.err().unwrap_or(Fault::Dma));
        }
    };
    let event_idx = has(found.features, Feature::RING_EVENT_IDX);
    let ring = |parts| Ring::new(&setup.dma, parts, event_idx);
    let (control, events) = (ring(layout.control), ring(layout.events));
    let requests = rings(&setup.dma, &layout, event_idx);
    let mut port = VirtioPort {
        requests,
        turn: 0,
        layout,
        bus_base: setup.dma_bus,
        held: [None; orion_scsi::MOST],
        control,
        events,
        fresh_events: false,
        managing: false,
        memory: setup.dma,
        bus,
        targets: found.targets,
        bytes_max: found.bytes_max,
        found,
        iommu: setup.iommu,
    };
    go(&mut port).inspect_err(|_| abandon(&mut port.bus))?;
    Ok(port)
}

/// Resets the device and makes it ready again, if it came back as the same.
pub fn again<B: Bus>(port: &mut VirtioPort<B>) -> Result<(), Fault> {
    let found = find(&mut port.bus, port.iommu, port.layout.queues())?;
    if found != port.found {
        return Err(Fault::Changed);
    }
    let event_idx = has(found.features, Feature::RING_EVENT_IDX);
    port.requests = rings(&port.memory, &port.layout, event_idx);
    port.control = Ring::new(&port.memory, port.layout.control, event_idx);
    port.events = Ring::new(&port.memory, port.layout.events, event_idx);
    port.held = [None; orion_scsi::MOST];
    (port.managing, port.fresh_events, port.turn) = (false, false, 0);
    go(port)
}

/// Leaves a device alone that cannot be used: marked as failed (3.1.1), and without access to memory.
pub fn abandon(bus: &mut impl Bus) {
    bus.set_status(DeviceStatus::empty());
    bus.set_status(DeviceStatus::FAILED);
    bus.set_dma(false);
}

fn has(features: u64, feature: Feature) -> bool {
    features & feature.bits() != 0
}

fn wanted(iommu: bool) -> u64 {
    let common = Feature::VERSION_1 | Feature::RING_INDIRECT_DESC | Feature::RING_EVENT_IDX;
    let platform = if iommu { Feature::ACCESS_PLATFORM } else { Feature::empty() };
    (common | platform).bits() | feature::HOTPLUG | feature::CHANGE
}

/// Resets the device, agrees on features, and reads what it is.
fn find(bus: &mut impl Bus, iommu: bool, queues: u16) -> Result<Found, Fault> {
    if bus.device_type() != DeviceType::ScsiHost {
        return Err(Fault::WrongType);
    }
    bus.set_status(DeviceStatus::empty());
    if !(0..RESET_READS).any(|_| bus.get_status().is_empty()) {
        return Err(Fault::Reset);
    }
    let known = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER;
    bus.set_status(known);
    let features = bus.read_device_features() & wanted(iommu);
    if !has(features, Feature::VERSION_1) {
        return Err(Fault::Legacy);
    }
    // A device that does not offer it uses physical addresses, whatever the IOMMU says.
    if iommu && !has(features, Feature::ACCESS_PLATFORM) {
        return Err(Fault::Bypass);
    }
    bus.write_driver_features(features);
    bus.set_status(known | DeviceStatus::FEATURES_OK);
    if !bus.get_status().contains(DeviceStatus::FEATURES_OK) {
        return Err(Fault::Features);
    }
    properties(bus, features, queues)
}

fn properties(bus: &mut impl Bus, features: u64, queues: u16) -> Result<Found, Fault> {
    let word = |bus: &_, at| Bus32(bus).read(at);
    // 5.6.4: segments and sizes of which one request could not be made.
    let seg_max = word(bus, config::SEG_MAX)?;
    let sizes = [word(bus, config::SENSE_SIZE)?, word(bus, config::CDB_SIZE)?, word(bus, config::EVENT_INFO_SIZE)?];
    if seg_max == 0 || sizes != [wire::SENSE_SIZE, wire::CDB_SIZE, wire::EVENT_LEN] {
        return Err(Fault::Config);
    }
    let target: Result<u16, _> = bus.read_config_space(config::MAX_TARGET);
    let target = target.map(u16::from_le).map_err(|_| Fault::Config)?;
    let sectors = word(bus, config::MAX_SECTORS)?;
    let bytes_max = if sectors == 0 { u32::MAX } else { sectors.saturating_mul(SECTOR) };
    let offered = u16::try_from(word(bus, config::NUM_QUEUES)?).unwrap_or(u16::MAX);
    let queues = queues.min(offered).clamp(1, 8);
    let shift = u8::try_from(queues.ilog2()).unwrap_or(0);
    let [control, event] = [queue::CONTROL, queue::EVENT].map(|number| bus.max_queue_size(number));
    // All queues for requests are of one size.
    let requests = (0..1u16 << shift).map(|nth| bus.max_queue_size(queue::REQUEST + nth)).min().unwrap_or(0);
    let most = [control, event, requests];
    Ok(Found { features, targets: target.saturating_add(1).min(TARGETS_MAX), bytes_max, most, shift })
}

/// Words of the configuration space.
struct Bus32<'a, B>(&'a B);

impl<B: Bus> Bus32<'_, B> {
    fn read(&self, at: usize) -> Result<u32, Fault> {
        self.0.read_config_space::<u32>(at).map(u32::from_le).map_err(|_| Fault::Config)
    }
}

/// Gives the device its queues and buffers for events, and lets it run.
fn go<B: Bus>(port: &mut VirtioPort<B>) -> Result<(), Fault> {
    port.prepare();
    let queues = [(queue::CONTROL, &port.control), (queue::EVENT, &port.events)].into_iter();
    for (number, ring) in queues.chain((queue::REQUEST..).zip(&port.requests).take(1 << port.layout.shift)) {
        let [table, driver, device] = ring.areas().map(|at| port.bus_base.wrapping_add(at as u64));
        port.bus.queue_set(number, ring.size().into(), table, driver, device);
    }
    port.bus.accepted()?;
    port.bus.set_dma(true);
    let ready = DeviceStatus::ACKNOWLEDGE | DeviceStatus::DRIVER | DeviceStatus::FEATURES_OK | DeviceStatus::DRIVER_OK;
    port.bus.set_status(ready);
    if port.bus.get_status().intersects(DeviceStatus::DEVICE_NEEDS_RESET | DeviceStatus::FAILED) {
        return Err(Fault::Queue);
    }
    // Shown together with the first request, and after it.
    (0..port.layout.events.size).for_each(|nth| port.await_event(nth));
    port.fresh_events = true;
    Ok(())
}
