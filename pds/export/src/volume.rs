// SPDX-License-Identifier: MIT
//! What the export serves: a ring to the gatekeeper, or in tests a device in memory.
use orion_pd::links::ReplayClient;
use orion_ring::{Answer, PeerMisbehaved, Submission};

/// A queue to a block device. Blocks are counted in the unit of its limits; payload lies in the data region.
pub trait Volume {
    /// Requests that may be pushed now.
    fn room(&self) -> usize;

    /// Hands a request over. Within [`room`](Self::room) this cannot fail.
    fn push(&mut self, submission: Submission);

    /// The next answer.
    ///
    /// # Errors
    /// [`PeerMisbehaved`] where the server broke the ring's protocol: the volume is lost.
    fn pop(&mut self) -> Result<Option<Answer>, PeerMisbehaved>;
}

impl<const N: usize> Volume for ReplayClient<N> {
    fn room(&self) -> usize {
        ReplayClient::room(self)
    }

    fn push(&mut self, submission: Submission) {
        // Never full within the room that the caller keeps to.
        let _ = ReplayClient::push(self, submission);
    }

    fn pop(&mut self) -> Result<Option<Answer>, PeerMisbehaved> {
        ReplayClient::pop(self)
    }
}
