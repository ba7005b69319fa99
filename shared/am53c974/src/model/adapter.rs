// SPDX-License-Identifier: MIT
//! The adapter's registers and what they hold.
use super::Model;
use std::collections::VecDeque;

/// Causes of an interrupt.
pub mod cause {
    pub const SELECTED: u8 = 1;
    pub const RESELECTED: u8 = 4;
    pub const SUCCESS: u8 = 8;
    pub const SERVICE: u8 = 0x10;
    pub const DISCONNECTED: u8 = 0x20;
    pub const ILLEGAL: u8 = 0x40;
    pub const RESET: u8 = 0x80;
}

/// What was asked for and has not begun: the DMA engine is not started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    Nothing,
    /// A selection, by this command.
    Select(u8),
    Data,
}

/// The adapter without its bus.
#[derive(Debug)]
pub struct Adapter {
    pub master: bool,
    pub fifo: VecDeque<u8>,
    pub start: [u8; 3],
    pub count: u32,
    pub destination: u8,
    pub period: u8,
    pub offset: u8,
    pub control: [u8; 4],
    /// The phase, and errors.
    pub phase: u8,
    pub errors: u8,
    pub step: u8,
    pub cause: u8,
    pub raised: bool,
    pub atn: bool,
    pub ack: bool,
    pub reselectable: bool,
    pub resetting: bool,
    pub waiting: Waiting,
    pub dma_command: u32,
    pub dma_count: u32,
    pub dma_address: u32,
    pub dma_left: u32,
    pub dma_at: u32,
    pub dma_status: u32,
    /// What was received and is not in memory.
    pub dma_fifo: VecDeque<u8>,
}

impl Default for Adapter {
    fn default() -> Self {
        Self {
            master: false,
            fifo: VecDeque::new(),
            start: [0; 3],
            count: 0,
            destination: 0,
            period: 5,
            offset: 0,
            control: [7, 0, 0, 0],
            phase: 0,
            errors: 0,
            step: 0,
            cause: 0,
            raised: false,
            atn: false,
            ack: false,
            reselectable: false,
            resetting: false,
            waiting: Waiting::Nothing,
            dma_command: 0,
            dma_count: 0,
            dma_address: 0,
            dma_left: 0,
            dma_at: 0,
            dma_status: 0,
            dma_fifo: VecDeque::new(),
        }
    }
}

impl Adapter {
    pub fn interrupts(&self) -> bool {
        self.raised
    }

    /// Interrupts for a further cause.
    pub fn interrupt(&mut self, cause: u8) {
        self.cause |= cause;
        self.raised = true;
    }

    /// Status, with the errors of the last transfer.
    pub fn status(&self) -> u8 {
        let zero = if self.count == 0 { 0x10 } else { 0 };
        self.phase | zero | self.errors | if self.raised { 0x80 } else { 0 }
    }

    /// The reset of the SCSI block.
    pub fn reset(&mut self) {
        let dma = (self.dma_command, self.dma_status, self.master);
        *self = Self { resetting: true, ..Self::default() };
        (self.dma_command, self.dma_status, self.master) = dma;
    }
}

impl Model {
    pub(super) fn read_register(&mut self, at: usize, width: usize) -> u32 {
        if self.gone {
            return u32::MAX;
        }
        let adapter = &mut self.adapter;
        assert!(at.is_multiple_of(4) && at < 0x80, "a register at {at:#x}");
        assert_eq!(width, if at < 0x40 { 1 } else { 4 }, "the width of register {at:#x}");
        match at {
            0x00 => adapter.count & 0xff,
            0x04 => adapter.count >> 8 & 0xff,
            0x38 => adapter.count >> 16 & 0xff,
            0x08 => adapter.fifo.pop_front().expect("a byte in the FIFO").into(),
            0x10 => adapter.status().into(),
            0x14 => {
                let cause = core::mem::take(&mut adapter.cause);
                (adapter.raised, adapter.errors, adapter.step) = (false, 0, 0);
                cause.into()
            }
            0x18 => adapter.step.into(),
            0x1c => adapter.fifo.len() as u32 | u32::from(adapter.step) << 5,
            0x4c => adapter.dma_left,
            0x50 => adapter.dma_at,
            0x54 => {
                let status = adapter.dma_status | if adapter.raised { 0x10 } else { 0 };
                // ERROR, ABORT and DONE are cleared by the read.
                adapter.dma_status &= !0xe;
                status
            }
            _ => panic!("a read of register {at:#x}"),
        }
    }

    pub(super) fn write_register(&mut self, at: usize, value: u32, width: usize) {
        if self.gone {
            return;
        }
        assert_eq!(width, if at < 0x40 { 1 } else { 4 }, "the width of register {at:#x}");
        let byte = value as u8;
        let adapter = &mut self.adapter;
        match at {
            0x00 => adapter.start[0] = byte,
            0x04 => adapter.start[1] = byte,
            0x38 => {
                assert!(adapter.control[1] & 0x40 != 0, "24 bits of count without the feature");
                adapter.start[2] = byte;
            }
            0x08 => {
                adapter.fifo.push_back(byte);
                assert!(adapter.fifo.len() <= 16, "the FIFO holds 16 bytes");
            }
            0x0c => self.command(byte),
            0x10 => adapter.destination = byte & 7,
            0x14 => assert_eq!(byte, 153, "a selection timeout of 250 ms at 40 MHz"),
            0x18 => adapter.period = byte & 0x1f,
            0x1c => adapter.offset = byte & 0xf,
            0x20 => adapter.control[0] = byte,
            0x24 => assert_eq!(byte, 0, "a clock of 40 MHz"),
            0x2c => adapter.control[1] = byte,
            0x30 => adapter.control[2] = byte,
            0x34 => adapter.control[3] = byte,
            0x40 => self.dma_command(value),
            0x44 => adapter.dma_count = value,
            0x48 => adapter.dma_address = value,
            _ => panic!("a write of register {at:#x}"),
        }
    }
}
