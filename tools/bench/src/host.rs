// SPDX-License-Identifier: MIT
//! The whole chain of the host world beside `qemu-img bench`: the same file, the same aio, the same processor, the same run.
use clap::Args;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What is measured.
#[derive(Args)]
pub struct Host {
    /// The orion command
    #[arg(long, default_value = "target/release/orion")]
    orion: PathBuf,
    /// Where the disk's file is made; on memory, so that the disk is no part of the comparison
    #[arg(long, default_value = "/dev/shm")]
    dir: PathBuf,
    /// Rounds, of which the best counts; ours and the peer's take turns
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Asynchronous I/O of both
    #[arg(long, default_value = "native")]
    aio: String,
}

const FILE_BYTES: u64 = 1 << 30;
/// Bytes from one 4 KiB request to the next: further than any read-ahead, and no request repeats soon.
const STRIDE: u64 = 1_052_672;

struct Row {
    name: &'static str,
    write: bool,
    bytes: u64,
    stride: u64,
    depth: u64,
    count: u64,
}

const fn row(name: &'static str, write: bool, bytes: u64, depth: u64, count: u64) -> Row {
    let stride = if bytes == 4096 { STRIDE } else { bytes };
    Row { name, write, bytes, stride, depth, count }
}

const ROWS: [Row; 6] = [
    row("4 KiB strided read", false, 4096, 1, 40_000),
    row("4 KiB strided read", false, 4096, 32, 300_000),
    row("128 KiB sequential read", false, 131_072, 1, 10_000),
    row("128 KiB sequential read", false, 131_072, 32, 20_000),
    row("128 KiB sequential write", true, 131_072, 1, 10_000),
    row("128 KiB sequential write", true, 131_072, 32, 20_000),
];

impl Host {
    /// Prints the table.
    ///
    /// # Errors
    /// Where the file can't be made or a program fails.
    pub fn run(&self) -> Result<(), Box<dyn Error>> {
        let scratch = self.dir.join(format!("orion-bench-{}", std::process::id()));
        fs::create_dir_all(&scratch)
            .map_err(|e| format!("{}: {e}; name another place with --dir", self.dir.display()))?;
        let result = self.table(&scratch);
        fs::remove_dir_all(&scratch)?;
        result
    }

    fn table(&self, scratch: &Path) -> Result<(), Box<dyn Error>> {
        let disk = scratch.join("disk.img");
        fill(&disk)?;
        let system = scratch.join("system.xml");
        fs::write(&system, SYSTEM)?;
        let cpu = last_cpu()?;
        println!("client -> gatekeeper -> virtio-blk driver -> QEMU's device, beside qemu-img bench, aio={}", self.aio);
        println!("best of {} rounds each; requests a second; ratio = Orion / qemu-img\n", self.rounds);
        println!("| load | depth | placed | Orion | qemu-img | ratio |\n|---|---|---|---|---|---|");
        for (placed, pin) in [(format!("all on CPU {cpu}"), Some(cpu)), ("anywhere".into(), None)] {
            for row in &ROWS {
                let (mut ours, mut theirs) = (0f64, 0f64);
                for _ in 0..self.rounds {
                    ours = ours.max(self.orion(row, &disk, &system, pin)?);
                    theirs = theirs.max(self.qemu_img(row, &disk, pin)?);
                }
                let Row { name, depth, .. } = row;
                println!("| {name} | {depth} | {placed} | {ours:.0} | {theirs:.0} | {:.2} |", ours / theirs);
            }
        }
        Ok(())
    }

    fn orion(&self, row: &Row, disk: &Path, system: &Path, pin: Option<u32>) -> Result<f64, Box<dyn Error>> {
        let mut command = Command::new(&self.orion);
        command.arg("run").arg(system).arg("--demo");
        command.arg("--disk").arg(format!("d0={},aio={}", disk.display(), self.aio));
        command.args(["--cpus", &pin.map_or("all".into(), |cpu| cpu.to_string())]);
        let sectors = |bytes: u64| bytes / 512;
        for (key, value) in [
            ("bench_op", if row.write { 2 } else { 1 }),
            ("bench_count", row.count),
            ("bench_blocks", sectors(row.bytes)),
            ("bench_stride", sectors(row.stride)),
            ("bench_depth", row.depth),
        ] {
            command.arg("--set").arg(format!("{key}={value}"));
        }
        let text = output(&mut command)?;
        let ns = text.split_once(&format!("depth {}: ", row.depth)).and_then(|(_, rest)| rest.split_once(" ns"));
        let ns: f64 = ns.ok_or_else(|| format!("no figure in what orion printed:\n{text}"))?.0.parse()?;
        Ok(row.count as f64 * 1e9 / ns)
    }

    fn qemu_img(&self, row: &Row, disk: &Path, pin: Option<u32>) -> Result<f64, Box<dyn Error>> {
        let mut command = Command::new(if pin.is_some() { "taskset" } else { "qemu-img" });
        if let Some(cpu) = pin {
            command.args(["-c", &cpu.to_string(), "qemu-img"]);
        }
        command.args(["bench", "-t", "none", "-n", "-f", "raw", "-i", &self.aio]);
        let numbers = [("-s", row.bytes), ("-S", row.stride), ("-d", row.depth), ("-c", row.count)];
        for (flag, number) in numbers {
            command.arg(flag).arg(number.to_string());
        }
        if row.write {
            command.arg("-w");
        }
        let text = output(command.arg(disk))?;
        let seconds = text.split_once("completed in ").and_then(|(_, rest)| rest.split_once(" seconds"));
        let seconds: f64 = seconds.ok_or_else(|| format!("no figure in what qemu-img printed:\n{text}"))?.0.parse()?;
        Ok(row.count as f64 / seconds)
    }
}

/// One disk, all of which its one client may use.
const SYSTEM: &str = r#"<system xmlns:orion="urn:orion-storage:1">
  <protection_domain name="demo" priority="90" orion:data="8M"><program_image path="demo.elf"/></protection_domain>
  <orion:disk name="d0" bus="virtio-blk"/>
  <orion:grant client="demo" disk="d0" blocks="all" rights="read write flush"/>
</system>
"#;

/// Writes the whole file, so that nothing measured is a hole.
fn fill(path: &Path) -> Result<(), Box<dyn Error>> {
    use std::io::Write;
    let mut file = fs::File::create(path)?;
    let chunk: Vec<u8> = (0..1u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    (0..FILE_BYTES >> 20).try_for_each(|_| file.write_all(&chunk))?;
    Ok(file.sync_all()?)
}

/// The last processor that we may use: the one that `orion run` takes by default.
fn last_cpu() -> Result<u32, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let list = status.lines().find_map(|l| l.strip_prefix("Cpus_allowed_list:")).ok_or("no list of processors")?;
    Ok(list.trim().rsplit([',', '-']).next().unwrap_or("0").parse()?)
}

fn output(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let ran = command.output().map_err(|e| format!("{command:?}: {e}"))?;
    let text = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    if ran.status.success() { Ok(text) } else { Err(format!("{command:?} failed:\n{text}").into()) }
}
