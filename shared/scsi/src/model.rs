// SPDX-License-Identifier: MIT
//! SCSI disks in memory, written from the standards and not from the initiator: they answer commands, hold the initiator
//! to the rules, and fail like hardware where a test asks them to. A transport's model hands them its commands.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "this is a test's other side, which says what is wrong by panicking"
)]
use crate::wire::sense::Sense;
use std::boxed::Box;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::vec;
use std::vec::Vec;

mod blocks;
mod bus;
mod pages;
pub mod reserve;

pub use bus::Bus;
pub use orion_driver::model::Medium;

/// The end of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u8,
    /// Sense data, of CHECK CONDITION.
    pub sense: Vec<u8>,
    /// What it answers.
    pub data: Vec<u8>,
}

/// Whether it can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// Yes.
    #[default]
    Ready,
    /// Not for so many commands that need its medium.
    Becoming(u32),
    /// Not before it is started.
    Stopped,
    /// There is no medium.
    NoMedium,
}

/// How a command fails, in place of being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// With sense data in fixed format.
    Sense(Sense),
    /// With sense data in descriptor format.
    Descriptors(Sense),
    /// With this status and no sense data.
    Status(u8),
    /// It is done, and says that all but so many bytes were moved.
    Short(u32),
}

/// A failure that waits for its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Only of this operation code.
    pub opcode: Option<u8>,
    /// Only of commands that touch this block.
    pub block: Option<u64>,
    /// So often; `u32::MAX` is always.
    pub times: u32,
    /// How.
    pub bad: Bad,
}

/// A disk.
#[derive(Debug)]
pub struct Disk {
    /// Bytes of a block.
    pub block: usize,
    /// Blocks.
    pub blocks: u64,
    /// Its content, as reads see it.
    pub content: Vec<u8>,
    /// Its content after a loss of power.
    pub durable: Vec<u8>,
    /// What holds its blocks, if not `content`.
    pub medium: Option<Box<dyn Medium>>,
    /// Whether writes are cached.
    pub write_cache: bool,
    /// Whether nothing can be written.
    pub write_protected: bool,
    /// Whether it forces unit access where asked to.
    pub fua: bool,
    /// Whether it can be used.
    pub readiness: Readiness,
    /// Unit attentions that wait: additional code and qualifier.
    pub attentions: VecDeque<(u8, u8)>,
    /// Failures that wait for their commands.
    pub faults: Vec<Fault>,
    /// Commands that it does not know.
    pub unknown: BTreeSet<u8>,
    /// What it answers in place of the truth, by the command's first three bytes.
    pub lies: BTreeMap<[u8; 3], Vec<u8>>,
    /// Serial number.
    pub serial: &'static str,
    /// Version of SPC.
    pub version: u8,
    /// Degrees Celsius.
    pub temperature: u8,
    /// Most blocks of a transfer; 0: not said.
    pub max_transfer: u32,
    /// Most blocks of an UNMAP; 0: there is none.
    pub max_unmap: u32,
    /// Most blocks of a WRITE SAME; 0: not said.
    pub max_write_same: u64,
    /// Commands that were done, by operation code.
    pub done: BTreeMap<u8, u64>,
    /// Resets.
    pub resets: u64,
    /// Who has reserved it.
    pub reservations: reserve::Reservations,
}

impl Disk {
    /// A disk as QEMU's scsi-hd is: with a volatile cache and UNMAP, without force unit access; just powered on.
    pub fn new(blocks: u64, block: usize) -> Self {
        let content: Vec<u8> = (0..blocks as usize * block).map(|i| (i / block * 7 + i) as u8).collect();
        Self { durable: content.clone(), content, ..Self::bare(blocks, block) }
    }

    /// A disk without bytes of its own.
    pub fn over(blocks: u64, block: usize, medium: Box<dyn Medium>) -> Self {
        Self { medium: Some(medium), ..Self::bare(blocks, block) }
    }

    fn bare(blocks: u64, block: usize) -> Self {
        Self {
            block,
            blocks,
            content: Vec::new(),
            durable: Vec::new(),
            medium: None,
            write_cache: true,
            write_protected: false,
            fua: false,
            readiness: Readiness::Ready,
            attentions: [(0x29, 0)].into(),
            faults: Vec::new(),
            unknown: BTreeSet::new(),
            lies: BTreeMap::new(),
            serial: "ORION-1",
            version: 5,
            temperature: 31,
            max_transfer: 0,
            max_unmap: 4096,
            max_write_same: 4096,
            done: BTreeMap::new(),
            resets: 0,
            reservations: reserve::Reservations::default(),
        }
    }

    /// Resets the unit: what was asked of it is forgotten by its transport, its attention says so.
    pub fn reset(&mut self) {
        self.resets += 1;
        self.attentions.clear();
        self.attentions.push_back((0x29, 2));
    }

