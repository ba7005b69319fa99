// SPDX-License-Identifier: MIT
//! From replies and buffers into the stream.
use crate::connection::{Around, Connection, Life, Reply};
use heapless::Vec;
use orion_pd::sockets::{PIECES, Sockets, Source, Stopped};
use orion_region::Window;

/// Most sends for one connection before the others have their turn.
const STEPS: usize = 4;

impl Connection {
    /// Sends what there is and room for. Whether anything happened.
    pub(crate) fn send<S: Sockets>(&mut self, around: &mut Around<'_, S>) -> bool {
        self.interest.writable = false;
        for step in 0..STEPS {
            if self.life == Life::Dead || (self.session.output().is_empty() && self.replies.is_empty()) {
                return step > 0;
            }
            match self.send_once(around) {
                Ok(()) => {}
                Err(Stopped::WouldBlock) => {
                    self.interest.writable = true;
                    return step > 0;
                }
                Err(Stopped::Closed) => {
                    self.kill();
                    return true;
                }
            }
        }
        true
    }

    fn send_once<S: Sockets>(&mut self, around: &mut Around<'_, S>) -> Result<(), Stopped> {
        let handshake = self.session.output();
        if !handshake.is_empty() {
            let n = around.sockets.send(self.conn, &[Source::Bytes(handshake)])?;
            self.session.sent(n);
            return Ok(());
        }
        let n = around.sockets.send(self.conn, &self.pieces(around.data))?;
        self.sent = self.sent.saturating_add(n);
        self.release();
        Ok(())
    }

    /// The first replies, without the bytes that were sent.
    fn pieces<'a>(&'a self, data: &'a Window) -> Vec<Source<'a>, PIECES> {
        let mut pieces = Vec::new();
        let mut skip = self.sent;
        for reply in &self.replies {
            if pieces.len() + 2 > PIECES {
                break;
            }
            let (head, offset, len) = self.layout(reply);
            let rest = head.get(skip.min(head.len())..).unwrap_or(&[]);
            let gone = skip.saturating_sub(head.len());
            skip = 0;
            if !rest.is_empty() {
                let _ = pieces.push(Source::Bytes(rest));
            }
            if len > gone {
                let _ = pieces.push(Source::Window { window: data, offset: offset + gone, len: len - gone });
            }
        }
        pieces
    }

    /// A reply's head, and where its data lies.
    fn layout<'a>(&'a self, reply: &'a Reply) -> (&'a [u8], usize, usize) {
        match reply {
            Reply::Head(head) => (head.as_bytes(), 0, 0),
            Reply::Data(id) => self.parts.get(*id).map_or((&[], 0, 0), |part| {
                let head = part.head.as_ref().map_or(&[][..], |head| head.as_bytes());
                let offset = part.run.map_or(0, |run| self.arena.offset(run));
                (head, offset, part.len as usize)
            }),
        }
    }

    /// Lets go of the replies that were sent whole.
    fn release(&mut self) {
        while let Some(reply) = self.replies.front() {
            let (head, _, len) = self.layout(reply);
            let whole = head.len() + len;
            if self.sent < whole {
                break;
            }
            self.sent -= whole;
            if let Some(Reply::Data(id)) = self.replies.pop_front() {
                self.drop_part(id);
            }
        }
    }
}
