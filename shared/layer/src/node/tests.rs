// SPDX-License-Identifier: MIT
//! A node against an obvious disk, in every order in which completions can come.
use super::*;
use crate::Submission;
use crate::{Delay, Faults, Memory, NoLowers, NoPayload, Passthrough};
use orion_block::{BlockSize, Buf, Lba, RegionId};
use orion_block::{Error, Op, Request};
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::vec::Vec;
use std::{format, vec};

mod lives;

/// Clients that note every answer.
#[derive(Default)]
struct Clients {
    queues: Vec<VecDeque<Submission>>,
    answers: Vec<(u8, u32, Completion)>,
}

impl Clients {
    fn new(count: usize) -> Self {
        Self { queues: vec![VecDeque::new(); count], answers: Vec::new() }
    }
    fn ask(&mut self, upper: usize, tag: u32, req: Request) {
        self.queues[upper].push_back(Submission { tag, req });
    }
}

impl Uppers for Clients {
    fn count(&self) -> u8 {
        self.queues.len() as u8
    }
    fn next(&mut self, upper: u8) -> Option<Submission> {
        self.queues[usize::from(upper)].pop_front()
    }
    fn complete(&mut self, upper: u8, tag: u32, done: Completion) {
        self.answers.push((upper, tag, done));
    }
}

/// A device that holds requests until the test lets one end.
struct Device {
    limits: Limits,
    capacity: u16,
    held: Vec<Submission>,
    ended: VecDeque<(u8, u32, Completion)>,
    seen: Vec<Request>,
}

impl Device {
    fn new(limits: Limits, capacity: u16) -> Self {
        Self { limits, capacity, held: Vec::new(), ended: VecDeque::new(), seen: Vec::new() }
    }
    fn end(&mut self, nth: usize, done: impl Fn(&Request) -> Completion) {
        let s = self.held.remove(nth);
        self.ended.push_back((0, s.tag, done(&s.req)));
    }
}

impl Lowers for Device {
    fn count(&self) -> u8 {
        1
    }
    fn capacity(&self, _: u8) -> u16 {
        self.capacity
    }
    fn limits(&self, _: u8) -> Option<Limits> {
        Some(self.limits)
    }
    fn submit(&mut self, port: u8, s: Submission) {
        assert_eq!(port, 0);
        assert!(self.held.len() + self.ended.len() < usize::from(self.capacity), "more in flight than promised");
        self.seen.push(s.req);
        self.held.push(s);
    }
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, crate::Interrupted> {
        Ok(self.ended.pop_front())
    }
}

fn run<L: Layer, const N: usize, const F: usize>(
    node: &mut Node<L, N, F>,
    up: &mut Clients,
    low: &mut Device,
    now: u64,
) -> Progress {
    node.run(&mut Around { uppers: up, lowers: low, payload: &mut NoPayload, now: Instant(now) })
}

fn limits(max_blocks: u32, boundary: u32) -> Limits {
    Limits { capacity: 1000, max_blocks, boundary, atomic_blocks: 1, ..Limits::default() }
}

fn req(op: Op, lba: u64, blocks: u32) -> Request {
    Request { op, lba: Lba(lba), blocks, buf: Buf { region: RegionId(3), offset: lba.wrapping_mul(512) }, fua: false }
}

/// Passes requests on the long way.
struct Long;

impl Layer for Long {
    type Ctx = ();
    const FANOUT: usize = 1;
    fn limits(&self, below: &[Limits]) -> Limits {
        below[0]
    }
    fn submit(&mut self, id: Id, io: &mut Io<'_, ()>) {
        io.lower(id, 0, 0, io.request(id));
    }
    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, ()>) {
        io.done(id, done);
    }
}

/// Whichever way they go.
enum Way {
    Short(Node<Passthrough, 8>),
    Long(Node<Long, 8>),
}

