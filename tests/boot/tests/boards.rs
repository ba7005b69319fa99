// SPDX-License-Identifier: MIT
//! The default system, one that uses more of the boards, and one that cannot work, on seL4 in QEMU.
use orion_boot_tests::{Boot, boot, orion, partition, skip};
use std::fs::{self, File};
use std::ops::Range;
use std::path::Path;

/// Boots the default system; its demo must have verified what it wrote, and been refused what it may not do.
fn verifies(options: &str) {
    if skip() {
        return;
    }
    let boot = boot("system.xml", options);
    assert!(boot.passed, "{options}: no good verdict");
    assert_verified(&boot, "demo");
    for beyond in ["one past the end of the grant", "without the right to discard", "a window that was never granted"] {
        let denied = boot.console.lines().any(|line| line.starts_with("demo: denied: ") && line.contains(beyond));
        assert!(denied, "{options}: {beyond}");
    }
    for lent in [
        "gatekeeper: demo gave window 1 of reader 16 blocks with the rights: read",
        "reader: read: 128 blocks of 512 bytes that demo lent (window 1) hold what demo wrote",
        "gatekeeper: demo: Revoke of window 1 of reader: 1 capability",
        "reader: denied: read of window 1, which demo has taken back",
    ] {
        assert_eq!(boot.lines(lent), 1, "{options}: {lent}");
    }
}

fn assert_verified(boot: &Boot, client: &str) {
    let verdict = format!("{client}: verified: 16 MiB written, flushed, read back and equal");
    assert_eq!(boot.lines(&verdict), 1, "{client}");
}

