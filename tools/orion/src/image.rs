// SPDX-License-Identifier: MIT
//! `orion image`.
use crate::{Outcome, sel4::ImageArgs};
use orion_system::Options;
use std::process::ExitCode;

/// Arguments of `orion image`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    image: ImageArgs,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let image = self.image.build(Options::default())?;
        let path = image.directory.join("loader.img");
        let bytes = std::fs::metadata(&path).map_err(|error| format!("{}: {error}", path.display()))?.len();
        println!("{}: {} KiB, {} protection domains", path.display(), bytes / 1024, image.plan.pds.len());
        Ok(ExitCode::SUCCESS)
    }
}
