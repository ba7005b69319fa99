// SPDX-License-Identifier: MIT
//! One small QEMU per driver PD: its device model, with a CPU that is halted for good.
//!
//! What the device may reach is added as DIMMs, each a region of the plan at its bus address, so that it can reach the regions
//! that the plan says and no other. The machine's memory below 4 GiB holds nothing of ours, unless the device reaches no further:
//! then its regions are pieces of that memory.
use crate::ivshmem::{self, Bridge};
use crate::qtest::{Qtest, Width};
use crate::sys::{self, Cpus};
use orion_system::bus::Bus;
use orion_system::bus::qemu::{Around, Attached, Way, devices};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// The program. Debian and others: package qemu-system-x86.
const PROGRAM: &str = "qemu-system-x86_64";
/// Where the bridge sits on the PCI bus: plans give disks the slots from 3.
const BRIDGE_SLOT: u8 = 2;
/// Where the bridge's registers are: above the windows that plans give to disks.
const BRIDGE_BAR: u64 = 0xe800_0000;
/// Where the bridge's MSI-X table is.
pub const BRIDGE_TABLE: u64 = 0xe801_0000;
/// The message that rings the driver's event counter: address and data.
pub const MESSAGE: (u64, u32) = (BRIDGE_BAR + ivshmem::DOORBELL, ivshmem::MESSAGE);
const BIOS_BYTES: usize = 64 << 10;
const GIB: u64 = 1 << 30;
/// DIMMs begin here on this machine; below it is its own memory.
const FIRST_BUS: u64 = 4 * GIB;
/// Its own memory where nothing of ours is in it.
const RAM_BYTES: u64 = 64 << 20;

/// Memory that a device may reach.
#[derive(Debug)]
pub struct Dimm {
    /// What backs it; mapped by whoever else shares it.
    pub memory: File,
    /// Bytes, a multiple of 4096.
    pub size: u64,
    /// Its address on the bus.
    pub bus: u64,
}

/// How QEMU reads and writes a disk's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aio {
    /// A pool of threads, through the page cache.
    Threads,
    /// The kernel's native interface, past the page cache.
    Native,
}

/// The file behind a disk.
#[derive(Debug)]
pub struct Image {
    /// Opened with the access that the disk needs. Closed once QEMU runs: an open copy would keep QEMU's lock.
    pub file: File,
    /// Where it is, to be opened again for a device that is started again.
    pub path: PathBuf,
    /// Whether the disk is read-only.
    pub read_only: bool,
    /// How it is read and written.
    pub aio: Aio,
    /// For tests: QEMU `blkdebug` rules of errors to inject.
    pub inject: Option<PathBuf>,
    /// Whether another device has the file, and its lock: one of several ways to a disk.
    pub shared: bool,
}

impl Image {
    /// The same file, opened anew.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: PathBuf, read_only: bool, aio: Aio, inject: Option<PathBuf>) -> io::Result<Self> {
        let file = File::options().read(true).write(!read_only).open(&path)?;
        if aio == Aio::Native {
            sys::bypass_cache(&file)?;
        }
        Ok(Self { file, path, read_only, aio, inject, shared: false })
    }
}

impl Image {
    /// The set of descriptors by which QEMU opens the file of a node.
    fn descriptor(&self, node: &str) -> String {
        format!("fd={},set={}", self.file.as_raw_fd(), set(node))
    }

    /// A node of QEMU's block layer that is the file.
    fn node(&self, node: &str) -> String {
        let switch = |on| if on { "on" } else { "off" };
        let aio = match self.aio {
            Aio::Threads => "aio=threads",
            Aio::Native => "aio=native,cache.direct=on",
        };
        let (read_only, locking) = (switch(self.read_only), switch(!self.shared));
        // The one place for a comma in a path is the rules' file; QEMU doubles it.
        let (file, rules) = match &self.inject {
            None => ("file".to_owned(), String::new()),
            Some(path) => {
                let path = path.to_string_lossy().replace(',', ",,");
                ("file.image".to_owned(), format!(",file.driver=blkdebug,file.config={path}"))
            }
        };
        let aio = aio.split(',').map(|option| format!(",{file}.{option}")).collect::<String>();
        let set = set(node);
        format!(
            "driver=raw,node-name={node},read-only={read_only},discard=unmap{rules},{file}.driver=file,\
             {file}.filename=/dev/fdset/{set},{file}.locking={locking}{aio}"
        )
    }
}

