// SPDX-License-Identifier: MIT
//! Capabilities from end to end: given, lent, taken back, expired, kept over a restart of the gatekeeper, and lost.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "tests")]
use orion_block::{Error, Op, Status};
use orion_caps::{Budget, Denial, Extent, Rights};
use orion_control::{Ask, Kind, Name, Refused};
use orion_sim::{Machine, Random, Told, Wish};
use std::sync::atomic::Ordering::Relaxed;

const CLIENTS: [&str; 3] = ["a", "b", "c"];
/// Blocks of the disk in one of a grant.
const SMALL: u64 = 8;

/// `a` may do everything with 64 blocks; `b` and `c` have one each, and `c` may pass on what it is lent.
fn system() -> String {
    let mut xml =
        String::from("<system xmlns:orion=\"urn:orion-storage:1\"><orion:disk name=\"d0\" bus=\"virtio-blk\"/>");
    let grants =
        [("a", "0..64", "read write flush derive admin"), ("b", "64..65", "read"), ("c", "65..66", "read derive")];
    for (name, blocks, rights) in grants {
        xml += &format!(
            "<protection_domain name=\"{name}\" priority=\"90\"><program_image path=\"puppet.elf\"/></protection_domain>
             <orion:grant client=\"{name}\" disk=\"d0\" blocks=\"{blocks}\" rights=\"{rights}\"/>"
        );
    }
    xml + "</system>"
}

fn machine(seed: u64) -> Machine {
    let mut machine = Machine::new(&system(), seed, &[]);
    machine.rest();
    machine
}

fn read(window: u8, block: u64) -> Wish {
    Wish::Blocks(Op::Read, window, block * SMALL, 1)
}

fn lend(to: &str, window: u8, first: u64, blocks: u64, rights: &[Rights]) -> Ask {
    let rights = rights.iter().fold(Rights::NONE, |all, right| Rights::from_bits(all.bits() | right.bits()));
    Ask { extent: Extent { first, blocks }, rights, ..Ask::on(Kind::Delegate, to, window) }
}

const DENIED: Told = Told::Blocks(Err(Error::Denied));
const DONE: Told = Told::Blocks(Ok(()));

/// Whether each client can read and write some blocks of each of its windows.
fn matrix(machine: &mut Machine) -> Vec<Status> {
    let mut all = Vec::new();
    for client in CLIENTS {
        let mut numbers = Vec::new();
        for window in 0..6 {
            for block in [0, 1, 3, 7, 20, 63] {
                for op in [Op::Read, Op::Write] {
                    numbers.push(machine.wish(client, Wish::Blocks(op, window, block * SMALL, 1)));
                }
            }
        }
        machine.rest();
        for number in numbers {
            let Some(Told::Blocks(status)) = machine.told(client, number) else { unreachable!("{client} waits") };
            all.push(status);
        }
    }
    all
}

/// What is narrowed is narrower at once, also for what was derived from it and for what waits, and stays so.
#[test]
fn what_is_narrowed_is_denied_also_where_it_waited() {
    for seed in 0..10 {
        let mut machine = machine(seed);
        // One request a second, and no burst: the others wait in the gatekeeper or in the ring.
        let budget = Budget { iops: 1, burst_ms: 1, ..Budget::NONE };
        let ask = Ask { budget, ..lend("b", 1, 8, 8, &[Rights::READ, Rights::WRITE]) };
        assert!(machine.ask("a", Wish::Command(ask)).good());
        assert_eq!(machine.ask("b", read(1, 7)), DONE);
        let (within, beyond) = (machine.wish("b", read(1, 3)), machine.wish("b", read(1, 4)));
        let write = machine.wish("b", Wish::Blocks(Op::Write, 1, 0, 1));
        machine.rest();
        let narrow =
            |blocks, rights| Ask { extent: Extent { first: 0, blocks }, rights, ..Ask::on(Kind::Narrow, "b", 1) };
        let Told::Command(Ok(done)) = machine.ask("a", Wish::Command(narrow(4, Rights::READ))) else { panic!() };
        assert_eq!((done.affected, done.blocks, done.rights), (1, 4, Rights::READ));
        machine.rest();
        assert_eq!((machine.told("b", beyond), machine.told("b", write)), (Some(DENIED), Some(DENIED)), "seed {seed}");
        machine.pass(2_000_000_000);
        assert_eq!(machine.told("b", within), Some(DONE), "seed {seed}");
        // What it no longer has, it does not get back, whoever asks; and its holder is told what is left.
        for (blocks, rights) in [(5, Rights::NONE), (0, Rights::WRITE)] {
            assert!(!machine.ask("a", Wish::Command(narrow(blocks, rights))).good());
        }
        let windows = machine.strings("b", |strings| strings.windows.unwrap());
        assert_eq!((windows[1].blocks, windows[1].rights), (4 * SMALL, Rights::READ.bits()));
        machine.renew("gatekeeper");
        assert_eq!(machine.ask("b", Wish::Blocks(Op::Write, 1, 0, 1)), DENIED);
        assert_eq!(machine.ask("b", read(1, 4)), DENIED);
    }
}

