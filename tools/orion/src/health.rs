// SPDX-License-Identifier: MIT
//! `orion health`.
use crate::Outcome;
use crate::live::{Drive, SocketArg, State, array};
use orion_control::operator::Pd;
use orion_driver::Health;
use orion_metrics::{ArrayState, Counter};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

/// Between two looks: the first has the drivers ask their devices, the second shows what those say.
const PAUSE: Duration = Duration::from_millis(300);
/// What a driver counts of its device's faults.
const FAULTS: [Counter; 3] = [Counter::Errors, Counter::Resets, Counter::Timeouts];
/// Bytes of a thousand blocks of 512 bytes.
const KBLOCK: u64 = 512_000;

/// Arguments of `orion health`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    socket: SocketArg,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Args {
    /// Runs the command.
    pub fn run(self) -> Outcome {
        show(&self.socket, self.json)
    }
}

/// Prints how the disks of the system at this socket are.
///
/// # Errors
/// A message for people.
pub fn show(socket: &SocketArg, json: bool) -> Outcome {
    let mut manager = socket.connect()?;
    manager.health()?;
    std::thread::sleep(PAUSE);
    let state = manager.health()?;
    if json {
        println!("{:#}", as_json(&state));
    } else {
        print!("{}", text(&state));
    }
    Ok(ExitCode::SUCCESS)
}

/// The driver of a disk.
fn driver<'a>(state: &'a State, drive: &Drive) -> Option<&'a Pd> {
    state.pds.iter().find(|pd| pd.name.as_str() == drive.pd)
}

/// The disks as text.
pub fn text(state: &State) -> String {
    if state.disks.is_empty() {
        return "no disk says anything of itself\n".to_owned();
    }
    let disks: Vec<String> = state.disks.iter().map(|drive| disk(state, drive)).collect();
    disks.join("\n")
}

/// An array, by what its layer says of it.
fn of_array(drive: &Drive, state: &ArrayState) -> String {
    let mut out = format!("{}: {} {} ({})\n", drive.name, array::level(state), array::state(state), drive.pd);
    let mut line = |label: &str, what: String| {
        let _ = writeln!(out, "  {label:<12} {what}");
    };
    line("work", array::work(state));
    drive.devices.iter().for_each(|device| line("device", array::device(device)));
    drive.work.iter().for_each(|work| line("last order", crate::disk::work(work)));
    out
}

fn disk(state: &State, drive: &Drive) -> String {
    if let Some(state) = &drive.array {
        return of_array(drive, state);
    }
    let health = &drive.health;
    let driver = driver(state, drive);
    let program = driver.map_or(String::new(), |pd| format!(", {}", crate::live::plain(pd.program.as_str())));
    let mut out = format!("{}: {} ({}{program})\n", drive.name, verdict(health), drive.pd);
    let mut line = |label: &str, parts: &[String]| {
        let said: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
        if !said.is_empty() {
            // A string takes all that is written.
            let _ = writeln!(out, "  {label:<12} {}", said.join(", "));
        }
    };
    line("model", &[health.model.to_string()]);
    line("serial", &[health.serial.to_string()]);
    line("identity", &[health.identity.to_string()]);
    line("size", &[health.size.to_string()]);
    line("firmware", &[health.firmware.to_string()]);
    line("temperature", &[some(health.temperature, |degrees| format!("{degrees} \u{b0}C"))]);
    line(
        "wear",
        &[
            some(health.used_percent, |used| format!("{used} % used")),
            some(health.spare_percent, |spare| format!("{spare} % spare left")),
        ],
    );
    line(
        "power",
        &[
            health.power.to_string(),
            some(health.power_on_hours, |hours| format!("{hours} h")),
            some(health.power_cycles, |cycles| format!("{cycles} cycles")),
            some(health.unsafe_shutdowns, |times| format!("{times} unsafe shutdowns")),
        ],
    );
    line(
        "errors",
        &[
            some(health.media_errors, |errors| format!("{errors} of the medium")),
            some(health.errors_logged, |errors| format!("{errors} logged")),
        ],
    );
    line("compared", &[health.verify.to_string()]);
    line("zones", &[health.zones.to_string()]);
    line(
        "traffic",
        &[
            some(health.read_kblocks, |blocks| format!("{} read", bytes(blocks))),
            some(health.written_kblocks, |blocks| format!("{} written", bytes(blocks))),
        ],
    );
    let counted = |pd: &Pd| FAULTS.map(|counter| format!("{} {}", pd.figures.get(counter), counter.name()));
    line("driver", &driver.map(counted).unwrap_or_default());
    line("last order", &drive.work.iter().map(crate::disk::work).collect::<Vec<_>>());
    out.push_str(&attributes(health));
    out
}

