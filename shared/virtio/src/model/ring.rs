// SPDX-License-Identifier: MIT
//! The device's side of the split virtqueue, and what both kinds share; written from the specification and not from the driver.
use super::{Mischief, Model};
use std::vec::Vec;

/// How far the device has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position {
    /// Next entry of the available ring.
    pub avail: u16,
    /// Next entry of the used ring.
    pub used: u16,
    /// Of a packed ring: laps begun for each of the two.
    pub laps: [u16; 2],
}

/// A buffer of a request.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    /// Bus address.
    pub bus: u64,
    /// Bytes.
    pub len: u32,
    /// Whether the device writes it.
    pub write: bool,
}

/// A request that the device has taken.
#[derive(Clone, Debug)]
pub struct Taken {
    /// The queue that it came by.
    pub queue: u16,
    /// The descriptor that heads it; in a packed ring, its id.
    pub head: u16,
    /// Its buffers.
    pub parts: Vec<Part>,
}

/// A request that the device has not used yet.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    /// As in [`Taken`].
    pub head: u16,
    /// Entries of the ring that it takes.
    pub entries: u16,
    /// Bytes written, once it is done.
    pub done: Option<u32>,
}

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;

impl Model {
    /// Takes all new requests from the available ring.
    pub(super) fn take_available(&mut self, nth: u16) {
        let [table, avail, used] = self.queues[usize::from(nth)].areas;
        let size = self.queues[usize::from(nth)].size;
        loop {
            let index = u16::from_le_bytes(self.bus().load(avail + 2));
            let mut position = self.queues[usize::from(nth)].position.avail;
            assert!(index.wrapping_sub(position) <= size, "the driver ran over the ring");
            while position != index {
                let slot = u64::from(position % size);
                let head = u16::from_le_bytes(self.bus().load(avail + 4 + 2 * slot));
                if self.negotiated_has(35) {
                    // 2.7.9: descriptors in the order of the table; here each request is one.
                    assert_eq!(head, position % size, "a descriptor out of order");
                }
                let parts = self.chain(table, head, size);
                self.hold(nth, Held { head, entries: 1, done: None }, parts);
                position = position.wrapping_add(1);
                self.queues[usize::from(nth)].position.avail = position;
            }
            // Ask for a notification of the next one, then look whether it came meanwhile.
            if self.negotiated_has(29) {
                self.bus().store(used + 4 + 8 * u64::from(size), &position.to_le_bytes());
            }
            if u16::from_le_bytes(self.bus().load(avail + 2)) == position {
                return;
            }
        }
    }

    /// Remembers a request that was taken.
    pub(super) fn hold(&mut self, nth: u16, held: Held, parts: Vec<Part>) {
        let queue = &mut self.queues[usize::from(nth)];
        assert!(queue.order.iter().all(|h| h.head != held.head), "the driver offered a request twice");
        queue.order.push_back(held);
        self.taken.push(Taken { queue: nth, head: held.head, parts });
    }

    fn chain(&self, table: u64, head: u16, size: u16) -> Vec<Part> {
        assert!(head < size);
        let (bus, len, flags, _) = self.descriptor(table, head);
        if flags & INDIRECT == 0 {
            return self.walk(table, head, size);
        }
        assert!(self.negotiated_has(28), "an indirect table that was not negotiated");
        assert!(flags == INDIRECT && len % 16 == 0 && len > 0);
        self.walk(bus, 0, (len / 16) as u16)
    }

