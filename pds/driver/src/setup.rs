// SPDX-License-Identifier: MIT
//! From the PD's configuration to what an engine works with.
use heapless::Vec;
use orion_driver::{REGIONS_MAX, Setup, Span};
use orion_pd::config::{self, Config, Device};
use orion_pd::{Channel, InitError, World};

/// Milliseconds that a request may take where the configuration says nothing.
const TIMEOUT_MS: u32 = 30_000;
const BEHIND_IOMMU: u32 = 1;
const READ_ONLY: u32 = 2;

/// The regions of a device are missing.
pub const UNMAPPED: InitError = InitError(
    "the device's registers or its DMA memory are not mapped: build the image and its configuration together",
);

/// There is no room for so many disks.
pub const CROWDED: InitError = InitError("more disks behind one controller than its driver knows: give some another");

/// The disks that the configuration gives, behind one controller.
pub fn devices(config: &Config<'static>) -> Result<(&'static Device, &'static [Device]), InitError> {
    let first = config.devices.first();
    let first = first.ok_or(InitError("a driver needs a device in its configuration: use `orion sdf` to make it"))?;
    Ok((first, config.devices))
}

/// What an engine is told of each of the disks behind its controller, in their order: `tell` of its record, and whether nothing may
/// be written to it. Each is read-only or not by its own flag: the one of [`Setup`] is the first's.
///
/// # Errors
/// What `tell` says; [`InitError`] where there are more than `N`.
pub fn each<T, const N: usize>(
    devices: &[Device],
    tell: impl Fn(&Device, bool) -> Result<T, InitError>,
) -> Result<Vec<T, N>, InitError> {
    let mut all = Vec::new();
    for device in devices {
        let told = tell(device, device.flags.get() & READ_ONLY != 0)?;
        all.push(told).map_err(|_| CROWDED)?;
    }
    Ok(all)
}

/// The channel of the device's interrupt.
pub fn irq(device: &Device) -> Result<Channel, InitError> {
    let number = u8::try_from(device.irq.get()).ok().filter(|n| *n < 62);
    number.map(Channel).ok_or(InitError("the device has no interrupt channel: build the image again"))
}

/// What an engine works with; `regions` is room for its data regions.
pub fn setup<'a, W: World>(
    device: &Device,
    regions: &'a mut [Span; REGIONS_MAX],
    world: &mut W,
) -> Result<Setup<'a>, InitError> {
    let config = world.config();
    if config.regions.len() > regions.len() {
        return Err(InitError("more than 64 data regions reach one disk: put fewer clients on it"));
    }
    regions.iter_mut().zip(config.regions).for_each(|(to, from)| *to = span(from));
    let flags = device.flags.get();
    let timeout_ms = match device.timeout_ms.get() {
        0 => TIMEOUT_MS,
        ms => ms,
    };
    Ok(Setup {
        dma: world.window(device.dma_vaddr.get()).ok_or(UNMAPPED)?,
        dma_bus: device.dma_bus.get(),
        regions,
        iommu: flags & BEHIND_IOMMU != 0,
        read_only: flags & READ_ONLY != 0,
        timeout_ns: u64::from(timeout_ms) * 1_000_000,
    })
}

/// A region without a bus address is one that the device may not reach.
fn span(region: &config::Region) -> Span {
    match region.bus.get() {
        0 => Span::default(),
        bus => Span { bus, size: region.size.get() },
    }
}
