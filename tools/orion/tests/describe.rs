// SPDX-License-Identifier: MIT
//! `orion check`, `sdf` and `graph` as a user meets them: exit codes, messages, files.
#![allow(clippy::unwrap_used, reason = "tests")]
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const DEFAULT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../system.xml");

/// Runs `orion` and gives what it said.
fn orion(arguments: &[&str]) -> (Output, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_orion")).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    (output, out, err)
}

/// An empty folder for one test.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn a_good_system_is_in_order_and_can_be_explained() {
    let (output, out, err) = orion(&["check", DEFAULT, "--explain"]);
    assert!(output.status.success() && err.is_empty(), "{err}");
    for wanted in
        ["== host", "== x86_64_generic", "Grants", "gatekeeper", "16 MiB  read write flush", "in order for host"]
    {
        assert!(out.contains(wanted), "{wanted}\n{out}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place_and_the_exit_code() {
    let file = folder("wrong").join("wrong.xml");
    std::fs::write(&file, "<system xmlns:orion=\"urn:orion-storage:1\">\n  <orion:disk name=\"d0\"/>\n</system>\n")
        .unwrap();
    let (output, _, err) = orion(&["check", file.to_str().unwrap()]);
    assert!(!output.status.success());
    let expected =
        format!("{}:2:3: <orion:disk> has no attribute \"bus\"; add bus=\"...\"\n1 problem found\n", file.display());
    assert_eq!(err, expected);
}

#[test]
fn warnings_are_told_from_errors_and_fail_where_that_is_wanted() {
    let odd = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/xml/odd/flush-without-write.xml");
    let (output, out, err) = orion(&["check", odd]);
    assert!(output.status.success(), "{err}");
    assert!(
        err.ends_with("remove \"flush\", or add \"write\"\n") && err.contains(":6:62: warning: the right"),
        "{err}"
    );
    assert!(out.ends_with(": in order for host, qemu_virt_aarch64, x86_64_generic, with 1 warning\n"), "{out}");
    let (output, again, _) = orion(&["check", odd, "--strict"]);
    assert!(!output.status.success() && again == out, "{again}");
    assert!(orion(&["check", DEFAULT, "--strict"]).0.status.success());
}

#[test]
fn a_file_that_is_missing_or_no_text_is_named() {
    let (output, _, err) = orion(&["check", "no/such.xml"]);
    assert!(!output.status.success() && err.starts_with("no/such.xml: cannot be read"), "{err}");
    let file = folder("binary").join("system.xml");
    std::fs::write(&file, [0xff, 0xfe, 0x00]).unwrap();
    let (output, _, err) = orion(&["check", file.to_str().unwrap()]);
    assert!(!output.status.success() && err.contains("is not UTF-8"), "{err}");
}

#[test]
fn a_system_for_one_board_is_in_order_with_a_note_on_the_others() {
    let file = folder("one-board").join("system.xml");
    let pd = "<protection_domain name=\"a\"> <program_image path=\"a.elf\"/> <irq irq=\"33\" id=\"0\"/> </protection_domain>";
    std::fs::write(&file, format!("<system>\n{pd}\n</system>\n")).unwrap();
    let (output, out, err) = orion(&["check", file.to_str().unwrap()]);
    assert!(output.status.success() && out.contains("in order for qemu_virt_aarch64\n"), "{out}{err}");
    assert!(err.contains("not for the board host"), "{err}");
    let (output, _, _) = orion(&["check", file.to_str().unwrap(), "--board", "x86_64_generic"]);
    assert!(!output.status.success());
}

#[test]
fn a_description_comes_with_every_file_that_it_names() {
    let folder = folder("sdf");
    let (output, _, err) =
        orion(&["sdf", DEFAULT, "--board", "x86_64_generic", "--iommu", "-o", folder.to_str().unwrap()]);
    assert!(output.status.success(), "{err}");
    let text = std::fs::read_to_string(folder.join("orion.system")).unwrap();
    let named: Vec<&str> = text.split("prefill_path=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert_eq!(
        named,
        [
            "blk_d0.bin",
            "demo.bin",
            "gatekeeper.bin",
            "manager.bin",
            "reader.bin",
            "serial.bin",
            "supervisor.bin",
            "tick.bin"
        ]
    );
    for name in named {
        let length = std::fs::metadata(folder.join(name)).unwrap().len();
        assert!(length > 0 && length.is_multiple_of(4096), "{name}: {length} bytes");
    }
    let (output, _, err) = orion(&["sdf", DEFAULT, "--board", "host"]);
    assert!(!output.status.success() && err.contains("orion run"), "{err}");
}

#[test]
fn a_picture_is_written_where_it_is_wanted() {
    let file = folder("graph").join("deep/er/system.svg");
    let (output, _, err) = orion(&["graph", DEFAULT, "-o", file.to_str().unwrap()]);
    assert!(output.status.success(), "{err}");
    assert!(std::fs::read_to_string(file).unwrap().starts_with("<svg "));
    let (output, _, err) = orion(&["graph", DEFAULT, "-o", "/proc/no/picture.svg"]);
    assert!(!output.status.success() && err.contains("cannot be written"), "{err}");
}