fn some<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(String::new, text)
}

fn verdict(health: &Health) -> &'static str {
    match health.failing {
        None => "does not say how it is",
        Some(false) => "says that it is well",
        Some(true) => "SAYS THAT IT IS FAILING",
    }
}

/// Thousands of blocks as bytes for people.
fn bytes(kblocks: u64) -> String {
    let bytes = u128::from(kblocks) * u128::from(KBLOCK);
    let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    let mut scaled = (bytes * 10, 0);
    while scaled.0 >= 10_000 && scaled.1 + 1 < units.len() {
        scaled = (scaled.0 / 1000, scaled.1 + 1);
    }
    let unit = units.get(scaled.1).copied().unwrap_or_default();
    format!("{}.{} {unit}", scaled.0 / 10, scaled.0 % 10)
}

fn attributes(health: &Health) -> String {
    let mut out = String::new();
    let all: Vec<_> = health.attributes.iter().filter(|one| one.id != 0).collect();
    if !all.is_empty() {
        out.push_str("  attribute                       value  worst  threshold              raw\n");
    }
    for one in all {
        let below = one.threshold != 0 && one.value <= one.threshold;
        let mark = if below { "  below its threshold" } else { "" };
        let (value, worst, threshold, raw) = (one.value, one.worst, one.threshold, one.raw);
        let (id, name) = (one.id, attribute(one.id));
        // As above.
        let _ = writeln!(out, "  {id:>3} {name:<26} {value:>6} {worst:>6} {threshold:>10} {raw:>16}{mark}");
    }
    out
}

/// What makers of disks agree that an attribute is.
fn attribute(id: u8) -> &'static str {
    match id {
        1 => "raw read errors",
        3 => "spin-up time",
        4 => "starts and stops",
        5 => "reallocated sectors",
        7 => "seek errors",
        9 => "power-on hours",
        10 => "spin-up retries",
        12 => "power cycles",
        173 | 177 | 231 => "wear levelling",
        174 | 192 => "unsafe power losses",
        187 => "uncorrectable errors",
        190 | 194 => "temperature",
        193 => "load cycles",
        196 => "reallocation events",
        197 => "pending sectors",
        198 => "offline uncorrectable",
        199 => "CRC errors of the link",
        241 => "written",
        242 => "read",
        _ => "",
    }
}

/// A number for programs, where there is one.
fn number(value: Option<impl Into<Value>>) -> Value {
    value.map_or(Value::Null, Into::into)
}

