// SPDX-License-Identifier: MIT
//! A device in memory, as the far end of the export's ring.
use orion_block::{BlockSize, Error, Limits, Op};
use orion_export::Volume;
use orion_region::Window;
use orion_ring::{Answer, PeerMisbehaved, ServerInfo, Submission, WindowInfo};
use std::collections::{HashSet, VecDeque};
use std::ops::Range;

/// What goes wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// The operation that fails.
    pub op: Op,
    /// It fails where it touches one of these blocks.
    pub blocks: Range<u64>,
    /// How.
    pub error: Error,
}

/// A device. It answers in an order of its own.
#[derive(Debug)]
pub struct Device {
    /// What it holds.
    pub bytes: Vec<u8>,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Every operation, with whether it had force unit access.
    pub log: Vec<(Op, bool, u64, u16)>,
    /// Answers that may be taken now; more than there are: all.
    pub allowance: usize,
    /// So many requests are answered `Again`.
    pub again: usize,
    /// Requests that it takes at once.
    pub depth: usize,
    info: ServerInfo,
    data: Window,
    queue: VecDeque<Submission>,
    in_flight: HashSet<u32>,
    dice: u64,
}

impl Device {
    /// A device of `blocks` blocks of this size, with payload in `data`.
    pub fn new(block: BlockSize, blocks: u64, data: Window) -> Self {
        let mut info = ServerInfo {
            limits: Limits {
                block,
                capacity: blocks,
                atomic_blocks: 1,
                queue_depth: 32,
                discard_granularity: 1,
                volatile_cache: true,
                fua: true,
                write_zeroes: true,
                ..Limits::default()
            },
            ..ServerInfo::default()
        };
        info.windows[0] = WindowInfo { blocks, rights: 0x1f };
        Self {
            bytes: vec![0; (blocks << block.shift()) as usize],
            faults: Vec::new(),
            log: Vec::new(),
            allowance: usize::MAX,
            again: 0,
            depth: 32,
            info,
            data,
            queue: VecDeque::new(),
            in_flight: HashSet::new(),
            dice: 1,
        }
    }

    /// What it says of itself.
    pub fn info(&mut self) -> &mut ServerInfo {
        &mut self.info
    }

    /// Requests that wait for their answer.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    fn serve(&mut self, s: Submission) -> Answer {
        self.log.push((s.op, s.fua, s.block, s.count));
        let blocks = s.block..s.block + u64::from(s.count);
        let hit = |f: &&Fault| f.op == s.op && (s.op == Op::Flush || f.blocks.clone().any(|b| blocks.contains(&b)));
        if let Some(fault) = self.faults.iter().find(hit) {
            let done = fault.blocks.start.saturating_sub(s.block).min(u64::from(s.count));
            return Answer { id: s.id, status: Err(fault.error), blocks: done as u16 };
        }
        let shift = self.info.limits.block.shift();
        let range = (blocks.start << shift) as usize..(blocks.end << shift) as usize;
        let bytes = &mut self.bytes[range];
        match s.op {
            Op::Read => assert!(self.data.copy_in(s.address as usize, bytes), "payload outside the region"),
            Op::Write => assert!(self.data.copy_out(s.address as usize, bytes), "payload outside the region"),
            Op::WriteZeroes => bytes.fill(0),
            Op::Discard => bytes.fill(0xdd),
            Op::Flush => assert_eq!(s.count, 0),
        }
        Answer { id: s.id, status: Ok(()), blocks: s.count }
    }
}

impl Volume for Device {
    fn room(&self) -> usize {
        self.depth - self.queue.len()
    }

    fn push(&mut self, submission: Submission) {
        assert!(self.room() > 0, "pushed beyond the room");
        assert!(self.in_flight.insert(submission.id), "an id is used twice");
        self.queue.push_back(submission);
    }

    fn pop(&mut self) -> Result<Option<Answer>, PeerMisbehaved> {
        if self.queue.is_empty() || self.allowance == 0 {
            return Ok(None);
        }
        self.allowance -= 1;
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let index = (self.dice >> 33) as usize % self.queue.len();
        let submission = self.queue.remove(index).unwrap();
        self.in_flight.remove(&submission.id);
        if self.again > 0 {
            self.again -= 1;
            return Ok(Some(Answer { id: submission.id, status: Err(Error::Again), blocks: 0 }));
        }
        Ok(Some(self.serve(submission)))
    }
}
