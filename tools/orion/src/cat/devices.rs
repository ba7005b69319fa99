// SPDX-License-Identifier: MIT
//! The images, their partitions, and the superblocks on them.
use super::nest::Inside;
use orion_block::BlockSize;
use orion_gpt::Probe;
use orion_raid::wire::{SUPER_BYTES, feature};
use orion_raid::{BadBlocks, Read, Super, probe};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;

/// What may be a member: an image, or a partition of one.
struct Extent<'a> {
    file: &'a File,
    name: String,
    /// Its first byte in the image.
    base: u64,
    sectors: u64,
}

/// Where a device's sectors are.
#[derive(Clone)]
pub enum Source {
    /// In an image, from this byte on.
    Image(Rc<File>, u64),
    /// In an array.
    Array(Rc<Inside>),
}

/// A superblock's device.
pub struct Device {
    pub name: String,
    pub source: Source,
    bad: BadBlocks,
}

/// All devices with a superblock.
#[derive(Default)]
pub struct Devices {
    pub all: Vec<Device>,
    /// Their superblocks, in the same order.
    pub supers: Vec<Super>,
    /// What is wrong with superblocks that were not taken, by name.
    pub faults: Vec<(String, String)>,
    /// Images on which there is none.
    pub strangers: Vec<String>,
}

impl Devices {
    /// The devices' names.
    pub fn names(&self) -> Vec<&str> {
        self.all.iter().map(|device| device.name.as_str()).collect()
    }
}

impl Read for Devices {
    fn read(&mut self, device: usize, sector: u64, to: &mut [u8]) -> bool {
        let Some(device) = self.all.get(device) else { return false };
        let end = sector.saturating_add(to.len() as u64 / 512);
        !device.bad.meet(sector, end) && device.source.clone().read(self, sector, to)
    }
}

impl Source {
    /// Fills `to`, whole sectors, from `sector` on; whether they can be read.
    pub fn read(&self, devices: &mut Devices, sector: u64, to: &mut [u8]) -> bool {
        match self {
            Self::Image(file, base) => {
                let at = sector.checked_mul(512).and_then(|at| at.checked_add(*base));
                at.is_some_and(|at| file.read_exact_at(to, at).is_ok())
            }
            Self::Array(inside) => inside.read(devices, sector, to),
        }
    }
}

/// Opens the images, to be read only, and finds what is on them.
pub fn open(paths: &[PathBuf]) -> Result<Devices, String> {
    let mut devices = Devices::default();
    for path in paths {
        let name = path.display().to_string();
        let say = |error| format!("{name}: cannot be read: {error}; name a disk image");
        let mut file = File::open(path).map_err(say)?;
        let size = file.seek(SeekFrom::End(0)).map_err(say)?;
        let whole = Extent { file: &file, name: name.clone(), base: 0, sectors: size / 512 };
        let before = devices.all.len() + devices.faults.len();
        devices.look(&whole)?;
        for part in partitions(&whole) {
            devices.look(&part)?;
        }
        if devices.all.len() + devices.faults.len() == before {
            devices.strangers.push(name);
        }
    }
    Ok(devices)
}

/// The partitions of an image with blocks of 512 bytes, or of 4096.
fn partitions<'a>(image: &Extent<'a>) -> Vec<Extent<'a>> {
    let table = |block: BlockSize| {
        let mut probe = Probe::new(block, (image.sectors * 512) >> block.shift());
        while let Some(want) = probe.want() {
            let mut bytes = vec![0; usize::try_from(want.blocks << block.shift()).unwrap_or(0)];
            match image.file.read_exact_at(&mut bytes, want.first << block.shift()) {
                Ok(()) => probe.feed(&bytes),
                Err(_) => probe.unreadable(),
            }
        }
        probe.outcome().and_then(Result::ok).cloned().map(|table| (table, block.shift()))
    };
    let Some((table, shift)) = table(BlockSize::B512).or_else(|| table(BlockSize::B4096)) else { return Vec::new() };
    let part = |p: &orion_gpt::Partition| Extent {
        file: image.file,
        name: format!("{} partition {}", image.name, p.number),
        base: p.first << shift,
        sectors: (p.blocks << shift) / 512,
    };
    table.partitions.iter().map(part).collect()
}

impl Devices {
    /// Takes every superblock of `extent`.
    fn look(&mut self, extent: &Extent<'_>) -> Result<(), String> {
        for found in superblocks(extent.file, extent.base, extent.sectors) {
            match found {
                Err(fault) => self.faults.push((extent.name.clone(), fault)),
                Ok(found) => self.take(extent, found)?,
            }
        }
        Ok(())
    }

    fn take(&mut self, extent: &Extent<'_>, found: Super) -> Result<(), String> {
        let file = extent.file.try_clone().map_err(|error| format!("{}: {error}; give fewer images", extent.name))?;
        self.push(&extent.name, Source::Image(Rc::new(file), extent.base), found);
        Ok(())
    }

    /// Takes a device that has this superblock.
    pub fn push(&mut self, name: &str, source: Source, found: Super) {
        match bad_blocks(self, &source, &found) {
            Some(bad) => {
                self.all.push(Device { name: name.into(), source, bad });
                self.supers.push(found);
            }
            None => {
                let what = "the list of bad blocks cannot be read; leave this device out, if the others are enough";
                self.faults.push((name.into(), what.into()));
            }
        }
    }
}

/// The superblocks on so many sectors from the byte `base` of a file on, or what is wrong with them.
pub fn superblocks(file: &File, base: u64, sectors: u64) -> impl Iterator<Item = Result<Super, String>> + '_ {
    probe::places(sectors).filter_map(move |at| {
        let mut bytes = vec![0; SUPER_BYTES];
        match file.read_exact_at(&mut bytes, base + at * 512) {
            Ok(()) => Super::parse(&bytes, at, sectors).map(|found| found.map_err(|error| error.to_string())),
            Err(error) => Some(Err(format!("sector {at} cannot be read: {error}; copy the disk again, whole"))),
        }
    })
}

/// The list of bad blocks; empty where the superblock says that there are none.
fn bad_blocks(devices: &mut Devices, source: &Source, found: &Super) -> Option<BadBlocks> {
    if !found.has(feature::BAD_BLOCKS) {
        return Some(BadBlocks::default());
    }
    let log = found.log?;
    let mut bytes = vec![0; usize::from(log.sectors) * 512];
    source.read(devices, log.at, &mut bytes).then_some(())?;
    BadBlocks::parse(&bytes, log.shift)
}
