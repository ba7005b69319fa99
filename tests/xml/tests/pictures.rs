// SPDX-License-Identifier: MIT
//! The picture of every good system: well-formed, complete, and nothing lies on anything else.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]
mod common;

use common::cases;
use orion_system::plan::Plan;
use orion_system::{derive, parse};
use roxmltree::{Document, Node};

/// Every picture, with the plan that it is of.
fn pictures() -> Vec<(String, Plan, String)> {
    let mut pictures = Vec::new();
    for case in cases("good") {
        let system = parse(&case.text).unwrap();
        for (board, options) in case.boards() {
            let plan = derive(&system, board, &options).unwrap();
            let picture = orion_system::graph(&system, &plan, &case.name);
            pictures.push((format!("{} for {}", case.name, board.name()), plan, picture));
        }
    }
    pictures
}

fn number(node: &Node<'_, '_>, name: &str) -> f64 {
    node.attribute(name).unwrap().parse().unwrap()
}

/// Left, top, right, bottom of each box.
fn boxes(document: &Document<'_>) -> Vec<[f64; 4]> {
    let cards = document.descendants().filter(|node| node.attribute("rx") == Some("9"));
    cards
        .map(|card| {
            let (x, y) = (number(&card, "x"), number(&card, "y"));
            [x, y, x + number(&card, "width"), y + number(&card, "height")]
        })
        .collect()
}

#[test]
fn every_protection_domain_and_disk_is_in_the_picture() {
    for (name, plan, picture) in pictures() {
        let document = Document::parse(&picture).unwrap_or_else(|error| panic!("{name}: {error}"));
        let texts: Vec<&str> = document.descendants().filter_map(|node| node.text()).collect();
        let pds = plan.pds.iter().map(|pd| &pd.name);
        for wanted in pds.chain(plan.disks.iter().map(|disk| &disk.name)) {
            assert!(texts.contains(&wanted.as_str()), "{name}: no {wanted}");
        }
        assert_eq!(boxes(&document).len(), plan.pds.len(), "{name}");
    }
}

#[test]
fn boxes_lie_apart_and_within_the_picture() {
    for (name, _, picture) in pictures() {
        let document = Document::parse(&picture).unwrap();
        let root = document.root_element();
        let (width, height) = (number(&root, "width"), number(&root, "height"));
        let boxes = boxes(&document);
        for (index, a) in boxes.iter().enumerate() {
            let [left, top, right, bottom] = *a;
            assert!(
                left >= 0.0 && top >= 0.0 && right <= width && bottom <= height,
                "{name}: {a:?} of {width} {height}"
            );
            for b in boxes.iter().take(index) {
                let apart = b[2] < left || right < b[0] || b[3] < top || bottom < b[1];
                assert!(apart, "{name}: {a:?} lies on {b:?}");
            }
        }
    }
}

#[test]
fn the_picture_in_the_readme_is_of_the_default_system() {
    let system = parse(include_str!("../../../system.xml")).unwrap();
    let plan = derive(&system, orion_system::plan::Board::Host, &orion_system::Options::default()).unwrap();
    let same = orion_system::graph(&system, &plan, "system.xml") == include_str!("../../../docs/system.svg");
    assert!(same, "docs/system.svg is of another system.xml: run `make graph`");
}

#[test]
fn rights_and_extents_stand_at_the_rings() {
    let system = parse(include_str!("../../../system.xml")).unwrap();
    let plan = derive(&system, orion_system::plan::Board::Host, &orion_system::Options::default()).unwrap();
    let picture = orion_system::graph(&system, &plan, "system.xml");
    for wanted in
        [">vault 0..4096 \u{b7} 16 MiB<", ">read<", ">write<", ">flush<", ">volume vault<", ">ring of 64 entries<"]
    {
        assert!(picture.contains(wanted), "{wanted}");
    }
    assert!(!picture.contains(">discard<"));
}
