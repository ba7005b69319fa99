// SPDX-License-Identifier: MIT
//! `orion status`.
use crate::Outcome;
use crate::live::{SocketArg, View, json, table};
use std::process::ExitCode;
use std::time::Duration;

/// Arguments of `orion status`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    socket: SocketArg,
    /// Seconds over which rates and latencies are taken; 0: totals since the start
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    interval: f64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let interval = Duration::try_from_secs_f64(self.interval)
            .map_err(|_| "--interval: give a number of seconds, as in --interval 2".to_owned())?;
        let mut manager = self.socket.connect()?;
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
