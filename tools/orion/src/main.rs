// SPDX-License-Identifier: MIT
//! `orion`: checks, derives, draws, builds and runs the storage system that a `system.xml` describes.
//!
//! Each command is a file of its own: a `clap` argument struct with `fn run(self) -> Outcome`. To add one, name it in
//! `mod`, in [`Command`] and in [`run()`].
#![forbid(unsafe_code)]
use clap::{Parser, Subcommand};
use std::process::ExitCode;

mod audit;
mod cat;
mod check;
mod common;
mod ctl;
mod disk;
mod graph;
mod health;
mod image;
mod inspect;
mod live;
mod qemu;
mod raid;
mod reach;
mod run;
mod sdf;
mod sel4;
mod status;
mod top;
mod torture;

/// What a command ends with: an exit code, or a message of what was found, where, and what to do.
type Outcome = Result<ExitCode, String>;

/// Orion: block storage for seL4 Microkit systems, from one system.xml.
#[derive(Parser)]
#[command(name = "orion", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check a system.xml and say what to do about everything that is wrong
    Check(check::Args),
    /// Write the Microkit system description and the configuration of each PD
    Sdf(sdf::Args),
    /// Make the seL4 Microkit image of the system for a board
    Image(image::Args),
    /// Boot that image in QEMU; ends with the demo's verdict
    Qemu(qemu::Args),
    /// Look at disk images: their partition tables and RAID superblocks; without one, at the disks of a running system
    Inspect(inspect::Args),
    /// Put together the volume that lies on some disk images, such as Linux's RAID, and write it to standard output
    Cat(cat::Args),
    /// Make, fill, check and repair arrays of Linux's RAID on disk images
    Raid(raid::Args),
    /// Show and verify the audit: what was refused and what was changed
    Audit(audit::Args),
    /// Draw the system as an SVG picture
    Graph(graph::Args),
    /// List what a protection domain could reach if it were compromised
    Reach(reach::Args),
    /// Run the system on this machine: a sandboxed process per protection domain, real emulated disks
    Run(run::Args),
    /// Show how a running system is: its parts, who holds what, rates, latencies, errors
    Status(status::Args),
    /// Show what the disks of a running system say of themselves: model, temperature, wear, counts, SMART attributes
    Health(health::Args),
    /// Watch a running system, live
    Top(top::Args),
    /// Change what clients of a running system may do
    Ctl(ctl::Args),
    /// Kill driver, layer, gatekeeper and device at random under a client's load, and tell what the client saw
    Torture(torture::Args),
    /// Be a protection domain; for `orion run` only
    #[command(hide = true)]
    Pd(run::Pd),
}

fn run(command: Command) -> Outcome {
    match command {
        Command::Check(args) => args.run(),
        Command::Sdf(args) => args.run(),
        Command::Image(args) => args.run(),
        Command::Qemu(args) => args.run(),
        Command::Inspect(args) => args.run(),
        Command::Cat(args) => args.run(),
        Command::Raid(args) => args.run(),
        Command::Audit(args) => args.run(),
        Command::Graph(args) => args.run(),
        Command::Reach(args) => args.run(),
        Command::Run(args) => args.run(),
        Command::Status(args) => args.run(),
        Command::Health(args) => args.run(),
        Command::Top(args) => args.run(),
        Command::Ctl(args) => args.run(),
        Command::Torture(args) => args.run(),
        Command::Pd(args) => args.run(),
    }
}

fn main() -> ExitCode {
    run(Cli::parse().command).unwrap_or_else(|message| {
        eprintln!("{message}");
        ExitCode::FAILURE
    })
}
