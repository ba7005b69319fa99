// SPDX-License-Identifier: MIT
//! What a plain sDDF client prints: the end of sDDF 0.7's serial queue that reads.
//!
//! Layout of the one region: the queue's page with u32 tail (bytes written) at 0, u32 head (bytes read) at 4 and u32
//! `producer_signalled` at 8, then the data. Both counters are free-running and wrap at 2^32, so the data's size is a
//! power of two.
use crate::AttachError;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::fence;
use orion_region::Window;

const TAIL: usize = 0;
const HEAD: usize = 4;
const SIGNALLED: usize = 8;
/// Where the data begins: after a page, so that the two are regions of their own to sDDF.
pub const DATA: usize = 4096;

/// The end that reads.
#[derive(Debug)]
pub struct Reader {
    window: Window,
    /// Bytes of data: a power of two.
    capacity: u32,
    /// Bytes that we have read.
    head: u32,
}

impl Reader {
    /// Takes the reading end. What stands in the queue already is read, unless its counters make no sense.
    ///
    /// # Errors
    /// The region's data is not a power of two of bytes.
    pub fn attach(window: Window) -> Result<Self, AttachError> {
        let found = window.len();
        let size = u32::try_from(found.saturating_sub(DATA)).ok().filter(|size| size.is_power_of_two());
        let capacity = size.ok_or(AttachError::TooSmall { region: "serial queue", needed: DATA + 1, found })?;
        let (head, tail) = (window.load(HEAD, Relaxed), window.load(TAIL, Acquire));
        let head = if tail.wrapping_sub(head) <= capacity { head } else { tail };
        Ok(Self { window, capacity, head })
    }

    /// Reads at most `to.len()` bytes. How many were read: 0 also where the writer's counter makes no sense.
    pub fn read(&mut self, to: &mut [u8]) -> usize {
        let used = self.window.load(TAIL, Acquire).wrapping_sub(self.head);
        let used = if used <= self.capacity { used as usize } else { 0 };
        let take = used.min(to.len());
        let slot = (self.head % self.capacity) as usize;
        let to_end = self.capacity as usize - slot;
        let (first, rest) = to.split_at_mut(to_end.min(take));
        let (second, _) = rest.split_at_mut(take - first.len());
        self.window.copy_out(DATA + slot, first);
        self.window.copy_out(DATA, second);
        self.head = self.head.wrapping_add(u32::try_from(take).unwrap_or(0));
        self.window.store(HEAD, self.head, Release);
        take
    }

    /// Whether the writer asked to be notified once there is room; it is told so once.
    pub fn wants_signal(&mut self) -> bool {
        // Either the writer, having asked, sees our head, or we see that it asked.
        fence(SeqCst);
        let wants = self.window.load(SIGNALLED, Relaxed) == 0;
        if wants {
            self.window.store(SIGNALLED, 1, Relaxed);
        }
        wants
    }
}
