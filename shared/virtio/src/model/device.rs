// SPDX-License-Identifier: MIT
//! What the block device does: its status, its requests, its interrupts.
use super::ring::{Part, Taken};
use super::{Mischief, Model, QueueState};
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
            assert!(self.queues[0].ready && self.status & FEATURES_OK != 0, "DRIVER_OK before the device was set up");
        }
    }

    fn reset(&mut self) {
        self.resets += u64::from(self.status != 0);
        self.status = 0;
        self.driver_features = 0;
        self.queues.iter_mut().for_each(|queue| *queue = QueueState::new());
        self.config_vector = 0xffff;
        self.taken.clear();
        (self.isr, self.raised) = (0, false);
    }

    /// Resets the selected queue alone.
    pub(super) fn reset_queue(&mut self) {
        assert!(self.negotiated_has(40), "a reset of a queue that was not negotiated");
        if self.mischief == Some(Mischief::KeepQueue) {
            self.mischief = None;
            return;
        }
        let nth = self.selected;
        *self.queue() = QueueState::new();
        self.taken.retain(|taken| taken.queue != nth);
        self.queue_resets += 1;
    }

    pub(super) fn set_ready(&mut self) {
        let (packed, most) = (self.negotiated_has(34), self.shape.queue_max);
        let queue = self.queue();
        assert!((packed || queue.size.is_power_of_two()) && queue.size <= most, "queue of {} entries", queue.size);
        let [table, driver, device] = queue.areas;
        let align = if packed { 4 } else { 2 };
        assert!(table % 16 == 0 && driver % align == 0 && device % 4 == 0, "misaligned queue");
        assert!(!queue.ready, "a queue that is enabled already");
        queue.ready = true;
    }

    pub(super) fn notified(&mut self, queue: u32) {
        assert!(self.status & DRIVER_OK != 0, "a notification before DRIVER_OK");
        self.notifications += 1;
        let queue = &mut self.queues[queue as usize];
        assert!(queue.ready, "a notification of a queue that is not enabled");
        queue.kicked = true;
    }

    pub(super) fn interrupt(&mut self, queue: u16) {
        self.interrupts += 1;
        self.raised = true;
        match self.message {
            Some(message) if self.queues[usize::from(queue)].vector == 0 => self.messages.push(message),
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
        for nth in 0..self.shape.queues {
            if core::mem::take(&mut self.queues[usize::from(nth)].kicked) {
                if self.negotiated_has(34) {
                    self.take_packed(nth);
                } else {
                    self.take_available(nth);
                }
            }
        }
    }

    /// Carries out and answers the `nth` request that it has taken.
    pub fn finish(&mut self, nth: usize) {
        let Taken { queue, head, parts } = self.taken.remove(nth);
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
                self.bus().store(last.bus, &[other]);
            }
            _ => self.bus().store(last.bus, &[status]),
        }
        self.give_back(queue, head, moved + 1);
    }

    /// Serves everything at once.
    pub fn serve(&mut self) {
        self.take();
        while !self.taken.is_empty() {
            self.finish(0);
        }
    }

    fn perform(&mut self, parts: &[Part]) -> (u8, u32) {
        let header: [u8; 16] = self.bus().load(parts[0].bus);
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
            8 => self.tell(payload, b"model of a disk\0\0\0\0\0"),
            10 if self.negotiated_has(15) => {
                let wear = self.wear;
                self.tell(payload, wear.map(u16::to_le_bytes).as_flattened())
            }
            11 | 13 | 14 => (self.clear(kind, payload), 0),
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
            self.bus().store(part.bus, now);
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
            let (window, offset) = self.bus().at(part.bus, part.len as usize);
            window.copy_out(offset, &mut bytes[at..at + part.len as usize]);
            at += part.len as usize;
        }
        if let Some(medium) = &mut self.medium {
            return u8::from(!medium.write(sector, &bytes));
        }
        self.change(self.range(sector, bytes.len()), |content| content.copy_from_slice(&bytes))
    }

    /// Answers a question about itself.
    fn tell(&self, payload: &[Part], answer: &[u8]) -> (u8, u32) {
        assert!(payload.len() == 1 && payload[0].write && payload[0].len as usize == answer.len());
        self.bus().store(payload[0].bus, answer);
        (0, payload[0].len)
    }

    /// A discard (the content becomes arbitrary), a write of zeroes or a secure erase, by virtio's request type.
    fn clear(&mut self, kind: u32, payload: &[Part]) -> u8 {
        let (feature, limits_at, fill) = match kind {
            11 => (13, 36, 0xdd),
            13 => (14, 48, 0),
            _ => (16, 60, 0xee),
        };
        assert!(self.negotiated_has(feature));
        let limit = |at: usize| u32::from_le_bytes(self.shape.config[at..at + 4].try_into().unwrap());
        let (most, segments) = (limit(limits_at), limit(limits_at + 4).max(1));
        assert!(payload.len() == 1 && payload[0].len.is_multiple_of(16) && !payload[0].write);
        let count = payload[0].len / 16;
        assert!(count > 0 && count <= segments, "{count} segments, more than the device clears at once");
        (0..count).map(|nth| self.clear_segment(kind, payload[0].bus + 16 * u64::from(nth), most, fill)).max().unwrap()
    }

    fn clear_segment(&mut self, kind: u32, at: u64, most: u32, fill: u8) -> u8 {
        let segment: [u8; 16] = self.bus().load(at);
        let sector = u64::from_le_bytes(segment[..8].try_into().unwrap());
        let sectors = u32::from_le_bytes(segment[8..12].try_into().unwrap());
        assert!(sectors > 0 && sectors <= most, "{sectors} sectors, more than the device clears at once");
        assert_eq!(segment[12..], [0; 4], "flags");
        if let Some(medium) = &mut self.medium {
            return u8::from(!medium.clear(sector, sectors, kind == 13));
        }
        self.change(self.range(sector, sectors as usize * 512), |content| content.fill(fill))
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
