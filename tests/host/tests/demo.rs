// SPDX-License-Identifier: MIT
//! The default system, whole: client, gatekeeper, driver, device, file.
use orion_host_tests::{DEFAULT, Place, Run, SYSTEM};
use std::fs;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orion-host-tests");
const MIB: u64 = 1 << 20;

fn assert_verified(run: &mut Run) {
    let status = run.end();
    assert!(status.success(), "{} {:#?}", run.error(), run.events);
    let said = run.said("demo");
    assert!(said.last().is_some_and(|line| line.starts_with("verified: ")), "{said:#?}");
    assert!(said.iter().filter(|line| line.starts_with("denied: ")).count() >= 5, "{said:#?}");
}

#[test]
fn verifies_on_a_file_of_our_own() {
    let place = Place::new();
    assert_verified(&mut place.run(PROGRAM, SYSTEM, &[]));
    let image = fs::read(place.path("build/d0.img")).unwrap();
    assert_eq!(image.len() as u64, 64 * MIB);
    // The grant is the first 16 MiB: all of it was written, and nothing beyond.
    let (inside, outside) = image.split_at(16 << 20);
    assert!(inside.chunks(4096).all(|block| block.iter().any(|&byte| byte != 0)));
    assert!(outside.iter().all(|&byte| byte == 0));
    // Again, on what it left.
    assert_verified(&mut place.run(PROGRAM, SYSTEM, &["--cpus", "all"]));
}

