// SPDX-License-Identifier: MIT
//! The adapter's registers and their bits (data sheet, "SCSI registers" and "DMA registers"): the SCSI block's are bytes at
//! every fourth offset, the DMA engine's are words.

/// Bytes of the register file that are used.
pub const LEN: usize = 0x74;

/// Registers of the SCSI block.
pub mod scsi {
    /// Transfer count, bits 0 to 7: written where a transfer starts, read as what is left.
    pub const COUNT_LOW: usize = 0x00;
    /// Bits 8 to 15.
    pub const COUNT_MIDDLE: usize = 0x04;
    /// The FIFO of 16 bytes.
    pub const FIFO: usize = 0x08;
    /// Command.
    pub const COMMAND: usize = 0x0c;
    /// Read: status.
    pub const STATUS: usize = 0x10;
    /// Written: the target to select.
    pub const DESTINATION: usize = 0x10;
    /// Read: causes of the interrupt; reading clears them.
    pub const INTERRUPT: usize = 0x14;
    /// Written: how long a target may take to answer to its selection.
    pub const TIMEOUT: usize = 0x14;
    /// Read: how far a sequence came.
    pub const STEP: usize = 0x18;
    /// Written: clocks of a synchronous byte.
    pub const PERIOD: usize = 0x18;
    /// Read: bytes in the FIFO.
    pub const FIFO_COUNT: usize = 0x1c;
    /// Written: bytes that may be under way without an acknowledgement; 0 is asynchronous.
    pub const OFFSET: usize = 0x1c;
    /// Control One.
    pub const CONTROL_1: usize = 0x20;
    /// Written: the clock.
    pub const CLOCK: usize = 0x24;
    /// Control Two.
    pub const CONTROL_2: usize = 0x2c;
    /// Control Three.
    pub const CONTROL_3: usize = 0x30;
    /// Control Four.
    pub const CONTROL_4: usize = 0x34;
    /// Transfer count, bits 16 to 23.
    pub const COUNT_HIGH: usize = 0x38;
}

/// Commands.
pub mod command {
    /// Nothing; ends a reset.
    pub const NOP: u8 = 0x00;
    /// Empties the FIFO.
    pub const CLEAR_FIFO: u8 = 0x01;
    /// Resets the SCSI block, until a NOP.
    pub const RESET_DEVICE: u8 = 0x02;
    /// Resets the bus.
    pub const RESET_BUS: u8 = 0x03;
    /// Moves bytes in the present phase.
    pub const TRANSFER: u8 = 0x10;
    /// Receives status and a message.
    pub const COMPLETE: u8 = 0x11;
    /// Takes back ACK: the message is accepted.
    pub const ACCEPT: u8 = 0x12;
    /// Raises ATN: we have a message.
    pub const SET_ATN: u8 = 0x1a;
    /// Selects, sends one byte of message and the command.
    pub const SELECT_ATN: u8 = 0x42;
    /// Selects, sends one byte of message and stops with ATN raised.
    pub const SELECT_ATN_STOP: u8 = 0x43;
    /// Answers to reselections.
    pub const ENABLE_RESELECTION: u8 = 0x44;
    /// Selects, sends three bytes of message and the command.
    pub const SELECT_ATN3: u8 = 0x46;
    /// With a command: bytes go by DMA.
    pub const DMA: u8 = 0x80;
}

/// Status.
pub mod status {
    /// The phase: MSG, C/D, I/O.
    pub const PHASE: u8 = 7;
    /// The transfer count has come to 0.
    pub const COUNT_ZERO: u8 = 1 << 4;
    /// Parity of a received byte was wrong.
    pub const PARITY: u8 = 1 << 5;
    /// Illegal operation: the FIFO's top was overwritten, or the direction is wrong.
    pub const GROSS: u8 = 1 << 6;
}

/// Causes of an interrupt.
pub mod cause {
    /// We were selected, as a target, with ATN or without.
    pub const SELECTED: u8 = 3;
    /// A target reselected us.
    pub const RESELECTED: u8 = 1 << 2;
    /// The target disconnected, or did not answer to its selection.
    pub const DISCONNECTED: u8 = 1 << 5;
    /// A command is not one, or not in this state.
    pub const ILLEGAL: u8 = 1 << 6;
    /// The bus was reset.
    pub const BUS_RESET: u8 = 1 << 7;
}

/// Phases of the bus.
pub mod phase {
    /// To the target.
    pub const DATA_OUT: u8 = 0;
    /// From the target.
    pub const DATA_IN: u8 = 1;
    /// The target wants its command.
    pub const COMMAND: u8 = 2;
    /// The target has a status.
    pub const STATUS: u8 = 3;
    /// The target wants our message.
    pub const MESSAGE_OUT: u8 = 6;
    /// The target has a message.
    pub const MESSAGE_IN: u8 = 7;
}

/// Registers of the DMA engine.
pub mod dma {
    /// Command.
    pub const COMMAND: usize = 0x40;
    /// Bytes of a transfer.
    pub const COUNT: usize = 0x44;
    /// Its bus address.
    pub const ADDRESS: usize = 0x48;
    /// Bytes that are left.
    pub const LEFT: usize = 0x4c;
    /// Status; reading clears what ended.
    pub const STATUS: usize = 0x54;

    /// Stops.
    pub const IDLE: u32 = 0;
    /// Writes what the engine holds to memory.
    pub const BLAST: u32 = 1;
    /// Ends a transfer.
    pub const ABORT: u32 = 2;
    /// Begins a transfer.
    pub const START: u32 = 3;
    /// With a command: from the bus to memory.
    pub const TO_MEMORY: u32 = 1 << 7;

    /// Status: the PCI bus refused.
    pub const ERROR: u32 = 1 << 1;
    /// All bytes were moved.
    pub const DONE: u32 = 1 << 3;
    /// The SCSI block has an interrupt.
    pub const SCSI: u32 = 1 << 4;
    /// BLAST is complete.
    pub const BLASTED: u32 = 1 << 5;
}

/// Control One: parity of what is received is checked; the adapter is number 7.
pub const CONTROL_1: u8 = 1 << 4 | 7;
/// Control Two: features on, so that the transfer count has 24 bits.
pub const CONTROL_2: u8 = 1 << 6;
/// Control Three: a clock of 40 MHz.
pub const FAST_CLOCK: u8 = 1 << 3;
/// Control Three: more than 5 MB/s.
pub const FAST_SCSI: u8 = 1 << 4;
/// Control Four: no power down, glitches of 12 ns are ignored.
pub const CONTROL_4: u8 = 0;
/// Clock factor for 40 MHz.
pub const CLOCK: u8 = 0;
/// Selection timeout: 250 ms in units of 8192 x 8 clocks.
pub const TIMEOUT: u8 = 153;
/// Bytes in the FIFO, of the register that says so.
pub const FIFO_COUNT: u8 = 0x1f;
/// Bytes that the FIFO holds.
pub const FIFO: usize = 16;