impl Way {
    fn new(short: bool) -> Self {
        if short { Self::Short(Node::new(Passthrough, 0)) } else { Self::Long(Node::new(Long, 0)) }
    }
    fn run(&mut self, up: &mut Clients, low: &mut Device) -> Progress {
        match self {
            Self::Short(node) => run(node, up, low, 0),
            Self::Long(node) => run(node, up, low, 0),
        }
    }
    fn in_flight(&self) -> usize {
        match self {
            Self::Short(node) => node.in_flight(),
            Self::Long(node) => node.in_flight(),
        }
    }
}

proptest! {
    /// Whatever the limits, the order of completions and the failures: one answer a request, with the status of the
    /// first failing block in address order; and the device sees only what its limits allow.
    #[test]
    fn one_true_answer_for_each_request(
        short: bool, max in 0u32..9, boundary in 0u32..17, capacity in 1u16..9,
        asked in prop::collection::vec((0u64..980, 1u32..20), 1..12),
        bad in prop::collection::btree_set(0u64..1000, 0..40),
        order in prop::collection::vec(any::<prop::sample::Index>(), 400),
    ) {
        let mut node = Way::new(short);
        let mut device = Device::new(limits(max, boundary), capacity);
        let mut clients = Clients::new(2);
        for (tag, &(lba, blocks)) in (0..).zip(&asked) {
            clients.ask(tag as usize % 2, tag, req(Op::Read, lba, blocks));
        }
        let mut order = order.iter();
        loop {
            node.run(&mut clients, &mut device);
            if device.held.is_empty() { break }
            let nth = order.next().unwrap().index(device.held.len());
            device.end(nth, |r| match (r.lba.0..r.end().unwrap()).position(|b| bad.contains(&b)) {
                Some(good) => Completion { status: Err(Error::Medium), blocks: good as u32 },
                None => Completion::ok(r.blocks),
            });
        }
        prop_assert_eq!(node.in_flight(), 0);
        let answers: BTreeMap<u32, Completion> = clients.answers.iter().map(|a| (a.1, a.2)).collect();
        prop_assert_eq!((answers.len(), clients.answers.len()), (asked.len(), asked.len()));
        for (tag, &(lba, blocks)) in (0..).zip(&asked) {
            let want = match (lba..lba + u64::from(blocks)).position(|b| bad.contains(&b)) {
                Some(good) => Completion { status: Err(Error::Medium), blocks: good as u32 },
                None => Completion::ok(blocks),
            };
            prop_assert_eq!(answers[&tag], want, "request {} of {} blocks at {}", tag, blocks, lba);
        }
        for r in &device.seen {
            prop_assert!(max == 0 || r.blocks <= max);
            prop_assert!(boundary == 0 || r.lba.0 / u64::from(boundary) == (r.end().unwrap() - 1) / u64::from(boundary));
            prop_assert_eq!(r.buf.offset, r.lba.0 * 512, "a part's payload lies where its blocks do");
        }
    }
}

#[test]
fn what_the_device_cannot_do_is_refused_before_it_sees_it() {
    let mut node = Node::<Passthrough, 4>::new(Passthrough, 0);
    let mut device = Device::new(Limits { read_only: true, ..limits(0, 0) }, 4);
    let mut clients = Clients::new(1);
    let cases = [
        (req(Op::Read, 999, 2), Error::OutOfRange),
        (req(Op::Read, u64::MAX, 2), Error::OutOfRange),
        (req(Op::Read, 5, 0), Error::Invalid),
        (req(Op::Write, 5, 1), Error::ReadOnly),
        (req(Op::Discard, 5, 1), Error::ReadOnly),
        (req(Op::WriteZeroes, 5, 1), Error::ReadOnly),
    ];
    for (tag, (r, _)) in (0..).zip(cases) {
        clients.ask(0, tag, r);
    }
    run(&mut node, &mut clients, &mut device, 0);
    assert!(device.seen.is_empty());
    for (tag, (r, error)) in (0..).zip(cases) {
        assert_eq!(clients.answers[tag], (0, tag as u32, Completion::error(error)), "{r:?}");
    }
}

