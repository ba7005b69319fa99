// SPDX-License-Identifier: MIT
//! All connections of an export and the volume behind them.
use crate::connection::{Around, Connection};
use crate::slots::SLOTS;
use crate::terms::{Terms, Unfit};
use crate::volume::Volume;
use core::fmt;
use orion_nbd::Export;
use orion_nbd::wire::transmission as t;
use orion_pd::Instant;
use orion_pd::sockets::{CONNECTIONS, Sockets};
use orion_region::Window;
use orion_ring::{PeerMisbehaved, ServerInfo};

/// Nanoseconds that a client has for its handshake.
const HANDSHAKE: u64 = 10_000_000_000;

/// Most requests on the ring at once.
pub const REQUESTS: usize = CONNECTIONS * SLOTS;

/// Serves NBD clients from a volume.
#[derive(Debug)]
pub struct Engine {
    connections: [Option<Connection>; CONNECTIONS],
    terms: Terms,
    export: Export<'static>,
    /// The connection that is served first, for fairness where the ring is short.
    first: usize,
    answers: u64,
    errors: u64,
}

impl Engine {
    /// An engine for window 0 of the volume that `info` describes, under the name `name` (at most 63 bytes), with
    /// `data` bytes of data region.
    ///
    /// # Errors
    /// [`Unfit`] where the volume can't be served.
    pub fn new(name: &'static str, info: &ServerInfo, data: usize) -> Result<Self, Unfit> {
        let terms = Terms::new(info, data)?;
        Ok(Self {
            connections: [const { None }; CONNECTIONS],
            export: terms.export(name, info),
            terms,
            first: 0,
            answers: 0,
            errors: 0,
        })
    }

    /// Does what can be done now; whether anything was, so that more may be possible at once. The caller publishes what
    /// was pushed.
    ///
    /// # Errors
    /// [`PeerMisbehaved`] where the volume's server broke the protocol: the volume is lost, and all connections with it.
    pub fn turn<S: Sockets, V: Volume>(
        &mut self,
        sockets: &mut S,
        volume: &mut V,
        data: &Window,
        now: Instant,
    ) -> Result<bool, PeerMisbehaved> {
        let mut progress = self.collect(volume, now)?;
        progress |= self.accept(sockets, now);
        let (export, terms) = (self.export, self.terms);
        let mut around = Around { sockets, data, export: &export, terms: &terms };
        for connection in self.connections.iter_mut().flatten() {
            progress |= connection.send(&mut around);
            progress |= connection.receive(&mut around);
            progress |= connection.retry(now);
        }
        progress |= self.submit(volume);
        for connection in self.connections.iter_mut().flatten() {
            progress |= connection.send(&mut around);
        }
        progress |= self.close(around.sockets, now);
        Ok(progress)
    }

    /// When [`turn`](Self::turn) must be called though nothing happened.
    pub fn deadline(&self) -> Option<Instant> {
        let each = self.connections.iter().flatten();
        each.filter_map(|c| {
            let handshake = c.deadline.filter(|_| c.is_alive());
            let again = (!c.again.is_empty()).then_some(c.again_at);
            handshake.into_iter().chain(again).min()
        })
        .min()
    }

    /// Answers of the volume, and those of them that were errors.
    pub fn answers(&self) -> (u64, u64) {
        (self.answers, self.errors)
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.connections.iter().flatten().count()
    }

    /// Closes every connection at once, after the volume was lost: nothing in flight comes back.
    pub fn abandon<S: Sockets>(&mut self, sockets: &mut S) {
        for connection in self.connections.iter_mut().filter_map(Option::take) {
            sockets.close(connection.conn);
        }
    }

    fn accept<S: Sockets>(&mut self, sockets: &mut S, now: Instant) -> bool {
        let mut any = false;
        while let Some(conn) = sockets.accept() {
            let fresh = Connection::new(conn, now.after(HANDSHAKE), &self.terms);
            match self.connections.get_mut(usize::from(conn.0)) {
                Some(slot @ None) => *slot = Some(fresh),
                // A world that gives a number twice, or one too large, is refused the connection.
                _ => sockets.close(conn),
            }
            any = true;
        }
        any
    }

    /// Takes the volume's answers.
    fn collect<V: Volume>(&mut self, volume: &mut V, now: Instant) -> Result<bool, PeerMisbehaved> {
        let mut any = false;
        while let Some(answer) = volume.pop()? {
            self.answers += 1;
            self.errors += u64::from(answer.status.is_err());
            let (index, part) = place(answer.id);
            let asked = self
                .connections
                .get_mut(index)
                .and_then(Option::as_mut)
                .is_some_and(|c| c.answered(part, &answer, &self.terms, now));
            if !asked {
                return Err(PeerMisbehaved { what: "it answered a request that was not sent" });
            }
            any = true;
        }
        Ok(any)
    }

    /// Fills the ring, one request of each connection in turn.
    fn submit<V: Volume>(&mut self, volume: &mut V) -> bool {
        let mut any = false;
        let mut idle = 0;
        while idle < CONNECTIONS && volume.room() > 0 {
            let index = self.first;
            self.first = (self.first + 1) % CONNECTIONS;
            let connection = self.connections.get_mut(index).and_then(Option::as_mut);
            match connection.and_then(|c| c.submit(&self.terms)) {
                Some(mut submission) => {
                    submission.id += u32::try_from(index * SLOTS).unwrap_or(0);
                    volume.push(submission);
                    (any, idle) = (true, 0);
                }
                None => idle += 1,
            }
        }
        any
    }

    /// Closes what is over, and tells the world what the others wait for.
    fn close<S: Sockets>(&mut self, sockets: &mut S, now: Instant) -> bool {
        let mut any = false;
        for slot in &mut self.connections {
            let Some(connection) = slot else { continue };
            if connection.is_alive() && connection.deadline.is_some_and(|at| at <= now) {
                connection.kill();
            }
            if connection.is_over() {
                sockets.close(connection.conn);
                *slot = None;
                any = true;
            } else if connection.watched != connection.interest() {
                connection.watched = connection.interest();
                sockets.watch(connection.conn, connection.watched);
            }
        }
        any
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Export { size, minimum, .. } = self.export;
        write!(f, "{size} bytes in blocks of {minimum}")?;
        let all = [
            (t::READ_ONLY, "read-only"),
            (t::SEND_FLUSH, "flush"),
            (t::SEND_FUA, "fua"),
            (t::SEND_TRIM, "trim"),
            (t::SEND_WRITE_ZEROES, "write zeroes"),
        ];
        all.iter().filter(|(flag, _)| self.export.has(*flag)).try_for_each(|(_, word)| write!(f, ", {word}"))
    }
}

/// The connection and part of a request on the ring.
fn place(id: u32) -> (usize, u8) {
    let id = id as usize;
    (id / SLOTS, u8::try_from(id % SLOTS).unwrap_or(u8::MAX))
}
