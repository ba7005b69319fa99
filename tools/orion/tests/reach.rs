// SPDX-License-Identifier: MIT
//! `orion reach` as a user meets it, and the table of the threat model, which is what it prints.
#![allow(clippy::unwrap_used, reason = "tests")]
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Runs `orion reach` in the repository: whether it succeeds, what it prints, what it says.
fn reach(arguments: &[&str]) -> (bool, String, String) {
    let mut orion = Command::new(env!("CARGO_BIN_EXE_orion"));
    let output = orion.arg("reach").args(arguments).current_dir(top()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.success(), text(output.stdout), text(output.stderr))
}

/// What stands between these lines of docs/threat-model.md is what `orion reach system.xml` prints. To bring it up to
/// date: `ORION_UPDATE=1 .ci/cargo test --package orion --test reach`.
#[test]
fn the_threat_model_is_that_of_the_default_system() {
    let (begin, end) = ("<!-- printed by `orion reach system.xml`: begin -->\n```text\n", "```\n<!-- end -->");
    let file = top().join("docs/threat-model.md");
    let text = std::fs::read_to_string(&file).unwrap();
    let (before, rest) = text.split_once(begin).unwrap();
    let (kept, after) = rest.split_once(end).unwrap();
    let (good, printed, said) = reach(&["system.xml"]);
    assert!(good, "{said}");
    if std::env::var_os("ORION_UPDATE").is_some() {
        std::fs::write(&file, format!("{before}{begin}{printed}{end}{after}")).unwrap();
        return;
    }
    let update =
        "docs/threat-model.md is of another system.xml: ORION_UPDATE=1 .ci/cargo test --package orion --test reach";
    assert!(kept == printed, "{update}\nkept:\n{kept}\nprinted:\n{printed}");
}

#[test]
fn one_protection_domain_on_one_board() {
    let (good, out, said) = reach(&["blk_d0", "--board", "qemu_virt_aarch64", "system.xml"]);
    assert!(good, "{said}");
    assert!(out.starts_with("== qemu_virt_aarch64: no SMMU: a device reaches all memory\n"), "{out}");
    assert!(out.contains("\nblk_d0 (virtio-blk.elf, derived, priority 240)\n") && out.contains("ALL MEMORY"), "{out}");
    assert!(!out.contains("\ngatekeeper ("), "{out}");
    let (good, out, said) = reach(&["blk_d0", "--board", "x86_64_generic", "--iommu"]);
    assert!(
        good && out.contains("the disk d0: reads and writes data_demo") && !out.contains("ALL MEMORY"),
        "{out}{said}"
    );
}

#[test]
fn the_same_as_json() {
    let (good, out, said) = reach(&["gatekeeper", "--board", "host", "--json"]);
    assert!(good, "{said}");
    let boards: Value = serde_json::from_str(&out).unwrap();
    let pd = boards.pointer("/0/pds/0").unwrap();
    let at = |pointer: &str| pd.pointer(pointer).unwrap();
    assert_eq!((at("/pd").as_str(), at("/derived").as_bool()), (Some("gatekeeper"), Some(true)));
    assert_eq!(at("/orders/0/driver"), "blk_d0");
    assert_eq!((at("/blocks/0/disk"), at("/blocks/0/blocks")), (&Value::from("d0"), &Value::Null));
    let (_, out, _) = reach(&["--json"]);
    let boards: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(boards.as_array().map(Vec::len), Some(4));
}

#[test]
fn mistakes_are_explained() {
    let (good, _, said) = reach(&["gatekeper"]);
    assert!(!good && said.contains("did you mean \"gatekeeper\"?"), "{said}");
    let (good, _, said) = reach(&["no.xml"]);
    assert!(!good && said.contains("no.xml: cannot be read"), "{said}");
    let (good, _, said) = reach(&["gatekeeper", "demo"]);
    assert!(!good && said.contains("name one protection domain and one file"), "{said}");
    let (good, _, said) = reach(&["--board", "host", "--iommu"]);
    assert!(!good && said.contains("has no IOMMU"), "{said}");
}
