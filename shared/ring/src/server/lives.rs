// SPDX-License-Identifier: MIT
//! How a server and its client find each other again when either has died. Nothing here is on the way of a request.
use super::{Peer, Server};
use crate::extension::{self, CLIENT_MAGIC, VERSION};
use crate::lives::{AGREED, LIFE, RESTLESS, SERVED, START, Watch, follows};
use crate::shared::{Shared, Word};
use crate::{PeerMisbehaved, ServerInfo, page};
use core::mem::offset_of;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// What a server knows of its own and its client's lives.
#[derive(Debug, Default)]
pub(super) struct Lives {
    /// The server's.
    pub own: u32,
    /// The client's that was seen last; 0: none, or it is plain sDDF.
    client: u32,
    /// The client has died, and what was taken of it has not all ended: whoever holds some of it is to be told.
    left: bool,
    /// Sleep was not yet put off for that.
    untold: bool,
    /// Where requests began when the connection was last open.
    began: u32,
    /// Lives of the client in a row without a request.
    restless: u32,
}

impl Lives {
    /// Of the server's life `own`.
    pub fn new(own: u32) -> Self {
        Self { own, ..Self::default() }
    }
}

impl<M: Shared> Server<M> {
    /// Tells the client what we are, and that we are ready; notify it then. May be called again when something changed; the unit of
    /// blocks (`limits.block`) stays what it was first.
    pub fn announce(&mut self, info: &ServerInfo) {
        self.offered = Some(info.limits.block);
        page::write(&self.memory, &ServerInfo { epoch: self.lives.own, ..*info });
    }

    /// Nothing is taken until it is known who asks.
    pub(super) fn halt(&mut self) {
        // What was seen and not taken is nobody's.
        self.outstanding = u32::try_from(self.outstanding()).unwrap_or(u32::MAX);
        (self.seen, self.room, self.halted) = (self.head, 0, true);
        (self.client, self.watch) = (Peer::Unknown, Watch::ANY);
    }

    /// Whether nothing is left to do but to wait for the client.
    #[cold]
    #[inline(never)]
    pub(super) fn rests(&mut self) -> bool {
        self.attend() && !core::mem::take(&mut self.lives.untold)
    }

    /// Goes on with the agreement as far as the client has come; whether that is all that can be done.
    fn attend(&mut self) -> bool {
        if self.dead.is_some() {
            return true;
        }
        let life = self.memory.load(LIFE, Acquire);
        if life != self.lives.client {
            if let Err(what) = self.meet(life) {
                self.close(what);
                return false;
            }
        } else if !self.halted {
            return !self.takeable();
        } else if life == 0 {
            return self.meet_plain();
        }
        if self.outstanding > 0 || self.offered.is_none() || self.memory.load(AGREED, Acquire) != self.lives.own {
            return true;
        }
        if let Err(what) = self.agree(life) {
            self.close(what);
        }
        false
    }

    /// A client without lives is plain sDDF: it asks on from the counters that are there.
    fn meet_plain(&mut self) -> bool {
        if self.memory.load(Word::RequestTail, Relaxed) == self.head {
            return true;
        }
        if self.foreign {
            self.close(super::FOREIGN);
        } else {
            (self.client, self.halted, self.watch) = (Peer::Plain, false, Watch::life(0));
        }
        false
    }

    /// The client has begun another life: nothing more is taken of the one before.
    fn meet(&mut self, life: u32) -> Result<(), &'static str> {
        if !follows(self.lives.client, life) {
            return Err("its life goes back");
        }
        let fruitless = self.lives.client != 0 && self.head == self.lives.began;
        self.lives.restless = if fruitless { self.lives.restless + 1 } else { 0 };
        if self.lives.restless >= RESTLESS {
            return Err("its life changes all the time");
        }
        self.lives.client = life;
        self.lives.left = self.outstanding() > 0;
        self.lives.untold = self.lives.left;
        self.halt();
        Ok(())
    }

    /// Begins to serve a life of the client's, of which nothing older is under way.
    fn agree(&mut self, life: u32) -> Result<(), &'static str> {
        let start = self.memory.load(START, Acquire);
        let nothing_asked = self.memory.load(Word::RequestTail, Acquire) == start;
        if !nothing_asked {
            return Err("its requests begin outside the ring");
        }
        self.greet()?;
        (self.head, self.taken, self.seen, self.lives.began) = (start, start, start, start);
        self.memory.store(Word::RequestHead, start, Relaxed);
        // What was answered to an earlier life is skipped: answers are counted from the number that requests are counted from.
        (self.tail, self.published, self.freed) = (start, start, start);
        self.memory.store(Word::ResponseTail, self.published, Release);
        (self.halted, self.lives.left, self.lives.untold) = (false, false, false);
        (self.room, self.watch) = (self.shape.always(), Watch::life(life));
        self.memory.store(SERVED, life, Release);
        self.news = true;
        Ok(())
    }

    /// Reads the client's page, once for each life: the unit can't change while requests are in flight.
    fn greet(&mut self) -> Result<(), &'static str> {
        let word = |at: usize| self.memory.load(Word::ClientPage(at), Acquire);
        let version = word(offset_of!(extension::Client, version));
        let unit = extension::block_size(word(offset_of!(extension::Client, block_shift)));
        let ours = word(offset_of!(extension::Client, magic)) == CLIENT_MAGIC && version == VERSION;
        match unit {
            Some(unit) if ours && self.offered == Some(unit) => {
                self.client = Peer::Extended(unit);
                Ok(())
            }
            _ => Err("its page claims a version or a unit of blocks that was not offered"),
        }
    }

    /// Says once that the client has died while requests of it were under way: whoever holds some that have not reached a
    /// device should end them.
    pub fn take_left(&mut self) -> bool {
        core::mem::take(&mut self.lives.left) && self.outstanding() > 0
    }

    /// Whether requests are taken.
    pub fn is_open(&self) -> bool {
        self.dead.is_none() && !self.halted
    }

    /// Why there are no requests; whether there are.
    #[cold]
    #[inline(never)]
    pub(super) fn interrupted(&mut self) -> Result<bool, PeerMisbehaved> {
        self.attend();
        match self.dead {
            Some(misbehaved) => Err(misbehaved),
            None if self.halted => Ok(false),
            None => self.look(),
        }
    }

    /// After answers were shown to a client that is not, or not yet, served as one of ours.
    #[cold]
    #[inline(never)]
    pub(super) fn shown(&mut self) {
        if self.halted {
            self.attend();
        }
    }
}
