// SPDX-License-Identifier: MIT
//! Several ways to one disk under many schedules: controllers that leave, die, and change what they are worth.
#![allow(clippy::unwrap_used, reason = "tests")]
use orion_nvme::model::Mischief;
use orion_pd::Verdict;
use orion_sim::{Machine, Outcome};

const XML: &str = r#"<system xmlns:orion="urn:orion-storage:1">
  <orion:disk name="p0" bus="nvme"/> <orion:disk name="p1" bus="nvme"/> <orion:disk name="p2" bus="nvme"/>
  <orion:volume name="v">
    <orion:multipath> <orion:on disk="p0"/> <orion:on disk="p1"/> <orion:on disk="p2"/> </orion:multipath>
  </orion:volume>
  <protection_domain name="c" priority="90"><program_image path="demo.elf"/></protection_domain>
  <orion:grant client="c" volume="v" blocks="0..2048" rights="read write flush"/>
</system>"#;

#[track_caller]
fn passed(outcome: &Outcome, seed: u64) {
    assert_eq!(outcome.verdicts.get("c"), Some(&Verdict::Passed), "{seed} {:#?}", outcome.lines);
}

fn said(outcome: &Outcome, text: &str) -> bool {
    outcome.lines.iter().any(|line| line.contains(text))
}

/// Steps that a machine takes before something happens to it: so many that its client is at work.
fn begin(seed: u64, steps: u64) -> Machine {
    let mut machine = Machine::new(XML, seed, &[]);
    for _ in 0..steps {
        machine.step();
    }
    machine
}

#[test]
fn three_ways_serve_their_client_under_any_schedule() {
    for seed in 0..6 {
        let outcome = Machine::new(XML, seed, &[]).run();
        passed(&outcome, seed);
        assert!(said(&outcome, "multipath_v: 3 of 3 ways to nguid.0707"), "{:#?}", outcome.lines);
    }
}

/// Two of three leave in the midst of it.
#[test]
fn controllers_leave_one_after_the_other() {
    for seed in 0..12 {
        let mut machine = begin(seed, 150 + 40 * seed);
        for (way, steps) in [("p0", 300), ("p1", 0)] {
            machine.nvme(way).borrow_mut().mischief = Some(Mischief::Unplug);
            for _ in 0..steps {
                machine.step();
            }
        }
        let outcome = machine.run();
        passed(&outcome, seed);
        assert!(said(&outcome, "blk_p0: p0: ") && said(&outcome, "offline"), "{:#?}", outcome.lines);
    }
}

/// A way is worth something else every so often; one is open at any time.
#[test]
fn access_states_change_in_the_midst_of_it() {
    for seed in 0..12u64 {
        let mut machine = begin(seed, 200);
        for round in 0..20u64 {
            for (nth, way) in (0u64..).zip(["p0", "p1", "p2"]) {
                let open = (round + seed) % 3 == nth;
                let state = if open { [1, 2][(round % 2) as usize] } else { [3, 15, 2][((round + nth) % 3) as usize] };
                machine.nvme(way).borrow_mut().set_access(1, state);
            }
            for _ in 0..60 {
                machine.step();
            }
        }
        let outcome = machine.run();
        passed(&outcome, seed);
        assert!(said(&outcome, "multipath_v: the way over p"), "{:#?}", outcome.lines);
    }
}

#[test]
fn one_whose_driver_never_lives_is_left_out() {
    let mut machine = Machine::new(XML, 1, &[]);
    machine.kill(machine.pd("blk_p1").unwrap());
    let outcome = machine.run();
    passed(&outcome, 1);
    assert!(said(&outcome, "there is no way over p1") && said(&outcome, "2 of 3 ways"), "{:#?}", outcome.lines);
}

#[test]
fn controllers_of_two_subsystems_are_not_joined() {
    let mut machine = Machine::new(XML, 1, &[]);
    machine.nvme("p2").borrow_mut().shape.subsystem[0] = b'x';
    // Its driver has read that already: another life reads it again.
    machine.renew("blk_p2");
    let outcome = machine.run();
    assert_ne!(outcome.verdicts.get("c"), Some(&Verdict::Passed));
    assert!(said(&outcome, "the ways are not joined"), "{:#?}", outcome.lines);
}
