// SPDX-License-Identifier: MIT
//! `orion status`.
use crate::Outcome;
use crate::live::{LookArgs, View, json, table};
use std::process::ExitCode;

/// Arguments of `orion status`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    look: LookArgs,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let interval = self.look.interval()?;
        let mut manager = self.look.connect()?;
        let mut view = View::new(manager.state()?, None);
        if !interval.is_zero() {
            std::thread::sleep(interval);
            view = View::new(manager.state()?, Some(view.state));
        }
        if self.json {
            println!("{:#}", json(&view));
        } else {
            print!("{}", table(&view));
        }
        Ok(ExitCode::SUCCESS)
    }
}