#[test]
fn a_forged_completion_closes_the_device_and_fails_what_was_outstanding_once() {
    let forged = [0xff00_0000, 0x0000_ff00, 0x0000_0003, 0x0000_0107, u32::MAX];
    for (forged, short) in forged.into_iter().flat_map(|forged| [(forged, true), (forged, false)]) {
        let mut node = Way::new(short);
        let mut device = Device::new(limits(0, 0), 4);
        let mut clients = Clients::new(1);
        clients.ask(0, 1, req(Op::Read, 0, 1));
        clients.ask(0, 2, req(Op::Read, 1, 1));
        node.run(&mut clients, &mut device);
        let real = device.held[0].tag;
        device.ended.push_back((0, real ^ forged, Completion::ok(1)));
        device.ended.push_back((0, real, Completion::ok(1)));
        let progress = node.run(&mut clients, &mut device);
        assert!(progress.misbehaved.is_some(), "{forged:x}");
        clients.ask(0, 3, req(Op::Read, 2, 1));
        node.run(&mut clients, &mut device);
        clients.answers.sort_by_key(|a| a.1);
        let offline = Completion::error(Error::Offline);
        assert_eq!(clients.answers, [(0, 1, offline), (0, 2, offline), (0, 3, offline)]);
        assert_eq!((device.seen.len(), node.in_flight()), (2, 0));
    }
}

#[test]
fn a_completion_of_an_earlier_request_in_the_same_slot_is_forged() {
    let mut node = Node::<Passthrough, 1>::new(Passthrough, 0);
    let mut device = Device::new(limits(0, 0), 1);
    let mut clients = Clients::new(1);
    clients.ask(0, 1, req(Op::Read, 0, 1));
    run(&mut node, &mut clients, &mut device, 0);
    let old = device.held[0].tag;
    device.end(0, |_| Completion::ok(1));
    clients.ask(0, 2, req(Op::Read, 0, 1));
    run(&mut node, &mut clients, &mut device, 0);
    device.ended.push_back((0, old, Completion::ok(1)));
    assert!(run(&mut node, &mut clients, &mut device, 0).misbehaved.is_some());
}

/// Asks twice for the same, and is done when both have ended.
struct Both(u8);

impl Layer for Both {
    type Ctx = ();
    const FANOUT: usize = 2;
    fn limits(&self, below: &[Limits]) -> Limits {
        below[0]
    }
    fn submit(&mut self, id: Id, io: &mut Io<'_, ()>) {
        (0..2).for_each(|child| io.lower(id, 0, child, io.request(id)));
    }
    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, ()>) {
        self.0 += 1;
        if self.0 == 2 {
            io.done(id, done);
        }
    }
}

#[test]
fn a_second_completion_of_one_of_several_parts_is_forged() {
    let mut node = Node::<Both, 2, 2>::new(Both(0), 0);
    let mut device = Device::new(limits(0, 0), 4);
    let mut clients = Clients::new(1);
    clients.ask(0, 1, req(Op::Read, 0, 1));
    run(&mut node, &mut clients, &mut device, 0);
    let first = device.held[0].tag;
    device.end(0, |_| Completion::ok(1));
    device.ended.push_back((0, first, Completion::ok(1)));
    assert!(run(&mut node, &mut clients, &mut device, 0).misbehaved.is_some());
    assert_eq!(clients.answers.iter().filter(|answer| answer.2.status.is_ok()).count(), 0);
}

#[test]
fn a_client_that_floods_leaves_the_others_their_share() {
    let mut node = Node::<Passthrough, 8>::new(Passthrough, 0);
    let mut device = Device::new(limits(0, 0), 8);
    let mut clients = Clients::new(2);
    (0..100).for_each(|tag| clients.ask(0, tag, req(Op::Read, 0, 1)));
    run(&mut node, &mut clients, &mut device, 0);
    assert_eq!(device.held.len(), 4, "half of the slots");
    clients.ask(1, 1000, req(Op::Read, 7, 1));
    run(&mut node, &mut clients, &mut device, 0);
    assert_eq!(device.seen.last().unwrap().lba, Lba(7), "admitted though nothing of the flood has ended");
}

