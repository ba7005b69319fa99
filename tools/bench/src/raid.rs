// SPDX-License-Identifier: MIT
//! What a request costs in an array of two members that answer at once.
use crate::layers::{Load, REQUESTS, answer, queue, step};
use orion_block::{Buf, Completion, Instant, Lba, Op, RegionId, Request};
use orion_layer::{Around, Node, Payload, Submission, Uppers};
use orion_raid::engine::{FANOUT, Plan, Raid, WORK_BYTES};
use orion_raid::geometry::{Copies, Level, Parity};

/// Striped in chunks of 64 KiB.
pub const RAID0: Plan = Plan { level: Level::Raid0(None), chunk: 128, offset: 2048, mostly: 0 };
/// Mirrored.
pub const RAID1: Plan = Plan { level: Level::Raid1, chunk: 0, offset: 2048, mostly: 0 };
/// Two near copies, in chunks of 64 KiB.
pub const RAID10: Plan = Plan { level: Level::Raid10(Copies::NEAR2), chunk: 128, offset: 2048, mostly: 0 };

/// Slots of the node: as many as are kept are needed beside the clients'.
const SLOTS: usize = 35;
/// The layer's memory, behind that of a write.
const WORK: Buf = Buf { region: RegionId(0), offset: 4096 };
/// Small writes of a round.
pub const WRITES: u64 = 200_000;

/// Four members with parity, in chunks of 64 KiB: a write of 4 KiB reads and writes data and parity.
const RAID5: Plan = Plan { level: Level::Parity(Parity::LEFT_SYMMETRIC), chunk: 128, offset: 2048, mostly: 0 };

/// Memory of the clients and of the layer, in one.
pub struct Memory(Vec<u8>);

impl Memory {
    /// As much as is needed.
    pub fn new() -> Self {
        Self(vec![0; 4096 + WORK_BYTES])
    }
}

impl Payload for Memory {
    fn read(&self, from: Buf, to: &mut [u8]) -> bool {
        let at = usize::try_from(from.offset).unwrap_or(usize::MAX);
        self.0.get(at..at.saturating_add(to.len())).map(|own| to.copy_from_slice(own)).is_some()
    }
    fn write(&mut self, to: Buf, from: &[u8]) -> bool {
        let at = usize::try_from(to.offset).unwrap_or(usize::MAX);
        self.0.get_mut(at..at.saturating_add(from.len())).map(|own| own.copy_from_slice(from)).is_some()
    }
    fn copy(&mut self, from: Buf, to: Buf, len: usize) -> bool {
        let at = |buf: Buf| usize::try_from(buf.offset).unwrap_or(usize::MAX);
        let (from, to) = (at(from), at(to));
        let there = from.saturating_add(len).max(to.saturating_add(len)) <= self.0.len();
        if there {
            self.0.copy_within(from..from + len, to);
        }
        there
    }
    fn lend(&mut self, at: Buf, len: usize, f: &mut dyn FnMut(&mut [u8])) -> bool {
        let at = usize::try_from(at.offset).unwrap_or(usize::MAX);
        self.0.get_mut(at..at.saturating_add(len)).map(f).is_some()
    }
}

/// A client that only writes, in turns all over the array.
struct Writer(Load);

impl Uppers for Writer {
    fn count(&self) -> u8 {
        1
    }
    fn next(&mut self, upper: u8) -> Option<Submission> {
        let Submission { tag, req } = self.0.next(upper)?;
        let lba = Lba(req.lba.0.wrapping_mul(2_654_435_761) % (1 << 25) * 8);
        Some(Submission { tag, req: Request { op: Op::Write, lba, ..req } })
    }
    fn complete(&mut self, upper: u8, tag: u32, done: Completion) {
        assert!(done.status.is_ok(), "the array writes");
        self.0.complete(upper, tag, done);
    }
}

/// Has a RAID 5 do [`WRITES`] small writes; the members answer at once, and move no payload.
pub fn small_writes(memory: &mut Memory) -> u64 {
    let mut node = Node::<Raid, SLOTS, FANOUT>::new(Raid::build(RAID5, WORK), 0);
    let mut members = [queue::<512>(), queue::<512>(), queue::<512>(), queue::<512>()];
    let mut load = Writer(Load { sent: 0, done: 0 });
    load.0.sent = REQUESTS - WRITES;
    load.0.done = REQUESTS - WRITES;
    while load.0.done < REQUESTS {
        let around = &mut Around { uppers: &mut load, lowers: &mut members, payload: memory, now: Instant(0) };
        node.run(around);
        for member in &mut members {
            answer(member);
        }
    }
    WRITES
}

/// Has an array do [`REQUESTS`] requests.
pub fn run(plan: Plan) -> u64 {
    let mut node = Node::<Raid, SLOTS, FANOUT>::new(Raid::build(plan, Buf::default()), 0);
    let (mut members, mut load) = ([queue::<512>(), queue::<512>()], Load { sent: 0, done: 0 });
    while load.done < REQUESTS {
        step(&mut node, &mut load, &mut members);
        for member in &mut members {
            answer(member);
        }
    }
    load.done
}
