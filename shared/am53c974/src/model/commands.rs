// SPDX-License-Identifier: MIT
//! The adapter's commands.
use super::adapter::{Waiting, cause};
use super::nexus::{Fresh, length};
use super::{Mischief, Model, Talk};
use orion_scsi::Place;

impl Model {
    pub(super) fn command(&mut self, byte: u8) {
        let (code, dma) = (byte & 0x7f, byte & 0x80 != 0);
        if self.adapter.resetting {
            assert!(code == 0 || code == 2, "command {byte:#x} before the reset is ended by a NOP");
            self.adapter.resetting = code == 2;
            return;
        }
        match code {
            0 => {}
            1 => self.adapter.fifo.clear(),
            2 => self.adapter.reset(),
            3 => self.reset_bus(),
            0x10 if dma => {
                assert!(!self.adapter.raised && self.adapter.phase < 2, "payload in no phase for it");
                self.load_count();
                self.adapter.waiting = Waiting::Data;
            }
            0x10 => self.transfer(),
            0x11 => self.complete(),
            0x12 => self.accept(),
            0x1a => self.adapter.atn = true,
            0x42 | 0x43 | 0x46 => {
                assert!(dma, "selections go by DMA");
                self.load_count();
                self.adapter.waiting = Waiting::Select(code);
            }
            0x44 => self.adapter.reselectable = true,
            _ => panic!("command {byte:#x}"),
        }
    }

    fn load_count(&mut self) {
        let [low, middle, high] = self.adapter.start;
        self.adapter.count = u32::from_le_bytes([low, middle, high, 0]);
        assert_ne!(self.adapter.count, 0, "a count of 0 stands for the largest");
    }

    /// A selection, once the DMA engine brings its bytes.
    pub(super) fn select(&mut self, code: u8) {
        // A target that was waiting may be faster; the selection is then forgotten.
        if self.adapter.raised || self.chance(3) && self.reselect(true) {
            return;
        }
        assert_eq!(self.talk, Talk::Free, "a selection while a target is connected");
        assert!(self.adapter.fifo.is_empty(), "bytes in the FIFO before a selection");
        self.adapter.reselectable = false;
        for (what, why) in [(Mischief::Selected, cause::SELECTED), (Mischief::Illegal, cause::ILLEGAL)] {
            if self.wrong(what) {
                return self.adapter.interrupt(why);
            }
        }
        if self.wrong(Mischief::Gone) {
            self.gone = true;
            return;
        }
        if self.wrong(Mischief::Stranger) || self.mischief == Some(Mischief::Nobody) {
            let ids = if self.wrong(Mischief::Nobody) { 0x80 } else { 0x81 };
            self.adapter.fifo.extend([ids, 0x87]);
            self.talk = Talk::Fresh;
            self.fresh = Fresh { target: 0, ..Fresh::default() };
            self.speech.extend([0x20, 0x3f]);
            (self.adapter.ack, self.adapter.phase) = (true, 7);
            return self.adapter.interrupt(cause::RESELECTED);
        }
        let target = u16::from(self.adapter.destination);
        assert_ne!(target, 7, "the adapter selects itself");
        if !self.bus.disks.keys().any(|place| place.target == target) {
            return self.adapter.interrupt(cause::DISCONNECTED);
        }
        self.fresh = Fresh { target, ..Fresh::default() };
        (self.talk, self.adapter.atn) = (Talk::Fresh, true);
        let bytes = self.fetch(self.adapter.count as usize);
        let messages = match code {
            0x42 => 1,
            0x43 => bytes.len(),
            _ => 3,
        };
        assert!(code != 0x43 || messages == 1, "one byte of message before the stop");
        assert_eq!(bytes[0] & 0xb8, 0x80, "IDENTIFY of a unit below 8 comes first");
        if self.wrong(Mischief::Vanish) {
            self.talk = Talk::Free;
            self.adapter.step = 2;
            return self.adapter.interrupt(cause::DISCONNECTED);
        }
        let heard = self.hear(&bytes[..messages]).expect("nothing before a command lets the bus go");
        assert!(heard == messages || bytes[heard..messages].is_empty());
        if code == 0x43 {
            (self.adapter.step, self.adapter.phase) = (1, 6);
            return self.adapter.interrupt(cause::SUCCESS | cause::SERVICE);
        }
        self.adapter.atn = false;
        if !self.speech.is_empty() {
            // The target has something to say before it wants the command.
            self.adapter.fifo.extend(&bytes[messages..]);
            self.adapter.step = 2;
            return self.go_on(cause::SUCCESS | cause::SERVICE);
        }
        assert_eq!(bytes.len() - messages, length(bytes[messages]), "the whole of a command");
        assert!(bytes.len() - messages <= 12, "the adapter sends commands of 6, 10 and 12 bytes");
        self.adapter.step = 4;
        self.commanded(&bytes[messages..]);
        self.go_on(cause::SUCCESS | cause::SERVICE);
    }

