// SPDX-License-Identifier: MIT
//! The images of an array that is worked on as a whole, with their superblocks.
use crate::cat::devices;
use orion_raid::ppl::TURN_SECTORS;
use orion_raid::reshape::{Write, write_supers};
use orion_raid::wire::{SPARE, feature};
use orion_raid::{Array, Ppl, Read, Role, Standing, Super, Uuid, Version};
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// An image with a superblock.
struct Image {
    path: PathBuf,
    file: File,
    found: Super,
}

/// All of them, in the order in which they are counted, and the file that keeps what is moved in place.
pub struct Files(Vec<Image>, Option<File>);

/// The number of that file.
pub const BACKUP: usize = usize::MAX;

impl Files {
    fn file(&self, device: usize) -> Option<&File> {
        if device == BACKUP { self.1.as_ref() } else { self.0.get(device).map(|image| &image.file) }
    }
}

impl Read for Files {
    fn read(&mut self, device: usize, sector: u64, to: &mut [u8]) -> bool {
        self.file(device).is_some_and(|file| file.read_exact_at(to, sector * 512).is_ok())
    }
}

impl Write for Files {
    fn write(&mut self, device: usize, sector: u64, from: &[u8]) -> bool {
        self.file(device).is_some_and(|file| file.write_all_at(from, sector * 512).is_ok())
    }
    fn flush(&mut self, device: usize) -> bool {
        self.file(device).is_some_and(|file| file.sync_all().is_ok())
    }
}

/// Opens an image, and how many sectors it has.
fn open(path: &Path) -> Result<(File, u64), String> {
    let say = |error| format!("{}: cannot be written: {error}; name a disk image", path.display());
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(say)?;
    let bytes = file.seek(SeekFrom::End(0)).map_err(say)?;
    Ok((file, bytes / 512))
}

impl Files {
    /// Those of the images that have a superblock.
    pub fn open(paths: &[PathBuf]) -> Result<Self, String> {
        let mut all = Vec::new();
        for path in paths {
            let (file, sectors) = open(path)?;
            let found = devices::superblocks(&file, 0, sectors).find_map(Result::ok);
            all.extend(found.map(|found| Image { path: path.clone(), file, found }));
        }
        Ok(Self(all, None))
    }

    /// Has this file keep what is moved in place of the array `set`. It is made where it is not there; what is anything else is left
    /// alone.
    pub fn back_up(&mut self, path: &Path, set: Uuid) -> Result<(), String> {
        let say = |error: std::io::Error| format!("{}: cannot keep what is moved: {error}", path.display());
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).open(path).map_err(say)?;
        let mut head = [0; 32];
        let ours = file.read_exact(&mut head).is_ok() && head.starts_with(b"md_backup_data-") && head.ends_with(&set.0);
        if !ours && file.metadata().map_err(say)?.len() > 0 {
            return Err(format!("{} is no backup of this array; name a file that does not exist", path.display()));
        }
        // Its name is to be there too when the power is back.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(say)?;
        self.1 = Some(file);
        Ok(())
    }

    /// Their superblocks.
    pub fn supers(&self) -> Vec<Super> {
        self.0.iter().map(|image| image.found.clone()).collect()
    }

    /// Their names.
    pub fn names(&self) -> Vec<String> {
        self.0.iter().map(|image| image.path.display().to_string()).collect()
    }

    /// Leaves only those that take part in an array: members and spares.
    pub fn keep(&mut self, array: &Array) {
        use Standing::{Member, Rebuilding, Spare};
        self.0.retain(|image| matches!(array.standing(&image.found), Member(_) | Rebuilding(..) | Spare));
    }

    /// Makes an image a spare of the array.
    pub fn add(&mut self, path: &Path, array: &Array) -> Result<(), String> {
        let (file, sectors) = open(path)?;
        let (name, newest) = (path.display(), &array.newest);
        if let Some(found) = devices::superblocks(&file, 0, sectors).find_map(Result::ok) {
            return Err(format!("{name} is a member of array {} already; give it without --add", found.set));
        }
        let mut device = [0; 16];
        let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut device));
        random.map_err(|error| format!("/dev/urandom: {error}"))?;
        let taken = |number: u32| {
            let role = usize::try_from(number).ok().and_then(|at| newest.roles.get(at));
            role.is_some_and(|role| *role < SPARE) || self.0.iter().any(|image| image.found.number == number)
        };
        let number = (0..).find(|number| !taken(*number)).unwrap_or(0);
        let (super_offset, end) = match newest.version {
            Version::V11 => (0, sectors),
            Version::V12 => (8, sectors),
            Version::V10 => (sectors.saturating_sub(16) & !7, sectors.saturating_sub(24) & !7),
            _ => return Err("an array with a superblock of 0.90 is not reshaped here: use mdadm".into()),
        };
        let data_size = end.saturating_sub(newest.data_offset);
        if data_size < newest.size || sectors < newest.data_offset {
            return Err(format!("{name}: it has {sectors} sectors, fewer than the members use; name a larger one"));
        }
        // One behind the table says that it is a spare.
        let mut found = newest.clone();
        while found.roles.len() <= usize::try_from(number).unwrap_or(usize::MAX) && found.roles.push(SPARE).is_ok() {}
        (found.number, found.role, found.device) = (number, Role::Spare, Uuid(device));
        (found.super_offset, found.data_size, found.recovery, found.log) = (super_offset, data_size, None, None);
        found.features &= !(feature::RECOVERY | feature::BAD_BLOCKS | feature::REPLACEMENT);
        if newest.bitmap.is_some() {
            return Err("an array with a bitmap takes no new members here: use mdadm --add first".into());
        }
        self.0.push(Image { path: path.to_path_buf(), file, found });
        Ok(())
    }

    /// Gives the array the log again that it had, where there is room for it before the data.
    pub fn log_again(&mut self, array: &Array, ppl: Ppl) -> Result<bool, String> {
        self.keep(array);
        let mut all = self.supers();
        let fits = |own: &Super| ppl.at + u64::from(ppl.sectors) <= own.data_offset;
        if array.newest.level != 5 || !all.iter().all(fits) {
            return Ok(false);
        }
        for own in &mut all {
            own.features |= if ppl.sectors < TURN_SECTORS { feature::PPL } else { feature::PPLS };
            own.ppl = Some(ppl);
        }
        // What it held is of another geometry.
        let cleared = (0..all.len()).all(|n| self.write(n, ppl.at, &[0; 4096]) && self.flush(n));
        let written = cleared && write_supers(&mut all, self).is_ok();
        if written { Ok(true) } else { Err("an image cannot be written; try again".into()) }
    }
}
