// SPDX-License-Identifier: MIT
//! The supervisor in real processes: who hangs, who can't start, and what goes on without a supervisor.
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test's means fail by panicking")]
use orion_host_tests::{PATIENCE, Place, Run, SYSTEM, send};
use std::process::Command;
use std::time::Instant;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orion-host-tests");

fn process(run: &Run, part: &str) -> u32 {
    let found = run.children().into_iter().find(|(_, line)| line.contains(part));
    found.expect("the process").0
}

fn serving(place: &Place, options: &[&str]) -> Run {
    let mut run = place.run(PROGRAM, SYSTEM, &[&["--export", "vault=nbd:unix:socket"], options].concat());
    run.wait_for("verdict", "pd", "demo");
    run
}

/// What qemu-io says to these commands.
fn io(place: &Place, command: &str) -> String {
    let uri = format!("nbd+unix:///?socket={}", place.path("socket").display());
    let output = Command::new("qemu-io").args(["-f", "raw", "-c", command, &uri]).output().expect("qemu-io");
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn who_hangs_is_found_and_restarted() {
    let place = Place::new();
    let mut run = serving(&place, &["--supervise", "ping_ms=20"]);
    for name in ["gatekeeper", "blk_d0"] {
        let before = process(&run, &format!("name={name} "));
        send(before, libc::SIGSTOP);
        run.wait_for("line", "text", &format!("{name} did not answer in time; it is restarted"));
        let begin = Instant::now();
        let lives = |run: &Run| {
            run.children().iter().any(|(id, line)| *id != before && line.contains(&format!("name={name} ")))
        };
        while !lives(&run) {
            assert!(begin.elapsed() < PATIENCE, "{name} was not restarted");
            std::thread::yield_now();
        }
    }
    run.signal(libc::SIGTERM);
    assert!(run.end().success());
}

/// A supervisor that does not live: nothing is written any more, reads go on; when it lives again, so do writes.
#[test]
fn without_a_supervisor_nothing_is_written() {
    let place = Place::new();
    let mut run = serving(&place, &[]);
    assert!(io(&place, "write -P 7 0 4096").contains("wrote 4096/4096"));
    let supervisor = process(&run, "name=supervisor ");
    send(supervisor, libc::SIGSTOP);
    run.wait_for("line", "text", "the supervisor does not live: nothing is written");
    let refused = io(&place, "write -P 8 0 4096");
    assert!(refused.contains("write failed"), "{refused}");
    assert!(io(&place, "read -P 7 0 4096").contains("read 4096/4096"));
    send(supervisor, libc::SIGCONT);
    run.wait_for("line", "text", "the supervisor lives again: writes are accepted again");
    assert!(io(&place, "write -P 9 0 4096").contains("wrote 4096/4096"));
    send(supervisor, libc::SIGKILL);
    run.wait_for("fault", "name", "supervisor");
    run.wait_for("line", "text", "the supervisor does not live: nothing is written");
    assert!(io(&place, "read -P 9 0 4096").contains("read 4096/4096"));
    run.signal(libc::SIGTERM);
    assert!(!run.end().success(), "its end was a fault that nobody healed");
}

/// A driver that ends whenever it is started is given up: what needs it is offline, and everything else goes on.
#[test]
fn who_ends_again_and_again_is_given_up() {
    let place = Place::new();
    let mut run = serving(&place, &["--supervise", "restarts=3", "--supervise", "backoff_ms=1"]);
    for life in 0..4 {
        send(process(&run, "name=blk_d0 "), libc::SIGKILL);
        let said = if life < 3 { "blk_d0 was killed; it is restarted" } else { "and is given up" };
        run.wait_for("line", "text", said);
        if life < 3 {
            run.wait_for("line", "text", "requests in flight");
        }
    }
    run.wait_for("line", "text", "volume d0 is closed: its server was restarted too often");
    let offline = io(&place, "read 0 4096");
    assert!(offline.contains("read failed"), "{offline}");
    run.signal(libc::SIGTERM);
    assert!(!run.end().success(), "a disk was lost");
}

/// A driver that panics whenever it is set up is given up: its volume is offline, and clients of another disk have theirs.
#[test]
fn who_dies_in_its_init_is_given_up_and_keeps_nobody_waiting() {
    let place = Place::new();
    let broken = r#"<orion:disk name="panics" bus="virtio-blk"/>
        <orion:volume name="broken"><orion:on disk="panics"/></orion:volume></system>"#;
    let system = SYSTEM.replace("</system>", broken);
    let options = ["--export", "broken=nbd:unix:socket", "--supervise", "restarts=4", "--supervise", "backoff_ms=1"];
    let mut run = place.run(PROGRAM, &system, &options);
    let said = "blk_panics panicked; it was restarted 4 times in 60 s and is given up: what needs it is offline";
    run.wait_for("line", "text", said);
    run.wait_for("verdict", "pd", "demo");
    let faults = run.events.iter().filter(|event| event["event"] == "fault" && event["name"] == "blk_panics");
    assert!(
        faults.clone().all(|event| event["cause"].as_str().is_some_and(|cause| cause.contains("it can't be set up")))
    );
    assert_eq!(faults.count(), 5, "the first life and four more: {:#?}", run.events);
    assert!(run.said("demo").iter().any(|line| line.starts_with("verified: 16 MiB")), "{:#?}", run.events);
    // There is nothing to serve: who connects is turned away.
    let given_up =
        |run: &Run| run.said("supervisor").iter().any(|l| l.starts_with("export_broken") && l.contains("given up"));
    while !given_up(&run) {
        assert!(run.next_event().is_some(), "{:#?}", run.events);
    }
    assert!(io(&place, "read 0 4096").contains("Connection refused"));
    run.signal(libc::SIGTERM);
    assert!(!run.end().success(), "a disk was lost");
}

/// What can't be started, since its disk has no file any more, is tried again and again, and given up.
#[test]
fn what_fails_at_every_start_is_given_up() {
    let place = Place::new();
    let mut run = serving(&place, &["--supervise", "restarts=3", "--supervise", "backoff_ms=1"]);
    std::fs::remove_file(place.path("build/d0.img")).expect("the disk's file");
    send(process(&run, "qemu-system"), libc::SIGKILL);
    run.wait_for("fault", "cause", "cannot be opened again");
    run.wait_for("line", "text", "blk_d0 could not start; it is restarted in 10 ms");
    run.wait_for("line", "text", "blk_d0 could not start; it was restarted 3 times in 60 s and is given up");
    run.wait_for("line", "text", "volume d0 is closed: its server was restarted too often");
    assert!(io(&place, "read 0 4096").contains("read failed"));
    run.signal(libc::SIGTERM);
    assert!(!run.end().success(), "a disk was lost");
}
