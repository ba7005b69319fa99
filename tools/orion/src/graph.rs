// SPDX-License-Identifier: MIT
//! `orion graph`: the system as a picture.
use crate::Outcome;
use crate::common::{self, SystemArg};
use orion_system::plan::Board;
use orion_system::{Options, derive};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `orion graph`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    system: SystemArg,
    /// The board: host, qemu_virt_aarch64 or x86_64_generic
    #[arg(long, value_parser = common::board, default_value = "host")]
    board: Board,
    /// Put the devices behind an IOMMU (x86_64_generic)
    #[arg(long)]
    iommu: bool,
    /// The picture to write
    #[arg(short = 'o', long = "output", alias = "out", value_name = "FILE", default_value = "build/system.svg")]
    out: PathBuf,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let system = self.system.parsed()?;
        let options = Options { iommu: self.iommu, ..Options::default() };
        let plan = derive(&system, self.board, &options).map_err(|list| self.system.message(&list))?;
        let title = self.system.system.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let picture = orion_system::graph(&system, &plan, &title);
        common::write(&self.out, picture.as_bytes())?;
        println!("{}", self.out.display());
        Ok(ExitCode::SUCCESS)
    }
}
