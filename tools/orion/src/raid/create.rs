// SPDX-License-Identifier: MIT
//! `orion raid create`.
use super::running::Running;
use super::words;
use crate::Outcome;
use crate::cat::devices;
use orion_raid::create::{Device, New};
use orion_raid::wire::SUPER_BYTES;
use orion_raid::{Super, Uuid, Version};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

/// Arguments of `orion raid create`.
#[derive(clap::Args)]
pub struct Args {
    /// linear, 0, 1, 4, 5, 6 or 10; with --groups also 50 and 60
    #[arg(short, long, value_parser = words::made, allow_hyphen_values = true)]
    level: i32,
    /// RAID 50 and 60: so many arrays of level 5 or 6, the images dealt to them in their order, and one of level 0 over these
    #[arg(short, long, value_name = "N")]
    groups: Option<usize>,
    /// Members; the first images that are given
    #[arg(short = 'n', long, value_name = "N")]
    raid_devices: usize,
    /// Spares; the images behind
    #[arg(short = 'x', long, value_name = "N", default_value_t = 0)]
    spare_devices: usize,
    /// KiB of a chunk
    #[arg(short, long, value_name = "KIB", default_value_t = 512)]
    chunk: u32,
    /// left-symmetric ..., n2, f2, o2 ...; mdadm's default if not given
    #[arg(short = 'p', long, value_name = "NAME")]
    layout: Option<String>,
    /// 1.0, 1.1 or 1.2
    #[arg(short = 'e', long, value_name = "VERSION", default_value = "1.2", value_parser = version)]
    metadata: Version,
    /// KiB before the data
    #[arg(long, value_name = "KIB", default_value_t = 1024)]
    data_offset: u64,
    /// The array's name
    #[arg(short = 'N', long, default_value = "")]
    name: String,
    /// `ppl`: RAID 5 gets a partial parity log, so that a loss of power leaves no hole; `resync`: without one
    #[arg(short = 'k', long, value_name = "HOW", value_parser = ["ppl", "resync"])]
    consistency_policy: Option<String>,
    /// RAID 4, 5 and 6 get a write journal on this image: what is written goes there first, so that a loss of power leaves no hole
    #[arg(long, value_name = "IMAGE", conflicts_with = "consistency_policy")]
    write_journal: Option<PathBuf>,
    /// `internal`: a bitmap says what was being written, so that only that is put in sync after a loss of power
    #[arg(short, long, value_name = "WHERE", value_parser = ["internal", "none"])]
    bitmap: Option<String>,
    /// KiB that a bit of it stands for, a power of two
    #[arg(long, value_name = "KIB")]
    bitmap_chunk: Option<u32>,
    /// All images hold the same, or zeroes: nothing is put in sync first
    #[arg(long)]
    assume_clean: bool,
    /// Write also over what is an array's member already
    #[arg(long)]
    force: bool,
    /// Disk images or block devices; `missing` for a member that comes later
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
}

fn version(text: &str) -> Result<Version, String> {
    match text {
        "1.0" => Ok(Version::V10),
        "1.1" => Ok(Version::V11),
        "1.2" | "1" => Ok(Version::V12),
        _ => Err("1.0, 1.1 and 1.2 are made".into()),
    }
}

pub fn random() -> Result<Uuid, String> {
    let mut uuid = [0; 16];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut uuid));
    read.map(|()| Uuid(uuid)).map_err(|error| format!("/dev/urandom: {error}"))
}

fn refuse(kind: orion_raid::Kind) -> String {
    format!("there can be no such array: {kind}; {}", kind.remedy())
}

