// SPDX-License-Identifier: MIT
//! [`Sockets`] over `embedded-io` streams, for worlds whose network stack speaks that and knows no windows.
use core::array;
use embedded_io::{Read, ReadReady, Write, WriteReady};
use orion_pd::sockets::{CONNECTIONS, Conn, Interest, Sockets, Source, Stopped, Target};
use orion_region::Window;

/// Bytes that pass between a stream and a window at once.
const BOUNCE: usize = 4096;

/// A listening address that gives `embedded-io` streams.
pub trait Listen {
    /// A connection.
    type Stream: Read + ReadReady + Write + WriteReady;

    /// Takes a waiting connection; `None` where there is none. Does not block.
    fn accept(&mut self) -> Option<Self::Stream>;
}

/// Connections as [`Sockets`]. What they wait for is kept for the world to look at.
#[derive(Debug)]
pub struct Streams<L: Listen> {
    listener: L,
    open: [Option<(L::Stream, Interest)>; CONNECTIONS],
}

impl<L: Listen> Streams<L> {
    /// The connections that `listener` gives.
    pub fn new(listener: L) -> Self {
        Self { listener, open: array::from_fn(|_| None) }
    }

    /// The listening address; `None` while [`CONNECTIONS`] are open, so that nobody waits for another one.
    pub fn listener(&self) -> Option<&L> {
        self.open.iter().any(Option::is_none).then_some(&self.listener)
    }

    /// The open connections, and what each is waited for.
    pub fn open(&self) -> impl Iterator<Item = (&L::Stream, Interest)> {
        self.open.iter().flatten().map(|(stream, interest)| (stream, *interest))
    }

    fn stream(&mut self, conn: Conn) -> Result<&mut L::Stream, Stopped> {
        let open = self.open.get_mut(usize::from(conn.0)).and_then(Option::as_mut);
        open.map(|(stream, _)| stream).ok_or(Stopped::Closed)
    }
}

impl<L: Listen> Sockets for Streams<L> {
    fn accept(&mut self) -> Option<Conn> {
        let free = self.open.iter().position(Option::is_none)?;
        let stream = self.listener.accept()?;
        *self.open.get_mut(free)? = Some((stream, Interest::default()));
        u8::try_from(free).ok().map(Conn)
    }

    fn receive(&mut self, conn: Conn, into: &mut [Target<'_>]) -> Result<usize, Stopped> {
        let stream = self.stream(conn)?;
        let mut total = 0;
        for target in into {
            let (wanted, got) = match target {
                Target::Bytes(bytes) => (bytes.len(), receive_bytes(stream, bytes)),
                Target::Window { window, offset, len } => (*len, receive_window(stream, window, *offset, *len)),
            };
            total += match got {
                Ok(n) => n,
                // What came before is reported now, and what stopped it next time.
                Err(stopped) => return if total > 0 { Ok(total) } else { Err(stopped) },
            };
            if got != Ok(wanted) {
                break;
            }
        }
        Ok(total)
    }

    fn send(&mut self, conn: Conn, from: &[Source<'_>]) -> Result<usize, Stopped> {
        let stream = self.stream(conn)?;
        let mut total = 0;
        for source in from {
            let (wanted, put) = match source {
                Source::Bytes(bytes) => (bytes.len(), send_bytes(stream, bytes)),
                Source::Window { window, offset, len } => (*len, send_window(stream, window, *offset, *len)),
            };
            total += match put {
                Ok(n) => n,
                Err(stopped) => return if total > 0 { Ok(total) } else { Err(stopped) },
            };
            if put != Ok(wanted) {
                break;
            }
        }
        Ok(total)
    }

    fn watch(&mut self, conn: Conn, interest: Interest) {
        if let Some(Some((_, watched))) = self.open.get_mut(usize::from(conn.0)) {
            *watched = interest;
        }
    }

    fn close(&mut self, conn: Conn) {
        if let Some(slot) = self.open.get_mut(usize::from(conn.0)) {
            let closed = slot.take();
            closed.into_iter().for_each(|(mut stream, _)| drop(stream.flush()));
        }
    }
}

fn receive_bytes<S: Read + ReadReady>(stream: &mut S, into: &mut [u8]) -> Result<usize, Stopped> {
    if into.is_empty() {
        return Ok(0);
    }
    match stream.read_ready() {
        Ok(true) => {}
        Ok(false) => return Err(Stopped::WouldBlock),
        Err(_) => return Err(Stopped::Closed),
    }
    match stream.read(into) {
        Ok(0) | Err(_) => Err(Stopped::Closed),
        Ok(n) => Ok(n),
    }
}

fn receive_window<S: Read + ReadReady>(s: &mut S, to: &Window, at: usize, len: usize) -> Result<usize, Stopped> {
    let mut bounce = [0; BOUNCE];
    let mut done = 0;
    while done < len {
        let piece = bounce.get_mut(..BOUNCE.min(len - done)).unwrap_or(&mut []);
        match receive_bytes(s, piece) {
            Ok(n) => {
                to.copy_in(at + done, piece.get(..n).unwrap_or(&[]));
                done += n;
            }
            Err(stopped) if done == 0 => return Err(stopped),
            Err(_) => break,
        }
    }
    Ok(done)
}

fn send_bytes<S: Write + WriteReady>(stream: &mut S, from: &[u8]) -> Result<usize, Stopped> {
    if from.is_empty() {
        return Ok(0);
    }
    match stream.write_ready() {
        Ok(true) => {}
        Ok(false) => return Err(Stopped::WouldBlock),
        Err(_) => return Err(Stopped::Closed),
    }
    match stream.write(from) {
        Ok(0) | Err(_) => Err(Stopped::Closed),
        Ok(n) => Ok(n),
    }
}

fn send_window<S: Write + WriteReady>(s: &mut S, from: &Window, at: usize, len: usize) -> Result<usize, Stopped> {
    let mut bounce = [0; BOUNCE];
    let mut done = 0;
    while done < len {
        let piece = bounce.get_mut(..BOUNCE.min(len - done)).unwrap_or(&mut []);
        if !from.copy_out(at + done, piece) {
            return Err(Stopped::Closed);
        }
        match send_bytes(s, piece) {
            Ok(n) => {
                done += n;
                if n < piece.len() {
                    break;
                }
            }
            Err(stopped) if done == 0 => return Err(stopped),
            Err(_) => break,
        }
    }
    Ok(done)
}
