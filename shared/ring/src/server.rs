// SPDX-License-Identifier: MIT
//! The end of a connection that answers.
use crate::counter::{Cursor, Shape, Wrap};
use crate::extension::{self, CLIENT_MAGIC, VERSION};
use crate::shared::{Mapped, Memory, Shared, Word};
use crate::{Answer, AttachError, Incoming, PeerMisbehaved, ServerInfo, Submission, codes, page, wire};
use core::mem::offset_of;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use orion_block::{BlockSize, Error, POLICY_BLOCK};

const AWAKE: Word = Word::ServerPage(extension::SERVER + offset_of!(extension::Server, awake));
const CLIENT_AWAKE: Word = Word::ClientPage(offset_of!(extension::Client, awake));

/// The server's end of a connection.
///
/// It takes no request whose answer might not find room, whatever the client writes as its head.
#[derive(Debug)]
pub struct Server<M = Mapped> {
    memory: M,
    shape: Shape,
    /// Requests beyond `seen` that may be taken without a closer look at the room for their answers.
    room: u32,
    /// The next request.
    head: Cursor,
    /// `head` as the client sees it.
    taken: u32,
    /// Up to here there are requests, and room for their answers.
    seen: u32,
    /// Where the next answer goes.
    tail: Cursor,
    /// `tail` as the client sees it.
    published: u32,
    /// The client's head when we last looked.
    freed: u32,
    /// Requests taken and not yet answered.
    outstanding: u32,
    /// The unit we offer.
    offered: Option<BlockSize>,
    client: Peer,
    dead: Option<PeerMisbehaved>,
}

/// What the client is. Found out with its first request, and fixed from then on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    Unknown,
    Plain,
    Extended(BlockSize),
}

impl Server {
    /// Takes the server's end of a connection whose queues have `capacity` entries.
    ///
    /// # Errors
    /// The memory does not fit.
    pub fn attach(memory: Memory, capacity: u16) -> Result<Self, AttachError> {
        let mapped = Mapped::new(memory, capacity)?;
        let wrap = mapped.wrap();
        Ok(Self::over(mapped, capacity, wrap))
    }
}

impl<M: Shared> Server<M> {
    /// The server's end over any memory that holds `capacity` entries. It resumes at the counters that it finds there,
    /// and owes no answer to what was taken before.
    pub fn over(memory: M, capacity: u16, wrap: Wrap) -> Self {
        let shape = Shape::new(u32::from(capacity), wrap);
        page::clear(&memory);
        let head = shape.cursor(memory.load(Word::RequestHead, Relaxed));
        let tail = shape.cursor(memory.load(Word::ResponseTail, Relaxed));
        let freed = memory.load(Word::ResponseHead, Acquire);
        let mut server = Self {
            room: 0,
            head: head.unwrap_or_default(),
            taken: head.unwrap_or_default().count,
            seen: head.unwrap_or_default().count,
            tail: tail.unwrap_or_default(),
            published: tail.unwrap_or_default().count,
            freed,
            outstanding: 0,
            offered: None,
            client: Peer::Unknown,
            dead: None,
            memory,
            shape,
        };
        match (shape.cursor(freed), shape.distance(freed, server.tail.count)) {
            (Some(_), Some(_)) if head.is_some() && tail.is_some() => {}
            _ => {
                server.close("the ring's counters were not ours when we attached");
            }
        }
        server
    }

    /// Tells the client what we are, and that we are ready; notify it then. May be called again when something changed; the unit of
    /// blocks (`limits.block`) stays what it was first.
    pub fn announce(&mut self, info: &ServerInfo) {
        self.offered = Some(info.limits.block);
        page::write(&self.memory, info);
    }

    /// The unit in which the client counts blocks: 4096 bytes of a plain sDDF client, our logical block otherwise. It is
    /// known from the first request on; before, 4096 bytes.
    #[inline]
    pub fn unit(&self) -> BlockSize {
        match self.client {
            Peer::Extended(unit) => unit,
            Peer::Plain | Peer::Unknown => POLICY_BLOCK,
        }
    }

    /// Takes the next request. `None` also while the client has left no room for its answer.
    ///
    /// # Errors
    /// The client misbehaved, now or earlier.
    #[inline]
    pub fn pop(&mut self) -> Result<Option<Incoming>, PeerMisbehaved> {
        if self.head.count == self.seen && !self.look()? {
            return Ok(None);
        }
        let request = self.memory.request(self.head.slot);
        self.head = self.shape.next(self.head);
        self.outstanding += 1;
        Ok(Some(incoming(request)))
    }

    /// Lets the client see what was taken: once for a batch.
    #[inline]
    fn show_taken(&mut self) {
        if self.taken != self.head.count {
            self.taken = self.head.count;
            self.memory.store(Word::RequestHead, self.taken, Release);
        }
    }

    /// Looks for requests that weren't there before, as many as have room for their answers.
    #[inline]
    fn look(&mut self) -> Result<bool, PeerMisbehaved> {
        if let Some(misbehaved) = self.dead {
            return Err(misbehaved);
        }
        let tail = self.memory.load(Word::RequestTail, Acquire);
        if tail == self.head.count {
            return Ok(false);
        }
        let Some(waiting) = self.shape.distance(self.head.count, tail) else {
            return Err(self.close("its request queue holds more than its capacity"));
        };
        if self.client == Peer::Unknown {
            self.greet()?;
        }
        if self.room == 0 && !self.look_for_room()? {
            return Ok(false);
        }
        let taken = waiting.min(self.room);
        self.room -= taken;
        self.seen = self.shape.ahead(self.head.count, taken);
        Ok(true)
    }