/// The number of the descriptors of a node called `imageN`.
fn set(node: &str) -> u32 {
    node.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0)
}

/// A disk behind the device.
#[derive(Debug)]
pub struct Medium {
    /// Its name, of which its serial number is made.
    pub name: String,
    /// Which of the disks behind the device it is, as its driver is told.
    pub unit: u32,
    /// Its file.
    pub image: Image,
}

/// What is to be started.
#[derive(Debug)]
pub struct Machine {
    /// The device's name: that of its disk, or of the controller that disks share.
    pub name: String,
    /// What it is.
    pub bus: Bus,
    /// How its queues can be, as its driver is told.
    pub options: u32,
    /// The volume that it is one of several ways to, if it is.
    pub way: Option<String>,
    /// PCI slot of the device on bus 0.
    pub slot: u8,
    /// Bus address of the 256 MiB window on PCI configuration space.
    pub ecam: u64,
    /// The disks behind it.
    pub media: Vec<Medium>,
    /// All memory that the device may reach.
    pub dimms: Vec<Dimm>,
    /// The processors it may use.
    pub cpus: Cpus,
}

/// What a driver PD needs of its device's QEMU.
#[derive(Debug)]
pub struct Line {
    /// The qtest connection.
    pub qtest: UnixStream,
    /// The event counter of [`ivshmem::Kick`].
    pub kick: File,
}

/// A running QEMU.
#[derive(Debug)]
pub struct Qemu {
    /// The process.
    pub child: Child,
    /// Readable when it has ended.
    pub ended: OwnedFd,
    bridge: Bridge,
}

impl Machine {
    /// Starts QEMU, with the interrupts of the device ringing `event`. Call it from the main thread. The connection
    /// is for the driver.
    ///
    /// # Errors
    /// A message for people.
    pub fn start(self, event: &File) -> Result<(Qemu, Line), String> {
        self.start_monitored(event, None)
    }

    /// As [`start`](Self::start), with QEMU's own monitor (QMP) at the other end of a socket: for tests.
    ///
    /// # Errors
    /// A message for people.
    pub fn start_monitored(self, event: &File, monitor: Option<&UnixStream>) -> Result<(Qemu, Line), String> {
        let name = self.name.clone();
        let (mut child, qtest, bridge) = self.spawn(event, monitor).map_err(|error| explain(&name, &error))?;
        let set_up = self
            .set_up(qtest, &bridge, event)
            .and_then(|qtest| Ok((Line { qtest, kick: bridge.kick()? }, sys::process(child.id())?)));
        match set_up {
            Ok((line, ended)) => Ok((Qemu { child, ended, bridge }, line)),
            Err(error) => Err(last_words(&name, &mut child, &error)),
        }
    }

    fn spawn(&self, event: &File, monitor: Option<&UnixStream>) -> io::Result<(Child, Qtest, Bridge)> {
        let bios = sys::constant("orion-bios", &halt(), BIOS_BYTES as u64)?;
        let (ours, theirs) = UnixStream::pair()?;
        let (bridge, device) = Bridge::new(event)?;
        let mut keep = vec![bios.as_raw_fd(), theirs.as_raw_fd(), device.as_raw_fd()];
        keep.extend(self.media.iter().map(|medium| medium.image.file.as_raw_fd()));
        keep.extend(self.dimms.iter().map(|dimm| dimm.memory.as_raw_fd()));
        let mut command = Command::new(PROGRAM);
        command.args(MACHINE).args(["-name", &format!("orion-{}", self.name)]);
        command.args(["-bios", &proc_path(&bios)]).args(self.memory_options()).args(self.disk_options());
        command.args(socket_options(theirs.as_raw_fd(), device.as_raw_fd()));
        if let Some(monitor) = monitor {
            keep.push(monitor.as_raw_fd());
            command.args(["-chardev", &format!("socket,id=monitor,fd={}", monitor.as_raw_fd())]);
            command.args(["-mon", "chardev=monitor,mode=control"]);
        }
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        sys::tie(&mut command, keep, &self.cpus);
        Ok((command.spawn()?, Qtest::new(ours)?, bridge))
    }

