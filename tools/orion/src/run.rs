// SPDX-License-Identifier: MIT
//! `orion run`, and the hidden command by which it starts each protection domain.
use crate::Outcome;
use std::process::ExitCode;

/// Arguments of `orion run`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    args: orion_host::cli::RunArgs,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let ok = self.args.run(orion_host::programs::all())?;
        Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Arguments of `orion pd`.
#[derive(clap::Args)]
pub struct Pd {
    #[arg(trailing_var_arg = true)]
    words: Vec<String>,
}

impl Pd {
    /// Becomes the protection domain.
    pub fn run(self) -> Outcome {
        orion_host::pd::main(self.words, &orion_host::programs::all())
    }
}
