// SPDX-License-Identifier: MIT
//! What a node has above and below it.
use orion_block::{Completion, Limits, Request};

/// A request on its way down. The tag comes back with its completion and means nothing to the receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Submission {
    /// Chosen by the sender.
    pub tag: u32,
    /// What is asked.
    pub req: Request,
}

/// A neighbour broke the protocol. Its connection is closed and counted; nothing it says is used any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerMisbehaved {
    /// Upper or port number of the neighbour.
    pub port: u8,
    /// What it did.
    pub what: &'static str,
}

/// Why there are no further completions now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupted {
    /// A device broke the protocol.
    Misbehaved(PeerMisbehaved),
    /// The device below this port was restarted and serves again: what was submitted to it and not completed is lost, and is to
    /// be submitted again.
    Restarted(u8),
}

/// The clients above a node, numbered from 0.
pub trait Uppers {
    /// How many there are.
    fn count(&self) -> u8;
    /// Those that may have a request, a bit each.
    #[inline]
    fn asking(&self) -> u64 {
        1u64.checked_shl(self.count().into()).unwrap_or(0).wrapping_sub(1)
    }
    /// The next request of one of them. `None` also where there is no room for its answer.
    fn next(&mut self, upper: u8) -> Option<Submission>;
    /// Answers a request: exactly once for each that [`next`](Self::next) returned.
    fn complete(&mut self, upper: u8, tag: u32, done: Completion);
}

/// Whose turn it is: the first of `asking` at or after `from`, else the first of all. `asking` is not empty, `from` at
/// most one past the last upper.
#[inline]
pub fn turn(asking: u64, from: u8) -> u8 {
    let later = asking & u64::MAX.wrapping_shl(u32::from(from));
    let first = if later != 0 { later } else { asking }.trailing_zeros();
    u8::try_from(first).unwrap_or(0)
}

/// The devices below a node, numbered from 0: rings to other PDs, local queues, or a driver's hardware queue.
pub trait Lowers {
    /// How many there are.
    fn count(&self) -> u8;
    /// Most requests that may be in flight on a port. The node never submits more.
    fn capacity(&self, port: u8) -> u16;
    /// What the device on a port can do; `None` until it is ready.
    fn limits(&self, port: u8) -> Option<Limits>;
    /// Hands a request down. Within [`capacity`](Self::capacity) this cannot fail; what is handed to a device that is being
    /// restarted is lost, as [`next`](Self::next) then says.
    fn submit(&mut self, port: u8, submission: Submission);
    /// Whether there may be completions.
    #[inline]
    fn answering(&self) -> bool {
        true
    }
    /// The next completion: port, tag, result.
    ///
    /// # Errors
    /// Where a device answers what it was not asked, or was restarted. Tags are checked by the node.
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted>;
}

/// So that a node may also run between neighbours whose types are not known.
impl<T: Uppers + ?Sized> Uppers for &mut T {
    fn count(&self) -> u8 {
        (**self).count()
    }
    fn asking(&self) -> u64 {
        (**self).asking()
    }
    fn next(&mut self, upper: u8) -> Option<Submission> {
        (**self).next(upper)
    }
    fn complete(&mut self, upper: u8, tag: u32, done: Completion) {
        (**self).complete(upper, tag, done);
    }
}

/// As for [`Uppers`].
impl<T: Lowers + ?Sized> Lowers for &mut T {
    fn count(&self) -> u8 {
        (**self).count()
    }
    fn capacity(&self, port: u8) -> u16 {
        (**self).capacity(port)
    }
    fn limits(&self, port: u8) -> Option<Limits> {
        (**self).limits(port)
    }
    fn submit(&mut self, port: u8, submission: Submission) {
        (**self).submit(port, submission);
    }
    fn answering(&self) -> bool {
        (**self).answering()
    }
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        (**self).next()
    }
}
