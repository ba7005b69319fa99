// SPDX-License-Identifier: MIT
//! Shares of a disk that serves one request after the other, in virtual time: by weight, and whatever a greedy client does.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use orion_sim::{Habit, Machine};

/// Nanoseconds of a request.
const SERVICE: u64 = 10_000;

/// Clients of one disk that is given `places` requests at once: name, queue of its ring, weight.
fn machine(places: u32, clients: &[(&str, u32, u32)], seed: u64) -> Machine {
    let mut xml = format!(
        "<system xmlns:orion=\"urn:orion-storage:1\"><orion:disk name=\"d0\" bus=\"virtio-blk\" queue=\"{places}\"/>"
    );
    for (number, (name, queue, weight)) in clients.iter().enumerate() {
        let (first, end) = (number * 64, number * 64 + 64);
        xml += &format!(
            "<protection_domain name=\"{name}\" priority=\"90\" orion:queue=\"{queue}\" orion:data=\"2M\">
             <program_image path=\"puppet.elf\"/></protection_domain>
             <orion:grant client=\"{name}\" disk=\"d0\" blocks=\"{first}..{end}\" rights=\"read derive\" weight=\"{weight}\"/>"
        );
    }
    let mut machine = Machine::new(&(xml + "</system>"), seed, &[]);
    machine.rest();
    machine.slow_disks(SERVICE);
    machine
}

/// Reads of each client within 0.2 s, at these depths.
fn reads(places: u32, clients: &[(&str, u32, u32)], habits: &[Habit], seed: u64) -> Vec<usize> {
    let mut machine = machine(places, clients, seed);
    clients.iter().zip(habits).for_each(|((name, ..), habit)| machine.habit(name, *habit));
    machine.pass(200_000_000);
    clients.iter().map(|(name, ..)| machine.reads(name).len()).collect()
}

fn depth(depth: u32) -> Habit {
    Habit { depth, blocks: 1, commands: false }
}

/// The part of the second of two clients, in a device that is kept busy.
fn second(reads: &[usize]) -> f64 {
    let sum: usize = reads.iter().sum();
    assert!(sum >= 19_800, "the disk was kept busy: {sum} of 20000");
    reads[1] as f64 / sum as f64
}

/// Who keeps more asked than the disk is given at once gets the share of its weight, whatever the other keeps asked.
#[test]
fn weights_hold_for_who_keeps_more_asked_than_the_disk_is_given() {
    for (places, depths) in
        [(1, [2, 2]), (1, [2, 256]), (1, [256, 2]), (2, [3, 256]), (4, [5, 5]), (4, [256, 5]), (16, [256, 256])]
    {
        for (weight, part) in [(1, 0.5), (3, 0.75)] {
            let clients = [("a", 256, 1), ("b", 256, weight)];
            let share = second(&reads(places, &clients, &depths.map(depth), u64::from(places)));
            assert!((share / part - 1.0).abs() < 0.05, "{share}, not {part}, at {places} places, depths {depths:?}");
        }
    }
}

/// Who asks one at a time has nothing waiting when its place becomes free, and so takes turns with who has.
#[test]
fn who_asks_one_at_a_time_gets_one_place_beside_a_flood() {
    for (places, weight) in [(1, 1), (1, 3), (2, 1), (4, 1), (16, 1)] {
        let share = second(&reads(places, &[("a", 256, 1), ("b", 256, weight)], &[depth(256), depth(1)], 3));
        assert!((share * f64::from(places + 1) - 1.0).abs() < 0.05, "{share} at {places} places");
    }
}

/// Commands are done between two rounds of requests, at most 200 a second of each client.
#[test]
fn who_fills_its_control_page_all_the_time_takes_nothing_from_others() {
    let clients = [("a", 256, 1), ("b", 256, 1)];
    let alone = reads(4, &clients, &[depth(8), depth(8)], 5);
    let mad = Habit { commands: true, ..depth(8) };
    let mut machine = machine(4, &clients, 5);
    machine.habit("a", mad);
    machine.habit("b", depth(8));
    machine.pass(200_000_000);
    let commands = machine.strings("a", |strings| strings.commands);
    assert!((40..=60).contains(&commands), "{commands} commands in a fifth of a second");
    let beside = machine.reads("b").len();
    assert!(beside * 100 >= alone[1] * 99, "{beside} reads beside the flood, {} without", alone[1]);
}

/// A rate of a grant through the whole system: in any second, not only on average.
#[test]
fn a_client_at_its_rate_keeps_to_it_in_any_second() {
    let xml = "<system xmlns:orion=\"urn:orion-storage:1\"><orion:disk name=\"d0\" bus=\"virtio-blk\" queue=\"8\"/>
        <protection_domain name=\"a\" priority=\"90\"><program_image path=\"puppet.elf\"/></protection_domain>
        <protection_domain name=\"b\" priority=\"90\"><program_image path=\"puppet.elf\"/></protection_domain>
        <orion:grant client=\"a\" disk=\"d0\" blocks=\"0..64\" rights=\"read\" iops=\"2000\"/>
        <orion:grant client=\"b\" disk=\"d0\" blocks=\"64..128\" rights=\"read\"/></system>";
    let mut machine = Machine::new(xml, 1, &[]);
    machine.rest();
    machine.slow_disks(100_000);
    machine.habit("a", depth(32));
    machine.habit("b", depth(32));
    let second = 1_000_000_000;
    machine.pass(3 * second);
    let (reads, other) = (machine.reads("a"), machine.reads("b").len());
    for from in (0..).map(|n| n * 7_000_001).take_while(|from| from + second <= 3 * second) {
        let within = reads.iter().filter(|at| (from..from + second).contains(*at)).count();
        let least = if from < second / 10 { 1950 } else { 1960 };
        assert!((least..=2040).contains(&within), "{within} from {from} on");
    }
    assert!(other + reads.len() >= 29_500, "the rest is the other's: {other}");
}
