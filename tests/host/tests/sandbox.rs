// SPDX-License-Identifier: MIT
//! What a protection domain's process can do to the others and to this machine.
use orion_host_tests::{Place, Run, SYSTEM};

const PROGRAM: &str = env!("CARGO_BIN_EXE_orion-host-tests");

/// A system of `ping`, `pong` and a hostile PD that shares pong's end of a channel.
fn system(hostile: &str) -> String {
    format!(
        r#"<system xmlns:orion="urn:orion-storage:1">
          <protection_domain name="ping" priority="90"><program_image path="ping.elf"/></protection_domain>
          <protection_domain name="pong" priority="91"><program_image path="pong.elf"/></protection_domain>
          <protection_domain name="hostile" priority="92"><program_image path="{hostile}.elf"/></protection_domain>
          <channel><end pd="ping" id="0"/><end pd="pong" id="0"/></channel>
          <channel><end pd="hostile" id="0"/><end pd="pong" id="1"/></channel>
        </system>"#
    )
}

/// Runs a hostile PD beside two honest ones, who must not notice.
fn attacked_by(hostile: &str) -> Run {
    let place = Place::new();
    let mut run = place.run(PROGRAM, &system(hostile), &[]);
    run.wait_for("verdict", "pd", "ping");
    assert_eq!(run.said("ping"), ["20000 rounds", "done"]);
    run.end();
    run
}

fn is_denied(hostile: &str, cause: &str) {
    let run = attacked_by(hostile);
    assert_eq!(run.said("hostile"), ["tries"], "{hostile} got through");
    let found = run.fault("hostile").unwrap_or_default();
    assert!(found.contains(cause), "{hostile}: {found}");
}

#[test]
fn system_calls_are_denied_and_reported() {
    let calls = [
        ("hostile-open", "openat()"),
        ("hostile-socket", "socket()"),
        ("hostile-ptrace", "ptrace()"),
        ("hostile-exec", "mmap()"),
        ("hostile-map", "mmap()"),
        ("hostile-steal", "read()"),
        ("hostile-fork", "clone()"),
    ];
    for (hostile, call) in calls {
        is_denied(hostile, &format!("it called {call}, which no protection domain may"));
    }
}

#[test]
fn panics_and_overflows_are_reported() {
    is_denied("hostile-panic", "panicked at tests/host/src/hostile.rs:");
    is_denied("hostile-panic", ": on purpose");
    is_denied("hostile-overflow", "where it has no memory");
}

#[test]
fn noise_harms_nobody() {
    let run = attacked_by("hostile-noise");
    assert_eq!(run.said("hostile"), ["?[2Jnoise?", "is over"]);
}

/// The demo, and a hostile client of the same gatekeeper with a grant of its own.
fn client(hostile: &str) -> Run {
    let pd = format!(
        r#"<protection_domain name="hostile" priority="91"><program_image path="{hostile}.elf"/></protection_domain>
           <orion:grant client="hostile" volume="vault" blocks="8192..8193" rights="read"/>"#
    );
    let place = Place::new();
    let mut run = place.run(PROGRAM, &SYSTEM.replace("</system>", &(pd + "</system>")), &[]);
    run.end();
    let verified = run.said("demo").last().is_some_and(|line| line.starts_with("verified: "));
    assert!(verified, "{} {:#?}", run.error(), run.events);
    run
}

#[test]
fn what_may_be_read_only_cannot_be_written() {
    let run = client("hostile-write");
    assert_eq!(run.said("hostile"), ["tries"]);
    let cause = run.fault("hostile").unwrap_or_default();
    assert!(cause.starts_with("it wrote to 0x"), "{cause}");
    assert!(cause.ends_with(", in region link_hostile_gatekeeper_info, which it may only read"), "{cause}");
    let run = client("hostile-protect");
    assert_eq!(run.said("hostile"), ["tries"]);
    assert_eq!(run.fault("hostile"), Some("it called mprotect(), which no protection domain may"));
}

#[test]
fn garbage_in_a_ring_harms_nobody() {
    let run = client("hostile-ring");
    assert_eq!(run.said("hostile"), ["tries", "is over"]);
    for pd in ["gatekeeper", "blk_d0", "demo"] {
        assert_eq!(run.fault(pd), None);
    }
}
