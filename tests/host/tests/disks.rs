// SPDX-License-Identifier: MIT
//! Disk files, and other arguments, that cannot serve: each gets a message that says what to do.
use orion_host_tests::{Place, SYSTEM};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orion-host-tests");

fn assert_refused(place: &Place, options: &[&str], parts: &[&str]) {
    let message = place.refused(PROGRAM, SYSTEM, options);
    for part in parts {
        assert!(message.contains(part), "{options:?}: no `{part}` in: {message}");
    }
}

#[test]
fn files_that_cannot_serve() {
    let place = Place::new();
    place.sparse("empty", 0);
    place.sparse("small", 1024);
    fs::create_dir(place.path("directory")).unwrap();
    let read_only = place.sparse("read-only", 1 << 20);
    fs::set_permissions(read_only, Permissions::from_mode(0o444)).unwrap();
    let cases: [(&str, &[&str]); 7] = [
        ("missing", &["disk `d0`: missing does not exist", "add `,size=64M`"]),
        ("nowhere/new,size=64M", &["disk `d0`: nowhere/new cannot be made: No such file"]),
        ("directory", &["disk `d0`: directory is a directory", "name a file"]),
        ("empty", &["disk `d0`: empty is too small: it has 0 bytes", "truncate"]),
        ("small", &["disk `d0`: small is too small: it has 1024 bytes", "truncate"]),
        ("read-only", &["disk `d0`: read-only is read-only, but the disk is not", "chmod u+w"]),
        ("/dev/null", &["disk `d0`: /dev/null is neither a file nor a block device"]),
    ];
    for (file, parts) in cases {
        assert_refused(&place, &["--disk", &format!("d0={file}")], parts);
    }
}

#[test]
fn arguments_that_mean_nothing() {
    let place = Place::new();
    assert_refused(&place, &["--disk", "d9=x"], &["system.xml has no disk `d9`", "d0"]);
    assert_refused(&place, &["--disk", "d0=a", "--disk", "d0=b"], &["disk `d0` is given two files"]);
    assert_refused(&place, &["--disk", "d0"], &["NAME=FILE"]);
    assert_refused(&place, &["--cpus", "9999"], &["no processor 9999"]);
    assert_refused(&place, &["--for=-1"], &["--for"]);
    assert_refused(&place, &["--export", "vault"], &["VOLUME=nbd:unix:PATH"]);
    assert_refused(&place, &["--export", "walt=nbd:tcp:0"], &["walt"]);
    assert_refused(&place, &["--export", "vault=nbd:unix:no/such/socket"], &["cannot listen at no/such/socket"]);
    let twice = ["--export", "vault=nbd:tcp:0", "--export", "vault=nbd:tcp:0"];
    assert_refused(&place, &twice, &["`vault` is exported twice"]);
    place.write("occupied", "a file");
    assert_refused(&place, &["--export", "vault=nbd:unix:occupied"], &["occupied exists and is no socket"]);
    assert!(!place.path("build").exists() || fs::read_dir(place.path("build")).unwrap().next().is_some());
}

#[test]
fn a_read_only_disk_takes_a_read_only_file() {
    let place = Place::new();
    let image = place.sparse("image", 32 << 20);
    fs::set_permissions(image, Permissions::from_mode(0o444)).unwrap();
    let system = SYSTEM.replace(r#"bus="virtio-blk"/>"#, r#"bus="virtio-blk" readonly="yes"/>"#);
    assert_ne!(system, SYSTEM);
    let system = system.replace("read write flush", "read");
    let mut run = place.run(PROGRAM, &system, &["--disk", "d0=image"]);
    assert!(run.end().success(), "{} {:#?}", run.error(), run.events);
}

#[test]
fn programs_that_are_not_ours() {
    let place = Place::new();
    let system = SYSTEM.replace("demo.elf", "theirs.elf");
    let message = place.refused(PROGRAM, &system, &[]);
    assert!(message.contains("`demo` runs theirs.elf, which the host world does not have"), "{message}");
    assert!(message.contains("virtio-blk"), "{message}");
}
