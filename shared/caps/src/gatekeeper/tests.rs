// SPDX-License-Identifier: MIT
//! The gatekeeper against an obvious oracle: the list of blocks that each client may touch.
use super::*;
use crate::{Budget, Derivation, Extent, WINDOW_SHIFT};
use orion_block::{Buf, Instant, Lba};
use orion_layer::{Around, Interrupted, Lowers, NoPayload, Node, Submission, Uppers};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::vec::Vec;
use std::{format, vec};

mod fair;
mod oracle;

/// Clients above, volumes below, nothing in between but the gatekeeper.
struct Bench {
    node: Node<Gatekeeper, 16>,
    queues: Vec<VecDeque<Submission>>,
    answers: Vec<(u8, u32, Completion)>,
    volumes: Vec<Limits>,
    held: Vec<(u8, Submission)>,
    ended: VecDeque<(u8, u32, Completion)>,
}

struct Above<'a>(&'a mut Vec<VecDeque<Submission>>, &'a mut Vec<(u8, u32, Completion)>);
impl Uppers for Above<'_> {
    fn count(&self) -> u8 {
        self.0.len() as u8
    }
    fn next(&mut self, upper: u8) -> Option<Submission> {
        self.0[usize::from(upper)].pop_front()
    }
    fn complete(&mut self, upper: u8, tag: u32, done: Completion) {
        self.1.push((upper, tag, done));
    }
}

struct Below<'a>(&'a [Limits], &'a mut Vec<(u8, Submission)>, &'a mut VecDeque<(u8, u32, Completion)>);
impl Lowers for Below<'_> {
    fn count(&self) -> u8 {
        self.0.len() as u8
    }
    fn capacity(&self, _: u8) -> u16 {
        16
    }
    fn limits(&self, port: u8) -> Option<Limits> {
        self.0.get(usize::from(port)).copied()
    }
    fn submit(&mut self, port: u8, s: Submission) {
        self.1.push((port, s));
    }
    fn next(&mut self) -> Result<Option<(u8, u32, Completion)>, Interrupted> {
        Ok(self.2.pop_front())
    }
}

impl Bench {
    fn new(clients: usize, volumes: Vec<Limits>, grants: &[Capability]) -> Self {
        let mut layer = Gatekeeper::new();
        grants.iter().for_each(|g| layer.grant(*g).unwrap());
        let (queues, held) = (vec![VecDeque::new(); clients], Vec::new());
        Self { node: Node::new(layer, 0), queues, answers: Vec::new(), volumes, held, ended: VecDeque::new() }
    }

    fn refusal(&mut self) -> Option<Refusal> {
        match self.node.layer_mut().take_event() {
            Some(Event::Refused(refusal)) => Some(refusal),
            _ => None,
        }
    }

    fn run(&mut self) {
        let mut above = Above(&mut self.queues, &mut self.answers);
        let mut below = Below(&self.volumes, &mut self.held, &mut self.ended);
        let (uppers, lowers) = (&mut above, &mut below);
        self.node.run(&mut Around { uppers, lowers, payload: &mut NoPayload, now: Instant(0) });
    }

    /// What became of one request: what a volume saw, or the answer.
    fn ask(&mut self, client: u8, req: Request) -> Result<(u8, Request), Error> {
        self.queues[usize::from(client)].push_back(Submission { tag: 7, req });
        self.run();
        match self.held.pop() {
            Some((port, s)) => {
                self.ended.push_back((port, s.tag, Completion::ok(s.req.blocks)));
                self.run();
                let answer = self.answers.pop().unwrap();
                assert_eq!(answer, (client, 7, Completion::ok(req.blocks)), "{req:?}");
                Ok((port, s.req))
            }
            None => Err(self.answers.pop().unwrap().2.status.unwrap_err()),
        }
    }
}

fn volume(block: BlockSize, policy_blocks: u64) -> Limits {
    Limits { block, capacity: policy_blocks << (12 - block.shift()), ..Limits::default() }
}

fn capability(window: u8, first: u64, blocks: u64, rights: u16) -> Capability {
    let extent = Extent { first, blocks };
    Capability {
        client: 0,
        window,
        port: 0,
        extent,
        rights: Rights::from_bits(rights),
        line: 9,
        ..Capability::default()
    }
}

