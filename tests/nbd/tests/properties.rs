// SPDX-License-Identifier: MIT
//! The export over streams in memory against an array of bytes, and against noise.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "helpers of tests: what is wrong must fail them"
)]
use orion_block::{BlockSize, Op};
use orion_export::LEAST_DATA;
use orion_nbd_tests::common::*;
use orion_nbd_tests::{Device, Fault, Reply, Rig};
use proptest::prelude::*;

/// Bytes of a small device.
const SMALL: u32 = 2 * M;

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