#[test]
fn held_requests_go_down_when_their_time_has_come() {
    let mut node = Node::<Delay<4>, 4>::new(Delay::new(100), 0);
    let mut device = Device::new(limits(0, 0), 4);
    let mut clients = Clients::new(1);
    clients.ask(0, 1, req(Op::Read, 0, 1));
    let progress = run(&mut node, &mut clients, &mut device, 1000);
    assert_eq!((device.seen.len(), progress.deadline), (0, Some(Instant(1100))));
    clients.ask(0, 2, req(Op::Read, 1, 1));
    run(&mut node, &mut clients, &mut device, 1050);
    let progress = run(&mut node, &mut clients, &mut device, 1100);
    assert_eq!((device.seen.len(), progress.deadline), (1, Some(Instant(1150))));
}

#[test]
fn chosen_requests_fail_and_the_rest_pass() {
    let mut node = Node::<Faults, 4>::new(Faults::default(), 0);
    let fault = crate::Fault { op: Op::Read, blocks: (10, 12), error: Error::Medium, times: 1 };
    assert!(node.layer_mut().add(fault));
    let mut device = Device::new(limits(0, 0), 4);
    let mut clients = Clients::new(1);
    clients.ask(0, 1, req(Op::Read, 8, 4));
    clients.ask(0, 2, req(Op::Write, 8, 4));
    clients.ask(0, 3, req(Op::Read, 8, 4));
    run(&mut node, &mut clients, &mut device, 0);
    assert_eq!(device.seen.len(), 3);
    assert_eq!(device.seen[0], req(Op::Read, 8, 2), "what comes before the first block that fails");
    assert_eq!(device.seen[2], req(Op::Read, 8, 4), "the rule is spent");
    device.end(0, |req| Completion::ok(req.blocks));
    run(&mut node, &mut clients, &mut device, 0);
    assert_eq!(clients.answers, [(0, 1, Completion { status: Err(Error::Medium), blocks: 2 })]);
}

/// Payload in one region, numbered 3.
struct Ram(Vec<u8>);

impl Payload for Ram {
    fn read(&self, from: Buf, to: &mut [u8]) -> bool {
        to.copy_from_slice(&self.0[from.offset as usize..][..to.len()]);
        from.region == RegionId(3)
    }
    fn write(&mut self, to: Buf, from: &[u8]) -> bool {
        self.0[to.offset as usize..][..from.len()].copy_from_slice(from);
        to.region == RegionId(3)
    }
}

#[test]
fn memory_holds_what_was_written() {
    let mut node = Node::<_, 4>::new(Memory::new(vec![0u8; 16 * 512], BlockSize::B512), 0);
    let mut ram = Ram((0..4 * 512).map(|i| i as u8 ^ (i >> 8) as u8).collect());
    let wrote = ram.0.clone();
    let mut clients = Clients::new(1);
    let at = |op, offset, lba, blocks| Request { buf: Buf { region: RegionId(3), offset }, ..req(op, lba, blocks) };
    clients.ask(0, 1, at(Op::Write, 0, 12, 4));
    clients.ask(0, 2, at(Op::WriteZeroes, 0, 13, 1));
    clients.ask(0, 3, at(Op::Read, 0, 11, 4));
    let around = &mut Around { uppers: &mut clients, lowers: &mut NoLowers, payload: &mut ram, now: Instant(0) };
    node.run(around);
    assert!(clients.answers.iter().all(|a| a.2.status.is_ok()), "{}", format!("{:?}", clients.answers));
    assert_eq!(ram.0[..512], [0; 512]);
    assert_eq!(ram.0[512..1024], wrote[..512]);
    assert_eq!(ram.0[1024..1536], [0; 512]);
    assert_eq!(ram.0[1536..], wrote[1024..1536]);
}

