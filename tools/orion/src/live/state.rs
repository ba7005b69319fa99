// SPDX-License-Identifier: MIT
//! The connection, and the state as it comes over it. The other end is not trusted: everything is parsed, and lists have
//! a most length.
use orion_caps::Outcome;
use orion_control::operator::{Begin, Disk, Frame, HEAD, Pd, Request, Ring};
use orion_control::{Ask, Name, Refused};
use orion_driver::{Health, Text};
use orion_metrics::{
    ArrayDevice, ArrayState, Client, DiskSpace, DiskText, DiskWork, Holding, Order, Row, Volume, ZoneRow,
};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// How long a manager may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Frames of one answer: far more than any system has parts.
const FRAMES_MAX: usize = 4096;

/// How everything is, at one time.
#[derive(Clone, Debug)]
pub struct State {
    /// The time, and what the manager may do.
    pub begin: Begin,
    /// Derived PDs.
    pub pds: Vec<Pd>,
    /// Rings, those of the gatekeeper in the order of its clients and volumes.
    pub rings: Vec<Ring>,
    /// Capabilities.
    pub holdings: Vec<Holding>,
    /// Clients of the gatekeeper.
    pub clients: Vec<Client>,
    /// Volumes below the gatekeeper.
    pub volumes: Vec<Volume>,
    /// What disks say of themselves.
    pub disks: Vec<Drive>,
}

/// A disk, by what it says of itself.
#[derive(Clone, Debug)]
pub struct Drive {
    /// Its driver.
    pub pd: String,
    /// Its number among its driver's disks.
    pub unit: u8,
    /// Its name in the system.
    pub name: Text,
    /// What it says.
    pub health: Health,
    /// What was done with it last, if anything was.
    pub work: Option<DiskWork>,
    /// Namespaces of its device, where they were asked for last.
    pub spaces: Vec<DiskSpace>,
    /// Its zones, where they were asked for last.
    pub zones: Vec<ZoneRow>,
    /// It is no disk but an array.
    pub array: Option<ArrayState>,
    /// The array's devices.
    pub devices: Vec<ArrayDevice>,
}

impl Drive {
    /// A disk of which nothing is known yet.
    pub fn new(pd: String, unit: u8) -> Self {
        let (name, health) = (Text::default(), Health::default());
        Self {
            pd,
            unit,
            name,
            health,
            work: None,
            spaces: Vec::new(),
            zones: Vec::new(),
            array: None,
            devices: Vec::new(),
        }
    }

    fn take(&mut self, row: Row) {
        match row {
            Row::DiskText(DiskText { what: 0, text, .. }) => self.name = Text::new(&text),
            Row::DiskWork(work) => self.work = Some(work),
            Row::Array(array) => self.array = Some(array),
            Row::ArrayDevice(device) => self.devices.push(device),
            Row::DiskSpace(space) => self.spaces.push(space),
            Row::DiskZones(zones) => self.zones.extend(zones.list.iter().take(zones.count.into())),
            row => self.health.take(&row),
        }
    }
}

/// A manager at the other end of a socket.
#[derive(Debug)]
pub struct Manager {
    socket: UnixStream,
    number: u32,
}

impl Manager {
    /// The manager that listens at `path`.
    ///
    /// # Errors
    /// A message for people.
    pub fn connect(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let socket = UnixStream::connect(path).map_err(|error| match error.kind() {
            ErrorKind::PermissionDenied => {
                format!("{shown}: {error}; only the user who started the system may look at it")
            }
            _ => format!(
                "{shown}: no system listens there ({error}); start one with `orion run` whose system.xml has an \
                 <orion:manager>, or name its socket with --socket"
            ),
        })?;
        let set = socket.set_read_timeout(Some(PATIENCE)).and_then(|()| socket.set_write_timeout(Some(PATIENCE)));
        set.map_err(|error| format!("{shown}: {error}"))?;
        Ok(Self { socket, number: 0 })
    }

    fn send(&mut self, request: &Request) -> Result<(), String> {
        self.number = self.number.wrapping_add(1);
        let sent = self.socket.write_all(&request.emit(self.number));
        sent.map_err(|error| format!("the manager cannot be asked: {error}; does the system still run?"))
    }

