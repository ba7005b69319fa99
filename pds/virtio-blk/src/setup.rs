// SPDX-License-Identifier: MIT
//! From the PD's configuration to a device that serves.
use core::fmt;
use orion_block::Limits;
use orion_pd::config::{self, Config, Device};
use orion_pd::{Channel, InitError, World};
use orion_virtio::blk::REGIONS_MAX;
use orion_virtio::queue::Layout;
use orion_virtio::{AnyBus, Fault, MmioTransport, Msi, PciTransport, Setup, Span, VirtioBlk};

/// Milliseconds that a request may take where the configuration says nothing.
const TIMEOUT_MS: u32 = 30_000;
const BEHIND_IOMMU: u32 = 1;
const READ_ONLY: u32 = 2;

const UNMAPPED: InitError = InitError(
    "the device's registers or its DMA memory are not mapped: build the image and its configuration together",
);

/// The one device that the configuration gives.
pub fn device(config: &Config<'static>) -> Result<&'static Device, InitError> {
    match config.devices {
        [device] => Ok(device),
        _ => Err(InitError("a driver needs exactly one device in its configuration: use `orion sdf` to make it")),
    }
}

/// The channel of the device's interrupt.
pub fn irq(device: &Device) -> Result<Channel, InitError> {
    let number = u8::try_from(device.irq.get()).ok().filter(|n| *n < 62);
    number.map(Channel).ok_or(InitError("the device has no interrupt channel: build the image again"))
}

/// The device, ready.
pub fn disk<W: World, T: Copy + Default>(
    device: &Device,
    world: &mut W,
) -> Result<VirtioBlk<AnyBus<W::Mmio>, T>, InitError> {
    let bus = bus(device, world)?;
    let regions = regions(&world.config())?;
    let flags = device.flags.get();
    let timeout_ms = match device.timeout_ms.get() {
        0 => TIMEOUT_MS,
        ms => ms,
    };
    let setup = Setup {
        dma: world.window(device.dma_vaddr.get()).ok_or(UNMAPPED)?,
        dma_bus: device.dma_bus.get(),
        regions: &regions,
        iommu: flags & BEHIND_IOMMU != 0,
        read_only: flags & READ_ONLY != 0,
        timeout_ns: u64::from(timeout_ms) * 1_000_000,
    };
    VirtioBlk::new(bus, setup).map_err(explain)
}

fn bus<W: World>(device: &Device, world: &mut W) -> Result<AnyBus<W::Mmio>, InitError> {
    let registers = world.mmio(device.config_vaddr.get()).ok_or(UNMAPPED)?;
    match device.transport.get() {
        0 => {
            let offset = usize::try_from(device.config_offset.get()).map_err(|_| explain(Fault::Registers))?;
            MmioTransport::new(registers, offset).map(AnyBus::Mmio).map_err(explain)
        }
        1 => {
            let bars = world.mmio(device.bar_vaddr.get()).ok_or(UNMAPPED)?;
            let address = device.msi_address.get();
            let msi = (address != 0).then(|| Msi { address, data: device.msi_data.get() });
            PciTransport::new(registers, bars, device.bar_bus.get(), msi).map(AnyBus::Pci).map_err(explain)
        }
        _ => {
            Err(InitError("the configuration names a transport that this driver does not know: build the image again"))
        }
    }
}

fn explain(fault: Fault) -> InitError {
    InitError(fault.text())
}

fn regions(config: &Config<'_>) -> Result<[Span; REGIONS_MAX], InitError> {
    let mut spans = [Span::default(); REGIONS_MAX];
    if config.regions.len() > spans.len() {
        return Err(InitError("more than 64 data regions reach one disk: put fewer clients on it"));
    }
    spans.iter_mut().zip(config.regions).for_each(|(to, from)| *to = span(from));
    Ok(spans)
}

/// A region without a bus address is one that the device may not reach.
fn span(region: &config::Region) -> Span {
    match region.bus.get() {
        0 => Span::default(),
        bus => Span { bus, size: region.size.get() },
    }
}

/// A device in one line.
pub struct Describe<'a>(pub &'a Limits, pub Layout);

impl fmt::Display for Describe<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(limits, layout) = self;
        let word = |yes, word| if yes { word } else { "" };
        write!(
            f,
            "virtio-blk, {} blocks of {} bytes, {} requests in flight{}{}{}{}",
            limits.capacity,
            limits.block.bytes(),
            layout.slots(),
            word(layout.indirect(), ", indirect descriptors"),
            word(limits.volatile_cache, ", volatile cache"),
            word(limits.discard_granularity != 0, ", discard"),
            word(limits.read_only, ", read-only"),
        )
    }
}
