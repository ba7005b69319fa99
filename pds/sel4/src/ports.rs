// SPDX-License-Identifier: MIT
//! The console's UART behind I/O ports (x86-64): each access is an invocation of the PD's capability to the ports.
use crate::world::Sel4World;
use orion_pd::{ChannelSet, InitError, Instant, ProtectionDomain, World};
use orion_serial::{Ns16550, Ports, Serial};

/// Microkit 2.3.0 puts the capability to I/O ports `id` at this slot plus `id` of a PD's capability space.
const SLOT: u64 = 394;

/// I/O ports of a PD.
#[derive(Debug)]
pub struct IoPorts {
    slot: u64,
    first: u16,
}

impl Ports for IoPorts {
    fn read(&self, register: u8) -> u8 {
        let port = self.first.wrapping_add(u16::from(register));
        let got = sel4::with_ipc_buffer_mut(|buffer| buffer.inner_mut().seL4_X86_IOPort_In8(self.slot, port));
        if got.error == 0 { got.result } else { u8::MAX }
    }

    fn write(&mut self, register: u8, value: u8) {
        let port = u64::from(self.first.wrapping_add(u16::from(register)));
        // The kernel refuses only ports that are not the PD's; nothing happens then.
        let _refused = sel4::with_ipc_buffer_mut(|buffer| {
            buffer.inner_mut().seL4_X86_IOPort_Out8(self.slot, port, u64::from(value))
        });
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
        Serial::new(world, Ns16550::new(IoPorts { slot, first })).map(Self)
    }

    fn notified(&mut self, from: ChannelSet, world: &mut Sel4World) -> Option<Instant> {
        self.0.serve(from, world)
    }
}
