// SPDX-License-Identifier: MIT
//! The adapter's registers as operations.
use crate::registers::{self, command, dma, scsi, status};
use crate::sync::Agreement;
use orion_driver::Registers;
use orion_scsi::Misused;

/// How often the DMA engine is looked at until it must have done what takes it a few memory accesses.
const LOOKS: u32 = 2_000;

/// An interrupt.
#[derive(Clone, Copy, Debug)]
pub struct Cause {
    /// The SCSI block's status.
    pub status: u8,
    /// How far the sequence came.
    pub step: u8,
    /// What interrupted.
    pub cause: u8,
    /// The DMA engine's status.
    pub dma: u32,
}

impl Cause {
    /// The bus's phase.
    pub fn phase(&self) -> u8 {
        self.status & status::PHASE
    }
}

/// The registers, and what was last written to those that seldom change.
#[derive(Debug)]
pub struct Chip<R> {
    registers: R,
    agreement: Option<Agreement>,
}

impl<R: Registers> Chip<R> {
    /// The registers; `None` where there are too few.
    pub fn new(registers: R) -> Option<Self> {
        (registers.len() >= registers::LEN).then_some(Self { registers, agreement: None })
    }

    fn read(&self, at: usize) -> u8 {
        self.registers.read8(at)
    }

    fn write(&self, at: usize, value: u8) {
        self.registers.write8(at, value);
    }

    /// Lets the adapter reach memory, or not.
    pub fn set_dma(&mut self, on: bool) {
        self.registers.set_dma(on);
    }

    /// Stops everything, and resets the SCSI block to what this driver works with. No interrupt is left.
    pub fn reset(&mut self) {
        // What was asked of memory ends before the SCSI block forgets it.
        self.registers.write32(dma::COMMAND, dma::ABORT);
        self.registers.write32(dma::COMMAND, dma::IDLE);
        self.command(command::RESET_DEVICE);
        self.command(command::NOP);
        self.write(scsi::CONTROL_1, registers::CONTROL_1);
        self.write(scsi::CONTROL_2, registers::CONTROL_2);
        self.write(scsi::CONTROL_4, registers::CONTROL_4);
        self.write(scsi::CLOCK, registers::CLOCK);
        self.write(scsi::TIMEOUT, registers::TIMEOUT);
        self.agreement = None;
        self.agree(Agreement::ASYNCHRONOUS);
        self.read(scsi::INTERRUPT);
        self.registers.read32(dma::STATUS);
    }

    /// Whether something answers at all: all ones are what an empty slot reads as.
    pub fn is_there(&self) -> bool {
        self.registers.read32(dma::STATUS) != u32::MAX
    }

    /// The interrupt that there is, which is taken away; `None` where there is none.
    pub fn interrupt(&self) -> Result<Option<Cause>, Misused> {
        let dma = self.registers.read32(dma::STATUS);
        if dma == u32::MAX {
            return Err(Misused("the adapter does not answer any more"));
        }
        if dma & dma::ERROR != 0 {
            return Err(Misused("the adapter's DMA failed on the PCI bus"));
        }
        if dma & dma::SCSI == 0 {
            return Ok(None);
        }
        // In this order: reading the causes clears the other two.
        let (status, step) = (self.read(scsi::STATUS), self.read(scsi::STEP) & 7);
        Ok(Some(Cause { status, step, cause: self.read(scsi::INTERRUPT), dma }))
    }

    /// Gives the SCSI block a command.
    pub fn command(&self, command: u8) {
        self.write(scsi::COMMAND, command);
    }

    /// Puts bytes, at most 16, into the FIFO, and nothing else.
    pub fn load(&self, bytes: &[u8]) {
        self.command(command::CLEAR_FIFO);
        bytes.iter().take(registers::FIFO).for_each(|byte| self.write(scsi::FIFO, *byte));
    }

    /// Takes what is in the FIFO; the bytes and how many there are.
    pub fn unload(&self) -> ([u8; registers::FIFO], usize) {
        let mut bytes = [0; registers::FIFO];
        let count = self.fifo_count().min(registers::FIFO);
        bytes.iter_mut().take(count).for_each(|byte| *byte = self.read(scsi::FIFO));
        (bytes, count)
    }

    /// Bytes in the FIFO.
    fn fifo_count(&self) -> usize {
        usize::from(self.read(scsi::FIFO_COUNT) & registers::FIFO_COUNT)
    }

