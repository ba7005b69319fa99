// SPDX-License-Identifier: MIT
//! Whole systems in the simulated world, over many schedules.
use orion_pd::Verdict;
use orion_sim::{Machine, Outcome};

fn system(clients: &[(&str, &str, &str)]) -> String {
    let mut xml = String::from("<system xmlns:orion=\"urn:orion-storage:1\">");
    for (name, program, _) in clients {
        xml += &format!(
            "<protection_domain name=\"{name}\" priority=\"90\"><program_image path=\"{program}.elf\"/></protection_domain>"
        );
    }
    xml += "<orion:disk name=\"d0\" bus=\"virtio-blk\"/>";
    for (name, _, grant) in clients {
        xml += &format!("<orion:grant client=\"{name}\" disk=\"d0\" {grant}/>");
    }
    xml + "</system>"
}

fn passed(outcome: &Outcome, client: &str) {
    assert_eq!(outcome.verdicts.get(client), Some(&Verdict::Passed), "{:#?}", outcome.lines);
}

#[test]
fn the_demo_verifies_under_every_schedule() {
    let xml = system(&[("demo", "demo", "blocks=\"8..264\" rights=\"read write flush\"")]);
    for seed in 0..50 {
        passed(&Machine::new(&xml, seed, &[]).run(), "demo");
    }
}

#[test]
fn clients_with_neighbouring_extents_do_not_disturb_each_other() {
    let xml = system(&[
        ("a", "demo", "blocks=\"0..128\" rights=\"read write flush\""),
        ("b", "demo", "blocks=\"128..256\" rights=\"read write\" in-flight=\"3\""),
        ("c", "demo", "blocks=\"256..384\" rights=\"read write flush discard zero\""),
    ]);
    for seed in 0..20 {
        let outcome = Machine::new(&xml, seed, &[]).run();
        ["a", "b", "c"].iter().for_each(|client| passed(&outcome, client));
    }
}

#[test]
fn a_client_that_writes_garbage_harms_nobody_else() {
    let xml = system(&[
        ("demo", "demo", "blocks=\"0..128\" rights=\"read write flush\""),
        ("mad", "garbage", "blocks=\"128..136\" rights=\"read write flush discard zero\""),
    ]);
    let mut closed = 0;
    for seed in 0..60 {
        let outcome = Machine::new(&xml, seed, &[("seed", seed)]).run();
        passed(&outcome, "demo");
        closed += u32::from(outcome.lines.iter().any(|l| l.contains("broke the ring protocol")));
    }
    assert!(closed > 30, "garbage was noticed in {closed} of 60 runs");
}

/// The demo lends to the reader, which reads, is denied once it is taken back, and neither learns anything else.
#[test]
fn what_is_lent_is_read_and_what_is_taken_back_is_denied_under_every_schedule() {
    let xml = system(&[
        ("demo", "demo", "blocks=\"8..72\" rights=\"read write flush derive\" in-flight=\"4\""),
        ("reader", "reader", "blocks=\"72..73\" rights=\"read\""),
    ]);
    for seed in 0..100 {
        let outcome = Machine::new(&xml, seed, &[]).run();
        ["demo", "reader"].iter().for_each(|client| passed(&outcome, client));
        let at = |text: &str| outcome.lines.iter().position(|line| line.starts_with(text)).expect(text);
        let order = [
            at("demo: verified:"),
            at("gatekeeper: demo gave window 1 of reader 16 blocks with the rights: read"),
            at("reader: read: 128 blocks of 512 bytes that demo lent (window 1) hold what demo wrote"),
            at("gatekeeper: demo: Revoke of window 1 of reader: 1 capability"),
            at("reader: denied: read of window 1, which demo has taken back"),
        ];
        assert!(order.is_sorted(), "seed {seed}: {:#?}", outcome.lines);
    }
}

#[test]
fn what_the_demo_did_not_write_is_lent_and_taken_back_too() {
    let xml = system(&[
        ("demo", "demo", "blocks=\"8..72\" rights=\"read derive\""),
        ("reader", "reader", "blocks=\"72..73\" rights=\"read\""),
    ]);
    for (seed, settings) in [(1, &[][..]), (2, &[("writes", 0)]), (3, &[("demo_bytes", 512)])] {
        let outcome = Machine::new(&xml, seed, settings).run();
        ["demo", "reader"].iter().for_each(|client| passed(&outcome, client));
        assert!(
            outcome.lines.iter().any(|l| l.starts_with("reader: denied: read of window 2")),
            "{:#?}",
            outcome.lines
        );
    }
}

