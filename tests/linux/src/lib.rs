// SPDX-License-Identifier: MIT
//! A Debian kernel with its own tools in QEMU, to which our disks are shown, and which makes disks for us: `tests/linux/guest`
//! makes it from Debian's packages.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its surroundings fail")]
use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

mod system;
pub use system::System;

/// Seconds after which a guest hangs: many times what any job takes.
const PATIENCE: &str = "300";

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// Where the guest is, or why there is none.
static GUEST: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let folder = root().join("build/linux");
    let made =
        Command::new(root().join("tests/linux/guest")).arg(&folder).status().is_ok_and(|status| status.success());
    made.then_some(folder)
});

/// Whether no guest can be made here. Says so.
pub fn skip() -> bool {
    let none = GUEST.is_none();
    if none {
        // Not by the macro: what it prints is shown only where a test fails.
        let _ = writeln!(io::stderr(), "SKIPPED: tests/linux/guest made no guest; nothing was shown to Linux");
    }
    none
}

/// Empty disks of so many bytes, in a folder of this name that is made anew.
pub fn disks(name: &str, count: usize, bytes: u64) -> Vec<PathBuf> {
    let folder = root().join("build").join(format!("linux-{name}"));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder");
    let disk = |number: usize| {
        let path = folder.join(format!("{number}.img"));
        File::create(&path).and_then(|file| file.set_len(bytes)).expect("a sparse file");
        path
    };
    (0..count).map(disk).collect()
}

/// Boots the guest with `disks` as /dev/vdb and after, and has it run `job`, a shell script: what it printed.
///
/// # Panics
/// Where the guest does not end the job with success.
pub fn run(job: &str, disks: &[PathBuf]) -> String {
    let said = boot(job, disks);
    assert!(said.contains("guest: the job has ended: 0"), "the guest's job failed");
    said
}

/// The same for a job that calls `cut`, whereupon the machine loses its power: what it printed until then.
///
/// # Panics
/// Where the job ends before.
pub fn run_until_cut(job: &str, disks: &[PathBuf]) -> String {
    // The machine is reset at once, and QEMU ends instead of booting it again: nothing is flushed, what the kernel held is gone.
    let said = boot(&format!("cut() {{ echo cut; echo b >/proc/sysrq-trigger; sleep 60; }}\n{job}"), disks);
    assert!(said.contains("\ncut") && !said.contains("guest: the job has ended"), "the guest's power was not cut");
    said
}

