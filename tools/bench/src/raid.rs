// SPDX-License-Identifier: MIT
//! What a request costs in an array whose members answer at once and move no payload, as devices do that for themselves: the
//! layer's own cost, copying and parity included.
use crate::allocations;
use crate::layers::{DEPTH, answer, queue};
use clap::Args;
use orion_block::{Buf, Completion, Instant, Lba, Op, RegionId, Request};
use orion_layer::{Around, Event, Local, Node, Payload, Submission, Uppers};
use orion_raid::engine::{FANOUT, Plan, Raid, SLOTS, WORK_BYTES};
use orion_raid::geometry::{Copies, Level, Parity};

/// Many short rounds, of which the best was hardly disturbed.
const ROUNDS: usize = 50;
/// Most bytes of memory for each request in flight, behind which the layer's own lies.
const SLOT: u64 = 512 << 10;
const WORK: Buf = Buf { region: RegionId(0), offset: SLOT * DEPTH as u64 };
/// Sectors of a chunk.
const CHUNK: u32 = 128;
/// Sectors of the arrays' members that are used by requests, as a power of two.
const REACH_SHIFT: u32 = 24;

/// What requests cost in RAID.
#[derive(Args)]
pub struct Select {
    /// Only rows with these words in their names.
    #[arg(long, default_value = "")]
    only: String,
}

/// What clients ask.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Load {
    /// 4 KiB anywhere, one in four a write.
    Mixed,
    /// Writes of 4 KiB anywhere.
    Small,
    /// Writes of whole stripes, one after the other.
    Stripes,
    /// Reads of 4 KiB anywhere on the first member.
    First,
}

/// A row of the table.
struct Row {
    name: &'static str,
    level: Level,
    members: u8,
    /// Members that are missing: the first ones.
    missing: u8,
    load: Load,
}

const fn row(name: &'static str, level: Level, members: u8, missing: u8, load: Load) -> Row {
    Row { name, level, members, missing, load }
}

fn rows() -> Vec<Row> {
    // Left symmetric, as mdadm makes both by default.
    let (five, six) = (Level::Parity(Parity::LEFT_SYMMETRIC), Level::parse(6, 2, false));
    let mut rows = vec![
        row("RAID 0 of two, mixed", Level::Raid0(None), 2, 0, Load::Mixed),
        row("RAID 1 of two, mixed", Level::Raid1, 2, 0, Load::Mixed),
        row("RAID 10 of four, mixed", Level::Raid10(Copies::NEAR2), 4, 0, Load::Mixed),
        row("RAID 5 of four, small writes", five, 4, 0, Load::Small),
        row("RAID 5 of eight, small writes", five, 8, 0, Load::Small),
        row("RAID 5 of five, whole stripes", five, 5, 0, Load::Stripes),
        row("RAID 5 of five, reads", five, 5, 0, Load::First),
        row("RAID 5 of five, reads of what is missing", five, 5, 1, Load::First),
    ];
    rows.extend(six.into_iter().flat_map(|six| {
        [
            row("RAID 6 of eight, small writes", six, 8, 0, Load::Small),
            row("RAID 6 of six, whole stripes", six, 6, 0, Load::Stripes),
            row("RAID 6 of six, reads of what is missing", six, 6, 1, Load::First),
            row("RAID 6 of six, two missing, reads of it", six, 6, 2, Load::First),
        ]
    }));
    rows
}

/// Memory of the clients and of the layer, in one.
struct Memory(Vec<u8>);

impl Memory {
    fn range(&self, at: Buf, len: usize) -> Option<core::ops::Range<usize>> {
        let at = usize::try_from(at.offset).ok()?;
        at.checked_add(len).filter(|end| *end <= self.0.len()).map(|end| at..end)
    }
}

impl Payload for Memory {
    fn read(&self, from: Buf, to: &mut [u8]) -> bool {
        let own = self.range(from, to.len()).and_then(|range| self.0.get(range));
        own.map(|own| to.copy_from_slice(own)).is_some()
    }
    fn write(&mut self, to: Buf, from: &[u8]) -> bool {
        let own = self.range(to, from.len()).and_then(|range| self.0.get_mut(range));
        own.map(|own| own.copy_from_slice(from)).is_some()
    }
    fn copy(&mut self, from: Buf, to: Buf, len: usize) -> bool {
        let (from, to) = (self.range(from, len), self.range(to, len));
        from.zip(to).map(|(from, to)| self.0.copy_within(from, to.start)).is_some()
    }
    fn lend(&mut self, at: Buf, len: usize, f: &mut dyn FnMut(&mut [u8])) -> bool {
        self.range(at, len).and_then(|range| self.0.get_mut(range)).map(f).is_some()
    }
}

/// A client that keeps [`DEPTH`] requests in flight, each with memory of its own.
struct Client<'a> {
    load: Load,
    /// Sectors of a request.
    sectors: u32,
    /// Where the reads of [`Load::First`] go.
    places: &'a [Lba],
    free: Vec<u32>,
    sent: u64,
    done: u64,
    requests: u64,
}