fn req(op: Op, lba: u64, blocks: u32) -> Request {
    Request { op, lba: Lba(lba), blocks: if op == Op::Flush { 0 } else { blocks }, buf: Buf::default(), fua: false }
}

/// A volume without blocks is one that is not there: what it would be asked is answered as that, not as a refusal.
#[test]
fn a_volume_that_is_not_there_is_offline() {
    let mut bench = Bench::new(1, vec![volume(BlockSize::B512, 0)], &[capability(2, 0, 100, 1)]);
    let at = |window: u64| req(Op::Read, window << WINDOW_SHIFT, 1);
    assert_eq!(bench.ask(0, at(2)), Err(Error::Offline));
    assert_eq!((bench.ask(0, at(1)), bench.node.layer().refused()), (Err(Error::Denied), 1));
    let write = req(Op::Write, 2 << WINDOW_SHIFT, 1);
    assert_eq!((bench.ask(0, write), bench.node.layer().refused()), (Err(Error::Denied), 2));
}

#[test]
fn a_read_only_volume_lets_nobody_hope_to_write() {
    let limits = |read_only| Limits { capacity: 800, read_only, ..Limits::default() };
    let grant = |window, port| Capability {
        client: 0,
        window,
        port,
        extent: Extent { first: 0, blocks: 100 },
        rights: Rights::from_bits(0x3f),
        ..Capability::default()
    };
    let mut bench = Bench::new(1, vec![limits(true), limits(false)], &[grant(0, 0), grant(1, 1)]);
    bench.run();
    let rights = |window| bench.node.layer().window(0, window).map(|(_, rights)| rights.bits());
    assert_eq!((rights(0), rights(1)), (Some(0x25), Some(0x3f)));
}

#[test]
fn while_nobody_watches_nothing_is_changed_and_everything_is_read() {
    let frozen = Capability { rights: Rights::from_bits(1), ..capability(1, 0, 8, 1) };
    let mut bench = Bench::new(1, vec![volume(BlockSize::B4096, 8)], &[capability(0, 0, 8, 31), frozen]);
    for watched in [true, false, true] {
        bench.node.layer_mut().watched(watched);
        for op in Op::ALL {
            let answer = bench.ask(0, req(op, 0, 1)).map(|_| ());
            let changes = !matches!(op, Op::Read | Op::Flush);
            assert_eq!(answer, if changes && !watched { Err(Error::ReadOnly) } else { Ok(()) }, "{op:?} {watched}");
            let reason = bench.refusal().map(|refusal| refusal.reason);
            assert_eq!(reason, (changes && !watched).then_some(Reason::Unwatched), "{op:?} {watched}");
        }
        // Who lacks the right is told that, as ever.
        assert_eq!(bench.ask(0, req(Op::Write, 1 << WINDOW_SHIFT, 1)), Err(Error::Denied));
        assert_eq!(bench.refusal().map(|refusal| refusal.reason), Some(Reason::Right));
    }
}

/// Every extent in 0..8 of a volume of 8 blocks, every set of the five rights, every operation, every request of up to 9
/// blocks in 0..9 and at the ends of the number range: it passes exactly when each of its blocks is granted.
#[test]
fn exactly_what_is_granted_passes_in_every_small_world() {
    let ends = [u64::MAX, u64::MAX - 1, (1 << WINDOW_SHIFT) - 1, 1 << WINDOW_SHIFT, 1 << 63];
    for (first, end) in (0..8).flat_map(|a| (a..=8).map(move |b| (a, b))) {
        for rights in 0..32 {
            let mut bench =
                Bench::new(1, vec![volume(BlockSize::B4096, 8)], &[capability(0, first, end - first, rights)]);
            for op in Op::ALL {
                let has = rights & Rights::needed(op).bits() != 0;
                for (lba, blocks) in (0..9).chain(ends).flat_map(|l| (1..9).chain([u32::MAX]).map(move |n| (l, n))) {
                    let granted = |n: u64| lba.checked_add(n).is_some_and(|b| b < end - first);
                    let inside = op == Op::Flush && lba < 1 << WINDOW_SHIFT
                        || op != Op::Flush && granted(0) && granted(u64::from(blocks) - 1);
                    let asked = req(op, lba, blocks);
                    match bench.ask(0, asked) {
                        Ok((0, seen)) => {
                            assert!(has && inside, "{asked:?} passed with rights {rights} on {first}..{end}");
                            let at = if op == Op::Flush { 0 } else { first + lba };
                            assert_eq!((seen.lba.0, seen.blocks, seen.op), (at, asked.blocks, op));
                        }
                        Ok((port, _)) => panic!("went to volume {port}"),
                        Err(error) => {
                            assert!(!(has && inside), "{asked:?} refused with rights {rights} on {first}..{end}");
                            assert_eq!(error, Error::Denied);
                        }
                    }
                }
            }
        }
    }
}

