// SPDX-License-Identifier: MIT
//! Who may depend on whom. Arrows point down only: pds -> {pd, engines} -> layer -> block; tools and tests stand above.
use crate::none;
use crate::tree::{File, files};
use std::collections::BTreeMap;

/// The libraries below the engines: all that each may name of ours.
const BELOW: &[(&str, &[&str])] = &[
    ("block", &[]),
    ("region", &["block"]),
    ("ring", &["block", "region"]),
    ("layer", &["block"]),
    ("metrics", &["region"]),
    ("driver", &["block", "layer", "metrics", "region"]),
    ("pd", &["block", "region", "ring", "layer", "metrics"]),
];
/// What every other library in shared/ is: an engine, a format or a policy. It never names a ring, a PD or a world.
const ENGINE: &[&str] = &["block", "layer", "caps", "audit", "metrics", "control", "driver"];
/// What an engine may name beyond that, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("virtio", "region"),   // its queues lie in DMA memory and its registers are a device's
    ("virtio", "pci"),      // one of its transports
    ("scsi", "region"),     // its own payloads lie in DMA memory
    ("virtio", "scsi"),     // what its SCSI host adapter carries
    ("pci", "region"),      // a function's registers are a device's
    ("nvme", "region"),     // as virtio's
    ("ahci", "region"),     // as virtio's
    ("am53c974", "region"), // as virtio's
    ("am53c974", "scsi"),   // what its bus carries
    ("raid", "parity"),     // the arithmetic of P and Q
    ("control", "region"),  // its two pages are shared memory
    ("audit", "region"),    // so is its ring
];

/// A package: its folder, and the folders of ours that it depends on outside its tests.
#[derive(Debug)]
struct Package {
    folder: String,
    needs: Vec<String>,
}

/// The packages among the manifests; names of ours are translated to folders.
fn packages(manifests: &[File]) -> Vec<Package> {
    let name = |text: &str| text.lines().find_map(|l| Some(l.strip_prefix("name = \"")?.strip_suffix('"')?.to_owned()));
    let folder = |path: &str| path.strip_suffix("/Cargo.toml").map(str::to_owned);
    let packages = manifests.iter().filter_map(|f| Some((name(&f.text)?, folder(&f.path)?)));
    let folders: BTreeMap<String, String> = packages.collect();
    let needs = |f: &File| dependencies(&f.text).filter_map(|d| folders.get(&d).cloned()).collect();
    let named = manifests.iter().filter_map(|f| Some(Package { folder: folder(&f.path)?, needs: needs(f) }));
    named.collect()
}

/// The names under `[dependencies]` and `[target.*.dependencies]`.
fn dependencies(manifest: &str) -> impl Iterator<Item = String> {
    let mut within = false;
    let lines = manifest.lines().filter_map(move |line| {
        if line.starts_with('[') {
            within = line == "[dependencies]" || line.starts_with("[target.") && line.ends_with(".dependencies]");
            return None;
        }
        let name = line.split(['.', '=']).next()?.trim();
        (within && !name.is_empty() && !name.starts_with('#')).then(|| name.to_owned())
    });
    lines.collect::<Vec<_>>().into_iter()
}

/// Why `from` may not depend on `to`; both are folders.
fn forbidden(from: &str, to: &str) -> Option<String> {
    let (room, name) = from.split_once('/')?;
    let (other_room, other) = to.split_once('/')?;
    let below = BELOW.iter().find(|(n, _)| *n == name);
    let fine = match (room, other_room) {
        ("shared", "shared") => match below {
            Some((_, needs)) => needs.contains(&other),
            None => ENGINE.contains(&other) || EXCEPTIONS.contains(&(name, other)),
        },
        ("pds", "shared") | ("tools", "shared" | "pds" | "tools") | ("tests", _) => true,
        // The seL4 binaries are a manifest of their own that makes each PD's library a program.
        ("pds", "pds") => name == "sel4" || name == "stack" || matches!(other, "driver" | "layer"),
        _ => false,
    };
    (!fine).then(|| format!("{from}/Cargo.toml: depends on {to}; see tests/tidy/src/layering.rs for what it may"))
}

fn problems(manifests: &[File]) -> Vec<String> {
    let of = |p: Package| p.needs.into_iter().filter_map(move |to| forbidden(&p.folder, &to)).collect::<Vec<_>>();
    packages(manifests).into_iter().flat_map(of).collect()
}

#[test]
fn dependencies_point_down() {
    let manifests: Vec<File> = files().into_iter().filter(|f| f.path.ends_with("/Cargo.toml")).collect();
    assert!(
        packages(&manifests).iter().filter(|p| !p.needs.is_empty()).count() > 10,
        "the manifests were not understood"
    );
    none(problems(&manifests));
}

#[test]
fn a_wrong_dependency_is_seen() {
    let manifest = |folder: &str, needs: &str| {
        let name = folder.rsplit('/').next().unwrap();
        File::new(&format!("{folder}/Cargo.toml"), &format!("[package]\nname = \"{name}\"\n[dependencies]\n{needs}"))
    };
    let tree = [
        manifest("shared/block", "region.workspace = true"),
        manifest("shared/region", ""),
        manifest("shared/nbd", "ring = { path = \"../ring\" }"),
        manifest("shared/virtio", "region.workspace = true\nblock.workspace = true"),
        manifest("shared/ring", "[dev-dependencies]\nhost.workspace = true"),
        manifest("pds/demo", "host.workspace = true\n[target.'cfg(unix)'.dependencies]\nserial.workspace = true"),
        manifest("pds/serial", "ring.workspace = true"),
        manifest("tools/host", "demo.workspace = true"),
    ];
    let found: Vec<_> = problems(&tree).iter().map(|p| p.split(';').next().unwrap().to_owned()).collect();
    let expected = [
        "shared/block/Cargo.toml: depends on shared/region",
        "shared/nbd/Cargo.toml: depends on shared/ring",
        "pds/demo/Cargo.toml: depends on tools/host",
        "pds/demo/Cargo.toml: depends on pds/serial",
    ];
    assert_eq!(found, expected);
}

#[test]
fn members_take_the_workspaces_lints() {
    let manifests = files().into_iter().filter(|f| f.path.ends_with("/Cargo.toml") && !f.path.starts_with("pds/sel4"));
    let without = manifests.filter(|f| !f.text.contains("[lints]\nworkspace = true"));
    none(without.map(|f| format!("{}: lacks `[lints]` with `workspace = true`", f.path)).collect());
}
