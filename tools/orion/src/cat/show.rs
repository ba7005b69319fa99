// SPDX-License-Identifier: MIT
//! What is said about volumes and devices.
use super::Volume;
use super::devices::Devices;
use orion_raid::geometry::Level;
use orion_raid::{Array, Error, Standing, Super, Uuid};
use serde_json::{Value, json};

/// The newest superblock of a volume's devices.
fn newest(devices: &Devices, set: Uuid) -> Option<&Super> {
    devices.supers.iter().filter(|device| device.set == set).max_by_key(|device| device.events)
}

/// The volume's name, or its UUID.
pub fn name(devices: &Devices, volume: &Volume) -> String {
    called(devices, volume.set)
}

/// The name of an array, or its UUID.
pub fn called(devices: &Devices, set: Uuid) -> String {
    let name = newest(devices, set).map_or("", Super::name);
    let name: String = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if name.is_empty() { set.to_string() } else { name }
}

/// Whether a person may mean this volume by `called`: its UUID, its name, or that without the host.
pub fn is_called(devices: &Devices, volume: &Volume, called: &str) -> bool {
    let name = name(devices, volume);
    let short = name.split_once(':').map(|(_, short)| short);
    name == called || short == Some(called) || volume.set.to_string() == called
}

/// Whether another volume that can be read lies on this one.
pub fn is_below(devices: &Devices, volumes: &[Volume], volume: &Volume) -> bool {
    volumes.iter().filter(|other| other.array.is_ok()).any(|other| lie_on(devices, other).any(|set| set == volume.set))
}

/// The arrays on which a volume lies.
fn lie_on<'a>(devices: &'a Devices, volume: &Volume) -> impl Iterator<Item = Uuid> + 'a {
    let set = volume.set;
    let own = devices.supers.iter().zip(&devices.all).filter(move |(found, _)| found.set == set);
    own.filter_map(|(_, device)| device.inside().map(|inside| inside.set))
}

fn level(number: i32) -> String {
    if number == -1 { "linear".into() } else { format!("RAID {number}") }
}

/// What a device is, in words.
fn standing(array: &Array, device: &Super) -> String {
    match array.standing(device) {
        Standing::Member(role) => format!("member {role}"),
        Standing::Rebuilding(role, to) => format!("member {role}, rebuilt up to sector {to}"),
        Standing::Stale { role, events, newest } => {
            format!("was member {role}; the array went on without it (events {events} of {newest}): not used")
        }
        Standing::Replacement(role) => format!("is to replace member {role}: not used"),
        Standing::Spare => "spare".into(),
        Standing::Faulty => "failed: not used".into(),
        Standing::Journal => "write journal".into(),
        Standing::StaleJournal { events, newest } => {
            format!("was the write journal; the array went on without it (events {events} of {newest}): not used")
        }
        Standing::Stranger => "of another array".into(),
    }
}

/// How a whole array is.
fn state(array: &Array) -> String {
    let missing: Vec<String> = array.missing().map(|role| role.to_string()).collect();
    match (missing.is_empty(), array.is_doubtful()) {
        (true, _) => "complete".into(),
        (false, false) => format!("degraded, without member {}", missing.join(", ")),
        (false, true) => format!("degraded, without member {}, and not stopped cleanly", missing.join(", ")),
    }
}

/// Where a reshape is.
fn reshape(array: &Array) -> String {
    let at = array.before.as_ref().map(|before| {
        let way = if before.backwards { " from its end" } else { "" };
        format!(", being reshaped{way}: has come to sector {} of {}", before.position, array.sectors())
    });
    at.unwrap_or_default()
}