/// As [`run`] of `before`, `job` and `after`, one after the other: the instructions that the whole machine executed for `job`, counted
/// by `tools/insns`, which lies beside `orion`.
///
/// # Panics
/// As `run`, and where nothing was counted.
pub fn counted(before: &str, job: &str, after: &str, disks: &[PathBuf]) -> u64 {
    let total = disks.first().and_then(|disk| disk.parent()).expect("a folder").join("count");
    fs::write(&total, [0; 8]).expect("a file of 8 bytes");
    let plugin = program().with_file_name("liborion_insns.so");
    let plugin = format!("{},count={}", plugin.display(), total.display());
    // The guest rests while it is looked how far the count is.
    let job = format!("{before}\necho count from here; sleep 1\n{job}\necho count to here; sleep 1\n{after}");
    let mut qemu = machine(&job, disks);
    let mut qemu =
        qemu.args(["-plugin", &plugin]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("QEMU runs");
    let (mut marks, mut ended) = (Vec::new(), false);
    for line in io::BufReader::new(qemu.stdout.take().expect("its console")).lines().map_while(Result::ok) {
        if line.starts_with("count ") {
            let count = fs::read(&total).ok().and_then(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
            marks.extend(count);
        }
        ended |= line.contains("guest: the job has ended: 0");
    }
    qemu.wait().expect("QEMU ends");
    assert!(ended, "the guest's job failed");
    match marks[..] {
        [from, to] if from > 0 => to - from,
        _ => panic!("nothing was counted; run `cargo build --release -p orion-insns` first"),
    }
}

/// The guest's machine.
fn machine(job: &str, disks: &[PathBuf]) -> Command {
    let folder = GUEST.as_ref().expect("a guest");
    let script = disks.first().and_then(|disk| disk.parent()).unwrap_or(folder).join("job");
    // The guest reads it as a disk, whose bytes are whole sectors.
    let padding = " ".repeat(511 - job.len() % 512);
    fs::write(&script, format!("{job}\n{padding}")).expect("a job");
    let mut qemu = Command::new("timeout");
    qemu.args([PATIENCE, "qemu-system-x86_64", "-cpu", "max", "-m", "768", "-nodefaults", "-no-reboot"]);
    qemu.args(["-display", "none", "-serial", "stdio", "-append", "console=ttyS0 quiet panic=-1 mitigations=off"]);
    qemu.arg("-kernel").arg(folder.join("vmlinuz")).arg("-initrd").arg(folder.join("initrd"));
    for (number, disk) in [&script].into_iter().chain(disks).enumerate() {
        let file = format!("file={},if=none,id=d{number},format=raw,cache=unsafe,discard=unmap", disk.display());
        qemu.args(["-drive", &file, "-device", &format!("virtio-blk-pci,drive=d{number}")]);
    }
    qemu
}

/// Boots the guest: what it printed.
fn boot(job: &str, disks: &[PathBuf]) -> String {
    let Output { stdout, stderr, .. } = machine(job, disks).stdin(Stdio::null()).output().expect("QEMU runs");
    let said = String::from_utf8_lossy(&stdout).replace('\r', "");
    println!("{said}{}", String::from_utf8_lossy(&stderr));
    said
}

/// Runs `orion` with these arguments: what it wrote to standard output.
///
/// # Panics
/// Where it fails.
pub fn orion(arguments: &[&str], images: &[PathBuf]) -> Vec<u8> {
    let Output { status, stdout, stderr } =
        Command::new(program()).args(arguments).args(images).output().expect("orion runs");
    assert!(status.success(), "orion {arguments:?}: {}", String::from_utf8_lossy(&stderr));
    stdout
}

/// Runs `orion` with these arguments and this standard input.
///
/// # Panics
/// Where it fails.
pub fn feed(arguments: &[&str], images: &[PathBuf], input: &[u8]) {
    let mut orion = Command::new(program());
    orion.args(arguments).args(images).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut orion = orion.spawn().expect("orion runs");
    let fed = orion.stdin.take().map(|mut stdin| stdin.write_all(input));
    let status = orion.wait().expect("orion ends");
    assert!(fed.is_some_and(|fed| fed.is_ok()) && status.success(), "orion {arguments:?}");
}

/// Runs `orion` with these arguments and this standard input; whether it succeeds.
pub fn try_feed(arguments: &[&str], images: &[PathBuf], input: &[u8]) -> bool {
    let mut orion = Command::new(program());
    orion.args(arguments).args(images).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut orion = orion.spawn().expect("orion runs");
    // It may end before it has read everything.
    let _ = orion.stdin.take().map(|mut stdin| stdin.write_all(input));
    orion.wait().expect("orion ends").success()
}

/// Sectors that say where they are: each its own number, again and again.
pub fn pattern(bytes: u64) -> Vec<u8> {
    (0..bytes / 512).flat_map(|sector| [(sector + 1).to_le_bytes(); 64]).flatten().collect()
}

/// The command under test: of ORION, else beside this test.
///
/// # Panics
/// Where it is not built.
pub fn program() -> PathBuf {
    let named = env::var_os("ORION").filter(|orion| !orion.is_empty()).map(|orion| root().join(orion));
    let test = env::current_exe().expect("the path of this test");
    let beside = test.ancestors().nth(3).map(|target| target.join("release/orion"));
    let found = [named, beside].into_iter().flatten().find(|path| path.is_file());
    found.expect("target/release/orion; run `make build` first")
}