    /// Takes the power away and gives it back.
    pub fn lose_power(&mut self) {
        self.content.clone_from(&self.durable);
        self.attentions.clear();
        self.attentions.push_back((0x29, 1));
    }

    /// Performs a command whose payload to the disk is `out`, of the initiator that calls itself `nexus`.
    pub fn perform(&mut self, nexus: u64, cdb: &[u8], out: &[u8]) -> Reply {
        let opcode = cdb[0];
        // INQUIRY and REPORT LUNS answer in any state, REQUEST SENSE tells (SPC-4, 5.14).
        let always = matches!(opcode, 0x12 | 0xa0 | 0x03);
        if !always && let Some((asc, ascq)) = self.attentions.pop_front() {
            return failed(Sense::new(6, asc, ascq));
        }
        let mut short = 0;
        match self.fault(cdb) {
            Some(Bad::Sense(sense)) => return failed(sense),
            Some(Bad::Descriptors(sense)) => {
                let (bytes, len) = sense.emit_descriptors();
                return Reply { status: 2, sense: bytes[..len].to_vec(), data: vec![] };
            }
            Some(Bad::Status(status)) => return Reply { status, ..Reply::default() },
            Some(Bad::Short(missing)) => short = missing as usize,
            None => {}
        }
        if self.unknown.contains(&opcode) {
            return failed(Sense::new(5, 0x20, 0));
        }
        if !always
            && opcode != 0x1b
            && let Some(sense) = self.not_ready()
        {
            return failed(sense);
        }
        if self.reservations.refuses(nexus, opcode) {
            return Reply { status: 0x18, ..Reply::default() };
        }
        *self.done.entry(opcode).or_default() += 1;
        let mut reply = self.command(nexus, cdb, out).unwrap_or_else(failed);
        let key = [cdb[0], cdb[1], cdb[2]];
        if let Some(lie) = self.lies.get(&key).filter(|_| reply.status == 0) {
            reply.data.clone_from(lie);
        }
        reply.data.truncate(reply.data.len().saturating_sub(short));
        reply
    }

    fn command(&mut self, nexus: u64, cdb: &[u8], out: &[u8]) -> Result<Reply, Sense> {
        let data = match cdb[0] {
            0x00 => vec![],
            0x03 => Sense::default().emit_fixed().to_vec(),
            0x12 => self.inquiry(cdb)?,
            0x1a => self.mode_sense(cdb)?,
            0x15 => self.mode_select(out)?,
            0x1b => {
                self.readiness = if cdb[4] & 1 == 1 { Readiness::Ready } else { Readiness::Stopped };
                vec![]
            }
            0x25 | 0x9e => self.capacity(cdb)?,
            0x4d => self.log_sense(cdb)?,
            0x5e | 0x5f => self.reservations.command(nexus, cdb, out).ok_or(INVALID_FIELD)?,
            _ => self.block_command(cdb, out)?,
        };
        Ok(Reply { data: cut(data, cdb), ..Reply::default() })
    }

    fn not_ready(&mut self) -> Option<Sense> {
        match &mut self.readiness {
            Readiness::Ready => None,
            Readiness::Becoming(0) => {
                self.readiness = Readiness::Ready;
                None
            }
            Readiness::Becoming(left) => {
                *left -= 1;
                Some(Sense::new(2, 4, 1))
            }
            Readiness::Stopped => Some(Sense::new(2, 4, 2)),
            Readiness::NoMedium => Some(Sense::new(2, 0x3a, 0)),
        }
    }

    /// The failure that waits for a command.
    fn fault(&mut self, cdb: &[u8]) -> Option<Bad> {
        let touched = blocks::touched(cdb);
        let fits = |fault: &Fault| {
            let blocks = |block| touched.as_ref().is_some_and(|(_, range)| range.contains(&block));
            fault.times > 0 && fault.opcode.is_none_or(|op| op == cdb[0]) && fault.block.is_none_or(blocks)
        };
        let fault = self.faults.iter_mut().find(|fault| fits(fault))?;
        if fault.times != u32::MAX {
            fault.times -= 1;
        }
        Some(fault.bad)
    }
}

const INVALID_FIELD: Sense = Sense::new(5, 0x24, 0);

fn failed(sense: Sense) -> Reply {
    Reply { status: 2, sense: sense.emit_fixed().to_vec(), data: vec![] }
}

/// What of an answer the command has room for.
fn cut(mut data: Vec<u8>, cdb: &[u8]) -> Vec<u8> {
    let len = match cdb[0] {
        0x12 => usize::from(u16::from_be_bytes([cdb[3], cdb[4]])),
        0x1a | 0x03 => usize::from(cdb[4]),
        0x4d | 0x5e => usize::from(u16::from_be_bytes([cdb[7], cdb[8]])),
        0x9e => u32::from_be_bytes([cdb[10], cdb[11], cdb[12], cdb[13]]) as usize,
        _ => return data,
    };
    data.truncate(len);
    data
}
