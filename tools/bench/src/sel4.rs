// SPDX-License-Identifier: MIT
//! seL4: the instructions that the whole machine executes for one 4 KiB read, kernel and every PD, counted by a plugin
//! of QEMU's; beside those of sDDF 0.7.0's block example on the same machine, counted the same way.
use clap::Args;
use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

/// What is measured.
#[derive(Args)]
pub struct Sel4 {
    /// The orion command
    #[arg(long, default_value = "target/release/orion")]
    orion: PathBuf,
    /// Runs of each row: how completions batch differs from run to run
    #[arg(long, default_value_t = 3)]
    runs: u32,
}

struct Row {
    board: &'static str,
    depth: u64,
    /// Reads: many where boot itself differs by millions of instructions from run to run.
    count: u64,
    /// Instructions per read of sDDF 0.7.0: client, virtualiser, driver, serial output; Microkit 2.3.0, release.
    sddf: u64,
}

const ROWS: [Row; 4] = [
    Row { board: "qemu_virt_aarch64", depth: 1, count: 20_000, sddf: 7815 },
    Row { board: "qemu_virt_aarch64", depth: 32, count: 20_000, sddf: 980 },
    Row { board: "x86_64_generic", depth: 1, count: 20_000, sddf: 8056 },
    Row { board: "x86_64_generic", depth: 32, count: 100_000, sddf: 690 },
];

impl Sel4 {
    /// Prints the table.
    ///
    /// # Errors
    /// Where there is no SDK, or an image cannot be built or does not answer; `orion qemu` says what to do.
    pub fn run(&self) -> Result<(), Box<dyn Error>> {
        println!("instructions of the whole machine for one 4 KiB read, virtio-blk, release kernel, system.xml");
        println!(
            "(boot and {} reads) - (boot), divided by the reads; Orion with its capability check\n",
            ROWS[0].count
        );
        println!(
            "| board | depth | Orion, {} runs | sDDF 0.7.0 | ratio of the best |\n|---|---|---|---|---|",
            self.runs
        );
        for row in &ROWS {
            let mut each = Vec::new();
            for _ in 0..self.runs {
                let boot = self.instructions(row, 0)?;
                let all = self.instructions(row, row.count)?;
                each.push(all.saturating_sub(boot) / row.count);
            }
            let best = each.iter().min().copied().unwrap_or(0);
            let each: Vec<_> = each.iter().map(u64::to_string).collect();
            let Row { board, depth, sddf, .. } = row;
            println!("| {board} | {depth} | {} | {sddf} | {:.2} |", each.join(", "), best as f64 / *sddf as f64);
        }
        Ok(())
    }

    /// Boots, reads `count` times, and counts until the demo says that it is done.
    fn instructions(&self, row: &Row, count: u64) -> Result<u64, Box<dyn Error>> {
        let mut qemu = Command::new(&self.orion);
        qemu.args(["qemu", "system.xml", "--count", "--board", row.board]);
        // Block (7 i) mod 2000 in units of 4 KiB, as the peer reads; the disk's blocks have 512 bytes.
        let settings =
            [("op", 1), ("count", count), ("blocks", 8), ("stride", 56), ("span", 16_007), ("depth", row.depth)];
        for (key, value) in settings {
            qemu.arg("--set").arg(format!("bench_{key}={value}"));
        }
        let ran = qemu.output().map_err(|e| format!("{qemu:?}: {e}"))?;
        let said = String::from_utf8_lossy(&ran.stdout);
        let total = said.lines().find_map(|line| line.strip_prefix("instructions: ")).filter(|_| ran.status.success());
        let error = || format!("{qemu:?} failed:\n{said}{}", String::from_utf8_lossy(&ran.stderr));
        Ok(total.ok_or_else(error)?.parse()?)
    }
}
