// SPDX-License-Identifier: MIT
//! `orion torture`: a system in real processes, of which driver, layer, gatekeeper and device are killed at random while a
//! client does verified I/O through all of them. What the client sees is printed, and what was leaked.
use crate::sys::Cpus;
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use victims::{Kind, Victims};
use watch::Watched;

mod table;
mod victims;
mod watch;

const SYSTEM: &str = include_str!("torture/system.xml");
/// Bytes of the disk, and the first block of 512 bytes of its one partition, which has the rest.
const DISK: u64 = 16 << 20;
const PARTITION: u32 = 2048;
/// A client that has not gone on for so long never will.
const PATIENCE: Duration = Duration::from_secs(30);
/// What is waited for the client to go on after a kill.
const RECOVERY: Duration = Duration::from_millis(500);
/// Most time between two kills.
const BETWEEN_MS: u64 = 30;

/// Arguments of `orion torture`.
#[derive(Clone, Debug, clap::Args)]
pub struct TortureArgs {
    /// How often something is killed
    #[arg(long, default_value_t = 1000)]
    pub kills: u32,
    /// Where the random choices begin; the same number kills in the same order
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// What is killed
    #[arg(long, value_delimiter = ',', default_value = "driver,layer,gatekeeper,device")]
    pub only: Vec<Kind>,
    /// Print each kill and its pause
    #[arg(long)]
    pub show: bool,
}

/// Whose processes and descriptors are counted, before and after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    processes: usize,
    descriptors: usize,
    mappings: usize,
    resident: u64,
}

/// What came of it.
struct Outcome {
    kills: Vec<(u64, Kind)>,
    before: Held,
    after: Held,
    stuck: bool,
    left: Vec<String>,
}

impl TortureArgs {
    /// Does it, with the program at `program` for `run`. Whether nothing was seen but pauses. Call it from the main thread.
    ///
    /// # Errors
    /// A message for people, where it can't be done.
    pub fn run(&self, program: &std::path::Path) -> Result<bool, String> {
        let failed = |error: io::Error| format!("the torture cannot be done: {error}");
        let place = Place::new().map_err(failed)?;
        let mut watched = Watched::start(program, &place.0, &Cpus::ours().map_err(failed)?).map_err(failed)?;
        watched.until(PATIENCE, |seen| seen.reports > 0)?;
        let mut random = Random(self.seed);
        let outcome = self.torture(&mut watched, &mut random)?;
        Ok(table::print(&outcome, watched.seen(), self.show))
    }

    fn torture(&self, watched: &mut Watched, random: &mut Random) -> Result<Outcome, String> {
        let victims = Victims::new(watched.id());
        let before = held(watched.id());
        let mut kills = Vec::new();
        let mut stuck = false;
        while kills.len() < self.kills as usize && !stuck {
            watched.listen(Duration::from_micros(random.below(BETWEEN_MS * 1000)));
            stuck = watched.seen().silent() > PATIENCE;
            let choice = usize::try_from(random.below(self.only.len() as u64)).unwrap_or(0);
            let Some(&kind) = self.only.get(choice) else { break };
            // One that is being restarted is left in peace.
            if let Some(at) = victims.kill(kind) {
                kills.push((at, kind));
                self.progress(kills.len());
                // Some are killed while others are being restarted; most when all is well again.
                if random.below(4) != 0 {
                    let _ = watched.until(RECOVERY, |seen| seen.pauses.last().is_some_and(|(_, end)| *end > at));
                }
            }
        }
        let reports = watched.seen().reports;
        stuck |= watched.until(PATIENCE, |seen| seen.reports >= reports + 3).is_err();
        // What is still to be started again is given the time for it.
        let begin = Instant::now();
        let mut after = held(watched.id());
        while (after.processes, after.descriptors) != (before.processes, before.descriptors)
            && begin.elapsed() < PATIENCE
        {
            watched.listen(Duration::from_millis(20));
            after = held(watched.id());
        }
        let left = watched.end(PATIENCE)?;
        Ok(Outcome { kills, before, after, stuck, left })
    }

    fn progress(&self, kills: usize) {
        if kills.is_multiple_of(100) && self.kills >= 200 {
            let _ = write!(io::stderr(), "\r{kills} of {} kills", self.kills);
        }
        if kills == self.kills as usize && self.kills >= 200 {
            let _ = write!(io::stderr(), "\r{:30}\r", "");
        }
    }
}

/// What the launcher holds now.
fn held(launcher: u32) -> Held {
    let count = |name: &str| std::fs::read_dir(format!("/proc/{launcher}/{name}")).map_or(0, Iterator::count);
    let text = |name: &str| std::fs::read_to_string(format!("/proc/{launcher}/{name}")).unwrap_or_default();
    let resident =
        text("status").lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().split(' ').next()?.parse().ok());
    Held {
        processes: victims::children(launcher).len(),
        descriptors: count("fd"),
        mappings: text("maps").lines().count(),
        resident: resident.unwrap_or(0),
    }
}

/// A directory with the system and its disk, removed at the end.
struct Place(PathBuf);

impl Place {
    fn new() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("orion-torture-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        let place = Self(path);
        std::fs::write(place.0.join("system.xml"), SYSTEM)?;
        let disk = std::fs::File::create(place.0.join("d0.img"))?;
        disk.set_len(DISK)?;
        (&disk).write_all(&table_of_partitions())?;
        Ok(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A boot record with one partition: its entry stands at byte 446, its mark at the end.
fn table_of_partitions() -> Vec<u8> {
    let blocks = u32::try_from(DISK / 512).unwrap_or(u32::MAX) - PARTITION;
    let mut bytes = vec![0; 446];
    // Status, three bytes of geometry that nobody reads, type Linux, three bytes again.
    bytes.extend([0, 0, 0, 0, 0x83, 0, 0, 0]);
    bytes.extend(PARTITION.to_le_bytes());
    bytes.extend(blocks.to_le_bytes());
    bytes.resize(510, 0);
    bytes.extend([0x55, 0xaa]);
    bytes
}

/// Splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }
}
