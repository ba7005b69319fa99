// SPDX-License-Identifier: MIT
//! sDDF 0.7's own programs with ours, on both boards: its block client above our gatekeeper, its virtio driver below it,
//! and a description of its generator as a base.
//!
//! The programs are not ours to keep: SDDF_BLK_DIR names a folder with one folder for each board and configuration, as
//! `qemu_virt_aarch64-release`, which holds what a build of sDDF's block example leaves there: `client.elf`,
//! `blk_driver.elf`, `serial_driver.elf`, `serial_virt_tx.elf` and `blk.system`.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
use orion_boot_tests::{boot, skip};
use std::env;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const BOARDS: [&str; 2] = ["qemu_virt_aarch64", "x86_64_generic"];

/// What a build of sDDF's block example left for `board` in the configuration `config`. Says so where there is nothing.
fn programs(board: &str, config: &str) -> Option<PathBuf> {
    if skip() {
        return None;
    }
    let folder = env::var_os("SDDF_BLK_DIR").map(|dir| PathBuf::from(dir).join(format!("{board}-{config}")));
    let found = folder.filter(|folder| folder.join("client.elf").is_file());
    if found.is_none() {
        // Not by the macro: what it prints is shown only where a test fails.
        let _ = writeln!(
            io::stderr(),
            "SKIPPED: no programs of sDDF for {board} {config}: SDDF_BLK_DIR does not name a folder with {board}-{config}/client.elf; \
             nothing of sDDF was booted (docs/with-sddf.md)"
        );
    }
    found
}

/// Boots `system` with sDDF's programs; sDDF's client must say that it finished, and every demo that it verified.
fn passes(system: &str, board: &str, config: &str, more: &str) {
    let Some(folder) = programs(board, config) else { return };
    let options =
        format!("--board {board} --config {config} --search-path {} --until successfully{more}", folder.display());
    let boot = boot(&format!("tests/boot/systems/{system}.xml"), &options);
    assert!(boot.passed, "{board} {config}: no good verdict");
    assert_eq!(boot.lines("CLIENT|INFO: basic: successfully finished!"), 1, "{board} {config}");
    assert_eq!(boot.lines("CLIENT|ERROR"), 0, "{board} {config}: it read something else than it wrote");
}

#[test]
fn sddfs_client_passes_above_our_gatekeeper() {
    for (board, config) in BOARDS.into_iter().flat_map(|board| [(board, "release"), (board, "debug")]) {
        passes("sddf-client", board, config, "");
    }
}

#[test]
fn sddfs_driver_passes_below_our_gatekeeper() {
    for (board, config) in BOARDS.into_iter().flat_map(|board| [(board, "release"), (board, "debug")]) {
        passes("sddf-driver", board, config, "");
    }
}

/// Storage of ours in a system of sDDF's: its serial driver, virtualiser and client, in a description by sdfgen.
#[test]
fn sddfs_client_passes_in_a_system_of_its_own_over_our_storage() {
    for board in BOARDS {
        let Some(folder) = programs(board, "release") else { return };
        let theirs = fs::read_to_string(folder.join("blk.system")).expect("sdfgen's description of the example");
        let base = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{board}.system"));
        fs::write(&base, without_storage(&theirs)).unwrap();
        passes("sddf-over", board, "release", &format!(" --base {}", base.display()));
    }
}

/// The description without sDDF's own block stack: as sdfgen writes it of a system that has none. The programs' other
/// sections stay true, since what is left keeps its addresses and channels.
fn without_storage(text: &str) -> String {
    let mut kept = Vec::new();
    // An element of several lines, up to its end.
    let mut open: Option<(&str, Vec<&str>)> = None;
    for line in text.lines() {
        if let Some((end, mut lines)) = open.take() {
            lines.push(line);
            if !line.contains(end) {
                open = Some((end, lines));
            } else if !lines
                .iter()
                .any(|line| line.contains("<protection_domain name=\"blk_") || line.contains("pd=\"blk_"))
            {
                kept.extend(lines);
            }
            continue;
        }
        match line.trim_start() {
            element if element.starts_with("<protection_domain") => open = Some(("</protection_domain>", vec![line])),
            element if element.starts_with("<channel") => open = Some(("</channel>", vec![line])),
            element if element.starts_with("<memory_region name=\"blk_") || element.contains("virtio") => {}
            _ => kept.push(line),
        }
    }
    kept.retain(|line| !line.contains("<map mr=\"blk_"));
    kept.join("\n")
}