    /// The next frame, given to `take`.
    fn receive<T>(&mut self, take: impl FnOnce(Frame<'_>) -> Result<T, String>) -> Result<T, String> {
        let gone = |error: std::io::Error| match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset => {
                "the manager has closed the connection; does the system still run?".to_owned()
            }
            _ => format!("the manager does not answer: {error}; does the system still run?"),
        };
        let strange = || "the manager's answer makes no sense; use the orion that runs the system".to_owned();
        let mut head = [0; HEAD];
        self.socket.read_exact(&mut head).map_err(gone)?;
        let (kind, number, len) = Frame::parse_head(&head).ok_or_else(strange)?;
        let mut body = vec![0; len];
        self.socket.read_exact(&mut body).map_err(gone)?;
        let frame = Frame::parse(kind, &body).ok_or_else(strange)?;
        if number == self.number { take(frame) } else { Err(strange()) }
    }

    /// How everything is now.
    ///
    /// # Errors
    /// A message for people.
    pub fn state(&mut self) -> Result<State, String> {
        let state = self.ask(&Request::State)?;
        Ok(State { disks: self.health()?.disks, ..state })
    }

    /// How the disks are now, and the PDs with them.
    ///
    /// # Errors
    /// A message for people.
    pub fn health(&mut self) -> Result<State, String> {
        self.ask(&Request::Health)
    }

    fn ask(&mut self, request: &Request) -> Result<State, String> {
        self.send(request)?;
        let strange = || "the manager's answer has no end; use the orion that runs the system".to_owned();
        let begin = self.receive(|frame| match frame {
            Frame::Begin(begin) => Ok(begin),
            Frame::Refused(why) => Err(plain(why)),
            _ => Err(strange()),
        })?;
        let mut state = State {
            begin,
            pds: Vec::new(),
            rings: Vec::new(),
            holdings: Vec::new(),
            clients: Vec::new(),
            volumes: Vec::new(),
            disks: Vec::new(),
        };
        for _ in 0..FRAMES_MAX {
            if self.receive(|frame| state.take(frame))? {
                return Ok(state);
            }
        }
        Err(strange())
    }

    /// Has the gatekeeper do a command: what came of it.
    ///
    /// # Errors
    /// A message for people, where the manager did not pass it on.
    pub fn command(&mut self, ask: Ask) -> Result<Result<Outcome, Refused>, String> {
        self.send(&Request::Command(ask))?;
        self.receive(|frame| match frame {
            Frame::Done(result) => Ok(result),
            Frame::Refused(why) => Err(plain(why)),
            _ => Err("the manager's answer makes no sense; use the orion that runs the system".to_owned()),
        })
    }
}

impl Manager {
    /// Has a PD do something, or something be done with the disk of that name.
    ///
    /// # Errors
    /// A message for people, where it was not done.
    pub fn order(&mut self, order: Order, pd: &str) -> Result<(), String> {
        self.send(&Request::Order(order, Name::new(pd)))?;
        self.receive(|frame| match frame {
            Frame::Done(Err(refused)) => Err(format!("the gatekeeper refused it: {refused}")),
            Frame::Done(Ok(_)) => Ok(()),
            Frame::Refused(why) => Err(plain(why)),
            _ => Err("the manager's answer makes no sense; use the orion that runs the system".to_owned()),
        })
    }
}

impl State {
    /// Takes the next frame; whether it was the last.
    fn take(&mut self, frame: Frame<'_>) -> Result<bool, String> {
        match frame {
            Frame::Pd(pd) => self.pds.push(pd),
            Frame::Ring(ring) => self.rings.push(ring),
            Frame::Row(Row::Holding(row)) => self.holdings.push(row),
            Frame::Row(Row::Client(row)) => self.clients.push(row),
            Frame::Row(Row::Volume(row)) => self.volumes.push(row),
            Frame::Disk(disk) => self.take_disk(&disk),
            Frame::Row(_) => {}
            Frame::End => return Ok(true),
            Frame::Refused(why) => return Err(plain(why)),
            Frame::Begin(_) | Frame::Done(_) => {
                return Err("the manager's answer makes no sense; use the orion that runs the system".to_owned());
            }
        }
        Ok(false)
    }
}

impl State {
    /// Takes a row about a disk; one that makes no sense is passed over.
    fn take_disk(&mut self, disk: &Disk) {
        let Some(row) = Row::parse(&disk.row) else { return };
        let (Some(unit), pd) = (row.unit(), plain(disk.pd.as_str())) else { return };
        let known = self.disks.iter().position(|other| other.pd == pd && other.unit == unit);
        let at = known.unwrap_or_else(|| {
            self.disks.push(Drive::new(pd, unit));
            self.disks.len() - 1
        });
        if let Some(drive) = self.disks.get_mut(at) {
            drive.take(row);
        }
    }
}

/// Text without what could steer a terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
