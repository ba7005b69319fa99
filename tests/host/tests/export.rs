// SPDX-License-Identifier: MIT
//! `orion run --export` with the clients that people use, on a real (emulated) disk.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]
use orion_host_tests::{PATIENCE, Place, Run, SYSTEM};
use orion_nbd_tests::{missing, run};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orion-host-tests");
const READ_ONLY: &str = r#"bus="virtio-blk" readonly="yes"/>"#;
const MIB: usize = 1 << 20;

/// The default system with its volume exported on a Unix socket, once the demo has done its part.
fn serving(place: &Place) -> (Run, String) {
    let mut run = place.run(PROGRAM, SYSTEM, &["--export", "vault=nbd:unix:socket"]);
    run.wait_for("verdict", "pd", "demo");
    (run, format!("nbd+unix:///?socket={}", place.path("socket").display()))
}

fn stop(mut run: Run) {
    run.signal(libc::SIGTERM);
    assert!(run.end().success(), "{} {:#?}", run.error(), run.events);
}

/// Runs a client; what it says.
#[track_caller]
fn succeeds(program: &str, args: &[&str]) -> String {
    let output = run(program, args);
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {}\n{text}", output.status);
    text
}

/// Bytes that differ from block to block.
fn pattern(len: usize) -> Vec<u8> {
    let word = |i: u64| i.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23).to_le_bytes();
    (0..len as u64 / 8).flat_map(word).collect()
}

#[test]
fn nbdinfo_and_nbdcopy() {
    if missing(&["nbdinfo", "nbdcopy"]) {
        return;
    }
    let place = Place::new();
    let (run, uri) = serving(&place);
    let info = succeeds("nbdinfo", &[&uri]);
    for line in [
        "export=\"vault\"",
        "export-size: 67108864",
        "is_read_only: false",
        "can_flush: true",
        "can_fua: true",
        "can_multi_conn: true",
        "can_trim: true",
        "can_zero: true",
        "block_size_minimum: 512",
    ] {
        assert!(info.contains(line), "{line}\n{info}");
    }
    let bytes = pattern(64 * MIB);
    let from = place.write("from", &bytes);
    let (from, to) = (from.display().to_string(), place.path("to").display().to_string());
    succeeds("nbdcopy", &["--connections=8", "--requests=32", "--flush", &from, &uri]);
    succeeds("nbdcopy", &["--connections=2", "--request-size=4194304", &uri, &to]);
    assert!(fs::read(&to).expect("the copy") == bytes, "what is read is not what was written");
    stop(run);
    // The device's file holds it: nothing was kept on the way.
    assert!(fs::read(place.path("build/d0.img")).expect("the disk") == bytes, "the disk holds something else");
}

#[test]
fn fio_and_qemu_at_once() {
    if missing(&["fio", "qemu-io", "qemu-img"]) {
        return;
    }
    let place = Place::new();
    let (run, uri) = serving(&place);
    let fio_uri = format!("--uri={uri}");
    let fio = std::thread::spawn(move || {
        let common = ["--name=verify", "--ioengine=nbd", &fio_uri, "--rw=randrw", "--bsrange=4k-128k", "--iodepth=32"];
        let more = ["--size=16m", "--verify=crc32c", "--verify_state_save=0", "--verify_fatal=1", "--fsync=50"];
        succeeds("fio", &[&common[..], &more].concat())
    });
    let commands = [
        "write -P 0xa5 16M 32M",
        "read -P 0xa5 16M 32M",
        "write -f -P 0x5a 16M 1M",
        "write -z 18M 1M",
        "write -z -u 20M 64k",
        "discard 24M 8M",
        "flush",
        "read -P 0x5a 16M 1M",
        "read -P 0 18M 1M",
        "read -P 0 20M 64k",
        "read -P 0xa5 17M 1M",
    ];
    let mut args = vec!["-f", "raw"];
    commands.iter().for_each(|command| args.extend(["-c", command]));
    args.push(&uri);
    let said = succeeds("qemu-io", &args);
    assert!(!said.contains("failed"), "{said}");
    let beyond = run_qemu_io("write -P 1 64M 512", &uri);
    assert!(beyond.contains("failed") || beyond.contains("past end"), "{beyond}");
    let said = fio.join().expect("fio");
    assert!(said.contains("err= 0"), "{said}");
    let image = place.write("image", pattern(64 * MIB)).display().to_string();
    succeeds("qemu-img", &["convert", "-n", "-f", "raw", "-O", "raw", "-W", "-m", "8", &image, &uri]);
    succeeds("qemu-img", &["compare", "-f", "raw", "-F", "raw", &image, &uri]);
    stop(run);
}