/// A volume on each bus that there is a driver for, each verified by a client of its own.
fn every_bus(options: &str) {
    if skip() {
        return;
    }
    let boot = boot("docs/examples/every-bus.xml", options);
    assert!(boot.passed, "{options}: no good verdict");
    let text = include_str!("../../../docs/examples/every-bus.xml");
    let clients: Vec<&str> =
        text.split("<orion:grant client=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(clients.len() >= 3);
    for client in clients {
        assert_eq!(
            boot.lines(&format!("{client}: verified: 4 MiB written, flushed, read back and equal")),
            1,
            "{client}"
        );
    }
}

#[test]
fn a_volume_on_each_bus_aarch64() {
    every_bus("--board qemu_virt_aarch64 --config release");
}

#[test]
fn a_volume_on_each_bus_x86_64() {
    every_bus("--board x86_64_generic --config release");
}

#[test]
fn a_volume_on_each_bus_x86_64_behind_an_iommu() {
    every_bus("--board x86_64_generic --config release --iommu");
}

/// An array on three disks, whose images are made for it.
fn array(options: &str) {
    if skip() {
        return;
    }
    let boot = boot("docs/examples/raid.xml", options);
    assert!(boot.passed, "{options}: no good verdict");
    assert_eq!(boot.lines("demo: verified: 4 MiB written, flushed, read back and equal"), 1, "{options}");
    assert_eq!(boot.lines("raid_data: data: RAID 5 of 3, "), 1, "{options}");
    array_without_a_disk(options);
}

/// The same without one of its disks, for which there is an empty one; what was written then is rebuilt onto that here, and
/// parity must follow from it.
#[expect(clippy::expect_used, reason = "a test ends where its surroundings fail")]
fn array_without_a_disk(options: &str) {
    let folder =
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(if options.contains("x86") { "raid-x86" } else { "raid-arm" });
    fs::create_dir_all(&folder).expect("a folder");
    let disks = ["m0", "m1", "m2"].map(|name| folder.join(name).display().to_string());
    let empty = |disk: &String| File::create(disk).and_then(|file| file.set_len(16 << 20)).expect("a sparse file");
    disks.iter().for_each(empty);
    let [m0, m1, m2] = disks.each_ref().map(String::as_str);
    let (made, said) = orion(&["raid", "create", "--level=5", "-n", "3", "--name=data", "--assume-clean", m0, m1, m2]);
    assert!(made, "{said}");
    empty(&disks[1]);
    let boot =
        boot("docs/examples/raid.xml", &format!("{options} --demo --disk m0={m0} --disk m1={m1} --disk m2={m2}"));
    assert!(boot.passed, "{options}: no good verdict");
    assert_eq!(boot.lines("raid_data: degraded: 0 m0, 1 missing, 2 m2"), 1, "{options}");
    assert_eq!(boot.lines("demo: verified: 4 MiB written, flushed, read back and equal"), 1, "{options}");
    let (added, said) = orion(&["raid", "add", "--device", m1, m0, m2]);
    assert!(added, "{said}");
    let (checked, said) = orion(&["raid", "check", m0, m1, m2]);
    assert!(checked && said.contains("mismatch_cnt 0"), "{said}");
}

#[test]
fn an_array_aarch64() {
    array("--board qemu_virt_aarch64 --config release");
}

#[test]
fn an_array_x86_64() {
    array("--board x86_64_generic --config release");
}

/// Two controllers of one subsystem of QEMU's, and its one namespace.
#[test]
fn one_disk_behind_two_controllers_aarch64() {
    if skip() {
        return;
    }
    let boot = boot("docs/examples/multipath.xml", "--board qemu_virt_aarch64 --config release");
    assert!(boot.passed && boot.console.contains("multipath_vault: 2 of 2 ways to "), "{}", boot.console);
    assert_verified(&boot, "demo");
}

#[test]
fn aarch64_release() {
    verifies("--board qemu_virt_aarch64 --config release");
}

#[test]
fn aarch64_debug() {
    verifies("--board qemu_virt_aarch64 --config debug");
}

#[test]
fn x86_64_release() {
    verifies("--board x86_64_generic --config release");
}

#[test]
fn x86_64_debug() {
    verifies("--board x86_64_generic --config debug");
}

#[test]
fn x86_64_release_behind_an_iommu() {
    verifies("--board x86_64_generic --config release --iommu");
}

#[test]
fn x86_64_debug_behind_an_iommu() {
    verifies("--board x86_64_generic --config debug --iommu");
}

/// What the gatekeeper refused and changed is on the disk's image once QEMU has ended; and a second boot goes on behind it.
#[test]
fn the_audit_of_a_boot_is_whole() {
    if skip() {
        return;
    }
    for board in ["qemu_virt_aarch64", "x86_64_generic", "x86_64_generic --iommu"] {
        let disk = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("audit-{}.img", board.replace(' ', "")));
        let file = File::create(&disk).and_then(|file| file.set_len(64 << 20));
        file.expect("a sparse file");
        for starts in 1..=2 {
            let options = format!("--board {board} --demo --disk d0={}", disk.display());
            let boot = boot("docs/examples/audit.xml", &options);
            assert!(boot.passed, "{board}: no good verdict");
            let (verified, said) = orion(&["audit", "verify", &disk.display().to_string()]);
            assert!(verified && said.contains(" records, whole; head "), "{board}: {said}");
            let (_, shown) = orion(&["audit", "show", &disk.display().to_string()]);
            let lines = |text: &str| shown.lines().filter(|line| line.contains(text)).count();
            assert_eq!(lines("the gatekeeper started with 3 grants"), starts, "{shown}");
            assert_eq!(lines("demo gave reader as window 1"), starts, "{shown}");
            assert!(lines("demo was refused: ") >= 5 * starts, "{shown}");
        }
    }
}

/// Two disks, on aarch64 one of them over PCI, with packed rings; two clients, one of which uses both disks.
#[test]
fn two_disks_and_two_clients() {
    if skip() {
        return;
    }
    for board in ["qemu_virt_aarch64", "x86_64_generic", "x86_64_generic --iommu"] {
        let boot = boot("tests/boot/systems/two-disks.xml", &format!("--board {board}"));
        assert!(boot.passed, "{board}: no good verdict");
        ["left", "right"].into_iter().for_each(|client| assert_verified(&boot, client));
        assert_eq!(boot.lines("2 queues, packed ring"), 1, "{board}");
    }
}

/// Two namespaces behind one NVMe controller: by message on both boards.
#[test]
fn the_namespaces_of_an_nvme_controller() {
    if skip() {
        return;
    }
    for board in ["qemu_virt_aarch64", "x86_64_generic", "x86_64_generic --iommu"] {
        let boot = boot("tests/boot/systems/nvme.xml", &format!("--board {board}"));
        assert!(boot.passed, "{board}: no good verdict");
        ["left", "right"].into_iter().for_each(|client| assert_verified(&boot, client));
        assert_eq!(boot.lines("n1: NVMe 1.4, QEMU NVMe Ctrl, "), 1, "{board}");
    }
}

