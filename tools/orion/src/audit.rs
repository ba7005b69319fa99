// SPDX-License-Identifier: MIT
//! `orion audit`: the records of an audit, and whether they are whole. Images and files are only read.
use crate::Outcome;
use clap::{Args as Arguments, Subcommand};
use orion_audit::extent::{self, BLOCK, MAGIC, Scan};
use orion_audit::{Bytes, Fault, Head, RECORD, Record};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Bytes between the places at which an extent can begin.
const SECTOR: usize = 512;

/// Arguments of `orion audit`.
#[derive(Arguments)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the records, each with what happened, who did it, when, and by which line of system.xml
    Show(Which),
    /// Check that no record was changed, moved, removed or put between; fails where one was, and says which
    Verify(Which),
}

#[derive(Arguments)]
struct Which {
    /// A disk image or device with an audit extent, or a file of `orion run --audit`
    image: PathBuf,
    /// The byte at which the extent begins; where it is, if not given
    #[arg(long, value_name = "BYTE")]
    at: Option<u64>,
    /// What was printed of the chain's head earlier, as RECORDS:HASH: tells whether its end was cut off or written anew
    #[arg(long, value_name = "RECORDS:HASH", value_parser = head)]
    head: Option<Head>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn head(text: &str) -> Result<Head, String> {
    text.parse().map_err(|()| "write the number of records, a colon and 64 hexadecimal digits, as verify prints".into())
}

/// A chain that was looked at.
struct Chain {
    /// The byte at which the first record lies.
    first: u64,
    scan: Scan,
    records: Vec<Record>,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        match self.command {
            Command::Show(which) => which.show(),
            Command::Verify(which) => which.verify(),
        }
    }
}

impl Which {
    fn read(&self) -> Result<Chain, String> {
        let say = |error| format!("{}: cannot be read: {error}; name a disk image", self.image.display());
        let mut file = File::open(&self.image).map_err(say)?;
        let (first, places) = match self.at {
            Some(at) => self.extent(&mut file, at).map_err(say)?.ok_or_else(|| self.no_extent(at))?,
            None => self.find(&mut file).map_err(say)??,
        };
        file.seek(SeekFrom::Start(first)).map_err(say)?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut chain = Chain { first, scan: Scan::anchored(self.head), records: Vec::new() };
        for _ in 0..places {
            let mut place: Bytes = [0; RECORD];
            reader.read_exact(&mut place).map_err(say)?;
            if chain.scan.place(&place) {
                chain.records.push(Record::parse(&place));
            }
        }
        Ok(chain)
    }

    fn no_extent(&self, at: u64) -> String {
        let image = self.image.display();
        format!("{image}: no audit begins at byte {at}, or its first block is damaged; leave out --at to look for one")
    }

    /// The first record's byte and the places for records of the extent at `at`.
    fn extent(&self, file: &mut File, at: u64) -> std::io::Result<Option<(u64, u64)>> {
        let mut block = [0; BLOCK];
        let size = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(at))?;
        if file.read_exact(&mut block).is_err() {
            return Ok(None);
        }
        let blocks = extent::blocks(&block);
        let inside = |blocks: &u64| {
            blocks.checked_mul(BLOCK as u64).and_then(|n| n.checked_add(at)).is_some_and(|end| end <= size)
        };
        Ok(blocks.filter(inside).map(|blocks| (at + BLOCK as u64, extent::capacity(blocks))))
    }

    /// The one chain of the file: the file itself, or an extent in it.
    fn find(&self, file: &mut File) -> std::io::Result<Result<(u64, u64), String>> {
        let image = self.image.display();
        let size = file.seek(SeekFrom::End(0))?;
        let found = begins(file)?;
        if let Found::Records = found {
            let whole = size.is_multiple_of(RECORD as u64);
            let cut = || format!("{image}: its last record is cut off after {} bytes", size % RECORD as u64);
            return Ok(if whole { Ok((0, size / RECORD as u64)) } else { Err(cut()) });
        }
        let Found::Extents(places) = found else { return Ok(Err(format!("{image}: it is empty"))) };
        let mut extents = Vec::new();
        for at in places {
            extents.extend(self.extent(file, at)?.map(|extent| (at, extent)));
        }
        Ok(match &extents[..] {
            [(_, extent)] => Ok(*extent),
            [] => Err(format!("{image}: there is no audit in it, or the first block of its extent is damaged")),
            several => {
                let at: Vec<String> = several.iter().map(|(at, _)| at.to_string()).collect();
                let at = at.join(", ");
                Err(format!(
                    "{image}: more than one audit begins in it, at bytes {at}; a client can have written one of them: name \
                     that of system.xml with --at (4096 times the first block of <orion:audit> on a whole disk)"
                ))
            }
        })
    }

    fn verify(&self) -> Outcome {
        let chain = self.read()?;
        let head = chain.scan.head();
        let fault = chain.scan.fault();
        if self.json {
            say(&format!("{:#}", chain.json(&self.image)))?;
        } else if fault.is_none() {
            say(&format!("{}: {} records, whole; head {head}", self.image.display(), head.records))?;
        }
        match fault {
            None => Ok(ExitCode::SUCCESS),
            Some(_) if self.json => Ok(ExitCode::FAILURE),
            Some(fault) => Err(chain.complaint(&self.image, fault)),
        }
    }

    fn show(&self) -> Outcome {
        let chain = self.read()?;
        if self.json {
            let records: Value = chain.records.iter().map(record).collect();
            let mut value = chain.json(&self.image);
            value.as_object_mut().map(|object| object.insert("chain".into(), records));
            say(&format!("{value:#}"))?;
        } else {
            for record in &chain.records {
                let (seconds, nanos) = (record.time / 1_000_000_000, record.time % 1_000_000_000);
                say(&format!("{:>6} {seconds:>6}.{:06} s  {record}", record.sequence, nanos / 1000))?;
            }
        }
        match chain.scan.fault() {
            None => Ok(ExitCode::SUCCESS),
            Some(_) if self.json => Ok(ExitCode::FAILURE),
            Some(fault) => Err(chain.complaint(&self.image, fault)),
        }
    }
}