/// Writes a superblock where it belongs, and zeroes where an older one would be found too.
fn write(file: &File, sectors: u64, made: &Super) -> io::Result<()> {
    let mut bytes = [0; SUPER_BYTES];
    let used = made.emit(&mut bytes).ok_or_else(|| io::Error::other("the superblock has no room for so many roles"))?;
    orion_raid::probe::places(sectors).try_for_each(|at| file.write_all_at(&[0; SUPER_BYTES], at * 512))?;
    let bytes = bytes.get(..used.next_multiple_of(512)).unwrap_or_default();
    file.write_all_at(bytes, made.super_offset * 512)?;
    file.sync_all()
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        if self.images.len() != self.raid_devices + self.spare_devices {
            let (given, wanted) = (self.images.len(), self.raid_devices + self.spare_devices);
            return Err(format!("{given} images are given for {wanted} devices; give as many, `missing` for some"));
        }
        if self.groups.is_some() || matches!(self.level, 50 | 60) {
            return self.nested();
        }
        println!("{}", self.make()?);
        Ok(ExitCode::SUCCESS)
    }

    /// Makes one array: its identifier.
    fn make(&self) -> Result<Uuid, String> {
        let (new, ppl) = self.wanted(random()?)?;
        let (set, journaled) = (new.set, self.write_journal.is_some());
        let mapped = self.bitmap.as_deref() == Some("internal");
        let mut files = Vec::new();
        let mut all = Vec::new();
        for (number, path) in self.images.iter().enumerate() {
            let missing = path == Path::new("missing");
            let file = if missing { None } else { Some(self.open(path)?) };
            let sectors = file.as_ref().map_or(0, |(_, sectors)| *sectors);
            all.push(Device { sectors, uuid: random()?, spare: number >= self.raid_devices, missing });
            files.extend(file.map(|(file, sectors)| (file, sectors, path)));
        }
        let mut supers: Vec<Super> = new.supers(&all).map_err(refuse)?.collect();
        if let Some(path) = &self.write_journal {
            let (file, sectors) = self.open(path)?;
            let device = Device { sectors, uuid: random()?, spare: false, missing: false };
            let made = new.journal(&mut supers, &device).map_err(refuse)?;
            let first = made.made.data_offset * 512;
            file.write_all_at(&made.block, first).map_err(|error| format!("{}: {error}", path.display()))?;
            supers.push(made.made);
            files.push((file, sectors, path));
        }
        let chunk = self.bitmap_chunk.map(|kib| kib.saturating_mul(1024));
        let bitmap = if mapped { Some(new.bitmap(&mut supers, chunk).map_err(refuse)?) } else { None };
        for ((file, sectors, path), made) in files.iter().zip(supers) {
            let say = |error: std::io::Error| format!("{}: {error}", path.display());
            if let Some((bitmap, at)) = bitmap.zip(made.bitmap) {
                let mut bytes = vec![u8::MAX; usize::try_from(bitmap.bytes()).unwrap_or(0)];
                bytes.iter_mut().zip(bitmap.emit()).for_each(|(to, from)| *to = from);
                file.write_all_at(&bytes, at * 512).map_err(say)?;
            }
            write(file, *sectors, &made).map_err(say)?;
        }
        if matches!(self.level, 4..=6) && !ppl && !journaled {
            let (level, other) = (self.level, if self.level == 5 { " or a partial parity log" } else { "" });
            eprintln!(
                "this RAID {level} has the write hole: parity may be wrong after a loss of power, and with it what a member held that is \
                 missing then; --write-journal IMAGE{other} closes it"
            );
        }
        Ok(set)
    }

    /// What is asked for, and whether it has a partial parity log.
    fn wanted(&self, set: Uuid) -> Result<(New<'_>, bool), String> {
        let chunk = if matches!(self.level, -1 | 1) { 0 } else { self.chunk.saturating_mul(2) };
        let layout = words::layout(self.level, self.layout.as_deref())?;
        let created = SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
        // By default, where there is one.
        let other = self.write_journal.is_some() || self.bitmap.as_deref() == Some("internal");
        let has = !other && self.level == 5 && self.metadata != Version::V10 && self.data_offset >= 64;
        let ppl = self.consistency_policy.as_deref().map_or(has, |how| how == "ppl");
        let new = New {
            version: self.metadata,
            set,
            name: &self.name,
            created,
            level: self.level,
            layout,
            chunk,
            data_offset: self.data_offset.saturating_mul(2),
            ppl,
            clean: self.assume_clean,
        };
        Ok((new, ppl))
    }

    /// Arrays of level 5 or 6, and one of level 0 over these.
    fn nested(self) -> Outcome {
        let groups = self.groups.unwrap_or(0);
        let whole = groups >= 2 && self.raid_devices.is_multiple_of(groups) && matches!(self.level, 50 | 60);
        if !whole || self.spare_devices > 0 || self.write_journal.is_some() {
            return Err(
                "--groups N is for level 50 and 60, of N times as many members, without spares or journal".into()
            );
        }
        let own = |group: usize| format!("{}-{group}", self.name);
        let mut sets = Vec::new();
        for (group, images) in self.images.chunks(self.raid_devices / groups).enumerate() {
            let (level, name) = (self.level / 10, own(group));
            let one = Self {
                level,
                name,
                groups: None,
                raid_devices: images.len(),
                images: images.to_vec(),
                layout: self.layout.clone(),
                consistency_policy: self.consistency_policy.clone(),
                write_journal: None,
                bitmap: self.bitmap.clone(),
                ..self
            };
            sets.push((one.make()?, images));
        }
        let mut arrays = Vec::new();
        let mut all = Vec::new();
        for (set, images) in sets {
            let images: Vec<PathBuf> = images.iter().filter(|path| *path != Path::new("missing")).cloned().collect();
            let array = Running::start(&images, Some(set), false)?;
            all.push(Device { sectors: array.sectors(), uuid: random()?, spare: false, missing: false });
            arrays.push(array);
        }
        let outer = Self { level: 0, layout: None, consistency_policy: None, bitmap: None, ..self };
        let (new, _) = outer.wanted(random()?)?;
        let supers: Vec<Super> = new.supers(&all).map_err(refuse)?.collect();
        for (array, made) in arrays.iter_mut().zip(supers) {
            let mut bytes = [0; SUPER_BYTES];
            made.emit(&mut bytes).ok_or("the superblock has no room for so many roles")?;
            for at in orion_raid::probe::places(array.sectors()) {
                let own = if at == made.super_offset { bytes } else { [0; SUPER_BYTES] };
                array.write(at * 512, &own, own.len())?;
            }
            array.rest(self.assume_clean)?;
        }
        println!("{}", new.set);
        Ok(ExitCode::SUCCESS)
    }

    /// An image that is no member yet, and its sectors.
    fn open(&self, path: &Path) -> Result<(File, u64), String> {
        let name = path.display();
        let say = |error| format!("{name}: cannot be written: {error}; name a disk image that exists");
        let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(say)?;
        let sectors = file.seek(SeekFrom::End(0)).map_err(say)? / 512;
        let found = devices::superblocks(&file, 0, sectors).find_map(Result::ok);
        if let Some(found) = found.filter(|_| !self.force) {
            return Err(format!("{name} is a member of array {} already; --force takes it all the same", found.set));
        }
        Ok((file, sectors))
    }
}
