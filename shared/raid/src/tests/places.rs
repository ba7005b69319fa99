// SPDX-License-Identifier: MIT
//! Every place of every small array, against tables of stripes that are written out from the definitions.
use crate::geometry::{Copies, Level, Multizone, Parity};
use crate::{Geometry, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::vec::Vec;
use std::{format, vec};

/// What a cell of a member, one chunk, holds: a chunk of data, or parity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Data(u64),
    P,
    Q,
}
use Cell::{Data, P, Q};

/// A row of a parity layout, from the words of its definition: P's place, Q's, and where data begin.
fn row(level: u32, layout: u32, number: usize, n: usize) -> Vec<Option<Cell>> {
    let mut row = vec![None; n];
    // A "_6" layout is the RAID 5 of one member fewer, and Q behind it.
    if level == 6 && layout >= 16 {
        let mut row = self::row(5, layout - 16, number, n - 1);
        row.push(Some(Q));
        return row;
    }
    let turn = number % n;
    let p = match (level, layout) {
        (4, _) => n - 1,
        (5, 4) | (6, 4) => 0,
        (5, 5) => n - 1,
        (6, 5) => n - 2,
        (6, 8) => turn,
        (6, 9) => n - 1 - (number + 1) % n,
        (_, 0 | 2 | 10) => n - 1 - turn,
        _ => turn,
    };
    row[p] = Some(P);
    if level == 6 {
        row[if layout == 10 { (p + n - 1) % n } else { (p + 1) % n }] = Some(Q);
    }
    // Symmetric layouts begin behind the parity and wrap; the others at the first member.
    let symmetric = level != 4 && matches!(layout, 2 | 3 | 10);
    let behind = if level == 6 && layout != 10 { p + 2 } else { p + 1 };
    let mut at = if symmetric { behind % n } else { 0 };
    let parity = if level == 6 { 2 } else { 1 };
    for index in 0..n - parity {
        while row[at].is_some() {
            at = (at + 1) % n;
        }
        row[at] = Some(Data((number * (n - parity) + index) as u64));
    }
    row
}

fn level(level: u32, layout: u32) -> Level {
    Level::parse(level as i32, layout, true).unwrap()
}

#[test]
fn every_sector_of_parity_arrays_is_where_the_table_says() {
    let fives = (0..6).map(|layout| (5, layout));
    let sixes = (0..6).chain(8..11).chain(16..21).map(|layout| (6, layout));
    for (number, layout) in fives.chain(sixes).chain([(4, 0)]) {
        let parity = if number == 6 { 2 } else { 1 };
        for n in parity + 1..8usize {
            // Linux asks for one more member with a "_6" layout too; with fewer there is nothing to turn.
            if number == 6 && layout >= 16 && n < 3 {
                continue;
            }
            let (chunk, rows) = (8, 2 * n as u64 + 1);
            let name = format!("level {number}, layout {layout}, {n} members");
            let geometry = Geometry::new(level(number, layout), n as u32, chunk, rows * 8 + 5, &[]).unwrap();
            assert_eq!(geometry.sectors(), rows * 8 * (n - parity) as u64, "{name}");
            for stripe in 0..rows {
                let table = row(number, layout, stripe as usize, n);
                let found = geometry.stripe(stripe * 8 + 3).unwrap();
                for (member, cell) in (0..).zip(&table) {
                    assert_eq!(found.p == member, *cell == Some(P), "{name}");
                    assert_eq!(found.q == Some(member), *cell == Some(Q), "{name}");
                    let Some(Data(data)) = cell else { continue };
                    for within in 0..8 {
                        let place = geometry.place(data * 8 + within, 0).unwrap();
                        let expected = (member, stripe * 8 + within, 8 - within);
                        assert_eq!((place.member, place.sector, place.run), expected, "{name}, stripe {stripe}");
                    }
                }
                powers_differ(&geometry, stripe, &name);
            }
            assert_eq!((geometry.place(geometry.sectors(), 0), geometry.place(0, 1)), (None, None), "{name}");
        }
    }
}

