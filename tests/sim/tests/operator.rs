// SPDX-License-Identifier: MIT
//! An operator at a running system, under many schedules.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "tests"
)]
use orion_control::operator::{Frame, HEAD, Request};
use orion_control::{Ask, Kind, Name, Refused};
use orion_metrics::{Histogram, Order, Reply, Row};
use orion_pd::Verdict;
use orion_sim::{Habit, Machine, Random};

fn system(rights: &str) -> String {
    format!(
        "<system xmlns:orion=\"urn:orion-storage:1\">\
         <protection_domain name=\"demo\" priority=\"90\"><program_image path=\"demo.elf\"/></protection_domain>\
         <orion:disk name=\"d0\" bus=\"virtio-blk\"/>\
         <orion:grant client=\"demo\" disk=\"d0\" blocks=\"0..64\" rights=\"read write flush\"/>\
         <orion:manager rights=\"{rights}\"/></system>"
    )
}

/// What an operator is told that sends `bytes`, and whether the demo passed.
fn told(rights: &str, seed: u64, bytes: &[u8]) -> (Vec<u8>, bool) {
    told_at(0, rights, seed, bytes)
}

/// The same of one that comes by this one of the manager's addresses.
fn told_at(door: u8, rights: &str, seed: u64, bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut machine = Machine::new(&system(rights), seed, &[]);
    {
        let operator = &mut machine.common.borrow_mut().operator;
        operator.sends.extend(bytes);
        operator.door = door;
    }
    // The operator's connection is closed for want of requests at the end, so this comes to rest.
    while machine.step() {}
    let common = machine.common.borrow();
    let passed = common.verdicts.get("demo") == Some(&Verdict::Passed);
    (common.operator.told.clone(), passed)
}