fn run_qemu_io(command: &str, uri: &str) -> String {
    let output = run("qemu-io", &["-f", "raw", "-c", command, uri]);
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_read_only_disk_over_tcp() {
    if missing(&["nbdinfo", "nbdcopy"]) {
        return;
    }
    let place = Place::new();
    let bytes = pattern(4 * MIB);
    place.write("image", &bytes);
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let system = SYSTEM.replace(r#"bus="virtio-blk"/>"#, READ_ONLY).replace("read write flush", "read");
    let system = system.replace("0..4096", "0..1024");
    let export = format!("vault=nbd:tcp:{port}");
    let mut run = place.run(PROGRAM, &system, &["--disk", "d0=image", "--export", &export]);
    run.wait_for("line", "text", "serving vault");
    let uri = format!("nbd://127.0.0.1:{port}/vault");
    let info = succeeds("nbdinfo", &[&uri]);
    for line in ["is_read_only: true", "can_trim: false", "can_zero: false", "export-size: 4194304"] {
        assert!(info.contains(line), "{line}\n{info}");
    }
    let to = place.path("to").display().to_string();
    succeeds("nbdcopy", &[&uri, &to]);
    assert!(fs::read(&to).expect("the copy") == bytes);
    run.wait_for("verdict", "pd", "demo");
    stop(run);
}

/// A connection of our own, past the handshake.
fn connect(place: &Place) -> UnixStream {
    let mut stream = UnixStream::connect(place.path("socket")).expect("the export");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    stream.write_all(b"\0\0\0\x03IHAVEOPT\0\0\0\x01\0\0\0\0").expect("the handshake");
    // The greeting; size and flags.
    stream.read_exact(&mut [0; 18 + 10]).expect("the handshake's end");
    stream
}

fn request(kind: u8, offset: u64, len: u32) -> Vec<u8> {
    [&b"\x25\x60\x95\x13\0\0\0"[..], &[kind], &[7; 8], &offset.to_be_bytes(), &len.to_be_bytes()].concat()
}

#[test]
fn clients_that_stall_vanish_or_talk_nonsense_harm_nobody() {
    if missing(&["fio"]) {
        return;
    }
    let place = Place::new();
    let (run, uri) = serving(&place);
    // One asks for much and takes nothing.
    let mut stalled = connect(&place);
    stalled.write_all(&request(0, 0, 32 << 20).repeat(8)).expect("requests");
    // One leaves within a write.
    let mut gone = connect(&place);
    gone.write_all(&[&request(1, 0, 1 << 20)[..], &[0xee; 100_000]].concat()).expect("half a write");
    drop(gone);
    // One talks nonsense, and is cut off.
    let mut nonsense = connect(&place);
    nonsense.write_all(&[0x55; 28]).expect("nonsense");
    assert_eq!(nonsense.read(&mut [0; 1]).expect("the end"), 0);
    let fio_uri = format!("--uri={uri}");
    let said = succeeds(
        "fio",
        &[
            "--name=v",
            "--ioengine=nbd",
            &fio_uri,
            "--rw=randwrite",
            "--bs=16k",
            "--iodepth=16",
            "--size=8m",
            "--verify=crc32c",
            "--verify_state_save=0",
        ],
    );
    assert!(said.contains("err= 0"), "{said}");
    // The one that stalled goes on where it stopped.
    let mut head = [0; 16];
    stalled.read_exact(&mut head).expect("a reply");
    assert_eq!(head[..8], *b"\x67\x44\x66\x98\0\0\0\0");
    stalled.read_exact(&mut vec![0; 32 << 20]).expect("its data");
    stop(run);
}
