// SPDX-License-Identifier: MIT
use super::*;
use orion_control::Name;
use orion_control::operator::{Begin, Pd, Ring, State as Health};
use orion_driver::{Health as DiskHealth, Text};
use orion_metrics::{Client, Counter, Figures, Holding, Kind, Volume};

/// A system at the time `ns` in which `passed` requests have passed.
pub fn sample(ns: u64, passed: u64) -> State {
    let pd = |name: &str, program: &str, health: Health| {
        let mut figures = Figures::EMPTY;
        figures.set_at(ns);
        figures.set(Counter::Requests, passed);
        figures.set(Counter::Errors, 3);
        (0..passed / 100).for_each(|n| figures.record(Kind::Read, 10_000 + n));
        let (name, program) = (Name::new(name), Name::new(program));
        Pd { name, program, priority: 9.into(), state: health.number(), pad: 0.into(), figures }
    };
    let ring = |client: &str, server: &str, disk: &str| {
        let [client, server, disk, volume] = [client, server, disk, "vault"].map(Name::new);
        Ring { client, server, volume, disk, entries: 64.into() }
    };
    let held = |client, frozen, parent_client| Holding {
        client,
        frozen,
        parent_client,
        parent_window: 0,
        rights: 3.into(),
        blocks: 16.into(),
        passed: if client == 0 { passed.into() } else { 0.into() },
        line: 7.into(),
        ..Holding::EMPTY
    };
    let said = (Text::new(b"one that hums"), Some(true), Some(-3));
    let health = DiskHealth { model: said.0, failing: said.1, temperature: said.2, ..DiskHealth::default() };
    State {
        begin: Begin { now: ns.into(), rights: 128.into(), number: 1.into(), pad: 0.into() },
        pds: vec![pd("blk_d0", "virtio-blk", Health::Well), pd("gatekeeper", "gatekeeper", Health::Silent)],
        rings: vec![ring("demo", "gatekeeper", ""), ring("gatekeeper", "blk_d0", "d0")],
        holdings: vec![held(0, 1, u8::MAX), held(1, 0, 0), held(77, 2, 99)],
        clients: vec![Client::new(0, false, 5)],
        volumes: vec![Volume::new(0, 1, 2, 1 << 14, false), Volume::new(60, 9, 0, 0, true)],
        disks: vec![Drive { name: Text::new(b"d0"), health, ..Drive::new("blk_d0".into(), 0) }],
    }
}

#[test]
fn columns_are_aligned_and_numbers_stand_at_the_right() {
    let text = table(&View::new(sample(3_000_000_000, 5000), Some(sample(1_000_000_000, 1000))));
    for block in text.split("\n\n").skip(1) {
        let lines: Vec<&str> = block.lines().skip(1).collect();
        let at = |line: &str, heading: &str| line.find(heading).map(|at| at + heading.len());
        if let (Some(heading), Some(first)) = (at(lines[0], "req/s"), lines.get(1)) {
            // A number ends where its heading ends.
            let cell = &first[..heading];
            assert!(!cell.ends_with(' ') && first[heading..].starts_with("  "), "{block}");
        }
    }
    for part in [
        "over the last 2.0 s",
        "2000",
        "demo:0",
        "manager:0",
        "client 77:0",
        "silent",
        "64.0 MiB",
        "closed",
        "one that hums",
        "failing",
        "-3 \u{b0}C",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn json_says_the_same() {
    let json = json(&View::new(sample(3_000_000_000, 5000), Some(sample(1_000_000_000, 1000))));
    assert_eq!(json["seconds"], 2.0);
    assert_eq!((&json["pds"][0]["state"], &json["pds"][1]["state"]), (&"ok".into(), &"silent".into()));
    assert_eq!(json["pds"][0]["per_second"]["requests"], 2000.0);
    assert_eq!(json["pds"][0]["counters"]["errors"], 3);
    assert_eq!(json["pds"][0]["latency_ns"]["read"]["timed"], 40);
    let p99 = json["pds"][0]["latency_ns"]["read"]["p99"].as_u64().unwrap();
    assert!((10_000..12_000).contains(&p99), "{p99}");
    assert_eq!(json["rights"][0]["used_per_second"], 2000.0);
    assert_eq!(json["rights"][1]["parent"]["client"], "demo");
    assert_eq!(json["manager"]["rights"], serde_json::json!(["admin"]));
}

/// A PD that was started again counts from 0: nothing is negative, nothing overflows.
#[test]
fn counters_that_go_back_are_no_rates() {
    let json = json(&View::new(sample(3_000_000_000, 10), Some(sample(1_000_000_000, u64::MAX >> 20 & 999))));
    assert_eq!(json["pds"][0]["per_second"]["requests"], 0.0);
    let same = table(&View::new(sample(5, 10), Some(sample(5, 10))));
    assert!(same.contains("blk_d0"));
}

#[test]
fn what_a_manager_writes_cannot_steer_the_terminal() {
    let mut state = sample(1, 1);
    state.pds[0].name = Name::new("\x1b[2Jevil");
    state.rings[0].client = Name::new("\x07");
    let view = View::new(state, None);
    assert!(!table(&view).contains(['\x1b', '\x07']) && !json(&view).to_string().contains("\\u001b"));
}
