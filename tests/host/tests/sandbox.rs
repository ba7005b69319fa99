// SPDX-License-Identifier: MIT
//! What a protection domain's process can do to the others and to this machine.
use orion_host_tests::{Place, Run};

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
