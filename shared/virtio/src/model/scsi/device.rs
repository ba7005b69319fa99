// SPDX-License-Identifier: MIT
//! What the SCSI host does: its status, its requests, its events.
use super::ring::{Part, Queue, Taken};
use super::{ScsiMischief, ScsiModel, Tasks};
use orion_scsi::Place;
use std::vec;
use std::vec::Vec;

const DRIVER_OK: u8 = 4;
const FEATURES_OK: u8 = 8;
/// Bytes of a request before its payload, and of an answer (virtio 1.2, 5.6.6.1).
const REQUEST: u32 = 51;
const ANSWER: u32 = 108;
/// This initiator, as the disks know it.
const NEXUS: u64 = 1;

impl ScsiModel {
    pub(super) fn set_status(&mut self, status: u8) {
        if status == 0 {
            if !self.shape.stuck {
                self.reset();
            }
            return;
        }
        assert!(status & 128 != 0 || status & self.status == self.status, "the driver took back a status bit");
        self.status = status;
        let bad = self.driver_features & !self.shape.features != 0 || self.shape.refuses;
        if status & FEATURES_OK != 0 && bad {
            self.status &= !FEATURES_OK;
        }
        if status & DRIVER_OK != 0 {
            // Those that are not used are left alone.
            let ready = self.queues.iter().take(3).all(|queue| queue.ready);
            assert!(ready && self.status & FEATURES_OK != 0, "DRIVER_OK before the device was set up");
        }
    }

    fn reset(&mut self) {
        self.resets += u64::from(self.status != 0);
        if self.status & DRIVER_OK != 0 {
            self.bus.disks.values_mut().for_each(|disk| disk.reset());
        }
        self.status = 0;
        self.driver_features = 0;
        self.queues.fill(Queue::default());
        self.taken.clear();
        self.kicked.fill(false);
        (self.isr, self.raised) = (0, false);
    }

    pub(super) fn set_ready(&mut self) {
        let Queue { size, areas: [table, driver, device], .. } = self.queues[self.queue];
        assert!(size.is_power_of_two() && size <= self.shape.queue_max, "queue of {size} entries");
        assert!(table % 16 == 0 && driver % 2 == 0 && device % 4 == 0, "misaligned queue");
        self.queues[self.queue].ready = true;
    }

    pub(super) fn notified(&mut self, queue: usize) {
        assert!(self.status & DRIVER_OK != 0, "a notification before DRIVER_OK");
        assert!(self.queues[queue].ready, "a notification of a queue that is not set up");
        self.notifications[queue] += 1;
        self.kicked[queue] = true;
    }

    /// Takes new requests, does task management functions, reports events, if it was notified.
    pub fn take(&mut self) {
        let kicked: Vec<bool> = self.kicked.iter_mut().map(core::mem::take).collect();
        if kicked[0] {
            while let Some(taken) = self.next_chain(0) {
                self.manage(&taken);
            }
        }
        if kicked[1] {
            self.take_events();
        }
        for number in (2..kicked.len()).filter(|number| kicked[*number]) {
            while let Some(taken) = self.next_chain(number) {
                let same = |other: &Taken| (other.queue, other.head) == (taken.queue, taken.head);
                assert!(!self.taken.iter().any(same), "the driver offered a request twice");
                self.taken.push(taken);
            }
        }
    }

    pub(super) fn take_events(&mut self) {
        while self.status & DRIVER_OK != 0 && !self.events.is_empty() {
            let Some(Taken { head, parts, .. }) = self.next_chain(1) else {
                if self.forgets_events {
                    self.missed |= !self.events.is_empty();
                    self.events.clear();
                }
                return;
            };
            assert!(parts.len() == 1 && parts[0].write && parts[0].len == 16, "no buffer for an event");
            let mut bytes = self.events.pop_front().unwrap();
            // The highest bit of the event says that some were missed (5.6.6.3).
            bytes[3] |= u8::from(core::mem::take(&mut self.missed)) << 7;
            self.bus().store(parts[0].bus, &bytes);
            self.give_back(1, head, 16);
        }
    }

    fn place(lun: &[u8]) -> Option<Place> {
        let [one, target, a, b, 0, 0, 0, 0] = *lun else { return None };
        let number = u16::from_be_bytes([a, b]);
        assert!(one == 1 && (number < 256 || number >> 14 == 1), "a unit addressed as the device does not know");
        Some(Place { target: target.into(), lun: number & 0x3fff })
    }

