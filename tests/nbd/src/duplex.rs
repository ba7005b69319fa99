// SPDX-License-Identifier: MIT
//! Streams in memory, whose two ends a test holds.
use embedded_io::{ErrorKind, ErrorType, Read, ReadReady, Write, WriteReady};
use orion_export::Listen;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

/// Bytes in the two directions of a connection.
#[derive(Debug, Default)]
struct Wire {
    to_server: VecDeque<u8>,
    to_client: VecDeque<u8>,
    /// Most bytes that wait for the client.
    room: usize,
    /// Most bytes of one transfer.
    piece: usize,
    client_gone: bool,
    broken: bool,
    server_gone: bool,
}

/// The server's end.
#[derive(Debug)]
pub struct End(Rc<RefCell<Wire>>);

/// The client's end.
#[derive(Clone, Debug)]
pub struct Peer(Rc<RefCell<Wire>>);

impl Peer {
    /// Sends bytes.
    pub fn send(&self, bytes: &[u8]) {
        self.0.borrow_mut().to_server.extend(bytes);
    }

    /// Takes what has come, at most `most` bytes.
    pub fn take(&self, most: usize) -> Vec<u8> {
        let wire = &mut *self.0.borrow_mut();
        let n = most.min(wire.to_client.len());
        wire.to_client.drain(..n).collect()
    }

    /// Bytes that the server has not taken.
    pub fn unread(&self) -> usize {
        self.0.borrow().to_server.len()
    }

    /// Ends the stream to the server.
    pub fn leave(&self) {
        self.0.borrow_mut().client_gone = true;
    }

    /// Breaks the connection in both directions.
    pub fn vanish(&self) {
        let wire = &mut *self.0.borrow_mut();
        (wire.client_gone, wire.broken) = (true, true);
    }

    /// Whether the server has closed the connection.
    pub fn closed(&self) -> bool {
        self.0.borrow().server_gone
    }
}

/// A listening address in memory.
#[derive(Clone, Debug, Default)]
pub struct Duplex(Rc<RefCell<VecDeque<End>>>);

impl Duplex {
    /// Connects: `room` bytes may wait for the client, and at most `piece` bytes are transferred at once.
    pub fn connect(&self, room: usize, piece: usize) -> Peer {
        let wire = Rc::new(RefCell::new(Wire { room, piece, ..Wire::default() }));
        self.0.borrow_mut().push_back(End(wire.clone()));
        Peer(wire)
    }
}

impl Listen for Duplex {
    type Stream = End;

    fn accept(&mut self) -> Option<End> {
        self.0.borrow_mut().pop_front()
    }
}

impl ErrorType for End {
    type Error = ErrorKind;
}

impl ReadReady for End {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        let wire = self.0.borrow();
        Ok(wire.client_gone || !wire.to_server.is_empty())
    }
}

impl Read for End {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        let wire = &mut *self.0.borrow_mut();
        let n = buf.len().min(wire.to_server.len()).min(wire.piece);
        buf[..n].iter_mut().zip(wire.to_server.drain(..n)).for_each(|(to, byte)| *to = byte);
        Ok(n)
    }
}

impl WriteReady for End {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        let wire = self.0.borrow();
        if wire.broken { Err(ErrorKind::BrokenPipe) } else { Ok(wire.to_client.len() < wire.room) }
    }
}

impl Write for End {
    fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        let wire = &mut *self.0.borrow_mut();
        let n = buf.len().min(wire.room - wire.to_client.len()).min(wire.piece);
        wire.to_client.extend(&buf[..n]);
        Ok(n)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.0.borrow_mut().server_gone = true;
    }
}
