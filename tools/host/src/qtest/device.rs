// SPDX-License-Identifier: MIT
//! A device model and its registers, as a driver reaches them.
use super::{Qtest, Width};
use crate::ivshmem::Kick;
use orion_region::Mmio;
use std::cell::RefCell;
use std::io;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

/// A QEMU that does not answer for so long once it runs is taken for dead: its driver can't do anything meanwhile.
const DRIVERS_PATIENCE: Duration = Duration::from_secs(4);

/// A device model, as its driver reaches it.
#[derive(Debug)]
pub struct Device {
    qtest: Qtest,
    kick: Option<Kick>,
}

impl Device {
    /// The device behind `qtest`, one of whose doorbells may be rung through `kick`.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(qtest: Qtest, kick: Option<Kick>) -> io::Result<Self> {
        qtest.socket.set_read_timeout(Some(DRIVERS_PATIENCE))?;
        Ok(Self { qtest, kick })
    }

    /// Whether its pin is up.
    pub fn is_raised(&mut self) -> bool {
        self.qtest.is_raised()
    }

    /// Readable when QEMU says something, of a pin perhaps.
    pub fn socket(&self) -> &UnixStream {
        &self.qtest.socket
    }

    /// Rings a doorbell that may be rung late, and always gets the same value.
    fn nudge(&mut self, width: Width, address: u64, value: u32) -> io::Result<()> {
        if let Some(kick) = &mut self.kick
            && kick.ring(&mut self.qtest, address, value)?
        {
            return Ok(());
        }
        self.qtest.post(width, address, value.into())
    }
}

/// A register file of a device model: the `len` bytes at `base` in the machine's memory, or the I/O ports there, where `base`
/// is below 64 KiB: no device of the machine has memory there.
///
/// After QEMU has died all registers read as ones, as those of a PCI device that was pulled out.
#[derive(Clone, Debug)]
pub struct Registers {
    device: Rc<RefCell<Device>>,
    base: u64,
    len: usize,
}

impl Registers {
    /// The register file of `len` bytes at `base`. `base + len` must not overflow.
    pub const fn new(device: Rc<RefCell<Device>>, base: u64, len: usize) -> Self {
        Self { device, base, len }
    }

    fn at(&self, offset: usize, bytes: usize) -> Option<u64> {
        let inside = offset.is_multiple_of(bytes) && offset.checked_add(bytes).is_some_and(|end| end <= self.len);
        inside.then(|| self.base + offset as u64)
    }

    fn read(&self, width: Width, offset: usize, bytes: usize) -> u64 {
        let address = self.at(offset, bytes);
        let qtest = |at: u64| {
            let qtest = &mut self.device.borrow_mut().qtest;
            match u16::try_from(at) {
                Ok(port) => qtest.input(width, port),
                Err(_) => qtest.read(width, at),
            }
        };
        address.and_then(|at| qtest(at).ok()).unwrap_or(u64::MAX)
    }

    fn write(&self, width: Width, offset: usize, bytes: usize, value: u64) {
        if let Some(at) = self.at(offset, bytes) {
            let qtest = &mut self.device.borrow_mut().qtest;
            let written = match u16::try_from(at) {
                Ok(port) => qtest.output(width, port, value),
                Err(_) => qtest.write(width, at, value),
            };
            // A dead device takes no writes; its reads tell.
            let _ = written;
        }
    }

    fn nudge(&self, width: Width, offset: usize, bytes: usize, value: u32) {
        if let Some(at) = self.at(offset, bytes) {
            // As above.
            let _ = self.device.borrow_mut().nudge(width, at, value);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a register's value has the register's width")]
impl Mmio for Registers {
    fn len(&self) -> usize {
        self.len
    }
    fn read8(&self, offset: usize) -> u8 {
        self.read(Width::B, offset, 1) as u8
    }
    fn read16(&self, offset: usize) -> u16 {
        self.read(Width::W, offset, 2) as u16
    }
    fn read32(&self, offset: usize) -> u32 {
        self.read(Width::L, offset, 4) as u32
    }
    fn read64(&self, offset: usize) -> u64 {
        self.read(Width::Q, offset, 8)
    }
    fn write8(&self, offset: usize, value: u8) {
        self.write(Width::B, offset, 1, value.into());
    }
    fn write16(&self, offset: usize, value: u16) {
        self.write(Width::W, offset, 2, value.into());
    }
    fn write32(&self, offset: usize, value: u32) {
        self.write(Width::L, offset, 4, value.into());
    }
    fn write64(&self, offset: usize, value: u64) {
        self.write(Width::Q, offset, 8, value);
    }
    fn doorbell16(&self, offset: usize, value: u16) {
        if self.base <= u16::MAX.into() {
            return self.write16(offset, value);
        }
        // None but virtio's have 16 bits.
        self.nudge(Width::W, offset, 2, value.into());
    }
    fn doorbell32(&self, offset: usize, value: u32) {
        if self.base <= u16::MAX.into() {
            return self.write32(offset, value);
        }
        if let Some(at) = self.at(offset, 4) {
            // As above.
            let _ = self.device.borrow_mut().qtest.post(Width::L, at, value.into());
        }
    }
    fn nudge32(&self, offset: usize, _: u32) {
        // One value for all, so that the bridge can ring it: QEMU reads the true one from memory before it looks at the queue.
        self.nudge(Width::L, offset, 4, 0);
    }
}