#[test]
fn a_failure_that_claims_every_block_has_done_none() {
    let mut node = Node::<Passthrough, 4>::new(Passthrough, 0);
    let mut device = Device::new(limits(0, 0), 4);
    let mut clients = Clients::new(1);
    for (claimed, believed) in [(0, 0), (3, 3), (4, 0), (u32::MAX, 0)] {
        clients.ask(0, 1, req(Op::Read, 0, 4));
        run(&mut node, &mut clients, &mut device, 0);
        device.end(0, |_| Completion { status: Err(Error::Io), blocks: claimed });
        run(&mut node, &mut clients, &mut device, 0);
        let answer = clients.answers.pop().unwrap().2;
        assert_eq!(answer, Completion { status: Err(Error::Io), blocks: believed });
    }
}

/// Reads two things from below before it serves.
#[derive(Default)]
struct Curious {
    got: Vec<Completion>,
    ready: bool,
    /// It is ready while its second question is still open.
    hasty: bool,
}

impl Layer for Curious {
    type Ctx = ();
    const FANOUT: usize = 2;
    fn limits(&self, below: &[Limits]) -> Limits {
        Limits { capacity: if self.ready { 7 } else { 0 }, ..below[0] }
    }
    fn limits_of(&self, upper: u8, all: Limits) -> Limits {
        Limits { capacity: all.capacity - u64::from(upper), ..all }
    }
    fn start(&mut self, io: &mut Io<'_, ()>) -> Start {
        let own = io.own().expect("while it starts");
        if io.request(own).blocks == 0 && self.got.is_empty() {
            io.lower(own, 0, 0, req(Op::Read, 1, 1));
            io.lower(own, 0, 1, req(Op::Read, 2, 1));
        }
        self.ready = self.got.len() == if self.hasty { 1 } else { 2 };
        if self.ready { Start::Ready } else { Start::Starting }
    }
    fn submit(&mut self, id: Id, io: &mut Io<'_, ()>) {
        assert!(self.ready && io.own().is_none());
        io.lower(id, 0, 0, io.request(id));
    }
    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, ()>) {
        if self.ready { io.done(id, done) } else { self.got.push(done) }
    }
}

#[test]
fn a_layer_reads_before_it_serves() {
    for (hasty, gone) in [(false, false), (true, false), (false, true)] {
        let mut node = Node::<Curious, 4, 2>::new(Curious { hasty, ..Curious::default() }, 0);
        let mut device = Device::new(limits(0, 0), 8);
        let mut clients = Clients::new(2);
        clients.ask(0, 5, req(Op::Read, 0, 4));
        clients.ask(1, 6, req(Op::Read, 0, 8));
        assert!(!run(&mut node, &mut clients, &mut device, 0).moved);
        assert_eq!((device.seen.len(), node.limits(), node.in_flight()), (2, None, 1));
        if gone {
            let around =
                &mut Around { uppers: &mut clients, lowers: &mut device, payload: &mut NoPayload, now: Instant(0) };
            node.event(0, Event::Gone, around);
            assert_eq!(node.layer().got, [Completion::error(Error::Offline); 2]);
            device.held.clear();
        } else {
            device.end(1, |_| Completion::error(Error::Medium));
            assert!(run(&mut node, &mut clients, &mut device, 0).moved);
            assert_eq!(node.ready(), hasty, "it hears of each end, and is asked again");
            device.end(0, |r| Completion::ok(r.blocks));
        }
        run(&mut node, &mut clients, &mut device, 0);
        assert!(node.ready());
        let capacity = |upper| node.limits_of(upper).unwrap().capacity;
        assert_eq!((capacity(0), capacity(1)), (7, 6), "as they are once it is ready");
        assert_eq!(node.in_flight(), if gone { 0 } else { 1 }, "only the client's request is left");
        if !gone {
            device.end(0, |r| Completion::ok(r.blocks));
            run(&mut node, &mut clients, &mut device, 0);
        }
        let want = if gone { Completion::error(Error::Offline) } else { Completion::ok(4) };
        clients.answers.sort_by_key(|answer| answer.0);
        let outside = (1, 6, Completion::error(Error::OutOfRange));
        assert_eq!(clients.answers, [(0, 5, want), outside], "nobody is told of the layer's own requests");
        assert_eq!(node.in_flight(), 0);
    }
}