/// The frames in `bytes`: how many capabilities each state shows as frozen, and the results of commands.
fn frames(mut bytes: &[u8]) -> (Vec<usize>, Vec<Result<u32, Refused>>, Vec<String>) {
    let (mut states, mut results, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    let (mut frozen, mut pds) = (0, 0);
    while !bytes.is_empty() {
        let (kind, _, len) = Frame::parse_head(bytes[..HEAD].try_into().unwrap()).unwrap();
        match Frame::parse(kind, &bytes[HEAD..HEAD + len]).unwrap() {
            Frame::Begin(_) => (frozen, pds) = (0, 0),
            Frame::Pd(_) => pds += 1,
            Frame::Row(Row::Holding(held)) => frozen += usize::from(held.frozen == 1),
            Frame::End => {
                assert_eq!(pds, 3);
                states.push(frozen);
            }
            Frame::Done(result) => results.push(result.map(|done| done.affected)),
            Frame::Refused(why) => refused.push(why.to_owned()),
            Frame::Ring(_) | Frame::Row(_) | Frame::Disk(_) => {}
        }
        bytes = &bytes[HEAD + len..];
    }
    (states, results, refused)
}

#[test]
fn an_operator_gets_every_answer_in_order_under_every_schedule() {
    let requests = [
        Request::State,
        Request::Command(Ask::on(Kind::Look, "demo", 0)),
        Request::Command(Ask::on(Kind::Look, "nobody", 0)),
        Request::State,
    ];
    let bytes: Vec<u8> = (0..).zip(&requests).flat_map(|(n, request)| request.emit(n)).collect();
    for seed in 0..20 {
        let (told, passed) = told("admin", seed, &bytes);
        let (states, results, refused) = frames(&told);
        assert!(passed && states == [0, 0] && refused.is_empty(), "seed {seed}");
        // It may come before the volumes are known.
        assert_eq!(results.len(), 2, "seed {seed}");
        assert!(results[1].is_err(), "seed {seed}");
    }
}

#[test]
fn a_client_that_is_frozen_is_shown_as_frozen_and_one_without_the_right_freezes_nobody() {
    let freeze = |kind| Request::Command(Ask::on(kind, "demo", 0));
    let requests = [freeze(Kind::Freeze), Request::State, freeze(Kind::Unfreeze), Request::State];
    let bytes: Vec<u8> = (0..).zip(&requests).flat_map(|(n, request)| request.emit(n)).collect();
    let mut froze = 0;
    for seed in 0..20 {
        let (said, _) = told("admin", seed, &bytes);
        let (states, results, _) = frames(&said);
        // Before the volumes are known it is refused.
        let done = results[0].is_ok();
        assert_eq!(states, [usize::from(done), usize::from(done && results[1].is_err())], "seed {seed}: {results:?}");
        froze += u32::from(done);
        let (said, passed) = told("observe", seed, &bytes);
        let (states, results, refused) = frames(&said);
        assert!(passed && states == [0, 0] && results.is_empty() && refused.len() == 2, "seed {seed}");
    }
    assert!(froze > 0, "nobody was ever frozen");
}

/// Who comes where people may only look sees everything and changes nothing, whatever the manager may.
#[test]
fn who_may_only_look_changes_nothing() {
    let mut requests: Vec<Request> =
        Kind::ALL.into_iter().map(|kind| Request::Command(Ask::on(kind, "demo", 0))).collect();
    requests.push(Request::State);
    let bytes: Vec<u8> = (0..).zip(&requests).flat_map(|(n, request)| request.emit(n)).collect();
    for seed in 0..10 {
        let (told, passed) = told_at(1, "admin derive read", seed, &bytes);
        let (states, results, refused) = frames(&told);
        assert!(passed && states == [0] && results.is_empty(), "seed {seed}");
        assert_eq!(refused.len(), Kind::ALL.len());
    }
}

/// Figures are asked of every PD at most so often, however often operators want them.
#[test]
fn figures_are_gathered_no_more_often_than_that() {
    let bytes: Vec<u8> = (0..50).flat_map(|n| Request::State.emit(n)).collect();
    let mut machine = Machine::new(&system("observe"), 3, &[]);
    machine.rest();
    machine.common.borrow_mut().operator.sends.extend(&bytes);
    let (from, mut answered) = (machine.now(), 0);
    while answered < 50 {
        let next = machine.rest().unwrap();
        answered = frames(&machine.common.borrow().operator.told).0.len();
        if answered < 50 {
            machine.set_clock(next);
        }
    }
    assert!(machine.now() - from >= 49 * 10_000_000, "50 rounds in {} ns", machine.now() - from);
}

#[test]
fn an_operator_that_sends_garbage_harms_nobody() {
    for seed in 0..30 {
        let mut random = Random::new(seed);
        let mut bytes: Vec<u8> = (0..1000).map(|_| random.below(256) as u8).collect();
        // Some begin like requests.
        if seed % 2 == 0 {
            bytes[..8].copy_from_slice(&[b'O', b'R', b'M', b'Q', 1, 0, 2, 0]);
            bytes[12..16].fill(0);
        }
        let (told, passed) = told("admin", seed, &bytes);
        let (_, _, refused) = frames(&told);
        assert!(passed && !refused.is_empty(), "seed {seed}");
    }
}

/// A PD that is told to count anew does, whatever it does beside; one that there is not, or that is dead, is named as that.
#[test]
fn what_a_pd_is_told_it_does_or_the_operator_hears_of_it() {
    let reset = |pd: &str| Request::Order(Order::Reset, Name::new(pd));
    let requests = [reset("blk_d0"), reset("gatekeeper"), reset("cellar"), reset("demo")];
    let bytes: Vec<u8> = (0..).zip(&requests).flat_map(|(n, request)| request.emit(n)).collect();
    for seed in 0..10 {
        let (told, passed) = told("admin", seed, &bytes);
        let (_, results, refused) = frames(&told);
        assert!(passed && results == [Ok(0), Ok(0)], "seed {seed}: {results:?}");
        assert!(refused.len() == 2 && refused.iter().all(|why| why.contains("of that name")), "{refused:?}");
    }
    // What it was told while it was dead its next life does.
    let mut machine = Machine::new(&system("admin"), 4, &[]);
    machine.rest();
    let driver = machine.pd("blk_d0").unwrap();
    machine.kill(driver);
    machine.common.borrow_mut().operator.sends.extend(reset("blk_d0").emit(1));
    machine.pass(3_000_000_000);
    let (_, results, refused) = frames(&machine.common.borrow().operator.told);
    assert!(results.is_empty() && refused[0].contains("does it when it next runs"), "{refused:?}");
    machine.restart(driver).unwrap();
    machine.common.borrow_mut().operator.sends.extend(Request::State.emit(2));
    machine.pass(1_000_000_000);
    let page = machine.window("metrics_blk_d0");
    assert_eq!(orion_metrics::acknowledged(&page, 1), Some(Reply::Done));
}

/// The gatekeeper times a request now and then, each kind on its own: how long it took in there and below.
#[test]
fn the_gatekeepers_times_are_those_of_its_clients() {
    let xml = system("observe").replace("demo.elf", "puppet.elf");
    for (depth, service) in [(1, 50_000), (4, 50_000), (32, 10_000)] {
        let mut machine = Machine::new(&xml, u64::from(depth), &[]);
        machine.rest();
        machine.slow_disks(service);
        machine.habit("demo", Habit { depth, blocks: 1, ..Habit::default() });
        machine.pass(100_000_000);
        machine.common.borrow_mut().operator.sends.extend(Request::State.emit(1));
        machine.pass(20_000_000);
        let told = machine.common.borrow().operator.told.clone();
        let (reads, others) = times_of("gatekeeper", &told);
        // One request after the other, and a request waits for all that were asked before it.
        let takes = u64::from(depth) * service;
        assert!(reads.count() >= 20 && others == 0, "{} timed at depth {depth}", reads.count());
        for part in [reads.quantile(1, 2).unwrap(), reads.quantile(99, 100).unwrap()] {
            assert!((takes..takes + takes / 8 + 32).contains(&part), "{part}, not {takes}, at depth {depth}");
        }
    }
}

/// What a PD says of reads, and how many of other kinds were timed.
fn times_of(pd: &str, mut told: &[u8]) -> (Histogram, u64) {
    while !told.is_empty() {
        let (kind, _, len) = Frame::parse_head(told[..HEAD].try_into().unwrap()).unwrap();
        if let Some(Frame::Pd(found)) = Frame::parse(kind, &told[HEAD..HEAD + len])
            && found.name.as_str() == pd
        {
            let times = |kind| *found.figures.times(kind);
            let others = times(orion_metrics::Kind::Write).count() + times(orion_metrics::Kind::Flush).count();
            return (times(orion_metrics::Kind::Read), others);
        }
        told = &told[HEAD + len..];
    }
    panic!("{pd} is not there");
}
