// SPDX-License-Identifier: MIT
//! Each process has exactly the mappings that the plan declares, and can open no more of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use orion_host_tests::{Place, SYSTEM};
use orion_system::plan::{Board, Pd, Plan, RegionKind};
use orion_system::{Export, Options, plan};
use std::collections::BTreeSet;
use std::fs;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orion-host-tests");

/// A mapping of a region: name, first address, bytes, whether it may be written.
type Mapping = (String, u64, u64, bool);

/// The mappings of shared memory at addresses that a plan can declare. Panics where one may be executed.
fn mappings(process: u32) -> BTreeSet<Mapping> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap();
    let ours = maps.lines().filter_map(|line| {
        let (_, name) = line.split_once("/memfd:orion-")?;
        let mut words = line.split_ascii_whitespace();
        let (first, last) = words.next()?.split_once('-')?;
        let rights = words.next()?;
        assert!(!rights.contains('x'), "{line}");
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let name = name.trim_end_matches(" (deleted)").to_owned();
        Some((name, number(first), number(last) - number(first), rights.contains('w')))
    });
    // Bells and consoles lie where the kernel puts mappings.
    ours.filter(|&(_, first, _, _)| first < 0x100_0000_0000).collect()
}

fn declared(plan: &Plan, pd: &Pd) -> BTreeSet<Mapping> {
    let config = (format!("{}-config", pd.name), 0x300_0000, (pd.config.len() as u64).next_multiple_of(4096), false);
    let regions = pd.maps.iter().filter_map(|map| {
        let region = plan.regions.iter().find(|region| region.name == map.region)?;
        (region.kind != RegionKind::Device).then(|| (map.region.clone(), map.vaddr, region.size, map.write))
    });
    regions.chain([config]).collect()
}

#[test]
fn mappings_are_those_of_the_plan() {
    let options = Options { exports: vec![Export { volume: "vault".into() }], ..Options::default() };
    let plan = plan(SYSTEM, Board::Host, &options).unwrap();
    let place = Place::new();
    let mut run = place.run(PROGRAM, SYSTEM, &["--export", "vault=nbd:tcp:0"]);
    // It prints this from inside its sandbox, after the gatekeeper and the driver have answered.
    run.wait_for("verdict", "pd", "demo");
    let children = run.children();
    let mut seen = 0;
    for pd in &plan.pds {
        let marker = format!("name={} ", pd.name);
        let Some((process, _)) = children.iter().find(|(_, line)| line.contains(&marker)) else { continue };
        seen += 1;
        assert_eq!(mappings(*process), declared(&plan, pd), "{}", pd.name);
        assert_no_memory_is_open(*process);
        assert_sandboxed(*process);
    }
    assert_eq!(seen, 4, "the gatekeeper, the driver, the export and the supervisor");
}

/// Payload is moved by the device alone: no process between client and device can touch it.
#[test]
fn payload_is_mapped_by_its_client_only() {
    let plan = plan(SYSTEM, Board::Host, &Options::default()).unwrap();
    let data: Vec<_> = plan.regions.iter().filter(|region| region.kind == RegionKind::Data).collect();
    assert_eq!(data.len(), 1);
    for region in data {
        let mappers = plan.pds.iter().filter(|pd| pd.maps.iter().any(|map| map.region == region.name));
        assert_eq!(mappers.map(|pd| pd.name.as_str()).collect::<Vec<_>>(), ["demo"]);
        assert_eq!(region.dma_by, ["d0"]);
    }
}

/// Every descriptor of memory is closed: what is open are event counters, sockets and the pipe for last words.
fn assert_no_memory_is_open(process: u32) {
    for entry in fs::read_dir(format!("/proc/{process}/fd")).unwrap() {
        let target = fs::read_link(entry.unwrap().path()).unwrap().display().to_string();
        let harmless = ["anon_inode:[eventfd]", "socket:", "pipe:", "/dev/null"];
        assert!(harmless.iter().any(|kind| target.starts_with(kind)), "{process} holds {target}");
    }
}

fn assert_sandboxed(process: u32) {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Seccomp:\t2"), "{status}");
}
