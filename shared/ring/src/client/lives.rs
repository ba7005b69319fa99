// SPDX-License-Identifier: MIT
//! How a client and its server find each other again when either has died. Nothing here is on the way of a request.
use super::{Client, MAGIC};
use crate::extension::{self, CLIENT_MAGIC, VERSION};
use crate::lives::{AGREED, EPOCH, LIFE, RESTLESS, SERVED, START, Watch, follows, next};
use crate::shared::{Shared, Word};
use crate::{Interrupted, PeerMisbehaved, ServerInfo, page};
use core::mem::offset_of;
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use orion_block::BlockSize;

/// What a client knows of its own and its server's lives.
#[derive(Debug, Default)]
pub(super) struct Lives {
    /// The client's.
    own: u32,
    /// The server's that was agreed to; 0: none.
    server: u32,
    /// The unit of blocks that was agreed first; it stays.
    unit: Option<BlockSize>,
    /// Requests may be pushed.
    open: bool,
    /// It was open before.
    known: bool,
    /// The end is to be told that what it had asked is lost.
    restarted: bool,
    /// Where answers began when it was last open.
    began: u32,
    /// Lives of the server in a row without an answer.
    restless: u32,
    /// The announcement that was told last: [`Client::announced`].
    told: u32,
}

impl<M: Shared> Client<M> {
    /// Begins the client's next life, and takes back what an earlier one agreed to.
    pub(super) fn begin(&mut self) {
        self.memory.store(MAGIC, 0, Relaxed);
        self.memory.store(AGREED, 0, Relaxed);
        self.lives.own = next(self.memory.load(LIFE, Relaxed));
        self.memory.store(LIFE, self.lives.own, Release);
        self.halt();
    }

    /// Nothing more is pushed or taken until the connection is open.
    fn halt(&mut self) {
        (self.limit, self.halted) = (0, true);
        (self.lives.open, self.lives.restarted) = (false, false);
        self.seen = self.head;
        self.watch = Watch::ANY;
    }

    /// Goes on with the agreement as far as the server has come. Whether nothing is left to do here but to wait for it.
    #[cold]
    #[inline(never)]
    pub(super) fn attend(&mut self) -> bool {
        if self.dead.is_some() {
            return true;
        }
        if !self.page {
            return self.drained();
        }
        let epoch = self.memory.load(EPOCH, Acquire);
        if self.lives.server != 0 && epoch == self.lives.server {
            return if self.lives.open { self.drained() && !self.halted } else { !self.opens() };
        }
        // What the server's last life has answered is true. It comes first.
        if !self.halted && !self.drained() {
            return false;
        }
        self.meet()
    }

    fn drained(&self) -> bool {
        self.memory.load(Word::ResponseTail, Acquire) == self.head
    }

    /// Agrees to a new life of the server's.
    fn meet(&mut self) -> bool {
        // While it is not ready there is nothing to agree to. It notifies when it is.
        let Some(page) = page::read(&self.memory) else { return true };
        let extended = page.extended();
        match page.decode(extended) {
            Ok(_) if !extended => self.meet_plain(),
            Ok(info) => {
                if let Err(what) = self.agree(&info) {
                    self.close(what);
                }
            }
            Err(misbehaved) => {
                self.close(misbehaved.what);
            }
        }
        false
    }

    /// A plain sDDF server has no lives: what was asked before is still in flight.
    fn meet_plain(&mut self) {
        if self.lives.server != 0 {
            self.close("it was ours, and claims to be plain now");
        } else if self.foreign {
            self.close(super::FOREIGN);
        } else {
            (self.limit, self.halted, self.page) = (self.shape.always(), false, false);
            self.watch = Watch::life(self.memory.load(EPOCH, Relaxed));
        }
    }

