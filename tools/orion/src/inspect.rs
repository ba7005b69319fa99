// SPDX-License-Identifier: MIT
//! `orion inspect`: what is on a disk image or a block device, which is only read; or what the disks of a running system are.
use crate::cat::devices::superblocks;
use crate::live::SocketArg;
use crate::{Outcome, health};
use orion_block::BlockSize;
use orion_gpt::{Error, Partition, Probe, Scheme, Table};
use orion_raid::Super;
use serde_json::{Value, json};
use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Arguments of `orion inspect`.
#[derive(clap::Args)]
pub struct Args {
    /// Disk images or block devices; without any, the disks of the running system, as `orion health` shows them
    #[arg(value_name = "IMAGE")]
    images: Vec<PathBuf>,
    #[command(flatten)]
    socket: SocketArg,
    /// Bytes of a logical block, 512 or 4096; the one that fits, if not given
    #[arg(long, value_name = "BYTES", value_parser = block)]
    block: Option<BlockSize>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn block(text: &str) -> Result<BlockSize, String> {
    match text {
        "512" => Ok(BlockSize::B512),
        "4096" => Ok(BlockSize::B4096),
        _ => Err("write 512 or 4096".into()),
    }
}

/// An image that was looked at.
struct Found<'a> {
    path: &'a Path,
    size: u64,
    block: BlockSize,
    table: Result<Table, Error>,
    /// Superblocks of Linux's RAID, or what is wrong with them.
    raid: Vec<Result<Super, String>>,
}

impl Args {
    /// Of these images.
    pub fn of(images: Vec<PathBuf>) -> Self {
        Self { images, socket: SocketArg::default(), block: None, json: false }
    }

    /// Runs the command. It fails where an image has neither a table nor a superblock that can be used.
    pub fn run(self) -> Outcome {
        if self.images.is_empty() {
            return health::show(&self.socket, self.json);
        }
        let looked: Result<Vec<Found<'_>>, String> = self.images.iter().map(|path| self.look(path)).collect();
        let found = looked?;
        if self.json {
            let all: Vec<Value> = found.iter().map(Found::json).collect();
            println!("{:#}", Value::from(all));
        } else {
            let texts: Vec<String> = found.iter().map(Found::text).collect();
            print!("{}", texts.join("\n"));
        }
        let good = found.iter().all(|found| found.table.is_ok() || found.raid.iter().any(Result::is_ok));
        Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn look<'a>(&self, path: &'a Path) -> Result<Found<'a>, String> {
        let say = |error| format!("{}: cannot be read: {error}; name a disk image", path.display());
        let mut file = File::open(path).map_err(say)?;
        let size = file.seek(SeekFrom::End(0)).map_err(say)?;
        let look = |block| {
            let raid = superblocks(&file, 0, size / 512).collect();
            Found { path, size, block, table: probe(&file, size, block), raid }
        };
        if let Some(block) = self.block {
            return Ok(look(block));
        }
        let usual = look(BlockSize::B512);
        let large = || Some(look(BlockSize::B4096)).filter(|found| found.table.is_ok());
        Ok(if usual.table.is_err() { large().unwrap_or(usual) } else { usual })
    }
}

fn probe(file: &File, size: u64, block: BlockSize) -> Result<Table, Error> {
    let mut probe = Probe::new(block, size >> block.shift());
    loop {
        if let Some(outcome) = probe.outcome() {
            return outcome.cloned();
        }
        let Some(extent) = probe.want() else { continue };
        let mut bytes = vec![0; usize::try_from(extent.blocks << block.shift()).unwrap_or(0)];
        match file.read_exact_at(&mut bytes, extent.first << block.shift()) {
            Ok(()) => probe.feed(&bytes),
            Err(_) => probe.unreadable(),
        }
    }
}