#[test]
fn without_a_reader_nothing_is_lent() {
    let xml = system(&[("demo", "demo", "blocks=\"8..72\" rights=\"read write flush derive\"")]);
    let outcome = Machine::new(&xml, 1, &[]).run();
    passed(&outcome, "demo");
    assert!(
        outcome.lines.iter().any(|l| l == "demo: nothing is lent: there is no client reader"),
        "{:#?}",
        outcome.lines
    );
}

/// Virtual time: the run takes as long as the budgets say, though the disk would take none.
#[test]
fn a_rate_of_the_grant_holds_whatever_the_schedule() {
    for (rate, requests, ns) in [
        ("iops=\"1000\"", 100, 80_000_000..105_000_000),
        ("iops=\"1000\" burst=\"50ms\"", 100, 45_000_000..70_000_000),
        ("bandwidth=\"4M\" weight=\"3\"", 100, 75_000_000..105_000_000),
    ] {
        let grant = format!("blocks=\"0..512\" rights=\"read\" {rate}");
        let xml = system(&[("demo", "demo", &grant), ("b", "demo", "blocks=\"512..640\" rights=\"read write flush\"")]);
        let settings = [("bench_op", 1), ("bench_count", requests), ("bench_blocks", 8), ("bench_depth", 16)];
        for seed in 0..5 {
            let outcome = Machine::new(&xml, seed, &settings).run();
            passed(&outcome, "demo");
            assert!(ns.contains(&outcome.now), "{rate}: {} ns", outcome.now);
        }
    }
}

/// Its page of commands is written over like the rest: whatever that asks for, it gets nothing of others' blocks.
#[test]
fn a_client_that_writes_garbage_into_its_control_page_harms_nobody_else() {
    let xml = system(&[
        ("demo", "demo", "blocks=\"0..128\" rights=\"read write flush derive\""),
        ("mad", "garbage", "blocks=\"128..136\" rights=\"read write derive admin\""),
        ("reader", "reader", "blocks=\"136..137\" rights=\"read\""),
    ]);
    let mut malformed = 0;
    for seed in 0..40 {
        let outcome = Machine::new(&xml, seed, &[("seed", seed)]).run();
        ["demo", "reader"].iter().for_each(|client| passed(&outcome, client));
        malformed += u32::from(outcome.lines.iter().any(|l| l.contains("mad sent a malformed command")));
    }
    assert!(malformed >= 5, "malformed commands were noticed in {malformed} of 40 runs");
}

/// A volume whose driver never says that it is ready is given up; its clients are answered, the others never notice.
#[test]
fn a_driver_that_never_lives_holds_up_nobody_for_ever() {
    let xml = system(&[("a", "demo", "blocks=\"0..64\" rights=\"read write flush\"")]).replace(
        "</system>",
        "<protection_domain name=\"b\" priority=\"90\"><program_image path=\"demo.elf\"/></protection_domain>
         <orion:disk name=\"d1\" bus=\"virtio-blk\" timeout=\"2s\"/>
         <orion:grant client=\"b\" disk=\"d1\" blocks=\"0..64\" rights=\"read write flush\"/></system>",
    );
    for seed in 0..10 {
        let mut machine = Machine::new(&xml, seed, &[]);
        machine.kill(machine.pd("blk_d1").unwrap());
        let outcome = machine.run();
        passed(&outcome, "a");
        assert_eq!(outcome.verdicts.get("b"), Some(&Verdict::Failed), "{:#?}", outcome.lines);
        for line in [
            "gatekeeper: volume d1 is closed: its server is not there, or did not become ready in time",
            "gatekeeper: the grant of system.xml line 3 allows nothing: its volume has no blocks",
        ] {
            assert!(outcome.lines.iter().any(|said| said == line), "{:#?}", outcome.lines);
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let xml = system(&[("demo", "demo", "blocks=\"0..64\" rights=\"read write flush\"")]);
    let run = |seed| {
        let o = Machine::new(&xml, seed, &[]).run();
        (o.steps, o.notified, o.lines)
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7).0, run(8).0);
}
