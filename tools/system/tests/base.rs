// SPDX-License-Identifier: MIT
//! Storage over descriptions that sdfgen wrote: theirs passes through untouched, ours takes what is free, and what
//! cannot go together is refused.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests end with a panic")]
use orion_system::plan::Board;
use orion_system::{Options, derive, emit, parse_over, report_over};
use roxmltree::{Document, Node};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const BOARDS: [(&str, Board); 2] = [("base-aarch64", Board::QemuVirtAarch64), ("base-x86_64", Board::X86_64Generic)];

fn repository(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)).unwrap()
}

fn base(folder: &str) -> String {
    repository(&format!("tests/golden/sddf/{folder}/sdfgen.system"))
}

/// The merged description, or all that is wrong.
fn merged(base: &str, text: &str, board: Board) -> Result<String, String> {
    let plan = parse_over(Some(base), text).and_then(|system| derive(&system, board, &Options::default()));
    plan.map(|plan| emit::sdf(&plan)).map_err(|problems| report_over("system.xml", "other.system", &problems))
}

/// An element as text, without what stands in it.
fn start(node: Node<'_, '_>) -> String {
    let attributes = node.attributes().map(|a| format!(" {}={:?}", a.name(), a.value()));
    format!("<{}{}>", node.tag_name().name(), attributes.collect::<String>())
}

fn elements<'a>(node: Node<'a, 'a>) -> Vec<Node<'a, 'a>> {
    node.children().filter(Node::is_element).collect()
}

/// Every element of `theirs` stands in `ours`, with its attributes first, its children first, in the same order.
fn assert_within(theirs: Node<'_, '_>, ours: Node<'_, '_>) {
    let (short, long) = (start(theirs), start(ours));
    assert!(long.starts_with(short.trim_end_matches('>')), "{short} became {long}");
    let mut rest = elements(ours).into_iter();
    for child in elements(theirs) {
        let like = |other: &Node<'_, '_>| start(*other).starts_with(start(child).trim_end_matches('>'));
        // What ends a channel, say, has nothing to tell it from others but all of it.
        let found = rest.by_ref().find(|other| like(other) && elements(*other).len() >= elements(child).len());
        assert_within(child, found.unwrap_or_else(|| panic!("{} is gone, or out of order", start(child))));
    }
}

#[test]
fn theirs_passes_through_and_ours_takes_what_is_free() {
    let text = repository("tests/xml/over/two-clients.xml");
    for (folder, board) in BOARDS {
        let base = base(folder);
        let merged = merged(&base, &text, board).unwrap_or_else(|said| panic!("{said}"));
        let (theirs, ours) = (Document::parse(&base).unwrap(), Document::parse(&merged).unwrap());
        // Channels have no names: they are compared as wholes.
        let channels = |document: &Document<'_>| -> Vec<String> {
            let all = document.descendants().filter(|node| node.has_tag_name("channel"));
            all.map(|channel| channel.children().filter(Node::is_element).map(start).collect()).collect()
        };
        let all = channels(&ours);
        assert!(channels(&theirs).iter().all(|channel| all.contains(channel)), "{folder}");
        assert_within(theirs.root_element(), ours.root_element());
        assert_free(&ours);
        assert_above(&theirs, &ours);
    }
}

fn number(node: Node<'_, '_>, name: &str) -> Option<u64> {
    let text = node.attribute(name)?;
    Some(text.strip_prefix("0x").map_or_else(|| text.parse().unwrap(), |hex| u64::from_str_radix(hex, 16).unwrap()))
}

/// Nothing has two owners: names, ids of a PD, virtual and physical addresses, priorities of ours.
fn assert_free(document: &Document<'_>) {
    let all = |tag: &'static str| document.descendants().filter(move |node| node.has_tag_name(tag));
    let mut sizes = BTreeMap::new();
    let mut physical = Vec::new();
    for region in all("memory_region") {
        let size = number(region, "size").unwrap_or(0x1000);
        assert!(sizes.insert(region.attribute("name").unwrap(), size).is_none());
        physical.extend(number(region, "phys_addr").map(|at| (at, at + size)));
    }
    apart(physical);
    let mut ids = BTreeSet::new();
    for pd in all("protection_domain") {
        let maps = pd.children().filter(|node| node.has_tag_name("map"));
        apart(
            maps.map(|map| (number(map, "vaddr").unwrap(), map.attribute("mr").unwrap()))
                .map(|(at, mr)| (at, at + sizes[mr]))
                .collect(),
        );
        for irq in pd.children().filter(|node| node.has_tag_name("irq")) {
            assert!(ids.insert((pd.attribute("name").unwrap(), number(irq, "id"))), "{}", start(irq));
        }
    }
    for end in all("end") {
        assert!(ids.insert((end.attribute("pd").unwrap(), number(end, "id"))), "{}", start(end));
    }
}

fn apart(mut ranges: Vec<(u64, u64)>) {
    ranges.sort_unstable();
    for (a, b) in ranges.iter().zip(ranges.iter().skip(1)) {
        assert!(a.1 <= b.0, "{a:x?} meets {b:x?}");
    }
}

