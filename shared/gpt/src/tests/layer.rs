// SPDX-License-Identifier: MIT
//! The layer between several clients and a disk in memory, against an array for each partition.
use super::Disk;
use super::build::{Gpt, unique};
use super::golden::image;
use crate::{FEED_MAX, NotFound, Partitions, Select};
use orion_block::{BlockSize, Buf, Completion, Error, Instant, Lba, Limits, Op, RegionId, Request};
use orion_layer::{Around, Layer, Local, Lowers, Memory, NoLowers, Node, Payload, Submission, Uppers};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

/// Where the table is read to; requests' payload lies before.
const SCRATCH: u64 = 1 << 20;

struct Ram(Vec<u8>);

impl Payload for Ram {
    fn read(&self, from: Buf, to: &mut [u8]) -> bool {
        let at = from.offset as usize;
        self.0.get(at..at + to.len()).map(|bytes| to.copy_from_slice(bytes)).is_some()
    }
    fn write(&mut self, to: Buf, from: &[u8]) -> bool {
        let at = to.offset as usize;
        self.0.get_mut(at..at + from.len()).map(|bytes| bytes.copy_from_slice(from)).is_some()
    }
}

#[derive(Default)]
struct Clients {
    queues: Vec<VecDeque<Submission>>,
    answers: Vec<(u32, Completion)>,
}

impl Uppers for Clients {
    fn count(&self) -> u8 {
        self.queues.len() as u8
    }
    fn next(&mut self, upper: u8) -> Option<Submission> {
        self.queues[usize::from(upper)].pop_front()
    }
    fn complete(&mut self, _: u8, tag: u32, done: Completion) {
        self.answers.push((tag, done));
    }
}

/// Clients, the layer, a queue, a disk.
struct Stack {
    top: Node<Partitions, 16>,
    queue: Local<16>,
    disk: Node<Memory<Vec<u8>>, 16>,
    clients: Clients,
    ram: Ram,
}

impl Stack {
    fn new(disk: &Disk, selects: &[&str]) -> Self {
        let mut layer = Partitions::new(Buf { region: RegionId(0), offset: SCRATCH });
        selects.iter().for_each(|text| assert!(layer.add(Select::parse(text).unwrap()), "{text}"));
        let bytes = disk.read(0, disk.size as usize);
        let block = BlockSize::from_bytes(disk.block).unwrap();
        let mut stack = Self {
            top: Node::new(layer, 0),
            queue: Local::new(),
            disk: Node::new(Memory::new(bytes, block), 0),
            clients: Clients { queues: vec![VecDeque::new(); selects.len()], ..Clients::default() },
            ram: Ram(vec![0; SCRATCH as usize + FEED_MAX]),
        };
        stack.run();
        stack
    }

    fn run(&mut self) {
        loop {
            let Self { top, queue, disk, clients, ram } = self;
            let now = Instant(0);
            let upper = top.run(&mut Around { uppers: clients, lowers: queue, payload: ram, now });
            let lower = disk.run(&mut Around { uppers: queue, lowers: &mut NoLowers, payload: ram, now });
            let news = Lowers::limits(queue, 0) != disk.limits();
            queue.announce(disk.limits());
            if !upper.moved && !lower.moved && !news {
                return;
            }
        }
    }

    fn ask(&mut self, upper: usize, req: Request) -> Completion {
        self.clients.queues[upper].push_back(Submission { tag: 7, req });
        self.run();
        let (tag, done) = self.clients.answers.pop().expect("one answer");
        assert!(tag == 7 && self.clients.answers.is_empty());
        done
    }

    fn capacities(&self) -> Vec<u64> {
        (0..self.clients.queues.len() as u8).map(|upper| self.top.limits_of(upper).unwrap().capacity).collect()
    }

    fn found(&self) -> Vec<Result<u32, NotFound>> {
        self.top.layer().found().map(|(_, found)| found.map(|partition| partition.number)).collect()
    }
}

fn request(op: Op, lba: u64, blocks: u32) -> Request {
    Request { op, fua: false, lba: Lba(lba), blocks, buf: Buf { region: RegionId(0), offset: 0 } }
}

fn small(block: u32) -> Disk {
    let entries = [(1, 100, 149, "boot".into()), (2, 200, 219, "root".into()), (5, 150, 150, "one".into())];
    Gpt { size: 1000 * u64::from(block), block, entries: entries.to_vec(), ..Gpt::new(&[]) }.disk()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Each client sees its partition from block 0, and nothing that it does is seen anywhere else.
    #[test]
    fn every_client_has_its_partition_and_no_other(
        block in prop::sample::select(&[512_u32, 4096][..]),
        asked in prop::collection::vec((0_usize..3, 0_usize..5, 0_u64..60, 1_u32..60, any::<u8>()), 1..60),
    ) {
        let disk = small(block);
        let mut stack = Stack::new(&disk, &["name=root", "number=1", "uuid=aaaaaaaa-0000-0000-0000-000000000005"]);
        let parts = [(200, 20), (100, 50), (150, 1)];
        prop_assert_eq!(stack.capacities(), parts.map(|(_, blocks)| blocks));
        let mut oracle = disk.read(0, disk.size as usize);
        for (upper, op, lba, blocks, fill) in asked {
            let (op, (first, size)) = (Op::ALL[op], parts[upper]);
            let len = blocks as usize * block as usize;
            stack.ram.0[..len].fill(fill);
            let done = stack.ask(upper, request(op, lba, if op == Op::Flush { 0 } else { blocks }));
            if op == Op::Flush {
                prop_assert_eq!(done, Completion::ok(0));
                continue;
            }
            if lba + u64::from(blocks) > size {
                prop_assert_eq!(done, Completion::error(Error::OutOfRange));
                continue;
            }
            prop_assert_eq!(done, Completion::ok(blocks));
            let at = (first + lba) as usize * block as usize;
            match op {
                Op::Read => prop_assert!(stack.ram.0[..len] == oracle[at..at + len]),
                Op::Write => oracle[at..at + len].fill(fill),
                _ => oracle[at..at + len].fill(0),
            }
        }
        // What the disk holds now, through a second look at all of it.
        let end = stack.disk_bytes();
        prop_assert!(end == oracle, "something outside was changed");
    }
}

