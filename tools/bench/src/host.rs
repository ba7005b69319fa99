// SPDX-License-Identifier: MIT
//! The whole chain of the host world beside `qemu-img bench`: the same file, the same aio, the same processor, the same run.
use clap::Args;
use load::{LOADS, Load};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

mod load;
mod rates;

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
/// Requests of a run that is only looked at: more than it has time for.
const ENDLESS: u64 = 1 << 32;

/// The buses whose drivers are measured.
const BUSES: [&str; 2] = ["virtio-blk", "nvme"];

/// Where everything is: the disk's file, and the system of a bus.
struct Ground<'a> {
    scratch: &'a Path,
    disk: PathBuf,
}

impl Host {
    /// Prints the tables.
    ///
    /// # Errors
    /// Where the file can't be made or a program fails.
    pub fn run(&self) -> Result<(), Box<dyn Error>> {
        let scratch = self.dir.join(format!("orion-bench-{}", std::process::id()));
        fs::create_dir_all(&scratch)
            .map_err(|e| format!("{}: {e}; name another place with --dir", self.dir.display()))?;
        let result = self.tables(&scratch);
        fs::remove_dir_all(&scratch)?;
        result
    }

    fn tables(&self, scratch: &Path) -> Result<(), Box<dyn Error>> {
        let ground = Ground { scratch, disk: scratch.join("disk.img") };
        fill(&ground.disk)?;
        let cpu = last_cpu()?;
        println!("client -> gatekeeper -> driver -> QEMU's device, beside qemu-img bench, aio={}", self.aio);
        println!("best of {} rounds each; requests a second; ratio = Orion / qemu-img\n", self.rounds);
        println!("| load | depth | placed | virtio-blk | nvme | qemu-img | ratio: virtio-blk | nvme |");
        println!("|---|---|---|---|---|---|---|---|");
        for (placed, pin) in [(format!("all on CPU {cpu}"), Some(cpu)), ("anywhere".into(), None)] {
            for load in &LOADS {
                self.row(load, &ground, &placed, pin)?;
            }
        }
        println!(
            "\nwrites of doorbells and interrupts for each request, and what the driver timed, all on CPU {cpu}\n"
        );
        println!("| load | depth | bus | requests a second | doorbells | interrupts | half took | 99 of 100 took |");
        println!("|---|---|---|---|---|---|---|---|");
        for load in &LOADS {
            for bus in BUSES {
                let rates = self.rates(load, &ground, &ground.system(bus, "", true)?, cpu)?;
                println!("| {} | {} | {bus} | {rates} |", load.name, load.depth);
            }
        }
        Ok(())
    }

    fn row(&self, load: &Load, ground: &Ground<'_>, placed: &str, pin: Option<u32>) -> Result<(), Box<dyn Error>> {
        let mut best = [f64::MAX; 3];
        for _ in 0..self.rounds {
            let [virtio, nvme] = BUSES.map(|bus| self.orion(load, ground, &ground.system(bus, "", false)?, pin));
            let now = [virtio?, nvme?, self.qemu_img(load, &ground.disk, pin)?];
            best.iter_mut().zip(now).for_each(|(best, now)| *best = best.min(now));
        }
        let [virtio, nvme, peer] = best.map(|ns| 1e9 / ns);
        let (Load { name, depth, .. }, [a, b]) = (load, [virtio / peer, nvme / peer]);
        println!("| {name} | {depth} | {placed} | {virtio:.0} | {nvme:.0} | {peer:.0} | {a:.2} | {b:.2} |");
        Ok(())
    }

    /// `orion run` of a system with the one disk.
    fn command(&self, ground: &Ground<'_>, system: &Path, pin: Option<u32>) -> Command {
        let mut command = Command::new(&self.orion);
        command.arg("run").arg(system).arg("--demo");
        command.arg("--disk").arg(format!("d0={},aio={}", ground.disk.display(), self.aio));
        command.args(["--cpus", &pin.map_or("all".into(), |cpu| cpu.to_string())]);
        command
    }

    /// Nanoseconds a request.
    fn orion(&self, load: &Load, on: &Ground<'_>, system: &Path, pin: Option<u32>) -> Result<f64, Box<dyn Error>> {
        let mut command = self.command(on, system, pin);
        load.tell_demo(&mut command, load.count);
        Ok(load.demo_said(&output(&mut command)?)?)
    }

    fn rates(&self, load: &Load, on: &Ground<'_>, system: &Path, cpu: u32) -> Result<rates::Rates, Box<dyn Error>> {
        let mut command = self.command(on, system, Some(cpu));
        load.tell_demo(&mut command, ENDLESS);
        rates::rates(&self.orion, &mut command, &on.scratch.join("sock"))
    }

    fn qemu_img(&self, load: &Load, disk: &Path, pin: Option<u32>) -> Result<f64, Box<dyn Error>> {
        let mut command = Command::new(if pin.is_some() { "taskset" } else { "qemu-img" });
        if let Some(cpu) = pin {
            command.args(["-c", &cpu.to_string(), "qemu-img"]);
        }
        load.tell_qemu_img(&mut command, &self.aio, disk);
        Ok(load.qemu_img_said(&output(&mut command)?)?)
    }
}

impl Ground<'_> {
    /// A system with one disk on `bus`, with these further attributes, all of which its one client may use; and a manager, where it
    /// is looked at.
    fn system(&self, bus: &str, attributes: &str, manager: bool) -> Result<PathBuf, std::io::Error> {
        let path = self.scratch.join("system.xml");
        let manager = if manager { "<orion:manager/>" } else { "" };
        let text = format!(
            r#"<system xmlns:orion="urn:orion-storage:1">
  <protection_domain name="demo" priority="90" orion:data="8M"><program_image path="demo.elf"/></protection_domain>
  <orion:disk name="d0" bus="{bus}" {attributes}/>
  {manager}
  <orion:grant client="demo" disk="d0" blocks="all" rights="read write flush"/>
</system>
"#
        );
        fs::write(&path, text).map(|()| path)
    }
}

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
