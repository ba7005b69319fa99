// SPDX-License-Identifier: MIT
//! `orion raid`: makes, fills, checks and repairs arrays of Linux's RAID on disk images, with mdadm's words.
mod create;
mod grow;
mod images;
mod manage;
mod nested;
mod running;
mod scrub;
mod words;

use crate::Outcome;
use manage::Order;
use orion_raid::engine::Mend;
use running::Running;
use std::io::{self, Read};
use std::path::PathBuf;
use std::process::ExitCode;

/// Bytes that are taken from standard input at once.
const PIECE: usize = 1 << 20;

/// A new identifier of a device, as two numbers.
///
/// # Errors
/// A message for people.
pub fn identifier() -> Result<[u64; 2], String> {
    let orion_raid::Uuid(uuid) = create::random()?;
    let (first, second) = uuid.split_at(8);
    let number = |half: &[u8]| half.try_into().map_or(0, u64::from_le_bytes);
    Ok([number(first), number(second)])
}

/// Arguments of `orion raid`.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  truncate -s 1G a.img b.img c.img d.img
  orion raid create --level 5 --raid-devices 4 --name data a.img b.img c.img d.img
  orion raid write a.img b.img c.img d.img < volume
  orion raid check a.img b.img c.img d.img

Linux assembles what is made here: `mdadm --assemble --scan`. The images are not to be in use elsewhere meanwhile.")]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Make an array of images that hold nothing of worth
    Create(create::Args),
    /// Show the superblocks of images
    Examine {
        /// Disk images or block devices
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<PathBuf>,
    },
    /// Write standard input to an array, from its first byte on
    Write {
        #[command(flatten)]
        members: Members,
        /// Stop as when the power goes, after so many writes to the images
        #[arg(long, value_name = "WRITES", hide = true)]
        cut: Option<u64>,
    },
    /// Bring an image into an array: a spare, which is rebuilt where a member is missing
    Add(manage::Args),
    /// Take a member back that was left behind for a while: it gets what the write-intent bitmap says
    ReAdd(manage::Args),
    /// Have another image take a member's place while that is in service: nothing is missing meanwhile
    Replace(manage::Replace),
    /// Leave a member behind, as if it had failed
    Fail(manage::Args),
    /// Take a spare out
    Remove(manage::Args),
    /// Give an array another number of members, chunk, layout or level
    Grow(grow::Args),
    /// Bring an array up to date (resync, rebuild onto spares), then compare all copies, or parity with the data
    Check(Members),
    /// The same, and mend what is known to be wrong: a block that two parities convict, a copy that most others contradict
    Repair {
        #[command(flatten)]
        members: Members,
        /// Also make alike what differs otherwise, as Linux does: parity like the data, copies like the first
        #[arg(long)]
        all: bool,
    },
}

#[derive(clap::Args)]
struct Members {
    /// Images of the array's members, in any order; spares may be among them
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// The array's UUID, where the images belong to several
    #[arg(long, value_name = "UUID", value_parser = words::uuid)]
    uuid: Option<orion_raid::Uuid>,
    /// Use also an array that lacks members and was not stopped cleanly: what was written last may be wrong
    #[arg(long)]
    force: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        match self.what {
            What::Create(args) => args.run(),
            What::Examine { images } => crate::inspect::Args::of(images).run(),
            What::Write { members, cut } => write(&members, cut),
            What::Add(args) => args.run(Order::Add),
            What::ReAdd(args) => args.run(Order::ReAdd),
            What::Replace(args) => args.run(),
            What::Fail(args) => args.run(Order::Fail),
            What::Remove(args) => args.run(Order::Remove),
            What::Grow(args) => args.run(),
            What::Check(members) => scrub::check(&members, Mend::Nothing),
            What::Repair { members, all: false } => scrub::check(&members, Mend::Certain),
            What::Repair { members, all: true } => scrub::check(&members, Mend::Everything),
        }
    }
}

fn write(members: &Members, cut: Option<u64>) -> Outcome {
    let mut array = Running::start(&members.images, members.uuid, members.force)?;
    array.cut(cut);
    let mut input = io::stdin().lock();
    let (mut at, mut piece) = (0, vec![0; PIECE]);
    loop {
        let len = fill(&mut input, &mut piece).map_err(|error| format!("standard input: {error}"))?;
        let Some(bytes) = piece.get_mut(..len.next_multiple_of(array.block())).filter(|_| len > 0) else { break };
        // What the last block has behind the input's end keeps what it held.
        array.write(at, bytes, len)?;
        at += len as u64;
    }
    array.stop()?;
    eprintln!("{at} bytes written{}", array.state());
    Ok(ExitCode::SUCCESS)
}

/// As much as fits, or until the input ends.
fn fill(input: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while let Some(rest) = piece.get_mut(len..).filter(|rest| !rest.is_empty()) {
        match input.read(rest)? {
            0 => break,
            more => len += more,
        }
    }
    Ok(len)
}
