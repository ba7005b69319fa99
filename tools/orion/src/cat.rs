// SPDX-License-Identifier: MIT
//! `orion cat`: puts together the volumes that lie on some disk images, and writes one to standard output. Images are only
//! read.
pub mod devices;
pub mod nest;
mod replay;
pub mod show;

use crate::Outcome;
use devices::{Devices, open};
use nest::Inside;
use orion_raid::{Error, Uuid};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::rc::Rc;

/// Bytes that are read and written at once, and those for what is computed meanwhile.
const PIECE: usize = 1 << 20;

/// Arguments of `orion cat`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  orion cat --list a.img b.img c.img        name what is there, and what each image is to it
  orion cat a.img c.img > volume            a RAID 5 of three from two of its members
  orion cat --volume data *.img | tar x     one of several volumes, by name or UUID

Linux's software RAID (md, made by mdadm) is read: linear, 0, 1, 4, 5, 6 and 10, on whole disks, in partitions and over other
arrays, as RAID 50 and 60 are.

Exit code: 0 if the volume was written whole (with --list: if every volume can be), 1 if not, 2 for wrong words.")]
pub struct Args {
    /// Disk images or block devices, in any order; those that belong to no volume do not matter
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Name what is there, and write nothing
    #[arg(long)]
    list: bool,
    /// The volume to write, by its name or UUID; needed where there are several
    #[arg(long, value_name = "NAME", conflicts_with = "list")]
    volume: Option<String>,
    /// Print the list as JSON; implies --list
    #[arg(long)]
    json: bool,
    /// Write also what may be wrong: an array that lacks members and was not stopped cleanly
    #[arg(long)]
    force: bool,
}

/// A volume, or why it cannot be read.
pub struct Volume {
    pub set: Uuid,
    pub array: Result<Rc<Inside>, Error>,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let mut devices = open(&self.images)?;
        let volumes = nest::volumes(&mut devices, self.force);
        if self.list || self.json {
            print!("{}", if self.json { show::json(&devices, &volumes) } else { show::text(&devices, &volumes) });
            let good = !volumes.is_empty() && volumes.iter().all(|volume| volume.array.is_ok());
            return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        eprint!("{}", show::faults(&devices));
        let volume = self.choose(&devices, &volumes)?;
        let said = show::volume(&devices, &volumes, volume, 0);
        let Ok(inside) = &volume.array else { return Err(said.trim_end().into()) };
        eprint!("{said}");
        if io::stdout().is_terminal() {
            return Err(
                "standard output is a terminal: write into a file or a pipe, as in `orion cat ... > volume`".into()
            );
        }
        stream(inside, &mut devices)
    }

    /// The one volume that is meant: unless it is named, one on which no other lies.
    fn choose<'a>(&self, devices: &Devices, volumes: &'a [Volume]) -> Result<&'a Volume, String> {
        let meant = |volume: &&Volume| match &self.volume {
            Some(name) => show::is_called(devices, volume, name),
            None => !show::is_below(devices, volumes, volume),
        };
        let found: Vec<&Volume> = volumes.iter().filter(meant).collect();
        match (&found[..], &self.volume) {
            ([one], _) => Ok(one),
            ([], None) => Err("no volume is on these images; give the members of one".into()),
            ([], Some(name)) => {
                Err(format!("no volume is called {name}: `orion cat --list` names those that are there"))
            }
            _ => {
                let names: Vec<String> = found.iter().map(|volume| show::name(devices, volume)).collect();
                Err(format!("several volumes are there: choose one with --volume: {}", names.join(", ")))
            }
        }
    }
}

/// Writes the array's content to standard output.
fn stream(inside: &Inside, devices: &mut Devices) -> Outcome {
    let (mut piece, mut scratch) = (vec![0; PIECE], vec![0; 2 * PIECE]);
    let mut out = io::stdout().lock();
    let progress = io::stderr().is_terminal();
    let sectors = inside.array.sectors();
    let mut at = 0;
    while at < sectors {
        let len = usize::try_from((sectors - at).saturating_mul(512)).map_or(PIECE, |left| left.min(PIECE));
        let Some(bytes) = piece.get_mut(..len) else { break };
        if let Err(error) = inside.fill(devices, at, bytes, &mut scratch) {
            return Err(format!("{}; what was written ends before sector {at}", error.named(&devices.names())));
        }
        match out.write_all(bytes) {
            Ok(()) => {}
            // Whoever read has had enough.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(ExitCode::FAILURE),
            Err(error) => return Err(format!("standard output: {error}; see that there is room for the volume")),
        }
        at += len as u64 / 512;
        if progress {
            eprint!("\r{:3} %  {} of {}  ", at * 100 / sectors, show::bytes(at * 512), show::bytes(sectors * 512));
        }
    }
    out.flush().map_err(|error| format!("standard output: {error}; see that there is room for the volume"))?;
    if progress {
        eprintln!();
    }
    Ok(ExitCode::SUCCESS)
}
