// SPDX-License-Identifier: MIT
//! Bytes of the stream that were received ahead of being understood.

/// Bytes of a request's head.
const HEAD: usize = 28;
/// Most bytes received ahead: the heads of so many reads.
const SIZE: usize = 16 * HEAD;

/// Received bytes.
#[derive(Debug)]
pub(crate) struct Inbox {
    bytes: [u8; SIZE],
    start: usize,
    end: usize,
    /// The last request was a write, so payload is likely to follow the next head.
    writing: bool,
}

impl Inbox {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; SIZE], start: 0, end: 0, writing: false }
    }

    /// What was received and not taken.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or(&[])
    }

    pub(crate) fn take(&mut self, n: usize) {
        self.start = self.start.saturating_add(n).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Says what the last request was: after a write no more than a head is received at once, since payload that follows
    /// it is to go straight to its place.
    pub(crate) fn expect_payload(&mut self, writing: bool) {
        self.writing = writing;
    }

    /// Where to receive more. Only while nothing is left to be taken.
    pub(crate) fn space(&mut self) -> &mut [u8] {
        let most = if self.writing { HEAD } else { SIZE };
        self.bytes.get_mut(..most).unwrap_or(&mut [])
    }

    /// Where to receive the head of the next request, right behind a payload.
    pub(crate) fn next_head(&mut self) -> &mut [u8] {
        self.bytes.get_mut(..HEAD).unwrap_or(&mut [])
    }

    /// `n` bytes of the space were received.
    pub(crate) fn filled(&mut self, n: usize) {
        (self.start, self.end) = (0, n.min(SIZE));
    }
}
