// SPDX-License-Identifier: MIT
//! `orion sdf`: the Microkit system description and the configuration of each PD.
use crate::Outcome;
use crate::common::{self, SystemArg};
use orion_system::plan::Board;
use orion_system::{Options, emit};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `orion sdf`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    system: SystemArg,
    /// The board: qemu_virt_aarch64 or x86_64_generic
    #[arg(long, value_parser = common::board)]
    board: Board,
    /// Put the devices behind an IOMMU (x86_64_generic)
    #[arg(long)]
    iommu: bool,
    /// The folder to write to [default: build/BOARD]
    #[arg(short = 'o', long = "output", alias = "out", value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        if !emit::has_description(self.board) {
            return Err("the host needs no system description; use `orion run`".to_owned());
        }
        let folder = self.out.clone().unwrap_or_else(|| Path::new("build").join(self.board.name()));
        let options = Options { iommu: self.iommu, ..Options::default() };
        let system = self.system.parsed()?;
        let plan = orion_system::derive(&system, self.board, &options).map_err(|list| self.system.message(&list))?;
        let description = folder.join("orion.system");
        common::write(&description, emit::sdf(&plan).as_bytes())?;
        for (name, bytes) in emit::files(&plan) {
            common::write(&folder.join(name), &bytes)?;
        }
        let sections: Vec<_> = plan.pds.iter().flat_map(|pd| pd.sections.iter().map(move |s| (pd, s))).collect();
        println!("{} and {} configurations", description.display(), emit::files(&plan).len() - sections.len());
        for (pd, section) in sections {
            println!("{} is for the section {} of {}", section.file, section.name, pd.image);
        }
        Ok(ExitCode::SUCCESS)
    }
}
