// SPDX-License-Identifier: MIT
//! What md wrote through each level and layout, read back: complete, and with as many members missing as it bears.
use super::image::Images;
use crate::{Kind, Role, Standing, Version};
use std::vec::Vec;
use std::{format, vec};

const PLAIN: &[(&str, usize)] = &[
    ("linear", 0),
    ("raid0-original", 0),
    ("raid0-alternate", 0),
    ("raid0-even", 0),
    ("raid1-1.0", 1),
    ("raid1-1.1", 2),
    ("raid1-0.90", 1),
    ("raid1-bitmap", 1),
    ("raid4", 1),
    ("raid5-left-asymmetric", 1),
    ("raid5-right-asymmetric", 1),
    ("raid5-left-symmetric", 1),
    ("raid5-right-symmetric", 1),
    ("raid5-parity-first", 1),
    ("raid5-parity-last", 1),
    ("raid5-0.90", 1),
    ("raid5-1.1", 1),
    ("raid6-left-asymmetric", 2),
    ("raid6-right-asymmetric", 2),
    ("raid6-left-symmetric", 2),
    ("raid6-right-symmetric", 2),
    ("raid6-parity-first", 2),
    ("raid6-parity-last", 2),
    ("raid6-ddf-zero-restart", 2),
    ("raid6-ddf-N-restart", 2),
    ("raid6-ddf-N-continue", 2),
    ("raid6-left-asymmetric-6", 2),
    ("raid6-right-asymmetric-6", 2),
    ("raid6-left-symmetric-6", 2),
    ("raid6-right-symmetric-6", 2),
    ("raid6-parity-first-6", 2),
    ("raid10-n2", 1),
    ("raid10-n3", 2),
    ("raid10-f2", 1),
    ("raid10-f3", 2),
    ("raid10-o2", 1),
    ("raid10-o3", 2),
    ("raid10-n2-even", 1),
    ("raid10-f2-two", 1),
];

/// Every choice of at most `most` of `count` members.
fn choices(count: usize, most: usize) -> Vec<Vec<usize>> {
    let within = |n: &u32| n.count_ones() as usize <= most;
    (0..1u32 << count).filter(within).map(|n| (0..count).filter(|i| n >> i & 1 != 0).collect()).collect()
}

#[test]
fn every_level_and_layout_reads_as_md_wrote_it_whichever_members_are_missing() {
    for (name, bears) in PLAIN {
        let images = Images::golden(name);
        for gone in choices(images.members.len(), *bears) {
            let differs = images.without(&gone).differs(|sector| sector);
            assert!(differs.is_empty(), "{name} without {gone:?}: {differs:#?}");
        }
    }
}

#[test]
fn one_member_too_few_is_refused_by_name() {
    for (name, bears) in PLAIN {
        let images = Images::golden(name);
        for gone in choices(images.members.len(), bears + 1).into_iter().filter(|gone| gone.len() == bears + 1) {
            if gone.len() == images.members.len() {
                continue;
            }
            match images.without(&gone).assemble() {
                Err(error) => match error.kind {
                    Kind::Missing { first, .. } | Kind::NoCopy(first) => assert_eq!(first as usize, gone[0], "{name}"),
                    other => panic!("{name}: {other:?}"),
                },
                // Copies may be on others than the next members.
                Ok(_) => {
                    assert!(name.starts_with("raid10"), "{name} without {gone:?}");
                    assert!(images.without(&gone).differs(|sector| sector).is_empty(), "{name} without {gone:?}");
                }
            }
        }
    }
}

/// What the pattern is where the sectors of `ranges` were written again.
fn again(sector: u64, ranges: &[(u64, u64)]) -> u64 {
    if ranges.iter().any(|(first, count)| (*first..first + count).contains(&sector)) {
        sector + 0x10_0000
    } else {
        sector
    }
}

