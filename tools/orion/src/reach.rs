// SPDX-License-Identifier: MIT
//! `orion reach`: what a protection domain could do if it were compromised.
use crate::Outcome;
use crate::common::{self, SystemArg};
use orion_system::model::System;
use orion_system::plan::{Board, Plan};
use orion_system::problem::suggest;
use orion_system::reach::{Blocks, Device, Dma, Memory, Order, Reach, heading, reach, text};
use orion_system::{Options, derive, rights_text};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `orion reach`.
#[derive(clap::Args)]
pub struct Args {
    /// The protection domain [default: every one], and the system description [default: system.xml]
    #[arg(value_name = "[PD] [SYSTEM.XML]", num_args = 0..=2)]
    words: Vec<String>,
    /// The board: host, qemu_virt_aarch64 or x86_64_generic [default: all, x86_64_generic with and without an IOMMU]
    #[arg(long, value_parser = common::board)]
    board: Option<Board>,
    /// With the devices behind an IOMMU (x86_64_generic)
    #[arg(long)]
    iommu: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        let (pd, file) = self.subject()?;
        let source = file.read()?;
        let system = orion_system::parse(&source).map_err(|list| file.message(&list))?;
        let plans = self.plans(&system, &file)?;
        if let Some(pd) = &pd {
            known(pd, &plans)?;
        }
        let wanted = |reach: &Reach| pd.as_ref().is_none_or(|pd| *pd == reach.pd);
        let mut boards = Vec::new();
        let mut out = String::new();
        for plan in &plans {
            let pds: Vec<Reach> = reach(&system, plan).into_iter().filter(wanted).collect();
            if self.json {
                let pds: Vec<Value> = pds.iter().map(value).collect();
                boards.push(json!({ "board": plan.board.name(), "iommu": plan.iommu, "pds": pds }));
            } else {
                let gap = if out.is_empty() { "" } else { "\n" };
                out.push_str(&format!("{gap}{}", heading(plan)));
                pds.iter().for_each(|pd| out.push_str(&text(pd)));
            }
        }
        if self.json {
            println!("{:#}", Value::Array(boards));
        } else {
            print!("{out}");
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The PD, where one is named, and the file: a name of a PD has neither a dot nor a slash.
    fn subject(&self) -> Result<(Option<String>, SystemArg), String> {
        let is_file = |word: &&String| word.contains(['.', '/']);
        let files: Vec<&String> = self.words.iter().filter(is_file).collect();
        let pds: Vec<&String> = self.words.iter().filter(|word| !is_file(word)).collect();
        match (pds.as_slice(), files.as_slice()) {
            ([] | [_], [] | [_]) => {
                let system = files.first().map_or_else(|| PathBuf::from("system.xml"), PathBuf::from);
                Ok((pds.first().map(|pd| (*pd).clone()), SystemArg { system, base: None }))
            }
            _ => Err("name one protection domain and one file, as in `orion reach gatekeeper system.xml`".to_owned()),
        }
    }

    /// The plans of the boards that are asked for; of all boards those that the system is in order for.
    fn plans(&self, system: &System, file: &SystemArg) -> Result<Vec<Plan>, String> {
        let plan = |board, iommu| derive(system, board, &Options { iommu, ..Options::default() });
        if self.board.is_some() || self.iommu {
            let board = self.board.unwrap_or(Board::X86_64Generic);
            return plan(board, self.iommu).map(|plan| vec![plan]).map_err(|list| file.message(&list));
        }
        let all = Board::ALL.map(|board| (board, false)).into_iter().chain([(Board::X86_64Generic, true)]);
        let results: Vec<_> = all.map(|(board, iommu)| plan(board, iommu)).collect();
        if results.iter().all(Result::is_err) {
            let problems: Vec<_> = results.into_iter().filter_map(Result::err).flatten().collect();
            return Err(file.message(&problems));
        }
        Ok(results.into_iter().filter_map(Result::ok).collect())
    }
}

fn known(pd: &str, plans: &[Plan]) -> Result<(), String> {
    let names = || plans.iter().flat_map(|plan| &plan.pds).map(|pd| pd.name.as_str());
    if names().any(|name| name == pd) {
        return Ok(());
    }
    Err(format!("there is no protection domain {pd:?}; {}", suggest(pd, names(), "declare one")))
}

fn value(reach: &Reach) -> Value {
    json!({
        "pd": reach.pd,
        "program": reach.image,
        "derived": reach.derived,
        "priority": reach.priority,
        "memory": reach.memory.iter().map(memory).collect::<Vec<_>>(),
        "signals": reach.signals,
        "calls": reach.calls,
        "called_by": reach.called_by,
        "controls": reach.controls,
        "interrupts": reach.interrupts,
        "io_ports": reach.ports.iter().map(|(first, count)| json!({ "first": first, "count": count })).collect::<Vec<_>>(),
        "devices": reach.devices.iter().map(device).collect::<Vec<_>>(),
        "orders": reach.orders.iter().map(order).collect::<Vec<_>>(),
        "blocks": reach.blocks.iter().map(blocks).collect::<Vec<_>>(),
        "lent": reach.lent.iter().map(|(pd, held)| json!({ "by": pd, "of": blocks(held) })).collect::<Vec<_>>(),
        "answers": reach.answers,
        "starves": reach.starves,
    })
}

fn memory(memory: &Memory) -> Value {
    let shared: Vec<Value> = memory.shared.iter().map(|(pd, write)| json!({ "pd": pd, "write": write })).collect();
    json!({
        "region": memory.region,
        "kind": memory.kind,
        "bytes": memory.size,
        "write": memory.write,
        "shared": shared,
        "devices": memory.devices,
    })
}

fn device(device: &Device) -> Value {
    let dma = match &device.dma {
        Dma::Everything => json!("everything"),
        Dma::Regions(regions) => json!(regions),
    };
    json!({ "name": device.name, "disk": device.disk, "dma": dma, "any_message_interrupt": device.messages })
}

fn order(order: &Order) -> Value {
    json!({ "disk": order.disk, "driver": order.driver, "regions": order.regions })
}

/// `blocks` counts blocks of 4096 bytes; null: to the end of the disk or partition.
fn blocks(blocks: &Blocks) -> Value {
    json!({
        "disk": blocks.disk,
        "volume": blocks.volume,
        "partition": blocks.partition,
        "first": blocks.first,
        "blocks": blocks.count,
        "rights": rights_text(blocks.rights).split_whitespace().collect::<Vec<_>>(),
        "server": blocks.server,
        "window": blocks.grant.map(|(window, _)| window),
        "line": blocks.grant.map(|(_, line)| line),
    })
}
