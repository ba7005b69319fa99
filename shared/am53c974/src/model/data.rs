// SPDX-License-Identifier: MIT
//! Payload: the DMA engine, and what targets send and take.
use super::adapter::{Waiting, cause};
use super::{Mischief, Model, Talk};
use std::vec;
use std::vec::Vec;

impl Model {
    pub(super) fn dma_command(&mut self, value: u32) {
        self.adapter.dma_command = value;
        match value & 3 {
            1 => self.blast(),
            3 => {
                assert!(self.master(), "DMA without bus mastering");
                let adapter = &mut self.adapter;
                (adapter.dma_left, adapter.dma_at) = (adapter.dma_count, adapter.dma_address);
                adapter.dma_status = 0;
                assert_eq!(adapter.dma_count, adapter.count, "the two counts");
                match core::mem::replace(&mut self.adapter.waiting, Waiting::Nothing) {
                    Waiting::Select(code) => self.select(code),
                    Waiting::Data => self.move_payload(),
                    Waiting::Nothing => {}
                }
            }
            _ => {
                self.adapter.waiting = Waiting::Nothing;
                self.adapter.dma_fifo.clear();
            }
        }
    }

    fn blast(&mut self) {
        assert!(self.adapter.dma_command & 0x80 != 0, "BLAST is of what was received");
        if self.wrong(Mischief::DmaStuck) {
            return;
        }
        self.flush();
        self.adapter.dma_status |= 0x20;
    }

    /// What was received goes to memory.
    fn flush(&mut self) {
        let bytes: Vec<u8> = self.adapter.dma_fifo.drain(..).collect();
        if !bytes.is_empty() {
            self.memory.store(self.adapter.dma_at.into(), &bytes);
        }
        self.adapter.dma_at = self.adapter.dma_at.wrapping_add(bytes.len() as u32);
        self.adapter.dma_left -= bytes.len() as u32;
    }

    /// Bytes from memory.
    pub(super) fn fetch(&mut self, len: usize) -> Vec<u8> {
        assert!(self.adapter.dma_command & 0x80 == 0, "the DMA engine's direction");
        let (window, offset) = self.memory.at(self.adapter.dma_at.into(), len);
        let mut bytes = vec![0; len];
        assert!(window.copy_out(offset, &mut bytes));
        self.adapter.dma_at += len as u32;
        self.adapter.dma_left -= len as u32;
        self.adapter.count -= len as u32;
        bytes
    }

    /// Moves payload until the count is over or the target wants something else.
    fn move_payload(&mut self) {
        let Talk::With(nth) = self.talk else { panic!("payload of no command") };
        let to_us = self.adapter.phase == 1;
        assert_eq!(self.adapter.dma_command & 0x80 != 0, to_us, "the DMA engine's direction");
        self.check_timing(nth);
        if self.wrong(Mischief::DmaError) {
            self.adapter.dma_status |= 2;
            return;
        }
        while let Some((left, _)) = self.nexuses[nth].payload() {
            let most = left.min(self.adapter.count as usize).min(self.manners.chunk);
            let len = if self.manners.chunk == usize::MAX { most } else { 1 + self.below(most as u64) as usize };
            if to_us {
                self.send(nth, len)
            } else {
                self.receive(nth, len)
            }
            self.nexuses[nth].rested = false;
            if self.wrong(Mischief::Vanish) {
                self.nexuses.remove(nth);
                self.talk = Talk::Free;
                return self.adapter.interrupt(cause::DISCONNECTED);
            }
            if self.adapter.count == 0 || self.manners.disconnects != 0 && self.chance(4) {
                break;
            }
        }
        self.end(nth, to_us);
    }

    fn send(&mut self, nth: usize, len: usize) {
        let nexus = &mut self.nexuses[nth];
        let reply = nexus.reply.as_ref().unwrap();
        let mut bytes = reply.data[nexus.sent..nexus.sent + len].to_vec();
        nexus.sent += len;
        let parity = matches!(self.mischief, Some(Mischief::Parity | Mischief::ParityIgnored));
        if parity {
            if self.mischief == Some(Mischief::Parity) {
                self.mischief = None;
            }
            bytes[0] ^= 0x40;
            self.adapter.errors |= 0x20;
            self.adapter.atn = true;
        }
        self.adapter.count -= len as u32;
        self.adapter.dma_fifo.extend(bytes);
    }

    fn receive(&mut self, nth: usize, len: usize) {
        let bytes = self.fetch(len);
        self.nexuses[nth].out.extend(bytes);
    }

    /// The transfer stops: what of it is where.
    fn end(&mut self, nth: usize, to_us: bool) {
        let more = self.adapter.count > 0 && self.nexuses[nth].payload().is_some();
        if to_us {
            // What is less than a burst stays in the engine, unless all has come.
            let keep = if self.adapter.count == 0 { 0 } else { self.adapter.dma_fifo.len() % 64 };
            let kept: Vec<u8> = self.adapter.dma_fifo.split_off(self.adapter.dma_fifo.len() - keep).into();
            self.flush();
            self.adapter.dma_fifo.extend(kept);
            if self.adapter.count == 0 {
                self.adapter.dma_status |= 8;
            }
        } else if self.adapter.count > 0 && self.nexuses[nth].payload().is_some() {
            // Some were fetched already and wait in the FIFO; they are counted as moved.
            let ahead = self.adapter.count.min(16) as usize;
            let bytes = self.fetch(ahead);
            self.adapter.fifo.extend(bytes);
        }
        if self.wrong(Mischief::Miscount) {
            self.adapter.count = self.adapter.dma_count + 1000;
        }
        self.go_on(cause::SERVICE);
        // It stopped in the middle to say something: else it would not have stopped.
        if more && self.adapter.phase < 2 && self.adapter.raised && self.talk == Talk::With(nth) {
            self.stop(nth);
        }
    }

    /// A stop without a reason becomes one: the target disconnects, or says nothing of interest.
    fn stop(&mut self, nth: usize) {
        if self.nexuses[nth].may_disconnect {
            self.speech.extend([2, 4]);
            self.nexuses[nth].rested = true;
        } else {
            self.speech.push_back(8);
        }
        self.adapter.phase = 7;
    }

    /// Whether the adapter moves bytes as it agreed with the target.
    fn check_timing(&mut self, nth: usize) {
        let (factor, offset) = self.agreements[usize::from(self.nexuses[nth].place.target)];
        let adapter = &self.adapter;
        assert_eq!(adapter.offset, offset, "the offset that was agreed");
        if offset == 0 {
            return;
        }
        self.synchronous += u64::from(adapter.count);
        let clocks = (u32::from(factor) * 4).div_ceil(25).max(4);
        assert_eq!(u32::from(adapter.period), clocks & 0x1f, "the period that was agreed");
        assert_eq!(adapter.control[2] & 0x18, if factor < 50 { 0x18 } else { 8 }, "the clock, and fast timing");
    }
}