#[test]
fn what_was_lent_is_denied_once_it_is_taken_back_also_where_it_waited() {
    for seed in 0..20 {
        let mut machine = machine(seed);
        assert_eq!(machine.ask("b", read(1, 0)), DENIED);
        // One request a second, and no burst: the second waits in the gatekeeper, those after it in the ring.
        let budget = Budget { iops: 1, burst_ms: 1, ..Budget::NONE };
        let ask = Ask { budget, ..lend("b", 1, 8, 8, &[Rights::READ]) };
        assert!(machine.ask("a", Wish::Command(ask)).good());
        assert_eq!(machine.ask("b", read(1, 7)), DONE);
        assert_eq!(machine.ask("b", read(1, 8)), DENIED, "beyond what was lent");
        assert_eq!(machine.ask("b", Wish::Blocks(Op::Write, 1, 0, 1)), DENIED, "read only");
        let began = machine.now();
        let waiting: Vec<u32> = (0..100).map(|_| machine.wish("b", read(1, 0))).collect();
        machine.rest();
        assert!(waiting.iter().all(|number| machine.told("b", *number).is_none()), "they wait for the budget");
        assert!(machine.ask("a", Wish::Command(Ask::on(Kind::Revoke, "b", 1))).good());
        machine.rest();
        assert!(waiting.iter().all(|number| machine.told("b", *number) == Some(DENIED)), "{seed}");
        assert!(machine.now() - began < 1_000_000_000, "at once");
        assert_eq!(machine.ask("b", read(1, 0)), DENIED);
        assert_eq!(machine.ask("b", read(0, 0)), DONE, "its own it keeps");
    }
}

/// A command at random, by whoever may give commands.
fn command(random: &mut Random) -> (&'static str, Ask) {
    let by = ["a", "c"][random.below(2)];
    let kinds =
        [Kind::Attenuate, Kind::Delegate, Kind::Delegate, Kind::Revoke, Kind::Freeze, Kind::Unfreeze, Kind::Advance];
    let kind = kinds[random.below(kinds.len())];
    let to = if kind == Kind::Attenuate { "" } else { CLIENTS[random.below(3)] };
    let window = random.below(6) as u8;
    let extent = Extent { first: random.below(8) as u64, blocks: 1 + random.below(16) as u64 };
    let rights = Rights::from_bits([1, 3, 65, 67, 127][random.below(5)]);
    let from = if random.below(3) == 0 { random.below(6) as u8 } else { 0 };
    let expires = if random.below(4) == 0 { 1 + random.below(6) as u32 } else { 0 };
    (by, Ask { window: from, to: Name::new(to), extent, rights, expires, ..Ask::on(kind, to, window) })
}

