// SPDX-License-Identifier: MIT
//! The end of a connection that asks.
use crate::counter::{Cursor, Shape, Wrap};
use crate::extension::{self, CLIENT_MAGIC, VERSION};
use crate::shared::{Mapped, Memory, Shared, Word};
use crate::{Answer, AttachError, Full, PeerMisbehaved, ServerInfo, Submission, codes, page, wire};
use core::mem::offset_of;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

const MAGIC: Word = Word::ClientPage(offset_of!(extension::Client, magic));
const AWAKE: Word = Word::ClientPage(offset_of!(extension::Client, awake));
const SERVER_AWAKE: Word = Word::ServerPage(extension::SERVER + offset_of!(extension::Server, awake));

/// The client's end of a connection.
///
/// It never looks at how many requests the server has taken: an answered request was taken, and no more than the
/// capacity are unanswered, so a slot is free when its turn comes again.
#[derive(Debug)]
pub struct Client<M = Mapped> {
    memory: M,
    shape: Shape,
    /// Most requests in flight; 0 once the peer misbehaved.
    limit: u32,
    /// Where the next request goes.
    tail: Cursor,
    /// `tail` as the server sees it.
    published: u32,
    /// The next answer.
    head: Cursor,
    /// `head` as the server sees it.
    taken: u32,
    /// The server's tail when we last looked.
    seen: u32,
    /// Requests pushed and not yet answered.
    outstanding: u32,
    /// We have a page of our own, so that we can take part in the extension.
    page: bool,
    /// The server has our extension, and so have we.
    extended: bool,
    dead: Option<PeerMisbehaved>,
}

impl Client {
    /// Takes the client's end of a connection whose queues have `capacity` entries.
    ///
    /// # Errors
    /// The memory does not fit.
    pub fn attach(memory: Memory, capacity: u16) -> Result<Self, AttachError> {
        let mapped = Mapped::new(memory, capacity)?;
        let wrap = mapped.wrap();
        Ok(Self::over(mapped, capacity, wrap))
    }
}

impl<M: Shared> Client<M> {
    /// The client's end over any memory that holds `capacity` entries. It resumes at the counters that it finds there:
    /// what was asked and not answered before is still in flight.
    pub fn over(memory: M, capacity: u16, wrap: Wrap) -> Self {
        let shape = Shape::new(u32::from(capacity), wrap);
        memory.store(MAGIC, 0, Relaxed);
        memory.store(AWAKE, 0, Relaxed);
        let tail = shape.cursor(memory.load(Word::RequestTail, Relaxed));
        let head = shape.cursor(memory.load(Word::ResponseHead, Relaxed));
        let mut client = Self {
            limit: shape.always(),
            tail: tail.unwrap_or_default(),
            published: 0,
            head: head.unwrap_or_default(),
            taken: 0,
            seen: 0,
            outstanding: 0,
            page: wrap == Wrap::Seamless,
            extended: false,
            dead: None,
            memory,
            shape,
        };
        client.published = client.tail.count;
        client.seen = client.head.count;
        client.taken = client.head.count;
        match client.shape.distance(client.head.count, client.tail.count) {
            Some(outstanding) if tail.is_some() && head.is_some() => client.outstanding = outstanding,
            _ => {
                client.close("the ring's counters were not ours when we attached");
            }
        }
        client
    }

    /// What the server is; `None` until it is ready, and while it writes its page again (it notifies then). Not for the data path: it reads a page.
    ///
    /// Call it before the first push: it settles the unit of blocks, the server's logical block or, where the server is
    /// plain sDDF, 4096 bytes.
    pub fn server(&mut self) -> Option<ServerInfo> {
        if self.dead.is_some() {
            return None;
        }
        let page = page::read(&self.memory)?;
        let extended = self.page && page.extended();
        match page.decode(extended) {
            Ok(info) => {
                self.join(&info, extended);
                Some(info)
            }
            Err(misbehaved) => {
                self.close(misbehaved.what);
                None
            }
        }
    }

    /// Says in our page which unit we count in.
    fn join(&mut self, info: &ServerInfo, extended: bool) {
        self.extended = extended;
        if extended {
            let word = |at: usize, value: u32| self.memory.store(Word::ClientPage(at), value, Relaxed);
            word(offset_of!(extension::Client, version), VERSION);
            word(offset_of!(extension::Client, epoch), info.epoch);
            word(offset_of!(extension::Client, block_shift), u32::from(info.limits.block.shift()));
            self.memory.store(MAGIC, CLIENT_MAGIC, Release);
        }
    }

