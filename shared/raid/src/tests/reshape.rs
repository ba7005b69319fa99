// SPDX-License-Identifier: MIT
//! Arrays that get another geometry while the power goes at any step.
use super::golden::RESHAPING;
use super::image::{Images, pattern};
use super::rig::{Disk, Numbers, create, found, new};
use crate::create::New;
use crate::reshape::{Change, Write, work};
use crate::{Array, Kind, Level, Read, Standing, Super, parity};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::vec;
use std::vec::Vec;

/// Disks that do so many writes more, and then nothing.
#[derive(Clone)]
struct Store {
    disks: Vec<Disk>,
    left: u64,
    writes: u64,
}

impl Read for Store {
    fn read(&mut self, device: usize, sector: u64, to: &mut [u8]) -> bool {
        let disk = &self.disks[device];
        let first = sector as usize;
        let good = (first + to.len() / 512) * 512 <= disk.durable.len();
        to.chunks_mut(512).zip(first..).for_each(|(to, at)| to.copy_from_slice(&disk.sector(at)));
        good
    }
}

impl Write for Store {
    fn write(&mut self, device: usize, sector: u64, from: &[u8]) -> bool {
        for (bytes, at) in from.chunks(512).zip(sector as usize..) {
            if self.left == 0 {
                return false;
            }
            self.left -= 1;
            self.writes += 1;
            self.disks[device].put(at, bytes.try_into().unwrap(), false);
        }
        true
    }
    fn flush(&mut self, device: usize) -> bool {
        if self.left > 0 {
            self.disks[device].flush();
        }
        self.left > 0
    }
}

impl Store {
    /// An array that holds the pattern, and spares.
    fn of(new: &New<'_>, members: usize, sectors: u64, spares: usize) -> Self {
        let images = create(new, &vec![sectors; members + spares], spares);
        let disk = |durable| Disk { durable, cached: Some(BTreeMap::new()), ..Disk::default() };
        let mut store = Self { disks: images.into_iter().map(disk).collect(), left: u64::MAX, writes: 0 };
        let array = store.array();
        for at in 0..array.sectors() {
            let bytes = pattern([at]);
            for place in (0..).map_while(|copy| array.geometry.place(at, copy)) {
                let slot = array.slots[place.member as usize].unwrap();
                store.write(slot.device, slot.offset + place.sector, &bytes);
            }
        }
        store.make_parity(&array);
        (0..store.disks.len()).for_each(|disk| assert!(store.flush(disk)));
        store
    }

    /// Members as md left them.
    fn golden(name: &str) -> Self {
        let disk = |durable| Disk { durable, cached: Some(BTreeMap::new()), ..Disk::default() };
        let disks = Images::golden(name).members.into_iter().map(disk).collect();
        Self { disks, left: u64::MAX, writes: 0 }
    }

    fn supers(&self) -> Vec<Super> {
        self.disks.iter().filter_map(found).collect()
    }

    /// One disk more, for a backup; its number.
    fn backup(&mut self, sectors: usize) -> usize {
        let disk = Disk { durable: vec![0; sectors * 512], cached: Some(BTreeMap::new()), ..Disk::default() };
        self.disks.push(disk);
        self.disks.len() - 1
    }

    fn array(&self) -> Array {
        let supers = self.supers();
        Array::assemble(&supers, supers[0].set).unwrap()
    }

    /// P and Q of a stripe's sector, as the data say.
    fn sums(&self, array: &Array, at: u64) -> Vec<(u32, [u8; 512])> {
        let Some(stripe) = array.geometry.stripe(at) else { return vec![] };
        let (mut p, mut q) = ([0; 512], [0; 512]);
        for role in stripe.members() {
            let slot = array.slots[role as usize].unwrap();
            let data = self.disks[slot.device].sector((slot.offset + at) as usize);
            parity::add(&mut p, &data);
            parity::add_product(&mut q, &data, parity::power(stripe.power(role)));
        }
        std::iter::once((stripe.p, p)).chain(stripe.q.map(|role| (role, q))).collect()
    }

    fn make_parity(&mut self, array: &Array) {
        if let Level::Parity(_) = array.geometry.level() {
            for at in 0..array.geometry.used(0) {
                for (role, sum) in self.sums(array, at) {
                    let slot = array.slots[role as usize].unwrap();
                    self.write(slot.device, slot.offset + at, &sum);
                }
            }
        }
    }

    fn content(&mut self) -> Vec<u8> {
        let array = self.array();
        let mut all = vec![0; array.sectors() as usize * 512];
        crate::read(&array, self, 0, &mut all, &mut vec![0; 1 << 16]).unwrap();
        all
    }

