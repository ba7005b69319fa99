// SPDX-License-Identifier: MIT
//! Runs the tests on each bug.
use crate::{BUGS, root};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// The group of each crate's own tests: of a bug's crate alone.
const OWN: &str = "own tests";

/// A test program: its package, its name, and a filter of its tests.
pub type Program = (&'static str, &'static str, &'static str);

/// What is run, by name.
pub const GROUPS: [(&str, &[Program]); 4] = [
    ("contract", &[("orion-contract", "devices", ""), ("orion-contract", "raid", ""), ("orion-sim", "contract", "")]),
    (
        "simulator",
        &[
            ("orion-sim", "checks", "what_was_acknowledged"),
            ("orion-sim", "worlds", ""),
            ("orion-sim", "partitions", ""),
            ("orion-sim", "lives", ""),
            ("orion-sim", "ways", ""),
        ],
    ),
    ("fuzz corpus", &[("orion-fuzz", "corpus", "")]),
    (
        OWN,
        &[
            ("orion-ring", "orion_ring", ""),
            ("orion-ring", "exchange", ""),
            ("orion-ring", "hostile", ""),
            ("orion-ring", "lives", ""),
            ("orion-layer", "orion_layer", ""),
            ("orion-caps", "orion_caps", ""),
            ("orion-gpt", "orion_gpt", ""),
            ("orion-nbd", "orion_nbd", ""),
            ("orion-pd", "orion_pd", ""),
            ("orion-ahci", "orion_ahci", ""),
            ("orion-virtio", "orion_virtio", ""),
            ("orion-virtio-blk", "orion_virtio_blk", ""),
            ("orion-driver-pd", "orion_driver_pd", ""),
            ("orion-layer-pd", "orion_layer_pd", ""),
            ("orion-nvme", "orion_nvme", ""),
            ("orion-multipath", "orion_multipath", ""),
            ("orion-multipath-pd", "orion_multipath_pd", ""),
            ("orion-raid", "orion_raid", ""),
            ("orion-am53c974", "orion_am53c974", ""),
        ],
    ),
];

/// What no test takes but one that hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Test programs by package and name.
pub type Programs = BTreeMap<(String, String), PathBuf>;

/// Builds the tests in the copy.
///
/// # Errors
/// It can't be built.
pub fn build(tree: &Path, target: &Path) -> Result<Programs, String> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["test", "--no-run", "--quiet", "--message-format=json-render-diagnostics"]).current_dir(tree);
    command.env("CARGO_TARGET_DIR", target).env_remove("ORION_BUG").stderr(Stdio::inherit());
    // It is built once: what would make a second build faster takes time and gigabytes.
    command.env("CARGO_INCREMENTAL", "0");
    // What is built is what the bugs make of it: warnings about that help nobody.
    command.env("RUSTFLAGS", "-Awarnings");
    let mut packages: Vec<&str> = GROUPS.iter().flat_map(|(_, programs)| programs.iter().map(|p| p.0)).collect();
    packages.sort_unstable();
    packages.dedup();
    command.args(packages.iter().flat_map(|package| ["--package", package]));
    let output = command.output().map_err(|error| format!("cargo: {error}"))?;
    if !output.status.success() {
        return Err(format!("the tree with the bugs does not build; see {}", tree.display()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let programs = messages.filter_map(|message| {
        let path = message["executable"].as_str()?;
        let manifest = Path::new(message["manifest_path"].as_str()?).strip_prefix(tree).ok()?;
        let name = message["target"]["name"].as_str()?;
        Some(((package(manifest.to_str()?), name.to_owned()), PathBuf::from(path)))
    });
    Ok(programs.collect())
}

/// Whether a test program fails, or hangs, with a bug on; none where `bug` is `None`. It ends with the first test that fails.
///
/// # Errors
/// It can't be run.
pub fn fails(programs: &Programs, tree: &Path, of: &Program, bug: Option<usize>) -> Result<bool, String> {
    let (package, name, filter) = *of;
    let key = (package.to_owned(), name.to_owned());
    let program = programs.get(&key).ok_or_else(|| format!("no test program {name} of {package}"))?;
    let folder = tree.join("tests").join(package.trim_start_matches("orion-"));
    let folder = if folder.is_dir() { folder } else { tree.to_owned() };
    let mut command = Command::new(program);
    command.args(Some(filter).filter(|f| !f.is_empty())).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command.env("PROPTEST_RNG_SEED", "1").env("PROPTEST_MAX_SHRINK_ITERS", "0");
    command.env("RUST_BACKTRACE", "0").envs(bug.map(|number| ("ORION_BUG", number.to_string())));
    let mut child = command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
    let passed = child.stdout.take().is_some_and(all_pass);
    if !passed {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok(!passed || !status.success())
}

/// Whether the tests whose results come in here pass, all of them and in time: not as soon as one of them does not.
fn all_pass(results: impl Read + Send + 'static) -> bool {
    let (line, lines) = mpsc::channel();
    // It ends with what it reads, at the latest when the program is killed.
    thread::spawn(move || {
        let results = BufReader::new(results).lines().map_while(Result::ok);
        results.for_each(|result| drop(line.send(result)));
    });
    let end = Instant::now() + PATIENCE;
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(result) if result.starts_with("test ") && result.ends_with(" FAILED") => return false,
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => return false,
            Err(RecvTimeoutError::Disconnected) => return true,
        }
    }
}

/// The package of a file: named like its folder, and a PD like its engine where there is one of the same name.
fn package(file: &str) -> String {
    let (room, folder) =
        file.split_once('/').map_or(("", ""), |(room, rest)| (room, rest.split('/').next().unwrap_or("")));
    let pd = room == "pds" && root().join("shared").join(folder).is_dir();
    format!("orion-{folder}{}", if pd { "-pd" } else { "" })
}

/// The package whose own tests a bug in this file is a matter of.
fn own_package(file: &str) -> String {
    match package(file) {
        // Splitting a request is tried where requests are split.
        block if block == "orion-block" => "orion-layer".into(),
        // SCSI commands are, where something carries them.
        scsi if scsi == "orion-scsi" => "orion-virtio".into(),
        own => own,
    }
}

/// The groups of tests that catch a bug; unless `all` are asked, the first of them that does, the cheapest asked first.
///
/// # Errors
/// A test program can't be run.
pub fn caught(programs: &Programs, tree: &Path, bug: Option<usize>, all: bool) -> Result<Vec<&'static str>, String> {
    let mut by = Vec::new();
    let [others @ .., own] = GROUPS;
    let cheap = [own].into_iter().chain(others);
    for (group, of) in if all { GROUPS.into_iter().collect::<Vec<_>>() } else { cheap.collect() } {
        if !all && !by.is_empty() {
            break;
        }
        for program in of {
            let foreign = bug.is_some_and(|number| program.0 != own_package(BUGS[number].file));
            if group == OWN && foreign {
                continue;
            }
            if fails(programs, tree, program, bug)? {
                by.push(group);
                break;
            }
        }
    }
    Ok(by)
}