    /// Most requests that this connection carries at once: the capacity, except on a ring with a plain sDDF server
    /// whose capacity is no power of two (see `docs/ring.md`).
    pub fn capacity(&self) -> usize {
        self.limit as usize
    }

    /// Requests that may be pushed now.
    #[inline]
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.outstanding) as usize
    }

    /// Stages a request. The server sees it after [`publish`](Self::publish).
    ///
    /// # Errors
    /// [`Full`], also for ever after the server misbehaved.
    #[inline]
    pub fn push(&mut self, submission: Submission) -> Result<(), Full> {
        if self.outstanding >= self.limit {
            return Err(Full);
        }
        let request = wire::Request {
            code: codes::from_op(submission.op, submission.fua),
            pad0: 0,
            io_or_offset: submission.address,
            block_number: submission.block,
            count: submission.count,
            pad1: 0,
            id: submission.id,
        };
        self.memory.put_request(self.tail.slot, request);
        self.tail = self.shape.next(self.tail);
        self.outstanding += 1;
        Ok(())
    }

    /// Shows the server all that was pushed. Whether it has to be notified, because it sleeps or doesn't say.
    #[inline]
    pub fn publish(&mut self) -> bool {
        self.show_taken();
        if self.tail.count == self.published || self.dead.is_some() {
            return false;
        }
        self.published = self.tail.count;
        self.memory.store(Word::RequestTail, self.published, Release);
        if !self.extended {
            return true;
        }
        // Either the server, going to sleep, sees the new tail, or we see that it sleeps.
        self.memory.fence(SeqCst);
        self.memory.load(SERVER_AWAKE, Relaxed) != 1
    }

    /// Takes the next answer.
    ///
    /// # Errors
    /// The server misbehaved, now or earlier.
    #[inline(always)]
    pub fn pop(&mut self) -> Result<Option<Answer>, PeerMisbehaved> {
        if self.head.count == self.seen && !self.look()? {
            return Ok(None);
        }
        let response = self.memory.response(self.head.slot);
        self.head = self.shape.next(self.head);
        // No more answers are believed than requests are outstanding.
        self.outstanding = self.outstanding.wrapping_sub(1);
        Ok(Some(Answer { id: response.id, status: codes::to_status(response.status), blocks: response.success_count }))
    }

    /// Lets the server see what was taken: once for a batch. It needs no answer's place sooner: it never has more to give
    /// than the ring holds.
    #[inline]
    fn show_taken(&mut self) {
        if self.taken != self.head.count {
            self.taken = self.head.count;
            self.memory.store(Word::ResponseHead, self.taken, Release);
        }
    }

    /// Looks for answers that weren't there before. The server can only have answered what we published.
    fn look(&mut self) -> Result<bool, PeerMisbehaved> {
        if let Some(misbehaved) = self.dead {
            return Err(misbehaved);
        }
        let tail = self.memory.load(Word::ResponseTail, Acquire);
        if tail == self.head.count {
            return Ok(false);
        }
        let staged = self.shape.distance(self.published, self.tail.count).unwrap_or(0);
        match self.shape.distance(self.head.count, tail) {
            Some(answers) if answers <= self.outstanding.saturating_sub(staged) => {
                self.seen = tail;
                Ok(true)
            }
            _ => Err(self.close("its response queue holds more than was asked")),
        }
    }

    /// Says that we sleep, then looks again. True: nothing came meanwhile, and the server will notify. False: there are
    /// answers, and we are still awake.
    pub fn sleep(&mut self) -> bool {
        self.show_taken();
        self.memory.store(AWAKE, 0, Relaxed);
        // Either we see the new tail, or the server, having stored it, sees that we sleep.
        self.memory.fence(SeqCst);
        let asleep = self.dead.is_some() || self.memory.load(Word::ResponseTail, Relaxed) == self.head.count;
        if !asleep {
            self.wake();
        }
        asleep
    }

    /// Says that we are awake: until the next [`sleep`](Self::sleep) the server need not notify us.
    #[inline]
    pub fn wake(&mut self) {
        self.memory.store(AWAKE, 1, Relaxed);
    }

    /// Whether the server misbehaved, and how.
    pub fn misbehaved(&self) -> Option<PeerMisbehaved> {
        self.dead
    }

    #[cold]
    #[inline(never)]
    fn close(&mut self, what: &'static str) -> PeerMisbehaved {
        let misbehaved = PeerMisbehaved { what };
        self.dead = Some(misbehaved);
        self.limit = 0;
        self.seen = self.head.count;
        misbehaved
    }
}