    fn memory_options(&self) -> Vec<String> {
        let (low, high): (Vec<_>, Vec<_>) = self.dimms.iter().partition(|dimm| dimm.bus < FIRST_BUS);
        let (mut options, bytes) = ram(low);
        let slots = high.len() as u64;
        let end = high.iter().map(|dimm| dimm.bus.saturating_add(dimm.size)).max().unwrap_or(FIRST_BUS);
        // QEMU keeps 1 GiB beside each slot for alignment, so this is always enough.
        let most = (end.saturating_sub(FIRST_BUS) / GIB + 2) * GIB;
        options.push("-m".to_owned());
        options.push(match slots {
            0 => format!("{bytes}B"),
            _ => format!("{bytes}B,slots={slots},maxmem={most}"),
        });
        for (i, dimm) in high.into_iter().enumerate() {
            options.extend(backend(&format!("m{i}"), dimm));
            options.push("-device".to_owned());
            options.push(format!("pc-dimm,id=d{i},memdev=m{i},addr={:#x}", dimm.bus));
        }
        options
    }

    fn disk_options(&self) -> Vec<String> {
        let nodes: Vec<String> = (0..self.media.len()).map(|number| format!("image{number}")).collect();
        let attached = |(medium, node): (&Medium, &String)| {
            [("-add-fd", medium.image.descriptor(node)), ("-blockdev", medium.image.node(node))]
        };
        let files = self.media.iter().zip(&nodes).flat_map(attached);
        let disks: Vec<Attached<'_>> = self
            .media
            .iter()
            .zip(&nodes)
            .map(|(medium, node)| Attached { drive: node, unit: medium.unit, name: &medium.name })
            .collect();
        let place = format!("addr={:#x}", self.slot);
        // Each device is alone in its machine, so each brings the disk.
        let way = self.way.as_deref().map(|volume| Way { volume, first: true });
        let around = Around { options: self.options, iommu: false, way };
        let devices = devices(self.bus, (&self.name, &place), &disks, around);
        files.chain(devices.into_iter().map(|device| ("-device", device))).flat_map(|(k, v)| [k.into(), v]).collect()
    }

    /// Assigns what firmware would: the configuration window, and the bridge's doorbell.
    fn set_up(self, mut qtest: Qtest, bridge: &Bridge, event: &File) -> io::Result<UnixStream> {
        // PCIEXBAR, Intel 3 Series chipset datasheet 5.1.16: register 0x60 of the host bridge, 256 MiB, enabled.
        let low = u32::try_from(self.ecam).map_err(io::Error::other)?;
        qtest.output(Width::L, 0xcf8, 0x8000_0060)?;
        qtest.output(Width::L, 0xcfc, (low | 1).into())?;
        let bridge_page = self.ecam + (u64::from(BRIDGE_SLOT) << 15);
        ivshmem::place(&mut qtest, bridge_page, BRIDGE_BAR, BRIDGE_TABLE)?;
        bridge.settle(&mut qtest, event)?;
        let id = qtest.read(Width::L, self.ecam + (u64::from(self.slot) << 15))?;
        if id & 0xffff != u64::from(self.bus.vendor()) {
            return Err(io::Error::other(format!("no {} device in slot {}: {id:#x}", self.bus, self.slot)));
        }
        if self.bus.is_ports() {
            qtest.watch_pins()?;
        }
        qtest.into_socket()
    }
}