#[test]
fn a_restart_of_the_gatekeeper_neither_adds_nor_takes_rights() {
    let (mut kept, mut lent) = (0, 0);
    for seed in 0..25 {
        let (mut machine, mut random) = (machine(seed), Random::new(seed + 1000));
        for _ in 0..4 {
            for _ in 0..9 {
                let (by, ask) = command(&mut random);
                kept += u32::from(machine.ask(by, Wish::Command(ask)).good());
            }
            let before = matrix(&mut machine);
            lent += u32::from(before.iter().skip(12).take(60).any(Result::is_ok));
            let windows = CLIENTS.map(|client| machine.strings(client, |s| s.windows));
            machine.renew("gatekeeper");
            assert_eq!(matrix(&mut machine), before, "seed {seed}: {:#?}", machine.lines());
            assert_eq!(CLIENTS.map(|client| machine.strings(client, |s| s.windows)), windows, "seed {seed}");
        }
    }
    assert!(kept > 100 && lent > 20, "{kept} changes, {lent} times something lent");
}

const WORDS: [usize; 2] = [0, 0x2000];

#[test]
fn a_change_that_was_being_kept_when_the_gatekeeper_died_was_never_made() {
    for seed in 0..10 {
        let mut machine = machine(seed);
        let state = machine.window("gatekeeper_state");
        for step in 0..5 {
            let before = matrix(&mut machine);
            let words = WORDS.map(|at| state.load(at, Relaxed));
            assert!(machine.ask("a", Wish::Command(lend("b", 1 + step, 0, 4, &[Rights::READ]))).good());
            // The half that the change went into is the one that was not written last.
            let at = if step % 2 == 0 { WORDS[0] } else { WORDS[1] };
            assert_eq!(state.load(at, Relaxed), orion_caps::COMPLETE, "{words:?}");
            state.store(at, orion_caps::WRITING, Relaxed);
            machine.renew("gatekeeper");
            assert_eq!(matrix(&mut machine), before, "{seed} {step} {:#?}", machine.lines());
            // And it can be made again.
            assert!(machine.ask("a", Wish::Command(lend("b", 1 + step, 0, 4, &[Rights::READ]))).good());
            assert_eq!(machine.ask("b", read(1 + step, 3)), DONE);
        }
    }
}

#[test]
fn a_state_that_cannot_be_read_allows_nothing() {
    let mut lost = 0;
    for seed in 0..60 {
        let (mut machine, mut random) = (machine(seed), Random::new(seed));
        for window in 1..4 {
            assert!(machine.ask("a", Wish::Command(lend("b", window, 0, 4, &[Rights::READ]))).good());
        }
        let before = matrix(&mut machine);
        let state = machine.window("gatekeeper_state");
        // Most often in the words and the heads, sometimes where nothing is.
        let within = if random.below(4) == 0 { 0x2000 } else { 0x180 };
        let at = WORDS[random.below(2)] + random.below(within / 4) * 4;
        state.store(at, state.load(at, Relaxed) ^ (1 << random.below(32)), Relaxed);
        machine.renew("gatekeeper");
        let after = matrix(&mut machine);
        if after == before {
            continue;
        }
        assert!(after.iter().all(|status| *status == Err(Error::Denied)), "seed {seed}: {at:#x}");
        let refused = machine.ask("a", Wish::Command(lend("b", 5, 0, 1, &[Rights::READ])));
        assert_eq!(refused, Told::Command(Err(Refused::Denied(Denial::NoCapability))));
        let said = "gatekeeper: the state of an earlier life can't be read: everything is denied until the system is booted again";
        assert!(machine.lines().iter().any(|line| line == said), "{:#?}", machine.lines());
        lost += 1;
    }
    assert!(lost > 25, "{lost} of 60 were noticed; the rest hit what is not used");
}

