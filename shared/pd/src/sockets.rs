// SPDX-License-Identifier: MIT
//! What a PD that faces a network needs of the world beside [`World`](crate::World): accepted stream sockets that never
//! block.
//!
//! Payload goes between a socket and a data region in one step: a [`Target`] or [`Source`] names bytes of a window, and
//! the world hands their address to the kernel (`readv`, `sendmsg`).
use orion_region::Window;

/// Most connections that are open at once. The world accepts no further one meanwhile; it waits in the backlog.
pub const CONNECTIONS: usize = 8;

/// An open connection: a number below [`CONNECTIONS`], chosen by the world and used again after
/// [`Sockets::close`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conn(pub u8);

/// Where received bytes go.
#[derive(Debug)]
pub enum Target<'a> {
    /// Private memory.
    Bytes(&'a mut [u8]),
    /// `len` bytes of a window, from `offset`. The caller vouches that they lie within it; a world checks it again.
    Window {
        /// The window.
        window: &'a Window,
        /// First byte.
        offset: usize,
        /// Bytes.
        len: usize,
    },
}

/// Where bytes to send lie.
#[derive(Clone, Copy, Debug)]
pub enum Source<'a> {
    /// Private memory.
    Bytes(&'a [u8]),
    /// `len` bytes of a window, from `offset`. The caller vouches that they lie within it; a world checks it again.
    Window {
        /// The window.
        window: &'a Window,
        /// First byte.
        offset: usize,
        /// Bytes.
        len: usize,
    },
}

/// Why nothing was transferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// Nothing can be transferred now. The world calls the PD again when it can, if it [watches](Sockets::watch) for it.
    WouldBlock,
    /// The peer has closed its end, or the connection failed: nothing more can be transferred this way.
    Closed,
}

/// What the PD waits for on a connection. The world calls `notified` (with an empty channel set, unless channels were
/// signalled too) when any of it has come true; it must not call because of anything that is not asked for here, so
/// that a connection that the PD leaves alone for want of buffers costs nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Interest {
    /// There is something to receive, or the end of the stream.
    pub readable: bool,
    /// There is room to send.
    pub writable: bool,
}

/// The listening addresses and the connections that a world gives to the PD. Nothing here blocks.
pub trait Sockets {
    /// Takes a waiting connection; `None` where there is none, or [`CONNECTIONS`] are open. A new one is not
    /// watched. While fewer are open, a connection that waits is a reason to call `notified`. Those that come by another
    /// than the first address take at most half of the connections.
    fn accept(&mut self) -> Option<Conn>;

    /// By which of the PD's listening addresses an open connection came: 0 for the first, of which most have only one.
    fn door(&self, _conn: Conn) -> u8 {
        0
    }

    /// Receives what is there, filling `into` in order; the number of bytes, at least 1.
    ///
    /// # Errors
    /// [`Stopped`] where there is nothing now, or nothing will come any more.
    fn receive(&mut self, conn: Conn, into: &mut [Target<'_>]) -> Result<usize, Stopped>;

    /// Sends the bytes of `from` in order, as many as there is room for; the number of bytes, at least 1.
    /// Must not raise a signal where the peer has gone (`MSG_NOSIGNAL`).
    ///
    /// # Errors
    /// [`Stopped`] where there is no room now, or the peer has gone.
    fn send(&mut self, conn: Conn, from: &[Source<'_>]) -> Result<usize, Stopped>;

    /// Says what to wait for on `conn`, until said otherwise.
    fn watch(&mut self, conn: Conn, interest: Interest);

    /// Closes the connection: everything sent so far still reaches the peer.
    fn close(&mut self, conn: Conn);
}

/// Most entries of one [`Sockets::receive`] or [`Sockets::send`].
pub const PIECES: usize = 16;