/// Becomes another when it is told: it pauses, and when nothing is in flight it is twice as large and in smaller parts.
struct Grows {
    asked: bool,
    grown: bool,
}

impl Layer for Grows {
    type Ctx = ();
    const FANOUT: usize = 1;
    fn limits(&self, below: &[Limits]) -> Limits {
        let Limits { capacity, .. } = below[0];
        if self.grown { Limits { boundary: 4, ..below[0] } } else { Limits { capacity: capacity / 2, ..below[0] } }
    }
    fn submit(&mut self, id: Id, io: &mut Io<'_, ()>) {
        assert!(!io.is_quiet());
        io.lower(id, 0, 0, io.request(id));
    }
    fn complete(&mut self, id: Id, _: u8, done: Completion, io: &mut Io<'_, ()>) {
        io.done(id, done);
    }
    fn tick(&mut self, now: Instant, io: &mut Io<'_, ()>) -> Option<Instant> {
        if self.asked && io.is_quiet() {
            (self.asked, self.grown) = (false, true);
            io.resume();
        } else if self.asked {
            return Some(now.after(1));
        }
        None
    }
}

#[test]
fn a_layer_that_becomes_another_gets_nothing_meanwhile_and_has_other_limits_after() {
    let mut node: Node<Grows, 8> = Node::new(Grows { asked: false, grown: false }, 0);
    let (mut clients, mut device) = (Clients::new(2), Device::new(limits(8, 8), 8));
    let ok = |req: &Request| Completion::ok(req.blocks);
    // A large one of which some parts are out, one that is whole, and one beyond the end.
    clients.ask(0, 1, req(Op::Read, 0, 100));
    clients.ask(1, 2, req(Op::Read, 496, 4));
    clients.ask(1, 3, req(Op::Read, 500, 1));
    run(&mut node, &mut clients, &mut device, 0);
    assert_eq!(clients.answers, [(1, 3, Completion::error(Error::OutOfRange))]);
    let around = &mut Around { uppers: &mut clients, lowers: &mut device, payload: &mut NoPayload, now: Instant(0) };
    node.control(around, |layer, io| {
        layer.asked = true;
        io.pause();
    });
    clients.ask(1, 4, req(Op::Read, 600, 9));
    let mut now = 0;
    while !device.held.is_empty() {
        device.end(0, ok);
        let seen = device.seen.len();
        now += 1;
        run(&mut node, &mut clients, &mut device, now);
        if node.layer().grown {
            break;
        }
        assert_eq!(device.seen.len(), seen, "nothing more goes down");
        assert!(!node.has_room(0) && !node.has_room(1));
    }
    assert!(node.layer().grown && node.take_renewed() && !node.take_renewed());
    assert_eq!(node.limits().unwrap().capacity, 1000);
    for _ in 0..200 {
        now += 1;
        run(&mut node, &mut clients, &mut device, now);
        if !device.held.is_empty() {
            device.end(0, ok);
        }
    }
    let mut answers: Vec<(u32, Completion)> = clients.answers.iter().map(|a| (a.1, a.2)).collect();
    answers.sort_by_key(|answer| answer.0);
    assert_eq!(answers[0], (1, Completion::ok(100)));
    assert_eq!((answers[1], answers[3]), ((2, Completion::ok(4)), (4, Completion::ok(9))));
    let small = |r: &Request| r.lba.0 / 4 == (r.end().unwrap() - 1) / 4;
    assert!(device.seen.iter().filter(|r| r.lba.0 >= 600).all(small), "by the limits that it has then");
}