    fn manage(&mut self, taken: &Taken) {
        let [request, answer] = taken.parts[..] else { panic!("a function has a request and an answer") };
        assert!(request.len == 24 && answer.len == 1 && answer.write);
        let bytes: [u8; 24] = self.bus().load(request.bus);
        assert_eq!(bytes[..4], [0; 4], "task management is type 0");
        let function = u32::from_le_bytes(bytes[4..8].try_into().unwrap());
        let place = Self::place(&bytes[8..16]).expect("a unit's address");
        let tag = u64::from_le_bytes(bytes[16..].try_into().unwrap());
        self.managed.push((function, tag));
        let response = match self.tasks {
            Tasks::Ignore => return,
            Tasks::Refuse => 11,
            Tasks::Work => self.end_tasks(function, place, tag),
        };
        self.bus().store(answer.bus, &[response]);
        self.give_back(0, taken.head, 1);
    }

    /// Ends what a function asks to end, before the function is answered.
    fn end_tasks(&mut self, function: u32, place: Place, tag: u64) -> u8 {
        let header = |model: &Self, taken: &Taken| -> [u8; 51] { model.bus().load(taken.parts[0].bus) };
        let concerned: Vec<usize> = (0..self.taken.len())
            .filter(|nth| {
                let header = header(self, &self.taken[*nth]);
                let own = u64::from_le_bytes(header[8..16].try_into().unwrap());
                Self::place(&header[..8]) == Some(place) && (function == 5 || own == tag)
            })
            .collect();
        for nth in concerned.into_iter().rev() {
            let taken = self.taken.remove(nth);
            self.answer(&taken, if function == 5 { 4 } else { 2 }, 0, &[], 0, 0);
        }
        if function == 5
            && let Some(disk) = self.bus.disks.get_mut(&place)
        {
            disk.reset();
        }
        0
    }

    /// Carries out and answers the `nth` request that it has taken.
    pub fn finish(&mut self, nth: usize) {
        let taken = self.taken.remove(nth);
        match self.mischief {
            Some(ScsiMischief::Lose) => self.mischief = None,
            Some(ScsiMischief::Response(response)) => {
                self.mischief = None;
                self.answer(&taken, response, 0, &[], 0, 0);
            }
            Some(ScsiMischief::NoResponse) => {
                self.mischief = None;
                self.give_back(taken.queue, taken.head, ANSWER);
            }
            _ => self.perform(&taken),
        }
    }

    /// Serves everything at once.
    pub fn serve(&mut self) {
        self.take();
        while !self.taken.is_empty() {
            self.finish(0);
        }
    }

    fn perform(&mut self, taken: &Taken) {
        let first = taken.parts[0];
        assert!(first.len == REQUEST && !first.write, "a request begins with its header");
        let header: [u8; 51] = self.bus().load(first.bus);
        assert!(header[16..19] == [0; 3], "SIMPLE tasks, without priority");
        let (readable, writable) = split(&taken.parts);
        let mut out = vec![];
        for part in &readable {
            let (window, offset) = self.bus().at(part.bus, part.len as usize);
            let mut bytes = vec![0; part.len as usize];
            window.copy_out(offset, &mut bytes);
            out.extend(bytes);
        }
        assert!(out.is_empty() || writable.is_empty(), "payload in both directions");
        let room: usize = writable.iter().map(|part| part.len as usize).sum();
        let place = Self::place(&header[..8]).expect("a unit's address");
        let Some(reply) = self.bus.perform(NEXUS, place, &header[19..], &out) else {
            return self.answer(taken, 3, 0, &[], 0, 0);
        };
        let moved = reply.data.len().min(room);
        let mut rest = &reply.data[..moved];
        for part in &writable {
            let (now, later) = rest.split_at(rest.len().min(part.len as usize));
            self.bus().store(part.bus, now);
            rest = later;
        }
        let missing = if out.is_empty() {
            room - moved
        } else if reply.status == 0 {
            0
        } else {
            out.len()
        };
        let response = u8::from(reply.data.len() > room);
        self.answer(taken, response, reply.status, &reply.sense, missing as u32, moved as u32);
    }

    fn answer(&mut self, taken: &Taken, response: u8, status: u8, sense: &[u8], missing: u32, moved: u32) {
        let answer = taken.parts.iter().find(|part| part.write).expect("room for an answer");
        assert_eq!(answer.len, ANSWER, "an answer with 96 bytes of sense data");
        let mut bytes = vec![0; 12 + sense.len()];
        bytes[..4].copy_from_slice(&(sense.len() as u32).to_le_bytes());
        bytes[4..8].copy_from_slice(&missing.to_le_bytes());
        (bytes[10], bytes[11]) = (status, response);
        bytes[12..].copy_from_slice(sense);
        self.bus().store(answer.bus, &bytes);
        self.give_back(taken.queue, taken.head, ANSWER + moved);
    }
}

/// The payload that is read and the payload that is written.
fn split(parts: &[Part]) -> (Vec<Part>, Vec<Part>) {
    let readable = parts[1..].iter().filter(|part| !part.write).copied().collect();
    let writable: Vec<Part> = parts[1..].iter().filter(|part| part.write).copied().collect();
    (readable, writable[1..].to_vec())
}