#[derive(Clone, Debug)]
struct World {
    volumes: Vec<(BlockSize, u64)>,
    grants: Vec<(u8, u8, usize, u64, u64, u16)>,
    requests: Vec<(u8, u64, u64, u32, usize)>,
}

fn world() -> impl Strategy<Value = World> {
    let block = prop_oneof![Just(BlockSize::B512), Just(BlockSize::B4096)];
    let volumes = prop::collection::vec((block, 30u64..64), 1..4);
    let blocks = prop_oneof![6 => 0u64..40, 1 => Just(u64::MAX)];
    let rights = prop_oneof![3 => Just(255u16), 2 => 0u16..256];
    let grants = prop::collection::vec((0u8..2, 0u8..4, 0usize..3, 0u64..40, blocks, rights), 1..12);
    let block =
        prop_oneof![8 => 0u64..40, 3 => 0u64..600, 1 => Just((1 << WINDOW_SHIFT) - 1), 1 => (1u64 << 39)..(1 << 40)];
    let count = prop_oneof![8 => 1u32..12, 2 => 1u32..400, 1 => Just(u32::MAX)];
    let requests = prop::collection::vec((0u8..3, 0u64..5, block, count, 0usize..5), 1..60);
    (volumes, grants, requests).prop_map(|(volumes, grants, requests)| World { volumes, grants, requests })
}

proptest! {
    /// Several clients, windows, volumes of different block sizes and sizes, grants that reach too far: the oracle is
    /// the set of 512-byte sectors that each grant covers.
    #[test]
    fn exactly_what_is_granted_passes(w in world()) {
        let volumes: Vec<Limits> = w.volumes.iter().map(|&(b, n)| volume(b, n)).collect();
        let unit = volumes.iter().map(|v| v.block.bytes() as u64 / 512).max().unwrap();
        let mut grants: Vec<Capability> = Vec::new();
        for &(client, window, port, first, blocks, rights) in &w.grants {
            if port < volumes.len() && !grants.iter().any(|g| (g.client, g.window) == (client, window)) {
                grants.push(Capability { client, port: port as u8, ..capability(window, first, blocks, rights) });
            }
        }
        let mut bench = Bench::new(3, volumes.clone(), &grants);
        let mut refused = 0;
        for &(client, window, block, count, op) in &w.requests {
            let asked = req(Op::ALL[op], window << WINDOW_SHIFT | block, count);
            let grant = grants.iter().find(|g| (u64::from(g.client), u64::from(g.window)) == (u64::from(client), window));
            let want = grant.filter(|g| g.rights.contains(Rights::needed(asked.op))).and_then(|g| {
                let size = w.volumes[usize::from(g.port)].1;
                let end = if g.extent.blocks == u64::MAX { size } else { g.extent.first + g.extent.blocks };
                let sectors = if g.extent.first <= end && end <= size { g.extent.first * 8..end * 8 } else { 0..0 };
                let from = sectors.start + block * unit;
                let to = from + u64::from(asked.blocks) * unit;
                (asked.op == Op::Flush || to <= sectors.end).then_some((g.port, from, to))
            });
            let got = bench.ask(client, asked);
            refused += u64::from(got == Err(Error::Denied));
            prop_assert_eq!(bench.node.layer().refused(), refused, "each refusal is counted");
            match (want, got) {
                (None, Err(_)) => {}
                (Some((port, from, to)), Ok((at, seen))) => {
                    let sector = u64::from(volumes[usize::from(port)].block.bytes()) / 512;
                    prop_assert_eq!(at, port);
                    if asked.op != Op::Flush {
                        prop_assert_eq!((seen.lba.0 * sector, seen.end().unwrap() * sector), (from, to));
                    }
                }
                (want, got) => prop_assert!(false, "{:?}: oracle {:?}, gatekeeper {:?}", asked, want, got),
            }
        }
    }
}

