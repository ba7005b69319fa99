// SPDX-License-Identifier: MIT
//! The process of a PD, from its first instruction: maps what it was given, locks itself in, runs its program.
use crate::bell::{Bell, Rope};
use crate::call::{self, Page};
use crate::console::Printer;
use crate::faults::{self, code};
use crate::ivshmem::Kick;
use crate::launch::{BY_PIN, Launch, Map, NO_KICK, Peer};
use crate::parent::Parent;
use crate::pin::Pin;
use crate::programs::Program;
use crate::qemu;
use crate::qtest::{Device, Qtest};
use crate::regions::Mapped;
use crate::sandbox::{self, Allowed};
use crate::sockets::Listener;
use crate::sys;
use crate::world::{HostWorld, RegisterFile};
use orion_pd::{Channel, ChannelSet, Config, Verdict};
use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;

/// Runs as the PD that `words` describe. Does not return: the exit code says how it ended.
pub fn main(words: impl IntoIterator<Item = String>, programs: &[Program]) -> ! {
    let end = Launch::parse(words)
        .ok_or_else(|| "`pd` is for orion's own use; did you mean `orion run`?".to_owned())
        .and_then(|launch| run(&launch, programs));
    match end {
        Ok(code) => faults::exit(code),
        Err(text) => {
            faults::say(format_args!("{text}"));
            faults::exit(code::INIT)
        }
    }
}

fn run(launch: &Launch, programs: &[Program]) -> Result<i32, String> {
    let program = programs
        .iter()
        .find(|program| program.name == launch.program)
        .ok_or_else(|| format!("there is no program `{}` in this world", launch.program))?;
    let (world, allowed) = enter(launch).map_err(|error| format!("it cannot be set up: {error}"))?;
    sandbox::enter(&allowed).map_err(|error| format!("the kernel gives no sandbox (seccomp): {error}"))?;
    let run = program.run;
    // Never dropped: closing descriptors is not among the things that the sandbox allows.
    let mut world = ManuallyDrop::new(world);
    match std::panic::catch_unwind(AssertUnwindSafe(|| run(&mut world))) {
        Ok(Ok(Verdict::Passed)) => Ok(code::PASSED),
        Ok(Ok(Verdict::Failed)) => Ok(code::FAILED),
        Ok(Err(error)) => Err(error),
        // The hook has said why.
        Err(_) => Ok(code::PANIC),
    }
}

/// The world, and the descriptors that it needs. Every other descriptor is closed.
fn enter(launch: &Launch) -> io::Result<(HostWorld, Allowed)> {
    let mut held = Held::default();
    let maps = launch.maps.iter().map(|map| held.map(map)).collect::<io::Result<Vec<_>>>()?;
    let (config, size) = launch.config.ok_or_else(|| missing("config"))?;
    let config = Mapped::new(held.file(config)?, Some(orion_pd::config::VADDR), size, false)?;
    let config =
        Config::parse(config.constant()).map_err(|bad| io::Error::other(format!("configuration: {}", bad.what)))?;
    let (device, irq) = match launch.device {
        None => (None, ChannelSet::default()),
        Some((qtest, kick, irq)) => (Some(held.device(qtest, kick)?), ChannelSet::default().with(Channel(irq))),
    };
    let pin = device.as_ref().filter(|_| launch.device.is_some_and(|(_, kick, _)| kick == BY_PIN));
    let pin = pin.map(|device| Pin::new(Rc::clone(device), irq));
    let bell = held.bell(launch, irq)?;
    let ropes = launch.peers.iter().map(|peer| held.rope(peer)).collect::<io::Result<Vec<_>>>()?;
    let callees = launch.calls.iter().map(|call| held.callee(launch, *call)).collect::<io::Result<_>>()?;
    let callers = launch.serves.iter().map(|&(channel, page)| Ok((Channel(channel), Page::new(held.file(page)?)?)));
    let callers = callers.collect::<io::Result<_>>()?;
    let printer = held.printer(launch)?;
    let listener = held.listener(&launch.listen)?;
    let parent = launch.parent.map(|fd| held.parent(fd)).transpose()?;
    faults::report(&launch.maps)?;
    let world = HostWorld {
        config,
        maps,
        files: launch.files.iter().map(register_file).collect::<io::Result<_>>()?,
        device,
        pin,
        bell,
        ropes,
        callees,
        callers,
        printer,
        listener,
        parent,
        verdict: None,
    };
    Ok((world, held.allowed))
}