    fn agree(&mut self, info: &ServerInfo) -> Result<(), &'static str> {
        let unit = info.limits.block;
        if !follows(self.lives.server, info.epoch) {
            return Err("its life goes back");
        }
        if self.lives.unit.is_some_and(|known| known != unit) {
            return Err("it came back with another unit of blocks");
        }
        self.count_restlessness()?;
        self.halt();
        // What was pushed and not answered is lost, published or not.
        (self.extended, self.tail) = (true, self.published);
        (self.lives.server, self.lives.unit) = (info.epoch, Some(unit));
        self.memory.store(Word::RequestTail, self.published, Relaxed);
        self.memory.store(START, self.published, Relaxed);
        self.memory.store(Word::ClientPage(offset_of!(extension::Client, version)), VERSION, Relaxed);
        let shift = u32::from(unit.shift());
        self.memory.store(Word::ClientPage(offset_of!(extension::Client, block_shift)), shift, Relaxed);
        self.memory.store(MAGIC, CLIENT_MAGIC, Relaxed);
        self.memory.store(AGREED, info.epoch, Release);
        self.news = true;
        Ok(())
    }

    /// A server that begins lives and never answers would keep us busy for ever.
    fn count_restlessness(&mut self) -> Result<(), &'static str> {
        let fruitless = self.lives.server != 0 && self.head == self.lives.began;
        self.lives.restless = if fruitless { self.lives.restless + 1 } else { 0 };
        if self.lives.restless < RESTLESS { Ok(()) } else { Err("its life changes all the time") }
    }

    /// Whether the server has begun to serve this life.
    fn opens(&mut self) -> bool {
        if self.memory.load(SERVED, Acquire) != self.lives.own {
            return false;
        }
        // Whatever it answered to earlier lives, of either: to this one it answers from where requests begin.
        let head = self.memory.load(Word::ResponseTail, Acquire);
        if head != self.tail {
            self.close("its answers do not begin where requests do");
            return true;
        }
        (self.head, self.taken, self.seen, self.lives.began) = (head, head, head, head);
        self.memory.store(Word::ResponseHead, head, Release);
        self.lives.restarted = self.lives.known;
        (self.lives.open, self.lives.known) = (true, true);
        // Until this end was told.
        self.halted = self.lives.restarted;
        self.watch = if self.halted { Watch::ANY } else { Watch::life(self.lives.server) };
        self.limit = if self.halted { 0 } else { self.shape.always() };
        true
    }

    /// Why there are no answers.
    #[cold]
    #[inline(never)]
    pub(super) fn interrupted(&mut self) -> Result<bool, Interrupted> {
        if let Some(misbehaved) = self.dead {
            return Err(misbehaved.into());
        }
        if core::mem::take(&mut self.lives.restarted) {
            (self.limit, self.halted) = (self.shape.always(), false);
            self.watch = Watch::life(self.lives.server);
            return Err(Interrupted::Restarted);
        }
        Ok(false)
    }

    /// What the server is; `None` until it is ready and has agreed to serve this life of ours, while it is restarted, and
    /// while it writes its page again: it notifies then. Not for the data path: it reads a page.
    ///
    /// Call it before the first push, until it returns something: it settles the unit of blocks, the server's logical block
    /// or, where the server is plain sDDF, 4096 bytes. [`publish`](Self::publish) after it.
    pub fn server(&mut self) -> Option<ServerInfo> {
        self.attend();
        if !self.is_open() {
            return None;
        }
        let page = page::read(&self.memory)?;
        match page.decode(self.extended) {
            Ok(info) => Some(info).filter(|info| !self.extended || info.epoch == self.lives.server),
            Err(PeerMisbehaved { what }) => {
                self.close(what);
                None
            }
        }
    }

    /// Whether the server has announced something since this was last asked: [`server`](Self::server) may say something else now.
    /// One load; a server that announces notifies.
    pub fn announced(&mut self) -> bool {
        let sequence = page::sequence(&self.memory);
        core::mem::replace(&mut self.lives.told, sequence) != sequence
    }

    /// Whether the server still lives the life that was agreed to: what is pushed now no other life of it takes.
    pub fn lives_on(&self) -> bool {
        self.memory.load(EPOCH, Acquire) == self.lives.server
    }

    /// Whether the server takes our requests. While it doesn't, [`push`](Self::push) is refused.
    pub fn is_open(&self) -> bool {
        self.dead.is_none() && (self.lives.open || !self.halted)
    }
}
