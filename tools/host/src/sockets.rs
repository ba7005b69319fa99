// SPDX-License-Identifier: MIT
//! Stream sockets of a PD that faces a network: payload goes between a socket and a region in one step.
#![allow(unsafe_code, reason = "system calls on shared memory")]
use crate::world::HostWorld;
use orion_pd::sockets::{CONNECTIONS, Conn, Interest, PIECES, Sockets, Source, Stopped, Target};
use orion_region::Window;
use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// An open connection.
#[derive(Debug)]
struct Open {
    socket: OwnedFd,
    interest: Interest,
    /// The index of the listening socket by which it came.
    door: u8,
}

/// Listening sockets and their connections.
#[derive(Debug)]
pub struct Listener {
    doors: Vec<OwnedFd>,
    open: [Option<Open>; CONNECTIONS],
}

/// Most listening sockets of a PD.
pub const DOORS: usize = 2;

const NOTHING: libc::pollfd = libc::pollfd { fd: -1, events: 0, revents: 0 };
const NO_PIECE: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };

impl Listener {
    /// Takes over listening sockets that do not block, at most [`DOORS`].
    pub const fn new(doors: Vec<OwnedFd>) -> Self {
        Self { doors, open: [const { None }; CONNECTIONS] }
    }

    /// The listening sockets by which one more may come. Only the first may fill every place: whoever comes by another
    /// keeps nobody from that one.
    fn open_doors(&self) -> impl Iterator<Item = (u8, RawFd)> {
        let room = |door: u8| match door {
            0 => self.open.iter().any(Option::is_none),
            _ => self.open.iter().flatten().filter(|open| open.door != 0).count() < CONNECTIONS / 2,
        };
        let doors = (0..).zip(&self.doors).filter(move |(door, _)| room(0) && room(*door));
        doors.map(|(door, socket)| (door, socket.as_raw_fd()))
    }

    /// Sleeps until `bell` is rung, something that is waited for is true of a socket, or `limit` is over; whether the
    /// bell was rung.
    pub fn sleep(&self, bell: &File, limit: Option<Duration>) -> bool {
        let mut polled = [NOTHING; CONNECTIONS + DOORS + 1];
        let [at_bell, rest @ ..] = &mut polled;
        let (at_doors, at_open) = rest.split_at_mut(DOORS);
        (at_bell.fd, at_bell.events) = (bell.as_raw_fd(), libc::POLLIN);
        for (at, (_, socket)) in at_doors.iter_mut().zip(self.open_doors()) {
            (at.fd, at.events) = (socket, libc::POLLIN);
        }
        for (at, open) in at_open.iter_mut().zip(self.open.iter().flatten()) {
            let Interest { readable, writable } = open.interest;
            at.events = if readable { libc::POLLIN } else { 0 } | if writable { libc::POLLOUT } else { 0 };
            // Of a socket that is named at all, poll tells that the peer has gone: so an unwatched one isn't.
            at.fd = if at.events == 0 { -1 } else { open.socket.as_raw_fd() };
        }
        crate::sys::poll(&mut polled, limit);
        polled.first().is_some_and(|bell| bell.revents != 0)
    }

    fn accept(&mut self) -> Option<Conn> {
        let index = self.open.iter().position(Option::is_none)?;
        let (door, socket) = self.open_doors().find_map(|(door, listening)| Some((door, accept(listening)?)))?;
        *self.open.get_mut(index)? = Some(Open { socket, interest: Interest::default(), door });
        u8::try_from(index).ok().map(Conn)
    }

    fn at(&self, conn: Conn) -> Option<RawFd> {
        Some(self.open.get(usize::from(conn.0))?.as_ref()?.socket.as_raw_fd())
    }
}

/// A connection that waits at a listening socket.
fn accept(listening: RawFd) -> Option<OwnedFd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let no_address = std::ptr::null_mut();
    // SAFETY: plain integers, and null pointers that ask for no address.
    let fd = unsafe { libc::accept4(listening, no_address, std::ptr::null_mut(), flags) };
    if fd < 0 {
        return None;
    }
    no_delay(fd);
    // SAFETY: it was opened just now, and nobody else knows its number.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Answers go out at once. A Unix socket does so anyway, and refuses this.
