// SPDX-License-Identifier: MIT
//! ARM's PrimeCell UART (PL011 technical reference manual, chapter 3), as on QEMU's aarch64 `virt` machine.
use crate::Uart;
use orion_region::Mmio;

/// UARTDR, the data register (3.3.1).
const DATA: usize = 0x00;
/// UARTFR, the flag register (3.3.3).
const FLAGS: usize = 0x18;
/// UARTFR: the receive FIFO is empty.
const RECEIVE_EMPTY: u32 = 1 << 4;
/// UARTFR: the transmit FIFO is full.
const TRANSMIT_FULL: u32 = 1 << 5;
/// UARTCR, the control register (3.3.8).
const CONTROL: usize = 0x30;
/// UARTCR: UART enabled, transmit enabled.
const ENABLED: u32 = 1 << 0 | 1 << 8;
/// UARTCR: receive enabled.
const RECEIVES: u32 = 1 << 9;
/// UARTIMSC, the interrupt mask (3.3.10): received, and received but less than the FIFO's level for some time.
const MASK: usize = 0x38;
const RECEIVED: u32 = 1 << 4 | 1 << 6;
/// UARTICR, the interrupt clear register (3.3.13).
const CLEAR: usize = 0x44;

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

    fn listen(&mut self) {
        let control = self.0.read32(CONTROL);
        self.0.write32(CONTROL, control | RECEIVES);
        self.0.write32(MASK, RECEIVED);
    }

    fn receive(&mut self) -> Option<u8> {
        // Before it is looked at: what comes later interrupts again.
        self.0.write32(CLEAR, RECEIVED);
        if self.0.read32(FLAGS) & RECEIVE_EMPTY != 0 {
            return None;
        }
        // Above the character stand errors of the line: a character that came wrong is passed on as it came.
        let [byte, ..] = self.0.read32(DATA).to_le_bytes();
        Some(byte)
    }
}
