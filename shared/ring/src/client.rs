// SPDX-License-Identifier: MIT
//! The end of a connection that asks.
use crate::counter::{Shape, Wrap};
use crate::extension;
use crate::lives::{EPOCH, Watch, left};
use crate::shared::{Mapped, Memory, Shared, Word};
use crate::{Answer, AttachError, Full, Interrupted, PeerMisbehaved, Submission, codes, wire};
use core::mem::offset_of;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};

mod lives;

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
    /// Most requests in flight; 0 while the connection is not open.
    limit: u32,
    /// Where the next request goes.
    tail: u32,
    /// `tail` as the server sees it.
    published: u32,
    /// The next answer.
    head: u32,
    /// `head` as the server sees it.
    taken: u32,
    /// The server's tail when we last looked.
    seen: u32,
    /// We have a page of our own, so that we can take part in the extension.
    page: bool,
    /// The server has our extension, and so have we.
    extended: bool,
    /// Nothing is taken: the connection is not open, or the user must be told of something first.
    halted: bool,
    /// The server is to be notified of something that is no request.
    news: bool,
    /// What the server's life is looked at for.
    watch: Watch,
    lives: lives::Lives,
    /// The counters were not ours when we attached.
    foreign: bool,
    dead: Option<PeerMisbehaved>,
}

const FOREIGN: &str = "the ring's counters were not ours when we attached";

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
    /// The client's end over any memory that holds `capacity` entries: a new life of it. With a plain sDDF server it resumes
    /// at the counters that it finds there, and what was asked and not answered before is still in flight; with one of ours
    /// both begin anew.
    pub fn over(memory: M, capacity: u16, wrap: Wrap) -> Self {
        let shape = Shape::new(u32::from(capacity), wrap);
        let [tail, head] = left(&memory, Word::RequestTail, Word::ResponseHead);
        let outstanding = shape.distance(head, tail);
        memory.store(AWAKE, 0, Relaxed);
        let mut client = Self {
            limit: shape.always(),
            tail,
            published: tail,
            head,
            taken: head,
            seen: head,
            page: wrap == Wrap::Seamless,
            extended: false,
            halted: false,
            news: false,
            watch: Watch::life(memory.load(EPOCH, Relaxed)),
            lives: lives::Lives::default(),
            foreign: outstanding.is_none(),
            dead: None,
            memory,
            shape,
        };
        if client.page {
            client.begin();
        } else if client.foreign {
            client.close(FOREIGN);
        }
        client
    }

    /// Most requests that this connection carries at once: the capacity, except on a ring with a plain sDDF server
    /// whose capacity is no power of two (see `docs/ring.md`).
    pub fn capacity(&self) -> usize {
        if self.dead.is_some() { 0 } else { self.shape.always() as usize }
    }

    /// Requests that may be pushed now.
    #[inline]
    pub fn room(&self) -> usize {
        self.limit.saturating_sub(self.outstanding()) as usize
    }

    /// Requests pushed and not yet answered, while the connection is open: requests and answers are counted from the same
    /// number on.
    #[inline]
    fn outstanding(&self) -> u32 {
        self.tail.wrapping_sub(self.head)
    }

    /// Stages a request. The server sees it after [`publish`](Self::publish).
    ///
    /// # Errors
    /// [`Full`], also while the connection is not open, and for ever after the server misbehaved.
    #[inline]
    pub fn push(&mut self, submission: Submission) -> Result<(), Full> {
        if self.outstanding() >= self.limit {
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
        self.memory.put_request(self.tail, request);
        self.tail = self.tail.wrapping_add(1);
        Ok(())
    }

    /// Shows the server all that was pushed. Whether it has to be notified, because it sleeps or doesn't say.
    #[inline]
    pub fn publish(&mut self) -> bool {
        self.show_taken();
        if self.tail == self.published {
            return self.news && core::mem::take(&mut self.news);
        }
        self.published = self.tail;
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
    /// The server misbehaved, now or earlier; or it was restarted, and what is not answered yet is lost.
    #[inline(always)]
    pub fn pop(&mut self) -> Result<Option<Answer>, Interrupted> {
        if self.head == self.seen && !self.look()? {
            return Ok(None);
        }
        let response = self.memory.response(self.head);
        self.head = self.head.wrapping_add(1);
        Ok(Some(Answer { id: response.id, status: codes::to_status(response.status), blocks: response.success_count }))
    }

    /// Lets the server see what was taken: once for a batch. It needs no answer's place sooner: it never has more to give
    /// than the ring holds.
    #[inline]
    fn show_taken(&mut self) {
        if self.taken != self.head {
            self.taken = self.head;
            self.memory.store(Word::ResponseHead, self.taken, Release);
        }
    }

    /// Looks for answers that weren't there before. The server can only have answered what we published.
    fn look(&mut self) -> Result<bool, Interrupted> {
        if self.halted {
            return self.interrupted();
        }
        let tail = self.memory.load(Word::ResponseTail, Acquire);
        if tail == self.head {
            return Ok(false);
        }
        // No more answers are believed than requests were shown.
        match self.shape.distance(self.head, tail) {
            Some(answers) if answers <= self.published.wrapping_sub(self.head) => {
                self.seen = tail;
                Ok(true)
            }
            _ => Err(self.close("its response queue holds more than was asked").into()),
        }
    }

    /// Says that we sleep, then looks again. True: nothing came meanwhile, and the server will notify. False: there are
    /// answers, or the server has begun another life and there is something to [`publish`](Self::publish) or to be told, and we
    /// are still awake.
    pub fn sleep(&mut self) -> bool {
        self.show_taken();
        self.memory.store(AWAKE, 0, Relaxed);
        // Either we see the new tail, or the server, having stored it, sees that we sleep.
        self.memory.fence(SeqCst);
        let same = self.watch.quiet(self.memory.load(EPOCH, Relaxed));
        let asleep = if same { self.memory.load(Word::ResponseTail, Relaxed) == self.head } else { self.attend() };
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
        (self.limit, self.halted, self.watch) = (0, true, Watch::ANY);
        self.seen = self.head;
        // What was not published never is.
        (self.published, self.news) = (self.tail, false);
        misbehaved
    }
}
