// SPDX-License-Identifier: MIT
//! What is said about volumes and devices.
use super::Volume;
use super::devices::Devices;
use orion_raid::geometry::Level;
use orion_raid::{Array, Error, Standing, Super};
use serde_json::{Value, json};

/// The newest superblock of a volume's devices.
fn newest<'a>(devices: &'a Devices, volume: &Volume) -> Option<&'a Super> {
    devices.supers.iter().filter(|device| device.set == volume.set).max_by_key(|device| device.events)
}

/// The volume's name, or its UUID.
pub fn name(devices: &Devices, volume: &Volume) -> String {
    let name = newest(devices, volume).map_or("", Super::name);
    let name: String = name.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if name.is_empty() { volume.set.to_string() } else { name }
}

/// Whether a person may mean this volume by `called`: its UUID, its name, or that without the host.
pub fn is_called(devices: &Devices, volume: &Volume, called: &str) -> bool {
    let name = name(devices, volume);
    let short = name.split_once(':').map(|(_, short)| short);
    name == called || short == Some(called) || volume.set.to_string() == called
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

/// A volume and its devices, a line each.
pub fn volume(devices: &Devices, volume: &Volume) -> String {
    let Some(newest) = newest(devices, volume) else { return String::new() };
    let name = name(devices, volume);
    let kind = format!("{} of {}, metadata {}", level(newest.level), newest.raid_disks, newest.version);
    let mut out = match &volume.array {
        Ok(array) => format!("{name}: {kind}, {}, {}{}\n", bytes(array.sectors() * 512), state(array), reshape(array)),
        Err(error) => format!("{name}: {kind}; cannot be read: {}\n", error.named(&devices.names())),
    };
    let ours = devices.supers.iter().zip(&devices.all).filter(|(device, _)| device.set == volume.set);
    for (device, image) in ours {
        let what = volume.array.as_ref().map_or_else(|_| device.role.to_string(), |array| standing(array, device));
        out += &format!("  {}: {what}\n", image.name);
    }
    out
}

/// What is wrong with devices, a line each.
pub fn faults(devices: &Devices) -> String {
    devices.faults.iter().map(|(name, fault)| format!("{name}: {fault}\n")).collect()
}

/// Everything.
pub fn text(devices: &Devices, volumes: &[Volume]) -> String {
    let listed: String = volumes.iter().map(|each| volume(devices, each)).collect();
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
    let newest = newest(devices, volume);
    let array = volume.array.as_ref().ok();
    let ours = devices.supers.iter().zip(&devices.all).filter(|(device, _)| device.set == volume.set);
    let members: Vec<Value> = ours
        .map(|(device, image)| {
            let what = array.map_or_else(|| device.role.to_string(), |array| standing(array, device));
            json!({ "image": image.name, "standing": what, "events": device.events, "device": device.device.to_string() })
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
