// SPDX-License-Identifier: MIT
//! A device through all the lives of its driver and of itself: the QEMU that is its model, and the connection to it.
use crate::ground::Ground;
use crate::qemu::{Aio, Image, Line, Machine, Medium, Qemu};
use crate::qtest::Qtest;
use orion_pd::Config;
use orion_system::bus::Bus;
use orion_system::plan::{Disk, Slot};
use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;

/// How a disk's file is opened again.
#[derive(Debug)]
struct Source {
    disk: String,
    path: PathBuf,
    read_only: bool,
    aio: Aio,
    inject: Option<PathBuf>,
    shared: bool,
}

/// A device, with all disks behind it.
#[derive(Debug)]
pub struct Drive {
    /// Its name: that of its disk, or of the controller that disks share.
    pub name: String,
    /// The PD that drives it.
    pub driver: String,
    /// Its kind.
    pub bus: Bus,
    sources: Vec<Source>,
    /// `None` where it has ended.
    device: Option<(Qemu, Line)>,
}

impl Drive {
    /// Starts the device of `disks`, whose files are among `images`, by the disks' names.
    ///
    /// # Errors
    /// A message for people.
    pub fn start(ground: &Ground, disks: &[&Disk], images: &mut BTreeMap<String, Image>) -> Result<Self, String> {
        let first = disks.first().ok_or("a device has no disk")?;
        let mut media = Vec::new();
        for disk in disks {
            let image = images.remove(&disk.name).ok_or_else(|| format!("disk `{}` has no file", disk.name))?;
            media.push(Medium { name: disk.name.clone(), unit: disk.unit, image });
        }
        let source = |Medium { name, image, .. }: &Medium| Source {
            disk: name.clone(),
            path: image.path.clone(),
            read_only: image.read_only,
            aio: image.aio,
            inject: image.inject.clone(),
            shared: image.shared,
        };
        let sources = media.iter().map(source).collect();
        let device = Some(machine(ground, first, media)?);
        Ok(Self { name: first.device.clone(), driver: first.driver.clone(), bus: first.bus, sources, device })
    }

    /// The connection, where the device runs.
    pub fn line(&self) -> Option<&Line> {
        self.device.as_ref().map(|(_, line)| line)
    }

    /// Readable when the device has ended.
    pub fn ended(&self) -> Option<RawFd> {
        self.device.as_ref().map(|(qemu, _)| qemu.ended.as_raw_fd())
    }

    /// Buries the device, which has ended; what it said.
    pub fn bury(&mut self) -> String {
        self.device.take().map_or_else(String::new, |(mut qemu, _)| qemu.last_words())
    }

    /// Makes the device ready for a new driver, whose last has died: one that answers is left as it is, with its connection
    /// at a clean line; another is started again. Whether it was.
    ///
    /// # Errors
    /// A message for people, where it can't be started again.
    pub fn ready(&mut self, ground: &Ground) -> Result<bool, String> {
        let line = self.device.as_ref().and_then(|(_, line)| line.qtest.try_clone().ok());
        if line.is_some_and(|socket| Qtest::take_over(socket).is_ok()) {
            return Ok(false);
        }
        // Only when it has ended is the file free.
        self.device = None;
        let disks: Vec<&Disk> = ground.plan.disks.iter().filter(|disk| disk.device == self.name).collect();
        let media = self.sources.iter().map(|source| source.open(&disks)).collect::<Result<Vec<_>, _>>()?;
        let first = disks.first().ok_or_else(|| format!("the plan has no disk of `{}`", self.name))?;
        self.device = Some(machine(ground, first, media)?);
        Ok(true)
    }
}

impl Source {
    fn open(&self, disks: &[&Disk]) -> Result<Medium, String> {
        let shown = self.path.display();
        let image = Image::open(self.path.clone(), self.read_only, self.aio, self.inject.clone())
            .map_err(|error| format!("disk `{}`: {shown} cannot be opened again: {error}", self.disk))?;
        let image = Image { shared: self.shared, ..image };
        let disk = disks.iter().find(|disk| disk.name == self.disk);
        let disk = disk.ok_or_else(|| format!("the plan has no disk `{}`", self.disk))?;
        Ok(Medium { name: disk.name.clone(), unit: disk.unit, image })
    }
}

/// Starts the device of `disk`, with all disks behind it.
fn machine(ground: &Ground, disk: &Disk, media: Vec<Medium>) -> Result<(Qemu, Line), String> {
    let wrong = |what: &str| format!("disk `{}`: the plan has no {what}", disk.name);
    let driver = ground.pd(&disk.driver).ok_or_else(|| wrong("driver"))?;
    let config = Config::parse(&driver.config).map_err(|_| wrong("configuration of its driver"))?;
    let device = config.devices.first().ok_or_else(|| wrong("device of its driver"))?;
    let page = ground.registers(driver, device.config_vaddr.get()).ok_or_else(|| wrong("configuration page"))?;
    let Slot::Pci(slot) = disk.slot else {
        return Err(wrong("PCI slot"));
    };
    let machine = Machine {
        name: disk.device.clone(),
        bus: disk.bus,
        options: disk.options,
        way: disk.way.as_ref().map(|way| way.volume.clone()),
        slot,
        ecam: page.phys.saturating_sub(u64::from(slot) << 15),
        media,
        dimms: ground.dimms(&disk.device).map_err(|error| format!("disk `{}`: {error}", disk.name))?,
        cpus: ground.cpus.clone(),
    };
    let bell = ground.bell(&driver.name).map_err(|error| error.to_string())?;
    machine.start(&bell.event)
}
