// SPDX-License-Identifier: MIT
//! PDs that die between any two steps, and begin again on devices and beside neighbours that live on. The ordinary worlds
//! (`checks.rs`, `make sim`) do that to all kinds of PDs under all faults; here it is done to the shipped client too.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]
use orion_pd::Verdict;
use orion_sim::{Event, Machine};

const SYSTEM: &str = "<system xmlns:orion=\"urn:orion-storage:1\"><orion:disk name=\"d0\" bus=\"virtio-blk\"/>
    <protection_domain name=\"demo\" priority=\"90\"><program_image path=\"demo.elf\"/></protection_domain>
    <orion:volume name=\"v\">VOLUME</orion:volume>
    <orion:grant client=\"demo\" volume=\"v\" blocks=\"0..64\" rights=\"read write flush\"/></system>";
const WHOLE: &str = "<orion:on disk=\"d0\"/>";

fn go(machine: &mut Machine, steps: u64) {
    // Nobody is dead for so long that the others lose patience: time stands still where nothing can go on.
    (0..steps).for_each(|_| _ = machine.step_now());
}

fn partition(fuse: &str) -> String {
    format!("<orion:partition number=\"1\" fuse=\"{fuse}\">{WHOLE}</orion:partition>")
}

fn table() -> Vec<u8> {
    let mut table = vec![0; 512];
    table[450] = 0x83;
    table[454..458].copy_from_slice(&7u32.to_le_bytes());
    table[458..462].copy_from_slice(&2048u32.to_le_bytes());
    table[510..].copy_from_slice(&[0x55, 0xaa]);
    table
}

/// The demo writes, flushes, reads back and compares, and is refused beyond its grant, while what is below it dies five
/// times: it sees a delay, no error, no other data, and neither more rights nor fewer.
#[test]
fn the_demo_sees_nothing_of_the_deaths_below_it() {
    for (volume, below) in [(WHOLE.to_owned(), 2), (partition("no"), 3), (partition("yes"), 2)] {
        let xml = SYSTEM.replace("VOLUME", &volume);
        for seed in 0..60 {
            let settings = [("demo_bytes", 128 << 10), ("demo_chunk", 8)];
            let mut machine = Machine::with_media(&xml, seed, &settings, &[("d0", &table())]);
            let mortals: Vec<_> = machine.mortals().filter(|(_, event)| *event != Event::ClientDied).collect();
            assert_eq!(mortals.len(), below);
            go(&mut machine, 10 + seed % 23);
            for death in 0..5 {
                let (pd, _) = mortals[(seed + death) as usize % mortals.len()];
                machine.kill(pd);
                go(&mut machine, (seed + death) % 9);
                machine.restart(pd).unwrap();
                go(&mut machine, seed * (death + 1) % 37);
            }
            let outcome = machine.run();
            assert_eq!(outcome.verdicts.get("demo"), Some(&Verdict::Passed), "seed {seed}: {:#?}", outcome.lines);
        }
    }
}

/// All die at once, the client too, and begin again in any order.
#[test]
fn everything_dies_at_once() {
    let xml = SYSTEM.replace("VOLUME", &partition("no"));
    for seed in 0..60 {
        let settings = [("demo_bytes", 64 << 10), ("demo_chunk", 4)];
        let mut machine = Machine::with_media(&xml, seed, &settings, &[("d0", &table())]);
        let demo = machine.pd("demo").unwrap();
        let mut all: Vec<_> = machine.mortals().map(|(pd, _)| pd).chain([demo]).collect();
        for round in 1..4 {
            go(&mut machine, seed * round % 71);
            all.iter().for_each(|pd| machine.kill(*pd));
            all.rotate_left((seed % 4) as usize);
            for pd in &all {
                machine.restart(*pd).unwrap();
                go(&mut machine, seed % 5);
            }
        }
        let outcome = machine.run();
        assert_eq!(outcome.verdicts.get("demo"), Some(&Verdict::Passed), "seed {seed}: {:#?}", outcome.lines);
    }
}

/// A client that dies with requests in flight, some of which wait for its budget: its next life is served at once, not when
/// the budget would have let the last of them go.
#[test]
fn what_a_dead_client_had_waiting_is_forgotten() {
    let xml = SYSTEM.replace("VOLUME", WHOLE).replace("rights=", "iops=\"20\" rights=");
    let mut machine = Machine::with_media(&xml, 7, &[("demo_bytes", 256 << 10), ("demo_chunk", 1)], &[]);
    let demo = machine.pd("demo").unwrap();
    go(&mut machine, 200);
    let asked = machine.common.borrow().now;
    machine.kill(demo);
    go(&mut machine, 50);
    machine.restart(demo).unwrap();
    let windows = |machine: &Machine| machine.common.borrow().lines.iter().filter(|l| l.contains("window 0:")).count();
    while windows(&machine) < 2 {
        assert!(machine.step());
    }
    let waited = machine.common.borrow().now - asked;
    assert!(waited < 50_000_000, "{waited} ns: longer than one request has to wait");
}

/// The driver takes its device over in any state, and the device, which panics where a driver breaks virtio's rules, is
/// content.
#[test]
fn a_driver_takes_over_its_device_in_any_state() {
    let xml = SYSTEM.replace("VOLUME", WHOLE);
    for seed in 0..200 {
        let mut machine = Machine::new(&xml, seed, &[]);
        let driver = machine.pd("blk_d0").unwrap();
        go(&mut machine, seed % 40);
        for _ in 0..3 {
            machine.kill(driver);
            go(&mut machine, seed % 7);
            machine.restart(driver).unwrap();
            go(&mut machine, seed % 5);
        }
        let outcome = machine.run();
        let said = outcome.lines.iter().filter(|line| line.contains("virtio-blk, 65536 blocks"));
        assert_eq!(said.count(), 4, "seed {seed}: {:#?}", outcome.lines);
        assert_eq!(outcome.verdicts.get("demo"), Some(&Verdict::Passed), "seed {seed}: {:#?}", outcome.lines);
    }
}
