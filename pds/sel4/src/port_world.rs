// SPDX-License-Identifier: MIT
//! The world of a driver whose device's registers are I/O ports (x86-64). It is the world of every PD, but for the registers:
//! all other drivers know at build that theirs are mapped, and this one asks each time.
use crate::ports::IoPorts;
use crate::world::Sel4World;
use core::fmt;
use orion_pd::{Channel, ChannelSet, Config, Fault, InitError, Instant, Message, ProtectionDomain, Verdict, World};
use orion_region::{Mmio, Volatile, Window};

/// The world of a PD with I/O ports.
#[repr(transparent)]
pub struct PortWorld(Sel4World);

impl PortWorld {
    #[expect(unsafe_code, reason = "the same world by another name")]
    fn of(world: &mut Sel4World) -> &mut Self {
        // SAFETY: `repr(transparent)` makes the two types' memory the same, and the borrow is the argument's.
        unsafe { &mut *core::ptr::from_mut(world).cast::<Self>() }
    }
}

/// A device's registers: mapped, or ports.
#[derive(Debug)]
pub enum PortsOrMapped {
    /// In memory.
    Mapped(Volatile),
    /// I/O ports.
    Ports(IoPorts),
}

macro_rules! accesses {
    ($($read:ident $write:ident $type:ty),*) => {
        impl Mmio for PortsOrMapped {
            fn len(&self) -> usize {
                match self {
                    Self::Mapped(registers) => registers.len(),
                    Self::Ports(ports) => ports.len(),
                }
            }
            $(
                fn $read(&self, offset: usize) -> $type {
                    match self {
                        Self::Mapped(registers) => registers.$read(offset),
                        Self::Ports(ports) => ports.$read(offset),
                    }
                }
                fn $write(&self, offset: usize, value: $type) {
                    match self {
                        Self::Mapped(registers) => registers.$write(offset, value),
                        Self::Ports(ports) => ports.$write(offset, value),
                    }
                }
            )*
        }
    };
}

accesses!(read8 write8 u8, read16 write16 u16, read32 write32 u32, read64 write64 u64);

impl World for PortWorld {
    type Mmio = PortsOrMapped;

    fn config(&self) -> Config<'static> {
        self.0.config()
    }

    fn window(&mut self, vaddr: u64) -> Option<Window> {
        self.0.window(vaddr)
    }

    fn mmio(&mut self, vaddr: u64) -> Option<PortsOrMapped> {
        // I/O ports have a number and no address; nothing is mapped that low.
        match u16::try_from(vaddr) {
            Ok(first) => IoPorts::of_device(&self.0.config(), first).map(PortsOrMapped::Ports),
            Err(_) => self.0.mmio(vaddr).map(PortsOrMapped::Mapped),
        }
    }

    fn notify(&mut self, channel: Channel) {
        self.0.notify(channel);
    }

    fn irq_ack(&mut self, channel: Channel) {
        self.0.irq_ack(channel);
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn print(&mut self, line: fmt::Arguments<'_>) {
        self.0.print(line);
    }

    fn finish(&mut self, verdict: Verdict) {
        self.0.finish(verdict);
    }

    fn take_fault(&mut self) -> Option<Fault> {
        self.0.take_fault()
    }
}

/// A PD of that world, in that of all PDs.
#[derive(Debug)]
pub struct OnPorts<P>(P);

impl<P: ProtectionDomain<PortWorld>> ProtectionDomain<Sel4World> for OnPorts<P> {
    fn init(world: &mut Sel4World) -> Result<Self, InitError> {
        P::init(PortWorld::of(world)).map(Self)
    }

    fn notified(&mut self, from: ChannelSet, world: &mut Sel4World) -> Option<Instant> {
        self.0.notified(from, PortWorld::of(world))
    }

    fn protected(&mut self, from: Channel, message: Message, world: &mut Sel4World) -> Message {
        self.0.protected(from, message, PortWorld::of(world))
    }
}