    /// Transfers with this target are as was agreed with it.
    pub fn agree(&mut self, agreement: Agreement) {
        if self.agreement == Some(agreement) {
            return;
        }
        self.agreement = Some(agreement);
        self.write(scsi::PERIOD, agreement.period());
        self.write(scsi::OFFSET, agreement.offset);
        let fast = if agreement.is_fast() { registers::FAST_SCSI } else { 0 };
        self.write(scsi::CONTROL_3, registers::FAST_CLOCK | fast);
    }

    /// Selects a target with bytes from memory. They go by DMA, so that the FIFO is empty where a target reselects us before:
    /// it then holds that target's two bytes and nothing else, whenever that was.
    pub fn select(&self, target: u8, bus: u32, len: u32, command: u8) {
        self.write(scsi::DESTINATION, target);
        self.start(bus, len, 0, command);
    }

    /// The selection has ended, or another target was faster.
    pub fn selected(&self) {
        self.registers.write32(dma::COMMAND, dma::IDLE);
    }

    /// Moves `len` bytes, at least 1 and below 2^24, between the bus and memory.
    pub fn transfer(&self, bus: u32, len: u32, to_memory: bool) {
        self.start(bus, len, if to_memory { dma::TO_MEMORY } else { 0 }, command::TRANSFER);
    }

    fn start(&self, bus: u32, len: u32, direction: u32, command: u8) {
        let [low, middle, high, _] = len.to_le_bytes();
        self.registers.write32(dma::COMMAND, dma::IDLE | direction);
        self.registers.write32(dma::COUNT, len);
        self.registers.write32(dma::ADDRESS, bus);
        self.write(scsi::COUNT_LOW, low);
        self.write(scsi::COUNT_MIDDLE, middle);
        self.write(scsi::COUNT_HIGH, high);
        self.command(command | command::DMA);
        // Last, when all else is set ("DMA command register").
        self.registers.write32(dma::COMMAND, dma::START | direction);
    }

    /// The end of a transfer of `len` bytes: how many of them were moved. All that were are in memory afterwards.
    ///
    /// # Errors
    /// [`Misused`] where the engine does not come to its end.
    pub fn transferred(&self, len: u32, to_memory: bool, interrupt: &Cause) -> Result<u32, Misused> {
        let left = if interrupt.status & status::COUNT_ZERO != 0 { 0 } else { self.left() };
        let missing = if to_memory {
            self.settle(len, left, interrupt.dma)?
        } else {
            // What is still in the FIFO was counted and did not go out.
            left.saturating_add(u32::try_from(self.fifo_count()).unwrap_or(0))
        };
        self.registers.write32(dma::COMMAND, dma::IDLE);
        if missing > len {
            return Err(Misused("the adapter moved more bytes than it was asked to"));
        }
        Ok(len - missing)
    }

    fn left(&self) -> u32 {
        let bytes = [scsi::COUNT_LOW, scsi::COUNT_MIDDLE, scsi::COUNT_HIGH].map(|at| self.read(at));
        let [low, middle, high] = bytes;
        u32::from_le_bytes([low, middle, high, 0])
    }

    /// Waits until what was received is in memory: by itself where all was, by BLAST where the target stopped earlier. What
    /// is missing in memory.
    fn settle(&self, len: u32, left: u32, status: u32) -> Result<u32, Misused> {
        let received = len.checked_sub(left).ok_or(Misused("the adapter counts more than it was asked to move"))?;
        let missing = |chip: &Self| chip.registers.read32(dma::LEFT);
        if left == 0 {
            let done = |chip: &Self| chip.registers.read32(dma::STATUS) & dma::DONE != 0 || missing(chip) == 0;
            let done = status & dma::DONE != 0 || (0..LOOKS).any(|_| done(self));
            return done.then_some(0).ok_or(Misused("the adapter's DMA engine does not end"));
        }
        if missing(self) > len - received {
            self.registers.write32(dma::COMMAND, dma::BLAST | dma::TO_MEMORY);
            let blasted = |chip: &Self| chip.registers.read32(dma::STATUS) & dma::BLASTED != 0;
            if !(0..LOOKS).any(|_| blasted(self)) {
                return Err(Misused("the adapter's DMA engine keeps what it received"));
            }
        }
        Ok(missing(self).max(left))
    }
}
