// SPDX-License-Identifier: MIT
//! The client's end of a ring for a PD that asks for itself: what was asked and not answered when its server dies is asked
//! again as soon as the server is back, so that all its user sees is a delay.
use orion_ring::{Answer, Client, Full, Interrupted, PeerMisbehaved, ServerInfo, Submission};

/// The client's end of a ring. The ids of requests in flight differ, and are below `N`.
#[derive(Debug)]
pub struct ReplayClient<const N: usize> {
    ring: Client,
    /// What was pushed and not answered, by its id.
    kept: [Option<Submission>; N],
}

impl<const N: usize> ReplayClient<N> {
    /// Over a ring on which nothing was asked yet.
    pub const fn new(ring: Client) -> Self {
        Self { ring, kept: [None; N] }
    }

    /// What the server is; `None` until it is ready, and while it is restarted. See [`Client::server`].
    pub fn server(&mut self) -> Option<ServerInfo> {
        self.ring.server()
    }

    /// Most requests that the connection carries at once.
    pub fn capacity(&self) -> usize {
        self.ring.capacity()
    }

    /// Requests that may be pushed now; none while the server is restarted.
    #[inline]
    pub fn room(&self) -> usize {
        self.ring.room()
    }

    /// Stages a request, and keeps it until it is answered. The server sees it after [`publish`](Self::publish).
    ///
    /// # Errors
    /// [`Full`], also where a request of this id is in flight or the id is not below `N`.
    #[inline]
    pub fn push(&mut self, submission: Submission) -> Result<(), Full> {
        let place = usize::try_from(submission.id).ok().and_then(|id| self.kept.get_mut(id));
        let place = place.filter(|kept| kept.is_none()).ok_or(Full)?;
        self.ring.push(submission)?;
        *place = Some(submission);
        Ok(())
    }

    /// Takes the next answer. What a restart has lost is staged again here: [`publish`](Self::publish) after it.
    ///
    /// # Errors
    /// The server misbehaved, now or earlier, or it answered what was not asked.
    #[inline]
    pub fn pop(&mut self) -> Result<Option<Answer>, PeerMisbehaved> {
        loop {
            match self.ring.pop() {
                Ok(Some(answer)) => {
                    let kept = usize::try_from(answer.id).ok().and_then(|id| self.kept.get_mut(id));
                    let asked = kept.is_some_and(|kept| kept.take().is_some());
                    let unasked = PeerMisbehaved { what: "it answered a request that was not sent" };
                    return if asked { Ok(Some(answer)) } else { Err(unasked) };
                }
                Ok(None) => return Ok(None),
                Err(Interrupted::Misbehaved(misbehaved)) => return Err(misbehaved),
                Err(Interrupted::Restarted) => self.replay(),
            }
        }
    }

    /// Asks everything again that is not answered.
    #[cold]
    #[inline(never)]
    fn replay(&mut self) {
        for submission in self.kept.iter().flatten() {
            // As many as were in the ring before.
            let _ = self.ring.push(*submission);
        }
    }

    /// Shows the server all that was pushed; whether it has to be notified.
    #[inline]
    pub fn publish(&mut self) -> bool {
        self.ring.publish()
    }

    /// Says that we sleep, then looks again; whether nothing came meanwhile.
    #[inline]
    pub fn sleep(&mut self) -> bool {
        self.ring.sleep()
    }

    /// Says that we are awake.
    #[inline]
    pub fn wake(&mut self) {
        self.ring.wake();
    }

    /// Whether the server misbehaved, and how.
    pub fn misbehaved(&self) -> Option<PeerMisbehaved> {
        self.ring.misbehaved()
    }
}
