// SPDX-License-Identifier: MIT
//! The export over streams in memory: every interleaving is ours to choose.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests: what is wrong must fail them"
)]
use orion_block::{BlockSize, Error, Op};
use orion_export::{CONNECTIONS, LEAST_DATA};
use orion_nbd_tests::{Client, Device, Fault, Reply, Rig};
use orion_pd::Instant;
use proptest::prelude::*;

const READ: u16 = 0;
const WRITE: u16 = 1;
const DISC: u16 = 2;
const FLUSH: u16 = 3;
const TRIM: u16 = 4;
const ZEROES: u16 = 6;
const FUA: u16 = 1;
const DF: u16 = 4;
const EIO: u32 = 5;
const K: u32 = 1024;
const M: u32 = 1024 * K;
/// Bytes of a small device.
const SMALL: u32 = 2 * M;

/// Bytes that differ from block to block.
fn pattern(seed: u64, len: u32) -> Vec<u8> {
    let word = |i: u64| (i ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(31).to_le_bytes();
    let mut bytes = Vec::with_capacity(len as usize + 8);
    (0..u64::from(len).div_ceil(8)).for_each(|i| bytes.extend_from_slice(&word(i)));
    bytes.truncate(len as usize);
    bytes
}

/// A rig whose device holds a pattern.
fn rig(bytes: u32, set: impl FnOnce(&mut Device)) -> Rig {
    Rig::new(BlockSize::B512, bytes as usize, |device| {
        device.bytes = pattern(0, bytes);
        set(device);
    })
}

fn fault(op: Op, block: u64) -> Fault {
    Fault { op, blocks: block..block + 1, error: Error::Medium }
}

/// One request, served to its end.
fn ask(rig: &mut Rig, client: &mut Client, kind: u16, flags: u16, range: (u64, u32)) -> Option<Reply> {
    client.send(kind, flags, 77, range, &[]);
    client.exchange(rig);
    client.replies.remove(&77)
}

#[test]
fn long_reads_come_whole_with_either_reply() {
    let mut rig = rig(40 * M, |_| {});
    for structured in [false, true] {
        let mut client = rig.client(structured, 10_000, usize::MAX);
        client.send(READ, 0, 1, (512, 32 * M), &[]);
        // Behind a long read with a simple reply everything else waits its turn.
        client.send(READ, 0, 2, (0, 512), &[]);
        client.send(WRITE, 0, 3, (0, 512), &pattern(0, 512));
        client.exchange(&mut rig);
        let expected = &rig.device.bytes[512..512 + 32 * M as usize];
        assert!(client.replies[&1].as_deref() == Ok(expected), "{structured}");
        assert!(client.replies[&2].is_ok() && client.replies[&3].is_ok());
    }
}

#[test]
fn a_failing_block_fails_a_read_that_can_be_held() {
    let mut rig = rig(4 * M, |d| d.faults = vec![fault(Op::Read, 1500)]);
    let mut simple = rig.client(false, 10_000, 100);
    assert_eq!(ask(&mut rig, &mut simple, READ, 0, (0, M)), Some(Err((EIO, None))));
    let mut structured = rig.client(true, 10_000, 100);
    assert_eq!(ask(&mut rig, &mut structured, READ, 0, (0, 3 * M)), Some(Err((EIO, Some(1500 * 512)))));
    for client in [&mut simple, &mut structured] {
        assert!(ask(&mut rig, client, READ, 0, (M.into(), M)).unwrap().is_ok(), "the connection goes on");
    }
}

#[test]
fn a_failing_block_deep_in_a_long_read_with_a_simple_reply_ends_the_connection() {
    let mut rig = rig(16 * M, |d| d.faults = vec![fault(Op::Read, 20_000)]);
    let mut client = rig.client(false, 10_000, usize::MAX);
    assert_eq!(ask(&mut rig, &mut client, READ, 0, (0, 16 * M)), None);
    assert!(client.peer.closed() && client.partial() > 16);
    assert_eq!(rig.connections(), 0);
}

#[test]
fn a_failing_write_is_answered_once_and_the_rest_of_its_payload_dropped() {
    let mut rig = rig(16 * M, |d| d.faults = vec![fault(Op::Write, 100)]);
    let mut client = rig.client(true, 10_000, 5000);
    let payload = pattern(9, 8 * M);
    client.send(WRITE, 0, 1, (0, 8 * M), &payload);
    client.send(WRITE, 0, 2, (9 * u64::from(M), M), &payload[..M as usize]);
    client.exchange(&mut rig);
    assert_eq!(client.replies[&1], Err((EIO, None)));
    assert_eq!(client.replies[&2], Ok(vec![]));
    assert_eq!(rig.device.bytes[9 * M as usize..10 * M as usize], payload[..M as usize]);
    assert_eq!(client.replies.len(), 2);
}

#[test]
fn unfragmented_reads_come_in_one_chunk_or_are_refused() {
    let mut rig = rig(M, |_| {});
    let mut client = rig.client(true, usize::MAX, usize::MAX);
    let data = ask(&mut rig, &mut client, READ, DF, (0, 64 * K)).unwrap().unwrap();
    assert!(data == rig.device.bytes[..64 * K as usize]);
    let overflow = 75;
    assert_eq!(ask(&mut rig, &mut client, READ, DF, (0, M)), Some(Err((overflow, None))));
}

#[test]
fn fua_is_asked_for_or_flushed() {
    for native in [true, false] {
        let mut rig = rig(M, |d| d.info().limits.fua = native);
        let mut client = rig.client(true, 1000, 1000);
        client.send(WRITE, FUA, 1, (0, 512), &[1; 512]);
        client.exchange(&mut rig);
        client.send(ZEROES, FUA, 2, (512, 512), &[]);
        client.exchange(&mut rig);
        client.send(TRIM, FUA, 3, (1024, 512), &[]);
        client.exchange(&mut rig);
        assert_eq!(client.replies.values().filter(|r| r.is_ok()).count(), 3);
        let log: Vec<_> = rig.device.log.iter().map(|(op, fua, ..)| (*op, *fua)).collect();
        let flush = (Op::Flush, false);
        let expected: &[_] = if native {
            &[(Op::Write, true), (Op::WriteZeroes, true), (Op::Discard, false), flush]
        } else {
            &[(Op::Write, false), flush, (Op::WriteZeroes, false), flush, (Op::Discard, false), flush]
        };
        assert_eq!(log, expected);
    }
}

#[test]
fn a_flush_that_fails_fails_the_write_that_needed_it() {
    let mut rig = rig(M, |d| {
        d.info().limits.fua = false;
        d.faults = vec![fault(Op::Flush, 0)];
    });
    let mut client = rig.client(true, 1000, 1000);
    client.send(WRITE, FUA, 1, (0, 512), &[1; 512]);
    client.exchange(&mut rig);
    assert_eq!(client.replies[&1], Err((EIO, None)));
}

#[test]
fn trims_and_zeroes_of_any_length_are_cut_for_the_ring() {
    let mut rig = rig(64 * M, |_| {});
    let mut client = rig.client(true, 1000, 1000);
    for (kind, cookie) in [(TRIM, 1), (ZEROES, 2)] {
        client.send(kind, 0, cookie, (512, 64 * M - 512), &[]);
        client.exchange(&mut rig);
        assert_eq!(client.replies[&cookie], Ok(vec![]));
    }
    assert!(rig.device.bytes[512..].iter().all(|b| *b == 0));
    let blocks: u64 = rig.device.log.iter().map(|(.., count)| u64::from(*count)).sum();
    assert_eq!(blocks, 2 * (u64::from(64 * M) / 512 - 1));
}

#[test]
fn a_client_that_does_not_read_stops_only_itself() {
    let mut rig = rig(8 * M, |_| {});
    let mut lazy = rig.client(true, 1000, usize::MAX);
    for cookie in 0..500 {
        lazy.send(READ, 0, cookie, (u64::from(64 * K) * (cookie % 100), 64 * K), &[]);
    }
    rig.settle();
    assert!(lazy.peer.unread() > 100 * 28, "its requests are taken without end");
    let mut busy = rig.client(true, 1000, 1000);
    for turn in 0..20 {
        let payload = pattern(turn, M);
        busy.send(WRITE, 0, 1, (7 * u64::from(M), M), &payload);
        busy.exchange(&mut rig);
        assert_eq!(busy.replies.remove(&1), Some(Ok(vec![])));
        assert!(ask(&mut rig, &mut busy, READ, 0, (7 * u64::from(M), M)) == Some(Ok(payload)));
    }
    lazy.exchange(&mut rig);
    assert_eq!(lazy.replies.values().filter(|r| r.is_ok()).count(), 500);
}

#[test]
fn buffers_of_a_client_that_left_are_kept_until_the_device_lets_go() {
    let mut rig = rig(8 * M, |d| d.allowance = 0);
    let mut gone = rig.client(true, usize::MAX, usize::MAX);
    for cookie in 0..8 {
        gone.send(READ, 0, cookie, (0, 64 * K), &[]);
    }
    gone.send(WRITE, 0, 9, (0, 128 * K), &[7; 64 * 1024]);
    rig.settle();
    gone.peer.leave();
    rig.settle();
    assert_eq!((rig.connections(), rig.device.waiting()), (1, 8));
    assert!(!gone.peer.closed());
    rig.device.allowance = usize::MAX;
    gone.exchange(&mut rig);
    assert!(gone.peer.closed());
    // What it asked for is answered, what it only began to send is not done.
    assert_eq!(gone.replies.values().filter(|r| r.is_ok()).count(), 8);
    assert!(rig.device.log.iter().all(|(op, ..)| *op == Op::Read));
    assert_eq!(rig.connections(), 0);
}

#[test]
fn disconnecting_waits_for_what_was_asked() {
    let mut rig = rig(M, |d| d.allowance = 0);
    let mut client = rig.client(false, usize::MAX, usize::MAX);
    client.send(WRITE, 0, 1, (0, 512), &[5; 512]);
    client.send(FLUSH, 0, 2, (0, 0), &[]);
    client.send(DISC, 0, 3, (0, 0), &[]);
    rig.settle();
    assert!(!client.peer.closed());
    rig.device.allowance = usize::MAX;
    client.exchange(&mut rig);
    assert!(client.peer.closed() && client.replies.len() == 2);
    assert_eq!(rig.device.bytes[..512], [5; 512]);
}

#[test]
fn one_client_too_many_waits() {
    let mut rig = rig(M, |_| {});
    let mut clients: Vec<_> = (0..CONNECTIONS).map(|_| rig.client(true, 1000, 1000)).collect();
    let waiting = rig.connect(1000, 1000);
    rig.settle();
    assert_eq!((rig.connections(), waiting.take(100).len()), (CONNECTIONS, 0));
    assert!(ask(&mut rig, &mut clients[CONNECTIONS - 1], READ, 0, (0, 512)).unwrap().is_ok());
    clients.pop().unwrap().peer.leave();
    rig.settle();
    rig.settle();
    assert_eq!((rig.connections(), waiting.take(100).len()), (CONNECTIONS, 18));
}

#[test]
fn a_client_that_says_nothing_is_sent_away() {
    let mut rig = rig(M, |_| {});
    let (silent, mut client) = (rig.connect(1000, 1000), rig.client(true, 1000, 1000));
    let deadline = rig.deadline().unwrap();
    rig.now = Instant(deadline.0 - 1);
    rig.settle();
    assert!(!silent.closed());
    rig.now = deadline;
    rig.settle();
    assert!(silent.closed());
    assert_eq!(rig.deadline(), None);
    assert!(ask(&mut rig, &mut client, READ, 0, (0, 512)).unwrap().is_ok());
}

#[test]
fn what_the_volume_cannot_do_now_is_tried_again() {
    let mut rig = rig(M, |d| d.again = 3);
    let mut client = rig.client(true, usize::MAX, usize::MAX);
    assert_eq!(ask(&mut rig, &mut client, READ, 0, (0, 512)), None);
    while let Some(deadline) = rig.deadline() {
        assert!(deadline > rig.now);
        rig.now = deadline;
        client.exchange(&mut rig);
    }
    assert!(client.replies.remove(&77).unwrap().is_ok() && rig.device.again == 0);
    rig.device.again = usize::MAX;
    assert_eq!(ask(&mut rig, &mut client, READ, 0, (0, 512)), None);
    while let Some(deadline) = rig.deadline() {
        rig.now = deadline;
        client.exchange(&mut rig);
    }
    assert_eq!(client.replies[&77], Err((EIO, Some(0))), "it gives up in the end");
}

/// One request on blocks of its own.
#[derive(Clone, Debug)]
struct Step {
    kind: u16,
    fua: bool,
    blocks: u32,
    gap: u32,
    seed: u64,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let kind = prop_oneof![4 => Just(READ), 4 => Just(WRITE), 1 => Just(TRIM), 1 => Just(ZEROES), 1 => Just(FLUSH)];
    let blocks = prop_oneof![4 => 1u32..20, 2 => 1u32..200, 1 => 1u32..1500];
    let step = (kind, any::<bool>(), blocks, 0u32..10, any::<u64>());
    let step = step.prop_map(|(kind, fua, blocks, gap, seed)| Step { kind, fua, blocks, gap, seed });
    prop::collection::vec(step, 1..24)
}

/// What a request must be answered, after it was done to `model`.
fn expect(step: &Step, at: usize, model: &mut [u8], faults: &[Fault]) -> Reply {
    let len = step.blocks as usize * 512;
    let block = at as u64 / 512;
    let hit =
        |op| faults.iter().any(|f| f.op == op && (block..block + u64::from(step.blocks)).contains(&f.blocks.start));
    let range = at..at + len;
    match step.kind {
        READ if hit(Op::Read) => return Err((EIO, None)),
        READ => return Ok(model[range].to_vec()),
        WRITE if hit(Op::Write) => return Err((EIO, None)),
        WRITE => model[range].copy_from_slice(&pattern(step.seed, len as u32)),
        TRIM => model[range].fill(0xdd),
        ZEROES => model[range].fill(0),
        _ => {}
    }
    Ok(Vec::new())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Rounds of requests that do not overlap, from several clients at once: each is answered once, as a plain array of
    /// bytes would answer.
    #[test]
    fn as_an_array_of_bytes(
        rounds in prop::collection::vec(steps(), 1..4),
        structured in any::<[bool; 3]>(),
        room in prop_oneof![Just(700usize), 100usize..5000, Just(1_000_000)],
        piece in prop_oneof![1usize..600, Just(1_000_000)],
        native in any::<bool>(),
        depth in 1usize..40,
        share in prop_oneof![Just(1usize), Just(2), Just(5), Just(16)],
        bad in prop::collection::vec((any::<bool>(), 0u64..4096), 0..3),
    ) {
        let faults: Vec<_> = bad.iter().map(|(read, at)| fault(if *read { Op::Read } else { Op::Write }, *at)).collect();
        let set = |device: &mut Device| {
            device.bytes = pattern(0, SMALL);
            device.faults = faults.clone();
            device.info().limits.fua = native;
            device.depth = depth;
        };
        let mut rig = Rig::with_data(BlockSize::B512, SMALL as usize, share * LEAST_DATA, set);
        let mut model = rig.device.bytes.clone();
        let mut clients: Vec<_> = structured.iter().map(|s| rig.client(*s, room, piece)).collect();
        for round in rounds {
            let (mut at, mut expected) = (0, Vec::new());
            for (cookie, mut step) in round.into_iter().enumerate() {
                // A failure in a long read with a simple reply ends the connection; that has a test of its own.
                if !structured[cookie % structured.len()] && !faults.is_empty() {
                    step.blocks = step.blocks.min(256);
                }
                at += step.gap as usize * 512;
                let len = step.blocks * 512;
                if at + len as usize > SMALL as usize {
                    break;
                }
                let range = if step.kind == FLUSH { (0, 0) } else { (at as u64, len) };
                let payload = if step.kind == WRITE { pattern(step.seed, len) } else { Vec::new() };
                let client = &mut clients[cookie % structured.len()];
                client.send(step.kind, u16::from(step.fua), cookie as u64, range, &payload);
                expected.push((expect(&step, at, &mut model, &faults), step.kind == WRITE, at..at + len as usize));
                at += len as usize;
            }
            loop {
                rig.settle();
                let moved = clients.iter_mut().map(|c| c.receive(room / 3 + 1)).filter(|m| *m).count();
                if moved == 0 {
                    break;
                }
            }
            for (cookie, (expected, write, range)) in expected.into_iter().enumerate() {
                let reply = clients[cookie % structured.len()].replies.remove(&(cookie as u64));
                let reply = reply.map(|r| r.map_err(|(errno, _)| (errno, None)));
                prop_assert!(reply.as_ref() == Some(&expected), "{cookie}: {:?}", reply.map(|r| r.map(|d| d.len())));
                if write && expected.is_err() {
                    // Any part of a write that failed may have been done.
                    model[range.clone()].copy_from_slice(&rig.device.bytes[range]);
                }
            }
            prop_assert!(clients.iter().all(|c| c.replies.is_empty() && c.partial() == 0));
            prop_assert!(rig.device.bytes == model);
        }
    }

    /// Noise on some connections harms nobody on the others, and leaves nothing behind.
    #[test]
    fn noise_harms_nobody_else(
        noise in prop::collection::vec((any::<bool>(), prop::collection::vec(any::<u8>(), 0..400), 0u64..3000, 0u16..8), 1..6),
        leaves in any::<bool>(),
    ) {
        let mut rig = rig(2 * M, |_| {});
        let mut good = rig.client(true, 1000, 1000);
        let mut hostile = Vec::new();
        for (greeted, bytes, block, kind) in noise {
            let peer = if greeted {
                let mut client = rig.client(true, 3000, 1000);
                // Half a request, or a write whose payload never comes whole.
                client.send(kind, 0, 5, (M.into(), 512 * (block as u32 % 700)), &bytes);
                client.peer
            } else {
                rig.connect(3000, 1000)
            };
            peer.send(&bytes);
            hostile.push(peer);
        }
        let payload = pattern(3, M);
        good.send(WRITE, 0, 1, (0, M), &payload);
        good.exchange(&mut rig);
        prop_assert_eq!(good.replies.get(&1), Some(&Ok(vec![])));
        prop_assert!(ask(&mut rig, &mut good, READ, 0, (0, M)) == Some(Ok(payload)));
        if leaves {
            hostile.iter().for_each(|peer| peer.leave());
        }
        while hostile.iter().map(|peer| peer.take(usize::MAX).len()).sum::<usize>() > 0 {
            rig.settle();
        }
        rig.settle();
        prop_assert!(!leaves || rig.connections() == 1, "{} connections", rig.connections());
        prop_assert!(ask(&mut rig, &mut good, FLUSH, 0, (0, 0)).unwrap().is_ok());
    }
}
