// SPDX-License-Identifier: MIT
//! A Rust toolchain and a linker that can build for targets without an operating system. Downloads nothing.
use super::sdk::in_home;
use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest minor version of Rust that serves.
const LEAST: u32 = 95;

/// What builds PDs.
#[derive(Debug)]
pub struct Toolchain {
    /// The directory of `cargo` and `rustc`.
    pub bin: PathBuf,
    /// LLVM's linker for ELF.
    pub linker: PathBuf,
}

impl Toolchain {
    /// The first toolchain with the standard library's source: of PATH, of rustup, of Debian.
    ///
    /// # Errors
    /// What is missing, and the packages that have it.
    pub fn find() -> Result<Self, String> {
        let (bin, sysroot) =
            directories().into_iter().find_map(|bin| Some((bin.clone(), sysroot(&bin)?))).ok_or_else(|| {
                format!(
                    "no Rust toolchain of 1.{LEAST} or newer with the standard library's source here; \
                 Debian: apt-get install rustc-web cargo-web rust-web-src; elsewhere: rustup component add rust-src"
                )
            })?;
        let linker = linker(&sysroot)
            .ok_or("no ld.lld, LLVM's linker, here; Debian: apt-get install lld-19; elsewhere: package lld")?;
        Ok(Self { bin, linker })
    }

    /// A command that runs this toolchain's cargo, with the language features that PDs on seL4 need.
    pub fn cargo(&self) -> Command {
        let mut cargo = Command::new(self.bin.join("cargo"));
        let paths = [self.bin.clone()].into_iter().chain(path());
        if let Ok(path) = env::join_paths(paths) {
            cargo.env("PATH", path);
        }
        // Flags of the caller's are for other targets.
        for flags in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_TARGET_DIR"] {
            cargo.env_remove(flags);
        }
        cargo.env("RUSTC", self.bin.join("rustc")).env("RUSTC_BOOTSTRAP", "1").env("RUSTUP_AUTO_INSTALL", "0");
        cargo
    }
}

fn path() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

/// Every directory that may have a cargo of its own. rustup's stand-in for cargo may download, so the toolchains
/// behind it are looked at instead.
fn directories() -> Vec<PathBuf> {
    let rustup = env::var_os("RUSTUP_HOME").map(PathBuf::from).or_else(|| in_home(".rustup"));
    let installed = std::fs::read_dir(rustup.unwrap_or_default().join("toolchains")).into_iter().flatten().flatten();
    let mut installed: Vec<_> = installed.map(|entry| entry.path().join("bin")).collect();
    installed.sort();
    installed.sort_by_key(|bin| !bin.to_string_lossy().contains("/stable"));
    let own = path().into_iter().filter(|bin| bin.join("cargo").canonicalize().is_ok_and(|c| !c.ends_with("rustup")));
    own.chain(installed).chain([PathBuf::from("/usr/bin")]).collect()
}

/// The directory of the toolchain in `bin`, if it serves.
fn sysroot(bin: &Path) -> Option<PathBuf> {
    if !bin.join("cargo").exists() {
        return None;
    }
    let rustc = |argument: &[&str]| {
        let output = Command::new(bin.join("rustc")).args(argument).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let version = rustc(&["--version"])?;
    let minor: u32 = version.strip_prefix("rustc 1.")?.split('.').next()?.parse().ok()?;
    let stable = !version.contains("-beta") && !version.contains("-dev");
    let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?);
    let source = sysroot.join("lib/rustlib/src/rust/library/core");
    (minor >= LEAST && stable && source.is_dir()).then_some(sysroot)
}

/// LLVM's linker: of PATH, of Debian's packages for one version of LLVM, of the toolchain.
fn linker(sysroot: &Path) -> Option<PathBuf> {
    let path = path();
    let versioned = (14..40).rev().map(|version| format!("ld.lld-{version}"));
    let names = ["ld.lld".to_owned()].into_iter().chain(versioned);
    let found = names.into_iter().find_map(|name| path.iter().map(|d| d.join(&name)).find(|p| p.is_file()));
    found.or_else(|| {
        let hosts = std::fs::read_dir(sysroot.join("lib/rustlib")).ok()?.flatten();
        hosts.map(|host| host.path().join("bin/gcc-ld/ld.lld")).find(|p| p.is_file())
    })
}
