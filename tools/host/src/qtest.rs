// SPDX-License-Identifier: MIT
//! QEMU's qtest protocol: lines of text by which a process reads and writes a machine's memory and ports.
//!
//! Three rules, each learnt from a hang (docs/host-world.md): only doorbells may be posted, every other write waits
//! for its answer; a line is sent whole, in one call; few answers may be left unread, since QEMU's main loop stops
//! when it cannot write one.
use crate::ivshmem::Kick;
use crate::sys;
use orion_region::Mmio;
use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io::{self, Read, Write as _};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

/// Most posted writes whose answers have not been read. QEMU stops at some hundreds.
const MOST_UNANSWERED: u32 = 64;
/// A QEMU that does not answer for so long while it starts is taken for dead.
const PATIENCE: Duration = Duration::from_secs(20);
/// As above, of one whose driver has died.
const SUCCESSORS_PATIENCE: Duration = Duration::from_secs(1);
/// As above, once it runs: its driver can't do anything meanwhile.
const DRIVERS_PATIENCE: Duration = Duration::from_secs(4);

/// How wide an access is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Width {
    /// 8 bits.
    B,
    /// 16 bits.
    W,
    /// 32 bits.
    L,
    /// 64 bits.
    Q,
}

impl Width {
    const fn letter(self) -> char {
        match self {
            Self::B => 'b',
            Self::W => 'w',
            Self::L => 'l',
            Self::Q => 'q',
        }
    }
}

/// One line, on the stack.
struct Line {
    bytes: [u8; 64],
    len: usize,
}

