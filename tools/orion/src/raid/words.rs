// SPDX-License-Identifier: MIT
//! mdadm's words for levels, layouts and identifiers.
use orion_raid::Uuid;

/// `5`, `raid5`, `linear`, `mirror` ...
pub fn level(text: &str) -> Result<i32, String> {
    Ok(match text.strip_prefix("raid").unwrap_or(text) {
        "linear" => -1,
        "0" | "stripe" => 0,
        "1" | "mirror" => 1,
        "4" => 4,
        "5" => 5,
        "6" => 6,
        "10" => 10,
        _ => return Err("linear, 0, 1, 4, 5, 6 and 10 are levels".into()),
    })
}

/// The same, and arrays of level 0 over others.
pub fn made(text: &str) -> Result<i32, String> {
    match text.strip_prefix("raid").unwrap_or(text) {
        "50" => Ok(50),
        "60" => Ok(60),
        _ => level(text),
    }
}

/// The number of a level's layout; without a name, mdadm's default.
pub fn layout(level: i32, name: Option<&str>) -> Result<u32, String> {
    let wrong = |name: &str| format!("level {level} has no layout {name}; leave --layout out for the usual one");
    match (level, name) {
        (0, None | Some("alternate")) => Ok(2),
        (0, Some("original")) => Ok(1),
        (5 | 6, None) => Ok(2),
        (10, None) => Ok(0x102),
        (_, None) => Ok(0),
        (5 | 6, Some(name)) => {
            let known = orion_control::layout(name).filter(|layout| level == 6 || *layout < 6);
            known.ok_or_else(|| wrong(name))
        }
        (10, Some(name)) => copies(name).ok_or_else(|| wrong(name)),
        (_, Some(name)) => Err(wrong(name)),
    }
}

/// `n2`, `f3`, `o2`.
fn copies(name: &str) -> Option<u32> {
    let (kind, count) = name.split_at_checked(1)?;
    let count: u32 = count.parse().ok().filter(|count| (1..=8).contains(count))?;
    match kind {
        "n" => Some(0x100 | count),
        "f" => Some(count << 8 | 1),
        "o" => Some(0x1_0001 | count << 8),
        _ => None,
    }
}

/// An identifier as mdadm writes it, or with dashes.
pub fn uuid(text: &str) -> Result<Uuid, String> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !b":-".contains(byte)).collect();
    let mut uuid = [0; 16];
    let pairs =
        digits.chunks(2).map(|pair| std::str::from_utf8(pair).ok().and_then(|p| u8::from_str_radix(p, 16).ok()));
    let bytes: Option<Vec<u8>> = pairs.collect();
    match bytes {
        Some(bytes) if bytes.len() == 16 => uuid.copy_from_slice(&bytes),
        _ => return Err("an identifier has 32 hexadecimal digits, as `orion raid examine` shows it".into()),
    }
    Ok(Uuid(uuid))
}