fn no_delay(fd: RawFd) {
    let on: libc::c_int = 1;
    let size = libc::socklen_t::try_from(size_of_val(&on)).unwrap_or(0);
    // SAFETY: the pointer and the size are those of a value that outlives the call.
    unsafe { libc::setsockopt(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, (&raw const on).cast(), size) };
}

/// The kernel's name for bytes of a window; no bytes where they do not lie within it.
fn of_window(window: &Window, offset: usize, len: usize) -> libc::iovec {
    if offset.checked_add(len).is_none_or(|end| end > window.len()) {
        return NO_PIECE;
    }
    // SAFETY: the offset lies within the window.
    let base = unsafe { window.base().add(offset) };
    libc::iovec { iov_base: base.as_ptr().cast(), iov_len: len }
}

fn of_target(target: &mut Target<'_>) -> libc::iovec {
    match target {
        Target::Bytes(bytes) => libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() },
        Target::Window { window, offset, len } => of_window(window, *offset, *len),
    }
}

fn of_source(source: &Source<'_>) -> libc::iovec {
    match source {
        // The kernel only reads it.
        Source::Bytes(bytes) => libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() },
        Source::Window { window, offset, len } => of_window(window, *offset, *len),
    }
}

fn message(pieces: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: a plain record, for which zero is a valid value.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = pieces.as_mut_ptr();
    message.msg_iovlen = pieces.len() as _;
    message
}

fn outcome(moved: libc::ssize_t) -> Result<usize, Stopped> {
    match usize::try_from(moved) {
        Ok(0) => Err(Stopped::Closed),
        Ok(count) => Ok(count),
        Err(_) => match std::io::Error::last_os_error().kind() {
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::Interrupted => Err(Stopped::WouldBlock),
            _ => Err(Stopped::Closed),
        },
    }
}

impl Sockets for HostWorld {
    fn accept(&mut self) -> Option<Conn> {
        self.listener.as_mut()?.accept()
    }

    fn door(&self, conn: Conn) -> u8 {
        let open = self.listener.as_ref().and_then(|l| l.open.get(usize::from(conn.0))?.as_ref());
        open.map_or(0, |open| open.door)
    }

    fn receive(&mut self, conn: Conn, into: &mut [Target<'_>]) -> Result<usize, Stopped> {
        let fd = self.listener.as_ref().and_then(|l| l.at(conn)).ok_or(Stopped::Closed)?;
        let mut pieces = [NO_PIECE; PIECES];
        pieces.iter_mut().zip(into).for_each(|(piece, target)| *piece = of_target(target));
        let mut message = message(&mut pieces);
        // SAFETY: every piece is memory that we may write for the length of the call: exclusively borrowed, or of a
        // window, which is shared memory that anybody may change at any time.
        outcome(unsafe { libc::recvmsg(fd, &raw mut message, libc::MSG_DONTWAIT) })
    }

    fn send(&mut self, conn: Conn, from: &[Source<'_>]) -> Result<usize, Stopped> {
        let fd = self.listener.as_ref().and_then(|l| l.at(conn)).ok_or(Stopped::Closed)?;
        let mut pieces = [NO_PIECE; PIECES];
        pieces.iter_mut().zip(from).for_each(|(piece, source)| *piece = of_source(source));
        let message = message(&mut pieces);
        // SAFETY: every piece is memory that we may read for the length of the call.
        outcome(unsafe { libc::sendmsg(fd, &raw const message, libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) })
    }

    fn watch(&mut self, conn: Conn, interest: Interest) {
        let open = self.listener.as_mut().and_then(|l| l.open.get_mut(usize::from(conn.0)));
        if let Some(Some(open)) = open {
            open.interest = interest;
        }
    }

    fn close(&mut self, conn: Conn) {
        let open = self.listener.as_mut().and_then(|l| l.open.get_mut(usize::from(conn.0)));
        if let Some(open) = open.and_then(Option::take) {
            // Not by dropping it: in a debug build that asks the kernel more than the sandbox allows.
            // SAFETY: the descriptor is ours, and no longer used.
            unsafe { libc::close(open.socket.into_raw_fd()) };
        }
    }
}