fn as_json(state: &State) -> Value {
    let disks = state.disks.iter().filter(|drive| drive.array.is_none()).map(|drive| {
        let health = &drive.health;
        let list = health.attributes.iter().filter(|one| one.id != 0);
        let attributes: Vec<Value> = list
            .map(|one| {
                json!({
                    "id": one.id, "name": attribute(one.id), "value": one.value, "worst": one.worst,
                    "threshold": one.threshold, "raw": one.raw,
                })
            })
            .collect();
        let counted = driver(state, drive)
            .map(|pd| FAULTS.map(|counter| (counter.name().to_owned(), Value::from(pd.figures.get(counter)))));
        json!({
            "name": drive.name.as_str(), "driver": drive.pd, "model": health.model.as_str(),
            "serial": health.serial.as_str(), "firmware": health.firmware.as_str(), "identity": health.identity.as_str(), "power_state": health.power.as_str(), "size": health.size.as_str(),
            "compared": health.verify.as_str(), "zones": health.zones.as_str(),
            "failing": health.failing,
            "temperature_c": number(health.temperature), "used_percent": number(health.used_percent),
            "spare_percent": number(health.spare_percent), "power_on_hours": number(health.power_on_hours),
            "power_cycles": number(health.power_cycles), "unsafe_shutdowns": number(health.unsafe_shutdowns),
            "media_errors": number(health.media_errors), "errors_logged": number(health.errors_logged),
            "read_512_byte_kblocks": number(health.read_kblocks),
            "written_512_byte_kblocks": number(health.written_kblocks), "attributes": attributes,
            "counted_by_driver": counted.map(|all| all.into_iter().collect::<serde_json::Map<_, _>>()),
        })
    });
    let arrays = state.disks.iter().filter_map(|drive| Some(array_json(drive, drive.array.as_ref()?)));
    json!({ "version": 1, "disks": disks.collect::<Vec<_>>(), "arrays": arrays.collect::<Vec<_>>() })
}

fn array_json(drive: &Drive, state: &ArrayState) -> Value {
    let devices = drive.devices.iter().map(|device| {
        let role = Some(device.role).filter(|role| *role != u8::MAX);
        let name = orion_driver::Text::new(&device.name);
        json!({ "name": crate::live::plain(name.as_str()), "is": device.standing(), "member": number(role) })
    });
    json!({
        "name": drive.name.as_str(), "layer": drive.pd, "served": state.served != 0, "level": array::level(state),
        "members": state.members, "missing": state.missing, "work": number(state.work()),
        "done_sectors": state.done.get(), "of_sectors": state.of.get(), "seconds_left": number(state.seconds_left()),
        "mismatched_sectors": state.mismatches.get(), "devices": devices.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::sample;
    use orion_driver::{Attribute, Text};

    fn state(health: Health) -> State {
        let mut state = sample(0, 0);
        state.disks = vec![Drive { name: Text::new(b"d0"), health, ..Drive::new("blk_d0".into(), 0) }];
        state
    }

    #[test]
    fn what_a_disk_says_is_shown_and_what_it_does_not_is_left_out() {
        let mut health = Health { model: Text::new(b"QEMU HARDDISK"), temperature: Some(-3), ..Health::default() };
        health.attributes[0] = Attribute { id: 5, value: 10, worst: 9, threshold: 10, raw: 77 };
        (health.failing, health.written_kblocks, health.media_errors) = (Some(true), Some(2_000_000), Some(0));
        let text = text(&state(health));
        for part in
            ["d0: SAYS THAT IT IS FAILING (blk_d0", "QEMU HARDDISK", "-3 \u{b0}C", "1.0 TB written", "0 of the medium"]
        {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("reallocated sectors") && text.contains("77  below its threshold"), "{text}");
        assert!(!text.contains("serial") && !text.contains("wear ") && !text.contains("power "), "{text}");
        let json = as_json(&state(health));
        let disk = &json["disks"][0];
        assert_eq!(
            (&disk["temperature_c"], &disk["failing"], &disk["power_cycles"]),
            (&json!(-3), &json!(true), &Value::Null)
        );
        assert_eq!(disk["attributes"][0]["raw"], 77);
    }

    #[test]
    fn any_health_is_printed() {
        let mut health = Health { read_kblocks: Some(u64::MAX), used_percent: Some(255), ..Health::default() };
        health.attributes = [Attribute { id: 255, value: 255, worst: 255, threshold: 255, raw: u64::MAX }; 30];
        assert_eq!(text(&state(health)).lines().filter(|line| line.contains("below")).count(), 30);
        assert!(text(&state(health)).contains(" EB read"));
        assert_eq!((bytes(0), bytes(1), bytes(2)), ("0.0 B".into(), "512.0 kB".into(), "1.0 MB".into()));
    }
}