impl Found<'_> {
    fn json(&self) -> Value {
        let error = self.table.as_ref().err().map(|error| error.to_string());
        json!({
            "image": self.path.display().to_string(),
            "bytes": self.size,
            "block": self.block.bytes(),
            "table": self.table.as_ref().ok().map(|table| self.table_json(table)),
            "error": error,
            "raid": self.raid.iter().map(raid_json).collect::<Vec<_>>(),
        })
    }

    fn table_json(&self, table: &Table) -> Value {
        let rows: Vec<Value> = table.partitions.iter().map(|partition| self.partition_json(partition)).collect();
        let fault = |fault: Option<orion_gpt::Fault>| fault.map(|fault| fault.to_string());
        match table.scheme {
            Scheme::Gpt { disk, primary, backup, grown, hybrid } => json!({
                "kind": "gpt", "disk": disk.to_string(), "primary_fault": fault(primary), "backup_fault": fault(backup),
                "grown": grown, "hybrid": hybrid, "partitions": rows,
            }),
            Scheme::Mbr { signature } => json!({
                "kind": "mbr", "signature": format!("{signature:08x}"), "partitions": rows,
            }),
        }
    }

    fn partition_json(&self, partition: &Partition) -> Value {
        json!({
            "number": partition.number,
            "first": partition.first,
            "blocks": partition.blocks,
            "bytes": partition.blocks << self.block.shift(),
            "alignment": partition.alignment(self.block.shift()),
            "type": partition.kind.to_string(),
            "uuid": partition.unique.map(|guid| guid.to_string()),
            "name": partition.name().collect::<String>(),
            "attributes": partition.attributes,
        })
    }

    fn text(&self) -> String {
        let block = self.block.bytes();
        let raid: String = self.raid.iter().map(raid_text).collect();
        let head = format!("{}: {} bytes, blocks of {block}", self.path.display(), self.size);
        let head = format!("{head}\n{raid}").trim_end().to_owned();
        let table = match &self.table {
            Ok(table) => table,
            Err(_) if self.raid.iter().any(Result::is_ok) => return format!("{head}\n"),
            Err(error) => return format!("{head}\n  {error}\n"),
        };
        let mut out = format!("{head}\n  {}\n", scheme(table));
        if let Scheme::Gpt { primary, backup, grown, hybrid, .. } = table.scheme {
            let faults = [("primary", primary), ("backup", backup)];
            for (copy, fault) in faults.into_iter().filter_map(|(copy, fault)| Some((copy, fault?))) {
                out += &format!("  the {copy} copy is bad: {fault}; {}\n", fault.kind.remedy());
            }
            let notes = [
                (
                    grown,
                    "the backup copy is not at the disk's end: the disk has grown; `sgdisk --move-second-header` moves it",
                ),
                (hybrid, "the MBR lists partitions of its own too, which are not looked at"),
            ];
            notes.into_iter().filter(|(holds, _)| *holds).for_each(|(_, note)| out += &format!("  {note}\n"));
        }
        if !table.partitions.is_empty() {
            out += &format!(
                "  {:>6} {:>14} {:>14} {:>12} {:>9}  {:22} name\n",
                "number", "first", "blocks", "size", "aligned", "type"
            );
        }
        for partition in &table.partitions {
            out += &self.row(partition);
        }
        out
    }

    fn row(&self, p: &Partition) -> String {
        let shift = self.block.shift();
        let name: String = p.name().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        let (size, aligned) = (bytes(p.blocks << shift), bytes(p.alignment(shift)));
        let kind = p.kind.to_string();
        let row =
            format!("  {:>6} {:>14} {:>14} {size:>12} {aligned:>9}  {kind:22} {name}", p.number, p.first, p.blocks);
        format!("{}\n", row.trim_end())
    }
}

/// What a superblock says, or what is wrong with it.
fn raid_text(found: &Result<Super, String>) -> String {
    let found = match found {
        Ok(found) => found,
        Err(fault) => return format!("  {fault}\n"),
    };
    let name: String = found.name().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let level = if found.level == -1 { "linear".into() } else { format!("RAID {}", found.level) };
    let chunk =
        if found.chunk == 0 { String::new() } else { format!(", chunks of {}", bytes(u64::from(found.chunk) * 512)) };
    let log = found.recovery.filter(|_| found.role == orion_raid::Role::Journal);
    let log = log.map_or_else(String::new, |at| format!("    the log begins at sector {at} of the data\n"));
    let state = if found.is_dirty() { "not stopped cleanly" } else { "clean" };
    format!(
        "  md {} superblock at sector {}: {} of {level}, {} members, layout {}{chunk}\n    array {} {name:?}, {} events, {state}\n    \
         data: {} sectors from sector {} on\n{log}",
        found.version,
        found.super_offset,
        found.role,
        found.raid_disks,
        found.layout,
        found.set,
        found.events,
        found.data_size,
        found.data_offset,
    )
}

fn raid_json(found: &Result<Super, String>) -> Value {
    match found {
        Err(fault) => json!({ "error": fault }),
        Ok(found) => json!({
            "version": found.version.to_string(), "sector": found.super_offset, "array": found.set.to_string(),
            "name": found.name(), "level": found.level, "layout": found.layout, "chunk_bytes": u64::from(found.chunk) * 512,
            "raid_disks": found.raid_disks, "role": found.role.to_string(), "events": found.events,
            "clean": !found.is_dirty(), "device": found.device.to_string(), "data_first": found.data_offset,
            "data_sectors": found.data_size, "features": found.features,
            "recovered_sectors": found.recovery.filter(|_| found.role != orion_raid::Role::Journal),
            "log_first": found.recovery.filter(|_| found.role == orion_raid::Role::Journal),
        }),
    }
}

fn scheme(table: &Table) -> String {
    match table.scheme {
        Scheme::Gpt { disk, .. } => format!("GPT, disk {disk}, {} partitions", table.partitions.len()),
        Scheme::Mbr { signature } => format!("MBR, disk {signature:08x}, {} partitions", table.partitions.len()),
    }
}

/// A number of bytes in the largest unit of which there is at least one.
pub fn bytes(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.iter().find(|(shift, _)| bytes >> shift > 0);
    unit.map_or_else(
        || format!("{bytes} B"),
        |(shift, unit)| {
            let tenths = (u128::from(bytes) * 10) >> shift;
            if tenths % 10 == 0 {
                format!("{} {unit}", tenths / 10)
            } else {
                format!("{}.{} {unit}", tenths / 10, tenths % 10)
            }
        },
    )
}