    /// TRANSFER of bytes in the FIFO, or of one into it.
    fn transfer(&mut self) {
        assert!(!self.adapter.raised && !self.adapter.ack, "TRANSFER before what came was looked at");
        assert_ne!(self.talk, Talk::Free, "TRANSFER while nobody is connected");
        match self.adapter.phase {
            6 => {
                let bytes: std::vec::Vec<u8> = self.adapter.fifo.drain(..).collect();
                assert!(!bytes.is_empty(), "a message without bytes");
                let Some(heard) = self.hear(&bytes) else { return };
                // ATN falls with the last byte; what the target did not take stays where it is.
                self.adapter.atn = heard < bytes.len();
                self.adapter.fifo.extend(&bytes[heard..]);
                if self.speech.is_empty() || !self.adapter.atn {
                    return self.go_on(cause::SERVICE);
                }
                self.adapter.phase = 7;
                self.adapter.interrupt(cause::SERVICE);
            }
            2 => {
                let bytes: std::vec::Vec<u8> = self.adapter.fifo.drain(..).collect();
                assert_eq!(bytes.len(), length(bytes[0]), "the whole of a command");
                self.commanded(&bytes);
                self.go_on(cause::SERVICE);
            }
            7 => {
                assert!(self.adapter.fifo.is_empty(), "bytes in the FIFO before a message");
                let byte = self.speech.pop_front().expect("a byte of a message");
                self.adapter.fifo.push_back(byte);
                self.adapter.ack = true;
                self.said(byte);
                self.adapter.interrupt(cause::SUCCESS);
            }
            phase => panic!("TRANSFER without DMA in phase {phase}"),
        }
    }

    /// COMMAND COMPLETE STEPS: status, then the message.
    fn complete(&mut self) {
        assert!(!self.adapter.raised && !self.adapter.ack && self.adapter.phase == 3, "status where there is none");
        assert!(self.adapter.fifo.is_empty(), "bytes in the FIFO before a status");
        let Talk::With(nth) = self.talk else { panic!("a status of nobody") };
        let nexus = &mut self.nexuses[nth];
        nexus.concluded = true;
        let status = nexus.reply.as_ref().unwrap().status;
        self.adapter.fifo.push_back(status);
        self.speech.push_back(0);
        // Some targets think before they say that it is complete.
        if self.chance(4) {
            self.adapter.phase = 7;
            return self.adapter.interrupt(cause::SERVICE);
        }
        let byte = self.speech.pop_front().unwrap();
        self.adapter.fifo.push_back(byte);
        (self.adapter.ack, self.adapter.phase) = (true, 7);
        self.said(byte);
        self.adapter.interrupt(cause::SUCCESS);
    }

    /// MESSAGE ACCEPTED.
    fn accept(&mut self) {
        assert!(core::mem::take(&mut self.adapter.ack), "a message is accepted that did not come");
        assert!(self.adapter.fifo.is_empty(), "a message is accepted before it was read");
        self.go_on(cause::SERVICE);
    }

    /// The bus is reset, by the adapter.
    fn reset_bus(&mut self) {
        self.bus_reset();
        if self.wrong(Mischief::NoReset) {
            self.mute = true;
        }
        if !self.mute {
            self.adapter.interrupt(cause::RESET);
        }
    }

    /// The bus is reset: targets forget all.
    pub(super) fn bus_reset(&mut self) {
        self.resets += 1;
        self.nexuses.clear();
        self.speech.clear();
        self.talk = Talk::Free;
        (self.held, self.leaves, self.rest) = (false, false, 0);
        (self.agreements, self.proposed) = ([(0, 0); 7], [false; 7]);
        self.senses.clear();
        self.bus.disks.values_mut().for_each(|disk| disk.reset());
        self.adapter.waiting = Waiting::Nothing;
        self.adapter.dma_fifo.clear();
        (self.adapter.atn, self.adapter.ack, self.adapter.reselectable) = (false, false, false);
    }

    /// A target with something to go on with takes the bus, if there is one; with `anyway` also from a selection of ours.
    pub(super) fn reselect(&mut self, anyway: bool) -> bool {
        let ready: std::vec::Vec<usize> =
            (0..self.nexuses.len()).filter(|nth| self.nexuses[*nth].disconnected && self.nexuses[*nth].ready).collect();
        if ready.is_empty() || !self.adapter.reselectable && !anyway {
            return false;
        }
        let nth = ready[self.below(ready.len() as u64) as usize];
        let Place { target, lun } = self.nexuses[nth].place;
        (self.nexuses[nth].disconnected, self.nexuses[nth].rested) = (false, true);
        // IDENTIFY restores the pointers (SCSI-2, 6.6.7).
        self.nexuses[nth].restore();
        assert!(self.adapter.fifo.is_empty(), "bytes in the FIFO before a reselection");
        self.adapter.fifo.extend([0x80 | 1 << target, 0x80 | lun as u8]);
        if let Some(tag) = self.nexuses[nth].tag {
            self.speech.extend([0x20, tag]);
        }
        self.talk = Talk::With(nth);
        self.adapter.reselectable = false;
        self.adapter.waiting = Waiting::Nothing;
        (self.adapter.ack, self.adapter.phase) = (true, 7);
        self.adapter.interrupt(cause::RESELECTED);
        true
    }
}
