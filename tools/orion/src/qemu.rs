// SPDX-License-Identifier: MIT
//! `orion qemu`.
use crate::Outcome;
use crate::sel4::boot::{End, Verdicts, boot};
use crate::sel4::count::Counter;
use crate::sel4::machine::{self, File};
use crate::sel4::{Image, ImageArgs};
use orion_system::plan::Disk;
use orion_system::{Options, Torture};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

/// Bytes of a disk whose size nobody says.
const DISK_BYTES: u64 = 64 << 20;
/// Seconds in which a demo has to say its verdict.
const PATIENCE: u64 = 120;

/// Milliseconds after which a supervisor that is to be ended is.
const SUPERVISOR_LIVES: u64 = 1000;

/// Arguments of `orion qemu`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    image: ImageArgs,
    /// The raw image behind a disk [default: a sparse file of 64 MiB beside the image]
    #[arg(long, value_name = "NAME=FILE", value_parser = named_file)]
    disk: Vec<(String, PathBuf)>,
    /// Let the demo write to files named with --disk
    #[arg(long)]
    demo: bool,
    /// End after so many seconds; without a verdict by then, fail [default: 120 where there is a demo]
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Wait for a line with this text in it, too: the verdict of a program that is not Orion's
    #[arg(long, value_name = "TEXT")]
    until: Option<String>,
    /// Give every client a setting; may be repeated
    #[arg(long = "set", value_name = "KEY=NUMBER", value_parser = setting)]
    settings: Vec<(String, u64)>,
    /// End PDs while the system runs, to see that it goes on: so many times any PD under the supervisor, or every life of
    /// the PD named; or, after a second, the supervisor itself
    #[arg(long, value_name = "TIMES|PD|supervisor", value_parser = torture)]
    torture: Option<Torture>,
    /// Hand what is typed here to the system's console, and run until QEMU ends, --timeout is over, or Ctrl-C
    #[arg(long)]
    interactive: bool,
    /// Count the instructions that the machine executes until the verdict
    #[arg(long)]
    count: bool,
}

fn setting(text: &str) -> Result<(String, u64), String> {
    let parts = text.split_once('=').and_then(|(key, value)| Some((key.to_owned(), value.parse().ok()?)));
    parts.ok_or_else(|| format!("{text:?} is not KEY=NUMBER, such as bench_depth=1"))
}

fn torture(text: &str) -> Result<Torture, String> {
    Ok(match text.parse() {
        Ok(times) => Torture::Times(times),
        Err(_) if text == "supervisor" => Torture::Supervisor(SUPERVISOR_LIVES),
        Err(_) => Torture::Always(text.to_owned()),
    })
}

fn named_file(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("write NAME=FILE, such as d0=disk.img")?;
    Ok((name.to_owned(), PathBuf::from(path)))
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let demo_writes = self.disk.is_empty() || self.demo;
        let client_settings = self.settings.iter().cloned().collect();
        let torture = self.torture.clone();
        let image = self.image.build(Options { demo_writes, client_settings, torture, ..Options::default() })?;
        let files = self.files(&image)?;
        let demos = image
            .plan
            .pds
            .iter()
            .filter(|pd| ["demo", "reader"].contains(&pd.program.as_str()))
            .map(|pd| pd.name.clone());
        let verdicts = match self.interactive {
            true => Verdicts::default(),
            false => Verdicts::of(demos).until(self.until.clone()),
        };
        let limit = self.timeout.or((!verdicts.is_empty()).then_some(PATIENCE));
        let none = verdicts.is_empty();
        let mut qemu = machine::command(&image.plan, &image.directory, &files);
        let counter = if self.count { Some(Counter::new(&image.directory)?) } else { None };
        counter.iter().for_each(|counter| counter.attach(&mut qemu));
        qemu.stdin(if self.interactive { Stdio::inherit() } else { Stdio::null() });
        let end = boot(qemu, verdicts, limit.map(Duration::from_secs))?;
        if let Some(counter) = counter {
            println!("instructions: {}", counter.total()?);
        }
        match end {
            End::Passed => Ok(ExitCode::SUCCESS),
            End::TimedOut if none => Ok(ExitCode::SUCCESS),
            End::Failed(line) => Err(format!("the system failed: {line}")),
            End::TimedOut => {
                Err(format!("no verdict of the demo after {} s; give it more with --timeout", limit.unwrap_or(0)))
            }
            End::Quit if self.interactive => Ok(ExitCode::SUCCESS),
            End::Quit => Err("QEMU ended before there was a verdict; its messages above say why".to_owned()),
        }
    }

    fn files(&self, Image { plan, directory }: &Image) -> Result<Vec<File>, String> {
        if let Some((unknown, _)) = self.disk.iter().find(|(name, _)| plan.disks.iter().all(|d| d.name != *name)) {
            let known: Vec<_> = plan.disks.iter().map(|d| d.name.as_str()).collect();
            return Err(format!("--disk: there is no disk {unknown:?} in the system; it has: {}", known.join(", ")));
        }
        let path = |disk: &Disk| {
            let named = self.disk.iter().find(|(name, _)| *name == disk.name).map(|(_, path)| path.clone());
            named.unwrap_or_else(|| directory.join(format!("{}.img", disk.file_of())))
        };
        let member = |name: &String| plan.disks.iter().find(|disk| disk.name == *name).map(path);
        let members = plan.arrays.iter().map(|array| (array, array.disks.iter().filter_map(member)));
        let members: Vec<(_, Vec<PathBuf>)> = members.map(|(array, paths)| (array, paths.collect())).collect();
        let new: Vec<_> = members.iter().filter(|(_, paths)| paths.iter().all(|path| !path.exists())).collect();
        let files: Result<Vec<File>, String> = plan.disks.iter().map(|disk| self.file(disk, directory)).collect();
        let files = files?;
        new.into_iter().try_for_each(|(array, paths)| orion_host::arrays::make(array, paths))?;
        Ok(files)
    }

    fn file(&self, disk: &Disk, directory: &Path) -> Result<File, String> {
        let named = self.disk.iter().find(|(name, _)| *name == disk.name).map(|(_, path)| path.clone());
        let path = match named {
            Some(path) => existing(path, disk)?,
            None => sparse(disk, directory)?,
        };
        Ok(File { disk: disk.clone(), path })
    }
}

fn existing(path: PathBuf, disk: &Disk) -> Result<PathBuf, String> {
    let shown = path.display();
    let bytes = fs::metadata(&path)
        .map_err(|error| format!("{shown}: {error}; name a raw image for the disk {:?}", disk.name))?
        .len();
    match disk.size {
        Some(least) if bytes < least => Err(format!(
            "{shown}: has {bytes} bytes; the disk {:?} has at least {least}; enlarge it with truncate",
            disk.name
        )),
        _ => Ok(path),
    }
}

/// A file beside the image that takes no room until it is written.
fn sparse(disk: &Disk, directory: &Path) -> Result<PathBuf, String> {
    let path = directory.join(format!("{}.img", disk.file_of()));
    let open = fs::OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let sized = open.and_then(|file| file.set_len(disk.size.unwrap_or(DISK_BYTES)));
    sized.map(|()| path.clone()).map_err(|error| format!("{}: cannot be made: {error}", path.display()))
}
