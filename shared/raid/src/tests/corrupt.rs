// SPDX-License-Identifier: MIT
//! What is wrong with devices, and with sets of them: refused, with what was found.
use super::image::{Images, found};
use crate::wire::{HEAD_BYTES, SUM_AT, feature, sum};
use crate::{Array, BadBlocks, Error, Kind, Super, bad_blocks::RANGES_MAX};
use std::format;
use std::string::ToString;
use std::vec::Vec;

/// What is wrong after changes at bytes of the superblock, its checksum made right.
fn kind_of(image: &[u8], changes: &[(usize, &[u8])]) -> Kind {
    let mut image = image.to_vec();
    for (at, bytes) in changes {
        image[4096 + at..4096 + at + bytes.len()].copy_from_slice(bytes);
    }
    let used = HEAD_BYTES + u32::from_le_bytes(image[4096 + 220..4096 + 224].try_into().unwrap()) as usize * 2;
    if used <= 4096 {
        let sum = sum(&image[4096..4096 + used], SUM_AT);
        image[4096 + SUM_AT..4096 + SUM_AT + 4].copy_from_slice(&sum.to_le_bytes());
    }
    found(&image).unwrap().unwrap_err().kind
}

#[test]
fn damaged_superblocks_are_refused_with_what_is_wrong() {
    let images = Images::golden("raid5-left-symmetric");
    let image = &images.members[1];
    let kind = |at: usize, bytes: &[u8]| kind_of(image, &[(at, bytes)]);
    // Offsets of md_p.h's struct mdp_superblock_1.
    assert_eq!(kind(4, &[2]), Kind::Major(2));
    assert_eq!(kind(8, &[0, 0x40]), Kind::Features(0x4000));
    assert_eq!(kind(92, &[0; 4]), Kind::Members(0));
    assert_eq!(kind(92, &[1, 0, 0, 0]), Kind::Role(1, 1));
    assert_eq!(kind(80, &[0, 1]), Kind::Used { used: 256, has: 192 });
    assert_eq!(kind(128, &[64]), Kind::Data { first: 64, sectors: 192, device: 224 });
    assert_eq!(kind(128, &[0; 8]), Kind::DataMeets);
    assert_eq!(kind(136, &[0xff; 8]), Kind::Data { first: 32, sectors: u64::MAX, device: 224 });
    assert_eq!(kind(144, &[16]), Kind::Elsewhere(16));
    assert_eq!(kind(160, &[0xff; 4]), Kind::Number(u32::MAX));
    assert_eq!(kind(220, &[0x81, 1]), Kind::Roles(385));
    // A bitmap before the device's start.
    assert_eq!(kind_of(image, &[(8, &[1]), (96, &[0xf0, 0xff, 0xff, 0xff])]), Kind::Bitmap);
    assert_eq!(kind_of(image, &[(186, &[0xff, 0xff])]), Kind::Log);
    let mut torn = image.clone();
    torn[4096 + 200] ^= 1;
    let error = found(&torn).unwrap().unwrap_err();
    assert!(matches!(error, Error { kind: Kind::Sum { .. }, at: 8 }));
    assert!(error.to_string().starts_with("superblock at sector 8: the checksum is "), "{error}");
    assert!(error.to_string().ends_with("leave this device out, if the others are enough"), "{error}");
}

#[test]
fn no_byte_of_a_superblock_can_change_unseen() {
    for name in ["raid5-left-symmetric", "raid1-0.90", "raid1-1.0"] {
        let images = Images::golden(name);
        let parsed = &images.supers()[0];
        let (at, old) = (parsed.super_offset as usize * 512, name.ends_with("0.90"));
        let used = if old { 4096 } else { HEAD_BYTES + parsed.roles.len() * 2 };
        for byte in 4..used {
            let mut image = images.members[0].clone();
            image[at + byte] ^= 0x10;
            assert!(found(&image).unwrap().is_err(), "{name}: byte {byte}");
        }
    }
}

#[test]
fn a_big_endian_superblock_is_the_same() {
    let images = Images::golden("raid5-0.90");
    for (image, little) in images.members.iter().zip(images.supers()) {
        let at = little.super_offset as usize * 512;
        let mut words: Vec<[u8; 4]> = image[at..at + 4096].chunks(4).map(|w| w.try_into().unwrap()).collect();
        words.iter_mut().for_each(|word| word.reverse());
        // Events' high word comes first.
        words.swap(39, 40);
        words.swap(41, 42);
        let mut image = image.clone();
        image[at..at + 4096].copy_from_slice(&words.concat());
        let big = found(&image).unwrap().unwrap();
        assert_eq!(big.version, crate::Version::V090Big);
        assert_eq!(Super { version: little.version, ..big }, little);
    }
}

/// Assembles changed superblocks.
fn assemble(images: &Images, change: impl Fn(usize, &mut Super)) -> Result<Array, Error> {
    let mut supers = images.supers();
    supers.iter_mut().enumerate().for_each(|(index, device)| change(index, device));
    Array::assemble(&supers, supers[0].set)
}