fn register_file(file: &crate::launch::File) -> io::Result<RegisterFile> {
    let len = usize::try_from(file.size).map_err(io::Error::other)?;
    file.phys.checked_add(file.size).ok_or_else(|| missing("registers"))?;
    Ok(RegisterFile { vaddr: file.vaddr, phys: file.phys, len })
}

fn missing(what: &str) -> io::Error {
    io::Error::other(format!("no {what} was given"))
}

/// Descriptors that were inherited, until they are closed: all but those that move into the world.
#[derive(Default)]
struct Held {
    files: Vec<File>,
    allowed: Allowed,
}

impl Held {
    /// The inherited descriptor; several parts may name the same.
    fn file(&mut self, fd: RawFd) -> io::Result<&File> {
        if let Some(index) = self.files.iter().position(|file| file.as_raw_fd() == fd) {
            return self.files.get(index).ok_or_else(|| missing("descriptor"));
        }
        self.files.push(sys::inherited(fd)?.into());
        self.files.last().ok_or_else(|| missing("descriptor"))
    }

    fn map(&mut self, map: &Map) -> io::Result<Mapped> {
        Mapped::new(self.file(map.fd)?, Some(map.vaddr), map.size, map.write)
            .map_err(|error| io::Error::other(format!("region {} at {:#x}: {error}", map.name, map.vaddr)))
    }

    fn device(&mut self, qtest: RawFd, kick: RawFd) -> io::Result<Rc<RefCell<Device>>> {
        self.allowed.read.push(qtest);
        self.allowed.write.push(qtest);
        let socket = UnixStream::from(sys::inherited(qtest)?);
        let kick = match kick {
            NO_KICK | BY_PIN => None,
            kick => {
                self.allowed.write.push(kick);
                Some(Kick::new(sys::inherited(kick)?.into(), qemu::BRIDGE_TABLE))
            }
        };
        Ok(Rc::new(RefCell::new(Device::new(Qtest::new(socket)?, kick)?)))
    }

    fn bell(&mut self, launch: &Launch, irq: ChannelSet) -> io::Result<Bell> {
        let (pending, sleeping, event) = launch.own.ok_or_else(|| missing("bell"))?;
        self.allowed.read.insert(0, event);
        self.allowed.write.push(2);
        let event = sys::inherited(event)?.into();
        let sleeping = self.file(sleeping)?.try_clone()?;
        Bell::new(self.file(pending)?, &sleeping, event, irq)
    }

    fn rope(&mut self, peer: &Peer) -> io::Result<(Channel, Rope)> {
        let sleeping = self.file(peer.sleeping)?.try_clone()?;
        let event = self.file(peer.event)?.try_clone()?;
        self.allowed.write.push(event.as_raw_fd());
        let rope = Rope::new(self.file(peer.pending)?, &sleeping, event, peer.bit)?;
        Ok((Channel(peer.channel), rope))
    }

    /// Whom it may call by a channel: the page, and the rope that wakes it.
    fn callee(&mut self, launch: &Launch, (channel, page): (u8, RawFd)) -> io::Result<(Channel, Page, Rope)> {
        let peer = launch.peers.iter().find(|peer| peer.channel == channel).ok_or_else(|| missing("peer"))?;
        let (channel, rope) = self.rope(&Peer { bit: call::BIT, ..*peer })?;
        Ok((channel, Page::new(self.file(page)?)?, rope))
    }

    fn printer(&mut self, launch: &Launch) -> io::Result<Printer> {
        let (ring, size, host) = launch.console.ok_or_else(|| missing("console"))?;
        let ring = Mapped::new(self.file(ring)?, None, size, true)?;
        let host = self.file(host)?.try_clone()?;
        self.allowed.write.push(host.as_raw_fd());
        Printer::new(ring.window(), host)
    }

    fn parent(&mut self, fd: RawFd) -> io::Result<Parent> {
        self.allowed.read.push(fd);
        self.allowed.write.push(fd);
        Ok(Parent::new(UnixStream::from(sys::inherited(fd)?)))
    }

    /// The sockets at which it listens, if it does.
    fn listener(&mut self, fds: &[RawFd]) -> io::Result<Option<Listener>> {
        self.allowed.listen = fds.to_vec();
        let doors = fds.iter().map(|fd| sys::inherited(*fd)).collect::<io::Result<Vec<_>>>()?;
        Ok(Some(Listener::new(doors)).filter(|_| !fds.is_empty()))
    }
}
