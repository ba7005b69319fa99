// SPDX-License-Identifier: MIT
//! `orion check`.
use crate::{Outcome, common::SystemArg};

/// Arguments of `orion check`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    system: SystemArg,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let _text = self.system.read()?;
        Err("orion check is being written".to_owned())
    }
}