#[test]
fn a_stale_member_is_never_read() {
    type Case = (&'static str, &'static [usize], &'static [(u64, u64)]);
    let cases: [Case; 3] = [
        ("raid5-stale", &[1], &[(64, 64)]),
        ("raid1-stale", &[0], &[(16, 32)]),
        ("raid6-stale", &[0, 3], &[(64, 64), (200, 40)]),
    ];
    for (name, stale, ranges) in cases {
        let mut images = Images::golden(name);
        // The second writing was of numbers from 0x100000 on, at the same places.
        let differs = images.differs(|sector| again(sector, ranges));
        assert!(differs.is_empty(), "{name}: {differs:#?}");
        let array = images.assemble().unwrap();
        let is_stale = |device: &crate::Super| matches!(array.standing(device), Standing::Stale { .. });
        let found: Vec<usize> = (0..).zip(&images.supers()).filter(|(_, s)| is_stale(s)).map(|(i, _)| i).collect();
        assert_eq!(found, stale, "{name}");
    }
}

#[test]
fn a_member_that_lacks_in_its_place_is_not_replaced_by_a_stale_one() {
    let images = Images::golden("raid5-stale");
    let error = images.without(&[0]).assemble().unwrap_err();
    assert_eq!(error.kind, Kind::Missing { here: 2, need: 3, first: 0 });
}

#[test]
fn a_spare_is_none_of_the_members() {
    let mut images = Images::golden("raid5-spare");
    assert!(images.differs(|sector| sector).is_empty());
    let array = images.assemble().unwrap();
    let standings: Vec<_> = images.supers().iter().map(|s| array.standing(s)).collect();
    let members = (0..4).map(Standing::Member).chain([Standing::Spare]);
    assert_eq!(standings, members.collect::<Vec<_>>());
    assert!(!array.is_degraded());
}

#[test]
fn a_member_is_read_as_far_as_it_is_rebuilt() {
    let mut images = Images::golden("raid5-rebuilding");
    let supers = images.supers();
    let recovered = supers[2].recovery.unwrap();
    assert!(recovered > 0 && recovered < supers[2].size, "{recovered}");
    assert!(images.differs(|sector| sector).is_empty());
    let array = images.assemble().unwrap();
    assert_eq!(array.standing(&supers[2]), Standing::Rebuilding(2, recovered));
    assert_eq!(array.missing().collect::<Vec<_>>(), [2]);
    // What it holds behind that is not what it should be: with it as whole as it is not, the content is wrong.
    let mut wrong = array.clone();
    wrong.slots[2].as_mut().unwrap().valid = u64::MAX;
    assert_ne!(images.content(&wrong).unwrap(), images.content(&array).unwrap());
}

#[test]
fn an_array_in_the_middle_of_a_reshape_is_read_on_both_sides_of_it() {
    let images = Images::golden("raid5-grows");
    assert_eq!(images.assemble().unwrap().before.map(|before| before.position), Some(1440));
    for gone in choices(images.members.len(), 1) {
        let differs = images.without(&gone).differs(|sector| sector);
        assert!(differs.is_empty(), "without {gone:?}: {differs:#?}");
    }
}

/// What md was reshaping when it was stopped, and how many members may be missing.
pub const RESHAPING: &[(&str, usize)] = &[
    ("raid6-grows", 2),
    ("raid5-chunk", 1),
    ("raid6-becomes-5", 2),
    ("raid5-shrinks", 1),
    ("raid10-shrinks", 1),
    ("raid10-grows", 1),
    ("raid5-0.90-grows", 1),
];

#[test]
fn every_reshape_that_md_left_is_read_on_both_sides_whichever_members_are_missing() {
    for (name, bears) in RESHAPING {
        let images = Images::golden(name);
        let array = images.assemble().unwrap();
        let before = array.before.as_ref().unwrap();
        assert!(before.position > 0 && before.position < array.sectors(), "{name}: {before:?}");
        for gone in choices(images.members.len(), *bears) {
            let differs = images.without(&gone).differs(|sector| sector);
            assert!(differs.is_empty(), "{name} without {gone:?}: {differs:#?}");
        }
    }
}

#[test]
fn what_superblocks_say_is_what_mdadm_says() {
    let images = Images::golden("raid5-stale");
    let supers = images.supers();
    // From `mdadm --examine` of the members 0 and 1.
    assert_eq!(format!("{}", supers[0].set), "54600450:14ab845e:48f0a882:c0d412cc");
    assert_eq!(format!("{}", supers[0].device), "3424ee3e:35c1d2f1:c78a3df8:7ca9e4a8");
    assert_eq!((supers[0].events, supers[1].events), (5, 1));
    assert_eq!((supers[0].is_dirty(), supers[1].is_dirty()), (false, true));
    assert_eq!((supers[0].name(), supers[0].version), ("ref:raid5-stale", Version::V12));
    assert_eq!((supers[0].data_offset, supers[0].data_size, supers[0].chunk), (32, 192, 8));
    assert_eq!((supers[1].role, supers[0].role_of(1)), (Role::Active(1), Role::Spare));
    assert_eq!(supers[0].log.map(|log| log.at), Some(8 + 16));
}

#[test]
fn superblocks_of_version_1_are_emitted_as_mdadm_wrote_them() {
    for (name, _) in PLAIN.iter().filter(|(name, _)| !name.ends_with("0.90")) {
        let images = Images::golden(name);
        for (image, parsed) in images.members.iter().zip(images.supers()) {
            let mut bytes = vec![0xaa; 1024];
            let used = parsed.emit(&mut bytes).unwrap();
            let at = parsed.super_offset as usize * 512;
            assert_eq!(bytes[..used], image[at..at + used], "{name}");
        }
    }
}

#[test]
fn a_replacement_is_read_where_the_member_that_it_replaces_is_gone() {
    use crate::Uuid;
    use crate::wire::feature;
    let mut images = Images::golden("raid5-left-symmetric");
    // A copy of member 2 is to replace it, and has come up to sector 64.
    images.members.push(images.members[2].clone());
    let mut supers = images.supers();
    let number = supers.iter().map(|own| own.number).max().unwrap() + 1;
    assert_eq!(supers[4].role, Role::Active(2));
    for own in &mut supers {
        own.roles[number as usize] = 2;
    }
    let new = supers.last_mut().unwrap();
    (new.number, new.device, new.recovery) = (number, Uuid([3; 16]), Some(64));
    new.features |= feature::REPLACEMENT | feature::RECOVERY;
    for (image, own) in images.members.iter_mut().zip(&supers) {
        let at = own.super_offset as usize * 512;
        let mut bytes = [0; 4096];
        let used = own.emit(&mut bytes).unwrap();
        image[at..at + used].copy_from_slice(&bytes[..used]);
    }
    // What it does not hold yet must not be read.
    let own = &supers[4];
    images.members[4][(own.data_offset as usize + 64) * 512..].fill(0x5a);
    for gone in [&[][..], &[2], &[4], &[0]] {
        let mut some = images.without(gone);
        assert_eq!(some.differs(|n| n), Vec::<&str>::new(), "without {gone:?}");
        let array = some.assemble().unwrap();
        assert_eq!(array.is_degraded(), gone == [2] || gone == [0]);
        let expected = if gone == [2] { Standing::Rebuilding(2, 64) } else { Standing::Replacement(2) };
        assert_eq!(array.standing(&supers[4]), expected);
    }
    assert!(images.without(&[0, 2]).assemble().is_err(), "it holds too little");
    // And is rebuilt as any member is.
    let mut rig = super::rig::Rig::over(images.without(&[2]).members, 0, false, 1);
    rig.start().settle();
    assert_eq!(rig.node.layer().missing().count(), 0);
    assert!(rig.supers().iter().all(|own| !own.has(feature::REPLACEMENT | feature::RECOVERY)));
    super::engine::alike(&rig);
}
