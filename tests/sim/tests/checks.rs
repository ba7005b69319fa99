// SPDX-License-Identifier: MIT
//! Checked worlds, and whether the check would notice.
#![allow(clippy::panic, reason = "tests")]
use orion_sim::{Case, Event, Events, Fault, FaultSet, attempt, run, shrink};

fn worlds(seeds: std::ops::Range<u64>) -> Events {
    let mut events = Events::default();
    for seed in seeds {
        let case = Case::of(seed);
        match attempt(&case) {
            Ok(ran) => events.add(&ran.events),
            Err(why) => panic!("make sim SIM=\"--replay {case}\": {why}"),
        }
    }
    events
}

#[test]
fn what_was_acknowledged_and_flushed_is_there_after_every_loss_of_power() {
    let events = worlds(1..400);
    assert!(events.count(Event::PowerLoss) > 10_000);
    let rare = [Event::Vanished, Event::Stall, Event::DeviceReset];
    let missing: Vec<_> = events.missing().into_iter().filter(|event| !rare.contains(event)).collect();
    assert!(missing.is_empty(), "never happened: {missing:?}");
}

/// Found by a longer run: a driver died, and its next life could not read the table.
#[test]
fn a_table_that_cannot_be_read_after_a_restart_is_a_lost_device_and_not_lost_partitions() {
    for case in ["3706,5,2,4,3,6,1,tails+stalls", "3674,5,38,10,3,200,3,errors+rot+misdirected+tails+stalls"] {
        let case: Case = case.parse().expect("a case");
        if let Err(why) = attempt(&case) {
            panic!("make sim SIM=\"--replay {case}\": {why}");
        }
    }
}

#[test]
fn the_same_case_gives_the_same_run() {
    for seed in [3, 50, 77] {
        let once = run(&Case::of(seed)).unwrap();
        let again = run(&Case::of(seed)).unwrap();
        assert_eq!((once.steps, once.ns, once.events), (again.steps, again.ns, again.events));
    }
    assert_ne!(run(&Case::of(3)).unwrap().steps, run(&Case::of(4)).unwrap().steps);
}

/// A disk that breaks what the stack relies on, and how many of some worlds notice.
fn noticed(fault: Fault, texts: &[&str]) -> usize {
    let cases = (1..60).map(|seed| Case { faults: FaultSet::default().with(fault), requests: 60, ..Case::of(seed) });
    // A disk without a cache has nothing to lie about.
    let cases = cases.filter(|case| case.system != 7);
    let failed: Vec<String> = cases.filter_map(|case| attempt(&case).err()).collect();
    for why in &failed {
        assert!(texts.iter().any(|text| why.contains(text)), "{why}");
    }
    failed.len()
}

/// What is found after a loss of power where the disk broke its word: an older version, or what nobody has written.
const AFTER_LOSS: [&str; 3] =
    ["after a loss of power", "written over before or never", "no value that was ever written there"];

#[test]
fn a_disk_that_lies_about_flushes_is_found_out() {
    assert!(noticed(Fault::Lies, &AFTER_LOSS) > 30);
}

#[test]
fn a_disk_that_tears_blocks_is_found_out() {
    assert!(noticed(Fault::TornBlocks, &AFTER_LOSS) > 30);
}

#[test]
fn a_failing_world_is_shrunk_to_one_that_fails() {
    let lies = |seed| Case { faults: FaultSet::BEARABLE.with(Fault::Lies), ..Case::of(seed) };
    let (case, why) = (1..50).map(lies).find_map(|case| Some((case.clone(), attempt(&case).err()?))).unwrap();
    let (simple, _) = shrink(&case, why);
    assert!(attempt(&simple).is_err());
    assert!(simple.faults == FaultSet::default().with(Fault::Lies), "{simple}");
    assert!(simple.losses <= case.losses && simple.requests <= case.requests, "{simple}");
    assert_eq!(simple.to_string().parse::<Case>().unwrap(), simple);
}
