// SPDX-License-Identifier: MIT
//! `orion raid grow`.
use super::images::{BACKUP, Files};
use super::running::Running;
use super::words;
use crate::Outcome;
use orion_raid::reshape::{Change, Stage, work, write_supers};
use orion_raid::wire::feature;
use orion_raid::{Array, Standing, Super, Uuid, assemble};
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;

/// Bytes of memory for what is moved at a time, at least.
const ROOM: usize = 16 << 20;

/// Arguments of `orion raid grow`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  orion raid grow --raid-devices 5 --add e.img a.img b.img c.img d.img    one member more
  orion raid grow --chunk 64 a.img b.img c.img                            another chunk
  orion raid grow --level 6 --raid-devices 5 --add e.img a.img ...        RAID 5 to RAID 6
  orion raid grow --chunk 64 --backup-file b a.img b.img c.img            where there is no room for the data to move

Where it was interrupted, `orion raid grow a.img ...` goes on, and so does Linux.")]
pub struct Args {
    /// The new level: 0, 1, 4, 5 or 6
    #[arg(short, long, value_parser = words::level)]
    level: Option<i32>,
    /// Members that it is to have
    #[arg(short = 'n', long, value_name = "N")]
    raid_devices: Option<u32>,
    /// KiB of a chunk
    #[arg(short, long, value_name = "KIB")]
    chunk: Option<u32>,
    /// left-symmetric ..., left-symmetric-6 ..., n2, o2 ...
    #[arg(short = 'p', long, value_name = "NAME")]
    layout: Option<String>,
    /// KiB of the array that have to stay, where it gets smaller
    #[arg(short = 'Z', long, value_name = "KIB")]
    array_size: Option<u64>,
    /// An image to be added as a spare first; what is on it is lost
    #[arg(short, long, value_name = "IMAGE")]
    add: Vec<PathBuf>,
    /// Where there is no room for the data to move: a file that keeps what is moved in place, as mdadm's; it is made, and is
    /// needed to go on
    #[arg(long, value_name = "FILE")]
    backup_file: Option<PathBuf>,
    /// Stop when so many KiB of the array are moved; the same again goes on
    #[arg(long, value_name = "KIB")]
    stop_at: Option<u64>,
    /// The array's UUID, where the images belong to several
    #[arg(long, value_name = "UUID", value_parser = words::uuid)]
    uuid: Option<Uuid>,
    /// Images of all the array's members
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let mut files = Files::open(&self.images)?;
        let set = self.set(&files)?;
        let mut paths = self.images.clone();
        let in_place = self.backup_file.is_some();
        let array = found(&files, set, in_place)?;
        let replaces = files.supers().iter().any(|own| matches!(array.standing(own), Standing::Replacement(_)));
        if array.before.is_none() && (array.newest.is_dirty() || array.is_degraded() || replaces) {
            // A log that is to be replayed, copies that differ, members that are to be rebuilt or replaced.
            Running::start(&paths, Some(set), false)?.stop()?;
            files = Files::open(&paths)?;
        }
        let array = found(&files, set, in_place)?;
        let change = self.change(&array.newest)?;
        files.keep(&array);
        for path in &self.add {
            files.add(path, &array)?;
            paths.push(path.clone());
        }
        let mut all = files.supers();
        if let Some(path) = &self.backup_file {
            files.back_up(path, set)?;
        }
        let log = array.newest.ppl;
        for own in &mut all {
            own.features &= !(feature::PPL | feature::PPLS);
            own.ppl = None;
        }
        if !self.add.is_empty() {
            let failed = |_| "an image cannot be written; see that its file system has room";
            write_supers(&mut all, &mut files).map_err(failed)?;
        }
        if let Some((done, of)) = self.work(&mut files, &mut all, set, &change)? {
            eprintln!("stopped: {done} of {of} sectors are moved");
            return Ok(ExitCode::SUCCESS);
        }
        if let Some(path) = &self.backup_file {
            // As mdadm does: what it keeps is of no use any more.
            std::fs::remove_file(path).map_err(|error| format!("{}: cannot be removed: {error}", path.display()))?;
        }
        let mut files = Files::open(&paths)?;
        let mut state = String::new();
        if assembled(&files, set)?.is_degraded() {
            let mut running = Running::start(&paths, Some(set), false)?;
            running.stop()?;
            state = running.state();
            files = Files::open(&paths)?;
        }
        let array = assembled(&files, set)?;
        let lost = match log {
            Some(ppl) if !files.log_again(&array, ppl)? => "; it has no partial parity log any more",
            _ => "",
        };
        eprintln!("level {} of {} members{lost}{state}", array.newest.level, array.newest.raid_disks);
        Ok(ExitCode::SUCCESS)
    }

    /// Takes all steps, and says so.
    fn work(
        &self,
        files: &mut Files,
        all: &mut [Super],
        set: Uuid,
        change: &Change,
    ) -> Result<Option<(u64, u64)>, String> {
        let Some(first) = all.first() else { return Err("no array is on these images; give its members".into()) };
        let members = first.most_disks().max(self.raid_devices.unwrap_or(0)).saturating_add(2);
        let chunk = first.chunk.max(first.reshape.map_or(0, |reshape| reshape.chunk)).max(change.chunk.unwrap_or(0));
        let piece = u64::from(chunk).saturating_mul(512).saturating_mul(members.into());
        let mut room = vec![0; ROOM.max(usize::try_from(piece).unwrap_or(ROOM).saturating_mul(2))];
        let progress = io::stderr().is_terminal();
        let mut stopped = None;
        let mut say = |stage| {
            match stage {
                Stage::Level(level, disks) => eprintln!("now level {level} of {disks}"),
                Stage::Moved(done, of) => {
                    if progress {
                        eprint!("\r{:3} %  ", done * 100 / of.max(1));
                    }
                    stopped = self.stop_at.filter(|kib| done / 2 >= *kib && done < of).map(|_| (done, of));
                }
            }
            stopped.is_none()
        };
        let names: Vec<String> = files.names();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let worked = work(all, set, change, files, &mut room, &mut say);
        worked.map_err(|error| error.named(&names).to_string()).map(|()| stopped)
    }

    /// The one array that is meant.
    fn set(&self, files: &Files) -> Result<Uuid, String> {
        let supers = files.supers();
        let sets: Vec<Uuid> = assemble::sets(&supers).filter(|set| self.uuid.is_none_or(|uuid| uuid == *set)).collect();
        match sets[..] {
            [set] => Ok(set),
            [] => Err("no array is on these images; give its members".into()),
            _ => Err("the images belong to several arrays; say which with --uuid".into()),
        }
    }

    /// What is wanted, beside what stays.
    fn change(&self, newest: &Super) -> Result<Change, String> {
        let level = self.level.unwrap_or(newest.level);
        let layout = match &self.layout {
            Some(name) => Some(words::layout(level, Some(name))?),
            None => None,
        };
        let change = Change {
            level: self.level,
            layout,
            usual: None,
            backup: self.backup_file.as_ref().map(|_| BACKUP),
            chunk: self.chunk.map(|kib| kib.checked_mul(2).ok_or("so large a chunk does not exist")).transpose()?,
            disks: self.raid_devices,
            keep: self.array_size.map(|kib| kib.saturating_mul(2)),
        };
        Ok(change.of(newest))
    }
}

fn assembled(files: &Files, set: Uuid) -> Result<Array, String> {
    found(files, set, false)
}

/// The array; one that is reshaped in place only where what is moved is kept.
fn found(files: &Files, set: Uuid, in_place: bool) -> Result<Array, String> {
    let supers = files.supers();
    let names = files.names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let array = Array::assemble(&supers, set).map_err(|error| error.named(&names).to_string())?;
    if array.is_overlapping() && !in_place {
        return Err("it is being reshaped in place: give the file that keeps what is moved, with --backup-file".into());
    }
    Ok(array)
}
