// SPDX-License-Identifier: MIT
//! Log pages (SPC-4 section 7.3, SBC-3 section 6.3): what a disk counts and measures of itself.
use super::{list, number};
use orion_driver::Health;

/// Page codes.
pub mod page {
    /// Supported pages.
    pub const SUPPORTED: u8 = 0x00;
    /// Write error counters.
    pub const WRITE_ERRORS: u8 = 0x02;
    /// Read error counters.
    pub const READ_ERRORS: u8 = 0x03;
    /// Temperature.
    pub const TEMPERATURE: u8 = 0x0d;
    /// Start-stop cycle counter.
    pub const START_STOP: u8 = 0x0e;
    /// Solid state media.
    pub const SOLID_STATE: u8 = 0x11;
    /// Background scan results.
    pub const BACKGROUND_SCAN: u8 = 0x15;
    /// Informational exceptions.
    pub const EXCEPTIONS: u8 = 0x2f;
}

/// The pages that say something of a disk's health, in the order in which they are asked for.
pub const PAGES: [u8; 7] = [
    page::EXCEPTIONS,
    page::TEMPERATURE,
    page::SOLID_STATE,
    page::BACKGROUND_SCAN,
    page::START_STOP,
    page::READ_ERRORS,
    page::WRITE_ERRORS,
];
/// Bytes that are asked for.
pub const LEN: u16 = 512;

/// A temperature that is none.
const UNKNOWN: u64 = 0xff;

/// The body of page `code`; `None` where the target answered another.
fn body(bytes: &[u8], code: u8) -> Option<&[u8]> {
    let first = bytes.first()?;
    (first & 0x3f == code && bytes.len() >= 4).then(|| list(bytes, 4, number(bytes, 2, 2)))
}

/// Whether page 00h lists `code`.
pub fn lists(supported: &[u8], code: u8) -> bool {
    body(supported, page::SUPPORTED).is_some_and(|codes| codes.contains(&code))
}

/// The value of parameter `code` of a page.
fn parameter(mut rest: &[u8], code: u64) -> Option<&[u8]> {
    while let [_, _, _, len, more @ ..] = rest {
        let value = more.get(..usize::from(*len))?;
        if number(rest, 0, 2) == code {
            return Some(value);
        }
        rest = more.get(usize::from(*len)..)?;
    }
    None
}

/// A counter, however wide; one that does not fit is as large as can be said.
fn counter(rest: &[u8], code: u64) -> Option<u64> {
    let value = parameter(rest, code)?;
    let (high, low) = value.split_at(value.len().saturating_sub(8));
    if high.iter().any(|byte| *byte != 0) { Some(u64::MAX) } else { Some(number(low, 0, low.len())) }
}

/// Takes over what page `code` says.
pub fn learn(bytes: &[u8], code: u8, health: &mut Health) {
    let Some(found) = body(bytes, code) else { return };
    let value = |parameter_code| parameter(found, parameter_code).unwrap_or_default();
    let degrees = |value: &[u8], at| Some(number(value, at, 1)).filter(|t| value.len() > at && *t != UNKNOWN);
    let temperature = |found: Option<u64>| found.and_then(|t| i16::try_from(t).ok());
    match code {
        page::EXCEPTIONS => {
            let said = value(0);
            if said.len() >= 2 {
                health.failing = Some(number(said, 0, 1) == crate::rules::FAILURE_PREDICTION.into());
            }
            health.temperature = health.temperature.or(temperature(degrees(said, 2).filter(|t| *t != 0)));
        }
        page::TEMPERATURE => health.temperature = temperature(degrees(value(0), 1)).or(health.temperature),
        page::SOLID_STATE if value(1).len() >= 4 => health.used_percent = u8::try_from(number(value(1), 3, 1)).ok(),
        page::BACKGROUND_SCAN if value(0).len() >= 4 => health.power_on_hours = Some(number(value(0), 0, 4) / 60),
        page::START_STOP => health.power_cycles = counter(found, 4),
        page::READ_ERRORS => {
            health.media_errors = counter(found, 6);
            health.read_kblocks = counter(found, 5).map(|bytes| bytes / 512_000);
        }
        page::WRITE_ERRORS => {
            let written = counter(found, 6);
            health.media_errors = match (health.media_errors, written) {
                (Some(read), Some(written)) => Some(read.saturating_add(written)),
                (read, written) => read.or(written),
            };
            health.written_kblocks = counter(found, 5).map(|bytes| bytes / 512_000);
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::super::hex;
    use super::*;

    /// Pages of a disk drive, as `sg_logs -H` prints them.
    fn drive() -> Health {
        let mut health = Health::default();
        for (code, bytes) in [
            (0x2f, "2f 00 00 08 00 00 03 04 00 00 1c 00"),
            (0x0d, "0d 00 00 0c 00 00 03 02 00 1d 00 01 03 02 00 3c"),
            (0x11, "11 00 00 08 00 01 03 04 00 00 00 07"),
            (0x15, "15 00 00 14 00 00 03 10 00 06 dd d0 00 00 00 00 00 00 00 00 00 00 00 00"),
            (0x0e, "0e 00 00 10 00 03 03 04 00 00 c3 50 00 04 03 04 00 00 00 2a"),
            (0x03, "03 00 00 14 00 05 02 08 00 00 00 00 3b 9a ca 00 00 06 02 04 00 00 00 02"),
            (0x02, "02 00 00 14 00 05 02 08 00 00 00 00 77 35 94 00 00 06 02 04 00 00 00 01"),
        ] {
            learn(&hex(bytes), code, &mut health);
        }
        health
    }

    #[test]
    fn what_a_drive_says() {
        let health = drive();
        assert_eq!((health.failing, health.temperature, health.used_percent), (Some(false), Some(29), Some(7)));
        assert_eq!((health.power_on_hours, health.power_cycles), (Some(7500), Some(42)));
        assert_eq!(
            (health.media_errors, health.read_kblocks, health.written_kblocks),
            (Some(3), Some(1953), Some(3906))
        );
    }

    #[test]
    fn a_prediction_of_failure_is_one() {
        let mut health = Health::default();
        learn(&hex("2f 00 00 08 00 00 03 04 5d 10 ff 00"), 0x2f, &mut health);
        assert_eq!((health.failing, health.temperature), (Some(true), None));
    }

    #[test]
    fn lies_change_nothing() {
        for bytes in ["", "0d", "2f 00 ff ff", "0d 00 ff ff 00 00 03 ff 00", "0d 00 00 06 00 00 03 02 00 ff"] {
            for code in PAGES {
                let mut health = drive();
                learn(&hex(bytes), code, &mut health);
                assert!(health.temperature == Some(29) && health.failing == Some(false), "{bytes}");
            }
        }
        let wide = hex("03 00 00 10 00 06 02 0c 01 00 00 00 00 00 00 00 00 00 00 00");
        let mut health = Health::default();
        learn(&wide, 0x03, &mut health);
        assert_eq!(health.media_errors, Some(u64::MAX));
    }
}
