// SPDX-License-Identifier: MIT
//! The queue pair between two layers that share a PD: what stands in for a ring.
use crate::{Interrupted, Lowers, Submission, Uppers};
use heapless::Deque;
use orion_block::{Completion, Limits};

/// A queue pair of `N` entries. Of the node above it is the one device below; of the node below, the one client above.
#[derive(Debug, Default)]
pub struct Local<const N: usize> {
    submissions: Deque<Submission, N>,
    completions: Deque<(u32, Completion), N>,
    limits: Option<Limits>,
}

impl<const N: usize> Local<N> {
    /// An empty queue pair, whose device is not ready.
    pub const fn new() -> Self {
        Self { submissions: Deque::new(), completions: Deque::new(), limits: None }
    }

    /// Says what the node below offers; `None` while it is not ready.
    pub fn announce(&mut self, limits: Option<Limits>) {
        self.limits = limits;
    }
}

impl<const N: usize> Uppers for Local<N> {
    fn count(&self) -> u8 {
        1
    }
    fn next(&mut self, _: u8) -> Option<Submission> {
        self.submissions.pop_front()
    }
    fn complete(&mut self, _: u8, tag: u32, done: Completion) {
        let fits = self.completions.push_back((tag, done));
        debug_assert!(fits.is_ok(), "no more completions than the capacity was promised for");
    }
}

impl<const N: usize> Lowers for Local<N> {
    fn count(&self) -> u8 {
        1
    }
    fn capacity(&self, _: u8) -> u16 {
        u16::try_from(N).unwrap_or(u16::MAX)
    }
    fn limits(&self, _: u8) -> Option<Limits> {
        self.limits
    }
    fn submit(&mut self, _: u8, submission: Submission) {
        let fits = self.submissions.push_back(submission);
        debug_assert!(fits.is_ok(), "the node above keeps to the capacity");
    }
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        Ok(self.completions.pop_front().map(|(tag, done)| (0, tag, done)))
    }
}

/// Several local queues below one node: port `n` is the `n`th.
impl<const N: usize, const M: usize> Lowers for [Local<N>; M] {
    fn count(&self) -> u8 {
        u8::try_from(M).unwrap_or(u8::MAX)
    }
    fn capacity(&self, _: u8) -> u16 {
        u16::try_from(N).unwrap_or(u16::MAX)
    }
    fn limits(&self, port: u8) -> Option<Limits> {
        self.get(usize::from(port)).and_then(|q| q.limits)
    }
    fn submit(&mut self, port: u8, submission: Submission) {
        if let Some(queue) = self.get_mut(usize::from(port)) {
            queue.submit(0, submission);
        }
    }
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        for (port, queue) in (0..).zip(self.iter_mut()) {
            if let Some((tag, done)) = queue.completions.pop_front() {
                return Ok(Some((port, tag, done)));
            }
        }
        Ok(None)
    }
}

/// Nothing below: for layers that hold their blocks themselves.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoLowers;

impl Lowers for NoLowers {
    fn count(&self) -> u8 {
        0
    }
    fn capacity(&self, _: u8) -> u16 {
        0
    }
    fn limits(&self, _: u8) -> Option<Limits> {
        None
    }
    fn submit(&mut self, _: u8, _: Submission) {}
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        Ok(None)
    }
}