#[test]
fn a_budget_holds_back_and_never_refuses() {
    let mut bench = Bench::new(
        1,
        vec![volume(BlockSize::B4096, 8)],
        &[Capability { budget: Budget { in_flight: 2, ..Budget::NONE }, ..capability(0, 0, 8, 1) }],
    );
    for tag in 0..5 {
        bench.queues[0].push_back(Submission { tag, req: req(Op::Read, u64::from(tag), 1) });
    }
    let mut order = Vec::new();
    loop {
        bench.run();
        assert!(bench.held.len() <= 2, "no more than the budget in flight");
        let Some((port, s)) = (!bench.held.is_empty()).then(|| bench.held.remove(0)) else {
            break;
        };
        order.push(s.req.lba.0);
        bench.ended.push_back((port, s.tag, Completion::ok(1)));
    }
    assert_eq!(order, [0, 1, 2, 3, 4], "first come, first served");
    assert_eq!((bench.answers.len(), bench.node.layer().refused()), (5, 0));
}

#[test]
fn a_window_is_given_once_and_only_where_there_is_one() {
    let mut layer = Gatekeeper::new();
    assert_eq!(layer.grant(capability(0, 0, 1, 1)), Ok(()));
    assert_eq!(layer.grant(capability(0, 4, 1, 1)), Err(TooMany));
    assert_eq!(layer.grant(capability(16, 0, 1, 1)), Err(TooMany));
    assert_eq!(layer.grant(Capability { client: 62, ..capability(1, 0, 1, 1) }), Err(TooMany));
}

#[test]
fn refusals_say_who_what_why_and_where_it_is_written() {
    let mut bench = Bench::new(1, vec![volume(BlockSize::B512, 8)], &[capability(0, 0, 2, 1)]);
    for asked in [req(Op::Read, 8, 16), req(Op::Discard, 0, 1), req(Op::Read, 3 << WINDOW_SHIFT, 1)] {
        assert_eq!(bench.ask(0, asked), Err(Error::Denied));
    }
    let texts: Vec<_> = core::iter::from_fn(|| bench.refusal()).map(|r| format!("{r}")).collect();
    assert_eq!(
        texts,
        [
            "Read of blocks 8..24 outside its extent (system.xml line 9)",
            "Discard of blocks 0..1 without the right to discard (system.xml line 9)",
            "Read of blocks 0..1 through window 3, which holds no capability",
        ]
    );
}

#[test]
fn what_is_taken_back_is_denied_while_it_waits_and_its_place_is_free_again() {
    let budget = Budget { in_flight: 1, ..Budget::NONE };
    let mut bench =
        Bench::new(2, vec![volume(BlockSize::B4096, 8)], &[Capability { budget, ..capability(0, 0, 8, 255) }]);
    bench.run();
    let to = Holding { client: 1, window: 2 };
    let extent = Extent { first: 2, blocks: 2 };
    let wish = Derivation { to, extent, rights: Rights::READ, ..Derivation::default() };
    let (lend, take_back) = (Command::Derive(wish), Command::Revoke(to));
    bench.command(0, &lend).unwrap();
    let reads = |bench: &mut Bench, tags: core::ops::Range<u32>| {
        tags.for_each(|tag| bench.queues[1].push_back(Submission { tag, req: req(Op::Read, 2 << WINDOW_SHIFT, 1) }));
    };
    reads(&mut bench, 0..3);
    bench.run();
    assert_eq!((bench.held.len(), bench.answers.len()), (1, 0), "one is at the device, two wait for the budget");
    reads(&mut bench, 3..4);
    bench.command(0, &take_back).unwrap();
    bench.run();
    let denied = |answers: &[(u8, u32, Completion)]| -> Vec<u32> {
        answers.iter().filter(|a| a.2.status == Err(Error::Denied)).map(|a| a.1).collect()
    };
    assert_eq!(denied(&bench.answers), [1, 2, 3], "those that wait at once, and what comes later");
    // Lent again before the first one ends: its end is not the new one's.
    bench.command(0, &lend).unwrap();
    reads(&mut bench, 4..5);
    bench.run();
    assert_eq!(bench.held.len(), 1, "the budget above is still spent");
    let (port, first) = bench.held.pop().unwrap();
    bench.ended.push_back((port, first.tag, Completion::ok(1)));
    bench.run();
    assert_eq!(bench.held.len(), 1, "now the next one goes");
    for _ in 0..200 {
        bench.command(0, &take_back).unwrap();
        bench.command(0, &lend).unwrap();
    }
}

