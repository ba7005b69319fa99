// SPDX-License-Identifier: MIT
//! The PC's UART (National Semiconductor PC16550D, section 8), reached through eight I/O ports.
use crate::Uart;

/// THR, the transmitter holding register (8.0).
const TRANSMIT: u8 = 0;
/// RBR, the receiver buffer register (8.0): where the transmitter's stands for writing.
const RECEIVE: u8 = 0;
/// IER, the interrupt enable register (8.6).
const INTERRUPTS: u8 = 1;
/// IER: a byte was received.
const RECEIVED: u8 = 1 << 0;
/// MCR, the modem control register (8.7): DTR, RTS, and OUT2, which lets a PC's interrupt through.
const MODEM_CONTROL: u8 = 4;
const PRESENT: u8 = 1 << 0 | 1 << 1 | 1 << 3;
/// LCR, the line control register (8.1).
const LINE_CONTROL: u8 = 3;
/// LCR: eight data bits, no parity, one stop bit, divisor latch closed.
const EIGHT_N_ONE: u8 = 0b11;
/// LSR, the line status register (8.3).
const LINE_STATUS: u8 = 5;
/// LSR: a byte was received.
const DATA_READY: u8 = 1 << 0;
/// LSR: the transmitter takes a byte.
const TRANSMIT_EMPTY: u8 = 1 << 5;

/// Access to the UART's eight registers. The world implements it with port I/O.
pub trait Ports {
    /// Reads register 0 to 7.
    fn read(&self, register: u8) -> u8;
    /// Writes register 0 to 7.
    fn write(&mut self, register: u8, value: u8);
}

/// The device. Its speed is as the firmware left it.
#[derive(Debug)]
pub struct Ns16550<P>(P);

impl<P: Ports> Ns16550<P> {
    /// Eight data bits, no parity, no interrupts.
    pub fn new(mut ports: P) -> Self {
        ports.write(LINE_CONTROL, EIGHT_N_ONE);
        ports.write(INTERRUPTS, 0);
        Self(ports)
    }
}

impl<P: Ports> Uart for Ns16550<P> {
    fn ready(&self) -> bool {
        self.0.read(LINE_STATUS) & TRANSMIT_EMPTY != 0
    }

    fn send(&mut self, byte: u8) {
        self.0.write(TRANSMIT, byte);
    }

    fn listen(&mut self) {
        self.0.write(MODEM_CONTROL, PRESENT);
        self.0.write(INTERRUPTS, RECEIVED);
    }

    fn receive(&mut self) -> Option<u8> {
        // A machine without the device reads as all ones, for ever.
        let status = self.0.read(LINE_STATUS);
        (status & DATA_READY != 0 && status != u8::MAX).then(|| self.0.read(RECEIVE))
    }
}
