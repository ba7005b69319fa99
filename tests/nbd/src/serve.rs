// SPDX-License-Identifier: MIT
//! A device in memory served on a socket, for clients that are programs.
#![allow(unsafe_code, reason = "poll has no safe name")]
use crate::{Device, Region};
use embedded_io::{ErrorType, Read, ReadReady, Write, WriteReady};
use orion_export::{Engine, LEAST_DATA, Listen, Streams};
use orion_pd::Instant;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

/// Where the server listens.
#[derive(Clone, Debug)]
pub struct Address(pub PathBuf);

impl Address {
    /// As a client's argument.
    pub fn uri(&self) -> String {
        format!("nbd+unix:///?socket={}", self.0.display())
    }
}

/// A server in a thread of its own.
#[derive(Debug)]
pub struct Served {
    /// Where.
    pub address: Address,
    stop: UnixStream,
    thread: Option<JoinHandle<Device>>,
}

impl Served {
    /// Serves the device that `make` makes, under the name `vault`, on a socket in `folder`.
    pub fn start(folder: &Path, make: impl FnOnce(&Region) -> Device + Send + 'static) -> Self {
        let path = folder.join("nbd.sock");
        let listener = UnixListener::bind(&path).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = UnixStream::pair().unwrap();
        let thread = thread::spawn(move || {
            let region = Region::new(16 * LEAST_DATA);
            let device = make(&region);
            serve(Unix(listener), device, &region, stopped.as_raw_fd())
        });
        Self { address: Address(path), stop, thread: Some(thread) }
    }

    /// Ends the server; the device as its clients left it.
    pub fn stop(mut self) -> Device {
        io::Write::write_all(&mut self.stop, b"!").unwrap();
        self.thread.take().unwrap().join().unwrap()
    }
}

fn serve(listener: Unix, mut device: Device, region: &Region, stop: RawFd) -> Device {
    let data = region.window();
    let info = *device.info();
    let mut engine = Engine::new("vault", &info, data.len()).unwrap();
    let mut sockets = Streams::new(listener);
    loop {
        while engine.turn(&mut sockets, &mut device, &data, Instant(0)).unwrap() {}
        if wait(&sockets, stop) {
            return device;
        }
    }
}

/// Sleeps until there is something to do; whether it is to stop.
fn wait(sockets: &Streams<Unix>, stop: RawFd) -> bool {
    let mut fds = vec![entry(stop, libc::POLLIN)];
    fds.extend(sockets.listener().map(|l| entry(l.0.as_raw_fd(), libc::POLLIN)));
    fds.extend(sockets.open().map(|(stream, interest)| {
        let read = if interest.readable { libc::POLLIN } else { 0 };
        let write = if interest.writable { libc::POLLOUT } else { 0 };
        let fd = if read | write == 0 { -1 } else { stream.0.as_raw_fd() };
        entry(fd, read | write)
    }));
    poll(&mut fds, -1);
    fds[0].revents != 0
}

const fn entry(fd: RawFd, events: i16) -> libc::pollfd {
    libc::pollfd { fd, events, revents: 0 }
}

fn poll(fds: &mut [libc::pollfd], timeout: i32) {
    // SAFETY: the entries are ours and live until the call returns.
    unsafe { libc::poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout) };
}

#[derive(Debug)]
struct Unix(UnixListener);

#[derive(Debug)]
struct Stream(UnixStream);

impl Stream {
    fn is(&self, events: i16) -> bool {
        let mut fds = [entry(self.0.as_raw_fd(), events)];
        poll(&mut fds, 0);
        fds[0].revents != 0
    }
}

impl Listen for Unix {
    type Stream = Stream;

    fn accept(&mut self) -> Option<Stream> {
        let (socket, _) = self.0.accept().ok()?;
        socket.set_nonblocking(true).unwrap();
        Some(Stream(socket))
    }
}

impl ErrorType for Stream {
    type Error = embedded_io::ErrorKind;
}

impl ReadReady for Stream {
    fn read_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(self.is(libc::POLLIN))
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        io::Read::read(&mut self.0, buf).map_err(|_| embedded_io::ErrorKind::ConnectionReset)
    }
}

impl WriteReady for Stream {
    fn write_ready(&mut self) -> Result<bool, Self::Error> {
        Ok(self.is(libc::POLLOUT))
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        io::Write::write(&mut self.0, buf).map_err(|_| embedded_io::ErrorKind::ConnectionReset)
    }

    fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(())
    }
}