    /// Does what is wanted, or as much as the disks still do.
    fn work(&mut self, change: &Change) -> Result<(), crate::Error> {
        let mut supers = self.supers();
        let set = supers[0].set;
        let mut room = vec![0x99; 1 << 18];
        work(&mut supers, set, change, self, &mut room, &mut |_| true)
    }

    fn crash(&mut self, numbers: &mut Numbers) {
        self.left = u64::MAX;
        self.disks.iter_mut().for_each(|disk| disk.lose_power(numbers));
    }

    /// What the array is in the end: complete, and parity or copies are right.
    fn is_whole(&mut self) {
        let array = self.array();
        assert!(!array.is_degraded() && array.before.is_none() && !array.newest.is_dirty());
        for at in 0..array.geometry.used(0) {
            for (role, sum) in self.sums(&array, at) {
                let slot = array.slots[role as usize].unwrap();
                assert_eq!(self.disks[slot.device].sector((slot.offset + at) as usize), sum, "parity of sector {at}");
            }
        }
        for at in 0..array.sectors() {
            for place in (0..).map_while(|copy| array.geometry.place(at, copy)) {
                let slot = array.slots[place.member as usize].unwrap();
                let own = self.disks[slot.device].sector((slot.offset + place.sector) as usize);
                let same = array.geometry.place(at, 0).unwrap();
                let first = array.slots[same.member as usize].unwrap();
                assert_eq!(own, self.disks[first.device].sector((first.offset + same.sector) as usize));
            }
        }
    }
}

/// What an array is, and becomes.
type Case = ((i32, u32, u32), usize, usize, Change);

/// Sectors of each member that are used, and those that are free before and behind them.
const USED: u64 = 192;
const FREE: u64 = 160;

fn store(&((level, layout, chunk), members, spares, _): &Case, behind: u64) -> Store {
    let new = New { data_offset: 96 + FREE, ..new(level, layout, chunk) };
    let mut store = Store::of(&new, members, 96 + FREE + USED, spares);
    // What is used may be less than what there is.
    for disk in &mut store.disks {
        disk.durable.resize(disk.durable.len() + behind as usize * 512, 0);
        let mut own = found(disk).unwrap();
        own.data_size += behind;
        let mut bytes = [0; 4096];
        own.emit(&mut bytes).unwrap();
        disk.durable[4096..8192].copy_from_slice(&bytes);
    }
    store
}

/// Does it whole, and then with the power gone at every so many writes, again and again.
fn lives(case: &Case, behind: u64, every: u64) {
    let whole = store(case, behind);
    let before = whole.clone().content();
    let same = |store: &mut Store, what: &str| {
        let now = store.content();
        let both = now.len().min(before.len());
        let differs = now.chunks(512).zip(before.chunks(512)).position(|(a, b)| a != b);
        assert!(now[..both] == before[..both], "{case:?} {what}: sector {differs:?} differs");
        both
    };
    let mut one = whole.clone();
    one.work(&case.3).unwrap();
    same(&mut one, "in one go");
    if case.3.level.is_none_or(|level| level == case.0.0) && case.0.0 != 0 {
        one.is_whole();
    }
    let writes = one.writes - whole.writes;
    for seed in 0..writes / every {
        let mut store = whole.clone();
        let mut numbers = Numbers(seed);
        let mut after = 1 + seed * every + numbers.below(every);
        for _ in 0..6 {
            store.left = after;
            if store.work(&case.3).is_ok() {
                break;
            }
            store.crash(&mut numbers);
            same(&mut store, "after a loss of power");
            after = 1 + numbers.below(writes);
        }
        store.left = u64::MAX;
        store.work(&case.3).unwrap();
        same(&mut store, "in the end");
        let (own, other) = (store.supers(), one.supers());
        let facts = |all: &[Super]| -> Vec<_> {
            all.iter().map(|s| (s.level, s.layout, s.chunk, s.raid_disks, s.role, s.data_offset, s.data_size)).collect()
        };
        assert_eq!(facts(&own), facts(&other), "{case:?}");
        let array = store.array();
        let stale = own.iter().any(|device| matches!(array.standing(device), Standing::Stale { .. }));
        assert!(!stale && array.before.is_none());
        if !array.is_degraded() {
            store.is_whole();
        }
    }
}

fn disks(disks: u32) -> Change {
    Change { disks: Some(disks), ..Change::default() }
}

