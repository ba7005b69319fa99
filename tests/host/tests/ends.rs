// SPDX-License-Identifier: MIT
//! However a run ends, nothing of it stays: no process, no lock, no socket.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]
use orion_host::sys;
use orion_host_tests::{Place, Run, SYSTEM, lock_is_free, send, wait_all_ended};
use std::os::fd::OwnedFd;
use std::process::Command;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orion-host-tests");

/// A system that serves until it is told to end, and every process of it.
fn serving(place: &Place) -> (Run, Vec<(OwnedFd, String)>) {
    let mut run = place.run(PROGRAM, SYSTEM, &["--export", "vault=nbd:unix:socket"]);
    run.wait_for("verdict", "pd", "demo");
    let children = run.children();
    // The blk_d0, gatekeeper, export_vault and supervisor PDs, QEMU, and the sweeper of the socket.
    assert_eq!(children.len(), 6, "{children:#?}");
    assert!(place.path("socket").exists());
    assert!(!lock_is_free(&place.path("build/d0.img")));
    let children = children.into_iter().map(|(id, name)| (sys::process(id).expect("it lives"), name)).collect();
    (run, children)
}

fn assert_nothing_stays(place: &Place, children: &[(OwnedFd, String)]) {
    wait_all_ended(children);
    assert!(!place.path("socket").exists(), "the socket stays");
    assert!(lock_is_free(&place.path("build/d0.img")), "the lock stays");
}

fn process(run: &Run, part: &str) -> u32 {
    let found = run.children().into_iter().find(|(_, line)| line.contains(part));
    found.expect("the process").0
}

#[test]
fn when_told_to() {
    for signal in [libc::SIGINT, libc::SIGTERM] {
        let place = Place::new();
        let (mut run, children) = serving(&place);
        run.signal(signal);
        assert!(run.end().success());
        assert_nothing_stays(&place, &children);
    }
}

#[test]
fn when_the_parent_is_killed() {
    let place = Place::new();
    let (mut run, children) = serving(&place);
    run.signal(libc::SIGKILL);
    assert!(!run.end().success());
    assert_nothing_stays(&place, &children);
}

#[test]
fn when_a_driver_and_a_device_were_killed_and_restarted() {
    let place = Place::new();
    let (mut run, children) = serving(&place);
    for (part, name, cause) in [
        ("name=blk_d0", "blk_d0", "was killed by signal 9"),
        ("qemu-system", "d0", "the QEMU that is this disk's device has ended"),
    ] {
        let before = process(&run, "name=blk_d0");
        send(process(&run, part), libc::SIGKILL);
        run.wait_for("fault", "name", name);
        run.wait_for("line", "text", "blk_d0 was killed; it is restarted");
        run.wait_for("line", "text", "requests in flight");
        assert_eq!(run.fault(name), Some(cause));
        assert_ne!(process(&run, "name=blk_d0"), before);
        assert_eq!(run.children().len(), children.len(), "{:#?}", run.children());
    }
    run.signal(libc::SIGTERM);
    assert!(run.end().success(), "what was healed is no failure");
    assert_nothing_stays(&place, &children);
}

#[test]
fn when_the_time_is_over() {
    let place = Place::new();
    let mut run = place.run(PROGRAM, SYSTEM, &["--export", "vault=nbd:tcp:0", "--for", "0.000001"]);
    assert!(!run.end().success(), "the demo cannot have finished");
    let last = run.events.last().and_then(|event| event["reason"].as_str());
    assert_eq!(last, Some("the time is over; demo had not finished"));
    assert!(lock_is_free(&place.path("build/d0.img")));
}

#[test]
fn a_second_run_is_told_of_the_first() {
    let place = Place::new();
    let (_run, _) = serving(&place);
    let message = place.refused(PROGRAM, SYSTEM, &[]);
    assert!(message.contains("disk `d0`: its file is in use"), "{message}");
    let message = place.refused(PROGRAM, SYSTEM, &["--export", "vault=nbd:unix:socket", "--disk", "d0=x,size=64M"]);
    assert!(message.contains("another process listens at socket"), "{message}");
}

#[test]
fn a_stale_socket_is_replaced() {
    let place = Place::new();
    drop(std::os::unix::net::UnixListener::bind(place.path("socket")).unwrap());
    assert!(place.path("socket").exists());
    let (mut run, children) = serving(&place);
    run.signal(libc::SIGTERM);
    assert!(run.end().success());
    assert_nothing_stays(&place, &children);
}

/// A device that hangs is taken for gone: its clients get errors, and the system still ends when it is told to.
#[test]
fn when_a_device_hangs() {
    let place = Place::new();
    let system = SYSTEM.replace(r#"bus="virtio-blk"/>"#, r#"bus="virtio-blk" timeout="200ms"/>"#);
    assert_ne!(system, SYSTEM);
    let mut run = place.run(PROGRAM, &system, &["--export", "vault=nbd:unix:socket"]);
    run.wait_for("verdict", "pd", "demo");
    send(process(&run, "qemu-system"), libc::SIGSTOP);
    let uri = format!("nbd+unix:///?socket={}", place.path("socket").display());
    let read = Command::new("qemu-io").args(["-f", "raw", "-c", "read 0 4096", &uri]).output().expect("qemu-io");
    let said = String::from_utf8_lossy(&read.stdout).into_owned() + &String::from_utf8_lossy(&read.stderr);
    assert!(said.contains("read failed"), "{said}");
    run.wait_for("line", "text", "the disk is offline");
    run.signal(libc::SIGTERM);
    assert!(run.end().success());
}
