// SPDX-License-Identifier: MIT
//! One client's connection: its session, its requests in flight, its buffers.
//!
//! Requests are taken from the stream one after the other: the next one is not looked at before all parts of this one
//! have their buffers. So a client's requests get buffers in their order, and none waits for one behind it.
use crate::arena::{Arena, PAGE};
use crate::inbox::Inbox;
use crate::job::{Job, Part, Stage};
use crate::slots::{SLOTS, Slots};
use crate::terms::Terms;
use heapless::Deque;
use orion_nbd::{Export, Head, Session};
use orion_pd::Instant;
use orion_pd::sockets::{Conn, Interest};

/// Most replies that wait to be sent: [`TAKEN`] without data, and the data of each part.
const REPLIES: usize = TAKEN + SLOTS;
/// Requests that are in flight or answered but not sent when no further one is taken.
const TAKEN: usize = 128;

/// Something to send.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// A reply without data.
    Head(Head),
    /// A part's head, if it has one, and its data.
    Data(u8),
}

/// Whether a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    /// Requests are taken.
    Open,
    /// No more requests: what was taken is answered, then it is closed.
    Closing,
    /// Nothing more is sent: it is closed once the volume has let go of its buffers.
    Dead,
}

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub conn: Conn,
    pub session: Session,
    pub inbox: Inbox,
    pub jobs: Slots<Job>,
    pub parts: Slots<Part>,
    pub arena: Arena,
    /// The request whose parts are being made.
    pub current: Option<u8>,
    /// The part whose payload is being received.
    pub filling: Option<u8>,
    /// Parts that wait for room on the ring.
    pub staged: Deque<u8, SLOTS>,
    /// Parts that wait because the volume said to try again, and until when.
    pub again: Deque<u8, SLOTS>,
    pub again_at: Instant,
    pub replies: Deque<Reply, REPLIES>,
    /// Bytes of the first reply that were sent.
    pub sent: usize,
    pub life: Life,
    /// What we wait for, and what the world was told.
    pub interest: Interest,
    pub watched: Interest,
    /// When the handshake must be over; `None` once it is.
    pub deadline: Option<Instant>,
}

/// What a step of a connection works with.
pub(crate) struct Around<'a, S> {
    pub sockets: &'a mut S,
    pub data: &'a orion_region::Window,
    pub export: &'a Export<'a>,
    pub terms: &'a Terms,
}

impl Connection {
    pub(crate) fn new(conn: Conn, deadline: Instant, terms: &Terms) -> Self {
        let base = usize::from(conn.0) * terms.share * PAGE;
        Self {
            conn,
            session: Session::new(),
            inbox: Inbox::new(),
            jobs: Slots::new(),
            parts: Slots::new(),
            arena: Arena::new(base, terms.share),
            current: None,
            filling: None,
            staged: Deque::new(),
            again: Deque::new(),
            again_at: Instant(0),
            replies: Deque::new(),
            sent: 0,
            life: Life::Open,
            interest: Interest::default(),
            watched: Interest::default(),
            deadline: Some(deadline),
        }
    }

    /// Whether another request may be taken from the stream: it finds a slot, and so does its reply.
    pub(crate) fn has_room(&self) -> bool {
        let taken = self.replies.len().saturating_add(self.jobs.len());
        !self.jobs.is_full() && !self.parts.is_full() && taken < TAKEN
    }

    /// Whether nothing is left to do and the socket can be closed.
    pub(crate) fn is_over(&self) -> bool {
        match self.life {
            Life::Open => false,
            Life::Closing => self.jobs.is_empty() && self.replies.is_empty() && self.session.output().is_empty(),
            Life::Dead => self.parts.is_empty(),
        }
    }

    /// Whether anything may still be sent to the client.
    pub(crate) fn is_alive(&self) -> bool {
        self.life != Life::Dead
    }

    /// What the world is to wait for: nothing for a connection that is only kept until its buffers come back.
    pub(crate) fn interest(&self) -> Interest {
        if self.is_alive() { self.interest } else { Interest::default() }
    }

    /// Forgets all but what the volume still has.
    pub(crate) fn kill(&mut self) {
        self.life = Life::Dead;
        self.replies.clear();
        self.staged.clear();
        self.again.clear();
        (self.current, self.filling) = (None, None);
        for id in self.jobs.numbers() {
            self.jobs.remove(id);
        }
        for id in self.parts.numbers() {
            if self.parts.get(id).is_some_and(|part| part.stage != Stage::InFlight) {
                self.drop_part(id);
            }
        }
    }

    /// The client sends nothing more. What was taken is still answered.
    pub(crate) fn end(&mut self) {
        if self.life == Life::Open {
            self.life = Life::Closing;
            self.stop_receiving();
        }
    }

    /// Queues a reply without data.
    pub(crate) fn reply(&mut self, head: Head) {
        // Within what `has_room` keeps free, so this does not fail.
        let _ = self.replies.push_back(Reply::Head(head));
    }

    /// Lets a part go, and its buffer.
    pub(crate) fn drop_part(&mut self, id: u8) {
        if let Some(run) = self.parts.remove(id).and_then(|part| part.run) {
            self.arena.give(run);
        }
    }
}
