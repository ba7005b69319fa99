// SPDX-License-Identifier: MIT
//! A disk through all the lives of its driver and of its device: the QEMU that is its model, and the connection to it.
use crate::ground::Ground;
use crate::qemu::{Aio, Image, Line, Machine, Qemu};
use crate::qtest::Qtest;
use orion_pd::Config;
use orion_system::plan::{Disk, Slot};
use std::os::fd::{AsRawFd, RawFd};
use std::path::PathBuf;

/// A disk.
#[derive(Debug)]
pub struct Drive {
    /// Its name.
    pub name: String,
    /// The PD that drives it.
    pub driver: String,
    /// How its file is opened again.
    file: (PathBuf, bool, Aio, Option<PathBuf>),
    /// `None` where it has ended.
    device: Option<(Qemu, Line)>,
}

impl Drive {
    /// Starts the device of `disk`.
    ///
    /// # Errors
    /// A message for people.
    pub fn start(ground: &Ground, disk: &Disk, image: Image) -> Result<Self, String> {
        let file = (image.path.clone(), image.read_only, image.aio, image.inject.clone());
        let device = Some(machine(ground, disk, image)?);
        Ok(Self { name: disk.name.clone(), driver: disk.driver.clone(), file, device })
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
        let (path, read_only, aio, inject) = self.file.clone();
        let shown = path.display().to_string();
        let image = Image::open(path, read_only, aio, inject)
            .map_err(|error| format!("disk `{}`: {shown} cannot be opened again: {error}", self.name))?;
        let disk = ground.plan.disks.iter().find(|disk| disk.name == self.name);
        let disk = disk.ok_or_else(|| format!("the plan has no disk `{}`", self.name))?;
        self.device = Some(machine(ground, disk, image)?);
        Ok(true)
    }
}

fn machine(ground: &Ground, disk: &Disk, image: Image) -> Result<(Qemu, Line), String> {
    let wrong = |what: &str| format!("disk `{}`: the plan has no {what}", disk.name);
    let driver = ground.pd(&disk.driver).ok_or_else(|| wrong("driver"))?;
    let config = Config::parse(&driver.config).map_err(|_| wrong("configuration of its driver"))?;
    let device = config.devices.first().ok_or_else(|| wrong("device of its driver"))?;
    let page = ground.registers(driver, device.config_vaddr.get()).ok_or_else(|| wrong("configuration page"))?;
    let Slot::Pci(slot) = disk.slot else {
        return Err(wrong("PCI slot"));
    };
    let machine = Machine {
        name: disk.name.clone(),
        slot,
        ecam: page.phys.saturating_sub(u64::from(slot) << 15),
        image,
        dimms: ground.dimms(&disk.name).map_err(|error| format!("disk `{}`: {error}", disk.name))?,
        cpus: ground.cpus.clone(),
    };
    let bell = ground.bell(&driver.name).map_err(|error| error.to_string())?;
    machine.start(&bell.event)
}
