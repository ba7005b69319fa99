// SPDX-License-Identifier: MIT
//! ARM's PrimeCell UART (PL011 technical reference manual, chapter 3), as on QEMU's aarch64 `virt` machine.
use crate::Uart;
use orion_region::Mmio;

/// UARTDR, the data register (3.3.1).
const DATA: usize = 0x00;
/// UARTFR, the flag register (3.3.3).
const FLAGS: usize = 0x18;
/// UARTFR: the transmit FIFO is full.
const TRANSMIT_FULL: u32 = 1 << 5;
/// UARTCR, the control register (3.3.8).
const CONTROL: usize = 0x30;
/// UARTCR: UART enabled, transmit enabled.
const ENABLED: u32 = 1 << 0 | 1 << 8;

/// The device. Speed and format are as the firmware or the machine left them.
#[derive(Debug)]
pub struct Pl011<M>(M);

impl<M: Mmio> Pl011<M> {
    /// Switches the transmitter on.
    pub fn new(registers: M) -> Self {
        let control = registers.read32(CONTROL);
        if control & ENABLED != ENABLED {
            registers.write32(CONTROL, control | ENABLED);
        }
        Self(registers)
    }
}

impl<M: Mmio> Uart for Pl011<M> {
    fn ready(&self) -> bool {
        self.0.read32(FLAGS) & TRANSMIT_FULL == 0
    }

    fn send(&mut self, byte: u8) {
        self.0.write32(DATA, byte.into());
    }
}