/// Recovery of two needs factors that differ.
fn powers_differ(geometry: &Geometry, stripe: u64, name: &str) {
    let stripe = geometry.stripe(stripe * 8).unwrap();
    let powers: Vec<u32> = stripe.members().map(|member| stripe.power(member)).collect();
    assert_eq!(powers.iter().collect::<BTreeSet<_>>().len(), powers.len(), "{name}");
    assert!(powers.iter().all(|&power| power < geometry.members()), "{name}");
}

/// The members of RAID 10, chunk by chunk, written as one would draw them: each near copy in the next cell, and each far
/// copy the same rows, turned by one set of near copies, below or between.
fn drawn(
    near: usize,
    far: usize,
    offset: bool,
    n: usize,
    chunks: usize,
    stride: usize,
) -> BTreeMap<(u32, u64), (u64, u32)> {
    let mut drawn = BTreeMap::new();
    for cell in 0..chunks * near {
        for copy in 0..far {
            let member = (cell % n + copy * near) % n;
            let at = if offset { cell / n * far + copy } else { cell / n + copy * stride };
            let what = ((cell / near) as u64, (copy * near + cell % near) as u32);
            assert_eq!(drawn.insert((member as u32, at as u64), what), None, "two copies in one place");
        }
    }
    drawn
}

#[test]
fn every_copy_of_raid_10_is_where_it_is_drawn() {
    let layouts = [
        (2, 1, false),
        (3, 1, false),
        (1, 2, false),
        (1, 3, false),
        (1, 2, true),
        (1, 3, true),
        (4, 1, false),
        (2, 2, false),
    ];
    for (near, far, offset) in layouts {
        for n in (near * far).max(2)..8 {
            let layout = (near | far << 8 | usize::from(offset) << 16) as u32;
            let rows = 13;
            let geometry = Geometry::new(level(10, layout), n as u32, 8, rows * 8, &[]).unwrap();
            let chunks = geometry.sectors() / 8;
            assert_eq!(chunks, rows / far as u64 * n as u64 / near as u64, "near {near}, far {far}, {n} members");
            let stride = geometry.used(0) / 8 / far as u64;
            let mut drawn = drawn(near, far, offset, n, chunks as usize, stride as usize);
            for sector in 0..geometry.sectors() {
                for copy in 0..(near * far) as u32 {
                    let place = geometry.place(sector, copy).unwrap();
                    assert_eq!((place.sector % 8, place.run), (sector % 8, 8 - sector % 8));
                    assert!(place.sector < rows * 8 && place.sector < geometry.used(place.member));
                    if sector % 8 == 7 {
                        let cell = drawn.remove(&(place.member, place.sector / 8));
                        assert_eq!(cell, Some((sector / 8, copy)), "near {near}, far {far}, {offset}, {n} members");
                    }
                }
                assert_eq!(geometry.place(sector, (near * far) as u32), None);
            }
            assert!(drawn.is_empty());
        }
    }
}

/// The members of a RAID 0, by dealing out chunks: each zone's to the members that still have room.
fn dealt(sizes: &[u64], chunk: u64, original: bool) -> Vec<(u32, u64)> {
    let sizes: Vec<u64> = sizes.iter().map(|size| size / chunk).collect();
    let (mut dealt, mut row) = (Vec::new(), 0);
    loop {
        let reaching: Vec<u32> = (0..).zip(&sizes).filter(|(_, size)| **size > row).map(|(member, _)| member).collect();
        if reaching.is_empty() {
            return dealt;
        }
        // The zone ends where the next member does; each row of it is turned alike.
        let turn = if original { dealt.len() % reaching.len() } else { 0 };
        dealt.extend((0..reaching.len()).map(|i| (reaching[(i + turn) % reaching.len()], row)));
        row += 1;
    }
}

