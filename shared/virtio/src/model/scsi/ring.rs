// SPDX-License-Identifier: MIT
//! The device's side of its three split virtqueues, written from the specification and not from the driver.
use super::{ScsiMischief, ScsiModel};
use std::vec::Vec;

/// One queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct Queue {
    /// Entries.
    pub size: u16,
    /// Whether it is in use.
    pub ready: bool,
    /// Descriptors, the driver's and the device's area.
    pub areas: [u64; 3],
    avail: u16,
    used: u16,
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
    /// Its queue.
    pub queue: usize,
    /// The descriptor that heads it.
    pub head: u16,
    /// Its buffers.
    pub parts: Vec<Part>,
}

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;

impl ScsiModel {
    /// The next chain of a queue, if there is one.
    pub(super) fn next_chain(&mut self, number: usize) -> Option<Taken> {
        let [table, avail, used] = self.queues[number].areas;
        let (size, next) = (self.queues[number].size, self.queues[number].avail);
        // Ask for a notification of the next one, then look whether it is there.
        if self.has(29) {
            self.bus().store(used + 4 + 8 * u64::from(size), &next.to_le_bytes());
        }
        let index = u16::from_le_bytes(self.bus().load(avail + 2));
        assert!(index.wrapping_sub(next) <= size, "the driver ran over the ring");
        if index == next {
            return None;
        }
        let head = u16::from_le_bytes(self.bus().load(avail + 4 + 2 * u64::from(next % size)));
        self.queues[number].avail = next.wrapping_add(1);
        let parts = self.chain(table, head, size);
        Some(Taken { queue: number, head, parts })
    }

    fn chain(&self, table: u64, head: u16, size: u16) -> Vec<Part> {
        assert!(head < size);
        let (bus, len, flags, _) = self.descriptor(table, head);
        if flags & INDIRECT == 0 {
            return self.walk(table, head, size);
        }
        assert!(self.has(28), "an indirect table that was not negotiated");
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
        (bus, len, u16::from_le_bytes([d[12], d[13]]), u16::from_le_bytes([d[14], d[15]]))
    }

    /// Puts a chain into a queue's used ring, and interrupts the driver if it wants that.
    pub(super) fn give_back(&mut self, number: usize, head: u16, written: u32) {
        let (mut id, mut written, mut advance) = (u32::from(head), written, 1);
        let mischief = if number >= 2 { self.mischief } else { None };
        match mischief {
            Some(ScsiMischief::UseId(other)) => id = other,
            Some(ScsiMischief::ShortLength) => written = written.saturating_sub(1),
            Some(ScsiMischief::Advance(by)) => advance = by,
            Some(ScsiMischief::UseTwice) => {
                self.mischief = None;
                self.put(number, id, written, 1);
                return self.put(number, id, written, 1);
            }
            _ => return self.put(number, id, written, 1),
        }
        self.mischief = None;
        self.put(number, id, written, advance);
    }

    fn put(&mut self, number: usize, id: u32, written: u32, advance: u16) {
        let Queue { size, areas: [_, avail, used], used: old, .. } = self.queues[number];
        let entry = used + 4 + 8 * u64::from(old % size);
        self.bus().store(entry, &id.to_le_bytes());
        self.bus().store(entry + 4, &written.to_le_bytes());
        let index = old.wrapping_add(advance);
        self.queues[number].used = index;
        self.bus().store(used + 2, &index.to_le_bytes());
        let wanted = if self.has(29) {
            let event = u16::from_le_bytes(self.bus().load(avail + 4 + 2 * u64::from(size)));
            // The index passes the event: counted one by one, to share no arithmetic with the driver.
            (0..advance).any(|step| old.wrapping_add(step) == event)
        } else {
            u16::from_le_bytes(self.bus().load(avail)) & 1 == 0
        };
        if wanted {
            self.raised = true;
            self.isr |= 1;
        }
    }
}
