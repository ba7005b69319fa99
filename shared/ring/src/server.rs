// SPDX-License-Identifier: MIT
//! The end of a connection that answers.
use crate::counter::{Shape, Wrap};
use crate::extension;
use crate::lives::{LIFE, Watch, left};
use crate::shared::{Mapped, Memory, Shared, Word};
use crate::{Answer, AttachError, Incoming, PeerMisbehaved, Submission, codes, page, wire};
use core::mem::offset_of;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use orion_block::{BlockSize, Error, POLICY_BLOCK};

mod lives;

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
    head: u32,
    /// `head` as the client sees it.
    taken: u32,
    /// Up to here there are requests, and room for their answers.
    seen: u32,
    /// Where the next answer goes.
    tail: u32,
    /// `tail` as the client sees it.
    published: u32,
    /// The client's head when we last looked.
    freed: u32,
    /// Requests up to `seen` that are not yet answered.
    outstanding: u32,
    /// The unit we offer.
    offered: Option<BlockSize>,
    client: Peer,
    /// Nothing is taken: the connection is not open.
    halted: bool,
    /// The client is to be notified of something that is no answer.
    news: bool,
    /// What the client's life is looked at for.
    watch: Watch,
    lives: lives::Lives,
    /// The counters were not ours when we attached.
    foreign: bool,
    dead: Option<PeerMisbehaved>,
}

const FOREIGN: &str = "the ring's counters were not ours when we attached";

/// What the client is. Found out for each life of it.
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
    /// The server's end over any memory that holds `capacity` entries: a new life of it, which owes no answer to what was
    /// taken before. With a plain sDDF client it resumes at the counters that it finds there; with one of ours both begin anew.
    pub fn over(memory: M, capacity: u16, wrap: Wrap) -> Self {
        let shape = Shape::new(u32::from(capacity), wrap);
        let epoch = page::begin(&memory);
        let [tail, head] = left(&memory, Word::ResponseTail, Word::RequestHead);
        let freed = memory.load(Word::ResponseHead, Acquire);
        let known = shape.distance(freed, tail).is_some();
        let mut server = Self {
            room: 0,
            head,
            taken: head,
            seen: head,
            tail,
            published: tail,
            freed,
            outstanding: 0,
            offered: None,
            client: Peer::Plain,
            halted: false,
            news: false,
            watch: Watch::life(0),
            lives: lives::Lives::new(epoch),
            foreign: !known,
            dead: None,
            memory,
            shape,
        };
        if wrap == Wrap::Seamless {
            server.halt();
        } else if server.foreign {
            server.close(FOREIGN);
        }
        server
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
        if self.head == self.seen && !self.look()? {
            return Ok(None);
        }
        let request = self.memory.request(self.head);
        self.head = self.head.wrapping_add(1);
        Ok(Some(incoming(request)))
    }

    /// Lets the client see what was taken: once for a batch.
    #[inline]
    fn show_taken(&mut self) {
        if self.taken != self.head {
            self.taken = self.head;
            self.memory.store(Word::RequestHead, self.taken, Release);
        }
    }

    /// Looks for requests that weren't there before, as many as have room for their answers.
    #[inline]
    fn look(&mut self) -> Result<bool, PeerMisbehaved> {
        if self.halted {
            return self.interrupted();
        }
        let tail = self.memory.load(Word::RequestTail, Acquire);
        if tail == self.head {
            return Ok(false);
        }
        let Some(waiting) = self.shape.distance(self.head, tail) else {
            return Err(self.close("its request queue holds more than its capacity"));
        };
        if self.room == 0 && !self.look_for_room()? {
            return Ok(false);
        }
        let taken = waiting.min(self.room);
        self.room -= taken;
        self.outstanding += taken;
        self.seen = self.head.wrapping_add(taken);
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
                let given = self.shape.distance(head, self.tail).unwrap_or(self.shape.capacity());
                let used = self.outstanding.saturating_add(given);
                let fits = self.shape.fits(head, used.saturating_add(1));
                self.room = self.shape.always().saturating_sub(used).max(u32::from(fits));
                Ok(fits)
            }
            _ => Err(self.close("it took answers that were never given")),
        }
    }

    /// Stages an answer to a request that was taken. The client sees it after [`publish`](Self::publish). An answer that
    /// nobody waits for is dropped.
    #[inline]
    pub fn push(&mut self, answer: Answer) {
        match answer.status {
            Ok(()) => self.push_done(answer.id, answer.blocks),
            Err(error) => self.put(self.code(error), answer.id, answer.blocks),
        }
    }

    /// The same for a request that succeeded.
    #[inline]
    pub fn push_done(&mut self, id: u32, blocks: u16) {
        self.put(codes::status::OK, id, blocks);
    }

    #[inline]
    fn put(&mut self, status: u32, id: u32, blocks: u16) {
        if self.outstanding == 0 {
            return;
        }
        let response = wire::Response { status, success_count: blocks, pad: 0, id };
        self.memory.put_response(self.tail, response);
        self.tail = self.tail.wrapping_add(1);
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
        if self.tail == self.published {
            return self.news && core::mem::take(&mut self.news);
        }
        self.published = self.tail;
        self.memory.store(Word::ResponseTail, self.published, Release);
        if !matches!(self.client, Peer::Extended(_)) {
            self.shown();
            return true;
        }
        // Either the client, going to sleep, sees the new tail, or we see that it sleeps.
        self.memory.fence(SeqCst);
        self.memory.load(CLIENT_AWAKE, Relaxed) != 1
    }

    /// Says that we sleep, then looks again. True: no request came meanwhile that could be taken, and the client will
    /// notify. False: there are requests, or the client has begun another life and there is something to
    /// [`publish`](Self::publish) or to [tell](Self::take_left), and we are still awake.
    pub fn sleep(&mut self) -> bool {
        self.show_taken();
        self.memory.store(AWAKE, 0, Relaxed);
        // Either we see the new tail, or the client, having stored it, sees that we sleep.
        self.memory.fence(SeqCst);
        let same = self.watch.quiet(self.memory.load(LIFE, Relaxed));
        let asleep = if same { !self.takeable() } else { self.rests() };
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
        !self.halted && self.waiting() && !self.takeable() && self.dead.is_none()
    }

    /// Whether a request waits whose answer has room.
    #[inline]
    fn takeable(&mut self) -> bool {
        self.waiting() && (self.seen != self.head || self.look_for_room().unwrap_or(false))
    }

    /// Whether a request waits. Acquire: where there is one of a new life of the client's, so is its head.
    fn waiting(&self) -> bool {
        self.memory.load(Word::RequestTail, Acquire) != self.head
    }

    /// Requests taken and not yet answered.
    pub fn outstanding(&self) -> usize {
        self.outstanding.saturating_sub(self.seen.wrapping_sub(self.head)) as usize
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
        self.halt();
        self.outstanding = 0;
        // What was not published never is.
        (self.published, self.news) = (self.tail, false);
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