impl Stack {
    /// All bytes of the disk.
    fn disk_bytes(&mut self) -> Vec<u8> {
        let limits = self.disk.limits().unwrap();
        let mut bytes = Vec::new();
        for lba in 0..limits.capacity {
            let mut one = Clients { queues: vec![VecDeque::new()], ..Clients::default() };
            one.queues[0].push_back(Submission { tag: 0, req: request(Op::Read, lba, 1) });
            let payload = &mut self.ram;
            self.disk.run(&mut Around { uppers: &mut one, lowers: &mut NoLowers, payload, now: Instant(0) });
            bytes.extend_from_slice(&self.ram.0[..limits.block.bytes() as usize]);
        }
        bytes
    }
}

/// Addresses at which sums overflow, or that would be another's after a sum.
#[test]
fn no_address_reaches_beyond() {
    let mut stack = Stack::new(&small(512), &["number=1", "number=2"]);
    for lba in [50, 100, 150, u64::MAX, u64::MAX - 99, u64::MAX - 100, u64::MAX / 2, 1 << 40] {
        for op in [Op::Read, Op::Write, Op::Discard, Op::WriteZeroes] {
            assert_eq!(stack.ask(0, request(op, lba, 1)), Completion::error(Error::OutOfRange), "{op:?} {lba}");
        }
    }
    assert_eq!(stack.ask(0, request(Op::Read, 49, 1)), Completion::ok(1));
    assert_eq!(stack.ask(0, request(Op::Read, 49, u32::MAX)), Completion::error(Error::OutOfRange));
}

#[test]
fn who_has_no_partition_has_no_block() {
    let selects = ["number=3", "name=root", "number=2", "name=nobody", "number=1"];
    let mut stack = Stack::new(&small(512), &selects);
    assert_eq!(stack.capacities(), [0, 20, 0, 0, 50]);
    assert_eq!(stack.found(), [Err(NotFound::None), Ok(2), Err(NotFound::Taken), Err(NotFound::None), Ok(1)]);
    for upper in [0, 2, 3] {
        assert_eq!(stack.ask(upper, request(Op::Read, 0, 1)), Completion::error(Error::OutOfRange));
    }
    assert_eq!(stack.ask(1, request(Op::Read, 0, 1)), Completion::ok(1));
}

#[test]
fn two_partitions_of_one_name() {
    let entries = vec![(1, 40, 49, String::from("x")), (2, 50, 59, "x".into())];
    let disk = Gpt { size: 1 << 20, entries, ..Gpt::new(&[]) }.disk();
    let stack = Stack::new(&disk, &["name=x", "number=2"]);
    assert_eq!(stack.found(), [Err(NotFound::Several(1, 2)), Ok(2)]);
    assert_eq!(stack.capacities(), [0, 10]);
}

#[test]
fn a_bad_table_gives_nobody_anything() {
    let mut disk = small(512);
    disk.change(512, |byte| *byte = 0);
    assert_eq!(Stack::new(&disk, &["number=1"]).capacities(), [50], "the backup serves");
    disk.change(disk.size - 512, |byte| *byte = 0);
    let mut stack = Stack::new(&disk, &["number=1", "number=2"]);
    assert_eq!(stack.capacities(), [0, 0]);
    let error = stack.top.layer().table().unwrap().unwrap_err().to_string();
    assert!(error.starts_with("both copies of the GPT are bad: block 1: there is no GPT header"), "{error}");
    assert_eq!(stack.ask(0, request(Op::Read, 0, 1)), Completion::error(Error::OutOfRange));
    assert!(stack.found().is_empty());
}

#[test]
fn logical_partitions_of_an_mbr() {
    let stack = Stack::new(&image("mbr-sfdisk"), &["number=1", "number=6", "number=3"]);
    assert_eq!(stack.capacities(), [16384, 8192, 0], "the extended partition is none");
}

/// Wherever a partition begins, a part that crosses no boundary of the layer crosses none of the device.
#[test]
fn boundaries_and_atomic_units_count_from_the_devices_first_block() {
    let stack = Stack::new(&small(512), &["number=1", "number=2", "number=5"]);
    let below = Limits { boundary: 64, atomic_blocks: 8, capacity: 1000, ..Limits::default() };
    let all = stack.top.layer().limits(&[below]);
    assert_eq!(all.boundary, 2, "of 64, 100, 200 and 150");
    let atomic = [0, 1, 2].map(|upper| stack.top.layer().limits_of(upper, all).atomic_blocks);
    assert_eq!(atomic, [1, 8, 1]);
}

#[test]
fn what_selects_a_partition() {
    for bad in ["", "number=0", "number=", "number=-1", "number=4294967296", "name=", "uuid=x", "label=x", "number"] {
        assert_eq!(Select::parse(bad), None, "{bad}");
    }
    assert_eq!(Select::parse(&["uuid=", &unique(5).to_string()].concat()), Some(Select::Uuid(unique(5))));
    assert_eq!(Select::parse("uuid=00000000-0000-0000-0000-000000000000"), None);
    assert_eq!(Select::parse(&["name=", &"x".repeat(64)].concat()), None);
}
