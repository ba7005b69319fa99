// SPDX-License-Identifier: MIT
//! `orion sdf`.
use crate::{Outcome, common::SystemArg};

/// Arguments of `orion sdf`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    system: SystemArg,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let _text = self.system.read()?;
        Err("orion sdf is being written".to_owned())
    }
}