#[test]
fn what_is_lent_for_an_epoch_ends_with_it() {
    let mut machine = machine(1);
    let ask = Ask { expires: 2, ..lend("c", 1, 0, 8, &[Rights::READ, Rights::DERIVE]) };
    assert!(machine.ask("a", Wish::Command(ask)).good());
    // What is derived from it ends with it, whatever it asks for.
    let further = Ask { window: 1, expires: 9, ..lend("b", 1, 0, 1, &[Rights::READ]) };
    assert!(machine.ask("c", Wish::Command(further)).good());
    let advance = Wish::Command(Ask::on(Kind::Advance, "", 0));
    for restart in [false, true] {
        assert_eq!((machine.ask("b", read(1, 0)), machine.ask("c", read(1, 7))), (DONE, DONE));
        assert!(machine.ask("a", advance).good());
        if restart {
            machine.renew("gatekeeper");
        }
    }
    assert_eq!((machine.ask("b", read(1, 0)), machine.ask("c", read(1, 7))), (DENIED, DENIED));
    let late = machine.ask("a", Wish::Command(ask));
    assert_eq!(late, Told::Command(Err(Refused::Denied(Denial::Expired))), "its epoch is over");
    let not_admin = machine.ask("c", advance);
    assert_eq!(not_admin, Told::Command(Err(Refused::Denied(Denial::Right))));
}

/// Reads that get through within a second after the clock was set to `to`, at 100 a second.
fn after_jump(from: u64, to: u64) -> u64 {
    let mut machine = machine(7);
    machine.set_clock(from);
    let budget = Budget { iops: 100, burst_ms: 100, ..Budget::NONE };
    assert!(machine.ask("a", Wish::Command(Ask { budget, ..lend("b", 1, 0, 8, &[Rights::READ]) })).good());
    let numbers: Vec<u32> = (0..100).map(|_| machine.wish("b", read(1, 0))).collect();
    machine.pass(200_000_000);
    let told = |machine: &mut Machine| numbers.iter().filter(|n| machine.told("b", **n).is_some()).count() as u64;
    let before = told(&mut machine);
    assert!((25..=35).contains(&before), "{before} in a fifth of a second, with a burst");
    machine.set_clock(to);
    machine.pass(300_000_000);
    told(&mut machine) - before
}

/// A clock that jumps neither lends nor takes away: what is due in 0.3 s, and at most one burst.
#[test]
fn budgets_hold_when_the_clock_jumps() {
    let day = 86_400_000_000_000;
    for (from, to) in [(day, 0), (day, day / 2), (day, 400 * day), (day, day + 200_000_000)] {
        let passed = after_jump(from, to);
        assert!((29..=42).contains(&passed), "{from} to {to}: {passed}");
    }
}

/// What a client wrote and names that it made up stand in no line of the console, however wrongly it asks.
#[test]
fn data_and_made_up_names_appear_in_no_line() {
    let secret = b"s3cr3t-payload!!";
    let medium: Vec<u8> = secret.iter().copied().cycle().take(66 * 4096).collect();
    let mut machine = Machine::with_media(&system(), 3, &[], &[("d0", &medium)]);
    machine.rest();
    let data = machine.window("data_a");
    assert_eq!(machine.ask("a", read(0, 3)), DONE);
    let mut seen = [0; 16];
    assert!(data.copy_out(0, &mut seen) && seen == *secret, "it was read");
    // Refused, malformed and out of range, with bytes of it for every number; then names that nobody has.
    let number = u64::from_le_bytes(*b"s3cr3t-p");
    for op in Op::ALL {
        for window in [0, 5, 200] {
            assert!(!machine.ask("a", Wish::Blocks(op, window, number >> 24, 1)).good() || op == Op::Flush);
        }
    }
    for kind in [Kind::Delegate, Kind::Revoke, Kind::Look] {
        let ask = lend("s3cr3t-payload!!", 3, number, number, &[Rights::READ]);
        assert!(!machine.ask("a", Wish::Command(Ask { kind, ..ask })).good());
    }
    let garbage = machine.window("control_a_commands");
    let bytes: Vec<u8> = secret.iter().copied().cycle().take(1024).collect();
    assert!(garbage.copy_in(64, &bytes));
    garbage.store(0, garbage.load(0, Relaxed).wrapping_add(5), Relaxed);
    machine.wish("a", read(0, 0));
    machine.pass(100_000_000);
    let lines = machine.lines();
    assert!(lines.iter().any(|line| line.contains("a sent a malformed command")), "{lines:#?}");
    let shown = |line: &String| line.contains("s3cr3t") || line.contains(&number.to_string());
    assert!(!lines.iter().any(shown), "{lines:#?}");
}
