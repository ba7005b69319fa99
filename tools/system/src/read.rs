// SPDX-License-Identifier: MIT
//! Attribute values: numbers, sizes, times, names, choices. Each reader adds a problem and answers `None` on a bad value.
use crate::element::{Attribute, Element};
use crate::problem::{Problems, suggest};

/// `<orion:disk>` or `<map>`: an element's name as its author knows it.
pub fn tag(element: &Element) -> String {
    let prefix = if element.ours { "orion:" } else { "" };
    format!("<{prefix}{}>", element.name)
}

/// The attribute `name` of Microkit's or of one of our own elements; its absence is a problem.
pub fn required<'a>(element: &'a Element, name: &str, problems: &mut Problems) -> Option<&'a Attribute> {
    let found = element.attribute(name);
    if found.is_none() {
        let what = format!("{} has no attribute {name:?}", tag(element));
        problems.add(element.at, what, format!("add {name}=\"...\""));
    }
    found
}

/// A name: a letter or `_`, then letters, digits, `_`, `-`; at most `max` characters.
pub fn name<'a>(element: &'a Element, max: usize, problems: &mut Problems) -> Option<&'a str> {
    name_of(required(element, "name", problems)?, max, problems)
}

/// A name, as above, that any attribute gives.
pub fn name_of<'a>(attribute: &'a Attribute, max: usize, problems: &mut Problems) -> Option<&'a str> {
    let name = attribute.value.as_str();
    let first = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    // sdfgen makes names of paths in device trees.
    let others = attribute.at.base && !name.is_empty();
    if (others || (first && rest)) && name.len() <= max {
        return Some(name);
    }
    problems.add(
        attribute.at,
        format!("{name:?} is not a name"),
        format!("use 1 to {max} letters, digits, '_' and '-', and begin with a letter"),
    );
    None
}

/// Digits with `_` between them, decimal or after `0x`.
pub fn digits(text: &str) -> Option<u64> {
    let (text, radix) = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => (hex, 16),
        None => (text, 10),
    };
    // from_str_radix takes a sign.
    if !text.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return None;
    }
    u64::from_str_radix(&text.replace('_', ""), radix).ok()
}

/// A number of `min..=max`: decimal or `0x`, with `_` between digits.
pub fn number(attribute: &Attribute, min: u64, max: u64, problems: &mut Problems) -> Option<u64> {
    bounded(attribute, digits(&attribute.value), (min, max), "a number", problems)
}

/// A number of `min..=max` in plain decimal: where the Microkit tool takes nothing else.
pub fn decimal(attribute: &Attribute, min: u64, max: u64, problems: &mut Problems) -> Option<u64> {
    let plain = !attribute.value.is_empty() && attribute.value.bytes().all(|b| b.is_ascii_digit());
    let value = if plain { attribute.value.parse().ok() } else { None };
    bounded(attribute, value, (min, max), "a plain decimal number", problems)
}

fn bounded(
    attribute: &Attribute,
    value: Option<u64>,
    (min, max): (u64, u64),
    kind: &str,
    problems: &mut Problems,
) -> Option<u64> {
    let Attribute { name, value: text, at, .. } = attribute;
    let remedy = match max {
        u64::MAX => format!("write {kind} of at least {min}"),
        _ => format!("write {kind} of {min} to {max}"),
    };
    match value {
        Some(value) if (min..=max).contains(&value) => return Some(value),
        Some(_) => problems.add(*at, format!("{name}={text:?} is out of range"), remedy),
        None => problems.add(*at, format!("{name}={text:?} is not {kind}"), remedy),
    }
    None
}

/// A size in bytes: a number, or one with K, M, G or T (powers of 1024) after it. Must be a multiple of `unit` and not 0.
pub fn size(attribute: &Attribute, unit: u64, max: u64, problems: &mut Problems) -> Option<u64> {
    let text = attribute.value.as_str();
    let what = format!("{}={text:?} is not a size", attribute.name);
    let Some(bytes) = size_text(text) else {
        problems.add(attribute.at, what, "write a number of bytes, or one with K, M, G or T after it, as in 64M");
        return None;
    };
    if bytes == 0 || bytes % unit != 0 || bytes > max {
        let what = format!("{}={text:?} cannot be used", attribute.name);
        problems.add(attribute.at, what, format!("write a multiple of {unit} bytes, of {unit} to {max}"));
        return None;
    }
    Some(bytes)
}

/// Bytes of `64M` and the like; `None` where it is no size or too large.
pub fn size_text(text: &str) -> Option<u64> {
    let units = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];
    let unit = units.iter().find(|(letter, _)| text.ends_with([*letter, letter.to_ascii_lowercase()]));
    let (number, shift) = match unit {
        Some((_, shift)) if !text.starts_with("0x") => (text.get(..text.len() - 1)?, *shift),
        _ => (text, 0),
    };
    digits(number)?.checked_mul(1 << shift)
}

/// A time in milliseconds: `500ms`, `30s`; 1 ms to 1 hour.
pub fn milliseconds(attribute: &Attribute, problems: &mut Problems) -> Option<u32> {
    let text = attribute.value.as_str();
    let value = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(ms), _) => digits(ms),
        (None, Some(s)) => digits(s).and_then(|s| s.checked_mul(1000)),
        (None, None) => None,
    };
    let in_range = value.and_then(|ms| u32::try_from(ms).ok()).filter(|ms| (1..=3_600_000).contains(ms));
    if in_range.is_none() {
        let what = format!("{}={text:?} is not a time of 1 ms to 1 hour", attribute.name);
        problems.add(attribute.at, what, "write milliseconds or seconds, as in 500ms or 30s");
    }
    in_range
}

/// A time in microseconds: `0` for none, `200us`, `5ms`; at most `max`, which is a multiple of 1000.
pub fn microseconds(attribute: &Attribute, max: u32, problems: &mut Problems) -> Option<u32> {
    let text = attribute.value.as_str();
    let value = match (text.strip_suffix("us"), text.strip_suffix("ms")) {
        (Some(us), _) => digits(us),
        (None, Some(ms)) => digits(ms).and_then(|ms| ms.checked_mul(1000)),
        (None, None) => digits(text).filter(|n| *n == 0),
    };
    let in_range = value.and_then(|us| u32::try_from(us).ok()).filter(|us| *us <= max);
    if in_range.is_none() {
        let what = format!("{}={text:?} is not a time of at most {} ms", attribute.name, max / 1000);
        problems.add(attribute.at, what, "write microseconds or milliseconds, as in 200us or 2ms, or 0");
    }
    in_range
}

/// One of `choices`.
pub fn choice<'a>(attribute: &'a Attribute, choices: &[&str], problems: &mut Problems) -> Option<&'a str> {
    let value = attribute.value.as_str();
    if choices.contains(&value) {
        return Some(value);
    }
    let what = format!("{}={value:?} is not known", attribute.name);
    problems.add(attribute.at, what, suggest(value, choices.iter().copied(), "remove it"));
    None
}

/// `yes` or `no`, or `true` or `false`.
pub fn yes(attribute: &Attribute, problems: &mut Problems) -> Option<bool> {
    match attribute.value.as_str() {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        other => {
            let what = format!("{}={other:?} is neither yes nor no", attribute.name);
            problems.add(attribute.at, what, "write \"yes\" or \"no\"");
            None
        }
    }
}