/// A volume and its devices, a line each; those that are arrays with theirs, further in.
pub fn volume(devices: &Devices, volumes: &[Volume], one: &Volume, depth: usize) -> String {
    let Some(newest) = newest(devices, one.set) else { return String::new() };
    let (name, indent) = (name(devices, one), " ".repeat(4 * depth));
    let kind = format!("{} of {}, metadata {}", level(newest.level), newest.raid_disks, newest.version);
    let mut out = match &one.array {
        Ok(inside) => {
            let (array, size) = (&inside.array, bytes(inside.array.sectors() * 512));
            format!("{indent}{name}: {kind}, {size}, {}{}\n", state(array), reshape(array))
        }
        Err(error) => format!("{indent}{name}: {kind}; cannot be read: {}\n", error.named(&devices.names())),
    };
    let ours = devices.supers.iter().zip(&devices.all).filter(|(device, _)| device.set == one.set);
    for (device, own) in ours {
        let what = one.array.as_ref().map_or_else(|_| device.role.to_string(), |one| standing(&one.array, device));
        out += &format!("{indent}  {}: {what}\n", own.name);
        let below = own.inside().and_then(|inside| volumes.iter().find(|below| below.set == inside.set));
        if let Some(below) = below {
            out += &volume(devices, volumes, below, depth + 1);
        }
    }
    out
}

/// What is wrong with devices, a line each.
pub fn faults(devices: &Devices) -> String {
    devices.faults.iter().map(|(name, fault)| format!("{name}: {fault}\n")).collect()
}

/// Everything.
pub fn text(devices: &Devices, volumes: &[Volume]) -> String {
    // Those on which others lie stand below these.
    let below = |one: &&Volume| !volumes.iter().any(|other| lie_on(devices, other).any(|set| set == one.set));
    let listed: String = volumes.iter().filter(below).map(|each| volume(devices, volumes, each, 0)).collect();
    let strangers = devices.strangers.iter().map(|name| format!("{name}: no volume's\n"));
    let none = if volumes.is_empty() { "no volume is on these images; give the members of one\n" } else { "" };
    format!("{listed}{}{}{none}", faults(devices), strangers.collect::<String>())
}

/// The same for programs.
pub fn json(devices: &Devices, volumes: &[Volume]) -> String {
    let volumes: Vec<Value> = volumes.iter().map(|volume| volume_json(devices, volume)).collect();
    let fault = |(name, fault): &(String, String)| json!({ "image": name, "error": fault });
    let faults: Vec<Value> = devices.faults.iter().map(fault).collect();
    format!("{:#}\n", json!({ "volumes": volumes, "faults": faults, "strangers": devices.strangers }))
}

fn volume_json(devices: &Devices, volume: &Volume) -> Value {
    let newest = newest(devices, volume.set);
    let array = volume.array.as_ref().ok().map(|inside| &inside.array);
    let ours = devices.supers.iter().zip(&devices.all).filter(|(device, _)| device.set == volume.set);
    let members: Vec<Value> = ours
        .map(|(device, image)| {
            let what = array.map_or_else(|| device.role.to_string(), |array| standing(array, device));
            let below = image.inside().map(|inside| inside.set.to_string());
            json!({ "image": image.name, "array": below, "standing": what, "events": device.events, "device": device.device.to_string() })
        })
        .collect();
    let error = |error: &Error| error.named(&devices.names()).to_string();
    json!({
        "name": name(devices, volume),
        "uuid": volume.set.to_string(),
        "format": newest.map(|newest| format!("md {}", newest.version)),
        "level": newest.map(|newest| level(newest.level)),
        "layout": newest.map(|newest| newest.layout),
        "chunk_bytes": array.filter(|a| a.geometry.level() != Level::Raid1).map(|array| array.geometry.chunk() * 512),
        "raid_disks": newest.map(|newest| newest.raid_disks),
        "bytes": array.map(|array| array.sectors() * 512),
        "missing": array.map(|array| array.missing().collect::<Vec<_>>()),
        "devices": members,
        "error": volume.array.as_ref().err().map(error),
    })
}

/// A number of bytes in the largest unit of which there is at least one.
pub fn bytes(bytes: u64) -> String {
    crate::inspect::bytes(bytes)
}