#[test]
fn every_sector_of_raid_0_is_dealt_to_one_member() {
    let sizes = [vec![40, 40, 40], vec![16, 71, 33, 33], vec![8, 24, 200], vec![64, 8], vec![50], vec![0, 40, 40]];
    for (sizes, chunk) in sizes.iter().flat_map(|sizes| [(sizes, 8u32), (sizes, 12)]) {
        for layout in [Multizone::Original, Multizone::Alternate] {
            let level = Level::Raid0(Some(layout));
            let geometry = Geometry::new(level, sizes.len() as u32, chunk, 0, sizes).unwrap();
            let dealt = dealt(sizes, chunk.into(), layout == Multizone::Original);
            assert_eq!(geometry.sectors(), dealt.len() as u64 * u64::from(chunk), "{sizes:?}");
            let mut places = BTreeSet::new();
            for sector in 0..geometry.sectors() {
                let place = geometry.place(sector, 0).unwrap();
                let (member, row) = dealt[(sector / u64::from(chunk)) as usize];
                let expected = (member, row * u64::from(chunk) + sector % u64::from(chunk));
                assert_eq!((place.member, place.sector), expected, "{sizes:?}, {layout:?}, sector {sector}");
                assert!(places.insert(expected) && place.sector < sizes[place.member as usize]);
            }
        }
    }
    let unknown = Geometry::new(Level::Raid0(None), 2, 8, 0, &[40, 80]);
    assert_eq!(unknown.unwrap_err(), Kind::Raid0Layout);
    assert!(Geometry::new(Level::Raid0(None), 2, 8, 0, &[40, 44]).is_ok());
}

#[test]
fn linear_arrays_and_mirrors() {
    let linear = Geometry::new(Level::Linear, 3, 0, 0, &[10, 3, 7]).unwrap();
    let places: Vec<(u32, u64)> =
        (0..20).map(|s| linear.place(s, 0).unwrap()).map(|place| (place.member, place.sector)).collect();
    let expected = (0..10).map(|s| (0, s)).chain((0..3).map(|s| (1, s))).chain((0..7).map(|s| (2, s)));
    assert_eq!(places, expected.collect::<Vec<_>>());
    assert_eq!((linear.sectors(), linear.place(20, 0)), (20, None));
    let mirror = Geometry::new(Level::Raid1, 3, 0, 100, &[]).unwrap();
    let place = |copy| mirror.place(42, copy).map(|place| (place.member, place.sector, place.run));
    assert_eq!([0, 1, 2, 3].map(place), [Some((0, 42, 58)), Some((1, 42, 58)), Some((2, 42, 58)), None]);
}

#[test]
fn what_cannot_be_is_refused() {
    let new = |level, members, chunk, used| Geometry::new(level, members, chunk, used, &[]).unwrap_err();
    let five = Level::Parity(Parity::raid5(2).unwrap());
    assert_eq!(new(five, 1, 8, 80), Kind::TooFew(1));
    assert_eq!(new(five, 3, 12, 80), Kind::Chunk(12));
    assert_eq!(new(five, 3, 8, 7), Kind::Size);
    assert_eq!(new(five, 300, 8, u64::MAX), Kind::Size);
    assert_eq!(new(five, 385, 8, 80), Kind::Members(385));
    assert_eq!(new(Level::Raid10(Copies::parse(0x102).unwrap()), 1, 8, 80), Kind::TooFew(1));
    assert_eq!(Level::parse(5, 6, false), Err(Kind::Layout(6)));
    assert_eq!(Level::parse(6, 7, false), Err(Kind::Layout(7)));
    assert_eq!(Level::parse(10, 0x2_0201, false), Err(Kind::Layout(0x2_0201)));
    assert_eq!(Level::parse(10, 0x100, false), Err(Kind::Layout(0x100)));
    assert_eq!(Level::parse(0, 3, true), Err(Kind::Layout(3)));
    assert_eq!(Level::parse(-4, 0, false), Err(Kind::Level(-4)));
}
