// SPDX-License-Identifier: MIT
use super::*;
use std::vec::Vec;

fn sample() -> Builder {
    let setting = |k: &str, v: u64| Setting { key: Name::new(k), value: v.into() };
    Builder { name: "demo".into(), settings: std::vec![setting("a", 1), setting("b", u64::MAX)], ..Builder::default() }
}

#[test]
fn what_is_built_parses_back() {
    let blob = sample().bytes();
    let config = Config::parse(&blob).unwrap();
    assert_eq!((config.name, config.links.len(), config.settings.len()), ("demo", 0, 2));
    assert_eq!((config.setting("b"), config.setting("c")), (Some(u64::MAX), None));
}

#[test]
fn every_truncation_and_every_flipped_byte_is_survived() {
    let blob = sample().bytes();
    for len in 0..blob.len() {
        assert!(Config::parse(&blob[..len]).is_err(), "{len} bytes");
    }
    for at in 0..blob.len() {
        let mut bad: Vec<u8> = blob.clone();
        bad[at] ^= 0xff;
        let _ = Config::parse(&bad);
    }
}

#[test]
fn a_table_that_leaves_the_blob_is_refused() {
    let mut blob = sample().bytes();
    let settings = 16 + 64 + 6 * 8;
    blob[settings + 4..settings + 8].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(Config::parse(&blob).unwrap_err().what, "table outside the configuration");
}
