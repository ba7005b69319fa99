// SPDX-License-Identifier: MIT
//! A PD through all its lives: one process after another, with the same memory, bells, console and device.
use crate::console::Tail;
use crate::disk::Drive;
use crate::ground::{Ground, absent, fd};
use crate::launch::{BY_PIN, Launch, NO_KICK};
use crate::process::Process;
use crate::programs::{Program, Role};
use crate::qemu;
use crate::regions::{Mapped, Region};
use crate::sys;
use orion_pd::config::{Builder, Device, Header};
use orion_system::bus::Bus;
use orion_system::plan::{IrqSource, Pd};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use zerocopy::FromBytes;

/// Bytes of a console ring.
const CONSOLE_BYTES: u64 = 16 << 10;

/// A PD, and its present process.
#[derive(Debug)]
pub struct Life {
    /// Its name.
    pub name: String,
    /// What its end means.
    pub role: Role,
    /// Its number among the supervisor's children, if it is one.
    pub child: Option<u8>,
    /// Its process; the last one where that has ended.
    pub process: Process,
    /// Its console.
    pub tail: Tail,
    launch: Launch,
    /// What its processes inherit, beside what the ground has.
    held: Held,
}

/// Descriptors that must stay open.
#[derive(Debug)]
struct Held {
    _console: Region,
    _config: File,
    listeners: Vec<OwnedFd>,
    _parent: Option<OwnedFd>,
}

impl Life {
    /// Starts the first life of a PD.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(
        ground: &Ground,
        pd: &Pd,
        program: Program,
        (listeners, parent): (Vec<OwnedFd>, Option<OwnedFd>),
        drive: Option<&Drive>,
    ) -> io::Result<Self> {
        let mut launch = Launch { name: pd.name.clone(), program: pd.program.clone(), ..Launch::default() };
        let bell = ground.bell(&pd.name)?;
        launch.own = Some((fd(bell.pending.file(true)), fd(bell.sleeping.file(true)), fd(&bell.event)));
        launch.maps = pd.maps.iter().filter_map(|map| ground.map(map)).collect();
        launch.files = pd.maps.iter().filter_map(|map| ground.registers(pd, map.vaddr)).collect();
        launch.peers = ground.peers(&pd.name);
        [launch.calls, launch.serves] = ground.calls(&pd.name);
        launch.listen = listeners.iter().map(AsRawFd::as_raw_fd).collect();
        launch.parent = parent.as_ref().map(AsRawFd::as_raw_fd);
        let console = Region::new(&format!("{}-console", pd.name), CONSOLE_BYTES)?;
        launch.console = Some((fd(console.file(true)), CONSOLE_BYTES, ground.host_fd()));
        let tail = Tail::new(Mapped::new(console.file(true), None, CONSOLE_BYTES, true)?.window())?;
        let config = configuration(pd)?;
        let size = (config.len() as u64).next_multiple_of(4096);
        let config = sys::constant(&format!("orion-{}-config", pd.name), &config, size)?;
        launch.config = Some((fd(&config), size));
        launch.device = device(pd, drive)?;
        let process = Process::start(&launch, &ground.cpus)?;
        let held = Held { _console: console, _config: config, listeners, _parent: parent };
        let (name, child) = (pd.name.clone(), pd.parent.as_ref().map(|(_, number)| *number));
        Ok(Self { name, role: program.role, child, process, tail, launch, held })
    }

    /// There will be no further life: who connects to where it listened is turned away, rather than left to wait.
    pub fn retire(&mut self) {
        self.process.kill();
        self.held.listeners.clear();
    }

    /// Ends the present life and begins another.
    ///
    /// # Errors
    /// What the system says.
    pub fn again(&mut self, ground: &Ground, drive: Option<&Drive>) -> io::Result<()> {
        self.process.kill();
        let pd = ground.pd(&self.name).ok_or_else(|| absent("protection domain"))?;
        self.launch.device = device(pd, drive)?;
        self.process = Process::start(&self.launch, &ground.cpus)?;
        Ok(())
    }
}

/// A driver's connection to its device, the counter of its doorbell or what stands for it, and the channel of its interrupt.
fn device(pd: &Pd, drive: Option<&Drive>) -> io::Result<Option<(i32, i32, u8)>> {
    let Some(drive) = drive else { return Ok(None) };
    let irq = pd.irqs.iter().find(|irq| irq.source == IrqSource::Event).map_or(u8::MAX, |irq| irq.id);
    let line = drive.line().ok_or_else(|| io::Error::other("its device has gone"))?;
    let kick = match drive.bus {
        // A doorbell of virtio's always gets the same value, and may so be rung late; one of NVMe's that memory shadows, too.
        Bus::VirtioBlk | Bus::VirtioScsi | Bus::Nvme => line.kick.as_raw_fd(),
        bus if bus.is_ports() => BY_PIN,
        _ => NO_KICK,
    };
    Ok(Some((line.qtest.as_raw_fd(), kick, irq)))
}

/// The PD's configuration, with what only this world knows: the message by which its device interrupts it.
fn configuration(pd: &Pd) -> io::Result<Vec<u8>> {
    if pd.config.is_empty() {
        // A PD of the user's own, without a link to us.
        return Ok(Builder { name: pd.name.clone(), ..Builder::default() }.bytes());
    }
    let bad = || io::Error::other("its configuration is damaged");
    let mut blob = pd.config.clone();
    let (header, _) = Header::read_from_prefix(&blob).map_err(|_| bad())?;
    let [_, _, _, devices, ..] = header.tables;
    let table = blob.get_mut(devices.offset.get() as usize..).ok_or_else(bad)?;
    let count = devices.count.get() as usize;
    let (devices, _) = <[Device]>::mut_from_prefix_with_elems(table, count).map_err(|_| bad())?;
    // Those whose registers are ports interrupt by their pin.
    for device in devices.iter_mut().filter(|device| device.transport.get() != 2) {
        device.msi_address = qemu::MESSAGE.0.into();
        device.msi_data = qemu::MESSAGE.1.into();
    }
    Ok(blob)
}
