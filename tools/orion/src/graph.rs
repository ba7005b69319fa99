// SPDX-License-Identifier: MIT
//! `orion graph`.
use crate::{Outcome, common::SystemArg};

/// Arguments of `orion graph`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    system: SystemArg,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let _text = self.system.read()?;
        Err("orion graph is being written".to_owned())
    }
}
