// SPDX-License-Identifier: MIT
//! `make demo-linux`: an array that mdadm made, in a system of Orion's, without a member, written, rebuilt on a spare, and back; on this
//! machine, and on seL4 where there is an SDK.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "tests")]
use orion_boot_tests::Typist;
use orion_linux_tests::{System, disks, run, skip};
use std::fs;
use std::path::PathBuf;

const MIB: u64 = 1 << 20;
/// What Linux writes, and where a client of Orion's writes.
const LINUX: u64 = 16;
const SYSTEM: &str = r#"<system xmlns:orion="urn:orion-storage:1">
  <protection_domain name="demo" priority="90"> <program_image path="demo.elf"/> </protection_domain>
  <orion:disk name="m0" bus="virtio-blk"/>
  <orion:disk name="m2" bus="nvme"/>
  <orion:disk name="spare" bus="ahci"/>
  <orion:volume name="data">
    <orion:raid name="data"> <orion:on disk="m0"/> <orion:on disk="m2"/> <orion:on disk="spare"/> </orion:raid>
  </orion:volume>
  <orion:grant client="demo" volume="data" blocks="8192..9216" rights="read write flush"/>
  <orion:manager rights="admin"/>
</system>
"#;

/// What stands behind `key` in what the guest said.
fn said<'a>(said: &'a str, key: &str) -> &'a str {
    said.lines().find_map(|line| line.strip_prefix(key)).expect("the guest says it").trim()
}

/// The disks, on which mdadm has made a RAID 5 of the first three and filled it; what the guest said.
fn made(name: &str) -> (Vec<PathBuf>, String) {
    let (all, bytes) = (disks(name, 4, 24 * MIB), LINUX * MIB);
    println!("1. Linux: mdadm makes a RAID 5 of three disks and writes {LINUX} MiB of random data to it");
    let made = run(
        &format!(
            "set -e
             mdadm --create /dev/md0 --run --quiet --level 5 --raid-devices 3 --name data /dev/vdb /dev/vdc /dev/vdd
             head -c {bytes} /dev/urandom > /run/data
             dd if=/run/data of=/dev/md0 bs=1M conv=fsync 2>/dev/null
             mdadm --wait --quiet /dev/md0 || true
             echo hash $(head -c {bytes} /dev/md0 | sha256sum)
             mdadm --stop --quiet /dev/md0\n"
        ),
        &all[..3],
    );
    println!("2. Orion: the second disk is gone; a system runs on the other two and an empty one, and a client writes");
    fs::write(all[0].parent().expect("a folder").join("system.xml"), SYSTEM).expect("a system");
    (all, made)
}

/// Shows the array to Linux again, with the fourth disk in place of the second.
fn right_to_linux(all: &[PathBuf], made: &str) {
    let bytes = LINUX * MIB;
    println!("4. Linux: mdadm assembles the array with the new disk, checks it, and reads what it wrote");
    let back = run(
        &format!(
            "set -e
             mdadm --assemble /dev/md0 --run --quiet /dev/vdb /dev/vdc /dev/vdd
             echo degraded $(cat /sys/block/md0/md/degraded)
             while [ $(cat /sys/block/md0/md/sync_action) != idle ]; do sleep 1; done
             echo check > /sys/block/md0/md/sync_action
             while [ $(cat /sys/block/md0/md/sync_action) != idle ]; do sleep 1; done
             echo mismatch_cnt $(cat /sys/block/md0/md/mismatch_cnt)
             echo hash $(head -c {bytes} /dev/md0 | sha256sum)
             echo written $(dd if=/dev/md0 bs=4096 skip=8192 count=1024 2>/dev/null | tr -d '\\0' | wc -c)
             mdadm --stop --quiet /dev/md0\n"
        ),
        &[all[0].clone(), all[3].clone(), all[2].clone()],
    );
    assert_eq!((said(&back, "degraded "), said(&back, "mismatch_cnt ")), ("0", "0"));
    assert_eq!(said(&back, "hash "), said(made, "hash "));
    assert!(said(&back, "written ").parse::<u64>().is_ok_and(|bytes| bytes > 2 * MIB), "what the client wrote");
    println!("all well: no member missing, mismatch_cnt 0, and the hash is that of what Linux wrote");
}

#[test]
fn an_array_of_linux_is_rebuilt_here_and_right_to_linux() {
    if skip() {
        return;
    }
    let (all, made) = made("demo");
    let folder = all[0].parent().expect("a folder");
    let mut system = System::start(folder, &[("m0", &all[0]), ("m2", &all[2]), ("spare", &all[3])]);
    let degraded = system.wait_for("degraded: ");
    assert!(degraded.contains("1 missing"), "{degraded}");
    system.wait_for("verified: ");
    println!("3. Orion: the operator adds the empty disk, and the array is rebuilt on it");
    system.orion(&["ctl", "raid", "data", "add", "spare"]);
    system.wait_for("complete: 0 m0, 1 spare, 2 m2");
    system.orion(&["health"]);
    assert!(system.orion(&["ctl", "raid", "data", "check"]).ends_with("check: done, 0 sectors differed\n"));
    system.end();
    right_to_linux(&all, &made);
}

/// The same on seL4: the operator sits at the serial console.
#[test]
fn an_array_of_linux_is_rebuilt_on_sel4_and_right_to_linux() {
    if skip() || orion_boot_tests::skip() {
        return;
    }
    let (all, made) = made("demo-sel4");
    let [m0, m2, spare] = [0, 2, 3].map(|number: usize| all[number].display());
    let system = all[0].with_file_name("system.xml");
    let options = format!("--board qemu_virt_aarch64 --demo --disk m0={m0} --disk m2={m2} --disk spare={spare}");
    let mut typist = Typist::boot(system.to_str().expect("text"), &options);
    let degraded = typist.wait_for("degraded: ");
    assert!(degraded.contains("1 missing"), "{degraded}");
    typist.wait_for("verified: ");
    println!("3. Orion: the operator adds the empty disk, and the array is rebuilt on it");
    typist.types("ctl raid data add spare");
    typist.wait_for("complete: 0 m0, 1 spare, 2 m2");
    // When that is done the superblocks have long said so, and that the array is clean.
    typist.types("ctl raid data check");
    typist.wait_for("complete: 0 m0, 1 spare, 2 m2; check");
    typist.wait_for("complete: 0 m0, 1 spare, 2 m2");
    drop(typist);
    right_to_linux(&all, &made);
}
