// SPDX-License-Identifier: MIT
//! Boots whole systems on seL4 in QEMU with `orion qemu`, and reads what their consoles say. The command waits for the
//! verdict and ends QEMU; nothing here looks at a clock.
#![expect(clippy::expect_used, clippy::panic, reason = "a test ends where its surroundings fail")]
use std::env;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Lines, Write};
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::{Condvar, LazyLock, Mutex, PoisonError};
use std::thread;

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository")
}

/// Whether there is a Microkit SDK. Says so where there is none.
pub fn skip() -> bool {
    let home = env::var_os("HOME").map(|home| PathBuf::from(home).join("microkit-sdk"));
    let sdk = env::var_os("MICROKIT_SDK").filter(|sdk| !sdk.is_empty()).map(PathBuf::from).or(home);
    let found = sdk.is_some_and(|sdk| sdk.join("board").is_dir());
    if !found {
        // Not by the macro: what it prints is shown only where a test fails.
        let _ = writeln!(
            io::stderr(),
            "SKIPPED: no Microkit SDK: neither MICROKIT_SDK nor ~/microkit-sdk names one; nothing was booted"
        );
    }
    !found
}

/// Runs `orion` with these arguments: whether it succeeded, and what it printed.
pub fn orion(arguments: &[&str]) -> (bool, String) {
    let output = Command::new(program()).args(arguments).stdin(Stdio::null()).output().expect("orion runs");
    (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The command under test: of ORION, else beside this test.
fn program() -> PathBuf {
    let named = env::var_os("ORION").filter(|orion| !orion.is_empty()).map(|orion| root().join(orion));
    let test = env::current_exe().expect("the path of this test");
    let beside = test.ancestors().nth(3).map(|target| target.join("release/orion"));
    let found = [named, beside].into_iter().flatten().find(|path| path.is_file());
    found.expect("target/release/orion; run `make build` first")
}

/// Makes an image of 16 MiB with a GPT of these partitions, in the words of sfdisk, in place of what was there.
pub fn partition(image: &Path, partitions: &str) {
    let _ = fs::remove_file(image);
    File::create(image).and_then(|file| file.set_len(16 << 20)).expect("a sparse file");
    let paths = format!("{}:/usr/sbin:/sbin", env::var("PATH").unwrap_or_default());
    let mut sfdisk = Command::new("sfdisk");
    sfdisk.arg("-q").arg(image).env("PATH", paths).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = sfdisk.spawn().expect("sfdisk (Debian: fdisk)");
    let script = format!("label: gpt\n{partitions}");
    child.stdin.take().expect("its input").write_all(script.as_bytes()).expect("sfdisk reads");
    assert!(child.wait().expect("sfdisk ends").success(), "sfdisk made no table");
}

/// How a boot ended.
#[derive(Debug)]
pub struct Boot {
    /// Whether the command said that all is well.
    pub passed: bool,
    /// The console.
    pub console: String,
    /// What the command said.
    pub said: String,
}

impl Boot {
    /// Lines of the console with `text` in them.
    pub fn lines(&self, text: &str) -> usize {
        self.console.lines().filter(|line| line.contains(text)).count()
    }
}

/// Folders to boot from that nobody boots from now: one for each processor. What boots has images and disks there, and QEMU one
/// processor for itself.
static FREE: LazyLock<(Mutex<Vec<usize>>, Condvar)> = LazyLock::new(|| {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    (Mutex::new((0..processors).collect()), Condvar::new())
});

/// A folder that is ours to boot from.
#[derive(Debug)]
struct Place(usize);

impl Place {
    /// The next one that is free.
    fn take() -> Self {
        let (free, freed) = &*FREE;
        let mut free = free.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match free.pop() {
                Some(number) => return Self(number),
                None => free = freed.wait(free).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }

    fn path(&self) -> PathBuf {
        root().join(format!("build/boot-{}", self.0))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let (free, freed) = &*FREE;
        free.lock().unwrap_or_else(PoisonError::into_inner).push(self.0);
        freed.notify_one();
    }
}

/// Boots `system`, a path below the repository, with the options `options` of `orion qemu`.
pub fn boot(system: &str, options: &str) -> Boot {
    let place = Place::take();
    let mut qemu = Command::new(program());
    qemu.args(["qemu", system]).args(options.split_whitespace()).arg("--output").arg(place.path());
    qemu.stdin(Stdio::null()).current_dir(root());
    let Output { status, stdout, stderr } = qemu.output().expect("orion runs");
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let boot = Boot { passed: status.success(), console: text(stdout), said: text(stderr) };
    println!("orion qemu {system} {options}\n{}{}", boot.said, boot.console);
    boot
}

/// A system that runs, with somebody at its console. It ends with this.
#[derive(Debug)]
pub struct Typist {
    child: Child,
    keys: ChildStdin,
    console: Lines<BufReader<ChildStdout>>,
    /// What the console said.
    pub said: Vec<String>,
    _place: Place,
}

impl Typist {
    /// Boots `system` as [`boot`] does, and sits down at its console.
    pub fn boot(system: &str, options: &str) -> Self {
        let place = Place::take();
        let mut qemu = Command::new(program());
        // The time is that of a hang.
        qemu.args(["qemu", system, "--interactive", "--timeout", "300"]).args(options.split_whitespace());
        qemu.arg("--output").arg(place.path());
        let mut child =
            qemu.current_dir(root()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("orion runs");
        let keys = child.stdin.take().expect("its input");
        let console = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { child, keys, console, said: Vec::new(), _place: place }
    }

    /// Waits for a line with `text` in it; the line. Panics where the system ends without.
    pub fn wait_for(&mut self, text: &str) -> String {
        for line in self.console.by_ref() {
            let line = line.expect("text");
            println!("{line}");
            self.said.push(line.clone());
            if line.contains(text) {
                return line;
            }
        }
        panic!("the console never said {text:?}: {:#?}", self.said);
    }

    /// Presses the keys `keys`, one after the other.
    pub fn keys(&mut self, keys: &str) {
        for key in keys.bytes() {
            self.keys.write_all(&[key]).and_then(|()| self.keys.flush()).expect("it still runs");
        }
    }

    /// Types a line.
    pub fn types(&mut self, line: &str) {
        self.keys.write_all(format!("{line}\r").as_bytes()).and_then(|()| self.keys.flush()).expect("it still runs");
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
