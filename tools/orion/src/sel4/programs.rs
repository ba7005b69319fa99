// SPDX-License-Identifier: MIT
//! Builds the seL4 binaries of our PDs, from a copy of `pds/sel4/Cargo.toml`.
use super::sdk::Sdk;
use super::toolchain::Toolchain;
use orion_system::plan::Board;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Where rust-sel4 is published, as `pds/sel4` names it.
const PUBLISHED: &str = "git = \"https://github.com/seL4/rust-sel4\", tag = \"v5.0.0\"";

/// The binaries of our PDs.
#[derive(Debug)]
pub struct Programs {
    /// The repository that holds `pds/sel4`.
    source: PathBuf,
    /// `pds/sel4/Cargo.toml`.
    manifest: String,
}

impl Programs {
    /// Those of the clone of Orion in which we run, or from which this program was built.
    ///
    /// # Errors
    /// Where there is no such clone.
    pub fn find() -> Result<Self, String> {
        let built_from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let here = env::current_dir().unwrap_or_default();
        let source = here.ancestors().chain([built_from.as_path()]).find(|p| p.join("pds/sel4/Cargo.toml").is_file());
        let source = source.and_then(|p| p.canonicalize().ok()).ok_or(
            "the sources of the seL4 programs (pds/sel4) are not here; run this command within a clone of Orion",
        )?;
        let manifest = read(&source.join("pds/sel4/Cargo.toml"))?;
        Ok(Self { source, manifest })
    }

    /// Whether `program` is one of ours.
    pub fn has(&self, program: &str) -> bool {
        self.manifest.contains(&format!("[[bin]]\nname = \"{program}\"\n"))
    }

    /// Builds `programs` below `build`, and returns the directory of the ELF files and their suffix.
    ///
    /// # Errors
    /// Where cargo fails; it has then said why.
    pub fn build(&self, programs: &[&str], to: &Settings<'_>) -> Result<(PathBuf, &'static str), String> {
        let package = to.build.join("sel4");
        self.write_package(&package, to.rust_sel4)?;
        // One for each kernel: another one's headers would make cargo build all that depends on them again.
        let target = package.join(format!("target-{}-{}", to.board.name(), to.config));
        let mut cargo = to.toolchain.cargo();
        cargo.args(["build", "--release", "--manifest-path"]).arg(package.join("Cargo.toml"));
        cargo.args(["-Zbuild-std=core,alloc,compiler_builtins", "-Zbuild-std-features=compiler-builtins-mem"]);
        cargo.args(["-Zjson-target-spec", "--target"]).arg(self.target(to.board));
        programs.iter().for_each(|program| _ = cargo.args(["--bin", program]));
        cargo.env("CARGO_TARGET_DIR", &target).env("SEL4_INCLUDE_DIRS", to.sdk.headers());
        link(&mut cargo, to.toolchain);
        run(
            &mut cargo,
            "cargo could not build the seL4 programs; its messages above say why (bindgen needs libclang: Debian's libclang-dev)",
        )?;
        Ok(match to.board {
            Board::X86_64Generic => (target.join("x86_64-orion/release"), ".elf"),
            Board::QemuVirtAarch64 | Board::Host => (target.join("aarch64-unknown-none-softfloat/release"), ""),
        })
    }

    /// What cargo is to build for: of x86-64 our own, because the stock target's floating point is soft. On aarch64 no PD
    /// that moves no payload needs the vector unit, and without it the kernel has less to switch.
    fn target(&self, board: Board) -> PathBuf {
        match board {
            Board::X86_64Generic => self.source.join("pds/sel4/x86_64-orion.json"),
            Board::QemuVirtAarch64 | Board::Host => PathBuf::from("aarch64-unknown-none-softfloat"),
        }
    }

    /// Writes a copy of the manifest and its lock file that is good for any place, with rust-sel4 where it is.
    fn write_package(&self, package: &Path, rust_sel4: Option<&Path>) -> Result<(), String> {
        let mut manifest = self.manifest.replace("\"../../", &format!("\"{}/", self.source.display()));
        let mut lock = read(&self.source.join("pds/sel4/Cargo.lock"))?;
        if let Some(checkout) = rust_sel4 {
            manifest = manifest.lines().map(|line| local(line, checkout) + "\n").collect();
            // A package that lies in a directory has no source in a lock file.
            let fetched = |line: &&str| !line.starts_with("source = \"git+https://github.com/seL4/rust-sel4");
            lock = lock.lines().filter(fetched).map(|line| format!("{line}\n")).collect();
        }
        fs::create_dir_all(package).map_err(|error| format!("{}: {error}", package.display()))?;
        write(&package.join("Cargo.toml"), &manifest)?;
        write(&package.join("Cargo.lock"), &lock)
    }
}

/// What to build for, with what.
#[derive(Clone, Copy, Debug)]
pub struct Settings<'a> {
    /// The directory of everything that is built.
    pub build: &'a Path,
    /// The board.
    pub board: Board,
    /// The kernel's configuration: `debug` or `release`.
    pub config: &'a str,
    /// The SDK.
    pub sdk: &'a Sdk,
    /// The toolchain.
    pub toolchain: &'a Toolchain,
    /// A checkout of rust-sel4.
    pub rust_sel4: Option<&'a Path>,
}

/// A line of the manifest, with the package of rust-sel4 that it names taken from `checkout`.
fn local(line: &str, checkout: &Path) -> String {
    let name = line.split(' ').next().unwrap_or_default();
    line.replace(PUBLISHED, &format!("path = \"{}/crates/{name}\"", checkout.display()))
}

fn link(cargo: &mut Command, toolchain: &Toolchain) {
    for target in ["AARCH64_UNKNOWN_NONE_SOFTFLOAT", "X86_64_ORION"] {
        cargo.env(format!("CARGO_TARGET_{target}_LINKER"), &toolchain.linker);
    }
    // LLVM's own measure of what is worth inlining leaves the data path in pieces: 12 % more instructions for a read.
    let inline = "-Cllvm-args=-inline-threshold=2000";
    cargo.env("CARGO_TARGET_X86_64_ORION_RUSTFLAGS", inline);
    // Pages of 4 KiB: with the default of 64 KiB each segment begins at a page of that size.
    let flags = format!("{inline} -Clink-arg=-zmax-page-size=4096 -Ctarget-feature=+crc");
    cargo.env("CARGO_TARGET_AARCH64_UNKNOWN_NONE_SOFTFLOAT_RUSTFLAGS", flags);
}

/// Runs a command to its end.
///
/// # Errors
/// Where it cannot be run, or with `failed` where it fails.
pub fn run(command: &mut Command, failed: &str) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(failed.to_owned()),
        Err(error) => Err(format!("{program}: cannot be run: {error}")),
    }
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Writes a file unless it says just that already: cargo looks at times.
fn write(path: &Path, text: &str) -> Result<(), String> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
