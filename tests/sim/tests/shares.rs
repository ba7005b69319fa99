// SPDX-License-Identifier: MIT
//! Shares of a disk that serves one request after the other, in virtual time: by weight, and whatever a greedy client does.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
use orion_sim::{Habit, Machine};

/// Nanoseconds of a request.
const SERVICE: u64 = 10_000;

/// A disk that is given `places` requests at once, and what it says of a grace.
#[derive(Clone, Copy)]
struct Disk(u32, &'static str);

/// Clients of one disk: name, queue of its ring, weight.
fn machine(Disk(places, grace): Disk, clients: &[(&str, u32, u32)], seed: u64) -> Machine {
    let mut xml = format!(
        "<system xmlns:orion=\"urn:orion-storage:1\"><orion:disk name=\"d0\" bus=\"virtio-blk\" queue=\"{places}\" {grace}/>"
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
fn reads(disk: Disk, clients: &[(&str, u32, u32)], habits: &[Habit], seed: u64) -> Vec<usize> {
    let mut machine = machine(disk, clients, seed);
    clients.iter().zip(habits).for_each(|((name, ..), habit)| machine.habit(name, *habit));
    machine.pass(200_000_000);
    clients.iter().map(|(name, ..)| machine.reads(name).len()).collect()
}

fn depth(depth: u32) -> Habit {
    Habit { depth, blocks: 1, ..Habit::default() }
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
        for ((weight, part), grace) in [((1, 0.5), ""), ((3, 0.75), ""), ((3, 0.75), "grace=\"0\"")] {
            let clients = [("a", 256, 1), ("b", 256, weight)];
            let share = second(&reads(Disk(places, grace), &clients, &depths.map(depth), u64::from(places)));
            assert!((share / part - 1.0).abs() < 0.05, "{share}, not {part}, at {places} places, depths {depths:?}");
        }
    }
}

/// With a grace also for who asks one at a time: of a disk that serves one at a time, exactly.
#[test]
fn weights_of_one_to_three_hold_at_any_depth() {
    for depths in [[1, 1], [1, 256], [256, 1], [256, 256]] {
        let reads = reads(Disk(1, ""), &[("a", 256, 1), ("b", 256, 3)], &depths.map(depth), 7);
        let share = second(&reads);
        assert!((share / 0.75 - 1.0).abs() < 0.05, "{share} at depths {depths:?}");
    }
    // Who takes a moment to ask again, though less than a request lasts: the same, and the disk rests meanwhile.
    for thinks in [1_000, 5_000, 9_000] {
        let habits = [Habit { thinks, ..depth(1) }, Habit { thinks, ..depth(1) }];
        let reads = reads(Disk(1, ""), &[("a", 256, 1), ("b", 256, 3)], &habits, 7);
        let share = reads[1] as f64 / (reads[0] + reads[1]) as f64;
        assert!((share / 0.75 - 1.0).abs() < 0.05, "{share} where it takes {thinks} ns to ask again");
    }
}

#[test]
fn three_clients_get_the_shares_of_their_weights_at_any_depth() {
    let clients = [("a", 256, 1), ("b", 256, 2), ("c", 256, 5)];
    for depths in [[1, 1, 1], [256, 1, 1], [1, 1, 256], [256, 256, 1], [3, 1, 2]] {
        let reads = reads(Disk(1, ""), &clients, &depths.map(depth), 11);
        let sum: usize = reads.iter().sum();
        assert!(sum >= 19_800, "the disk was kept busy: {sum} of 20000");
        for (reads, part) in reads.iter().zip([0.125, 0.25, 0.625]) {
            let share = *reads as f64 / sum as f64;
            assert!((share / part - 1.0).abs() < 0.05, "{share}, not {part}, at depths {depths:?}");
        }
    }
}

/// Who asks one at a time has nothing waiting when its place becomes free: without a grace it takes turns with who has.
/// With one the place is kept for it.
#[test]
fn who_asks_one_at_a_time_gets_one_place_beside_a_flood() {
    for (places, weight) in [(1, 1), (1, 3), (2, 1), (4, 1), (16, 1)] {
        let clients = [("a", 256, 1), ("b", 256, weight)];
        let share = |grace| second(&reads(Disk(places, grace), &clients, &[depth(256), depth(1)], 3));
        let without = share("grace=\"0\"");
        assert!((without * f64::from(places + 1) - 1.0).abs() < 0.05, "{without} at {places} places");
        let with = share("grace=\"1ms\"");
        let least = (f64::from(weight) / f64::from(weight + 1)).min(1.0 / f64::from(places));
        assert!((with / least - 1.0).abs() < 0.05, "{with}, not {least}, at {places} places");
    }
}

/// A client that goes idle, at whatever depth, holds nobody up for longer than the grace.
#[test]
fn who_goes_idle_is_waited_for_once() {
    for (depths, grace_ns) in [([1, 1], 200_000), ([256, 1], 200_000), ([4, 4], 200_000)] {
        let mut machine = machine(Disk(1, ""), &[("a", 256, 1), ("b", 256, 3)], 5);
        for round in 0..5 {
            machine.habit("a", depth(depths[0]));
            machine.habit("b", depth(depths[1]));
            machine.pass(5_000_000);
            machine.habit("b", depth(0));
            machine.pass(5_000_000);
            let reads = machine.reads("a");
            let from = machine.now() - 5_000_000;
            let last: Vec<u64> = reads.into_iter().filter(|at| *at >= from - 2 * SERVICE).collect();
            let gaps: Vec<u64> = last.windows(2).map(|two| two[1] - two[0]).filter(|gap| *gap > 4 * SERVICE).collect();
            assert!(gaps.len() <= 1, "round {round}: waited once, not {gaps:?}");
            assert!(gaps.iter().all(|gap| *gap <= grace_ns + 3 * SERVICE), "{gaps:?}");
            assert!(last.len() >= 460, "{} reads while it was idle", last.len());
        }
    }
}

/// However long a client thinks before each of its reads: it costs the others no more than half of their share, though
/// each time it is waited for; and nothing where it thinks for longer than that.
#[test]
fn who_thinks_as_long_as_it_may_loses_by_that_itself() {
    for thinks in [5_000, 15_000, 50_000, 150_000, 199_000, 250_000, 2_000_000] {
        for (grace, ns) in [("grace=\"200us\"", 200_000), ("grace=\"1ms\"", 1_000_000)] {
            let clients = [("a", 256, 1), ("b", 256, 1)];
            let reads = reads(Disk(1, grace), &clients, &[depth(256), Habit { thinks, ..depth(1) }], 5);
            let least = if thinks > ns { 19_800 - reads[1] } else { 20_000 / 3 };
            assert!(reads[0] >= least, "{reads:?} where the other takes {thinks} ns to ask again, {grace}");
        }
    }
}

/// Commands are done between two rounds of requests, at most 200 a second of each client.
#[test]
fn who_fills_its_control_page_all_the_time_takes_nothing_from_others() {
    let clients = [("a", 256, 1), ("b", 256, 1)];
    let alone = reads(Disk(4, ""), &clients, &[depth(8), depth(8)], 5);
    let mad = Habit { commands: true, ..depth(8) };
    let mut machine = machine(Disk(4, ""), &clients, 5);
    machine.habit("a", mad);
    machine.habit("b", depth(8));
    machine.pass(200_000_000);
    let commands = machine.strings("a", |strings| strings.commands);
    assert!((40..=60).contains(&commands), "{commands} commands in a fifth of a second");
    let beside = machine.reads("b").len();
    assert!(beside * 100 >= alone[1] * 99, "{beside} reads beside the flood, {} without", alone[1]);
}

/// Who asks as fast as it can for nothing but what it is refused, with an audit and without: the disk, on which the records lie
/// too, is the other's, and so is the processor, which all steps take time of.
#[test]
fn who_floods_its_ring_and_the_audit_with_refusals_takes_nothing_from_others() {
    let xml = |audit: &str| {
        let mut xml = String::from(
            "<system xmlns:orion=\"urn:orion-storage:1\"><orion:disk name=\"d0\" bus=\"virtio-blk\" size=\"32M\"/>",
        );
        for (name, blocks) in [("a", "0..64"), ("b", "64..128")] {
            xml += &format!(
                "<protection_domain name=\"{name}\" priority=\"90\"><program_image path=\"puppet.elf\"/></protection_domain>
                 <orion:grant client=\"{name}\" disk=\"d0\" blocks=\"{blocks}\" rights=\"read\"/>"
            );
        }
        xml + audit + "</system>"
    };
    let audit = "<orion:audit disk=\"d0\" blocks=\"4096..4352\"/>";
    // What b gets in a tenth of a second beside a client of this habit.
    let beside = |audit: &str, habit| {
        let mut machine = Machine::new(&xml(audit), 9, &[]);
        machine.rest();
        machine.slow_disks(SERVICE);
        machine.steps_take(500);
        machine.habit("a", habit);
        machine.habit("b", depth(8));
        machine.work(100_000_000);
        (machine.reads("b").len(), machine.strings("a", |strings| strings.refused))
    };
    for audit in ["", audit] {
        let (alone, _) = beside(audit, depth(0));
        let (with_flood, refused) = beside(audit, Habit { beyond: 64, ..Habit::default() });
        assert!(refused > 50_000, "it was a flood: {refused}");
        assert!(with_flood * 100 >= alone * 99, "{alone} alone, {with_flood} beside it");
    }
}

/// A rate of a grant through the whole system: in any second, not only on average, also where places are kept.
#[test]
fn a_client_at_its_rate_keeps_to_it_in_any_second() {
    for (disk, asked) in [("queue=\"8\"", 32), ("queue=\"1\" grace=\"1ms\"", 4)] {
        let xml = format!(
            "<system xmlns:orion=\"urn:orion-storage:1\"><orion:disk name=\"d0\" bus=\"virtio-blk\" {disk}/>
            <protection_domain name=\"a\" priority=\"90\"><program_image path=\"puppet.elf\"/></protection_domain>
            <protection_domain name=\"b\" priority=\"90\"><program_image path=\"puppet.elf\"/></protection_domain>
            <orion:grant client=\"a\" disk=\"d0\" blocks=\"0..64\" rights=\"read\" iops=\"2000\"/>
            <orion:grant client=\"b\" disk=\"d0\" blocks=\"64..128\" rights=\"read\"/></system>"
        );
        let mut machine = Machine::new(&xml, 1, &[]);
        machine.rest();
        machine.slow_disks(100_000);
        machine.habit("a", depth(asked));
        machine.habit("b", depth(32));
        let second = 1_000_000_000;
        machine.pass(3 * second);
        let (reads, other) = (machine.reads("a"), machine.reads("b").len());
        for from in (0..).map(|n| n * 7_000_001).take_while(|from| from + second <= 3 * second) {
            let within = reads.iter().filter(|at| (from..from + second).contains(*at)).count();
            let least = if from < second / 10 { 1950 } else { 1960 };
            assert!((least..=2040).contains(&within), "{within} from {from} on, {disk}");
        }
        assert!(other + reads.len() >= 29_500, "the rest is the other's: {other}");
    }
}

/// What waits for its budget alone, on a disk with places, goes when the budget has filled up, though nothing else happens.
#[test]
fn a_rate_wakes_who_waits_for_it_alone() {
    let xml = "<system xmlns:orion=\"urn:orion-storage:1\"><orion:disk name=\"d0\" bus=\"virtio-blk\" queue=\"8\"/>
        <protection_domain name=\"a\" priority=\"90\"><program_image path=\"puppet.elf\"/></protection_domain>
        <orion:grant client=\"a\" disk=\"d0\" blocks=\"0..64\" rights=\"read\" iops=\"100\" burst=\"20ms\"/></system>";
    let mut machine = Machine::new(xml, 1, &[]);
    machine.rest();
    machine.habit("a", depth(32));
    machine.pass(1_000_000_000);
    let reads = machine.reads("a").len();
    assert!((100..=104).contains(&reads), "{reads} in a second at 100");
}
