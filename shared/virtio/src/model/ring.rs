// SPDX-License-Identifier: MIT
//! The device's side of the split virtqueue, written from the specification and not from the driver.
use super::{Mischief, Model};
use std::vec::Vec;

/// How far the device has come.
#[derive(Clone, Copy, Debug, Default)]
pub struct Position {
    /// Next entry of the available ring.
    pub avail: u16,
    /// Next entry of the used ring.
    pub used: u16,
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
    /// The descriptor that heads it.
    pub head: u16,
    /// Its buffers.
    pub parts: Vec<Part>,
}

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;

impl Model {
    /// Takes all new requests from the available ring.
    pub(super) fn take_available(&mut self) {
        let [table, avail, used] = self.queue.areas;
        loop {
            let index = u16::from_le_bytes(self.load(avail + 2));
            assert!(index.wrapping_sub(self.position.avail) <= self.queue.size, "the driver ran over the ring");
            while self.position.avail != index {
                let slot = u64::from(self.position.avail % self.queue.size);
                let head = u16::from_le_bytes(self.load(avail + 4 + 2 * slot));
                assert!(self.taken.iter().all(|t| t.head != head), "the driver offered a request twice");
                let parts = self.chain(table, head);
                self.taken.push(Taken { head, parts });
                self.position.avail = self.position.avail.wrapping_add(1);
            }
            // Ask for a notification of the next one, then look whether it came meanwhile.
            if self.negotiated_has(29) {
                let event = used + 4 + 8 * u64::from(self.queue.size);
                self.store(event, &self.position.avail.to_le_bytes());
            }
            if u16::from_le_bytes(self.load(avail + 2)) == self.position.avail {
                return;
            }
        }
    }

    fn chain(&self, table: u64, head: u16) -> Vec<Part> {
        assert!(head < self.queue.size);
        let (bus, len, flags, _) = self.descriptor(table, head);
        if flags & INDIRECT == 0 {
            return self.walk(table, head, self.queue.size);
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
            self.at(bus, len as usize);
            parts.push(Part { bus, len, write });
            if flags & NEXT == 0 {
                return parts;
            }
            index = next;
        }
    }

    fn descriptor(&self, table: u64, index: u16) -> (u64, u32, u16, u16) {
        let d: [u8; 16] = self.load(table + 16 * u64::from(index));
        let (bus, len) =
            (u64::from_le_bytes(d[..8].try_into().unwrap()), u32::from_le_bytes(d[8..12].try_into().unwrap()));
        let (flags, next) = (u16::from_le_bytes([d[12], d[13]]), u16::from_le_bytes([d[14], d[15]]));
        (bus, len, flags, next)
    }

    /// Puts a request into the used ring, and interrupts the driver if it wants that.
    pub(super) fn give_back(&mut self, head: u16, written: u32) {
        let (mut id, mut written) = (u32::from(head), written);
        match self.mischief {
            Some(Mischief::UseId(other)) => id = other,
            Some(Mischief::ShortLength) => written -= 1,
            Some(Mischief::UseTwice) => {
                self.mischief = None;
                self.put(id, written, 1);
            }
            _ => {}
        }
        match self.mischief {
            Some(Mischief::Advance(by)) => self.put(id, written, by),
            _ => self.put(id, written, 1),
        }
        if matches!(self.mischief, Some(Mischief::UseId(_) | Mischief::ShortLength | Mischief::Advance(_))) {
            self.mischief = None;
        }
    }

    fn put(&mut self, id: u32, written: u32, advance: u16) {
        let [_, avail, used] = self.queue.areas;
        let entry = used + 4 + 8 * u64::from(self.position.used % self.queue.size);
        self.store(entry, &id.to_le_bytes());
        self.store(entry + 4, &written.to_le_bytes());
        let old = self.position.used;
        self.position.used = old.wrapping_add(advance);
        self.store(used + 2, &self.position.used.to_le_bytes());
        let wanted = if self.negotiated_has(29) {
            let event = u16::from_le_bytes(self.load(avail + 4 + 2 * u64::from(self.queue.size)));
            // The index passes the event: counted one by one, to share no arithmetic with the driver.
            (0..advance).any(|step| old.wrapping_add(step) == event)
        } else {
            u16::from_le_bytes(self.load(avail)) & 1 == 0
        };
        if wanted {
            self.interrupt();
        }
    }
}
