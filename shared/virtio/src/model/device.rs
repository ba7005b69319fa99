// SPDX-License-Identifier: MIT
//! What the block device does: its status, its requests, its interrupts.
use super::ring::{Part, Position, Taken};
use super::{Mischief, Model, QueueRegisters};
use std::vec;
use std::vec::Vec;

const DRIVER_OK: u8 = 4;
const FEATURES_OK: u8 = 8;

impl Model {
    pub(super) fn set_status(&mut self, status: u8) {
        if status == 0 {
            if !self.shape.stuck {
                self.reset();
            }
            return;
        }
        assert!(status & 128 != 0 || status & self.status == self.status, "the driver took back a status bit");
        self.status = status;
        let offered = self.shape.features;
        let bad = self.driver_features & !offered != 0 || self.shape.refuses;
        if status & FEATURES_OK != 0 && bad {
            self.status &= !FEATURES_OK;
        }
        if status & DRIVER_OK != 0 {
            assert!(self.queue.ready && self.status & FEATURES_OK != 0, "DRIVER_OK before the device was set up");
        }
    }

    fn reset(&mut self) {
        self.resets += u64::from(self.status != 0);
        self.status = 0;
        self.driver_features = 0;
        self.queue = QueueRegisters { vector: 0xffff, ..QueueRegisters::default() };
        self.position = Position::default();
        self.taken.clear();
        (self.isr, self.kicked, self.raised) = (0, false, false);
    }

    pub(super) fn set_ready(&mut self) {
        let size = self.queue.size;
        assert!(size.is_power_of_two() && size <= self.shape.queue_max, "queue of {size} entries");
        let [table, driver, device] = self.queue.areas;
        assert!(table % 16 == 0 && driver % 2 == 0 && device % 4 == 0, "misaligned queue");
        self.queue.ready = true;
    }

    pub(super) fn notified(&mut self, queue: u32) {
        assert!(queue == 0 && self.status & DRIVER_OK != 0, "a notification before DRIVER_OK");
        self.notifications += 1;
        self.kicked = true;
    }

    pub(super) fn interrupt(&mut self) {
        self.interrupts += 1;
        self.raised = true;
        match self.message {
            Some(message) if self.queue.vector == 0 => self.messages.push(message),
            _ => self.isr |= 1,
        }
    }

    pub(super) fn generation(&self) -> u32 {
        if self.shape.unsteady {
            self.generation.set(self.generation.get() + 1);
        }
        self.generation.get()
    }

    /// Takes new requests, if it was notified of any.
    pub fn take(&mut self) {
        if core::mem::take(&mut self.kicked) {
            self.take_available();
        }
    }

    /// Carries out and answers the `nth` request that it has taken.
    pub fn finish(&mut self, nth: usize) {
        let Taken { head, parts } = self.taken.remove(nth);
        if self.mischief == Some(Mischief::Lose) {
            self.mischief = None;
            return;
        }
        let (status, moved) = self.perform(&parts);
        let last = parts.last().unwrap();
        assert!(last.write && last.len == 1, "a request without a status byte");
        match self.mischief {
            Some(Mischief::NoStatus) => self.mischief = None,
            Some(Mischief::Status(other)) => {
                self.mischief = None;
                self.store(last.bus, &[other]);
            }
            _ => self.store(last.bus, &[status]),
        }
        self.give_back(head, moved + 1);
    }

    /// Serves everything at once.
    pub fn serve(&mut self) {
        self.take();
        while !self.taken.is_empty() {
            self.finish(0);
        }
    }

    fn perform(&mut self, parts: &[Part]) -> (u8, u32) {
        let header: [u8; 16] = self.load(parts[0].bus);
        assert!(parts[0].len == 16 && !parts[0].write);
        let kind = u32::from_le_bytes(header[..4].try_into().unwrap());
        assert_eq!(header[4..8], [0; 4], "reserved field");
        let sector = u64::from_le_bytes(header[8..].try_into().unwrap());
        let payload = &parts[1..parts.len() - 1];
        *self.done.entry(kind).or_default() += 1;
        match kind {
            0 => self.read(sector, payload),
            1 => (self.write(sector, payload), 0),
            4 => {
                assert!(sector == 0 && payload.is_empty() && self.negotiated_has(9), "a flush that is none");
                (self.flush(), 0)
            }
            11 => (self.clear(payload, None), 0),
            13 => (self.clear(payload, Some(0)), 0),
            _ => (2, 0),
        }
    }

