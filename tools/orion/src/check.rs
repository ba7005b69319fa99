// SPDX-License-Identifier: MIT
//! `orion check`: what is wrong with a system, and with `--explain` what follows from it.
use crate::Outcome;
use crate::common::{self, SystemArg};
use orion_system::plan::Board;
use orion_system::{Options, derive, report_warnings, warnings};
use std::process::ExitCode;

/// Arguments of `orion check`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    system: SystemArg,
    /// Check for this board alone: host, qemu_virt_aarch64 or x86_64_generic [default: all]
    #[arg(long, value_parser = common::board)]
    board: Option<Board>,
    /// Put the devices behind an IOMMU (x86_64_generic)
    #[arg(long)]
    iommu: bool,
    /// Fail where there is a warning
    #[arg(long)]
    strict: bool,
    /// Print all that is derived
    #[arg(long)]
    explain: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let system = self.system.parsed()?;
        let boards = self.board.map_or(Board::ALL.to_vec(), |board| vec![board]);
        let mut good = Vec::new();
        let mut failures = Vec::new();
        for board in boards {
            let iommu = self.iommu && (self.board.is_some() || board == Board::X86_64Generic);
            match derive(&system, board, &Options { iommu, ..Options::default() }) {
                Ok(plan) => good.push(plan),
                Err(problems) => failures.push((board, problems)),
            }
        }
        // A system may be meant for one board only: what another lacks is worth a note, not a failure.
        let all: Vec<_> = failures.iter().flat_map(|(_, problems)| problems.clone()).collect();
        if good.is_empty() {
            return Err(self.system.message(&all));
        }
        for (board, problems) in &failures {
            eprint!("not for the board {}:\n{}", board.name(), self.system.lines(problems));
        }
        if self.explain {
            good.iter().for_each(|plan| print!("{}", orion_system::explain(&system, plan)));
        }
        let names: Vec<&str> = good.iter().map(|plan| plan.board.name()).collect();
        let warnings = warnings(&system);
        eprint!("{}", report_warnings(&self.system.name(), &warnings));
        let with = match warnings.len() {
            0 => String::new(),
            1 => ", with 1 warning".to_owned(),
            count => format!(", with {count} warnings"),
        };
        println!("{}: in order for {}{with}", self.system.name(), names.join(", "));
        Ok(if self.strict && !warnings.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}