#[test]
fn members_are_added_whenever_the_power_goes() {
    let cases: [Case; 6] = [
        ((5, 2, 8), 3, 1, disks(4)),
        ((5, 0, 16), 3, 2, disks(5)),
        ((5, 3, 8), 4, 1, disks(5)),
        ((6, 2, 8), 4, 1, disks(5)),
        ((6, 10, 16), 5, 2, disks(7)),
        ((4, 0, 8), 3, 1, disks(4)),
    ];
    for case in &cases {
        lives(case, 0, 97);
    }
}

fn becomes(level: i32, layout: Option<u32>, disks: Option<u32>) -> Change {
    Change { level: Some(level), layout, disks, ..Change::default() }
}

#[test]
fn chunks_and_layouts_change_whenever_the_power_goes() {
    let to = |layout, chunk| Change { layout, chunk, ..Change::default() };
    let cases: [Case; 8] = [
        ((5, 2, 8), 3, 0, to(None, Some(16))),
        ((5, 2, 32), 4, 0, to(None, Some(8))),
        ((5, 2, 8), 4, 0, to(Some(1), None)),
        ((6, 2, 16), 5, 0, to(Some(8), Some(8))),
        ((6, 18, 8), 4, 0, to(Some(2), None)),
        ((6, 10, 8), 5, 0, to(Some(18), Some(32))),
        ((10, 0x102, 8), 4, 0, to(None, Some(16))),
        ((10, 0x102, 16), 3, 0, to(Some(0x1_0201), Some(8))),
    ];
    for case in &cases {
        // Forwards into the room before the data, and backwards into that behind them.
        lives(case, 0, 131);
        lives(case, FREE, 131);
    }
}

#[test]
fn members_are_taken_away_whenever_the_power_goes() {
    let less = |to, keep| Change { disks: Some(to), keep: Some(keep), ..Change::default() };
    let cases: [Case; 4] = [
        ((5, 2, 8), 4, 0, less(3, 384)),
        ((6, 10, 16), 6, 0, less(5, 576)),
        ((10, 0x102, 8), 5, 0, less(4, 384)),
        ((5, 2, 8), 3, 0, Change { level: Some(1), disks: Some(2), keep: Some(192), ..Change::default() }),
    ];
    for case in &cases {
        lives(case, FREE, 131);
    }
}

#[test]
fn levels_change_whenever_the_power_goes() {
    let usual = |change: Change| Change { usual: Some(2), ..change };
    let cases: [Case; 12] = [
        ((1, 0, 0), 2, 1, becomes(5, None, Some(3))),
        ((1, 0, 0), 2, 2, usual(becomes(6, None, Some(4)))),
        ((5, 2, 64), 2, 0, becomes(1, None, None)),
        ((0, 2, 8), 2, 1, usual(becomes(5, None, Some(3)))),
        ((0, 2, 8), 2, 2, usual(becomes(6, None, Some(4)))),
        ((0, 2, 8), 2, 0, becomes(4, None, None)),
        ((5, 2, 8), 3, 0, becomes(0, None, Some(2))),
        ((4, 0, 8), 3, 0, usual(becomes(5, None, None))),
        ((5, 2, 8), 3, 0, becomes(4, None, None)),
        ((5, 2, 8), 3, 1, usual(becomes(6, None, Some(4)))),
        ((6, 2, 8), 4, 0, becomes(5, None, Some(3))),
        ((0, 2, 8), 2, 1, Change { disks: Some(3), ..Change::default() }),
    ];
    for case in &cases {
        lives(case, FREE, 131);
    }
}

#[test]
fn what_linux_began_is_ended_whenever_the_power_goes() {
    // In place only mdadm goes on, and a superblock of 0.90 is not written.
    let apart = RESHAPING.iter().filter(|(name, _)| !name.contains("0.90") && *name != "raid5-shrinks");
    for (name, _) in apart {
        let store = Store::golden(name);
        let sectors = store.array().sectors();
        for seed in 0..4 {
            let (mut store, mut numbers) = (store.clone(), Numbers(seed));
            for _ in 0..seed {
                store.left = 1 + numbers.below(2000);
                let _ = store.work(&Change::default());
                store.crash(&mut numbers);
                assert!(store.content()[..sectors as usize * 512] == pattern(0..sectors), "{name} {seed}");
            }
            store.work(&Change::default()).unwrap();
            assert!(store.content()[..sectors as usize * 512] == pattern(0..sectors), "{name} {seed}");
            store.is_whole();
        }
    }
}