    fn flush(&mut self) -> u8 {
        match &mut self.medium {
            Some(medium) => u8::from(!medium.flush()),
            None => {
                self.durable.clone_from(&self.content);
                0
            }
        }
    }

    fn range(&self, sector: u64, bytes: usize) -> Option<core::ops::Range<usize>> {
        let start = usize::try_from(sector).ok()?.checked_mul(512)?;
        let end = start.checked_add(bytes)?;
        (bytes > 0 && bytes.is_multiple_of(512) && end <= self.content.len()).then_some(start..end)
    }

    fn read(&mut self, sector: u64, payload: &[Part]) -> (u8, u32) {
        assert!(payload.iter().all(|p| p.write), "a read into what the device may not write");
        let bytes: u32 = payload.iter().map(|p| p.len).sum();
        let mut copy = Vec::new();
        let mut rest = match &mut self.medium {
            Some(medium) => {
                copy.resize(bytes as usize, 0);
                if !medium.read(sector, &mut copy) {
                    return (1, 0);
                }
                &copy[..]
            }
            None => match self.range(sector, bytes as usize) {
                Some(range) => &self.content[range],
                None => return (1, 0),
            },
        };
        for part in payload {
            let (now, later) = rest.split_at(part.len as usize);
            self.store(part.bus, now);
            rest = later;
        }
        (0, bytes)
    }

    fn write(&mut self, sector: u64, payload: &[Part]) -> u8 {
        assert!(payload.iter().all(|p| !p.write), "a write from what the device may write");
        assert!(self.shape.features & 1 << 5 == 0, "a write to a read-only device");
        let mut bytes = vec![0; payload.iter().map(|p| p.len as usize).sum()];
        let mut at = 0;
        for part in payload {
            let (window, offset) = self.at(part.bus, part.len as usize);
            window.copy_out(offset, &mut bytes[at..at + part.len as usize]);
            at += part.len as usize;
        }
        if let Some(medium) = &mut self.medium {
            return u8::from(!medium.write(sector, &bytes));
        }
        self.change(self.range(sector, bytes.len()), |content| content.copy_from_slice(&bytes))
    }

    /// A discard (`fill` is nothing: the content becomes arbitrary) or a write of zeroes.
    fn clear(&mut self, payload: &[Part], fill: Option<u8>) -> u8 {
        let segment: [u8; 16] = self.load(payload[0].bus);
        assert!(payload.len() == 1 && payload[0].len == 16 && !payload[0].write);
        let sector = u64::from_le_bytes(segment[..8].try_into().unwrap());
        let sectors = u32::from_le_bytes(segment[8..12].try_into().unwrap());
        let limit_at = if fill.is_some() { 48 } else { 36 };
        let limit = u32::from_le_bytes(self.shape.config[limit_at..limit_at + 4].try_into().unwrap());
        assert!(sectors <= limit, "{sectors} sectors, more than the device clears at once");
        assert!(self.negotiated_has(if fill.is_some() { 14 } else { 13 }));
        if let Some(medium) = &mut self.medium {
            return u8::from(!medium.clear(sector, sectors, fill.is_some()));
        }
        self.change(self.range(sector, sectors as usize * 512), |content| content.fill(fill.unwrap_or(0xdd)))
    }

    /// Changes the content, and what a loss of power leaves where there is no volatile cache.
    fn change(&mut self, range: Option<core::ops::Range<usize>>, f: impl Fn(&mut [u8])) -> u8 {
        let Some(range) = range else {
            return 1;
        };
        f(&mut self.content[range.clone()]);
        let through = !self.negotiated_has(9) || (self.negotiated_has(11) && self.shape.config[32] == 0);
        if through {
            self.durable[range.clone()].copy_from_slice(&self.content[range]);
        }
        0
    }
}