/// Prints a line; who only wants the first ones may close the pipe.
fn say(line: &str) -> Result<(), String> {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
        result => result.map_err(|error| format!("standard output: {error}")),
    }
}

enum Found {
    /// Records from the first byte on.
    Records,
    /// Places where the first block of an extent may lie.
    Extents(Vec<u64>),
    Nothing,
}

/// Looks through the file for what could be an audit.
fn begins(file: &mut File) -> std::io::Result<Found> {
    file.seek(SeekFrom::Start(0))?;
    let mut reader = BufReader::with_capacity(1 << 20, file);
    let (mut at, mut sector, mut places) = (0, [0; SECTOR], Vec::new());
    loop {
        let Some(length) = fill(&mut reader, &mut sector)? else {
            return Ok(if at == 0 { Found::Nothing } else { Found::Extents(places) });
        };
        let begin = sector.get(..length).unwrap_or_default();
        if at == 0 && begin.starts_with(b"OAR1") {
            return Ok(Found::Records);
        }
        if begin.starts_with(&MAGIC) {
            places.push(at);
        }
        at += SECTOR as u64;
    }
}

/// Reads as much of a sector as there is; `None` at the end.
fn fill(reader: &mut impl Read, sector: &mut [u8; SECTOR]) -> std::io::Result<Option<usize>> {
    let mut length = 0;
    while let Some(rest) = sector.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match reader.read(rest)? {
            0 => break,
            count => length += count,
        }
    }
    Ok(Some(length).filter(|length| *length > 0))
}

impl Chain {
    fn complaint(&self, image: &Path, (at, fault): (u64, Fault)) -> String {
        let byte = self.first.saturating_add(at.saturating_mul(RECORD as u64));
        let torn = matches!(fault, Fault::Edited | Fault::NoRecord | Fault::AfterEnd) && self.scan.torn();
        let torn =
            if torn { "; in the last block, where a crash in the middle of its write leaves the same" } else { "" };
        format!("{}: record {at} (byte {byte}): {fault}{torn}", image.display())
    }

    fn json(&self, image: &Path) -> Value {
        let fault = self.scan.fault().map(|(at, fault)| json!({ "record": at, "what": fault.to_string() }));
        json!({
            "image": image.display().to_string(),
            "first_byte": self.first,
            "records": self.scan.head().records,
            "head": self.scan.head().to_string(),
            "fault": fault,
        })
    }
}

fn record(record: &Record) -> Value {
    let what = format!("{:?}", record.what);
    let name = |name: &orion_audit::Name| (!name.is_none()).then(|| name.to_string());
    json!({
        "sequence": record.sequence,
        "time_ns": record.time,
        "kind": what.split('(').next().unwrap_or_default().to_lowercase(),
        "detail": what,
        "who": name(&record.who),
        "to": name(&record.to),
        "volume": name(&record.volume),
        "window": record.window,
        "to_window": record.to_window,
        "first": record.extent.first,
        "blocks": record.extent.blocks,
        "rights": record.rights.to_string(),
        "line": (record.line > 0).then_some(record.line),
        "count": record.count,
        "state": record.state,
        "text": record.to_string(),
    })
}