/// What is reshaped in place, with the power gone at any write: the same command with the same backup goes on.
#[test]
fn what_is_moved_in_place_is_kept_first_whenever_the_power_goes() {
    let to = |layout, chunk| Change { layout, chunk, ..Change::default() };
    let cases: [Case; 6] = [
        ((5, 2, 8), 3, 0, to(None, Some(16))),
        ((5, 2, 16), 4, 0, to(Some(1), Some(8))),
        ((6, 18, 8), 4, 0, to(Some(2), None)),
        ((5, 2, 8), 3, 1, disks(4)),
        ((4, 0, 8), 3, 1, disks(4)),
        ((5, 2, 8), 4, 0, Change { disks: Some(3), keep: Some(384), ..Change::default() }),
    ];
    for case in &cases {
        let new = New { data_offset: 80, ..new(case.0.0, case.0.1, case.0.2) };
        let mut whole = Store::of(&new, case.1, 80 + USED, case.2);
        let device = whole.backup(4096);
        let before = whole.content();
        let same = |now: &[u8]| {
            let both = now.len().min(before.len());
            assert!(now[..both] == before[..both], "{case:?}");
        };
        let refused = whole.clone().work(&case.3).unwrap_err();
        assert!(matches!(refused.kind, Kind::NoRoom(_)), "{case:?} {refused:?}");
        let change = Change { backup: Some(device), ..case.3 };
        let mut one = whole.clone();
        one.work(&change).unwrap();
        one.is_whole();
        same(&one.content());
        let writes = one.writes - whole.writes;
        for seed in 0..writes / 61 {
            let (mut store, mut numbers) = (whole.clone(), Numbers(seed));
            let mut after = 1 + seed * 61 + numbers.below(61);
            for _ in 0..5 {
                store.left = after;
                if store.work(&change).is_ok() {
                    break;
                }
                store.crash(&mut numbers);
                after = 1 + numbers.below(writes);
            }
            // Without its backup, or with another's, nothing goes on that could be half written.
            if store.array().is_overlapping() {
                let (mut lost, was) = (store.clone(), store.writes);
                assert!(matches!(lost.work(&case.3).unwrap_err().kind, Kind::Overlaps(_)));
                lost.disks[device].durable[16..32].fill(0x5a);
                lost.disks[device].cached = Some(BTreeMap::new());
                assert_eq!(lost.work(&change).unwrap_err().kind, Kind::Backup);
                assert!(lost.writes - was <= 2 * 8 * lost.disks.len() as u64, "superblocks at most");
            }
            store.left = u64::MAX;
            store.work(&change).unwrap();
            same(&store.content());
            store.is_whole();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn any_geometry_becomes_any_other_of_its_level(
        level in prop_oneof![Just(4), Just(5), Just(6), Just(10)],
        layouts in (0usize..32, 0usize..32),
        chunks in (0u32..3, 0u32..3),
        members in (3u32..7, 3u32..7),
        behind in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let layout = |nth: usize| match level {
            4 => 0,
            5 => nth as u32 % 6,
            6 => [0, 1, 2, 3, 4, 5, 8, 9, 10, 16, 17, 18, 19, 20][nth % 14],
            _ => [0x102, 0x103, 0x1_0201, 0x1_0301][nth % 4],
        };
        let least = if level == 6 { 4 } else { 3 };
        let (from, to) = (members.0.max(least), members.1.max(least));
        let spares = to.saturating_sub(from) as usize;
        let change = Change {
            layout: (level != 4).then_some(layout(layouts.1)),
            chunk: Some(8 << chunks.1),
            disks: Some(to),
            keep: Some(0),
            ..Change::default()
        };
        let case = ((level, layout(layouts.0), 8 << chunks.0), from as usize, spares, change);
        let whole = store(&case, if behind { FREE } else { 0 });
        let before = whole.clone().content();
        let mut one = whole.clone();
        match one.work(&case.3) {
            // There may be no room on that side, or no way at once.
            Err(error) => {
                prop_assert!(matches!(error.kind, Kind::NoRoom(_) | Kind::Cannot(_)), "{error:?}");
                prop_assert_eq!(one.writes, whole.writes, "what is refused changes nothing");
                return Ok(());
            }
            Ok(()) => one.is_whole(),
        }
        let kept = one.content().len().min(before.len());
        prop_assert!(one.content()[..kept] == before[..kept]);
        let (mut again, mut numbers) = (whole.clone(), Numbers(seed));
        for _ in 0..3 {
            again.left = 1 + numbers.below(one.writes - whole.writes + 1);
            let _ = again.work(&case.3);
            again.crash(&mut numbers);
            prop_assert!(again.content()[..kept] == before[..kept], "{case:?}");
        }
        again.work(&case.3).unwrap();
        again.is_whole();
        prop_assert!(again.content()[..kept] == before[..kept]);
    }
}