    /// Looks whether the client has taken answers, and whether one more then finds room.
    #[inline(never)]
    fn look_for_room(&mut self) -> Result<bool, PeerMisbehaved> {
        if let Some(misbehaved) = self.dead {
            return Err(misbehaved);
        }
        let head = self.memory.load(Word::ResponseHead, Acquire);
        let unread = self.shape.distance(self.freed, self.published);
        match (self.shape.distance(self.freed, head), unread) {
            (Some(taken), Some(unread)) if taken <= unread => {
                self.freed = head;
                let given = self.shape.distance(head, self.tail.count).unwrap_or(self.shape.capacity());
                let promised = self.shape.distance(self.head.count, self.seen).unwrap_or(0);
                let used = self.outstanding.saturating_add(given).saturating_add(promised);
                let fits = self.shape.fits(head, used.saturating_add(1));
                self.room = self.shape.always().saturating_sub(used).max(u32::from(fits));
                Ok(fits)
            }
            _ => Err(self.close("it took answers that were never given")),
        }
    }

    /// Reads the client's page, once: the unit can't change while requests are in flight.
    #[cold]
    #[inline(never)]
    fn greet(&mut self) -> Result<(), PeerMisbehaved> {
        let word = |at: usize| self.memory.load(Word::ClientPage(at), Acquire);
        if word(offset_of!(extension::Client, magic)) != CLIENT_MAGIC {
            self.client = Peer::Plain;
            return Ok(());
        }
        let version = word(offset_of!(extension::Client, version));
        let unit = extension::block_size(word(offset_of!(extension::Client, block_shift)));
        match unit {
            Some(unit) if version == VERSION && self.offered == Some(unit) => {
                self.client = Peer::Extended(unit);
                Ok(())
            }
            _ => Err(self.close("its page claims a version or a unit of blocks that was not offered")),
        }
    }

    /// Stages an answer to a request that was taken. The client sees it after [`publish`](Self::publish). An answer that
    /// nobody waits for is dropped.
    #[inline]
    pub fn push(&mut self, answer: Answer) {
        if self.outstanding == 0 {
            return;
        }
        let status = answer.status.map_or_else(|error| self.code(error), |()| codes::status::OK);
        let response = wire::Response { status, success_count: answer.blocks, pad: 0, id: answer.id };
        self.memory.put_response(self.tail.slot, response);
        self.tail = self.shape.next(self.tail);
        self.outstanding -= 1;
    }

    /// What a failure is called to this client.
    #[cold]
    #[inline(never)]
    fn code(&self, error: Error) -> u32 {
        match self.client {
            Peer::Extended(_) => codes::from_error(error),
            Peer::Plain | Peer::Unknown => codes::from_error_plain(error),
        }
    }

    /// Shows the client all that was pushed. Whether it has to be notified, because it sleeps or doesn't say.
    #[inline]
    pub fn publish(&mut self) -> bool {
        self.show_taken();
        if self.tail.count == self.published || self.dead.is_some() {
            return false;
        }
        self.published = self.tail.count;
        self.memory.store(Word::ResponseTail, self.published, Release);
        if !matches!(self.client, Peer::Extended(_)) {
            return true;
        }
        // Either the client, going to sleep, sees the new tail, or we see that it sleeps.
        self.memory.fence(SeqCst);
        self.memory.load(CLIENT_AWAKE, Relaxed) != 1
    }

    /// Says that we sleep, then looks again. True: no request came meanwhile that could be taken, and the client will
    /// notify. False: there are requests, and we are still awake.
    pub fn sleep(&mut self) -> bool {
        self.show_taken();
        self.memory.store(AWAKE, 0, Relaxed);
        // Either we see the new tail, or the client, having stored it, sees that we sleep.
        self.memory.fence(SeqCst);
        let asleep = !self.takeable();
        if !asleep {
            self.wake();
        }
        asleep
    }

    /// Says that we are awake: until the next [`sleep`](Self::sleep) the client need not notify us.
    #[inline]
    pub fn wake(&mut self) {
        self.memory.store(AWAKE, 1, Relaxed);
    }

    /// Whether requests wait for which the client has left no room. Only a plain sDDF client can get into this (ours
    /// never asks more than the ring holds answers), and sDDF has no signal for its end: look again at the next
    /// completion, or after a while.
    pub fn blocked(&mut self) -> bool {
        self.dead.is_none() && self.waiting() && !self.takeable() && self.dead.is_none()
    }

    /// Whether a request waits whose answer has room.
    #[inline]
    fn takeable(&mut self) -> bool {
        self.waiting() && (self.seen != self.head.count || self.look_for_room().unwrap_or(false))
    }

    fn waiting(&self) -> bool {
        self.memory.load(Word::RequestTail, Relaxed) != self.head.count
    }

    /// Requests taken and not yet answered.
    pub fn outstanding(&self) -> usize {
        self.outstanding as usize
    }

    /// Whether the client misbehaved, and how.
    pub fn misbehaved(&self) -> Option<PeerMisbehaved> {
        self.dead
    }

    #[cold]
    #[inline(never)]
    fn close(&mut self, what: &'static str) -> PeerMisbehaved {
        let misbehaved = PeerMisbehaved { what };
        self.dead = Some(misbehaved);
        self.room = 0;
        self.seen = self.head.count;
        self.outstanding = 0;
        misbehaved
    }
}

#[inline(always)]
fn incoming(request: wire::Request) -> Incoming {
    let Some((op, fua)) = codes::to_op(request.code) else {
        return Incoming::Unknown { id: request.id, code: request.code };
    };
    Incoming::Request(Submission {
        id: request.id,
        op,
        fua,
        block: request.block_number,
        count: request.count,
        address: request.io_or_offset,
    })
}