#[test]
fn verifies_on_several_packed_rings() {
    let place = Place::new();
    let queues = r#"bus="virtio-blk" queues="4" ring="packed"/>"#;
    let mut run = place.run(PROGRAM, &SYSTEM.replace(r#"bus="virtio-blk"/>"#, queues), &[]);
    assert_verified(&mut run);
    let said = run.said("blk_d0");
    assert!(said.iter().any(|line| line.contains("4 queues, packed ring, indirect descriptors")), "{said:#?}");
}

/// Two namespaces behind one controller, one driver for both, a client for each.
#[test]
fn verifies_on_the_namespaces_of_an_nvme_controller() {
    let place = Place::new();
    let system = r#"<system xmlns:orion="urn:orion-storage:1">
      <protection_domain name="one" priority="90"><program_image path="demo.elf"/></protection_domain>
      <protection_domain name="two" priority="90"><program_image path="demo.elf"/></protection_domain>
      <orion:disk name="n1" bus="nvme" controller="c0" unit="1"/>
      <orion:disk name="n2" bus="nvme" controller="c0" unit="2"/>
      <orion:volume name="v1"><orion:on disk="n1"/></orion:volume>
      <orion:volume name="v2"><orion:on disk="n2"/></orion:volume>
      <orion:grant client="one" volume="v1" blocks="0..1024" rights="read write flush"/>
      <orion:grant client="two" volume="v2" blocks="1024..2048" rights="read write flush"/>
    </system>"#;
    let mut run = place.run(PROGRAM, system, &[]);
    assert!(run.end().success(), "{} {:#?}", run.error(), run.events);
    for client in ["one", "two"] {
        let said = run.said(client);
        assert!(said.last().is_some_and(|line| line.starts_with("verified: ")), "{said:#?}");
    }
    let written = |disk: &str| {
        let image = fs::read(place.path(disk)).unwrap();
        let blocks = image.chunks(4096).enumerate().filter(|(_, b)| b.iter().any(|&byte| byte != 0));
        blocks.map(|(n, _)| n).collect::<Vec<_>>()
    };
    assert_eq!(written("build/n1.img"), (0..1024).collect::<Vec<_>>());
    assert_eq!(written("build/n2.img"), (1024..2048).collect::<Vec<_>>());
}

/// Two logical units of two targets behind one SCSI host, one driver for both, a client for each.
#[test]
fn verifies_on_the_logical_units_of_a_virtio_scsi_host() {
    let place = Place::new();
    let system = r#"<system xmlns:orion="urn:orion-storage:1">
      <protection_domain name="one" priority="90"><program_image path="demo.elf"/></protection_domain>
      <protection_domain name="two" priority="90"><program_image path="demo.elf"/></protection_domain>
      <orion:disk name="s1" bus="virtio-scsi" controller="c0" unit="1"/>
      <orion:disk name="s2" bus="virtio-scsi" controller="c0" unit="7.3"/>
      <orion:volume name="v1"><orion:on disk="s1"/></orion:volume>
      <orion:volume name="v2"><orion:on disk="s2"/></orion:volume>
      <orion:grant client="one" volume="v1" blocks="0..1024" rights="read write flush"/>
      <orion:grant client="two" volume="v2" blocks="1024..2048" rights="read write flush"/>
    </system>"#;
    let mut run = place.run(PROGRAM, system, &[]);
    assert!(run.end().success(), "{} {:#?}", run.error(), run.events);
    for client in ["one", "two"] {
        let said = run.said(client);
        assert!(said.last().is_some_and(|line| line.starts_with("verified: ")), "{said:#?}");
    }
    for (disk, expected) in [("build/s1.img", 0..1024), ("build/s2.img", 1024..2048)] {
        let image = fs::read(place.path(disk)).unwrap();
        let blocks = image.chunks(4096).enumerate().filter(|(_, b)| b.iter().any(|&byte| byte != 0));
        assert_eq!(blocks.map(|(n, _)| n).collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "{disk}");
    }
}

/// The demo lends blocks to another process at run time, and takes them back.
#[test]
fn lends_and_takes_back() {
    for options in [&[][..], &["--cpus", "all"]] {
        let place = Place::new();
        let mut run = place.run(PROGRAM, DEFAULT, options);
        assert!(run.end().success(), "{} {:#?}", run.error(), run.events);
        let lines = [
            ("demo", "lent: blocks 0..16 of window 0, read only, to reader as its window 1"),
            ("reader", "read: 128 blocks of 512 bytes that demo lent (window 1) hold what demo wrote"),
            ("gatekeeper", "demo: Revoke of window 1 of reader: 1 capability"),
            ("reader", "denied: read of window 1, which demo has taken back"),
        ];
        for (pd, line) in lines {
            assert!(run.said(pd).contains(&line), "{pd}: {line}: {:#?}", run.said(pd));
        }
    }
}

#[test]
fn a_named_file_is_only_read_without_demo() {
    let place = Place::new();
    let content: Vec<u8> =
        (0..32 * MIB / 8).flat_map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes()).collect();
    let image = place.write("mine.img", &content);
    assert_verified(&mut place.run(PROGRAM, SYSTEM, &["--disk", "d0=mine.img"]));
    assert!(fs::read(&image).unwrap() == content, "the file has changed");
    assert_verified(&mut place.run(PROGRAM, SYSTEM, &["--disk", "d0=mine.img,aio=threads", "--demo"]));
    assert!(fs::read(&image).unwrap() != content, "the file has not changed");
    assert!(!place.path("build").exists());
}

#[test]
fn a_file_is_made_where_a_size_is_given() {
    let place = Place::new();
    assert_verified(&mut place.run(PROGRAM, SYSTEM, &["--disk", "d0=new.img,size=24M", "--demo"]));
    assert_eq!(fs::metadata(place.path("new.img")).unwrap().len(), 24 * MIB);
}

#[test]
fn one_client_of_two_disks() {
    let place = Place::new();
    let system = r#"<system xmlns:orion="urn:orion-storage:1">
      <protection_domain name="demo" priority="90"><program_image path="demo.elf"/></protection_domain>
      <orion:disk name="d0" bus="virtio-blk"/>
      <orion:disk name="d1" bus="virtio-blk"/>
      <orion:grant client="demo" disk="d0" blocks="0..1024" rights="read write flush"/>
      <orion:grant client="demo" disk="d1" blocks="1024..3072" rights="read write flush"/>
    </system>"#;
    assert_verified(&mut place.run(PROGRAM, system, &["--disk", "d1=other.img,size=32M", "--demo"]));
    let written = |name: &str| {
        let image = fs::read(place.path(name)).unwrap();
        let blocks = image.chunks(4096).map(|block| block.iter().any(|&byte| byte != 0));
        blocks.enumerate().filter_map(|(n, written)| written.then_some(n)).collect::<Vec<_>>()
    };
    assert_eq!(written("build/d0.img"), (0..1024).collect::<Vec<_>>());
    assert_eq!(written("other.img"), (1024..3072).collect::<Vec<_>>());
}

/// One disk, two clients, each with a part of it; a device that cannot read, or write, one sector.
#[test]
fn an_error_of_the_device_reaches_the_client_it_concerns() {
    let place = Place::new();
    let system = r#"<system xmlns:orion="urn:orion-storage:1">
      <protection_domain name="lucky" priority="90"><program_image path="demo.elf"/></protection_domain>
      <protection_domain name="unlucky" priority="90"><program_image path="demo.elf"/></protection_domain>
      <orion:disk name="d0" bus="virtio-blk"/>
      <orion:volume name="v"><orion:on disk="d0"/></orion:volume>
      <orion:grant client="lucky" volume="v" blocks="0..1024" rights="read write flush"/>
      <orion:grant client="unlucky" volume="v" blocks="1024..2048" rights="read write flush"/>
    </system>"#;
    place.sparse("disk.img", 64 * MIB);
    // Sector 8200 is in the second block of the second grant.
    for what in ["read", "write"] {
        let rule = format!("event = \"none\"\niotype = \"{what}\"\nerrno = \"5\"\nsector = \"8200\"\n");
        place.write("rules", format!("[inject-error]\n{rule}"));
        let mut run = place.run(PROGRAM, system, &["--demo", "--disk", "d0=disk.img,inject=rules"]);
        assert!(!run.end().success());
        let said = |name| run.said(name).last().copied().unwrap_or_default().to_owned();
        assert!(said("lucky").starts_with("verified: "), "{:#?}", run.events);
        let failure = said("unlucky");
        let named = failure.contains("medium error") || failure.contains("I/O error");
        assert!(failure.starts_with(&format!("failed: {what}")) && named, "{failure}");
        assert_eq!(run.fault("unlucky"), None);
    }
}
