// SPDX-License-Identifier: MIT
//! From the stream into requests and buffers.
use crate::connection::{Around, Connection, Life};
use orion_nbd::{Command, Event, Want};
use orion_pd::sockets::{Sockets, Stopped, Target};

/// Most steps for one connection before the others have their turn.
const STEPS: usize = 16;

impl Connection {
    /// Receives what there is and room for. Whether anything happened.
    pub(crate) fn receive<S: Sockets>(&mut self, around: &mut Around<'_, S>) -> bool {
        self.interest.readable = false;
        for step in 0..STEPS {
            if self.session.transmitting() {
                self.deadline = None;
            }
            if self.life == Life::Dead || !self.expand(around.terms) || self.life != Life::Open {
                return step > 0;
            }
            let stepped = match self.session.want() {
                Want::Output => return step > 0,
                Want::Close => Err(Stopped::Closed),
                Want::Bytes(_) if self.session.transmitting() && !self.has_room() => return step > 0,
                Want::Bytes(_) => self.receive_bytes(around),
                Want::Payload(left) => self.receive_payload(left as usize, around),
            };
            match stepped {
                Ok(()) => {}
                Err(Stopped::WouldBlock) => {
                    self.interest.readable = true;
                    return step > 0;
                }
                Err(Stopped::Closed) => {
                    self.end();
                    return true;
                }
            }
        }
        true
    }

    fn receive_bytes<S: Sockets>(&mut self, around: &mut Around<'_, S>) -> Result<(), Stopped> {
        if self.inbox.bytes().is_empty() {
            let space = self.inbox.space();
            let n = around.sockets.receive(self.conn, &mut [Target::Bytes(space)])?;
            self.inbox.filled(n);
        }
        let (used, event) = self.session.feed(self.inbox.bytes(), around.export);
        self.inbox.take(used);
        match event {
            Event::None => {}
            Event::Request(request) => {
                self.inbox.expect_payload(request.command == Command::Write);
                self.take(&request, around.terms);
            }
            Event::Refused(refusal) => {
                let head = self.session.refuse(refusal);
                self.reply(head);
            }
        }
        Ok(())
    }

    /// Receives up to `left` bytes of a payload into the part that is being filled.
    fn receive_payload<S: Sockets>(&mut self, left: usize, around: &mut Around<'_, S>) -> Result<(), Stopped> {
        let Some((id, part)) = self.filling.and_then(|id| Some((id, self.parts.get_mut(id)?))) else {
            return Err(Stopped::Closed);
        };
        let need = (part.len.saturating_sub(part.have) as usize).min(left);
        let offset = part.run.map_or(0, |run| self.arena.offset(run)) + part.have as usize;
        let ahead = self.inbox.bytes();
        let got = if let Some(ahead) = ahead.get(..need.min(ahead.len())).filter(|a| !a.is_empty()) {
            around.data.copy_in(offset, ahead);
            let n = ahead.len();
            self.inbox.take(n);
            n
        } else {
            let window = around.data;
            let payload = Target::Window { window, offset, len: need };
            // Behind the end of the payload the next request begins.
            let next = if need == left { self.inbox.next_head() } else { &mut [] };
            let n = around.sockets.receive(self.conn, &mut [payload, Target::Bytes(next)])?;
            self.inbox.filled(n.saturating_sub(need));
            n.min(need)
        };
        let got = u32::try_from(got).unwrap_or(0);
        part.have = part.have.saturating_add(got);
        let full = part.have == part.len;
        self.session.received(got);
        if full {
            self.filling = None;
            self.stage(id);
        }
        Ok(())
    }
}