impl Line {
    fn new(text: fmt::Arguments<'_>) -> Self {
        let mut line = Self { bytes: [0; 64], len: 0 };
        // The longest command has 46 bytes.
        let _ = writeln!(line, "{text}");
        line
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl fmt::Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        let to = self.bytes.get_mut(self.len..end).ok_or(fmt::Error)?;
        to.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// A connection to one QEMU. It has one user at a time.
#[derive(Debug)]
pub struct Qtest {
    socket: UnixStream,
    unanswered: u32,
    inbox: [u8; 1024],
    have: usize,
    gone: bool,
    /// Whether the pin that QEMU tells of is up, where it was asked to tell.
    raised: bool,
}

impl Qtest {
    /// Speaks on `socket`, behind which a QEMU is, or is about to be.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(socket: UnixStream) -> io::Result<Self> {
        socket.set_nonblocking(false)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, unanswered: 0, inbox: [0; 1024], have: 0, gone: false, raised: false })
    }

    /// Brings a connection whose user has died to a clean line: whatever that one asked is done and its answers are gone. A
    /// line is sent in one call and so is whole.
    ///
    /// # Errors
    /// Where QEMU has gone or does not answer.
    pub fn take_over(socket: UnixStream) -> io::Result<()> {
        let mut qtest = Self::new(socket)?;
        qtest.socket.set_read_timeout(Some(SUCCESSORS_PATIENCE))?;
        qtest.socket.set_write_timeout(Some(SUCCESSORS_PATIENCE))?;
        qtest.send(format_args!("endianness"))?;
        while !qtest.heard(b"OK little")? {}
        qtest.socket.set_write_timeout(None)
    }

    /// Takes a line, waiting for it; whether it is `wanted`.
    fn heard(&mut self, wanted: &[u8]) -> io::Result<bool> {
        loop {
            if let Some(end) = self.pending().iter().position(|&b| b == b'\n') {
                let found = self.pending().get(..end) == Some(wanted);
                self.inbox.copy_within(end + 1..self.have, 0);
                self.have -= end + 1;
                return Ok(found);
            }
            self.receive()?;
        }
    }

    /// The socket, for handing the connection to another process. Every posted write has been answered.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn into_socket(mut self) -> io::Result<UnixStream> {
        self.settle()?;
        Ok(self.socket)
    }

    /// Reads the machine's memory.
    ///
    /// # Errors
    /// Where QEMU has gone, does not answer, or answers anything but a number.
    pub fn read(&mut self, width: Width, address: u64) -> io::Result<u64> {
        self.ask(format_args!("read{} {address:#x}", width.letter()))
    }

    /// Writes the machine's memory and waits until that is done.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn write(&mut self, width: Width, address: u64, value: u64) -> io::Result<()> {
        self.ask(format_args!("write{} {address:#x} {value:#x}", width.letter())).map(drop)
    }

    /// Has QEMU tell of the pins of the I/O APIC. On a machine of ours one device has a pin.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn watch_pins(&mut self) -> io::Result<()> {
        self.ask(format_args!("irq_intercept_in ioapic")).map(drop)
    }

    /// Whether the pin is up, by all that QEMU has said.
    pub fn is_raised(&mut self) -> bool {
        // What QEMU says after the answers to posted writes is behind them.
        let _ = self.settle();
        while !self.gone && sys::wait_one(&self.socket, Some(Duration::ZERO)) {
            // Whoever is gone says nothing, and is found out by the next access.
            let _ = self.receive();
            self.skip_lines();
        }
        self.raised
    }

    /// Takes the lines that answer nothing from the inbox's begin.
    fn skip_lines(&mut self) {
        while let Some(end) = self.pending().iter().position(|&b| b == b'\n') {
            let Some(up) = self.pending().get(..end).and_then(pin) else { return };
            self.raised = up;
            self.inbox.copy_within(end + 1..self.have, 0);
            self.have -= end + 1;
        }
    }

    /// Reads an I/O port. There are none of 64 bits.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn input(&mut self, width: Width, port: u16) -> io::Result<u64> {
        if width == Width::Q {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.ask(format_args!("in{} {port:#x}", width.letter()))
    }

    /// Writes to an I/O port and waits until that is done. There are none of 64 bits.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn output(&mut self, width: Width, port: u16, value: u64) -> io::Result<()> {
        if width == Width::Q {
            return Err(io::ErrorKind::Unsupported.into());
        }
        self.ask(format_args!("out{} {port:#x} {value:#x}", width.letter())).map(drop)
    }

    /// Writes the machine's memory and does not wait. Only for doorbells.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn post(&mut self, width: Width, address: u64, value: u64) -> io::Result<()> {
        if self.unanswered >= MOST_UNANSWERED {
            self.settle()?;
        }
        self.send(format_args!("write{} {address:#x} {value:#x}", width.letter()))?;
        self.unanswered += 1;
        Ok(())
    }

    fn ask(&mut self, command: fmt::Arguments<'_>) -> io::Result<u64> {
        self.settle()?;
        self.send(command)?;
        self.answer()
    }

    /// Reads the answers of all posted writes.
    fn settle(&mut self) -> io::Result<()> {
        while self.unanswered > 0 {
            self.unanswered -= 1;
            self.answer()?;
        }
        Ok(())
    }

    fn send(&mut self, command: fmt::Arguments<'_>) -> io::Result<()> {
        if self.gone {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let sent = self.socket.write_all(Line::new(command).bytes());
        self.note(sent)
    }

    /// The value of the next answer; 0 where it has none.
    fn answer(&mut self) -> io::Result<u64> {
        loop {
            self.skip_lines();
            while let Some(end) = self.pending().iter().position(|&b| b == b'\n') {
                let parsed = parse(self.pending().get(..end).unwrap_or_default());
                self.inbox.copy_within(end + 1..self.have, 0);
                self.have -= end + 1;
                self.skip_lines();
                if let Some(result) = parsed {
                    return self.note(result);
                }
            }
            self.receive()?;
        }
    }

    fn pending(&self) -> &[u8] {
        self.inbox.get(..self.have).unwrap_or_default()
    }

    fn receive(&mut self) -> io::Result<()> {
        let room = self.inbox.get_mut(self.have..).unwrap_or_default();
        let received = match self.socket.read(room) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            other => other,
        };
        self.have += self.note(received)?;
        Ok(())
    }

    fn note<T>(&mut self, result: io::Result<T>) -> io::Result<T> {
        self.gone |= result.is_err();
        result
    }
}

/// Whether a line says that a pin went up, or down; `None` where it says something else.
fn pin(line: &[u8]) -> Option<bool> {
    match line.strip_prefix(b"IRQ ")?.first()? {
        b'r' => Some(true),
        b'l' => Some(false),
        _ => None,
    }
}

/// The result that a line reports; `None` for a line that answers nothing.
fn parse(line: &[u8]) -> Option<io::Result<u64>> {
    let line = String::from_utf8_lossy(line);
    let mut words = line.split_ascii_whitespace();
    match words.next() {
        Some("IRQ") => None,
        Some("OK") => {
            let digits = words.next().and_then(|word| word.strip_prefix("0x")).unwrap_or("0");
            Some(u64::from_str_radix(digits, 16).map_err(io::Error::other))
        }
        _ => Some(Err(io::Error::other(format!("QEMU answers `{line}`")))),
    }
}

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
