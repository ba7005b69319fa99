// SPDX-License-Identifier: MIT
//! The device's side of the packed virtqueue (virtio 1.2, 2.8), written from the specification and not from the driver.
use super::Model;
use super::ring::{Held, Part};
use std::vec::Vec;

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
const AVAIL: u16 = 1 << 7;
const USED: u16 = 1 << 15;

/// A descriptor.
struct Descriptor {
    bus: u64,
    len: u32,
    id: u16,
    flags: u16,
}

impl Model {
    fn descriptor_at(&self, table: u64, index: u16) -> Descriptor {
        let d: [u8; 16] = self.bus().load(table + 16 * u64::from(index));
        Descriptor {
            bus: u64::from_le_bytes(d[..8].try_into().unwrap()),
            len: u32::from_le_bytes(d[8..12].try_into().unwrap()),
            id: u16::from_le_bytes([d[12], d[13]]),
            flags: u16::from_le_bytes([d[14], d[15]]),
        }
    }

    /// The wrap counter of the lap: the first is 1.
    fn wrap(lap: u16) -> bool {
        lap.is_multiple_of(2)
    }

    /// The next descriptor if the driver made it available, and past it.
    fn next_available(&mut self, nth: u16) -> Option<Descriptor> {
        let queue = &self.queues[usize::from(nth)];
        let (at, wrap) = (queue.position.avail, Self::wrap(queue.position.laps[0]));
        let found = self.descriptor_at(queue.areas[0], at);
        let (avail, used) = (found.flags & AVAIL != 0, found.flags & USED != 0);
        if avail != wrap || used == wrap {
            return None;
        }
        let queue = &mut self.queues[usize::from(nth)];
        queue.position.avail += 1;
        if queue.position.avail == queue.size {
            (queue.position.avail, queue.position.laps[0]) = (0, queue.position.laps[0].wrapping_add(1));
        }
        Some(found)
    }

    /// Takes all new requests.
    pub(super) fn take_packed(&mut self, nth: u16) {
        loop {
            while let Some(first) = self.next_available(nth) {
                self.take_chain(nth, first);
            }
            let queue = &self.queues[usize::from(nth)];
            let (at, wrap, event) = (queue.position.avail, Self::wrap(queue.position.laps[0]), queue.areas[2]);
            // Ask for a notification of the next one, then look whether it came meanwhile.
            if self.negotiated_has(29) {
                self.bus().store(event, &(at | u16::from(wrap) << 15).to_le_bytes());
                self.bus().store(event + 2, &2u16.to_le_bytes());
            }
            let flags = self.descriptor_at(self.queues[usize::from(nth)].areas[0], at).flags;
            if (flags & AVAIL != 0) != wrap || (flags & USED != 0) == wrap {
                return;
            }
        }
    }

    fn take_chain(&mut self, nth: u16, first: Descriptor) {
        let known = NEXT | WRITE | INDIRECT | AVAIL | USED;
        let (mut parts, mut entries, mut last) = (Vec::new(), 1, first);
        loop {
            assert!(last.flags & !known == 0, "unknown descriptor flags {:#x}", last.flags);
            if last.flags & INDIRECT != 0 {
                assert!(self.negotiated_has(28), "an indirect table that was not negotiated");
                assert!(last.flags & (NEXT | WRITE) == 0 && last.len % 16 == 0 && last.len > 0 && entries == 1);
                self.walk_packed(last.bus, (last.len / 16) as u16, &mut parts);
            } else {
                self.add(&mut parts, last.bus, last.len, last.flags & WRITE != 0);
            }
            if last.flags & NEXT == 0 {
                break;
            }
            // All of a chain is available at once (2.8.21).
            last = self.next_available(nth).expect("the rest of a chain is not available");
            entries += 1;
            assert!(entries <= self.queues[usize::from(nth)].size, "a chain longer than the ring");
        }
        let outstanding: u16 = self.queues[usize::from(nth)].order.iter().map(|held| held.entries).sum();
        assert!(outstanding + entries <= self.queues[usize::from(nth)].size, "the driver ran over the ring");
        self.hold(nth, Held { head: last.id, entries, done: None }, parts);
    }

    fn walk_packed(&self, table: u64, count: u16, parts: &mut Vec<Part>) {
        for index in 0..count {
            let d = self.descriptor_at(table, index);
            assert!(d.flags & !WRITE == 0, "flags {:#x} in an indirect table", d.flags);
            self.add(parts, d.bus, d.len, d.flags & WRITE != 0);
        }
    }

    fn add(&self, parts: &mut Vec<Part>, bus: u64, len: u32, write: bool) {
        assert!(write || parts.last().is_none_or(|p| !p.write), "a readable buffer after a writable one");
        self.bus().at(bus, len as usize);
        parts.push(Part { bus, len, write });
    }

    /// Writes a used descriptor, goes on by `entries`, and interrupts the driver if it wants that.
    pub(super) fn put_packed(&mut self, nth: u16, id: u16, written: u32, entries: u16, speak: bool) {
        let queue = &self.queues[usize::from(nth)];
        let [ring, driver, _] = queue.areas;
        let (at, wrap, size) = (queue.position.used, Self::wrap(queue.position.laps[1]), queue.size);
        let place = ring + 16 * u64::from(at);
        self.bus().store(place + 8, &written.to_le_bytes());
        self.bus().store(place + 12, &id.to_le_bytes());
        // The flags last: they say that there is something.
        self.bus().store(place + 14, &if wrap { AVAIL | USED } else { 0 }.to_le_bytes());
        let (event, flags) =
            (u16::from_le_bytes(self.bus().load(driver)), u16::from_le_bytes(self.bus().load(driver + 2)));
        let mut passed = false;
        for _ in 0..entries {
            let queue = &mut self.queues[usize::from(nth)];
            let position = &mut queue.position;
            passed |= event == position.used | u16::from(Self::wrap(position.laps[1])) << 15;
            position.used += 1;
            if position.used == size {
                (position.used, position.laps[1]) = (0, position.laps[1].wrapping_add(1));
            }
        }
        let wanted = match flags {
            0 => true,
            1 => false,
            _ => passed && self.negotiated_has(29),
        };
        if wanted && speak {
            self.interrupt(nth);
        }
    }
}