#[test]
fn sets_that_do_not_fit_together_are_refused_by_name() {
    let images = Images::golden("raid5-left-symmetric");
    let names = ["a.img", "b.img", "c.img", "d.img"];
    let refused = |change: &dyn Fn(usize, &mut Super), kind: Kind, text: &str| {
        let error = assemble(&images, change).unwrap_err();
        assert_eq!(error.kind, kind, "{error:?}");
        assert!(error.named(&names).to_string().contains(text), "{}", error.named(&names));
    };
    refused(&|i, s| s.chunk += 8 * u32::from(i == 2), Kind::Disagree(0), "c.img and a.img are equally new");
    let twice = |i, s: &mut Super| {
        if i == 3 {
            (s.role, s.number) = (crate::Role::Active(1), 1);
        }
    };
    refused(&twice, Kind::SameRole(1, 3), "b.img and d.img both claim to be member 1; one is a copy");
    let split = |i: usize, s: &mut Super| {
        s.roles[if i == 1 { 0 } else { 1 }] = crate::wire::FAULTY;
    };
    refused(&split, Kind::Split(0), "b.img and a.img do not agree which of them failed; they were used without");
    // One that the others dropped, and as new as they are.
    let dropped = |i: usize, s: &mut Super| {
        if i > 0 {
            s.roles[0] = crate::wire::SPARE;
        }
    };
    refused(&dropped, Kind::Split(0), "b.img and a.img do not agree which of them failed");
    let both = feature::JOURNAL | feature::PPL;
    refused(&|_, s| s.features |= both, Kind::JournalLevel, "a.img: a write journal is for RAID 4, 5 and 6, without");
    refused(&|_, s| s.level = 7, Kind::Level(7), "a.img: level 7; linear, 0, 1");
    let reshape = |_: usize, s: &mut Super| {
        let of = |position| crate::Reshape {
            position,
            backwards: false,
            level: 5,
            delta_disks: 1,
            layout: 2,
            chunk: 8,
            offset: 0,
        };
        s.reshape = Some(of(77));
    };
    refused(&reshape, Kind::Reshaping(77), "it is being reshaped, and has come to sector 77");
}

#[test]
fn one_event_behind_is_as_new_and_two_are_stale() {
    let images = Images::golden("raid5-left-symmetric");
    let behind = |by| assemble(&images, move |i, s| s.events += 5 - by * u64::from(i == 2)).unwrap();
    assert!(!behind(1).is_degraded());
    assert_eq!(behind(2).missing().collect::<Vec<_>>(), [2]);
    // One behind is stale all the same where the newer ones dropped it.
    let dropped = |i: usize, s: &mut Super| {
        s.events += 5 - u64::from(i == 2);
        if i != 2 {
            s.roles[2] = crate::wire::SPARE;
        }
    };
    assert_eq!(assemble(&images, dropped).unwrap().missing().collect::<Vec<_>>(), [2]);
}

#[test]
fn an_array_that_was_not_stopped_cleanly_is_doubtful_only_where_it_lacks_a_member() {
    let images = Images::golden("raid5-left-symmetric");
    let dirty = |gone: &[usize]| assemble(&images.without(gone), |_, s| s.resync = Some(0)).unwrap().is_doubtful();
    assert_eq!((dirty(&[]), dirty(&[1])), (false, true));
    let mirror = Images::golden("raid1-1.1");
    assert!(!assemble(&mirror.without(&[1]), |_, s| s.resync = Some(0)).unwrap().is_doubtful());
}

#[test]
fn members_that_give_nothing_are_recovered_until_too_many_do() {
    let mut images = Images::golden("raid6-left-symmetric");
    let array = images.assemble().unwrap();
    let whole = images.content(&array).unwrap();
    // Cut off: what lies behind cannot be read.
    images.members[0].truncate(100 * 512);
    images.members[4].truncate(150 * 512);
    assert!(images.content(&array).unwrap() == whole);
    images.members[2].truncate(200 * 512);
    let error = images.content(&array).unwrap_err();
    assert_eq!(error.kind, Kind::Lost);
    // Three chunks of data a row, and the data begin at sector 32.
    assert!(error.at >= (200 - 32) * 3, "{error:?}");
    assert!(format!("{}", error.named(&[])).starts_with(&format!("sector {} of the array cannot be read", error.at)));
}

#[test]
fn parity_that_may_be_wrong_is_not_trusted_unasked() {
    let mut images = Images::golden("raid5-left-symmetric");
    let mut array = assemble(&images, |_, s| s.resync = Some(0)).unwrap();
    let whole = images.content(&array).unwrap();
    images.members[2].truncate(60 * 512);
    assert_eq!(images.content(&array).unwrap_err().kind, Kind::Unsure);
    array.force = true;
    assert!(images.content(&array).unwrap() == whole);
}

#[test]
fn lists_of_bad_blocks() {
    let entries = |entries: &[(u64, u64)]| -> Vec<u8> {
        let words = entries.iter().map(|(at, len)| at << 10 | len).chain([u64::MAX, 5]);
        words.flat_map(u64::to_le_bytes).collect()
    };
    let list = BadBlocks::parse(&entries(&[(100, 8), (300, 1)]), 0).unwrap();
    let met = |first, end| list.meet(first, end);
    assert_eq!(
        [met(92, 100), met(99, 101), met(107, 200), met(108, 300), met(300, 301)],
        [false, true, true, false, true]
    );
    assert_eq!((list.len(), BadBlocks::parse(&entries(&[]), 3)), (2, Some(BadBlocks::default())));
    assert!(BadBlocks::parse(&entries(&[(100, 8)]), 3).unwrap().meet(863, 864));
    assert_eq!(BadBlocks::parse(&entries(&[(1 << 53, 8)]), 60), None);
    assert_eq!(BadBlocks::parse(&entries(&std::vec![(1, 1); RANGES_MAX + 1]), 0), None);
}