/// The machine's own memory, and its bytes: nothing of ours, or, for a device that reaches no further than 4 GiB, its regions at
/// their places. RAM can be of several pieces where each is a node of a NUMA machine; what lies between ours is nobody's.
fn ram(mut low: Vec<&Dimm>) -> (Vec<String>, u64) {
    if low.is_empty() {
        return (Vec::new(), RAM_BYTES);
    }
    low.sort_by_key(|dimm| dimm.bus);
    let (mut options, mut end, mut node) = (Vec::new(), 0, 0);
    let mut piece = |object: Vec<String>, name: &str| {
        options.extend(object);
        options.extend(["-numa".to_owned(), format!("node,nodeid={node},memdev={name}")]);
        node += 1;
    };
    for (i, dimm) in low.into_iter().enumerate() {
        if dimm.bus > end {
            let filler = format!("memory-backend-ram,id=g{i},size={},reserve=off", dimm.bus - end);
            piece(vec!["-object".to_owned(), filler], &format!("g{i}"));
        }
        piece(backend(&format!("l{i}"), dimm), &format!("l{i}"));
        end = dimm.bus.saturating_add(dimm.size);
    }
    (options, end)
}

fn backend(id: &str, dimm: &Dimm) -> Vec<String> {
    let (size, path) = (dimm.size, proc_path(&dimm.memory));
    vec!["-object".to_owned(), format!("memory-backend-file,id={id},size={size},mem-path={path},share=on")]
}

/// What every machine has: a q35 board with nothing on it, a CPU that never runs, and QEMU's own sandbox.
const MACHINE: [&str; 14] = [
    "-nodefaults",
    "-no-user-config",
    "-display",
    "none",
    "-qtest-log",
    "none",
    "-accel",
    // Never KVM: the CPU is halted anyway, and some KVMs interpret firmware a hundred times slower.
    "tcg",
    "-M",
    "q35,sata=off,smbus=off,usb=off,vmport=off,hpet=off,pit=off",
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
    "-vga",
    "none",
];

fn socket_options(qtest: RawFd, bridge: RawFd) -> [String; 8] {
    [
        "-chardev".to_owned(),
        format!("socket,id=qtest,fd={qtest}"),
        "-qtest".to_owned(),
        "chardev:qtest".to_owned(),
        "-chardev".to_owned(),
        format!("socket,id=bridge,fd={bridge}"),
        "-device".to_owned(),
        format!("ivshmem-doorbell,chardev=bridge,vectors=1,addr={BRIDGE_SLOT:#x}"),
    ]
}

/// Firmware that halts: x86 begins 16 bytes below the end. `cli; hlt; jmp $-1`, and `hlt` everywhere else.
fn halt() -> Vec<u8> {
    let mut bios = vec![0xf4; BIOS_BYTES - 16];
    bios.extend([0xfa, 0xf4, 0xeb, 0xfd]);
    bios.resize(BIOS_BYTES, 0xf4);
    bios
}

fn proc_path(file: &File) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

fn explain(disk: &str, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::NotFound {
        return format!("{PROGRAM} is not installed; install it (Debian: apt install qemu-system-x86)");
    }
    format!("disk `{disk}`: {PROGRAM} cannot be started: {error}")
}

/// What QEMU said before it ended, in words about the disk where we know them.
fn last_words(disk: &str, child: &mut Child, error: &io::Error) -> String {
    // It may be alive, where the error was ours.
    let _ = child.kill();
    let _ = child.wait();
    let mut said = String::new();
    if let Some(stderr) = child.stderr.as_mut() {
        let _ = stderr.read_to_string(&mut said);
    }
    if said.contains("Failed to get") && said.contains("lock") {
        return format!(
            "disk `{disk}`: its file is in use: another process holds its lock; end that process (another `orion \
             run`, or a virtual machine), or name another file"
        );
    }
    format!("disk `{disk}`: {PROGRAM} does not start ({error}): {}", said.trim())
}

impl Qemu {
    /// What it said before it ended; call it when it has.
    pub fn last_words(&mut self) -> String {
        let mut said = Vec::new();
        if let Some(stderr) = &mut self.child.stderr {
            let _ = stderr.take(4096).read_to_end(&mut said);
        }
        crate::console::plain(said.trim_ascii())
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        let _ = self.child.kill();
        // Only after this is the file's lock free.
        let _ = self.child.wait();
        let _ = &self.bridge;
    }
}
