// SPDX-License-Identifier: MIT
//! What is asked of Orion and of its peer, and how each is told.
use std::path::Path;
use std::process::Command;

/// Bytes from one 4 KiB request to the next: further than any read-ahead, and no request repeats soon.
const STRIDE: u64 = 1_052_672;

/// Requests of one kind.
pub struct Load {
    /// For people.
    pub name: &'static str,
    /// Whether it writes.
    pub write: bool,
    /// Bytes of a request.
    pub bytes: u64,
    /// Requests in flight.
    pub depth: u64,
    /// Requests.
    pub count: u64,
}

const fn load(name: &'static str, write: bool, bytes: u64, depth: u64, count: u64) -> Load {
    Load { name, write, bytes, depth, count }
}

/// What is measured.
pub const LOADS: [Load; 6] = [
    load("4 KiB strided read", false, 4096, 1, 40_000),
    load("4 KiB strided read", false, 4096, 32, 300_000),
    load("128 KiB sequential read", false, 131_072, 1, 10_000),
    load("128 KiB sequential read", false, 131_072, 32, 20_000),
    load("128 KiB sequential write", true, 131_072, 1, 10_000),
    load("128 KiB sequential write", true, 131_072, 32, 20_000),
];

impl Load {
    fn stride(&self) -> u64 {
        if self.bytes == 4096 { STRIDE } else { self.bytes }
    }

    /// The load as settings of the demo, `count` requests long.
    pub fn tell_demo(&self, command: &mut Command, count: u64) {
        let sectors = |bytes: u64| bytes / 512;
        for (key, value) in [
            ("bench_op", if self.write { 2 } else { 1 }),
            ("bench_count", count),
            ("bench_blocks", sectors(self.bytes)),
            ("bench_stride", sectors(self.stride())),
            ("bench_depth", self.depth),
        ] {
            command.arg("--set").arg(format!("{key}={value}"));
        }
    }

    /// What the demo says each request took, in nanoseconds.
    pub fn demo_said(&self, text: &str) -> Result<f64, String> {
        let all = text.split_once(&format!("depth {}: ", self.depth)).and_then(|(_, rest)| rest.split_once(" ns"));
        let all = all.and_then(|(ns, _)| ns.parse::<f64>().ok());
        Ok(all.ok_or_else(|| format!("no figure in what orion printed:\n{text}"))? / self.count as f64)
    }

    /// The load as `qemu-img bench` is told it, on a file with this asynchronous I/O and without a page cache.
    pub fn tell_qemu_img(&self, command: &mut Command, aio: &str, disk: &Path) {
        command.args(["bench", "-t", "none", "-n", "-f", "raw", "-i", aio]);
        for (flag, number) in [("-s", self.bytes), ("-S", self.stride()), ("-d", self.depth), ("-c", self.count)] {
            command.arg(flag).arg(number.to_string());
        }
        if self.write {
            command.arg("-w");
        }
        command.arg(disk);
    }

    /// What `qemu-img bench` says each request took, in nanoseconds.
    pub fn qemu_img_said(&self, text: &str) -> Result<f64, String> {
        let seconds = text.split_once("completed in ").and_then(|(_, rest)| rest.split_once(" seconds"));
        let seconds = seconds.and_then(|(seconds, _)| seconds.parse::<f64>().ok());
        Ok(seconds.ok_or_else(|| format!("no figure in what qemu-img printed:\n{text}"))? * 1e9 / self.count as f64)
    }
}
