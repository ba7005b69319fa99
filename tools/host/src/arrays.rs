// SPDX-License-Identifier: MIT
//! Files behind disks that are new, and are to hold an array.
use orion_raid::create::{Device, New};
use orion_raid::wire::SUPER_BYTES;
use orion_raid::{Uuid, Version};
use orion_system::plan::NewArray;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

/// Sectors before the data.
const DATA_OFFSET: u64 = 2048;
/// Sectors of a chunk.
const CHUNK: u32 = 128;

/// Makes `files`, which hold nothing but zeroes, the members of a new array: with a partial parity log where its level has one.
///
/// # Errors
/// A message for people.
pub fn make(array: &NewArray, files: &[PathBuf]) -> Result<(), String> {
    let NewArray { name, level, .. } = array;
    let level = *level;
    let new = New {
        version: Version::V12,
        set: random().map_err(|error| format!("/dev/urandom: {error}"))?,
        name,
        created: std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs()),
        level,
        layout: match level {
            10 => 0x102,
            0 | 5 | 6 => 2,
            _ => 0,
        },
        chunk: if level == 1 || level == -1 { 0 } else { CHUNK },
        data_offset: DATA_OFFSET,
        ppl: level == 5,
        clean: true,
    };
    let opened: Result<Vec<(File, Device)>, String> = files.iter().map(|path| open(path)).collect();
    let (opened, devices): (Vec<File>, Vec<Device>) = opened?.into_iter().unzip();
    let refused = |kind: orion_raid::Kind| format!("there can be no array {name:?}: {kind}; {}", kind.remedy());
    for ((file, made), path) in opened.iter().zip(new.supers(&devices).map_err(refused)?).zip(files) {
        let mut bytes = [0; SUPER_BYTES];
        let used = made.emit(&mut bytes).ok_or("the superblock has no room for so many roles")?;
        let bytes = bytes.get(..used.next_multiple_of(512)).unwrap_or_default();
        let written = file.write_all_at(bytes, made.super_offset * 512);
        written.map_err(|error| format!("{}: cannot be made a member: {error}", path.display()))?;
    }
    Ok(())
}

fn open(path: &Path) -> Result<(File, Device), String> {
    let say = |error: io::Error| format!("{}: cannot be made a member: {error}", path.display());
    let mut file = OpenOptions::new().read(true).write(true).open(path).map_err(say)?;
    let sectors = file.seek(SeekFrom::End(0)).map_err(say)? / 512;
    let device = Device { sectors, uuid: random().map_err(say)?, spare: false, missing: false };
    Ok((file, device))
}

fn random() -> io::Result<Uuid> {
    let mut uuid = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut uuid)?;
    Ok(Uuid(uuid))
}