impl Client<'_> {
    fn at(&self) -> (Op, Lba) {
        // Anywhere: Fibonacci hashing.
        let anywhere = (self.sent.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - REACH_SHIFT + 3)) * 8;
        match self.load {
            Load::Mixed => (if self.sent.is_multiple_of(4) { Op::Write } else { Op::Read }, Lba(anywhere)),
            Load::Small => (Op::Write, Lba(anywhere)),
            Load::Stripes => (Op::Write, Lba(self.sent * u64::from(self.sectors) % (1 << REACH_SHIFT))),
            Load::First => {
                let nth = usize::try_from(self.sent).unwrap_or(0) % self.places.len();
                (Op::Read, self.places.get(nth).copied().unwrap_or_default())
            }
        }
    }
}

impl Uppers for Client<'_> {
    fn count(&self) -> u8 {
        1
    }
    fn next(&mut self, _: u8) -> Option<Submission> {
        let slot = if self.sent < self.requests { self.free.pop()? } else { return None };
        self.sent += 1;
        let (op, lba) = self.at();
        // One behind the other, as in a client's region.
        let buf = Buf { offset: u64::from(slot) * u64::from(self.sectors) * 512, ..WORK };
        Some(Submission { tag: slot, req: Request { op, lba, blocks: self.sectors, buf, ..Request::default() } })
    }
    fn complete(&mut self, _: u8, tag: u32, done: Completion) {
        assert!(done.status.is_ok(), "the array does what it is asked");
        self.free.push(tag);
        self.done += 1;
    }
}

/// An array and what it needs.
struct Bench<const M: usize> {
    node: Box<Node<Raid, SLOTS, FANOUT>>,
    members: Box<[Local<512>; M]>,
    memory: Memory,
    places: Vec<Lba>,
}

impl<const M: usize> Bench<M> {
    fn new(row: &Row) -> Self {
        let plan = Plan { level: row.level, chunk: CHUNK, offset: 2048, mostly: 0 };
        let bytes = usize::try_from(WORK.offset).unwrap_or(0) + WORK_BYTES;
        let memory = Memory((0..=u8::MAX).cycle().take(bytes).collect());
        let node = Box::new(Node::new(Raid::build(plan, WORK), 0));
        let members = Box::new(core::array::from_fn(|_| queue()));
        let mut bench = Self { node, members, memory, places: Vec::new() };
        while !bench.node.ready() {
            bench.run(&mut Client::of(row, &[], 0));
        }
        let geometry = bench.node.layer().geometry();
        let chunks = (0..1u64 << REACH_SHIFT).step_by(8).step_by(17);
        let first = |at: &u64| geometry.and_then(|g| g.place(*at, 0)).is_some_and(|place| place.member == 0);
        bench.places = chunks.filter(first).map(Lba).collect();
        for port in 0..row.missing {
            let around = &mut Around {
                uppers: &mut Client::of(row, &[], 0),
                lowers: &mut *bench.members,
                payload: &mut bench.memory,
                now: Instant(0),
            };
            bench.node.event(port, Event::Gone, around);
        }
        bench
    }

    fn run(&mut self, client: &mut Client<'_>) {
        let (lowers, payload) = (&mut *self.members, &mut self.memory);
        self.node.run(&mut Around { uppers: client, lowers, payload, now: Instant(0) });
        for member in self.members.iter_mut() {
            answer(member);
        }
    }
}

impl<'a> Client<'a> {
    fn of(row: &Row, places: &'a [Lba], requests: u64) -> Self {
        let parity = if let Level::Parity(parity) = row.level { parity.count() } else { 0 };
        let stripe = (u32::from(row.members) - parity) * CHUNK;
        let sectors = if row.load == Load::Stripes { stripe } else { 8 };
        let free = (0..u32::try_from(DEPTH).unwrap_or(1)).rev().collect();
        Self { load: row.load, sectors, places, free, sent: 0, done: 0, requests }
    }
}

fn measure<const M: usize>(row: &Row) {
    let requests = if row.load == Load::Stripes { 400 } else { 20_000 };
    let mut bench = Bench::<M>::new(row);
    let places = core::mem::take(&mut bench.places);
    let mut best = f64::INFINITY;
    let mut allocated = 0;
    for _ in 0..ROUNDS {
        let mut client = Client::of(row, &places, requests);
        let before = allocations::count();
        let start = std::time::Instant::now();
        while client.done < requests {
            bench.run(&mut client);
        }
        best = best.min(start.elapsed().as_secs_f64() / requests as f64);
        allocated += allocations::count() - before;
    }
    let Row { name, load, .. } = row;
    let bytes = f64::from(Client::of(row, &[], 0).sectors) * 512.0;
    let speed = if *load == Load::Stripes { format!("{:8.1} GB/s", bytes / best / 1e9) } else { String::new() };
    println!(
        "{name:<42} {:8.1} ns {speed:14} {allocated:5} allocations in {} requests",
        best * 1e9,
        requests * ROUNDS as u64
    );
}

/// Prints the table.
pub fn run(select: &Select) {
    println!(
        "one request, best of {ROUNDS} rounds, {DEPTH} in flight, one thread; members answer at once and move no payload"
    );
    for row in rows().iter().filter(|row| row.name.contains(&select.only)) {
        match row.members {
            2 => measure::<2>(row),
            4 => measure::<4>(row),
            5 => measure::<5>(row),
            6 => measure::<6>(row),
            _ => measure::<8>(row),
        }
    }
}
