// SPDX-License-Identifier: MIT
//! The files behind disks: found, checked and opened, with a message for people where that fails.
use crate::qemu::{Aio, Image};
use crate::sys;
use orion_system::bus::Bus;
use orion_system::plan::Disk;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Bytes of a disk's file that we make, where nothing says more.
pub const DEFAULT_SIZE: u64 = 64 << 20;
/// Where files that we make are.
const DIRECTORY: &str = "build";

/// `NAME=FILE[,size=64M][,aio=threads|native][,inject=RULES]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskArg {
    /// The disk's name in `system.xml`.
    pub name: String,
    /// The file or block device.
    pub path: PathBuf,
    /// Bytes of the file, where it is to be created if it does not exist.
    pub size: Option<u64>,
    /// How it is read and written; chosen where not given.
    pub aio: Option<Aio>,
    /// For tests: QEMU `blkdebug` rules of errors to inject.
    pub inject: Option<PathBuf>,
}

impl FromStr for DiskArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, mut path) = text
            .split_once('=')
            .filter(|(name, path)| !name.is_empty() && !path.is_empty())
            .ok_or_else(|| format!("`{text}` does not name a disk and a file; write NAME=FILE, as in d0=disk.img"))?;
        let mut disk = Self { name: name.to_owned(), path: PathBuf::new(), size: None, aio: None, inject: None };
        // A file's name may have commas: only what we know is taken from its end.
        while let Some((rest, option)) = path.rsplit_once(',') {
            if let Some(value) = option.strip_prefix("size=") {
                disk.size = Some(parse_size(value)?);
            } else if let Some(value) = option.strip_prefix("aio=") {
                disk.aio = Some(parse_aio(value)?);
            } else if let Some(value) = option.strip_prefix("inject=") {
                disk.inject = Some(value.into());
            } else {
                break;
            }
            path = rest;
        }
        disk.path = path.into();
        Ok(disk)
    }
}

fn parse_aio(text: &str) -> Result<Aio, String> {
    match text {
        "threads" => Ok(Aio::Threads),
        "native" => Ok(Aio::Native),
        _ => Err(format!("`aio={text}` is not known; write aio=threads or aio=native")),
    }
}

fn parse_size(text: &str) -> Result<u64, String> {
    orion_system::size_text(text)
        .filter(|&bytes| bytes > 0 && bytes % 4096 == 0)
        .ok_or_else(|| format!("`{text}` is not a size; write a multiple of 4096 bytes, as in 64M or 2G"))
}

/// Opens the file behind `disk`: the one that `arg` names, or else one that we make under `build`.
///
/// # Errors
/// A message for people.
pub fn open(disk: &Disk, arg: Option<&DiskArg>) -> Result<Image, String> {
    let (path, create) = match arg {
        Some(arg) => (arg.path.clone(), arg.size),
        None => (default_path(disk)?, Some(disk.size.unwrap_or(0).max(DEFAULT_SIZE))),
    };
    let at = Place { disk, path: &path };
    let mut file = at.open(create)?;
    at.check_size(&mut file)?;
    let aio = at.choose_aio(&file, arg.and_then(|arg| arg.aio))?;
    let (inject, shared) = (arg.and_then(|arg| arg.inject.clone()), disk.file_of() != disk.name);
    Ok(Image { file, path, read_only: attached_read_only(disk), aio, inject, shared })
}

/// Whether the device itself keeps the disk from being written. QEMU's ATA disks can't: there the driver alone does.
fn attached_read_only(disk: &Disk) -> bool {
    disk.read_only && disk.bus != Bus::Ahci
}

/// The file that we make for `disk`.
pub fn default_file(disk: &Disk) -> PathBuf {
    Path::new(DIRECTORY).join(format!("{}.img", disk.file_of()))
}

fn default_path(disk: &Disk) -> Result<PathBuf, String> {
    std::fs::create_dir_all(DIRECTORY)
        .map_err(|error| format!("cannot make the directory {DIRECTORY} for disk images: {error}"))?;
    Ok(default_file(disk))
}

struct Place<'a> {
    disk: &'a Disk,
    path: &'a Path,
}

impl Place<'_> {
    fn message(&self, what: impl std::fmt::Display) -> String {
        format!("disk `{}`: {} {what}", self.disk.name, self.path.display())
    }

    fn open(&self, create: Option<u64>) -> Result<File, String> {
        match std::fs::metadata(self.path) {
            Ok(found) => self.check_kind(&found)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return self.create(create),
            Err(error) => return Err(self.message(format_args!("cannot be looked at: {error}"))),
        }
        let write = !attached_read_only(self.disk);
        OpenOptions::new().read(true).write(write).open(self.path).map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem if write => self.not_writable(),
            _ => self.message(format_args!("cannot be opened: {error}")),
        })
    }

    fn check_kind(&self, found: &Metadata) -> Result<(), String> {
        if found.is_dir() {
            return Err(self.message("is a directory; name a file or a block device"));
        }
        if !found.is_file() && !found.file_type().is_block_device() {
            return Err(self.message("is neither a file nor a block device; name one of these"));
        }
        // For root too, who could write it all the same.
        if !attached_read_only(self.disk) && found.is_file() && found.permissions().mode() & 0o222 == 0 {
            return Err(self.not_writable());
        }
        Ok(())
    }

    fn not_writable(&self) -> String {
        self.message("is read-only, but the disk is not; make the file writable (chmod u+w), or say readonly=\"yes\" of the disk")
    }

    fn create(&self, size: Option<u64>) -> Result<File, String> {
        let Some(size) = size else {
            return Err(self.message("does not exist; correct the name, or add `,size=64M` to have it made"));
        };
        let cannot = |error| self.message(format_args!("cannot be made: {error}"));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.path).map_err(cannot)?;
        // Sparse: it takes no room until it is written.
        file.set_len(size).map_err(cannot)?;
        Ok(file)
    }

    /// The kernel's native interface serves best, where the file system lets us bypass the page cache.
    fn choose_aio(&self, file: &File, wish: Option<Aio>) -> Result<Aio, String> {
        if wish == Some(Aio::Threads) {
            return Ok(Aio::Threads);
        }
        match sys::bypass_cache(file) {
            Ok(()) => Ok(Aio::Native),
            Err(_) if wish.is_none() => Ok(Aio::Threads),
            Err(error) => Err(self.message(format_args!("cannot be used with aio=native: {error}; use aio=threads"))),
        }
    }

    fn check_size(&self, file: &mut File) -> Result<(), String> {
        let size = file.seek(SeekFrom::End(0)).map_err(|error| self.message(error))?;
        let needed = self.disk.size.unwrap_or(0).max(4096);
        if size < needed {
            return Err(self.message(format_args!(
                "is too small: it has {size} bytes, and the disk needs {needed}; enlarge it (truncate -s {needed} \
                 FILE), or name another"
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments() {
        let disk: DiskArg = "d0=a,b=c.img,size=64M,aio=threads".parse().unwrap();
        assert_eq!((disk.name.as_str(), disk.path.to_str()), ("d0", Some("a,b=c.img")));
        assert_eq!((disk.size, disk.aio), (Some(64 << 20), Some(Aio::Threads)));
        for bad in ["d0", "=x", "d0=", "d0=x,size=1", "d0=x,size=M", "d0=x,size=99999999T", "d0=x,aio=fast"] {
            assert!(bad.parse::<DiskArg>().is_err(), "{bad}");
        }
    }
}