/// The gatekeeper and what it waits for stand above every client, at priorities of their own.
fn assert_above(theirs: &Document<'_>, ours: &Document<'_>) {
    let priorities = |document: &Document<'_>| -> BTreeMap<String, u64> {
        let pds = document.descendants().filter(|node| node.has_tag_name("protection_domain"));
        pds.map(|pd| (pd.attribute("name").unwrap().to_owned(), number(pd, "priority").unwrap_or(0))).collect()
    };
    let (theirs, ours) = (priorities(theirs), priorities(ours));
    let (gatekeeper, driver) = (ours["gatekeeper"], ours["blk_d0"]);
    assert!(theirs["other"] == 210 && gatekeeper > 210 && driver > gatekeeper && driver < 253);
    assert!(theirs.values().all(|priority| ![gatekeeper, driver].contains(priority)));
}

/// What is added to the base, what to `system.xml`, and what is said.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "",
        r#"<protection_domain name="clint" orion:sddf="blk"/>"#,
        "system.xml:1:43: the base has no protection domain \"clint\", and this one has no program; did you mean \"client\"?",
    ),
    ("", r#"<protection_domain name="client" priority="7"/>"#, "which says all of it already; leave only its name"),
    (
        "",
        r#"<protection_domain name="client"><program_image path="c.elf"/></protection_domain>"#,
        "there is a second protection domain \"client\", after that of line",
    ),
    (
        "",
        r#"<memory_region name="link_files_gatekeeper_info" size="0x1000"/>"#,
        "has the name of one that orion derives",
    ),
    (
        r#"<memory_region name="data_files" size="0x1000"/>"#,
        "",
        "other.system:1:9: the memory region \"data_files\" has the name of one that orion derives",
    ),
    (
        r#"<protection_domain name="gatekeeper"><program_image path="g.elf"/></protection_domain>"#,
        "",
        "other.system:1:9: the name \"gatekeeper\" is kept",
    ),
    (
        r#"<protection_domain name="blk_d0"><program_image path="g.elf"/></protection_domain>"#,
        "",
        "the name \"blk_d0\" is kept",
    ),
    (
        r#"<memory_region name="m" size="0x1000" phys_addr="0xa001000"/><protection_domain name="x"><program_image path="x.elf"/><map mr="m" vaddr="0x3000000"/></protection_domain>"#,
        r#"<orion:grant client="x" disk="d0" blocks="16..20" rights="read"/>"#,
        "\"m\" is mapped over \"x\"'s configuration",
    ),
    (
        r#"<protection_domain name="x"><program_image path="x.elf"/><irq irq="48" id="0"/></protection_domain>"#,
        "",
        "other.system:1:71: interrupt 48 belongs to the disk \"d0\"",
    ),
    (
        r#"<protection_domain name="x" priority="250"><program_image path="x.elf"/></protection_domain>"#,
        r#"<orion:grant client="x" disk="d0" blocks="16..20" rights="read"/>"#,
        "there are no priorities left",
    ),
    (
        r#"<memory_region name="m" size="0x4000" phys_addr="0xa000000"/>"#,
        r#"<orion:disk name="d1" bus="virtio-blk" transport="mmio"/>"#,
        "there is no page of virtio-mmio registers left",
    ),
    (r#"<memory_region name="m" size="0x2fe00000" phys_addr="0x90000000"/>"#, "", "there is no RAM left"),
    (
        r#"<orion:disk xmlns:orion="urn:orion-storage:1" name="d9" bus="virtio-blk"/>"#,
        "",
        "other.system:1:9: the base has an element of Orion's; move it into system.xml",
    ),
    ("<oops>", "", "other.system:1:"),
];

#[test]
fn what_cannot_go_together_is_refused_with_its_place() {
    let storage = r#"<protection_domain name="files" orion:sddf="blk"/><orion:disk name="d0" bus="virtio-blk"/>
        <orion:grant client="files" disk="d0" blocks="0..9" rights="read"/>"#;
    for (base, text, expected) in REFUSED {
        let pds = ["client", "files"].map(|name| {
            format!("<protection_domain name=\"{name}\"><program_image path=\"{name}.elf\"/></protection_domain>")
        });
        let base = format!("<system>{base}{}</system>", pds.concat());
        let text = format!("<system xmlns:orion=\"urn:orion-storage:1\">{text}{storage}</system>");
        let said = merged(&base, &text, Board::QemuVirtAarch64).expect_err(expected);
        assert!(said.contains(expected), "expected {expected}\nfound {said}");
    }
}

/// The base's UART stays the base's: Orion derives no console, and none can be asked for.
#[test]
fn a_base_with_a_console_keeps_it() {
    for (folder, board) in BOARDS {
        let text = repository("tests/xml/over/two-clients.xml");
        let merged = merged(&base(folder), &text, board).unwrap();
        assert!(!merged.contains("name=\"serial\"") && !merged.contains("console_"), "{merged}");
        let said = self::merged(&base(folder), &text.replace("\"blk\"", "\"blk serial\""), board).unwrap_err();
        assert!(said.contains("the UART is the base's"), "{said}");
    }
}