/// Two logical units behind one SCSI host: by message on both boards.
#[test]
fn the_logical_units_of_a_virtio_scsi_host() {
    if skip() {
        return;
    }
    for board in ["qemu_virt_aarch64", "x86_64_generic", "x86_64_generic --iommu"] {
        let boot = boot("tests/boot/systems/virtio-scsi.xml", &format!("--board {board}"));
        assert!(boot.passed, "{board}: no good verdict");
        ["left", "right"].into_iter().for_each(|client| assert_verified(&boot, client));
        assert_eq!(boot.lines("s1: virtio-scsi, target 1, logical unit 0: QEMU QEMU HARDDISK"), 1, "{board}");
        assert_eq!(boot.lines(", 2 queues"), 2, "{board}: one line for each unit");
    }
}

/// Whether every block of these bytes of an image was written, or, if not `written`, none.
fn all(image: &[u8], mib: Range<usize>, written: bool) -> bool {
    let part = image.get(mib.start << 20..mib.end << 20).unwrap_or_default();
    !part.is_empty() && part.chunks(4096).all(|block| block.iter().any(|&byte| byte != 0) == written)
}

/// Two disks with a GPT each; four clients, each with a partition: on one disk the layer is a PD, on the other it runs in
/// the driver's.
#[test]
fn several_partitions_to_several_clients_split_and_fused() {
    if skip() {
        return;
    }
    for board in ["qemu_virt_aarch64", "x86_64_generic --iommu"] {
        // Of 16 MiB: 1 to 5, 5 to 8, 8 to 13.
        let disks = ["gpt-split.img", "gpt-fused.img"].map(|disk| Path::new(env!("CARGO_TARGET_TMPDIR")).join(disk));
        disks.iter().for_each(|disk| partition(disk, "size=4M, name=boot\nsize=3M\nsize=5M, name=root\n"));
        let before = disks.each_ref().map(|disk| fs::read(disk).unwrap_or_default());
        let [d0, d1] = disks.each_ref().map(|disk| disk.display());
        let options = format!("--board {board} --demo --disk d0={d0} --disk d1={d1}");
        let boot = boot("tests/boot/systems/partitions.xml", &options);
        assert!(boot.passed, "{board}: no good verdict");
        for client in ["one", "two", "three", "four"] {
            assert_eq!(boot.lines(&format!("{client}: verified: 4 MiB written")), 1, "{board}: {client}");
        }
        for (layer, first, second) in [("part_d0", "a", "b"), ("blk_d1", "c", "d")] {
            assert_eq!(boot.lines(&format!("{layer}: GPT with 3 partitions")), 1, "{board}");
            let line = format!("{layer}: volume {first}: partition 1 \"boot\", blocks 2048..10240");
            assert_eq!(boot.lines(&line), 1, "{board}: {line}");
            let line = format!("{layer}: volume {second}: partition 3 \"root\", blocks 16384..26624");
            assert_eq!(boot.lines(&line), 1, "{board}: {line}");
        }
        for (disk, before) in disks.iter().zip(&before) {
            let image = fs::read(disk).unwrap_or_default();
            assert!(all(&image, 1..5, true) && all(&image, 8..12, true), "{board}: what was granted");
            assert!(all(&image, 5..8, false) && all(&image, 12..15, false), "{board}: what was not");
            assert_eq!(image.get(..1 << 20), before.get(..1 << 20), "{board}: the table");
            assert_eq!(image.get(15 << 20..), before.get(15 << 20..), "{board}: its backup");
        }
    }
}

#[test]
fn a_grant_beyond_its_disk_is_a_failure_with_a_reason() {
    if skip() {
        return;
    }
    let disk = Path::new(env!("CARGO_TARGET_TMPDIR")).join("small.img");
    let file = File::create(&disk).and_then(|file| file.set_len(4 << 20));
    file.expect("a sparse file");
    let boot = boot("system.xml", &format!("--board x86_64_generic --demo --disk d0={}", disk.display()));
    assert!(!boot.passed);
    // Of the grant of each client.
    assert_eq!(boot.lines("reaches beyond its volume"), 2);
    assert!(boot.said.contains("the system failed: demo: failed: "));
}
