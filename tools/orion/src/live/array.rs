// SPDX-License-Identifier: MIT
//! How an array is, in words.
use super::state::plain;
use orion_driver::Text;
use orion_metrics::{ArrayDevice, ArrayState};

/// Its level.
pub fn level(array: &ArrayState) -> String {
    match (array.served, array.level) {
        (0, _) => "-".into(),
        (_, u8::MAX) => "linear".into(),
        (_, level) => format!("RAID {level}"),
    }
}

/// Whether it is complete.
pub fn state(array: &ArrayState) -> String {
    match (array.served, array.missing, array.members) {
        (0, ..) => "not served".into(),
        (_, 0, _) => "complete".into(),
        (_, missing, members) => format!("degraded, {missing} of {members} missing"),
    }
}

/// What goes on, and how long it may take.
pub fn work(array: &ArrayState) -> String {
    let differs = array.mismatches.get();
    let differed = if differs > 0 { format!("{differs} sectors differed") } else { "-".into() };
    let Some(work) = array.work() else { return differed };
    let permille = array.permille();
    let left = array.seconds_left().map_or(String::new(), |seconds| format!(", {} left", time(seconds)));
    format!("{work} {}.{} %{left}", permille / 10, permille % 10)
}

fn time(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

/// A device, and what it is to the array.
pub fn device(device: &ArrayDevice) -> String {
    let name = plain(Text::new(&device.name).as_str());
    match (device.standing, device.role) {
        (0, role) => format!("{role} {name}"),
        (1, role) => format!("{role} {name} (being rebuilt)"),
        _ => format!("{name} ({})", device.standing()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_array_is_shown() {
        let mut row = ArrayState { served: 1, level: 5, members: 3, missing: 1, ..ArrayState::NONE };
        assert_eq!(
            (level(&row), state(&row), work(&row)),
            ("RAID 5".into(), "degraded, 1 of 3 missing".into(), "-".into())
        );
        (row.work, row.done, row.of, row.ms) = (1, 250.into(), 1000.into(), 60_000.into());
        assert_eq!(work(&row), "rebuild 25.0 %, 3 min left");
        let mut one = ArrayDevice::new(2, "m2");
        assert_eq!(device(&one), "m2 (-)");
        (one.standing, one.role) = (1, 2);
        assert_eq!(device(&one), "2 m2 (being rebuilt)");
        (one.name, one.standing) = ([0x1b; 40], 99);
        assert!(!device(&one).contains('\u{1b}'));
    }
}
