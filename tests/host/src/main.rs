// SPDX-License-Identifier: MIT
//! `orion run`, with a few more programs: two that play ping-pong, the contract suite, and hostile ones, each of which
//! tries one thing that no protection domain may do.
use clap::{Parser, Subcommand};
use orion_host::programs::{self, Program, Role};
use orion_host::world::HostWorld;
use orion_pd::{Verdict, World};
use std::process::ExitCode;

mod calls;
mod hostile;
mod ping;

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// As `orion run`.
    Run(Box<orion_host::cli::RunArgs>),
    /// As `orion pd`.
    Pd {
        /// What the process is told.
        #[arg(trailing_var_arg = true)]
        words: Vec<String>,
    },
}

fn all() -> Vec<Program> {
    let mut all = programs::all();
    all.iter_mut().filter(|program| program.name == "virtio-blk").for_each(|program| program.run = faulty_driver);
    all.push(Program::new::<calls::Caller>("caller", Role::Job));
    all.push(Program::new::<calls::Callee>("callee", Role::Client));
    all.push(Program::new::<ping::Ping>("ping", Role::Job));
    all.push(Program::new::<ping::Pong>("pong", Role::Client));
    all.push(Program::new::<orion_contract::Contract>("contract", Role::Job));
    all.extend(hostile::all());
    all
}

/// The driver; the one of the disk `panics` dies whenever it is set up.
#[allow(clippy::panic, reason = "a crash on purpose")]
fn faulty_driver(world: &mut HostWorld) -> Result<Verdict, String> {
    assert!(world.config().name != "blk_panics", "it can't be set up");
    let driver = programs::all().into_iter().find(|program| program.name == "virtio-blk");
    driver.map_or_else(|| Err("there is no driver".to_owned()), |driver| (driver.run)(world))
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Run(args) => args.run(all()),
        Command::Pd { words } => orion_host::pd::main(words, &all()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}
