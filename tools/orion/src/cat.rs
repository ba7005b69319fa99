// SPDX-License-Identifier: MIT
//! `orion cat`: puts together the volumes that lie on some disk images, and writes one to standard output. Images are only
//! read.
pub mod devices;
mod replay;
mod show;

use crate::Outcome;
use devices::{Devices, open};
use orion_raid::{Array, Error, Kind, Uuid, assemble};
use replay::{Replayed, View};
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Bytes that are read and written at once, and those for what is computed meanwhile.
const PIECE: usize = 1 << 20;

/// Arguments of `orion cat`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  orion cat --list a.img b.img c.img        name what is there, and what each image is to it
  orion cat a.img c.img > volume            a RAID 5 of three from two of its members
  orion cat --volume data *.img | tar x     one of several volumes, by name or UUID

Linux's software RAID (md, made by mdadm) is read: linear, 0, 1, 4, 5, 6 and 10, on whole disks and in partitions.

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
struct Volume {
    set: Uuid,
    array: Result<Array, Error>,
    /// What its logs say that is not in its members yet.
    replayed: Replayed,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let mut devices = open(&self.images)?;
        let volumes = self.volumes(&mut devices);
        if self.list || self.json {
            print!("{}", if self.json { show::json(&devices, &volumes) } else { show::text(&devices, &volumes) });
            let good = !volumes.is_empty() && volumes.iter().all(|volume| volume.array.is_ok());
            return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        eprint!("{}", show::faults(&devices));
        let volume = self.choose(&devices, &volumes)?;
        let said = show::volume(&devices, volume);
        let Ok(array) = &volume.array else { return Err(said.trim_end().into()) };
        eprint!("{said}");
        if io::stdout().is_terminal() {
            return Err(
                "standard output is a terminal: write into a file or a pipe, as in `orion cat ... > volume`".into()
            );
        }
        stream(array, &volume.replayed, &mut devices)
    }

    fn volumes(&self, devices: &mut Devices) -> Vec<Volume> {
        let sets: Vec<Uuid> = assemble::sets(&devices.supers).collect();
        let assembled = sets.into_iter().map(|set| {
            let array = Array::assemble(&devices.supers, set);
            let sure = array.and_then(|mut array| {
                array.force = self.force;
                let at = array.slots.iter().flatten().next().map_or(0, |slot| slot.device as u64);
                let replayed = Replayed::of(&mut array, devices).map_err(|kind| Error { kind, at })?;
                let doubtful = array.is_doubtful() && !self.force;
                let overlaps = array.before.as_ref().filter(|_| array.is_overlapping() && !self.force);
                match overlaps.map(|before| Kind::Overlaps(before.position)) {
                    _ if doubtful => Err(Error { kind: Kind::Dirty, at }),
                    Some(kind) => Err(Error { kind, at }),
                    None => Ok((array, replayed)),
                }
            });
            let (array, replayed) = match sure {
                Ok((array, replayed)) => (Ok(array), replayed),
                Err(error) => (Err(error), Replayed::default()),
            };
            Volume { set, array, replayed }
        });
        assembled.collect()
    }

    /// The one volume that is meant.
    fn choose<'a>(&self, devices: &Devices, volumes: &'a [Volume]) -> Result<&'a Volume, String> {
        let meant = |volume: &&Volume| self.volume.as_ref().is_none_or(|name| show::is_called(devices, volume, name));
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
fn stream(array: &Array, replayed: &Replayed, devices: &mut Devices) -> Outcome {
    let (mut piece, mut scratch) = (vec![0; PIECE], vec![0; 2 * PIECE]);
    let mut out = io::stdout().lock();
    let progress = io::stderr().is_terminal();
    let sectors = array.sectors();
    let mut at = 0;
    while at < sectors {
        let len = usize::try_from((sectors - at).saturating_mul(512)).map_or(PIECE, |left| left.min(PIECE));
        let Some(bytes) = piece.get_mut(..len) else { break };
        let read = orion_raid::read(array, &mut View { devices, replayed }, at, bytes, &mut scratch);
        let read = read.and_then(|()| replayed.lay_over(devices, at, bytes));
        if let Err(error) = read {
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