    fn walk(&self, table: u64, head: u16, count: u16) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        let mut index = head;
        loop {
            assert!(index < count && parts.len() < usize::from(count), "a chain that leaves its table, or a loop");
            let (bus, len, flags, next) = self.descriptor(table, index);
            assert!(flags & !(NEXT | WRITE) == 0, "unknown descriptor flags {flags:#x}");
            let write = flags & WRITE != 0;
            assert!(write || parts.last().is_none_or(|p| !p.write), "a readable buffer after a writable one");
            self.bus().at(bus, len as usize);
            parts.push(Part { bus, len, write });
            if flags & NEXT == 0 {
                return parts;
            }
            index = next;
        }
    }

    fn descriptor(&self, table: u64, index: u16) -> (u64, u32, u16, u16) {
        let d: [u8; 16] = self.bus().load(table + 16 * u64::from(index));
        let (bus, len) =
            (u64::from_le_bytes(d[..8].try_into().unwrap()), u32::from_le_bytes(d[8..12].try_into().unwrap()));
        let (flags, next) = (u16::from_le_bytes([d[12], d[13]]), u16::from_le_bytes([d[14], d[15]]));
        (bus, len, flags, next)
    }

    /// Gives a request back that is done: at once, or with IN_ORDER when all before it are, and then perhaps many as one.
    pub(super) fn give_back(&mut self, nth: u16, head: u16, written: u32) {
        let in_order = self.negotiated_has(35);
        let queue = &mut self.queues[usize::from(nth)];
        let place = queue.order.iter().position(|held| held.head == head).expect("it was taken");
        if !in_order {
            let held = queue.order.remove(place).unwrap();
            return self.use_up(nth, head, written, held.entries, 1);
        }
        queue.order[place].done = Some(written);
        let ready = queue.order.iter().take_while(|held| held.done.is_some()).count();
        let batch: Vec<Held> = queue.order.drain(..ready).collect();
        // One entry for all of them, or one for each: both are allowed.
        if ready > 1 && self.done.values().sum::<u64>() % 2 == 0 {
            let last = batch.last().unwrap();
            let entries = batch.iter().map(|held| held.entries).sum();
            return self.use_up(nth, last.head, last.done.unwrap(), entries, ready as u16);
        }
        batch.iter().for_each(|held| self.use_up(nth, held.head, held.done.unwrap(), held.entries, 1));
    }

    /// Uses `count` requests that take `entries` of a packed ring, of which the last is `head`, with what mischief there is.
    fn use_up(&mut self, nth: u16, head: u16, written: u32, entries: u16, count: u16) {
        let (mut id, mut written) = (u32::from(head), written);
        let mischief = self.mischief;
        let done = matches!(
            mischief,
            Some(
                Mischief::UseId(_)
                    | Mischief::ShortLength
                    | Mischief::Advance(_)
                    | Mischief::UseTwice
                    | Mischief::Silent
            )
        );
        if done {
            self.mischief = None;
        }
        match mischief {
            Some(Mischief::UseId(other)) => id = other,
            Some(Mischief::ShortLength) => written -= 1,
            Some(Mischief::UseTwice) => self.put(nth, id, written, (entries, count), true),
            Some(Mischief::Advance(by)) => return self.put(nth, id, written, (by.min(entries.max(by)), by), true),
            _ => {}
        }
        self.put(nth, id, written, (entries, count), mischief != Some(Mischief::Silent));
    }

    fn put(&mut self, nth: u16, id: u32, written: u32, (entries, advance): (u16, u16), speak: bool) {
        if self.negotiated_has(34) {
            return self.put_packed(nth, u16::try_from(id).unwrap_or(u16::MAX), written, entries, speak);
        }
        let [_, avail, used] = self.queues[usize::from(nth)].areas;
        let (size, old) = (self.queues[usize::from(nth)].size, self.queues[usize::from(nth)].position.used);
        let entry = used + 4 + 8 * u64::from(old % size);
        self.bus().store(entry, &id.to_le_bytes());
        self.bus().store(entry + 4, &written.to_le_bytes());
        let new = old.wrapping_add(advance);
        self.queues[usize::from(nth)].position.used = new;
        self.bus().store(used + 2, &new.to_le_bytes());
        let wanted = if self.negotiated_has(29) {
            let event = u16::from_le_bytes(self.bus().load(avail + 4 + 2 * u64::from(size)));
            // The index passes the event: counted one by one, to share no arithmetic with the driver.
            (0..advance).any(|step| old.wrapping_add(step) == event)
        } else {
            u16::from_le_bytes(self.bus().load(avail)) & 1 == 0
        };
        if wanted && speak {
            self.interrupt(nth);
        }
    }
}
