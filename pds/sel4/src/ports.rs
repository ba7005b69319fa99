// SPDX-License-Identifier: MIT
//! I/O ports (x86-64): each access is an invocation of the PD's capability to them. The console's UART is behind some.
use crate::world::Sel4World;
use orion_pd::{ChannelSet, Config, InitError, Instant, ProtectionDomain, World};
use orion_region::Mmio;
use orion_serial::{Ns16550, Ports, Serial};

/// Registers of a 16550.
const UART_PORTS: u16 = 8;
/// Microkit 2.3.0 puts the capability to I/O ports `id` at this slot plus `id` of a PD's capability space.
const SLOT: u64 = 394;

/// I/O ports of a PD.
#[derive(Debug)]
pub struct IoPorts {
    slot: u64,
    first: u16,
    count: u16,
}

impl IoPorts {
    /// The ports of a PD's device from `first` on, which are the only ones that it has.
    pub(crate) fn of_device(config: &Config<'_>, first: u16) -> Option<Self> {
        let device = config.devices.iter().find(|device| first != 0 && device.bar_vaddr.get() == u64::from(first))?;
        Some(Self { slot: SLOT, first, count: u16::try_from(device.bar_size.get()).ok()? })
    }

    /// The port of a register of `bytes` bytes, if it is one of these.
    fn port(&self, offset: usize, bytes: u16) -> Option<u16> {
        let offset = u16::try_from(offset).ok().filter(|offset| offset.is_multiple_of(bytes))?;
        let within = offset.checked_add(bytes).is_some_and(|end| end <= self.count);
        within.then(|| self.first.checked_add(offset)).flatten()
    }
}

/// Ports have at most 32 bits: 64 are two accesses, of which nothing that is reached so depends on being one.
impl Mmio for IoPorts {
    fn len(&self) -> usize {
        self.count.into()
    }
    fn read8(&self, offset: usize) -> u8 {
        let Some(port) = self.port(offset, 1) else { return u8::MAX };
        let got = sel4::with_ipc_buffer_mut(|buffer| buffer.inner_mut().seL4_X86_IOPort_In8(self.slot, port));
        if got.error == 0 { got.result } else { u8::MAX }
    }
    fn read16(&self, offset: usize) -> u16 {
        let Some(port) = self.port(offset, 2) else { return u16::MAX };
        let got = sel4::with_ipc_buffer_mut(|buffer| buffer.inner_mut().seL4_X86_IOPort_In16(self.slot, port));
        if got.error == 0 { got.result } else { u16::MAX }
    }
    fn read32(&self, offset: usize) -> u32 {
        let Some(port) = self.port(offset, 4) else { return u32::MAX };
        let got = sel4::with_ipc_buffer_mut(|buffer| buffer.inner_mut().seL4_X86_IOPort_In32(self.slot, port));
        if got.error == 0 { got.result } else { u32::MAX }
    }
    fn read64(&self, offset: usize) -> u64 {
        u64::from(self.read32(offset)) | u64::from(self.read32(offset.saturating_add(4))) << 32
    }
    fn write8(&self, offset: usize, value: u8) {
        let Some(port) = self.port(offset, 1) else { return };
        // The kernel refuses only ports that are not the PD's; nothing happens then.
        let _refused = sel4::with_ipc_buffer_mut(|buffer| {
            buffer.inner_mut().seL4_X86_IOPort_Out8(self.slot, port.into(), value.into())
        });
    }
    fn write16(&self, offset: usize, value: u16) {
        let Some(port) = self.port(offset, 2) else { return };
        let _refused = sel4::with_ipc_buffer_mut(|buffer| {
            buffer.inner_mut().seL4_X86_IOPort_Out16(self.slot, port.into(), value.into())
        });
    }
    fn write32(&self, offset: usize, value: u32) {
        let Some(port) = self.port(offset, 4) else { return };
        let _refused = sel4::with_ipc_buffer_mut(|buffer| {
            buffer.inner_mut().seL4_X86_IOPort_Out32(self.slot, port.into(), value.into())
        });
    }
    fn write64(&self, offset: usize, value: u64) {
        let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
        self.write32(offset, u32::from_le_bytes([a, b, c, d]));
        self.write32(offset.saturating_add(4), u32::from_le_bytes([e, f, g, h]));
    }
}

impl Ports for IoPorts {
    fn read(&self, register: u8) -> u8 {
        self.read8(register.into())
    }

    fn write(&mut self, register: u8, value: u8) {
        self.write8(register.into(), value);
    }
}

/// The console on a UART behind I/O ports.
#[derive(Debug)]
pub struct PortSerial(Serial<Ns16550<IoPorts>>);

impl ProtectionDomain<Sel4World> for PortSerial {
    fn init(world: &mut Sel4World) -> Result<Self, InitError> {
        let config = world.config();
        let none = InitError("the console has no I/O ports; make the configuration again with orion");
        let (id, first) = config.setting("ioport_id").zip(config.setting("port")).ok_or(none)?;
        let first = u16::try_from(first).map_err(|_| none)?;
        let slot = SLOT.checked_add(id).ok_or(none)?;
        Serial::new(world, Ns16550::new(IoPorts { slot, first, count: UART_PORTS })).map(Self)
    }

    fn notified(&mut self, from: ChannelSet, world: &mut Sel4World) -> Option<Instant> {
        self.0.serve(from, world)
    }
}
