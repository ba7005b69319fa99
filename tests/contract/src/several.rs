// SPDX-License-Identifier: MIT
//! Several disks in memory below one layer.
use crate::pattern::Numbers;
use crate::stack::{Bottom, Memory, Ram};
use orion_block::{BlockSize, Completion, Instant, Limits};
use orion_layer::{Interrupted, Lowers, Submission};

/// Requests in flight at each.
const ROOM: u16 = 512;

/// Several disks in memory, each a port of the layer above, which go on in turns that differ.
pub struct Several {
    disks: Vec<Memory>,
    /// What was handed down and found no room yet.
    waiting: Vec<Vec<Submission>>,
    open: Vec<usize>,
    numbers: Numbers,
}

impl Several {
    /// Disks that hold these bytes.
    pub fn new(images: Vec<Vec<u8>>, block: BlockSize) -> Self {
        let count = images.len();
        let disks = images.into_iter().map(|bytes| Memory::new(bytes, block)).collect();
        Self { disks, waiting: vec![Vec::new(); count], open: vec![0; count], numbers: Numbers::new(5) }
    }
}

impl Lowers for Several {
    fn count(&self) -> u8 {
        self.disks.len() as u8
    }
    fn capacity(&self, _: u8) -> u16 {
        ROOM
    }
    fn limits(&self, port: u8) -> Option<Limits> {
        self.disks.get(usize::from(port))?.limits(0)
    }
    fn submit(&mut self, port: u8, submission: Submission) {
        self.waiting[usize::from(port)].push(submission);
    }
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        for (port, disk) in (0u8..).zip(&mut self.disks) {
            match disk.next() {
                Ok(None) => {}
                Ok(Some((_, tag, done))) => {
                    self.open[usize::from(port)] -= 1;
                    return Ok(Some((port, tag, done)));
                }
                Err(Interrupted::Restarted(_)) => return Err(Interrupted::Restarted(port)),
                Err(other) => return Err(other),
            }
        }
        Ok(None)
    }
}

impl Bottom for Several {
    fn step(&mut self, ram: &mut Ram, now: Instant) -> bool {
        let mut moved = false;
        for (port, disk) in self.disks.iter_mut().enumerate() {
            let room = usize::from(disk.capacity(0)) - self.open[port];
            let waiting = &mut self.waiting[port];
            let take = waiting.len().min(room).min(1 + self.numbers.below(4));
            for submission in waiting.drain(..take) {
                self.open[port] += 1;
                disk.submit(0, submission);
            }
            moved |= disk.step(ram, now) || !waiting.is_empty();
        }
        moved
    }

    fn lose_power(&mut self) -> bool {
        true
    }

    /// One of them is restarted.
    fn restart(&mut self) -> bool {
        self.open[0] = 0;
        self.waiting[0].clear();
        self.disks[0].restart()
    }
}
