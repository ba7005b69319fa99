// SPDX-License-Identifier: MIT
//! The bridge over which a device model's MSI-X message rings an event counter of ours.
//!
//! QEMU's `ivshmem-doorbell` device has a doorbell register: writing `peer << 16 | vector` to it rings that peer's event
//! counter. A device whose MSI-X table names that register as the message's address, and that number as its data, thus
//! wakes our process with nobody in between. We play the server that the device connects to (QEMU's
//! docs/specs/ivshmem-spec.rst), with one peer beside the device itself: the driver PD.
//!
//! The other way too: ringing the device's own counter makes it send a message of its own, whose address and data can be
//! a disk's doorbell ([`Kick`]).
use crate::qtest::{Qtest, Width};
use crate::sys;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// Offset of the doorbell register in the device's first BAR.
pub const DOORBELL: u64 = 12;
/// The driver PD's number among the peers: 0, so that the message that rings it has a zero above its vector. An MSI has no
/// more than 16 bits of data.
const DRIVER: i64 = 0;
const DEVICE: i64 = 1;
const PROTOCOL: i64 = 0;
const SHARED_MEMORY: i64 = -1;
const PATIENCE: Duration = Duration::from_secs(10);

/// The data of the message that rings the driver's event counter: its number, above its vector.
pub const MESSAGE: u32 = 0;

/// Our side of the bridge. The device forgets its peers when this is dropped.
#[derive(Debug)]
pub struct Bridge {
    socket: UnixStream,
    kick: File,
}

impl Bridge {
    /// The bridge, and the socket that QEMU must be given. The first messages are already in it: QEMU waits for them
    /// when it makes the device.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(event: &File) -> io::Result<(Self, UnixStream)> {
        let (socket, device) = UnixStream::pair()?;
        let bridge = Self { socket, kick: sys::event()? };
        let memory = sys::memory("orion-ivshmem", 0x1000)?;
        bridge.send(PROTOCOL)?;
        bridge.send(DEVICE)?;
        bridge.send_fd(SHARED_MEMORY, &memory)?;
        bridge.send_fd(DRIVER, event)?;
        bridge.send_fd(DEVICE, &bridge.kick)?;
        Ok((bridge, device))
    }

    /// The event counter of [`Kick`].
    ///
    /// # Errors
    /// Where the process may open no more descriptors.
    pub fn kick(&self) -> io::Result<File> {
        self.kick.try_clone()
    }

    fn send(&self, number: i64) -> io::Result<()> {
        io::Write::write_all(&mut &self.socket, &number.to_le_bytes())
    }

    fn send_fd(&self, number: i64, file: &File) -> io::Result<()> {
        sys::send_with_fd(&self.socket, &number.to_le_bytes(), file.as_raw_fd())
    }

    /// Waits until the device has taken its peers in, and makes reads of the event counter sleep again.
    ///
    /// The device makes each counter that it takes in non-blocking, for every holder, which is how we know; the counter
    /// of its own, sent last, tells for all. Each access by qtest is a turn of QEMU's main loop.
    ///
    /// # Errors
    /// Where QEMU has gone or does not take them.
    pub fn settle(&self, qtest: &mut Qtest, event: &File) -> io::Result<()> {
        let begin = Instant::now();
        while !sys::is_nonblocking(&self.kick)? {
            if begin.elapsed() > PATIENCE {
                return Err(io::Error::other("QEMU's ivshmem device does not take the event descriptors"));
            }
            qtest.read(Width::L, 0)?;
        }
        sys::set_nonblocking(event, false)
    }
}

/// Gives the device, whose configuration page is at `config`, its registers at `bar` and its MSI-X table at `table`, so
/// that it can be rung and can send messages.
///
/// # Errors
/// Where QEMU has gone, or no such device is there.
pub fn place(qtest: &mut Qtest, config: u64, bar: u64, table: u64) -> io::Result<()> {
    const IVSHMEM: u64 = 0x1110_1af4;
    let found = qtest.read(Width::L, config)?;
    if found != IVSHMEM {
        return Err(io::Error::other(format!("expected an ivshmem device on the PCI bus, found {found:#x}")));
    }
    qtest.write(Width::L, config + 0x10, bar)?;
    qtest.write(Width::L, config + 0x14, table)?;
    // Command register: memory space, bus master.
    qtest.write(Width::W, config + 4, 6)?;
    let capability = config + msix(qtest, config)?;
    qtest.write(Width::W, capability + 2, 0x8000)
}

/// Offset of the MSI-X capability (PCI Local Bus 3.0, 6.8.2).
fn msix(qtest: &mut Qtest, config: u64) -> io::Result<u64> {
    let mut at = qtest.read(Width::B, config + 0x34)?;
    // As many as fit, so that a loop ends.
    for _ in 0..48 {
        if at == 0 || qtest.read(Width::B, config + at)? == 0x11 {
            break;
        }
        at = qtest.read(Width::B, config + at + 1)?;
    }
    if at == 0 { Err(io::Error::other("the ivshmem device has no MSI-X")) } else { Ok(at) }
}

/// A doorbell that is rung through the bridge: an event counter costs less than a message to QEMU and its answer.
#[derive(Debug)]
pub struct Kick {
    event: File,
    /// The bridge's first MSI-X entry.
    entry: u64,
    /// The doorbell that the entry names: address and value.
    bound: Option<(u64, u32)>,
}

impl Kick {
    /// The doorbell behind `event`, for a bridge whose MSI-X table is at `table`.
    pub const fn new(event: File, table: u64) -> Self {
        Self { event, entry: table, bound: None }
    }

    /// Rings the doorbell at `address` with `value`; whether it could. The first doorbell is the one it serves.
    ///
    /// # Errors
    /// Where QEMU has gone.
    pub fn ring(&mut self, qtest: &mut Qtest, address: u64, value: u32) -> io::Result<bool> {
        if self.bound.is_none() {
            qtest.write(Width::Q, self.entry, address)?;
            qtest.write(Width::L, self.entry + 8, value.into())?;
            qtest.write(Width::L, self.entry + 12, 0)?;
            self.bound = Some((address, value));
        }
        let ours = self.bound == Some((address, value));
        if ours {
            sys::ring(&self.event, 1);
        }
        Ok(ours)
    }
}