#[test]
fn suspended_requests_are_denied_and_say_so() {
    let mut bench = Bench::new(2, vec![volume(BlockSize::B4096, 8)], &[capability(0, 0, 8, 255)]);
    bench.run();
    let to = Holding { client: 1, window: 0 };
    let wish = Derivation { to, extent: Extent { first: 0, blocks: 8 }, rights: Rights::READ, ..Derivation::default() };
    bench.command(0, &Command::Derive(wish)).unwrap();
    assert_eq!(bench.command(0, &Command::Freeze(to)).unwrap().rights, Rights::NONE);
    assert_eq!(bench.ask(1, req(Op::Read, 0, 1)), Err(Error::Denied));
    let refusal = bench.refusal().unwrap();
    assert_eq!(format!("{refusal}"), "Read of blocks 0..1 through a suspended capability (system.xml line 9)");
    assert_eq!(bench.command(1, &Command::Unfreeze(to)), Err(Denial::NotYours));
    bench.command(0, &Command::Unfreeze(to)).unwrap();
    assert!(bench.ask(1, req(Op::Read, 0, 1)).is_ok());
    let seen = bench.command(0, &Command::Look(to)).unwrap();
    assert_eq!((seen.blocks, seen.rights, seen.passed), (8, Rights::READ, 1));
}

/// Each way in which the two halves of the state can stand.
#[test]
fn a_torn_half_is_passed_over_and_a_spoiled_one_is_not() {
    use crate::{COMPLETE, IMAGE_MAX, WRITING};
    let bench = Bench::new(1, vec![volume(BlockSize::B4096, 8)], &[capability(0, 0, 8, 255)]);
    let image = |sequence| {
        let mut bytes = vec![0; IMAGE_MAX];
        bench.node.layer().image(sequence, 7, &mut bytes).unwrap();
        bytes
    };
    let (one, two, three, zero) = (image(1), image(2), image(3), vec![0; IMAGE_MAX]);
    let mut spoiled = three.clone();
    spoiled[300] ^= 1;
    let restore = |a: (u32, &Vec<u8>), b: (u32, &Vec<u8>), origin| {
        Gatekeeper::new().restore([(a.0, &a.1[..]), (b.0, &b.1[..])], origin)
    };
    for (a, b, want) in [
        ((0, &zero), (0, &zero), Ok(None)),
        ((WRITING, &spoiled), (0, &zero), Ok(None)),
        ((COMPLETE, &one), (0, &zero), Ok(Some((1, 0)))),
        ((COMPLETE, &one), (WRITING, &spoiled), Ok(Some((1, 0)))),
        ((COMPLETE, &one), (COMPLETE, &two), Ok(Some((2, 1)))),
        ((COMPLETE, &three), (COMPLETE, &two), Ok(Some((3, 0)))),
        ((WRITING, &spoiled), (COMPLETE, &two), Ok(Some((2, 1)))),
        ((COMPLETE, &spoiled), (COMPLETE, &two), Err(Unreadable)),
        ((COMPLETE, &three), (COMPLETE, &one), Err(Unreadable)),
        ((COMPLETE, &two), (COMPLETE, &two), Err(Unreadable)),
        ((COMPLETE, &two), (0, &zero), Err(Unreadable)),
        ((0, &zero), (COMPLETE, &two), Err(Unreadable)),
        ((WRITING, &zero), (WRITING, &zero), Err(Unreadable)),
        ((7, &one), (0, &zero), Err(Unreadable)),
    ] {
        assert_eq!(restore(a, b, 7), want, "words {} and {}", a.0, b.0);
    }
    assert_eq!(restore((COMPLETE, &one), (0, &zero), 8), Err(Unreadable), "of another system.xml");
    assert_eq!(crate::crc32c(b"123456789"), 0xe306_9283, "the check value of CRC-32C");
}
