// SPDX-License-Identifier: MIT
//! `orion torture`.
use crate::Outcome;
use std::process::ExitCode;

/// Arguments of `orion torture`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    args: orion_host::torture::TortureArgs,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let program = std::env::current_exe().map_err(|error| format!("orion does not find itself: {error}"))?;
        Ok(if self.args.run(&program)? { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
